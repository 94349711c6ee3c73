//! What a relay says it can do.

use crate::channels::smtp::reply::Reply;

/// The extensions that matter here, as the latest reply to `EHLO` names them. None where the relay knows only `HELO`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::channels::smtp) struct Offers {
    /// The relay knows extensions at all.
    pub(in crate::channels::smtp) extended: bool,
    pub(in crate::channels::smtp) starttls: bool,
    /// RFC 2920.
    pub(in crate::channels::smtp) pipelining: bool,
    /// RFC 6531.
    pub(in crate::channels::smtp) smtputf8: bool,
    /// RFC 1870: the largest message in bytes; 0 is a relay that names no limit.
    pub(in crate::channels::smtp) size: Option<u64>,
    /// RFC 4954: the names of login mechanisms, as the relay spells them.
    pub(in crate::channels::smtp) logins: Vec<String>,
}

impl Offers {
    /// Reads the reply to `EHLO`, whose first line is a greeting.
    pub(in crate::channels::smtp) fn of(reply: &Reply) -> Self {
        let mut offers = Self { extended: true, ..Self::default() };
        for line in reply.text.lines().skip(1) {
            // Before RFC 2554, `AUTH=LOGIN PLAIN`. Some relays say both; nobody means `=` otherwise.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "STARTTLS" => offers.starttls = true,
                "PIPELINING" => offers.pipelining = true,
                "SMTPUTF8" => offers.smtputf8 = true,
                "SIZE" => offers.size = Some(words.next().and_then(|size| size.parse().ok()).unwrap_or_default()),
                "AUTH" => words.for_each(|name| offers.add_login(name)),
                _ => {}
            }
        }
        offers
    }

    /// Whether a login mechanism is offered.
    pub(in crate::channels::smtp) fn has_login(&self, name: &str) -> bool {
        self.logins.iter().any(|offered| offered.eq_ignore_ascii_case(name))
    }

    fn add_login(&mut self, name: &str) {
        if !self.has_login(name) {
            self.logins.push(name.to_owned());
        }
    }

    /// Whether the relay takes a message of `size` bytes, as far as it has said.
    ///
    /// # Errors
    /// The largest message that it takes.
    pub(in crate::channels::smtp) fn admit(&self, size: u64) -> Result<(), u64> {
        match self.size {
            Some(most) if most > 0 && size > most => Err(most),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offers(text: &str) -> Offers {
        Offers::of(&Reply { code: 250, text: text.to_owned() })
    }

    #[test]
    fn offers_are_read_whatever_their_case_and_the_greeting_is_none() {
        let all = offers("relay.test\nstarttls\nPipelining\nSIZE 1000\nSMTPUTF8\nAUTH CRAM-MD5 login PLAIN");
        let expected = Offers {
            extended: true,
            starttls: true,
            pipelining: true,
            smtputf8: true,
            size: Some(1000),
            logins: ["CRAM-MD5", "login", "PLAIN"].map(str::to_owned).to_vec(),
        };
        assert_eq!(all, expected);
        assert_eq!(offers("PIPELINING\n8BITMIME"), Offers { extended: true, ..Offers::default() });
    }

    #[test]
    fn logins_are_read_in_the_old_spelling_too_and_named_once() {
        for text in ["x\nAUTH=LOGIN PLAIN", "x\nAUTH=LOGIN PLAIN\nAUTH LOGIN PLAIN", "x\nAUTH LOGIN\nauth=plain PLAIN"]
        {
            let found = offers(text).logins;
            assert_eq!(found.join(" ").to_ascii_uppercase(), "LOGIN PLAIN", "{text}");
        }
        assert_eq!(offers("x\nAUTH=").logins, Vec::<String>::new());
    }

    #[test]
    fn a_size_counts_only_where_it_is_a_limit() {
        for (text, size, most) in [
            ("x\nSIZE 2000", 2001, Err(2000)),
            ("x\nSIZE 2000", 2000, Ok(())),
            ("x\nSIZE=2000", 2001, Err(2000)),
            ("x\nSIZE 0", 2001, Ok(())),
            ("x\nSIZE", 2001, Ok(())),
            ("x\nSIZE many", 2001, Ok(())),
            ("x\nSIZE 99999999999999999999999", 2001, Ok(())),
            ("x", 2001, Ok(())),
        ] {
            assert_eq!(offers(text).admit(size), most, "{text}");
            assert_eq!(offers(text).size.is_some(), text != "x", "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_reply_is_too_odd_to_look_at(text: String) {
            offers(&text);
        }

        #[test]
        fn every_login_that_is_offered_is_found(names in prop::collection::vec("[A-Z0-9-]{1,20}", 1..6), old: bool) {
            let line = format!("x\nAUTH{}{}", if old { "=" } else { " " }, names.join(" "));
            let found = offers(&line).logins;
            prop_assert!(names.iter().all(|name| found.contains(name)), "{:?}", found);
        }
    }
}
