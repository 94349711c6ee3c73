//! What may stand between the signs of another product.

use crate::domain::content::template::suspects::bare::{is_spelled_as_field, is_value_in_capitals};
use crate::domain::content::template::suspects::drafts::{
    is_blank, is_draft, is_left_to_complete, is_note, is_open_in_drafts, is_open_words,
};
use crate::domain::content::template::suspects::meaning::{is_value_of_a_program, meaning};
use crate::domain::content::template::suspects::place::{Place, is_word, known, names_a_person};
use crate::domain::people::contact::normalised_name;

pub(super) fn anything(_: &Place<'_, '_, '_>) -> bool {
    true
}

/// Begins with a letter.
pub(super) fn letters(place: &Place<'_, '_, '_>) -> bool {
    place.inner.trim_start().starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// A name, with blanks and with what products add to it.
pub(super) fn name(place: &Place<'_, '_, '_>) -> bool {
    letters(place) && place.inner.chars().all(|c| c.is_alphanumeric() || " _-.:|=\"'&;".contains(c))
}

/// The same, and no attribute of C++.
pub(super) fn in_double_brackets(place: &Place<'_, '_, '_>) -> bool {
    const OF_CPP: &[&str] =
        &["deprecated", "fallthrough", "likely", "maybe_unused", "nodiscard", "noreturn", "unlikely"];
    name(place) && !OF_CPP.contains(&place.inner)
}

/// A name in one word.
pub(super) fn word(place: &Place<'_, '_, '_>) -> bool {
    is_word(place.inner)
}

/// The same, or what is spelled as programs spell a value.
pub(super) fn known_or_program(place: &Place<'_, '_, '_>) -> bool {
    known(place) || is_value_of_a_program(place.inner)
}

/// The same, and what drafts leave open: `company`.
pub(super) fn known_value(place: &Place<'_, '_, '_>) -> bool {
    const OF_WORD: &[&str] = &[
        "AddressBlock",
        "Anrede",
        "Firma",
        "GreetingLine",
        "Ort",
        "PLZ",
        "Salutation",
        "Street",
        "Titel",
        "Title",
        "Zip",
    ];
    let is_joined = is_word(place.inner) && (place.inner.contains(['.', '_']) || has_inner_capital(place.inner));
    let is_loud = place.inner.contains('-') && is_capitals(&place.inner.replace('-', "_"));
    known_or_program(place)
        || is_open_in_drafts(place.inner)
        || is_joined
        || is_loud
        || OF_WORD.contains(&place.inner)
        || is_titled(place.inner)
        || (is_draft(place.inner) && place.inner.contains(' '))
}

pub(super) fn known_or_capitals(place: &Place<'_, '_, '_>) -> bool {
    known(place) || is_value_in_capitals(place.inner)
}

/// `Account Manager`: two or three words with capitals.
fn is_titled(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let is_titled = |word: &&str| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphabetic);
    matches!(words.len(), 2 | 3) && words.iter().all(is_titled)
}

/// `First Name`: in signs that stand around other words, too.
pub(super) fn titled_person(place: &Place<'_, '_, '_>) -> bool {
    is_titled(place.inner) && stands_alone(place) && names_a_person(place.inner, place.names)
}

fn stands_alone(place: &Place<'_, '_, '_>) -> bool {
    !place.before.ends_with(char::is_alphanumeric) && !place.after.starts_with(char::is_alphanumeric)
}

fn is_capitals(text: &str) -> bool {
    text.len() > 1 && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Around a name that every contact may have, and after no word or share: `#{order_id}` and `50%{name}` are values after a sign.
pub(super) fn person_after_a_sign(place: &Place<'_, '_, '_>) -> bool {
    let name = place.inner.split('|').next().unwrap_or_default().trim();
    let is_person =
        meaning(name, place.names).is_some_and(|name| matches!(name, "first_name" | "last_name" | "name" | "email"));
    is_person && !place.before.ends_with(|c: char| c.is_alphanumeric() || c == '}')
}

/// `FirstName`; and not `E-Mail`, which is a word.
fn has_inner_capital(text: &str) -> bool {
    is_word(text)
        && text.chars().zip(text.chars().skip(1)).any(|(one, next)| one.is_lowercase() && next.is_uppercase())
        && !text.contains('-')
}

pub(super) fn known_capitals(place: &Place<'_, '_, '_>) -> bool {
    const OF_ACOUSTIC: &[&str] = &["SPCLICK", "SPFORWARD", "SPONECLICK", "SPOPT"];
    let is_of_acoustic = || OF_ACOUSTIC.iter().any(|start| place.inner.starts_with(start));
    is_capitals(place.inner)
        && (known_or_capitals(place) || is_open_in_drafts(place.inner) || is_of_acoustic())
        && stands_alone(place)
}

/// `recipient:name`.
pub(super) fn of_moosend(place: &Place<'_, '_, '_>) -> bool {
    let name = place.inner.split('|').next().unwrap_or_default();
    let is_own = ["recipient:", "campaign:"].iter().any(|start| name.starts_with(start));
    is_own || (is_word(name) && name.contains(':') && !name.ends_with(':') && !place.in_url())
}

/// `%%FirstName%%` and `%%First Name%%`, and no headline.
pub(super) fn between_double_percents(place: &Place<'_, '_, '_>) -> bool {
    let is_more = place.before.ends_with('%') || place.after.starts_with('%');
    !is_more && (is_word(place.inner.trim_start_matches('_')) || known(place))
}

/// `Contact.FirstName`.
pub(super) fn with_dot(place: &Place<'_, '_, '_>) -> bool {
    is_word(place.inner) && place.inner.contains('.') && !place.in_url() && stands_alone(place)
}

/// Variables that every Windows has.
const OF_WINDOWS: &[&str] = &[
    "APPDATA",
    "HOMEPATH",
    "LOCALAPPDATA",
    "PATH",
    "ProgramData",
    "ProgramFiles",
    "SystemRoot",
    "TEMP",
    "USERPROFILE",
];

/// Not the share of something, and not the bytes of an address: `50%off%`, `%C3%A9`.
pub(super) fn between_percents(place: &Place<'_, '_, '_>) -> bool {
    let is_hex = |text: &str| text.len() >= 2 && text.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    let (name, _) = place.inner.split_once('|').unwrap_or((place.inner, ""));
    let is_tag = ["IF ", "/IF", "ELSE"].iter().any(|start| place.inner.starts_with(start));
    let inner = place.inner.trim();
    let is_known = meaning(inner, place.names).is_some() && inner == inner.to_uppercase();
    let is_more = place.before.ends_with('%') != place.after.starts_with('%');
    if is_more && is_spelled_as_field(name) && meaning(name, place.names).is_some() {
        return true;
    }
    // `TODAY+7`.
    let is_sum =
        name.split_once(['+', '-']).is_some_and(|(name, days)| is_capitals(name) && days.parse::<u16>().is_ok());
    let is_blank = is_titled(inner) && (is_draft(inner) || known(place));
    // `%Y-%m`.
    let is_one = is_word(name) && name.chars().take(2).all(char::is_alphanumeric);
    if !(is_tag || is_known || is_sum || is_blank || is_one) {
        return false;
    }
    let in_url = place.in_url();
    let is_encoded = in_url && (is_hex(place.after) || (is_hex(place.inner) && place.inner.len() <= 3));
    let is_apart = place.inner.starts_with(' ');
    let before = if is_apart { place.before.trim_end() } else { place.before };
    let is_share =
        before.ends_with(char::is_alphanumeric) && !in_url && (!is_apart || before.ends_with(char::is_numeric));
    // `%APPDATA%\\Volley` is a folder.
    let is_headline = place.before.ends_with('%') || place.after.starts_with(['%', '\\']);
    if OF_WINDOWS.contains(&place.inner) {
        return false;
    }
    !is_share && !is_encoded && !is_headline
}

/// `$NAME$`, and no two prices.
pub(super) fn between_dollars(place: &Place<'_, '_, '_>) -> bool {
    let has_letters_only = place.inner.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let is_open = place.inner.starts_with(char::is_uppercase) && is_open_in_drafts(place.inner);
    let is_of_zoho = matches!(place.inner, "CANTREAD" | "CONFIRMLINK" | "SUBSCRIBELINK" | "UNSUBSCRIBELINK");
    let is_named = known_or_capitals(place) || is_value_of_a_program(place.inner);
    let is_meant = (is_named || is_open || is_of_zoho) && has_letters_only;
    let is_one = is_word(place.inner) && is_meant && stands_alone(place) && !place.before.ends_with('$');
    is_one && (!place.in_url() || is_capitals(place.inner))
}

/// `«First_Name»`, `«FirstName»`: other languages quote words like this.
pub(super) fn of_word_processor(place: &Place<'_, '_, '_>) -> bool {
    // Other languages quote words so: a name that is one, and stands alone, is a word.
    const WORDS: &[&str] = &[
        "email",
        "e_mail",
        "first",
        "last",
        "mail",
        "mobile",
        "naam",
        "name",
        "nom",
        "nombre",
        "nome",
        "phone",
        "preferences",
        "recipient",
        "sms",
        "unsubscribe",
    ];
    let is_beside_another =
        || place.before.trim_end().ends_with(['»', '›']) || place.after.trim_start().starts_with(['«', '‹']);
    let is_of_contacts = || known(place) && !WORDS.contains(&normalised_name(place.inner).as_str());
    matches!(place.inner, "AddressBlock" | "GreetingLine")
        || is_value_in_capitals(place.inner)
        || matches!(place.inner.to_lowercase().as_str(), "fname" | "lname")
        || is_of_contacts()
        || (known(place) && (place.inner.contains('_') || has_inner_capital(place.inner)))
        || (names_a_person(place.inner, place.names) && is_beside_another())
        || matches!(place.inner, "Anrede" | "Briefanrede" | "City" | "Company" | "Firma" | "PLZ" | "Street")
        || is_value_of_a_program(place.inner)
        || (matches!(place.inner, "Titel" | "Ort") && is_beside_another())
}

/// `<first_name>`, `<FNAME>` and `<unsubscribe>`, which no browser shows.
pub(super) fn tag_of_a_name(place: &Place<'_, '_, '_>) -> bool {
    const OF_CAMPAIGN_MONITOR: &[&str] = &[
        "currentday",
        "currentdayname",
        "currentmonth",
        "currentmonthname",
        "currentyear",
        "forwardtoafriend",
        "multiline",
        "preferences",
        "repeater",
        "singleline",
        "tableofcontents",
        "unsubscribe",
        "webversion",
    ];
    // Nothing of HTML: an element of its own kind, with the name of a field in it.
    const OF_FIELDS: &[&str] =
        &["field", "merge", "mergefield", "personalisation", "personalization", "placeholder", "token", "variable"];
    // Elements of HTML that an attribute may be called like.
    const OF_HTML: &[&str] = &[
        "a", "address", "article", "aside", "b", "body", "button", "caption", "center", "cite", "code", "data",
        "dialog", "em", "font", "footer", "form", "head", "header", "i", "img", "input", "label", "legend", "link",
        "main", "map", "mark", "menu", "meta", "nav", "object", "output", "p", "picture", "pre", "progress", "q", "s",
        "section", "select", "small", "source", "span", "strong", "style", "sub", "summary", "table", "template",
        "time", "title", "track", "u", "video",
    ];
    // With a capital, and no element of HTML.
    const OF_VALUES: &[&str] = &[
        "amount", "city", "company", "customer", "date", "discount", "phone", "price", "product", "street", "url",
        "venue",
    ];
    // `List<Product>` is a type.
    let is_titled_value =
        || place.inner.starts_with(char::is_uppercase) && !place.before.ends_with(char::is_alphanumeric);
    let is_field = place.inner.contains('_') || place.inner.len() >= 4;
    let is_person = || names_a_person(place.inner, place.names);
    let tag = place.inner.split(' ').next().unwrap_or_default();
    // `<Input Name>` would be an element, and nobody writes it so.
    let has_words = place.inner.starts_with(|c: char| c.is_uppercase()) && !is_capitals(tag);
    let element = place.inner.trim_end_matches(['/', ' ']);
    let is_of_constant_contact = element == "Greeting" && place.inner.ends_with('/')
        || (has_inner_capital(element)
            && ["FirstName", "LastName", "EmailAddress"].iter().any(|end| element.ends_with(end)));
    OF_CAMPAIGN_MONITOR.contains(&tag)
        || is_of_constant_contact
        || place.inner.starts_with("t t-")
        || (place.names.has_attribute(place.inner) && !OF_HTML.contains(&place.inner.to_lowercase().as_str()))
        || (OF_FIELDS.contains(&tag.to_lowercase().as_str()) && tag.len() < place.inner.len())
        || (is_titled_value() && OF_VALUES.contains(&place.inner.to_lowercase().as_str()))
        || [" t-esc=\"", " t-field=\"", " t-out=\""].iter().any(|of_odoo| place.inner.contains(of_odoo))
        || (is_value_of_a_program(place.inner) && !place.in_url())
        || (place.inner.eq_ignore_ascii_case("email") && !place.in_url())
        || (is_field && is_person())
        || is_note(place.inner)
        || (is_open_words(place.inner) && !OF_HTML.contains(&tag))
        || (has_words && is_blank(place.inner))
}

/// `(insert first name here)`. Other notes stand in parentheses beside the fields of forms.
pub(super) fn note_to_insert(place: &Place<'_, '_, '_>) -> bool {
    let lower = place.inner.trim().to_lowercase();
    let inner = place.inner.trim();
    let is_insert = lower.starts_with("insert ") || lower.starts_with("please insert ");
    // `(Ihr Preis)` explains.
    let is_foreign_yours = lower.starts_with("ihr ") || lower.starts_with("ihre ");
    let is_field = || {
        is_spelled_as_field(inner)
            && names_a_person(inner, place.names)
            && !place.before.ends_with(|c: char| c.is_alphanumeric() || "_$%".contains(c))
    };
    let is_of_markdown =
        place.before.ends_with(']') && matches!(inner, "URL" | "LINK" | "TBD" | "TODO" | "INSERT_LINK");
    is_of_markdown
        || is_field()
        || is_left_to_complete(inner)
        || (is_insert && is_note(inner))
        || (lower.starts_with("bitte ") && is_blank(inner))
        || (!inner.contains(char::is_lowercase) && inner.ends_with(" HERE") && is_note(inner))
        || (inner.starts_with(char::is_uppercase) && inner.contains(' ') && !is_foreign_yours && is_blank(inner))
}
