//! What drafts leave open without any sign: filler text, `YOUR NAME HERE`, `XX%`.

use super::words::{KINDS, NAMED};
use crate::domain::content::template::suspects::{Found, Reader};

/// What is left open without any sign: filler text, `YOUR NAME HERE`, `XX%`.
pub(in super::super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
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
