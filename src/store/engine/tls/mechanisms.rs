//! The server's first answer. Over TLS it offers SCRAM with channel binding (SCRAM-SHA-256-PLUS) beside SCRAM without. libpq, which sees
//! no TLS, takes that offer for an attack and gives up; so it is taken out of the list. The server knows that the client did not
//! ask for channel binding, and accepts that.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::refusal::UNREACHABLE;

/// The longest message that is looked into. A list of mechanisms has less than a hundred bytes.
const LONGEST: u32 = 1024;

const AUTHENTICATION: [u8; 1] = *b"R";
/// The server refuses.
const ERROR: [u8; 1] = *b"E";
/// Comes before the authentication, when the server speaks an older version of the protocol than libpq.
const NEGOTIATE_VERSION: [u8; 1] = *b"v";
/// What an authentication message begins with when it lists mechanisms.
const SASL: [u8; 4] = [0, 0, 0, 10];
const WITH_BINDING: &[u8] = b"SCRAM-SHA-256-PLUS";

/// Reads up to the first message about the authentication, and answers what libpq is to get of it. Everything else is left as it is.
///
/// # Errors
/// The connection broke before the server's first byte.
pub(super) async fn first_answer(server: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut kind = [0];
    let mut length = server.read(&mut kind).await?;
    while length == 1 {
        let is_second = !answer.is_empty();
        answer.extend_from_slice(&kind);
        if !(kind == AUTHENTICATION || !is_second && (kind == NEGOTIATE_VERSION || kind == ERROR)) {
            break;
        }
        let Ok(size) = server.read_u32().await else { break };
        let whole = size.to_be_bytes();
        let Some(size) =
            size.checked_sub(4).filter(|size| *size <= LONGEST).and_then(|size| usize::try_from(size).ok())
        else {
            answer.extend_from_slice(&whole);
            break;
        };
        let mut body = vec![0; size];
        if server.read_exact(&mut body).await.is_err() {
            break;
        }
        if kind == AUTHENTICATION {
            let body = without_binding(body);
            answer.extend_from_slice(&u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
            answer.extend_from_slice(&body);
            break;
        }
        if kind == ERROR {
            let body = as_unreachable(body);
            answer.extend_from_slice(&u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
            answer.extend_from_slice(&body);
            break;
        }
        answer.extend_from_slice(&whole);
        answer.extend_from_slice(&body);
        length = server.read(&mut kind).await.unwrap_or(0);
    }
    Ok(answer)
}

/// The fields of an error. One that says that the server takes no connections yet (57P03) begins with the words by which such a server
/// is known here: in whatever language the server speaks.
fn as_unreachable(body: Vec<u8>) -> Vec<u8> {
    let fields: Vec<&[u8]> = body.split(|byte| *byte == 0).take_while(|field| !field.is_empty()).collect();
    if !fields.contains(&b"C57P03".as_slice()) {
        return body;
    }
    let mut all = Vec::with_capacity(body.len() + UNREACHABLE.len());
    for field in fields {
        match field.strip_prefix(b"M") {
            None => all.extend_from_slice(field),
            Some(words) => {
                all.extend_from_slice(format!("M{UNREACHABLE}: ").as_bytes());
                all.extend_from_slice(words);
            }
        }
        all.push(0);
    }
    all.push(0);
    all
}

/// The body of an authentication message, without the mechanism that libpq cannot have.
fn without_binding(body: Vec<u8>) -> Vec<u8> {
    let Some(names) = body.strip_prefix(&SASL) else { return body };
    let names = names.split(|byte| *byte == 0).take_while(|name| !name.is_empty());
    let mut kept = SASL.to_vec();
    for name in names.filter(|name| *name != WITH_BINDING) {
        kept.extend_from_slice(name);
        kept.push(0);
    }
    kept.push(0);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        message.extend_from_slice(body);
        message
    }

    #[tokio::test]
    async fn only_the_offer_of_channel_binding_is_taken_out() {
        let both = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        let one = b"\0\0\0\x0aSCRAM-SHA-256\0\0";
        let version = message(b'v', b"\0\x03\0\0\0\0\0\0");
        for (sent, expected) in [
            (message(b'R', both), message(b'R', one)),
            (message(b'R', one), message(b'R', one)),
            (message(b'R', &[0; 4]), message(b'R', &[0; 4])),
            ([version.clone(), message(b'R', both)].concat(), [version.clone(), message(b'R', one)].concat()),
            (Vec::new(), Vec::new()),
        ] {
            assert_eq!(first_answer(&mut sent.as_slice()).await.unwrap(), expected);
        }
        // One such message is the most that libpq takes.
        let endless = [version.clone(), version.clone(), version.clone()].concat();
        assert!(first_answer(&mut endless.as_slice()).await.unwrap().len() <= version.len() + 1);
        let starting = message(b'E', b"SFATAL\0C57P03\0Mis starting up\0\0");
        let told = message(b'E', b"SFATAL\0C57P03\0Mcannot be reached: is starting up\0\0");
        assert_eq!(first_answer(&mut starting.as_slice()).await.unwrap(), told);
        // Any other error stays what it is.
        let error = message(b'E', b"SFATAL\0\0");
        let mut rest = error.as_slice();
        let mut all = first_answer(&mut rest).await.unwrap();
        all.extend_from_slice(rest);
        assert_eq!(all, error);
    }
}
