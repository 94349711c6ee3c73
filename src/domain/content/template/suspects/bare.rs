//! The name of a field with a sign before it, or around it: `$first_name`, `:first_name`, `-name-`, `!FNAME!`; and names that are no word of a
//! language, without any sign: `Dear FIRSTNAME`.
//!
//! Sources: the variables of PHP, Velocity and shells, the named parameters of SQL and Laravel, the substitution tags of SendGrid's first
//! API, the tokens of Drupal.

use super::meaning::{is_value_of_a_program, meaning};
use super::{Found, Reader};

/// What stands before a name, or around it.
const SIGNS: &str = "$%-!:;^=+&§@#~*_|\\";

/// Those that mark a word in plain text, a row of a table or a picture: `*name*`, `_email_`, `:email:`.
const OF_TEXT: &str = "*_~|:";

/// What other products call the name of a person, in capitals: nobody writes these words to people.
const OF_LISTS: &[&str] = &[
    "FIRST_NAME",
    "LAST_NAME",
    "FIRSTNAME",
    "LASTNAME",
    "FNAME",
    "LNAME",
    "FULL_NAME",
    "CUSTOMER_NAME",
    "YOUR_NAME",
    "EMAIL_ADDRESS",
    "YOUR_EMAIL",
    "CUSTOMER_EMAIL",
];

/// What such a name is taken for.
const IN_SIGNS: &str = "a placeholder in the signs of another product";

/// Whether a name with a sign, or one without, can begin with this character.
pub(super) fn is_sign(c: char) -> bool {
    SIGNS.contains(c) || is_initial(c)
}

/// Whether one of [`OF_LISTS`] begins so.
fn is_initial(c: char) -> bool {
    matches!(c, 'C' | 'E' | 'F' | 'L' | 'Y')
}

/// The name without a sign that begins at this byte, and is not a part of a longer name.
fn without_sign(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let ahead = reader.ahead(at);
    let word = OF_LISTS.iter().find(|word| ahead.starts_with(**word))?;
    let after = ahead.get(word.len()..)?;
    let before = reader.before(at);
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let is_longer =
        after.trim_start_matches(['_', '-']).starts_with(char::is_alphanumeric) && after.starts_with(is_part);
    // `FIRST_NAME=Ann` sets a variable.
    let is_meant = !before.ends_with(is_part)
        && !is_longer
        && !after.starts_with('=')
        && (!reader.in_url(at) || before.ends_with('='));
    is_meant.then(|| reader.found(at..at + word.len(), "the name of a field in capitals", word))
}

/// The name with a sign, or one that needs none, that begins at this byte.
pub(super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let ahead = reader.ahead(at);
    if ahead.starts_with(is_initial) {
        return without_sign(reader, at);
    }
    let sign = ahead.chars().next().filter(|sign| SIGNS.contains(*sign))?;
    // `$$FNAME$$` is `$FNAME$` once more, and `$!name` is Velocity's, for a value that may be missing.
    let run = ahead.len() - ahead.trim_start_matches(sign).len();
    if run > sign.len_utf8() && !matches!(sign, '$' | '!' | '~') {
        return in_runs(reader, at, run);
    }
    let signs = match sign {
        '$' if ahead.starts_with("$!") => 2,
        '$' | '!' | '~' => run,
        _ => sign.len_utf8(),
    };
    let rest = ahead.get(signs..)?;
    let word = rest.get(..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()))?;
    let word = if sign == '_' { word.trim_end_matches('_') } else { word };
    if sign == '$'
        && let found @ Some(_) = of_somebody(reader, at, signs)
    {
        return found;
    }
    let before = reader.before(at);
    let after = rest.get(word.len()..)?;
    let is_apart = !before.ends_with(|c: char| c.is_alphanumeric() || c == sign || matches!(c, '/' | '.'));
    let in_url = reader.in_url(at);
    // `$order_id`.
    if sign == '$' && is_apart && !in_url && word.starts_with(char::is_lowercase) && is_value_of_a_program(word) {
        return Some(reader.found(at..at + signs + word.len(), IN_SIGNS, word));
    }
    let name = meaning(word, reader.names)?;
    let is_value = before.ends_with('=') || (in_url && before.ends_with('/') && matches!(sign, '$' | ':'));
    if !is_value && (in_url || !is_apart) {
        return None;
    }
    if sign == '|' && reader.line_around(at).matches('|').count() > 2 {
        // A row of a table.
        return None;
    }
    let closed = after
        .strip_prefix(ahead.get(..signs)?)
        .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == sign));
    let is_person =
        matches!(name, "first_name" | "last_name" | "name" | "email" | "unsubscribe_url" | "preferences_url");
    let is_spelled = is_spelled_as_field(word);
    let is_meant = match sign {
        '$' => (is_person || is_spelled) && !before.ends_with('S'),
        '%' => is_person && !before.trim_end().ends_with(|c: char| c.is_ascii_digit()) && !after.starts_with('%'),
        _ if closed && OF_TEXT.contains(sign) => is_person && is_spelled,
        '!' if closed && signs > 1 => is_person,
        // `-Email- signature` is a heading of somebody.
        _ if closed => is_person && (is_spelled || word.chars().all(|c| c.is_lowercase() || c == '_')),
        ':' if is_value => is_person,
        // Those of Gmail.
        '@' if matches!(word.to_lowercase().as_str(), "firstname" | "lastname" | "fullname") => true,
        // A hashtag, or somebody's name: only a word with an underscore is none.
        '#' | '@' => is_person && word.contains('_'),
        _ => is_person && is_spelled && (sign == ':' || !OF_TEXT.contains(sign)) && !is_value,
    };
    let end = at + signs + word.len() + if closed { signs } else { 0 };
    is_meant.then(|| reader.found(at..end, IN_SIGNS, word))
}

/// `$contact_first_name`, `$contacts-firstname$`, `$lead.FirstName`: a field of somebody.
fn of_somebody(reader: &Reader<'_, '_>, at: usize, signs: usize) -> Option<Found> {
    const WHOSE: &[&str] =
        &["contacts", "contact", "leads", "lead", "user", "customer", "recipient", "subscriber", "person", "member"];
    let rest = reader.ahead(at).get(signs..)?;
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let whole = rest.get(..rest.find(|c| !is_part(c)).unwrap_or(rest.len()))?.trim_end_matches(['.', '-']);
    let field = WHOSE.iter().find_map(|whose| whole.strip_prefix(whose)?.strip_prefix(['.', '-', '_']))?;
    meaning(field, reader.names)?;
    let end = at + signs + whole.len();
    let end = end + usize::from(reader.source.get(end..)?.starts_with('$'));
    Some(reader.found(at..end, IN_SIGNS, field))
}

/// `==first_name==`, `||FNAME||`: the same signs on both sides of a name that is no word of a language.
fn in_runs(reader: &Reader<'_, '_>, at: usize, run: usize) -> Option<Found> {
    const LONGEST_RUN: usize = 3;
    let ahead = reader.ahead(at);
    let sign = ahead.chars().next()?;
    let inner = ahead.get(run..)?;
    let inner = inner.get(..inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len()))?;
    let after = ahead.get(run + inner.len()..)?.strip_prefix(ahead.get(..run)?)?;
    let is_whole = !reader.before(at).ends_with(|c: char| c == sign || c.is_alphanumeric())
        && !after.starts_with(|c: char| c == sign || c.is_alphanumeric());
    let is_name = is_spelled_as_field(inner) && meaning(inner, reader.names).is_some();
    let is_meant = is_name || is_value_in_capitals(inner);
    (is_whole && is_meant && run <= LONGEST_RUN * sign.len_utf8()).then(|| {
        let end = at + run + inner.len() + run;
        reader.found(at..end, IN_SIGNS, inner)
    })
}

/// `ORDER_NUMBER`: no abbreviation.
pub(super) fn is_value_in_capitals(text: &str) -> bool {
    is_value_of_a_program(text) && !text.contains(char::is_lowercase) && text.len() > 4
}

/// `first_name`, `firstName`, `FNAME`: no word of a language.
pub(super) fn is_spelled_as_field(word: &str) -> bool {
    let has_inner_capital =
        || word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    word.trim_matches('_').contains('_') || OF_LISTS.contains(&word) || has_inner_capital()
}
