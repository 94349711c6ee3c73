//! Cuts a template's source into text, plain placeholders and template code.
//!
//! `{{ … }}`, `{% … %}` and `{# … #}` belong to the template language. A single brace is a placeholder only around a
//! name (`{first_name}`, `{contact.first_name|Customer}`), also in another spelling (`{First Name}`); around anything else, such as CSS
//! or JSON, it is text.

use super::names::{ATTRIBUTES, Names};

/// A piece of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'s> {
    /// Printed as it is.
    Text(&'s str),
    /// Printed as it is, whatever it looks like: the author has named it.
    Literal(&'s str),
    /// A placeholder: `{name}`, `{name|fallback}` or `{{ name }}`. Where the author spelled a valid name in another way, the valid one.
    Field { name: &'s str, fallback: Option<&'s str> },
    /// Anything else of the template language, delimiters included; a whole `{% raw %}` block is one piece.
    Code(&'s str),
}

impl<'s> Token<'s> {
    /// What it is of the template language.
    pub(super) fn code(self) -> Option<&'s str> {
        match self {
            Self::Code(code) => Some(code),
            Self::Text(_) | Self::Literal(_) | Self::Field { .. } => None,
        }
    }
}

/// Cuts `source` into pieces, each with the byte at which it begins.
pub(super) fn tokens<'s>(source: &'s str, names: &Names<'s>) -> Vec<(usize, Token<'s>)> {
    let mut found = Vec::new();
    let (mut text_from, mut from) = (0, 0);
    let last_comment = source.rfind("#}");
    let literal = names.literal_in(source);
    let mut next_brace = source.find('{');
    loop {
        if next_brace.is_some_and(|brace| brace < from) {
            next_brace = source.get(from..).and_then(|rest| rest.find('{')).map(|offset| from + offset);
        }
        let as_it_is = literal.get(literal.partition_point(|range| range.start < from));
        let (at, piece) = match (as_it_is, next_brace) {
            (Some(range), brace) if brace.is_none_or(|brace| range.start <= brace) => {
                let text = source.get(range.clone()).unwrap_or_default();
                (range.start, Some((Token::Literal(text), text.len())))
            }
            (_, Some(brace)) => {
                let rest = source.get(brace..).unwrap_or_default();
                (brace, piece(rest, last_comment.is_some_and(|end| brace < end), names))
            }
            (_, None) => break,
        };
        match piece {
            None => from = at + 1,
            Some((token, len)) => {
                if text_from < at {
                    found.push((text_from, Token::Text(source.get(text_from..at).unwrap_or_default())));
                }
                found.push((at, token));
                from = at + len;
                text_from = from;
            }
        }
    }
    if text_from < source.len() {
        found.push((text_from, Token::Text(source.get(text_from..).unwrap_or_default())));
    }
    found
}

/// The placeholder or code that `rest`, which begins with a brace, begins with; and its length. `is_comment`: a comment that begins here
/// ends somewhere.
fn piece<'s>(rest: &'s str, is_comment: bool, names: &Names<'s>) -> Option<(Token<'s>, usize)> {
    let code = |len: usize| (Token::Code(rest.get(..len).unwrap_or(rest)), len);
    if let Some(inner) = rest.strip_prefix("{{") {
        let Some(len) = code_len(inner, "}}").map(|len| len + 2) else { return Some(code(rest.len())) };
        let name = rest.get(2..len.saturating_sub(2)).unwrap_or_default().trim_matches(' ');
        let name = if is_path(name) {
            Some(name)
        } else {
            Some(name).filter(|name| is_words(name)).and_then(|name| names.spelled(name))
        };
        return Some(name.map_or_else(|| code(len), |name| (Token::Field { name, fallback: None }, len)));
    }
    if let Some(inner) = rest.strip_prefix("{%") {
        let len = code_len(inner, "%}").map_or(rest.len(), |len| len + 2);
        if tag_name(inner) == "raw" {
            return Some(code(end_of_raw(rest, len)));
        }
        return Some(code(len));
    }
    if rest.starts_with("{#") {
        return is_comment.then(|| rest.find("#}")).flatten().map(|end| code(end + 2));
    }
    let end =
        rest.get(1..)?.find(['{', '}']).filter(|end| rest.get(end + 1..).is_some_and(|rest| rest.starts_with('}')))?;
    let inner = rest.get(1..end + 1)?;
    let (name, fallback) = match inner.split_once('|') {
        Some((name, fallback)) => (name, Some(fallback)),
        None => (inner, None),
    };
    let name = name.trim_matches(' ');
    let name = if is_path(name) { name } else { names.spelled(name)? };
    let is_one_line = !fallback.is_some_and(|text| text.contains(['\n', '\r']));
    is_one_line.then(|| (Token::Field { name, fallback }, inner.len() + 2))
}

/// Words that the template language takes for more than a name.
const OPERATORS: &[&str] = &["and", "else", "if", "in", "is", "not", "or"];

/// Whether `code` is nothing in the template language: words beside one another.
fn is_words(code: &str) -> bool {
    code.contains(' ') && !code.contains('-') && !code.split(' ').any(|word| OPERATORS.contains(&word))
}

/// Words that the template language takes for values.
const CONSTANTS: &[&str] = &["true", "True", "false", "False", "none", "None"];

/// Whether `text` is a name, or names joined by dots.
pub(super) fn is_path(text: &str) -> bool {
    text.split('.').all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }) && !CONSTANTS.contains(&text)
}

/// The length up to and with the end of `{{` or `{%`, found as the template language finds it: not within a string,
/// not within brackets.
fn code_len(inner: &str, close: &str) -> Option<usize> {
    let bytes = inner.as_bytes();
    let (mut at, mut depth) = (0_usize, 0_isize);
    while let Some(byte) = bytes.get(at) {
        if depth == 0 && bytes.get(at..).is_some_and(|rest| rest.starts_with(close.as_bytes())) {
            return Some(at + close.len());
        }
        match byte {
            b'"' | b'\'' => at = end_of_string(bytes, at),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place of the quote that closes the string begun at `start`, or the end of the source.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start);
    let mut at = start + 1;
    while at < bytes.len() && bytes.get(at) != quote {
        at += if bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
    }
    at
}

/// What a raw block prints. `None`: the code is none, or one that takes away the blanks around it.
pub(super) fn raw_text(code: &str) -> Option<&str> {
    let (opening, rest) = code.strip_prefix("{%")?.split_once("%}")?;
    let (text, closing) = rest.strip_suffix("%}")?.rsplit_once("{%")?;
    (opening.trim() == "raw" && closing.trim() == "endraw").then_some(text)
}

/// The name of the tag that `code` is, if it is one.
pub(super) fn tag(code: &str) -> Option<&str> {
    code.strip_prefix("{%").map(tag_name)
}

/// The first word of a tag's inside.
fn tag_name(inner: &str) -> &str {
    let word = inner.trim_start_matches(['-', '+']).trim_start();
    word.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The length of the raw block whose opening tag ends at `from`.
fn end_of_raw(block: &str, mut from: usize) -> usize {
    while let Some(tag) = block.get(from..).and_then(|rest| rest.find("{%")).map(|offset| from + offset + 2) {
        let inner = block.get(tag..).unwrap_or_default();
        if tag_name(inner) == "endraw" {
            return inner.find("%}").map_or(block.len(), |end| tag + end + 2);
        }
        from = tag;
    }
    block.len()
}

/// A name within a piece of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'s> {
    /// Byte offset within the piece.
    pub(super) at: usize,
    /// `first_name`, or `contact.first_name` where names are joined by dots.
    pub(super) path: &'s str,
    /// What it stands for.
    pub(super) role: Role,
}

/// What a name in code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A variable, a keyword, a function, a named argument: only the template language's parser could say.
    Name,
    /// A variable that `{% set … %}` makes.
    Assigned,
    /// A filter: after `|`, or in `{% filter … %}`.
    Filter,
    /// A test: after `is`.
    Test,
    /// The attribute that `attributes["…"]` names, in any spelling.
    Key,
}

/// The names in a piece of code, in their order. Knows strings and comments, not grammar.
pub(super) fn words(code: &str) -> Vec<Word<'_>> {
    if code.starts_with("{#") || tag(code) == Some("raw") {
        return Vec::new();
    }
    let bytes = code.as_bytes();
    let mut found: Vec<Word<'_>> = Vec::new();
    let mut next = Role::Name;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at = end_of_string(bytes, at) + 1;
                next = Role::Name;
            }
            b'0'..=b'9' => at = end_of_word(bytes, at),
            b if b.is_ascii_alphabetic() || b == b'_' => {
                let mut end = end_of_word(bytes, at);
                if next == Role::Name || next == Role::Assigned {
                    while bytes.get(end) == Some(&b'.')
                        && bytes.get(end + 1).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
                    {
                        end = end_of_word(bytes, end + 1);
                    }
                }
                let path = code.get(at..end).unwrap_or_default();
                if path == ATTRIBUTES
                    && let Some(key) = key(code, end)
                {
                    found.push(Word { at, path: key, role: Role::Key });
                    (next, at) = (Role::Name, end + key.len() + "['']".len());
                    continue;
                }
                let opens = found.is_empty() && code.starts_with("{%");
                next = match path {
                    "is" => Role::Test,
                    "not" if next == Role::Test => Role::Test,
                    _ => {
                        found.push(Word { at, path, role: next });
                        match path {
                            "filter" if opens => Role::Filter,
                            "set" if opens => Role::Assigned,
                            _ if next == Role::Assigned => Role::Assigned,
                            _ => Role::Name,
                        }
                    }
                };
                at = end;
            }
            b'|' => (next, at) = (Role::Filter, at + 1),
            b'=' if next == Role::Assigned => (next, at) = (Role::Name, at + 1),
            b' ' | b'\n' | b'\t' | b'\r' | b'-' | b'+' => at += 1,
            b',' | b'(' | b')' if next == Role::Assigned => at += 1,
            _ => (next, at) = (Role::Name, at + 1),
        }
    }
    found
}

/// What stands in `["…"]` at this byte.
fn key(code: &str, at: usize) -> Option<&str> {
    let rest = code.get(at..)?.strip_prefix('[')?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (key, after) = rest.get(1..)?.split_once(quote)?;
    (after.starts_with(']') && !key.contains('\\')).then_some(key)
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    let len = bytes.iter().skip(start).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    start + len
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pieces(source: &str) -> Vec<Token<'_>> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        tokens(source, &Names::new(&NONE)).into_iter().map(|(_, token)| token).collect()
    }

    #[test]
    fn braces_around_a_name_are_a_placeholder() {
        for (source, name, fallback) in [
            ("{first_name}", "first_name", None),
            ("{ first_name }", "first_name", None),
            ("{contact.first_name}", "contact.first_name", None),
            ("{First Name}", "first_name", None),
            ("{ first-name | there}", "first_name", Some(" there")),
            ("{{ First Name }}", "first_name", None),
            ("{first_name|Dear customer}", "first_name", Some("Dear customer")),
            ("{first_name|}", "first_name", Some("")),
            ("{{ first_name }}", "first_name", None),
            ("{{contact.first_name}}", "contact.first_name", None),
        ] {
            assert_eq!(pieces(source), [Token::Field { name, fallback }], "{source}");
        }
    }

    #[test]
    fn braces_around_anything_else_are_text() {
        for source in [
            "{ color: red }",
            "{\"a\": 1}",
            "{}",
            "{0}",
            "{first name?}",
            "{frist-name}",
            "{a|b\n}",
            "{\nreturn\n}",
            "{first_name",
            "}{",
            "a{#b",
            "{a.}",
        ] {
            assert!(pieces(source).iter().all(|token| matches!(token, Token::Text(_))), "{source}");
        }
    }

    #[test]
    fn code_ends_where_the_template_language_ends_it() {
        for source in [
            "{{ \"}}\" }}",
            "{{ {\"a\": {\"b\": 1}} }}",
            "{{ 'it\\'s }}' }}",
            "{{- first_name -}}",
            "{{ true }}",
            "{{ a",
            "{% if a == \"%}\" %}",
            "{# {a} #}",
            "{% raw %}{{ a }} {% if %} {b}{% endraw %}",
            "{%- raw -%}{b}{%- endraw -%}",
            "{% raw %}{b}",
        ] {
            assert_eq!(pieces(source), [Token::Code(source)], "{source}");
        }
    }

    #[test]
    fn pieces_know_where_they_begin_and_cover_the_source() {
        let source = "Hi {a}, {{ b }}{% if c %}{ x: y }{% endif %}";
        let known = BTreeSet::new();
        let starts: Vec<_> = tokens(source, &Names::new(&known)).into_iter().map(|(at, _)| at).collect();
        assert_eq!(starts, [0, 3, 6, 8, 15, 25, 33]);
    }

    #[test]
    fn words_of_code_have_roles() {
        let roles = |code| words(code).into_iter().map(|word| (word.path, word.role)).collect::<Vec<_>>();
        assert_eq!(
            roles("{{ contact.city | default('none') if x is not defined else 1e5 }}"),
            [
                ("contact.city", Role::Name),
                ("default", Role::Filter),
                ("if", Role::Name),
                ("x", Role::Name),
                ("defined", Role::Test),
                ("else", Role::Name),
            ]
        );
        assert_eq!(
            roles("{% set a, b = c %}"),
            [("set", Role::Name), ("a", Role::Assigned), ("b", Role::Assigned), ("c", Role::Name)]
        );
        assert_eq!(roles("{% filter upper %}"), [("filter", Role::Name), ("upper", Role::Filter)]);
        assert_eq!(roles("{# first_name #}"), []);
    }
}
