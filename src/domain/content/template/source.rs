//! A part's source, cut into what is printed and what is filled in.

use std::collections::HashSet;

use super::Part;
use super::names::Names;
use super::scan::{self, Token};
use super::surroundings;

/// Cuts the source of a part. In styles, scripts, comments and attributes of code (HTML), single braces around a name that no contact has
/// are text.
pub(super) fn cut<'s>(part: Part, source: &'s str, names: &Names<'s>) -> Vec<(usize, Token<'s>)> {
    let mut tokens = scan::tokens(source, names);
    let unknown = |token: &Token<'_>| matches!(token, Token::Field { name, .. } if names.resolve(name).is_none());
    if !tokens.iter().any(|(_, token)| unknown(token)) {
        return tokens;
    }
    let quiet = if part == Part::Html { surroundings::quiet(source, &tokens) } else { Vec::new() };
    let code = tokens.iter().filter_map(|(_, token)| token.code());
    let own: HashSet<&str> = code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
    let ends: Vec<usize> = tokens.iter().skip(1).map(|(at, _)| *at).chain([source.len()]).collect();
    for ((at, token), end) in tokens.iter_mut().zip(ends) {
        let Token::Field { name, .. } = token else { continue };
        // A variable of the template has its own spelling.
        if names.resolve(name).is_some() || own.contains(*name) {
            continue;
        }
        let written = source.get(*at..end).unwrap_or_default();
        if let Some(valid) = names.spelled(name) {
            *name = valid;
        } else if !written.starts_with("{{") && surroundings::is_in(&quiet, *at) {
            *token = Token::Text(written);
        }
    }
    tokens
}
