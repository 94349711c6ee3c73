//! Single braces that were meant to be a placeholder.

use super::meaning::{meaning, without_tags};
use super::{Found, Reader};

/// Before a brace that is part of a face.
const EYES: &str = ":;=-^'";

impl Reader<'_, '_> {
    /// A brace that opens and begins no placeholder.
    pub(super) fn opening(&self, at: usize) -> Option<Found> {
        let ahead = self.ahead(at + 1);
        let end = ahead.find(['{', '}']);
        let inner = ahead.get(..end.unwrap_or(ahead.len()))?;
        if self.is_face(at, inner) || self.is_formula(at, inner) {
            return None;
        }
        let found = |len: usize, taken_for| Some(self.found(at..at + 1 + len, taken_for, inner));
        if let Some(tag) = ahead.trim_start_matches(' ').strip_prefix('%').filter(|_| ahead.starts_with(' '))
            && matches!(first_word(tag), "if" | "elif" | "else" | "endif" | "for" | "endfor" | "set" | "raw" | "endraw")
        {
            let line = ahead.lines().next().unwrap_or_default();
            let len = line.find('}').map_or(line.len(), |end| end + 1);
            return Some(self.found(at..at + 1 + len, "a tag with a blank between its signs", ""));
        }
        if let Some(braces) = ahead.strip_prefix("\\{").or_else(|| ahead.trim_start_matches(' ').strip_prefix('{'))
            && let Some((name, _)) = braces.split_once('}')
            && meaning(name.trim(), self.names).is_some()
        {
            let range = at..at + 1 + ahead.len() - braces.len() + name.len() + 1;
            return Some(self.found(range, "a placeholder with something between its braces", name.trim()));
        }
        let is_closed = end.is_some_and(|end| ahead.get(end..).is_some_and(|rest| rest.starts_with('}')));
        let is_nested = end.is_some() && !is_closed && inner.contains('|');
        if is_closed && !inner.contains('\n') {
            return match_inside(inner).and_then(|taken_for| found(inner.len() + 1, taken_for));
        }
        if is_closed && self.names.spelled(&inner.split_whitespace().collect::<Vec<_>>().join(" ")).is_some() {
            return found(inner.len() + 1, "a placeholder with a line break inside");
        }
        let first = first_word(inner);
        let is_name = meaning(first, self.names).is_some() || first.contains('_');
        let ends_nowhere = self.last_close.is_none_or(|last| last < at);
        let is_meant = !first.is_empty() && (is_name || (ends_nowhere && inner.starts_with(char::is_alphabetic)));
        let line = inner.find('\n').unwrap_or(inner.len());
        match (is_meant, is_closed) {
            (false, _) => None,
            (true, _) if is_nested => {
                found(line, "a placeholder with another one inside ({{ a|fallback(b) }} takes b where there is no a)")
            }
            (true, true) if !inner.trim().contains([':', ';', '(']) => {
                found(inner.len() + 1, "a placeholder with a line break inside")
            }
            (true, _) => found(end_of_guess(inner), "a placeholder whose brace is not closed"),
        }
    }

    /// A brace that closes nothing.
    pub(super) fn closing(&self, at: usize, open: usize, after_field: bool) -> Option<Found> {
        if open > 0 {
            return None;
        }
        if after_field {
            let start = self.before(at).rfind('{').unwrap_or(at);
            let inner = self.source.get(start + 1..at).unwrap_or_default();
            return Some(self.found(start..at + 1, "a placeholder with one brace too many", inner));
        }
        let before = self.before(at);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let start = before.trim_end_matches(is_part).len();
        let word = before.get(start..)?;
        meaning(word, self.names)?;
        Some(self.found(start..at + 1, "a placeholder whose brace is not opened", word))
    }

    /// `x^{2}`, `H_{2}O` and `\\d{3}`.
    fn is_formula(&self, at: usize, inner: &str) -> bool {
        let before = self.before(at);
        let is_escape =
            before.trim_end_matches(|c: char| c.is_ascii_alphabetic()).ends_with('\\') && !before.ends_with('\\');
        let is_number = inner.bytes().all(|b| b.is_ascii_digit() || b == b',');
        is_number && (before.ends_with(['_', '^', ')', ']']) || is_escape)
    }

    /// `:-{` and its kin.
    fn is_face(&self, at: usize, inner: &str) -> bool {
        self.before(at).ends_with(|c| EYES.contains(c)) && (inner.is_empty() || inner.starts_with(char::is_whitespace))
    }
}

/// What the inside of braces on one line was meant to be; `None`: nothing.
fn match_inside(inner: &str) -> Option<&'static str> {
    let plain = without_tags(inner);
    let plain = plain.trim();
    let quoted = plain.trim_matches(['"', '\'']);
    if plain.starts_with(['"', '\'']) {
        // JSON has more in it than one text.
        let is_name = quoted.len() + 2 == plain.len()
            && quoted.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '-'));
        return (is_name && !quoted.is_empty()).then_some("a placeholder in quotes");
    }
    if !inner.is_empty() && inner.len() <= 3 && inner.bytes().all(|b| b.is_ascii_digit()) {
        return Some("a numbered placeholder of another product");
    }
    let body = plain.trim_start_matches(|c: char| !c.is_alphanumeric() && !c.is_whitespace());
    let sign = plain.len() - body.len();
    let is_word = body.starts_with(char::is_alphabetic) && (sign == 0 || body.len() > 1);
    if !is_word || plain.len() > 120 {
        return None;
    }
    Some(if plain.contains('=') {
        "a placeholder of Mautic or another product"
    } else if sign > 0 {
        "a placeholder of another product, or of a pattern for addresses"
    } else if inner.contains('<') {
        "a placeholder with tags of HTML inside"
    } else {
        "a placeholder that is no name of a field or an attribute"
    })
}

/// The name that a text begins with, after blanks.
fn first_word(text: &str) -> &str {
    let text = text.trim_start_matches([' ', '\t']);
    let end = text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).unwrap_or(text.len());
    text.get(..end).filter(|word| word.starts_with(char::is_alphabetic)).unwrap_or_default()
}

/// How far a placeholder that is not closed may have been meant to go.
fn end_of_guess(inner: &str) -> usize {
    let line = inner.find('\n').unwrap_or(inner.len());
    let start = inner.len() - inner.trim_start().len() + first_word(inner).len();
    let rest = inner.get(start..line).unwrap_or_default();
    start + rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len())
}
