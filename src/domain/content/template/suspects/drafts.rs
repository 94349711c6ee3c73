//! What drafts leave to be filled in: notes such as `insert first name`, and words such as `Company Name`.

use super::{Found, Reader};

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
    "text",
];

/// Words of other languages that ask for something to be filled in, at the end of a note or at its beginning.
const VERBS_ELSEWHERE: &[&str] = &[
    "einfügen",
    "eintragen",
    "einsetzen",
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
    "anrede",
    "ansprechpartner",
    "azienda",
    "betreff",
    "bild",
    "ciudad",
    "città",
    "heure",
    "numéro",
    "numero",
    "número",
    "plaats",
    "preis",
    "precio",
    "prezzo",
    "prijs",
    "prix",
    "produkt",
    "uhrzeit",
    "ville",
];

/// Those of them that are English words, too: a label, or a button.
const IN_ENGLISH: &[&str] = &["name", "date", "data", "link", "logo", "url"];

/// Words that end nothing but notes.
const VERBS_OF_NOTES: &[&str] = &["einfügen", "einsetzen", "ergänzen", "insérer", "insertar", "inserire", "wstaw"];

/// `à compléter`, `nog invullen`: what stands before a verb of a note that has no other word.
const BEFORE_VERBS: &[(&str, &str)] = &[
    ("à", "compléter"),
    ("bitte", "ergänzen"),
    ("da", "completare"),
    ("noch", "ergänzen"),
    ("nog", "invullen"),
    ("por", "completar"),
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
    let lower = text.to_lowercase().replace(['\'', '\u{2019}'], " ");
    let words: Vec<&str> = lower.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let is_titled = text.rsplit([' ', '_', '-']).next().is_some_and(|word| word.starts_with(char::is_uppercase));
    if is_titled && OF_DRAFTS.contains(&words.join(" ").as_str()) {
        return true;
    }
    if words.len() == 1 && is_titled {
        return KINDS_ELSEWHERE.contains(&lower.as_str()) && !IN_ENGLISH.contains(&lower.as_str());
    }
    let [first, .., last] = words.as_slice() else { return false };
    if words.len() > 6 || !words.iter().all(|word| word.chars().all(char::is_alphabetic)) {
        return false;
    }
    let has_kind = || words.iter().any(|word| KINDS_ELSEWHERE.contains(word));
    let is_asked = || {
        VERBS_OF_NOTES.contains(last)
            || BEFORE_VERBS.contains(&(*first, *last))
            || (VERBS_ELSEWHERE.contains(last) || VERBS_ELSEWHERE.contains(first)) && has_kind()
    };
    let is_kind = KINDS.contains(last) || KINDS_ELSEWHERE.contains(last) || OF_OWNERS.contains(last);
    // `Il tuo nome` has an article before it.
    let is_owner = YOURS.contains(first)
        || (words.len() == 3 && matches!(*first, "il" | "la") && words.get(1).is_some_and(|word| YOURS.contains(word)));
    let is_owned = is_kind && words.len() <= 3 && is_owner;
    let is_of = || {
        let is_joint =
            |word: &&&str| matches!(**word, "des" | "der" | "du" | "de" | "dell" | "van" | "zum" | "klienta" | "firmy");
        KINDS_ELSEWHERE.contains(first) && *first != "date" && words.get(1).filter(is_joint).is_some()
    };
    is_asked()
        || (is_owned && (is_titled || *first != "your" || text.contains(['_', '-'])))
        || is_of()
        || (words.len() == 2 && KINDS_ELSEWHERE.contains(first) && KINDS_ELSEWHERE.contains(last))
        || (is_titled && *last == "name" && NAMED.contains(first))
}

/// What drafts leave to be filled in, where it is a whole text in signs.
const OF_DRAFTS: &[&str] =
    &["company", "company address", "discount code", "firmenname", "order number", "phone number", "tracking number"];

/// The same, where the signs are brackets: in parentheses, these are words of a text.
const IN_BRACKETS: &[&str] = &[
    "address",
    "amount",
    "betrag",
    "city",
    "country",
    "coupon code",
    "date",
    "datum",
    "date and time",
    "day",
    "deadline",
    "discount",
    "due date",
    "end date",
    "event",
    "expiry date",
    "fecha",
    "firma",
    "industry",
    "job title",
    "link",
    "location",
    "month",
    "price",
    "product",
    "produkt",
    "promo code",
    "signature",
    "start date",
    "state",
    "subject line",
    "time",
    "topic",
    "url",
    "venue",
    "website",
    "year",
];

/// Those of them that are values of a message wherever signs stand around them.
const VALUES: &[&str] =
    &["address", "amount", "city", "company", "country", "date", "discount", "price", "product", "venue"];

/// Whether a single word in signs is what drafts leave open, in small letters, too.
pub(super) fn is_open_in_drafts(text: &str) -> bool {
    VALUES.contains(&text.to_lowercase().as_str())
}

/// The same in other languages: `[fecha]`.
pub(super) fn is_open_elsewhere(text: &str) -> bool {
    KINDS_ELSEWHERE.contains(&text) && !IN_ENGLISH.contains(&text)
}

/// Whether a text in square brackets is one that somebody is to put something in the place of: also `Date`.
pub(super) fn is_draft(text: &str) -> bool {
    let words = text.to_lowercase().replace(['_', '-'], " ");
    is_blank(text)
        || (text.starts_with(char::is_uppercase) && IN_BRACKETS.contains(&words.as_str()))
        || IN_CAPITALS.contains(&text)
        || ["alt text", "image description"].contains(&words.as_str())
        || is_titled_kind(text)
        || is_compound(&words)
}

/// Words in capitals that stand for what is yet to come.
const IN_CAPITALS: &[&str] = &[
    "BUTTON",
    "CODE",
    "CTA",
    "HEADLINE",
    "IMAGE",
    "INSERT",
    "LINK",
    "LOGO",
    "NUMBER",
    "PLACEHOLDER",
    "TBA",
    "TBC",
    "TBD",
    "TEXT",
    "TODO",
];

/// What the names of things end with that are filled in.
const LAST_WORDS: &[&str] =
    &["address", "amount", "code", "date", "image", "link", "logo", "name", "number", "price", "time", "title", "url"];

/// `Speaker Name`, `Voucher Code`: every word has a capital. `[Save Date]` is a button.
fn is_titled_kind(text: &str) -> bool {
    const BUTTONS: &[&str] = &[
        "add", "buy", "click", "copy", "edit", "enter", "file", "get", "no", "open", "read", "save", "see", "set",
        "show", "view",
    ];
    let words: Vec<&str> = text.split([' ', '_', '-']).collect();
    let [first, .., last] = words.as_slice() else { return false };
    words.len() <= 3
        && words.iter().all(|word| word.starts_with(char::is_uppercase) && word.chars().all(char::is_alphabetic))
        && LAST_WORDS.contains(&last.to_lowercase().as_str())
        && !BUTTONS.contains(&first.to_lowercase().as_str())
}

/// `company name`, `event date`: in small letters.
pub(super) fn is_open_words(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    matches!(words.len(), 2 | 3)
        && words.iter().all(|word| !word.is_empty() && word.chars().all(char::is_lowercase))
        && words.last().is_some_and(|last| LAST_WORDS.contains(last))
}

/// `kundenname`, `bestellnummer`: the compounds of German and Dutch.
fn is_compound(lower: &str) -> bool {
    const ENDS: &[&str] = &["name", "nummer", "code", "link", "datum", "naam"];
    const ORDINARY: &[&str] = &[
        "username",
        "hostname",
        "nickname",
        "filename",
        "codename",
        "hyperlink",
        "backlink",
        "permalink",
        "barcode",
        "geheimcode",
    ];
    lower.len() >= 9
        && lower.chars().all(char::is_alphabetic)
        && ENDS.iter().any(|end| lower.ends_with(end))
        && !ORDINARY.contains(&lower)
}

/// What is left open without any sign: filler text, `YOUR NAME HERE`, `XX%`.
pub(super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let ahead = reader.ahead(at);
    if !ahead.starts_with(|c: char| c.is_ascii_uppercase() || c == 'l')
        || reader.before(at).ends_with(char::is_alphanumeric)
    {
        return None;
    }
    let line = ahead.lines().next().unwrap_or_default();
    if line.get(..17).is_some_and(|start| start.eq_ignore_ascii_case("lorem ipsum dolor")) {
        return Some(reader.found(at..at + 17, "filler text", ""));
    }
    let len = in_capitals(line)
        .or_else(|| number_to_come(reader, at, line))
        .or_else(|| day_to_come(reader, at, line))
        .or_else(|| loud(reader, at, line))?;
    Some(reader.found(at..at + len, "what a draft leaves to be filled in", ""))
}

/// `Am TT.MM.JJJJ`, `on DD/MM/YYYY`: its length. Beside a field of a form, it says how to write a date.
fn day_to_come(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<usize> {
    const DAYS: &[&str] = &["TT.MM.JJJJ", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY"];
    const BEFORE: &[&str] = &["am", "on", "bis", "until", "by", "ab", "from", "vom"];
    let day = DAYS.iter().find(|day| line.starts_with(**day))?;
    let before = reader.line_before(at).trim_end();
    let word = before.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    BEFORE.contains(&word.to_lowercase().as_str()).then_some(day.len())
}

/// `YOUR NAME HERE`, `INSERT LINK HERE`, `HIER LINK EINFÜGEN`: its length.
fn in_capitals(line: &str) -> Option<usize> {
    let is_capital = |word: &&str| word.len() > 1 && word.chars().all(char::is_uppercase);
    let words: Vec<&str> = line.split([' ', ',', '.', '!', ':', '<']).take_while(is_capital).take(4).collect();
    let is_kind = |word: &str| KINDS.contains(&word.to_lowercase().as_str()) || word == "TEXT";
    let is_note = |words: &[&str]| match words {
        ["YOUR" | "INSERT" | "PUT", .., kind, "HERE"] => is_kind(kind),
        ["HIER", _, "EINFÜGEN" | "EINTRAGEN" | "ERGÄNZEN"] => true,
        _ => false,
    };
    let count = (3..=words.len()).find(|count| words.get(..*count).is_some_and(is_note))?;
    Some(words.iter().take(count).map(|word| word.len() + 1).sum::<usize>() - 1)
}

/// `TODO: …`, `Register here: LINK`, `Kind regards, YOUR NAME`, `Welcome to COMPANY NAME`: what is louder than the rest of its line. Its length.
fn loud(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<usize> {
    const AT_ENDS: &[&str] = &["ADDRESS", "CODE", "DATE", "LINK", "NAME", "PRICE", "TIME", "URL"];
    let is_capital = |word: &str| word.len() > 1 && word.chars().all(char::is_uppercase);
    let word = |text: &str| text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned();
    let one = word(line);
    let after = line.get(one.len()..)?;
    if one == "TODO" && after.starts_with(':') || one == "FIXME" {
        return Some(one.len());
    }
    let before = reader.line_before(at).trim_end();
    let is_end = |after: &str| after.trim_end().is_empty() || after.starts_with(['<', ',', '.']);
    if AT_ENDS.contains(&one.as_str()) && is_end(after) {
        return (before.ends_with(':') && before.contains(char::is_lowercase)).then_some(one.len());
    }
    let second = word(after.strip_prefix(' ')?);
    let len = one.len() + 1 + second.len();
    let after = line.get(len..)?;
    let is_beside_capitals = is_capital(&word(after.trim_start()))
        || is_capital(before.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default());
    // A signature: `Kind regards,` and below it `Your Name`.
    let is_signed = || reader.before(at).trim_end().ends_with(',');
    let is_whole = before.is_empty() && is_end(after);
    let is_yours = one.eq_ignore_ascii_case("your") && KINDS.contains(&second.to_lowercase().as_str());
    let is_named = NAMED.contains(&one.to_lowercase().as_str()) && second == "NAME";
    let is_meant = match is_capital(&one) && is_capital(&second) {
        true if is_yours => is_end(after) && (before.is_empty() || before.ends_with([',', ':'])),
        true => {
            is_named
                && !is_beside_capitals
                && (is_whole || line.contains(char::is_lowercase) || before.contains(char::is_lowercase))
        }
        false => is_yours && second == "Name" && one == "Your" && is_whole && is_signed(),
    };
    is_meant.then_some(len)
}

/// `XX%`, `XX €`, `$XX.XX`: its length.
fn number_to_come(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<usize> {
    const MONEY: &[&str] = &["%", " %", "€", " €", " EUR", " Euro", " percent", " Prozent"];
    let xs = line.len() - line.trim_start_matches('X').len();
    if !matches!(xs, 2 | 3) {
        return None;
    }
    let rest = line.get(xs..)?;
    let rest = rest.strip_prefix(".XX").or_else(|| rest.strip_prefix(",XX")).unwrap_or(rest);
    let is_day = rest.starts_with(".20");
    let is_price = reader.before(at).ends_with(['$', '€', '£']);
    let is_meant = is_day
        || MONEY.iter().any(|money| rest.starts_with(money))
        || (is_price && !rest.starts_with(char::is_alphanumeric));
    is_meant.then(|| line.len() - rest.len())
}

/// What drafts call the number that is not known yet.
const OF_NUMBERS: &[&str] = &["N", "X", "XX", "XXX", "##", "#", "xx", "00"];

/// Whether a text stands for a number: of a share, or of a price.
pub(super) fn is_number_to_come(text: &str) -> bool {
    OF_NUMBERS.contains(&text)
}

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
    let is_capital = !text.contains(char::is_lowercase);
    if ["fill in ", "replace this ", "replace with "].iter().any(|start| lower.starts_with(start)) {
        return true;
    }
    if let Some(what) = lower.strip_suffix(" here").filter(|_| is_capital) {
        return KINDS.contains(&what.rsplit(' ').next().unwrap_or_default());
    }
    let is_meant =
        is_capital || lower.starts_with("insert") || lower.starts_with("please insert") || lower.ends_with("here");
    is_meant && what_to_fill_in(text).is_some_and(|what| KINDS.contains(&what.rsplit(' ').next().unwrap_or_default()))
}

/// What a note asks for: `first name` of `insert first name here`.
pub(super) fn what_to_fill_in(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let words = words.strip_prefix(&["please"]).unwrap_or(&words);
    let (verb, rest) = words.split_first()?;
    let rest = rest.strip_suffix(&["here"]).unwrap_or(rest);
    VERBS.contains(verb).then(|| rest.join(" "))
}

#[cfg(test)]
mod tests;
