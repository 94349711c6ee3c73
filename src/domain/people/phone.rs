//! Phone numbers: international ones, as E.164.

use phonenumber::metadata::DATABASE;

use super::spelling::trim;

/// Why a text is not a number that Volley can dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Letters, too few or too many digits, or a number that no country has given out.
    #[error("is not a phone number that exists")]
    Invalid,
    /// A national number: nothing says which country's.
    #[error("needs its country code: write +44 20 7946 0000 or 0044 20 7946 0000")]
    RegionNeeded,
    /// `1.23457E+11`: a spreadsheet has rounded the number, its last digits are lost.
    #[error("was damaged by a spreadsheet (1.23E+11): format the column as text and export again")]
    Scientific,
}

impl PhoneError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "phone_invalid",
            Self::RegionNeeded => "phone_region_needed",
            Self::Scientific => "phone_scientific",
        }
    }
}

/// Reads a number written internationally (`+…` or `00…`) with the usual separators, in any script's digits, and
/// returns it as E.164: `+` and at most 15 digits. An extension is refused, a text message cannot reach it.
///
/// # Errors
/// [`PhoneError`], which says what to change.
pub fn parse(raw: &str) -> Result<String, PhoneError> {
    let text = trim(raw);
    if is_scientific(text) {
        return Err(PhoneError::Scientific);
    }
    let text = text.strip_prefix("tel:").unwrap_or(text);
    // `+44 (0)20 …`: the trunk prefix, of use only within the country.
    let text = if text.contains("(0)") { &text.replacen("(0)", "", 1) } else { text };
    let mut digits = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '\u{ff0b}' if digits.is_empty() => digits.push('+'),
            ' '
            | '\u{a0}'
            | '\u{202f}'
            | '\u{3000}'
            | '-'
            | '\u{2010}'..='\u{2015}'
            | '\u{2212}'
            | '.'
            | '('
            | ')'
            | '/' => {}
            // Marks that a copied contact card brings along.
            '\u{200e}' | '\u{202a}' | '\u{202c}' => {}
            c => digits.push(ascii_digit(c).ok_or(PhoneError::Invalid)?),
        }
    }
    let national = digits.trim_start_matches('+');
    let significant = match (digits.strip_prefix('+'), national.strip_prefix("00")) {
        (Some(international), _) | (None, Some(international)) => international,
        (None, None) if (7..=15).contains(&national.len()) => return Err(PhoneError::RegionNeeded),
        (None, None) => return Err(PhoneError::Invalid),
    };
    // E.164 allows 15 digits and no country code begins with 0; what is longer never reaches the parser.
    if !(7..=15).contains(&significant.len()) || significant.starts_with('0') {
        return Err(PhoneError::Invalid);
    }
    if is_landline_or_mobile(significant) {
        return Ok(format!("+{significant}"));
    }
    let number = phonenumber::parse(None, format!("+{significant}"))
        .ok()
        .filter(phonenumber::is_valid)
        .ok_or(PhoneError::Invalid)?;
    Ok(format!("+{}{}", number.code().value(), number.national()))
}

/// Whether country code and national number stand there exactly as the numbering plan has them for landlines or mobiles.
/// Nearly all numbers do. The library's parser takes ten times as long to find the same, and spoils numbers that begin
/// with the digit dialled before them within their country (`+7 811 …`).
fn is_landline_or_mobile(significant: &str) -> bool {
    // No country code is the beginning of another one (ITU-T E.164 6.2.1).
    let split = (1..=3)
        .filter_map(|digits| significant.split_at_checked(digits))
        .find_map(|(code, national)| Some((DATABASE.region(&code.parse::<u16>().ok()?)?, national)));
    let Some((regions, national)) = split else { return false };
    regions.into_iter().filter_map(|region| DATABASE.by_id(region)).any(|plan| {
        [plan.descriptors().fixed_line(), plan.descriptors().mobile()]
            .into_iter()
            .flatten()
            .any(|numbers| numbers.is_match(national))
    })
}

/// `1.23457E+11`, `1,2E11`.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mantissa = mantissa.strip_prefix('+').unwrap_or(mantissa);
    all_digits(exponent) && mantissa.split(['.', ',']).count() <= 2 && mantissa.split(['.', ',']).all(all_digits)
}

/// The ASCII digit for an ASCII, full-width, Arabic-Indic or extended Arabic-Indic one.
fn ascii_digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        _ => return None,
    };
    char::from_digit(u32::from(c) - zero, 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn international_numbers_become_e164() {
        for (raw, expected) in [
            ("+1 (202) 555-0143", "+12025550143"),
            ("+1.202.555.0143", "+12025550143"),
            ("+44 (0)20 7946 0000", "+442079460000"),
            ("0044 20 7946 0000", "+442079460000"),
            ("0044-20-7946-0000", "+442079460000"),
            ("tel:+442079460000", "+442079460000"),
            ("+46 (0)70/174 06 05", "+46701740605"),
            ("+33 1 99 00 12 34", "+33199001234"),
            ("+7 811 000-00-00", "+78110000000"),
            ("0033199001234", "+33199001234"),
            ("＋４４２０７９４６００００", "+442079460000"),
            ("+٤٤٢٠٧٩٤٦٠٠٠٠", "+442079460000"),
            ("\u{202a}+44 20 7946 0000\u{202c}", "+442079460000"),
        ] {
            assert_eq!(parse(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_the_reason() {
        use PhoneError as E;
        for (raw, expected) in [
            ("", E::Invalid),
            ("+", E::Invalid),
            ("++442079460000", E::Invalid),
            ("1234", E::Invalid),
            ("+999123456789", E::Invalid),
            ("+1 (555) 010-0000", E::Invalid),
            ("12345678901234567890", E::Invalid),
            ("+12345678901234567890", E::Invalid),
            ("+44 20 7946 CALL", E::Invalid),
            ("+1 202 555 0143 x12", E::Invalid),
            ("none", E::Invalid),
            ("0612345678", E::RegionNeeded),
            ("(202) 555-0143", E::RegionNeeded),
            ("1.23457E+11", E::Scientific),
            ("4,42079E+11", E::Scientific),
            ("4e11", E::Scientific),
        ] {
            assert_eq!(parse(raw), Err(expected), "{raw}");
        }
    }

    /// What the library alone makes of a number.
    fn slowly(number: &str) -> Option<String> {
        let parsed = phonenumber::parse(None, number).ok().filter(phonenumber::is_valid)?;
        Some(format!("+{}{}", parsed.code().value(), parsed.national()))
    }

    proptest! {
        #[test]
        fn the_short_cut_changes_no_number_that_the_library_accepts(
            number in "\\+(1|7|20|27|3[0-9]|4[0-9]|52|54|55|61|64|81|86|91|353|358|380|599|972)[0-9]{5,11}"
        ) {
            if let Some(expected) = slowly(&number) {
                prop_assert_eq!(parse(&number), Ok(expected));
            }
        }

        #[test]
        fn no_text_breaks_the_parser(raw in "[+0-9 ()eE.-]{0,24}|\\PC{0,20}") {
            if let Ok(number) = parse(&raw) {
                prop_assert_eq!(parse(&number), Ok(number.clone()));
            }
        }
    }
}
