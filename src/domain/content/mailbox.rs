//! A name and an address, as people write them: who a mail is from, and where answers go.

use lettre::Address;
use lettre::message::Mailbox;

use crate::domain::people::email::domain_to_ascii;

/// Reads `Shop <shop@example.com>` or `shop@example.com`. The name needs no quotes, whatever stands in it: it is quoted or
/// encoded on the wire. In quotes it is read as RFC 5322 has it.
///
/// # Errors
/// One line: what is allowed.
pub fn parse_mailbox(text: &str) -> Result<Mailbox, String> {
    let refused = |why: &str| Err(format!("{text:?} is no address such as Shop <shop@example.com>{why}"));
    if text.contains(char::is_control) {
        return refused(": it holds control characters");
    }
    let text = text.trim();
    let Some((name, address)) = text.strip_suffix('>').and_then(|inner| inner.rsplit_once('<')) else {
        return text.parse().map_or_else(|_invalid| refused(""), |address| Ok(Mailbox::new(None, in_ascii(address))));
    };
    let Ok(address) = address.trim().parse().map(in_ascii) else {
        return refused(": what stands between < and > is no address");
    };
    let name = name.trim();
    if name.is_empty() {
        return Ok(Mailbox::new(None, address));
    }
    if !name.contains(['"', '<', '>', '@']) {
        return Ok(Mailbox::new(Some(name.to_owned()), address));
    }
    let quoted = name.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
    match quoted.and_then(unescape) {
        Some(name) => Ok(Mailbox::new(Some(name), address)),
        None => refused(": a name with \" < > or @ stands in quotes, and \\ before a quote within; one address only"),
    }
}

/// The address with its domain as the domains of recipients are written, in A-labels (RFC 5891): any relay takes those, without SMTPUTF8.
fn in_ascii(address: Address) -> Address {
    let is_plain = address.domain().is_ascii();
    let ascii = if is_plain { None } else { domain_to_ascii(address.domain()).ok() };
    ascii.and_then(|domain| Address::new(address.user(), domain).ok()).unwrap_or(address)
}

/// The text of a quoted string (RFC 5322 3.2.4); nothing if a quote or a backslash in it stands alone.
fn unescape(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => text.push(characters.next()?),
            plain => text.push(plain),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<(Option<String>, String)> {
        parse_mailbox(text).ok().map(|mailbox| (mailbox.name, mailbox.email.to_string()))
    }

    #[test]
    fn a_senders_name_needs_no_quotes_and_may_have_them() {
        for (text, name) in [
            ("shop@example.com", None),
            (" <shop@example.com> ", None),
            ("Shop <shop@example.com>", Some("Shop")),
            ("Shop<shop@example.com>", Some("Shop")),
            ("Müller, Söhne <shop@example.com>", Some("Müller, Söhne")),
            ("Example Inc. (Sales); all: you < shop@example.com >", Some("Example Inc. (Sales); all: you")),
            ("\"Müller, Söhne\" <shop@example.com>", Some("Müller, Söhne")),
            (r#""The \"best\" shop" <shop@example.com>"#, Some("The \"best\" shop")),
            ("\"a@b\" <shop@example.com>", Some("a@b")),
        ] {
            let expected = Some((name.map(str::to_owned), "shop@example.com".to_owned()));
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_domain_in_another_script_becomes_ascii() {
        for text in ["Shop <shop@exämple.de>", "Shop <shop@EXÄMPLE.de>"] {
            assert_eq!(parsed(text), Some((Some("Shop".to_owned()), "shop@xn--exmple-cua.de".to_owned())), "{text}");
        }
        assert_eq!(parsed("shop@localhost"), Some((None, "shop@localhost".to_owned())));
    }

    #[test]
    fn what_is_no_sender_or_more_than_one_is_refused() {
        for text in [
            "",
            "Shop",
            "Shop <>",
            "Shop <shop>",
            "Shop shop@example.com",
            "<shop@example.com",
            "one@example.com, two@example.com",
            "one@example.com, Two <two@example.com>",
            "One <one@example.com>, Two <two@example.com>",
            "The \"best\" shop <shop@example.com>",
            "\"half <shop@example.com>",
            "\"two\" \"parts\" <shop@example.com>",
            "Shop\r\nBcc: x <shop@example.com>",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_in_quotes_is_read_back_whatever_it_is(name in "[^\\x00-\\x1f\\x7f-\\u{9f}]{0,30}") {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let found = parsed(&format!("\"{quoted}\" <shop@example.com>"));
            prop_assert_eq!(found, Some((Some(name), "shop@example.com".to_owned())));
        }

        #[test]
        fn no_text_is_too_odd_to_look_at(text: String) {
            let _ = parse_mailbox(&text);
        }
    }
}
