//! What a name of another product, or one that is spelled wrong, may mean here.

use strsim::normalized_damerau_levenshtein;

use super::super::names::Names;
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

/// How a note begins that something is to be filled in.
const VERBS: &[&str] = &["insert", "enter", "add", "type", "fill", "put"];

/// What such a note names, in the end.
const KINDS: &[&str] = &[
    "code",
    "image",
    "name",
    "names",
    "date",
    "company",
    "address",
    "email",
    "title",
    "city",
    "phone",
    "link",
    "url",
    "number",
    "customer",
    "client",
    "recipient",
    "product",
    "price",
    "cta",
    "signature",
    "logo",
    "discount",
];

/// Words of other languages that ask for something to be filled in, at the end of a note or at its beginning.
const VERBS_ELSEWHERE: &[&str] = &[
    "einfügen",
    "eintragen",
    "einsetzen",
    "ergänzen",
    "insérer",
    "insérez",
    "inserer",
    "insertar",
    "inserta",
    "introducir",
    "inserire",
    "inserisci",
    "inserir",
    "invullen",
    "invoegen",
    "vul",
    "wpisz",
    "wstaw",
    "infoga",
    "indsæt",
];

/// What they ask for.
const KINDS_ELSEWHERE: &[&str] = &[
    "name",
    "namen",
    "vorname",
    "vornamen",
    "nachname",
    "nachnamen",
    "datum",
    "firma",
    "firmenname",
    "ort",
    "adresse",
    "link",
    "url",
    "titel",
    "betrag",
    "nom",
    "prénom",
    "prenom",
    "date",
    "lien",
    "société",
    "entreprise",
    "nombre",
    "apellido",
    "fecha",
    "enlace",
    "empresa",
    "nome",
    "cognome",
    "data",
    "azienda",
    "naam",
    "voornaam",
    "bedrijf",
    "nazwa",
    "logo",
    "förnamn",
    "namn",
];

/// Whose such a thing is.
const YOURS: &[&str] =
    &["your", "ihr", "ihre", "dein", "deine", "votre", "tu", "su", "tuo", "uw", "je", "twoje", "seu"];

/// What of the owner of such a thing drafts name: `Company Name`.
const NAMED: &[&str] = &[
    "brand",
    "business",
    "client",
    "company",
    "contact",
    "customer",
    "donor",
    "event",
    "guest",
    "member",
    "organisation",
    "organization",
    "patient",
    "product",
    "project",
    "recipient",
    "sender",
    "shop",
    "store",
    "student",
    "subscriber",
    "team",
    "user",
];

/// Whether a text in brackets is one that somebody is to put something in the place of: `Company Name`, `Your Company`, `Datum einfügen`,
/// `Nom du client`. With small letters, `product name` is the label of something.
pub(super) fn is_blank(text: &str) -> bool {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let is_titled = text.rsplit([' ', '_', '-']).next().is_some_and(|word| word.starts_with(char::is_uppercase));
    if is_titled && OF_DRAFTS.contains(&words.join(" ").as_str()) {
        return true;
    }
    let [first, .., last] = words.as_slice() else { return false };
    if words.len() > 6 || !words.iter().all(|word| word.chars().all(char::is_alphabetic)) {
        return false;
    }
    let has_kind = || words.iter().any(|word| KINDS_ELSEWHERE.contains(word));
    let is_asked = || (VERBS_ELSEWHERE.contains(last) || VERBS_ELSEWHERE.contains(first)) && has_kind();
    let is_kind = KINDS.contains(last) || KINDS_ELSEWHERE.contains(last) || OF_OWNERS.contains(last);
    // `Il tuo nome` has an article before it.
    let is_owner = YOURS.contains(first)
        || (words.len() == 3 && matches!(*first, "il" | "la") && words.get(1).is_some_and(|word| YOURS.contains(word)));
    let is_owned = is_kind && words.len() <= 3 && is_owner;
    let is_of = || {
        let is_joint =
            |word: &&&str| matches!(**word, "des" | "der" | "du" | "de" | "dell" | "van" | "klienta" | "firmy");
        KINDS_ELSEWHERE.contains(first) && *first != "date" && words.get(1).filter(is_joint).is_some()
    };
    is_asked()
        || (is_owned && (is_titled || *first != "your" || text.contains(['_', '-'])))
        || is_of()
        || (is_titled && *last == "name" && NAMED.contains(first))
}

/// What drafts leave to be filled in, where it is a whole text in brackets.
const OF_DRAFTS: &[&str] =
    &["company", "company address", "discount code", "firmenname", "order number", "phone number", "tracking number"];

/// What else drafts leave to be filled in of their sender.
const OF_OWNERS: &[&str] = &[
    "brand",
    "business",
    "domain",
    "information",
    "organisation",
    "organization",
    "position",
    "role",
    "signature",
    "team",
    "website",
];

/// Whether a text is a note that something is to be filled in: `insert first name`, `enter your company name here`. Without `here` the other
/// verbs stand on buttons.
pub(super) fn is_note(text: &str) -> bool {
    let lower = text.to_lowercase();
    let is_meant = lower.starts_with("insert") || lower.starts_with("please insert") || lower.ends_with("here");
    is_meant && what_to_fill_in(text).is_some_and(|what| KINDS.contains(&what.rsplit(' ').next().unwrap_or_default()))
}

/// What a note asks for: `first name` of `insert first name here`.
fn what_to_fill_in(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let words = words.strip_prefix(&["please"]).unwrap_or(&words);
    let (verb, rest) = words.split_first()?;
    let rest = rest.strip_suffix(&["here"]).unwrap_or(rest);
    VERBS.contains(verb).then(|| rest.join(" "))
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
