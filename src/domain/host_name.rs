//! Names of hosts, as the domain name system and SMTP spell them.

/// Whether `name` can be a domain name: labels of letters, digits and inner hyphens, at most 63 bytes each and 253 in all
/// (RFC 1035 2.3.1, RFC 1123 2.1; the last label holds a letter, RFC 3696 2, so that no address passes as a name). One
/// label is enough; a final dot is not part of it (RFC 5321 2.3.5).
#[must_use]
pub fn is_domain_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let has_letter = |label: &str| label.bytes().any(|byte| byte.is_ascii_alphabetic());
    name.len() <= 253 && name.split('.').all(is_label) && name.rsplit('.').next().is_some_and(has_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_names_are_told_from_what_is_none() {
        for name in ["mail.example.com", "localhost", "a", "xn--mller-kva.example", "3com.example", "a-b.c1"] {
            assert!(is_domain_name(name), "{name}");
        }
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = vec!["a"; 128].join(".");
        for name in [
            "",
            ".",
            "a..b",
            ".example.com",
            "example.com.",
            "-a.example",
            "a-.example",
            "a_b.example",
            "a b",
            "müller.example",
            "[127.0.0.1]",
            "127.0.0.1",
            "example.com\r\nRSET",
            &long_label,
            &long_name,
        ] {
            assert!(!is_domain_name(name), "{name:?}");
        }
    }
}
