//! What a name of another product, or one that is spelled wrong, may mean here.

use strsim::normalized_damerau_levenshtein;

use super::super::names::Names;
use super::drafts::what_to_fill_in;
use crate::domain::people::contact::normalised_name;

/// How like a valid name another one must be to be named, from 0 to 1.
const ALIKE: f64 = 0.7;

/// What other products call the things that every contact may have, in the spelling of attributes.
const MERGE_NAMES: &[(&str, &[&str])] = &[
    (
        "first_name",
        &[
            "fname",
            "first",
            "firstname",
            "given_name",
            "givenname",
            "forename",
            "vorname",
            "prenom",
            "nombre",
            "voornaam",
            "fornavn",
            "foernamn",
            "imie",
            // `Imię`, as attributes are spelled.
            "imi",
        ],
    ),
    (
        "last_name",
        &[
            "lname",
            "last",
            "lastname",
            "surname",
            "family_name",
            "familyname",
            "nachname",
            "apellido",
            "cognome",
            "achternaam",
            "sobrenome",
            "efternamn",
            "nazwisko",
        ],
    ),
    (
        "name",
        &[
            "full_name",
            "fullname",
            "your_name",
            "customer_name",
            "recipient_name",
            "contact_name",
            "client_name",
            "member_name",
            "user_name",
            "username",
            "nome",
            "nom",
            "naam",
            "namn",
            "navn",
            "subscriber_name",
        ],
    ),
    ("email", &["e_mail", "mail", "email_address", "emailaddress", "recipient"]),
    ("phone", &["mobile", "sms", "phone_number", "phonenumber", "telephone"]),
    (
        "unsubscribe_url",
        &[
            "unsub",
            "unsubscribe",
            "unsubscribe_link",
            "unsubscribelink",
            "unsubscribeurl",
            "unsubscribe_text",
            "unsubscribeurl_link",
            "optout_url",
            "opt_out",
        ],
    ),
    (
        "preferences_url",
        &["preferences", "preferencesurl", "update_profile", "manage_preferences", "manage_url", "profile_url"],
    ),
    ("postal_address", &["list_address", "list_address_html", "list_addressline", "company_address", "sender_address"]),
];

/// What a text in the delimiters of another product certainly means: the name of a field, of Volley's own values or of an attribute.
pub(super) fn meaning<'k>(inner: &str, names: &Names<'k>) -> Option<&'k str> {
    if inner.is_empty() || inner.len() > 64 || !inner.starts_with(char::is_alphabetic) {
        return None;
    }
    let name = normalised_name(inner);
    let merged = MERGE_NAMES.iter().find(|(_, others)| others.contains(&name.as_str())).map(|(own, _)| *own);
    names.by_name(&name).or_else(|| merged.and_then(|own| names.by_name(own)))
}

/// What programs call a value in the end: `orderNumber`, `TRACKING_LINK`.
const ENDS_OF_VALUES: &[&str] = &[
    "address", "amount", "code", "count", "date", "email", "id", "link", "name", "no", "nr", "number", "nummer",
    "phone", "price", "time", "title", "token", "total", "url",
];

/// Whether a text is spelled as programs spell the name of a value, and no word of a language: `order_id`, `orderNumber`, `CustomerNo`.
pub(super) fn is_value_of_a_program(text: &str) -> bool {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic())
        || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return false;
    }
    if let Some((_, last)) = text.trim_matches('_').rsplit_once('_') {
        return !last.is_empty();
    }
    let last = text.rfind(|c: char| c.is_ascii_uppercase()).and_then(|start| text.get(start..)).unwrap_or_default();
    // `iPhone` is a word.
    let is_camel = !last.is_empty() && last.len() + 1 < text.len() && text.contains(|c: char| c.is_ascii_lowercase());
    is_camel && ENDS_OF_VALUES.contains(&last.to_lowercase().as_str())
}

/// Whether the last word of a name in capitals says what kind of value it is: `USER_ID`, and not `BLACK_FRIDAY`.
pub(super) fn names_a_kind_of_value(text: &str) -> bool {
    text.rsplit_once('_').is_some_and(|(_, last)| ENDS_OF_VALUES.contains(&last.to_lowercase().as_str()))
}

/// What to write for a text that somebody took for a placeholder, where it can be guessed.
pub(super) fn guess(inner: &str, names: &Names<'_>) -> Option<String> {
    let words = without_tags(inner).replace("%7B", "").replace("%7b", "").replace("%20", " ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words.split(['|', ',', '?']).next().unwrap_or_default();
    let plain = plain.split("%%").next().unwrap_or_default();
    let joints = ['.', ':', '=', '/', '$', '#', '!', '@'];
    let last = plain.rsplit(joints).next().unwrap_or_default();
    let first = plain.split(joints).next().unwrap_or_default();
    let word = plain.trim_start().split(' ').next().unwrap_or_default();
    let asked = what_to_fill_in(plain).unwrap_or_default();
    let owned = plain.rsplit_once("'s ").or_else(|| plain.rsplit_once("\u{2019}s ")).map_or("", |(_, owned)| owned);
    let candidates = [last, plain, first, word, &asked, owned];
    let name = candidates.into_iter().find_map(|text| meaning(text.trim_matches(is_around), names));
    let name = name.map(str::to_owned).or_else(|| nearest(last, names))?;
    Some(format!("{{{name}}}"))
}

/// The valid name that is most like this text.
pub(in super::super) fn nearest(text: &str, names: &Names<'_>) -> Option<String> {
    let name = normalised_name(text);
    if name.len() < 3 || name.len() > 64 {
        return None;
    }
    let alike = names.all().into_iter().map(|valid| (normalized_damerau_levenshtein(&name, &valid), valid));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, valid)| valid)
}

/// What may stand around a name.
fn is_around(c: char) -> bool {
    !c.is_alphanumeric()
}

/// A text without the tags that an editor of HTML has put into it.
pub(super) fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        plain.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain.replace("&nbsp;", " ")
}
