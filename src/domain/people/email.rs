//! E-mail addresses: one bare address, trimmed and lower-cased, its domain in ASCII.

use super::spelling::trim;

/// The longest part before the `@`, in bytes (RFC 5321 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// The longest address, in bytes (RFC 5321 4.5.3.1.3, less the angle brackets of a path).
const MAX_ADDRESS: usize = 254;
/// The longest label of a domain, in bytes (RFC 1035 2.3.4).
const MAX_LABEL: usize = 63;

/// Why a text is not an address that Volley can write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// A control character or a line break.
    #[error("has a control character or a line break")]
    Control,
    /// `"Ann" <ann@example.com>`, or a quoted local part.
    #[error("must be a bare address, without a name, quotes or angle brackets")]
    NotBare,
    /// More than one address.
    #[error("must be one address, not several")]
    Several,
    /// White space within the address.
    #[error("has a space in it")]
    Space,
    /// No `@`.
    #[error("has no @")]
    NoAt,
    /// Nothing before the `@`.
    #[error("has nothing before the @")]
    NoLocal,
    /// Letters that only SMTPUTF8 (RFC 6531) servers take.
    #[error("has letters outside ASCII before the @, which few mail servers accept")]
    LocalNotAscii,
    /// The part before the `@` is not a dot-atom (RFC 5321 4.1.2).
    #[error("has a character or a dot before the @ that is not allowed there")]
    Local,
    /// More than 64 bytes before the `@`.
    #[error("has more than 64 characters before the @")]
    LocalTooLong,
    /// More than 254 bytes in all.
    #[error("has more than 254 characters")]
    TooLong,
    /// `ann@[192.0.2.1]` or `ann@192.0.2.1`.
    #[error("names a machine by number, not a domain")]
    AddressLiteral,
    /// `ann@localhost`, or nothing after the `@`.
    #[error("needs a domain with a dot after the @")]
    NoDot,
    /// An empty label, a hyphen at a label's end, a character that no domain has.
    #[error("has a domain that cannot exist: check its dots, hyphens and letters")]
    Domain,
}

impl EmailError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::LocalTooLong | Self::TooLong => "email_too_long",
            Self::LocalNotAscii => "email_unsupported",
            Self::Empty
            | Self::Control
            | Self::NotBare
            | Self::Several
            | Self::Space
            | Self::NoAt
            | Self::NoLocal
            | Self::Local
            | Self::AddressLiteral
            | Self::NoDot
            | Self::Domain => "email_invalid",
        }
    }
}

/// Reads one bare address. The whole of it is lower-cased: no server in use tells `Ann@` from `ann@`, and taking them
/// for two people would mail one of them twice. A domain in other scripts is turned into its A-labels (RFC 5891).
///
/// # Errors
/// [`EmailError`], which says what to change.
pub fn parse(raw: &str) -> Result<String, EmailError> {
    let text = trim(raw);
    if text.is_empty() {
        return Err(EmailError::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(EmailError::Control);
    }
    if text.contains(['<', '>', '"']) {
        return Err(EmailError::NotBare);
    }
    let (local, domain) = text.rsplit_once('@').ok_or(EmailError::NoAt)?;
    if text.contains([',', ';']) || local.contains('@') {
        return Err(EmailError::Several);
    }
    if text.contains(char::is_whitespace) {
        return Err(EmailError::Space);
    }
    check_local(local)?;
    let domain = domain_to_ascii(domain)?;
    let address = format!("{}@{domain}", local.to_ascii_lowercase());
    if address.len() > MAX_ADDRESS {
        return Err(EmailError::TooLong);
    }
    Ok(address)
}

/// The local part is a dot-atom. Quoted local parts are legal and extinct; they were refused with the quotes.
fn check_local(local: &str) -> Result<(), EmailError> {
    if local.is_empty() {
        return Err(EmailError::NoLocal);
    }
    if !local.is_ascii() {
        return Err(EmailError::LocalNotAscii);
    }
    if local.len() > MAX_LOCAL {
        return Err(EmailError::LocalTooLong);
    }
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    if local.split('.').all(is_atom) { Ok(()) } else { Err(EmailError::Local) }
}

/// A domain in its A-labels, in lower case.
///
/// # Errors
/// It is none that exists.
pub(in crate::domain) fn domain_to_ascii(domain: &str) -> Result<String, EmailError> {
    if domain.starts_with('[') {
        return Err(EmailError::AddressLiteral);
    }
    let ascii = if domain.is_ascii() {
        domain.to_ascii_lowercase()
    } else {
        // The URL parser also decodes percent signs and reads numbers as machines, so those must not reach it.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.') || !c.is_ascii();
        if !domain.chars().all(is_name) {
            return Err(EmailError::Domain);
        }
        match url::Host::parse(domain) {
            Ok(url::Host::Domain(ascii)) => ascii,
            Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => return Err(EmailError::AddressLiteral),
            Err(_) => return Err(EmailError::Domain),
        }
    };
    if ascii.len() > MAX_ADDRESS {
        return Err(EmailError::TooLong);
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let Some((_, top)) = ascii.rsplit_once('.') else { return Err(EmailError::NoDot) };
    if !ascii.split('.').all(is_label) {
        return Err(EmailError::Domain);
    }
    if top.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EmailError::AddressLiteral);
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_bare_address_is_trimmed_and_lower_cased() {
        for (raw, expected) in [
            (" A@X.com\t", "a@x.com"),
            ("\u{feff}Ann.O'Hara+news@Example.ORG", "ann.o'hara+news@example.org"),
            ("a@exämple.de", "a@xn--exmple-cua.de"),
            ("a@EXÄMPLE.de", "a@xn--exmple-cua.de"),
            ("a@xn--exmple-cua.de", "a@xn--exmple-cua.de"),
            ("x_y-z@a-b.c-d.io", "x_y-z@a-b.c-d.io"),
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_is_not_one_bare_address_is_refused_with_the_reason() {
        use EmailError as E;
        for (raw, expected) in [
            (" ", E::Empty),
            ("ann", E::NoAt),
            ("a@", E::NoDot),
            ("@b", E::NoLocal),
            ("a b@c.d", E::Space),
            ("a@b c.d", E::Space),
            ("a@b..c", E::Domain),
            ("a@b.c.", E::Domain),
            ("a@.b.c", E::Domain),
            ("a@-b.c", E::Domain),
            ("a@b-.c", E::Domain),
            ("a@b_c.d", E::Domain),
            ("a@ü%2e.de", E::Domain),
            (".a@b.c", E::Local),
            ("a.@b.c", E::Local),
            ("a..b@b.c", E::Local),
            ("a:b@b.c", E::Local),
            ("a@localhost", E::NoDot),
            ("a@[192.0.2.1]", E::AddressLiteral),
            ("a@192.0.2.1", E::AddressLiteral),
            ("a@１９２.0.2.1", E::AddressLiteral),
            ("\"Ann\" <ann@x.yz>", E::NotBare),
            ("Ann <ann@x.yz>", E::NotBare),
            ("\"a b\"@x.yz", E::NotBare),
            ("ann@x.yz,bob@x.yz", E::Several),
            ("ann@x.yz; bob@x.yz", E::Several),
            ("ann@x.yz bob@x.yz", E::Several),
            ("ann@@x.yz", E::Several),
            ("ann@x.yz\r\nBcc: bob@x.yz", E::Control),
            ("a\0b@x.yz", E::Control),
            ("ü@exämple.de", E::LocalNotAscii),
        ] {
            assert_eq!(parse(raw), Err(expected), "{raw}");
        }
    }

    #[test]
    fn lengths_are_those_of_smtp() {
        assert!(parse(&format!("{}@example.com", "a".repeat(64))).is_ok());
        assert_eq!(parse(&format!("{}@example.com", "a".repeat(65))), Err(EmailError::LocalTooLong));
        let domain = |labels: usize| "b23456789.".repeat(labels) + "example.com";
        assert_eq!(parse(&format!("{}@{}", "a".repeat(2), domain(24))).map(|a| a.len()), Ok(254));
        assert_eq!(parse(&format!("{}@{}", "a".repeat(3), domain(24))), Err(EmailError::TooLong));
        assert_eq!(parse(&format!("a@{}.com", "b".repeat(64))), Err(EmailError::Domain));
        assert_eq!(parse(&format!("a@{}", "b.".repeat(300))), Err(EmailError::TooLong));
        assert_eq!(EmailError::TooLong.code(), "email_too_long");
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(raw in "\\PC{1,12}@\\PC{1,12}\\.[a-zA-Zäøж]{2,4}") {
            if let Ok(address) = parse(&raw) {
                prop_assert_eq!(parse(&address), Ok(address.clone()));
            }
        }

        #[test]
        fn no_text_breaks_the_parser(raw in any::<String>()) {
            let _ = parse(&raw);
        }

        #[test]
        fn what_is_accepted_is_an_address_to_the_mail_library_too(raw in "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,20}@[a-z0-9.-]{1,20}") {
            if let Ok(address) = parse(&raw) {
                prop_assert!(address.parse::<lettre::Address>().is_ok(), "{}", address);
            }
        }
    }
}
