//! The line to a relay: commands go out whole, replies come in whole. Nothing here waits with a limit; callers do.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::reply::{Failure, Reply};
use crate::channels::socket::Socket;
use crate::channels::tls::Tls;

/// The longest reply that is read, over all its lines.
const MAX_REPLY_BYTES: usize = 64 * 1024;

/// How much is asked of the socket at once: more than any reply but that to `EHLO` ever needs.
const READ_BYTES: usize = 1024;

/// A connection to a relay.
pub(super) struct Wire {
    socket: Socket,
    /// What came and was not yet heard.
    unheard: Vec<u8>,
    /// What the relay said it can do.
    pub(super) offers: Offers,
}

/// The extensions that matter here, as the latest reply to `EHLO` names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub(super) starttls: bool,
    /// RFC 2920.
    pub(super) pipelining: bool,
    /// RFC 6531.
    pub(super) smtputf8: bool,
    pub(super) auth_plain: bool,
    pub(super) auth_login: bool,
}

impl Wire {
    /// Over a fresh connection. The relay speaks first.
    pub(super) fn over(socket: Socket) -> Self {
        Self { socket, unheard: Vec::new(), offers: Offers::default() }
    }

    /// Whether the relay, when nothing was asked of it, neither hung up nor spoke: an unasked word is a 421.
    pub(super) async fn is_quiet(&mut self) -> bool {
        self.unheard.is_empty() && self.socket.is_quiet().await
    }

    /// Sends `words` in one piece.
    pub(super) async fn say(&mut self, words: &[u8]) -> Result<(), Failure> {
        self.socket.write_all(words).await?;
        Ok(self.socket.flush().await?)
    }

    /// The next reply, whatever its code.
    pub(super) async fn hear(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Some((reply, length)) = Reply::parse(&self.unheard)? {
                self.unheard.drain(..length);
                return Ok(reply);
            }
            if self.unheard.len() > MAX_REPLY_BYTES {
                return Err(Failure::Cut("a reply without end".to_owned()));
            }
            self.unheard.reserve(READ_BYTES);
            if self.socket.read_buf(&mut self.unheard).await? == 0 {
                return Err(Failure::Cut("the relay hung up".to_owned()));
            }
        }
    }

    /// Introduces ourselves and notes what the relay offers.
    pub(super) async fn hello(&mut self, ehlo: &str) -> Result<(), Failure> {
        self.say(ehlo.as_bytes()).await?;
        self.offers = Offers::of(&self.hear().await?.expect(250)?);
        Ok(())
    }

    /// Encrypts the connection (RFC 3207) and introduces ourselves again: what was offered in the clear is forgotten.
    pub(super) async fn start_tls(mut self, tls: &Tls, ehlo: &str) -> Result<Self, Failure> {
        self.say(b"STARTTLS\r\n").await?;
        self.hear().await?.expect(220)?;
        let Socket::Plain(tcp) = self.socket else { return Err(Failure::Cut("encrypted already".to_owned())) };
        // Said in the clear before the handshake, perhaps by somebody in between: not to be taken for an answer inside.
        if !self.unheard.is_empty() {
            return Err(Failure::Cut("more was said than the answer".to_owned()));
        }
        let mut encrypted = Self::over(tls.shake_hands(tcp).await?);
        encrypted.hello(ehlo).await?;
        Ok(encrypted)
    }
}

impl Offers {
    fn of(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.text.lines().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "STARTTLS" => offers.starttls = true,
                "PIPELINING" => offers.pipelining = true,
                "SMTPUTF8" => offers.smtputf8 = true,
                "AUTH" => {
                    for mechanism in words {
                        offers.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        offers.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_whatever_their_case_and_the_greeting_is_none() {
        let offers = |text: &str| Offers::of(&Reply { code: 250, text: text.to_owned() });
        let all = offers("relay.test\nstarttls\nPipelining\nSIZE 1000\nSMTPUTF8\nAUTH CRAM-MD5 login PLAIN");
        let expected = Offers { starttls: true, pipelining: true, smtputf8: true, auth_plain: true, auth_login: true };
        assert_eq!(all, expected);
        assert_eq!(offers("PIPELINING\nAUTH=LOGIN\n8BITMIME"), Offers::default());
    }
}
