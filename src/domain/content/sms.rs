//! How long a text message is: in parts, as networks carry and charge it.

use serde::Serialize;

/// The characters of GSM 03.38 that take one place.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                     abcdefghijklmnopqrstuvwxyzäöñüà";

/// Those that take two.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// The alphabet in which a text message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmsAlphabet {
    /// GSM 03.38: 160 places in one part, 153 in each of several.
    Gsm7,
    /// UTF-16: 70 places in one part, 67 in each of several. One character outside of GSM 03.38 is enough.
    Ucs2,
}

/// The length of a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SmsLength {
    /// The alphabet that it needs.
    pub alphabet: SmsAlphabet,
    /// Places in that alphabet; some characters take two.
    pub places: usize,
    /// Parts that it is sent in; 0 of an empty text.
    pub parts: usize,
}

impl SmsLength {
    /// The length of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text.chars().map(gsm_places).sum::<Option<usize>>() {
            Some(places) => {
                let widths = text.chars().filter_map(gsm_places);
                Self { alphabet: SmsAlphabet::Gsm7, places, parts: parts(places, widths, 160, 153) }
            }
            None => {
                let (places, widths) = (text.encode_utf16().count(), text.chars().map(char::len_utf16));
                Self { alphabet: SmsAlphabet::Ucs2, places, parts: parts(places, widths, 70, 67) }
            }
        }
    }
}

fn gsm_places(character: char) -> Option<usize> {
    if BASIC.contains(character) { Some(1) } else { EXTENDED.contains(character).then_some(2) }
}

/// Parts of a text whose characters take so many places. One that takes two is never divided between two parts.
fn parts(places: usize, widths: impl Iterator<Item = usize>, alone: usize, of_several: usize) -> usize {
    if places <= alone {
        return usize::from(places > 0);
    }
    let fill = |(parts, filled): (usize, usize), width: usize| match filled + width {
        filled if filled <= of_several => (parts, filled),
        _ => (parts + 1, width),
    };
    widths.fold((1, 0), fill).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_as_networks_cut_it() {
        let seen = |text: &str| {
            let SmsLength { alphabet, places, parts } = SmsLength::of(text);
            (alphabet, places, parts)
        };
        assert_eq!(seen(""), (SmsAlphabet::Gsm7, 0, 0));
        assert_eq!(seen(&"a".repeat(160)), (SmsAlphabet::Gsm7, 160, 1));
        assert_eq!(seen(&"a".repeat(161)), (SmsAlphabet::Gsm7, 161, 2));
        assert_eq!(seen(&"ä".repeat(307)), (SmsAlphabet::Gsm7, 307, 3));
        assert_eq!(
            seen(&format!("{}€{}", "a".repeat(152), "a".repeat(152))),
            (SmsAlphabet::Gsm7, 306, 3),
            "€ is not divided"
        );
        assert_eq!(seen(&format!("{}👋{}", "ж".repeat(66), "ж".repeat(66))), (SmsAlphabet::Ucs2, 134, 3), "nor is 👋");
        assert_eq!(seen("5 €"), (SmsAlphabet::Gsm7, 4, 1));
        assert_eq!(seen(&"ж".repeat(70)), (SmsAlphabet::Ucs2, 70, 1));
        assert_eq!(seen(&"ж".repeat(71)), (SmsAlphabet::Ucs2, 71, 2));
        assert_eq!(seen("Hi 👋"), (SmsAlphabet::Ucs2, 5, 1));
    }
}
