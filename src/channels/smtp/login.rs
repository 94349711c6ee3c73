//! Logging in to a relay (RFC 4954): PLAIN (RFC 4616) or LOGIN with a password, XOAUTH2 with a token.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::reply::Failure;
use super::token::Token;
use super::wire::Wire;
use crate::channels::{Unusable, percent};
use crate::config::pools::SmtpConfig;
use crate::config::secret::Secret;

/// The longest command line with its line end, in bytes (RFC 5321 4.5.3.1.4). RFC 4954 4 holds a first answer that stands
/// in the command to it, too; one that is longer waits to be asked for.
const MAX_COMMAND_BYTES: usize = 512;

/// No mechanism asks more often: LOGIN asks for the user and the password, XOAUTH2 for the token and, after a failure,
/// for a sign that its reason was read.
const MOST_CHALLENGES: u8 = 3;

/// RFC 4954 6: wrong credentials.
const WRONG_CREDENTIALS: u16 = 535;

/// Who logs in, and with what.
pub(super) struct Login {
    user: String,
    proof: Proof,
}

enum Proof {
    Password(Secret),
    Token(Token),
}

impl Login {
    /// From the settings, or else from the URL; nothing where there is no login.
    ///
    /// # Errors
    /// [`Unusable`] when a part is missing or cannot be read.
    pub(super) fn new(config: &SmtpConfig, url: &Url) -> Result<Option<Self>, Unusable> {
        let decode = |text: &str| {
            percent::decode(text).ok_or_else(|| Unusable::new("url: user or password is not percent-encoded UTF-8"))
        };
        let user = match &config.username {
            Some(user) => user.clone(),
            None => decode(url.username())?,
        };
        let password = match &config.password {
            Some(password) => password.clone(),
            None => Secret::new(decode(url.password().unwrap_or_default())?),
        };
        let proof = match (Token::new(config), password.expose().is_empty()) {
            (Some(_), false) => {
                return Err(Unusable::new("password: a token takes its place; give one of them"));
            }
            (Some(token), true) => Proof::Token(token),
            (None, false) => Proof::Password(password),
            (None, true) if user.is_empty() => return Ok(None),
            (None, true) => return Err(apart()),
        };
        if user.is_empty() { Err(apart()) } else { Ok(Some(Self { user, proof })) }
    }

    /// Logs in. `step` is kept up to date for the report of a failure.
    ///
    /// # Errors
    /// The relay offers no mechanism that fits, refuses, or there is no token. No error holds a secret.
    pub(super) async fn run(&self, wire: &mut Wire, step: &mut &'static str) -> Result<(), Failure> {
        match &self.proof {
            Proof::Password(password) if wire.offers.has_login("PLAIN") => {
                let answer = format!("\0{}\0{}", self.user, password.expose());
                exchange(wire, "PLAIN", true, &[&answer]).await
            }
            Proof::Password(password) if wire.offers.has_login("LOGIN") => {
                exchange(wire, "LOGIN", false, &[&self.user, password.expose()]).await
            }
            Proof::Token(token) if wire.offers.has_login("XOAUTH2") => self.show_token(token, wire, step).await,
            Proof::Password(_) | Proof::Token(_) => Err(Failure::Cut(self.nothing_fits(wire))),
        }
    }

    /// A token that was kept may have run out: where the relay refuses it, a new one is fetched and shown, once.
    async fn show_token(&self, token: &Token, wire: &mut Wire, step: &mut &'static str) -> Result<(), Failure> {
        loop {
            *step = token.setting();
            let (secret, is_new) = token.get().await?;
            *step = "AUTH";
            let answer = format!("user={}\x01auth=Bearer {}\x01\x01", self.user, secret.expose());
            match exchange(wire, "XOAUTH2", true, &[&answer]).await {
                Err(refused @ Failure::Reply { code: WRONG_CREDENTIALS, .. }) => {
                    token.forget(&secret).await;
                    if is_new {
                        return Err(refused);
                    }
                }
                ended => return ended,
            }
        }
    }

    /// What to say of a relay that offers no login for what there is to show.
    fn nothing_fits(&self, wire: &Wire) -> String {
        let offers = &wire.offers;
        if !offers.extended {
            return "the relay knows HELO alone, and no login".to_owned();
        }
        if offers.logins.is_empty() {
            let before = if offers.starttls && !wire.is_encrypted() { " before STARTTLS (?tls=required)" } else { "" };
            return format!("the relay offers no login{before}");
        }
        let offered = offers.logins.join(" ");
        match &self.proof {
            Proof::Token(_) => format!("the relay offers no XOAUTH2, but {offered}"),
            Proof::Password(_) if offers.has_login("XOAUTH2") => format!(
                "the relay offers neither PLAIN nor LOGIN, but {offered}; XOAUTH2 takes oauth_token_file or \
                 oauth_token_command"
            ),
            Proof::Password(_) => format!("the relay offers neither PLAIN nor LOGIN, but {offered}"),
        }
    }
}

fn apart() -> Unusable {
    Unusable::new("username and password (or a token) belong together: one of them is missing")
}

/// Gives `answers`, one after each challenge; the first with the command if it may stand there and fits. A challenge beyond
/// them is answered with an empty line: XOAUTH2 relays give the reason of a refusal as one, and the refusal after it.
async fn exchange(wire: &mut Wire, mechanism: &str, at_once: bool, answers: &[&str]) -> Result<(), Failure> {
    let mut answers: VecDeque<String> = answers.iter().map(|answer| STANDARD.encode(answer)).collect();
    let mut line = format!("AUTH {mechanism}");
    let fits = answers.front().is_some_and(|answer| line.len() + answer.len() + " \r\n".len() <= MAX_COMMAND_BYTES);
    if let Some(answer) = (at_once && fits).then(|| answers.pop_front()).flatten() {
        line = format!("{line} {answer}");
    }
    for _ in 0..=MOST_CHALLENGES {
        wire.say(format!("{line}\r\n").as_bytes()).await?;
        let reply = wire.hear().await?;
        if reply.code != 334 {
            return reply.expect(235).map(drop);
        }
        line = answers.pop_front().unwrap_or_default();
    }
    Err(Failure::Cut("the relay asks again and again".to_owned()))
}
