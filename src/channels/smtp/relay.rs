//! Where the relay is, how it is spoken to, and the way to a connection that is ready for `MAIL FROM`.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use super::exchange::within;
use super::login::Login;
use super::reply::Failure;
use super::wire::Wire;
use crate::channels::Unusable;
use crate::channels::socket::{Address, Socket};
use crate::channels::tls::Tls;
use crate::config::pools::SmtpConfig;
use crate::domain::dispatch::answer::Refusal;
use crate::domain::dispatch::answers::{Book, Stage as Place};
use crate::domain::host_name::is_domain_name;

/// RFC 5321, RFC 6409 and RFC 8314.
const RELAY_PORT: u16 = 25;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

/// A relay's address and manners.
pub(super) struct Relay {
    address: Address,
    security: Security,
    login: Option<Login>,
    /// The name we introduce ourselves with, where there is one.
    name: Option<String>,
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
    pub(super) fn new(config: &SmtpConfig, timeout: Duration) -> Result<Self, Unusable> {
        let fault = Unusable;
        let text =
            config.server.url.as_ref().ok_or_else(|| fault("url is required, such as smtp://host:port".to_owned()))?;
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
        let tls = || Tls::new(&config.server, &host, &[]);
        let (security, default_port) = match (url.scheme(), policy.as_deref()) {
            ("smtps", None | Some("required")) => (Security::Implicit(tls()?), SUBMISSIONS_PORT),
            ("smtps", Some(_)) => return Err(fault("url: smtps:// is always encrypted; leave tls out".to_owned())),
            ("smtp", Some("none")) => (Security::Plain, RELAY_PORT),
            ("smtp", Some("opportunistic")) => (Security::Opportunistic(tls()?), RELAY_PORT),
            ("smtp", None) if loopback => (Security::Plain, RELAY_PORT),
            ("smtp", _) => (Security::StartTls(tls()?), SUBMISSION_PORT),
            (scheme, _) => return Err(fault(format!("url: {scheme}:// is neither smtp:// nor smtps://"))),
        };
        let login = Login::new(config, &url)?;
        if login.is_some() && !loopback && matches!(security, Security::Plain | Security::Opportunistic(_)) {
            return Err(fault(
                "a password or token must not be sent unencrypted: use smtps:// or tls=required".to_owned(),
            ));
        }
        let name = config.introduction().map(str::to_owned).or_else(host_name);
        Ok(Self { address: address(default_port), security, login, name, timeout })
    }

    /// Opens a connection and brings it to where `MAIL FROM` may be said.
    ///
    /// # Errors
    /// What went wrong at which step. None of it is a recipient's fault.
    pub(super) async fn connect(&self, book: &Book) -> Result<Wire, Refusal> {
        let mut step = "connect";
        within(self.timeout, self.open(&mut step)).await.map_err(|failure| {
            let place = if step.starts_with("AUTH") { Place::Auth } else { Place::Connect };
            failure.refusal(place, step, "", book)
        })
    }

    async fn open(&self, step: &mut &'static str) -> Result<Wire, Failure> {
        let tcp = self.address.reach(self.timeout).await?;
        // RFC 5321 4.1.3: who has no name says its address.
        let name = match (&self.name, tcp.local_addr()?.ip()) {
            (Some(name), _) => name.clone(),
            (None, IpAddr::V4(ip)) => format!("[{ip}]"),
            (None, IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
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
        wire.hello(&name, step).await?;
        match &self.security {
            Security::StartTls(_) if !wire.offers.starttls => {
                *step = "STARTTLS";
                let why = if wire.offers.extended { "does not offer it" } else { "knows HELO alone" };
                return Err(Failure::Cut(format!("required, and the relay {why}")));
            }
            Security::StartTls(tls) => wire = wire.start_tls(tls, &name, step).await?,
            Security::Opportunistic(tls) if wire.offers.starttls => wire = wire.start_tls(tls, &name, step).await?,
            Security::Opportunistic(_) | Security::Implicit(_) | Security::Plain => {}
        }
        if let Some(login) = &self.login {
            *step = "AUTH";
            login.run(&mut wire, step).await?;
        }
        Ok(wire)
    }
}

/// This host's name, where it is one that others may know: a domain name with a dot.
fn host_name() -> Option<String> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok()?;
    (name.contains('.') && is_domain_name(name)).then(|| name.to_owned())
}
