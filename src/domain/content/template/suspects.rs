//! What looks like a placeholder and is none: it would go out to everybody as it stands.
//!
//! Found are braces that were meant to be filled in ([`braces`]), the syntaxes of other products ([`foreign`]), and their tags in double
//! braces ([`code`]). What is in a `{% raw %}` block is meant to stand there, and so is everything in the places where HTML has code of
//! its own ([`surroundings`](super::surroundings)).

mod bare;
mod braces;
mod brackets;
mod code;
mod drafts;
mod encoded;
mod foreign;
mod greeting;
mod meaning;
mod place;
mod values;

use std::collections::BTreeSet;
use std::ops::Range;

use self::meaning::guess;
pub(super) use self::meaning::nearest;
use super::names::Names;
use super::scan::{self, Token};
use super::seen::Seen;
use super::{Content, MAX_SOURCE_BYTES, Part, TemplateError, position, source, surroundings};

/// The most that are found in one part.
const MOST: usize = 20;

/// The most characters of it that an error shows.
const MOST_SHOWN: usize = 80;

/// How far back the beginning of an address is looked for, in bytes.
const LONGEST_URL: usize = 500;

/// The longest text that is taken for a placeholder, in bytes.
const LONGEST: usize = 160;

/// Something that looks like a placeholder and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Where.
    pub part: Part,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What stands there.
    pub text: String,
    /// What it was taken for: `a merge tag of Mailchimp`.
    pub taken_for: &'static str,
    /// What to write in its place: `{first_name}`, where that can be told.
    pub instead: Option<String>,
}

impl std::fmt::Display for Suspect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, column, text, taken_for, instead, .. } = self;
        let text: String = text.chars().take(MOST_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, "line {line}, column {column}: {text} is {taken_for} and is not filled in. Write ")?;
        match instead {
            Some(instead) => f.write_str(instead)?,
            None => f.write_str("the name of a field or an attribute in braces, such as {first_name}")?,
        }
        f.write_str(". To send it exactly like this, write {% raw %} before it and {% endraw %} after it, or name it in literal")
    }
}

impl Content {
    /// Refuses what looks like a placeholder and is none. Not a part of compiling: a campaign that was launched before a rule goes on.
    ///
    /// # Errors
    /// [`TemplateError::Malformed`], with at most 20 in each part.
    pub fn check_placeholders(&self, known_attributes: &BTreeSet<String>) -> Result<(), TemplateError> {
        let suspects = find(self, &Names::new(known_attributes).with_literal(&self.literal));
        if suspects.is_empty() { Ok(()) } else { Err(TemplateError::Malformed { suspects }) }
    }
}

/// Whether a text that is printed as it is has a placeholder in it, or what looks like one.
#[must_use]
pub fn has_placeholders(text: &str) -> bool {
    let known = BTreeSet::new();
    let names = Names::new(&known);
    let content = Content { text: text.to_owned(), ..Content::default() };
    let is_text = |token: &Token<'_>| matches!(token, Token::Text(_) | Token::Literal(_));
    !scan::tokens(text, &names).iter().all(|(_, token)| is_text(token)) || !find(&content, &names).is_empty()
}

fn find(content: &Content, names: &Names<'_>) -> Vec<Suspect> {
    let parts = [
        (Part::Subject, Some(&content.subject)),
        (Part::Text, Some(&content.text)),
        (Part::Html, content.html.as_ref()),
    ];
    let mut all = Vec::new();
    for (part, text) in parts {
        let Some(text) = text.filter(|text| text.len() <= MAX_SOURCE_BYTES) else { continue };
        let tokens = source::cut(part, text, names);
        let quiet = if part == Part::Html { surroundings::quiet(text, &tokens) } else { Vec::new() };
        let found = Reader { source: text, last_close: text.rfind('}'), tokens: &tokens, quiet, names }.read();
        let suspect = |found: Found, source: &str, at: usize| {
            let (line, column) = position(text, at);
            let text = source.get(found.range).unwrap_or_default().trim().to_owned();
            Suspect { part, line, column, text, taken_for: found.taken_for, instead: found.instead }
        };
        let from = all.len();
        all.extend(found.into_iter().map(|found| {
            let at = found.range.start;
            suspect(found, text, at)
        }));
        if part == Part::Html && all.len() == from {
            let seen = Seen::of(text, &tokens);
            let (source, tokens) = (seen.text.as_str(), seen.tokens());
            let found =
                Reader { source, last_close: source.rfind('}'), tokens: &tokens, quiet: Vec::new(), names }.read();
            all.extend(found.into_iter().map(|found| {
                let at = place_of(text, source.get(found.range.clone()).unwrap_or_default());
                suspect(found, source, at)
            }));
        }
    }
    all
}

/// Where in HTML the longest word of a text is that was cut by tags, or spelled with entities.
fn place_of(html: &str, text: &str) -> usize {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.max_by_key(|word| word.len()).and_then(|word| html.find(word)).unwrap_or_default()
}

/// What was found in a source.
struct Found {
    range: Range<usize>,
    taken_for: &'static str,
    instead: Option<String>,
}

/// Looks through a part.
struct Reader<'r, 's> {
    source: &'s str,
    /// The last brace that closes.
    last_close: Option<usize>,
    tokens: &'r [(usize, Token<'s>)],
    quiet: Vec<Range<usize>>,
    names: &'r Names<'s>,
}

impl Reader<'_, '_> {
    /// What is found, without what the author has named as literal.
    fn read(&self) -> Vec<Found> {
        let literal = merged(self.names.literal_in(self.source));
        let is_open = |found: &Found| {
            let first = literal.partition_point(|range| range.end <= found.range.start);
            literal.get(first).is_none_or(|range| range.start >= found.range.end)
        };
        let mut all: Vec<Found> = Vec::new();
        let mut from = 0;
        let mut open = 0_usize;
        let mut after_field = false;
        for &(start, token) in self.tokens {
            if all.len() >= MOST {
                return all;
            }
            match token {
                Token::Literal(_) => {}
                Token::Code(text) => {
                    let range = start..start + text.floor_char_boundary(LONGEST);
                    let found = code::find(text, self.names).or_else(|| self.in_literals(text));
                    let found = found.map(|(taken_for, instead)| Found { range, taken_for, instead });
                    all.extend(found.filter(is_open));
                }
                Token::Field { name, fallback } => {
                    let fallback = || fallback.and_then(|text| code::fallback(name, text, self.names));
                    let found = code::keyword(name, self.names).or_else(fallback);
                    let found = found.or_else(|| fallback_text(token).and_then(|text| self.inside(text)));
                    let found = found.or_else(|| self.behind_a_scheme(start, name));
                    let found = found.map(|(taken_for, instead)| {
                        let end = self.ahead(start).rfind('}').map_or(start, |end| start + end + 1);
                        let end = self
                            .tokens
                            .get(self.tokens.partition_point(|(at, _)| *at <= start))
                            .map_or(end, |(at, _)| end.min(*at));
                        Found { range: start..end, taken_for, instead }
                    });
                    all.extend(found.filter(is_open));
                }
                Token::Text(text) => {
                    for (offset, c) in text.char_indices() {
                        let at = start + offset;
                        if at < from || !(is_sign(c) || c.is_alphabetic()) {
                            continue;
                        }
                        if surroundings::is_in(&self.quiet, at) {
                            all.extend(foreign::in_code(self, at).filter(is_open));
                            continue;
                        }
                        let found = match c {
                            '}' => self.closing(at, open, after_field && offset == 0),
                            _ if !is_sign(c) => greeting::find(self, at).or_else(|| drafts::find(self, at)),
                            _ => self.at(at),
                        };
                        let found = found.filter(is_open);
                        match (&found, c) {
                            (Some(found), _) => from = found.range.end,
                            (None, '{') => open += 1,
                            (None, '}') => open = open.saturating_sub(1),
                            (None, _) => {}
                        }
                        all.extend(found);
                        if all.len() >= MOST {
                            return all;
                        }
                    }
                }
            }
            after_field = matches!(token, Token::Field { .. });
        }
        all
    }

    /// `http://{unsubscribe_url}`: what an editor has put before a whole address.
    fn behind_a_scheme(&self, start: usize, name: &str) -> Option<(&'static str, Option<String>)> {
        let is_whole = matches!(name, "unsubscribe_url" | "preferences_url") && self.before(start).ends_with("://");
        is_whole.then(|| ("a whole address behind http://", Some(format!("{{{name}}} alone"))))
    }

    /// The first that is found in a text of its own: what a fallback says goes out as it stands.
    fn inside(&self, text: &str) -> Option<(&'static str, Option<String>)> {
        let tokens = [(0, Token::Text(text))];
        let reader =
            Reader { source: text, last_close: text.rfind('}'), tokens: &tokens, quiet: Vec::new(), names: self.names };
        reader.read().into_iter().next().map(|found| (found.taken_for, found.instead))
    }

    /// The same in the texts between quotes of a piece of code.
    fn in_literals(&self, code: &str) -> Option<(&'static str, Option<String>)> {
        if code.starts_with("{#") || scan::tag(code) == Some("raw") {
            return None;
        }
        code.split('"').skip(1).step_by(2).chain(code.split('\'').skip(1).step_by(2)).find_map(|text| self.inside(text))
    }

    /// What begins at this byte, which is no brace that closes.
    fn at(&self, at: usize) -> Option<Found> {
        let brace =
            || self.source.get(at..).is_some_and(|rest| rest.starts_with('{')).then(|| self.opening(at)).flatten();
        brace()
            .or_else(|| foreign::find(self, at))
            .or_else(|| values::find(self, at))
            .or_else(|| bare::find(self, at))
            .or_else(|| encoded::find(self, at))
            .or_else(|| greeting::find(self, at))
            .or_else(|| drafts::find(self, at))
    }

    /// The source from this byte on, at most [`LONGEST`] bytes of it.
    fn ahead(&self, at: usize) -> &str {
        let rest = self.source.get(at..).unwrap_or_default();
        rest.get(..rest.floor_char_boundary(LONGEST)).unwrap_or_default()
    }

    fn before(&self, at: usize) -> &str {
        self.source.get(..at).unwrap_or_default()
    }

    /// What stands before this byte on its line, at most [`LONGEST`] bytes of it.
    fn line_before(&self, at: usize) -> &str {
        let before = self.before(at);
        let near = before.get(before.ceil_char_boundary(before.len().saturating_sub(LONGEST))..).unwrap_or_default();
        near.rsplit('\n').next().unwrap_or_default()
    }

    /// The last word before this byte on its line, in small letters.
    fn last_word(&self, at: usize) -> String {
        let before = self.line_before(at).trim_end_matches([' ', '\u{a0}', ':']);
        before.rsplit(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase()
    }

    /// The line around this byte, at most [`LONGEST`] bytes to each side.
    fn line_around(&self, at: usize) -> &str {
        let start = at - self.line_before(at).len();
        let end = at + self.ahead(at).lines().next().unwrap_or_default().len();
        self.source.get(start..end).unwrap_or_default()
    }

    /// The word up to this byte, which may be the beginning of an address.
    fn word_before(&self, at: usize) -> &str {
        let before = self.before(at);
        let near =
            before.get(before.ceil_char_boundary(before.len().saturating_sub(LONGEST_URL))..).unwrap_or_default();
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(');
        near.rsplit(is_end).next().unwrap_or_default()
    }

    /// Whether this byte is in an address of the web, or in a path.
    fn in_url(&self, at: usize) -> bool {
        self.word_before(at).contains(['/', '?'])
    }

    fn found(&self, range: Range<usize>, taken_for: &'static str, inner: &str) -> Found {
        Found { range, taken_for, instead: guess(inner, self.names) }
    }
}

/// Ranges in order, those that touch as one.
fn merged(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// What a field says to those who have no value.
fn fallback_text(token: Token<'_>) -> Option<&str> {
    match token {
        Token::Field { fallback, .. } => fallback,
        Token::Text(_) | Token::Literal(_) | Token::Code(_) => None,
    }
}

/// Whether something that looks like a placeholder can begin with this character.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '{' | '}'
            | '*'
            | '['
            | '%'
            | '$'
            | '<'
            | '&'
            | '#'
            | '~'
            | '@'
            | '_'
            | '('
            | '?'
            | '«'
            | '‹'
            | '⟨'
            | '【'
            | '《'
            | '「'
    ) || bare::is_sign(c)
        || encoded::is_sign(c)
}

#[cfg(test)]
mod tests;
