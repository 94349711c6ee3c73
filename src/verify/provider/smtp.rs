//! The scripted server of SMTP (RFC 5321), with pipelining (RFC 2920) where its answer to `EHLO` offers it.

use std::time::Instant;

use super::act::{Message, Stage, Words};
use super::wire::{About, Wire};

/// The sender's address of an instance: by it the relay knows who speaks.
pub(in crate::verify) fn sender_of(instance: usize) -> String {
    format!("instance-{instance}@example.com")
}

fn lines(text: &str) -> Words {
    Words::Lines(text.as_bytes().to_vec())
}

/// Takes mail until either side has had enough.
pub(super) async fn talk(wire: &mut Wire<'_>) -> Option<()> {
    wire.turn(Stage::Greeting, About::default(), &lines("220 scripted ESMTP")).await?;
    let mut bytes = Vec::new();
    let (mut message, mut named, mut busy) = (Message::default(), false, None);
    loop {
        wire.line(&mut bytes).await?;
        let line = String::from_utf8_lossy(&bytes).into_owned();
        wire.witness().heard(wire.connection, &line);
        let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let about = About { line: &line, ..About::default() };
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                let usual = lines("250-scripted\n250-8BITMIME\n250-AUTH PLAIN\n250 ENHANCEDSTATUSCODES");
                wire.turn(Stage::Ehlo, about, &usual).await?;
            }
            "HELO" => drop(wire.turn(Stage::Helo, about, &lines("250 scripted")).await?),
            "AUTH" => authenticate(wire, &line).await?,
            "MAIL" => {
                busy = Some(wire.busy());
                wire.witness().begun(Instant::now(), between_angles(argument));
                named = false;
                message = Message { from: argument.to_owned(), ..Message::default() };
                wire.turn(Stage::Mail, about, &lines("250 2.1.0 ok")).await?;
            }
            "RCPT" => {
                argument.clone_into(&mut message.to);
                between_angles(argument).clone_into(&mut message.recipient);
                let about = About { sender: between_angles(&message.from), recipient: &message.recipient, ..about };
                named |= wire.turn(Stage::Rcpt, about, &lines("250 2.1.5 ok")).await?.yes;
                if !named {
                    drop(busy.take());
                }
            }
            "DATA" => {
                let usual = lines(if named { "354 go on" } else { "503 5.5.1 no recipients" });
                let about = About { sender: between_angles(&message.from), recipient: &message.recipient, ..about };
                if wire.turn(Stage::Data, about, &usual).await?.yes {
                    let waits = wire.unanswered();
                    message.content = content(wire, about).await?;
                    let sender = between_angles(&message.from);
                    let about = About { sender, recipient: &message.recipient, message: Some(&message), ..about };
                    // A yes to the final dot without recipients is for nobody.
                    let about = if named { about } else { About { message: None, ..about } };
                    wire.turn(Stage::Final, about, &lines("250 2.0.0 Ok: queued as 4XyZ")).await?;
                    waits.answered();
                    (message, named) = (Message::default(), false);
                    drop(busy.take());
                }
            }
            "RSET" => {
                (message, named) = (Message::default(), false);
                drop(busy.take());
                wire.turn(Stage::Rset, about, &lines("250 2.0.0 ok")).await?;
            }
            "NOOP" => drop(wire.turn(Stage::Noop, about, &lines("250 2.0.0 ok")).await?),
            "QUIT" => {
                wire.turn(Stage::Quit, about, &lines("221 2.0.0 bye")).await?;
                return wire.flush().await;
            }
            _ => drop(wire.turn(Stage::Other, about, &lines("500 5.5.2 what?")).await?),
        }
    }
}

/// A login by whichever mechanism: everybody is welcome.
async fn authenticate(wire: &mut Wire<'_>, command: &str) -> Option<()> {
    let mut words = command.split_whitespace().skip(1);
    let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
    let prompts: &[&str] = match (mechanism.as_str(), words.next()) {
        ("LOGIN", None) => &["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
        ("LOGIN", Some(_)) => &["334 UGFzc3dvcmQ6"],
        (_, None) => &["334 "],
        (_, Some(_)) => &[],
    };
    let mut prompts = prompts.iter().copied();
    let (mut line, mut bytes) = (command.to_owned(), Vec::new());
    loop {
        let usual = lines(prompts.next().unwrap_or("235 2.7.0 welcome"));
        if !wire.turn(Stage::Auth, About { line: &line, ..About::default() }, &usual).await?.more {
            return Some(());
        }
        wire.line(&mut bytes).await?;
        line = String::from_utf8_lossy(&bytes).into_owned();
        wire.witness().heard(wire.connection, &line);
    }
}

/// The content up to the final dot, dot-stuffing undone.
async fn content(wire: &mut Wire<'_>, about: About<'_>) -> Option<Vec<u8>> {
    let (mut content, mut line, mut is_first) = (Vec::new(), Vec::new(), true);
    loop {
        wire.line(&mut line).await?;
        if std::mem::take(&mut is_first) {
            wire.maybe(Stage::Content, about).await?;
        }
        if line == b"." {
            return Some(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        content.extend_from_slice(b"\r\n");
    }
}

fn between_angles(text: &str) -> &str {
    let inner = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
    inner.unwrap_or_default()
}
