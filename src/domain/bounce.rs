//! Why a message came back: whether that says something about the address.

use super::people::consent::Reason;

/// What is to blame for a message that came back, or was not sent at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The address does not exist, or takes no mail.
    Address,
    /// The sender, its server or what the message says was refused. That says nothing about the address.
    Blocked,
    /// The provider did not send: the address is on its own list, for this reason.
    Listed(Reason),
    /// Something else, or it is not known.
    Other,
}

impl Cause {
    /// By a status code of RFC 3463, such as `5.1.1`.
    #[must_use]
    pub fn of_status(status: &str) -> Self {
        let mut parts = status.split('.').skip(1);
        match (parts.next(), parts.next(), parts.next()) {
            (Some("1"), Some("1" | "2" | "3" | "6" | "10"), None) => Self::Address,
            (Some("7"), Some(_), None) => Self::Blocked,
            _ => Self::Other,
        }
    }

    /// As events of the contact name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Blocked => "blocked",
            Self::Listed(_) => "listed",
            Self::Other => "other",
        }
    }
}

/// The first status code of RFC 3463 in the text of a server: `550 5.1.1 no such user`. An IP address is none.
#[must_use]
pub fn status_in(text: &str) -> Option<&str> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_matches('.'));
    words.into_iter().find(|word| is_status(word))
}

fn is_status(word: &str) -> bool {
    let mut parts = word.split('.');
    let (class, subject, detail) = (parts.next(), parts.next(), parts.next());
    let is_number =
        |part: Option<&str>| part.is_some_and(|part| (1..=3).contains(&part.len()) && part.parse::<u16>().is_ok());
    // Subjects are 0 to 7: what looks like a version of software is none.
    let is_subject = subject.is_some_and(|subject| matches!(subject.as_bytes(), [b'0'..=b'7']));
    matches!(class, Some("2" | "4" | "5")) && is_subject && is_number(detail) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_about_the_address_blame_it() {
        for status in ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "4.1.1"] {
            assert_eq!(Cause::of_status(status), Cause::Address, "{status}");
        }
        for status in ["5.7.1", "5.7.606", "4.7.0"] {
            assert_eq!(Cause::of_status(status), Cause::Blocked, "{status}");
        }
        for status in ["5.1.8", "5.2.2", "5.1", "5.1.1.1", "5", "", "x.y.z", "5.10.1"] {
            assert_eq!(Cause::of_status(status), Cause::Other, "{status}");
        }
    }

    #[test]
    fn a_status_is_found_in_what_servers_say_and_an_ip_address_is_none() {
        assert_eq!(status_in("smtp; 550 5.1.1 <ann@example.com>: no such user"), Some("5.1.1"));
        assert_eq!(status_in("550-5.7.26 Unauthenticated"), Some("5.7.26"));
        assert_eq!(status_in("#5.1.10."), Some("5.1.10"));
        assert_eq!(status_in("554 connection from 5.1.1.2 refused; 5.7.1"), Some("5.7.1"));
        for text in ["", "550 no", "version 5.10", "Exim 4.94.2", "3.1.1", "5.1.1111", "5..1"] {
            assert_eq!(status_in(text), None, "{text}");
        }
    }
}
