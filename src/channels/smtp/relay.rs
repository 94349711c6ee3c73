//! Where the relay is, how it is spoken to, and the way to a connection that is ready for `MAIL FROM`.

use std::net::IpAddr;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;
use lettre::transport::smtp::response::Response;
use url::Url;

use super::reply::{Failure, within};
use super::wire::Wire;
use crate::channels::socket::{Address, Socket};
use crate::channels::tls::Tls;
use crate::channels::{BuildError, percent};
use crate::config::pools::PoolConfig;
use crate::domain::outcome::Trouble;

/// RFC 5321, RFC 6409 and RFC 8314.
const RELAY_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

/// A relay's address and manners.
pub(super) struct Relay {
    address: Address,
    security: Security,
    credentials: Option<Credentials>,
    timeout: Duration,
}

enum Security {
    /// `smtps://`: TLS before the first word.
    Implicit(Tls),
    /// `smtp://`, and nothing is said before TLS is up.
    StartTls(Tls),
    /// `smtp://`, and TLS when the relay offers it. Its certificate is verified all the same.
    Opportunistic(Tls),
    /// `smtp://` in the clear.
    Plain,
}

impl Relay {
    pub(super) fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        let fault = |reason: String| BuildError::new(pool, reason);
        let text = pool.url.as_ref().ok_or_else(|| fault("url is required, such as smtp://host:port".to_owned()))?;
        let url = Url::parse(text.expose()).map_err(|error| fault(format!("url: {error}")))?;
        let port = url.port();
        let address = |default| Address::new(url.host_str().unwrap_or_default(), port.unwrap_or(default));
        let host = address(0).host().to_owned();
        if host.is_empty() || !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(fault("url must be smtp://host:port or smtps://host:port, without a path".to_owned()));
        }
        let mut policy = None;
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("tls", "required" | "opportunistic" | "none") => policy = Some(value.into_owned()),
                ("tls", _) => return Err(fault("url: tls must be required, opportunistic or none".to_owned())),
                _ => return Err(fault(format!("url: unknown setting {name}"))),
            }
        }
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let tls = || Tls::new(pool, &host, None);
        let (security, default_port) = match (url.scheme(), policy.as_deref()) {
            ("smtps", None | Some("required")) => (Security::Implicit(tls()?), SUBMISSIONS_PORT),
            ("smtps", Some(_)) => return Err(fault("url: smtps:// is always encrypted; leave tls out".to_owned())),
            ("smtp", Some("none")) => (Security::Plain, RELAY_PORT),
            ("smtp", Some("opportunistic")) => (Security::Opportunistic(tls()?), RELAY_PORT),
            ("smtp", None) if loopback => (Security::Plain, RELAY_PORT),
            ("smtp", _) => (Security::StartTls(tls()?), SUBMISSION_PORT),
            (scheme, _) => return Err(fault(format!("url: {scheme}:// is neither smtp:// nor smtps://"))),
        };
        let credentials = credentials(pool, &url)?;
        if credentials.is_some() && !loopback && matches!(security, Security::Plain | Security::Opportunistic(_)) {
            return Err(fault("a password must not travel in the clear: use smtps:// or tls=required".to_owned()));
        }
        Ok(Self { address: address(default_port), security, credentials, timeout: pool.timeout() })
    }

    /// Opens a connection and brings it to where `MAIL FROM` may be said.
    ///
    /// # Errors
    /// What went wrong at which step. None of it is a recipient's fault.
    pub(super) async fn connect(&self) -> Result<Wire, Trouble> {
        let mut step = "connect";
        within(self.timeout, self.open(&mut step)).await.map_err(|failure| failure.in_words(step, ""))
    }

    async fn open(&self, step: &mut &'static str) -> Result<Wire, Failure> {
        let tcp = self.address.reach(self.timeout).await?;
        // RFC 5321 4.1.3: who has no name says its address.
        let hello = match tcp.local_addr()?.ip() {
            IpAddr::V4(ip) => format!("EHLO [{ip}]\r\n"),
            IpAddr::V6(ip) => format!("EHLO [IPv6:{ip}]\r\n"),
        };
        let socket = match &self.security {
            Security::Implicit(tls) => {
                *step = "TLS handshake";
                tls.shake_hands(tcp).await?
            }
            Security::StartTls(_) | Security::Opportunistic(_) | Security::Plain => Socket::Plain(tcp),
        };
        let mut wire = Wire::over(socket);
        *step = "greeting";
        wire.hear().await?.expect(220)?;
        *step = "EHLO";
        wire.hello(&hello).await?;
        *step = "STARTTLS";
        match &self.security {
            Security::StartTls(_) if !wire.offers.starttls => {
                return Err(Failure::Cut("required, and the relay does not offer it".to_owned()));
            }
            Security::StartTls(tls) => wire = wire.start_tls(tls, &hello).await?,
            Security::Opportunistic(tls) if wire.offers.starttls => wire = wire.start_tls(tls, &hello).await?,
            Security::Opportunistic(_) | Security::Implicit(_) | Security::Plain => {}
        }
        if let Some(credentials) = &self.credentials {
            *step = "AUTH";
            log_in(&mut wire, credentials).await?;
        }
        Ok(wire)
    }
}

/// RFC 4954, with PLAIN or else LOGIN.
async fn log_in(wire: &mut Wire, credentials: &Credentials) -> Result<(), Failure> {
    /// LOGIN asks for the user, then for the password.
    const MOST_CHALLENGES: u8 = 2;
    let stuck = |error: lettre::transport::smtp::Error| Failure::Cut(error.to_string());
    let mechanism = match (wire.offers.auth_plain, wire.offers.auth_login) {
        (true, _) => Mechanism::Plain,
        (false, true) => Mechanism::Login,
        (false, false) => return Err(Failure::Cut("the relay offers neither PLAIN nor LOGIN".to_owned())),
    };
    let mut answer = Auth::new(mechanism, credentials.clone(), None).map_err(stuck)?;
    for _ in 0..MOST_CHALLENGES {
        wire.say(answer.to_string().as_bytes()).await?;
        let reply = wire.hear().await?;
        if reply.code != 334 {
            return reply.expect(235).map(drop);
        }
        let challenge: Response =
            format!("334 {}\r\n", reply.text).parse().map_err(|_odd| Failure::Cut("an odd challenge".to_owned()))?;
        answer = Auth::new_from_response(mechanism, credentials.clone(), &challenge).map_err(stuck)?;
    }
    wire.say(answer.to_string().as_bytes()).await?;
    wire.hear().await?.expect(235).map(drop)
}

/// User and password, from the settings or else from the URL.
fn credentials(pool: &PoolConfig, url: &Url) -> Result<Option<Credentials>, BuildError> {
    let decode = |text: &str| {
        percent::decode(text).ok_or_else(|| BuildError::new(pool, "url: user or password is not percent-encoded UTF-8"))
    };
    let user = match &pool.username {
        Some(user) => user.clone(),
        None => decode(url.username())?,
    };
    let password = match &pool.password {
        Some(password) => password.expose().to_owned(),
        None => decode(url.password().unwrap_or_default())?,
    };
    match (user.is_empty(), password.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(Credentials::new(user, password))),
        _ => Err(BuildError::new(pool, "username and password belong together: one of them is missing")),
    }
}
