//! What drafts leave open without any sign: filler text, `YOUR NAME HERE`, `XX%`.

use super::words::{BEFORE_NUMBERS, KINDS, NAMED};
use crate::domain::content::template::suspects::{Found, LONGEST, Reader};

/// What is left open without any sign: filler text, `YOUR NAME HERE`, `XX%`.
pub(in super::super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let ahead = reader.ahead(at);
    if !ahead.starts_with(|c: char| c.is_ascii_uppercase() || "lx?_".contains(c))
        || reader.before(at).ends_with(char::is_alphanumeric)
    {
        return None;
    }
    let line = ahead.lines().next().unwrap_or_default();
    if let Some(len) = signature(reader, at, line) {
        return Some(reader.found(at..at + len, "what a draft leaves to be filled in", ""));
    }
    let is_here = |filler: &&&str| line.get(..filler.len()).is_some_and(|start| start.eq_ignore_ascii_case(filler));
    if let Some(filler) = FILLERS.iter().find(is_here) {
        return Some(reader.found(at..at + filler.len(), "filler text", ""));
    }
    let len = in_capitals(line)
        .or_else(|| digits_to_come(reader, at, line))
        .or_else(|| number_to_come(reader, at, line))
        .or_else(|| day_to_come(reader, at, line))
        .or_else(|| loud(reader, at, line))?;
    Some(reader.found(at..at + len, "what a draft leaves to be filled in", ""))
}

/// `Am TT.MM.JJJJ`, `on DD/MM/YYYY`: its length. Beside a field of a form, it says how to write a date.
fn day_to_come(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<usize> {
    const DAYS: &[&str] = &[
        "TT.MM.JJJJ",
        "DD.MM.YYYY",
        "DD/MM/YYYY",
        "MM/DD/YYYY",
        "JJ/MM/AAAA",
        "DD/MM/AAAA",
        "GG/MM/AAAA",
        "DD-MM-JJJJ",
    ];
    const BEFORE: &[&str] = &["am", "on", "bis", "until", "by", "ab", "from", "vom", "le", "el", "il", "op", "em"];
    let day = DAYS.iter().find(|day| line.starts_with(**day))?;
    BEFORE.contains(&reader.last_word(at).as_str()).then_some(day.len())
}

/// `YOUR NAME HERE`, `INSERT LINK HERE`, `HIER LINK EINFÜGEN`: its length.
fn in_capitals(line: &str) -> Option<usize> {
    let is_capital = |word: &&str| word.len() > 1 && word.chars().all(char::is_uppercase);
    let words: Vec<&str> =
        line.split([' ', ',', '.', '!', ':', '<', '*', ')', ']']).take_while(is_capital).take(4).collect();
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
    if matches!(one.as_str(), "TODO" | "FIXME") && after.starts_with(':') {
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
    let is_yours = one.eq_ignore_ascii_case("your") && IN_SIGNATURES.contains(&second.to_uppercase().as_str());
    // `EVENT NAME: …` and a line of a table that begins so are labels.
    let is_named = NAMED.contains(&one.to_lowercase().as_str()) && second == "NAME" && !after.starts_with(':');
    let said = |text: &str| text.split('<').next().unwrap_or_default().to_owned();
    let said_before = before.rsplit('>').next().unwrap_or_default();
    let is_sender = OF_SENDERS.contains(&one.as_str());
    let is_meant = match is_capital(&one) && is_capital(&second) {
        true if is_yours => is_end(after) && (before.is_empty() || before.ends_with([',', ':'])),
        true => {
            is_named
                && !is_beside_capitals
                && ((is_sender && (is_whole || said(line).contains(char::is_lowercase)))
                    || said_before.contains(char::is_lowercase))
        }
        false => is_yours && second == "Name" && one == "Your" && is_whole && is_signed(),
    };
    is_meant.then_some(len)
}

/// `Viele Grüße` and below it `Ihr Name`: its length. In a form, such a line is a label.
fn signature(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<usize> {
    const NAMES: &[&str] = &[
        "Dein Name",
        "Dit navn",
        "Ditt namn",
        "Ihr Name",
        "Il tuo nome",
        "Je naam",
        "Jouw naam",
        "Prénom Nom",
        "Seu nome",
        "Tu nombre",
        "Twoje imię",
        "Uw naam",
        "Vorname Nachname",
        "Votre nom",
    ];
    const CLOSINGS: &[&str] = &[
        "atenciosamente",
        "bien à vous",
        "cordialement",
        "gruß",
        "grüße",
        "grüßen",
        "groet",
        "groetjes",
        "hilsen",
        "hälsningar",
        "poważaniem",
        "saludo",
        "saludos",
        "saluti",
        "sincères",
    ];
    let name = NAMES.iter().find(|name| line.trim_end() == **name)?;
    if !reader.line_before(at).trim().is_empty() {
        return None;
    }
    let before = reader.before(at).trim_end();
    let closing = before.rsplit('\n').next().unwrap_or_default().to_lowercase();
    let is_signed = closing.len() < LONGEST && CLOSINGS.iter().any(|word| closing.contains(word));
    is_signed.then_some(name.len())
}

/// What editors and templates are delivered with.
const FILLERS: &[&str] = &[
    "Add your text here",
    "Click or tap here to enter text",
    "Dies ist ein Blindtext",
    "Hier steht Ihr Text",
    "Klicken oder tippen Sie hier",
    "Lorem ipsum dolor",
    "Musterstadt",
    "Replace this text with your own",
    "This is a placeholder text",
    "Votre texte ici",
    "Your headline here",
    "Your text here",
];

/// What senders leave open of themselves.
const IN_SIGNATURES: &[&str] = &["ADDRESS", "COMPANY", "EMAIL", "LOGO", "NAME", "PHONE", "SIGNATURE", "TITLE"];

/// Whose name a sender is to put in.
const OF_SENDERS: &[&str] =
    &["BRAND", "BUSINESS", "COMPANY", "ORGANISATION", "ORGANIZATION", "SENDER", "SHOP", "STORE"];

/// `XX.XX.XXXX`, `XXX-XXX-XXXX`, `um XX:XX Uhr`: its length.
fn digits_to_come(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<usize> {
    const WHOLE: &[&str] = &["XX.XX.XXXX", "XX/XX/XXXX", "XX-XX-XXXX", "XXX-XXX-XXXX", "XXX) XXX-XXXX", "XXX-XXXX"];
    const HOURS: &[&str] = &[" Uhr", " h", "h", " am", " pm", " AM", " PM"];
    const BEFORE: &[&str] = &["at", "um", "ab", "bis", "from", "until", "till", "vers", "om"];
    const OF_CODES: &[&str] = &["code", "coupon", "código", "codice", "gutschein", "number", "nummer"];
    if !line.starts_with(['X', 'H']) {
        return None;
    }
    let word = reader.last_word(at);
    let xs = line.len() - line.trim_start_matches('X').len();
    if xs > 3 && OF_CODES.iter().any(|end| word.ends_with(end)) {
        return Some(xs);
    }
    if let Some(whole) = WHOLE.iter().find(|whole| line.starts_with(**whole)) {
        return Some(whole.len());
    }
    let rest = line.strip_prefix("XX:XX").or_else(|| line.strip_prefix("HH:MM"))?;
    let is_meant = HOURS.iter().any(|hours| rest.starts_with(hours)) || BEFORE.contains(&word.as_str());
    is_meant.then_some("XX:XX".len())
}

/// `XX%`, `xx €`, `??%`, `$XX.XX`: its length.
fn number_to_come(reader: &Reader<'_, '_>, at: usize, line: &str) -> Option<usize> {
    const MONEY: &[&str] = &["%", " %", "€", " €", " EUR", " Euro", " percent", " Prozent"];
    let sign = line.chars().next().filter(|sign| "Xx?_".contains(*sign))?;
    let count = line.len() - line.trim_start_matches(sign).len();
    // `X% off`, `Only XX days`.
    let is_few = line.starts_with("XX ") && BEFORE_NUMBERS.contains(&reader.last_word(at).as_str());
    if line.starts_with("X%") || is_few {
        return Some(count);
    }
    if !matches!(count, 2 | 3) {
        return None;
    }
    let rest = line.get(count..)?;
    if sign != 'X' {
        let is_price = sign == '_' && reader.before(at).ends_with(['$', '€', '£']);
        return (is_price || MONEY.iter().any(|money| rest.starts_with(money))).then_some(count);
    }
    let rest = rest.strip_prefix(".XX").or_else(|| rest.strip_prefix(",XX")).unwrap_or(rest);
    let is_day = rest.starts_with(".20");
    let is_price = reader.before(at).ends_with(['$', '€', '£']);
    let is_meant = is_day
        || MONEY.iter().any(|money| rest.starts_with(money))
        || (is_price && !rest.starts_with(char::is_alphanumeric));
    is_meant.then(|| line.len() - rest.len())
}
