//! Frees a provider's words of personal data before they are stored as the detail of a trouble.

/// Digits from which on a bare number is taken for a telephone number.
const PHONE_DIGITS: usize = 7;

/// `text` on one line, without `to`, without its local part, and without anything that looks like an e-mail address or
/// a telephone number. Status codes, queue ids and host names stay.
pub(super) fn redact(text: &str, to: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let in_word = is_word(first);
        let end = rest.find(|c| is_word(c) != in_word).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        if in_word {
            clean.push_str(if is_personal(run, to) { "[redacted]" } else { run });
        } else {
            clean.extend(run.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
        rest = tail;
    }
    clean
}

/// Whether `c` may stand in an address (RFC 5322 atext, the dot and the at sign) or in a number.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "@.!#$%&'*+/=?^_`{|}~-".contains(c)
}

fn is_personal(word: &str, to: &str) -> bool {
    if word.contains('@') || word.contains("%40") {
        return true;
    }
    let word = word.trim_matches(|c: char| ".'`!?".contains(c));
    let local_part = to.rsplit_once('@').map_or(to, |(local, _)| local);
    if !word.is_empty() && (word.eq_ignore_ascii_case(to) || word.eq_ignore_ascii_case(local_part)) {
        return true;
    }
    let digits = word.strip_prefix('+').unwrap_or(word);
    digits.len() >= PHONE_DIGITS && digits.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_go_and_codes_stay() {
        for (text, clean) in [
            ("5.1.1 <Bob@Example.com>: no such user", "5.1.1 <[redacted]>: no such user"),
            ("user bob unknown, see other.one@x.example.", "user [redacted] unknown, see [redacted]"),
            ("4.7.1 greylisted 127.0.0.1, id 4XyZ12345Q", "4.7.1 greylisted 127.0.0.1, id 4XyZ12345Q"),
            ("number +49301234567 is not on file", "number [redacted] is not on file"),
            ("mailto:bob%40example.com", "mailto:[redacted]"),
            ("one\r\ntwo", "one  two"),
        ] {
            assert_eq!(redact(text, "bob@example.com"), clean);
        }
    }
}
