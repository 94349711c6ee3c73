//! Placeholders whose signs are written in another way: percent-encoded in an address (`%7Bname%7D`, `%5BEMAIL%5D`), in the full width
//! of East Asian scripts (`｛first_name｝`), as other brackets (`❴name❵`), as entities of HTML (`&#123;name&#125;`), or as escapes of JSON and of
//! programs (`\u007bname\u007d`, `\u{7b}name\u{7d}`, `\173name\175`).

use super::super::scan::{self, Token};
use super::meaning::guess;
use super::{Found, LONGEST, Reader};

/// What it was taken for.
const TAKEN_FOR: &str = "a placeholder with its signs encoded";

/// From U+FF01 to U+FF5E stand the signs and letters of ASCII in full width.
const FULL_WIDTH: std::ops::RangeInclusive<char> = '\u{ff01}'..='\u{ff5e}';

/// The longest entity that is read, in bytes.
const LONGEST_ENTITY: usize = 16;

/// How far the letters of full width are from those of ASCII.
const TO_ASCII: u32 = 0xfee0;

/// Signs that look like those of ASCII.
const ALIKE: &[(char, char)] = &[
    ('﹛', '{'),
    ('﹜', '}'),
    ('❴', '{'),
    ('❵', '}'),
    ('⦃', '{'),
    ('⦄', '}'),
    ('⁅', '['),
    ('⁆', ']'),
    ('⟦', '['),
    ('⟧', ']'),
    ('〚', '['),
    ('〛', ']'),
    ('〔', '['),
    ('〕', ']'),
    ('❲', '['),
    ('❳', ']'),
    ('﹝', '['),
    ('﹞', ']'),
    ('﹪', '%'),
    ('﹩', '$'),
    ('﹟', '#'),
    ('﹡', '*'),
    ('∗', '*'),
    ('｜', '|'),
];

/// Whether a placeholder in other signs can begin with this character.
pub(super) fn is_sign(c: char) -> bool {
    FULL_WIDTH.contains(&c) || alike(c).is_some()
}

/// The sign of ASCII that this one looks like.
fn alike(c: char) -> Option<char> {
    if c.is_ascii() { None } else { ALIKE.iter().find(|(sign, _)| *sign == c).map(|(_, plain)| *plain) }
}

/// The placeholder in other signs that begins at this byte.
pub(super) fn find(reader: &Reader<'_, '_>, at: usize) -> Option<Found> {
    let ahead = reader.ahead(at);
    let second = || ahead.get(ahead.chars().next()?.len_utf8()..).and_then(decoded);
    if !decoded(ahead).or_else(second).is_some_and(|(sign, _)| super::is_sign(sign)) {
        return None;
    }
    let word = reader.word_before(at);
    let plain = Plain::of(word, ahead);
    let text = plain.text.get(word.len()..)?;
    let tokens = scan::tokens(text, reader.names);
    let end = |end: usize| at + plain.origin(end);
    let (start, token) = *tokens.first()?;
    let next = tokens.get(1).map_or(text.len(), |(next, _)| *next);
    match token {
        _ if start > 0 => None,
        Token::Field { name, .. } => {
            Some(Found { range: at..end(next), taken_for: TAKEN_FOR, instead: Some(format!("{{{name}}}")) })
        }
        Token::Code(code) => {
            let inner = code.trim_matches(['{', '}', ' ']);
            Some(Found { range: at..end(next), taken_for: TAKEN_FOR, instead: guess(inner, reader.names) })
        }
        Token::Literal(_) => None,
        Token::Text(_) => {
            let tokens = [(word.len(), Token::Text(text))];
            let source = plain.text.as_str();
            let inside = Reader {
                source,
                last_close: source.rfind('}'),
                tokens: &tokens,
                quiet: Vec::new(),
                names: reader.names,
            };
            let found = inside.at(word.len())?;
            let start = end(found.range.start.checked_sub(word.len())?);
            let end = end(found.range.end.checked_sub(word.len())?);
            Some(Found { range: start..end, taken_for: TAKEN_FOR, instead: found.instead })
        }
    }
}

/// A text with its signs as ASCII has them.
struct Plain {
    /// What stands before, as it is, and then the text.
    text: String,
    /// For each byte of the text, the byte that it was; at last, the end.
    origins: Vec<usize>,
}

impl Plain {
    /// `ahead` up to the end of its line or its word in an address, after `before`.
    fn of(before: &str, ahead: &str) -> Self {
        let mut plain = Self { text: before.to_owned(), origins: Vec::with_capacity(LONGEST) };
        let mut at = 0;
        while let Some(rest) = ahead.get(at..) {
            let Some(c) = rest.chars().next().filter(|c| !c.is_control()) else { break };
            let (c, len) = decoded(rest).unwrap_or((c, c.len_utf8()));
            plain.text.push(c);
            plain.origins.extend(std::iter::repeat_n(at, c.len_utf8()));
            at += len;
        }
        plain.origins.push(at);
        plain
    }

    /// The byte that a byte of the text was, counted from its beginning.
    fn origin(&self, at: usize) -> usize {
        self.origins.get(at).or(self.origins.last()).copied().unwrap_or_default()
    }
}

/// The character of ASCII that `text` begins with in another spelling, and the length of that.
fn decoded(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    if FULL_WIDTH.contains(&first) {
        return char::from_u32(u32::from(first).checked_sub(TO_ASCII)?).map(|c| (c, first.len_utf8()));
    }
    if let Some(plain) = alike(first) {
        return Some((plain, first.len_utf8()));
    }
    match first {
        '%' => of_hex(text.get(1..3)?).map(|c| (c, 3)),
        '\\' => {
            let digits = text.strip_prefix("\\u").and_then(|rest| rest.get(..4)?.strip_prefix("00"));
            let of_unicode = digits.and_then(of_hex).map(|c| (c, 6));
            let of_byte = || of_hex(text.strip_prefix("\\x")?.get(..2)?).map(|c| (c, 4));
            of_unicode.or_else(of_byte).or_else(|| of_rust(text)).or_else(|| of_octal(text))
        }
        '&' => entity(text.get(1..)?).map(|(c, len)| (c, len + 1)),
        _ => None,
    }
}

/// `\u{7b}`.
fn of_rust(text: &str) -> Option<(char, usize)> {
    let (digits, _) = text.get(..text.floor_char_boundary(LONGEST_ENTITY))?.strip_prefix("\\u{")?.split_once('}')?;
    let digits = digits.trim_start_matches('0');
    of_hex(digits).map(|c| (c, text.find('}').unwrap_or_default() + 1))
}

/// `\173`.
fn of_octal(text: &str) -> Option<(char, usize)> {
    let digits =
        text.strip_prefix('\\')?.get(..3).filter(|digits| digits.bytes().all(|b| (b'0'..=b'7').contains(&b)))?;
    seen(u32::from_str_radix(digits, 8).ok()?).map(|c| (c, 4))
}

/// Two hexadecimal digits of a character of ASCII that is seen.
fn of_hex(digits: &str) -> Option<char> {
    let code = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    seen(u32::from_str_radix(code, 16).ok()?)
}

/// What an entity stands for, without its `&`, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    let near = text.get(..text.floor_char_boundary(LONGEST_ENTITY)).unwrap_or_default();
    with_semicolon(near).or_else(|| without_semicolon(near))
}

fn with_semicolon(text: &str) -> Option<(char, usize)> {
    let (name, _) = text.split_once(';')?;
    let c = match name {
        "lbrace" | "lcub" => '{',
        "rbrace" | "rcub" => '}',
        "lbrack" | "lsqb" => '[',
        "rbrack" | "rsqb" => ']',
        "percnt" => '%',
        "ast" => '*',
        "vert" | "verbar" | "VerticalLine" => '|',
        "dollar" => '$',
        "lowbar" => '_',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            seen(code.ok()?)?
        }
    };
    Some((c, name.len() + 1))
}

/// `#123`, which browsers take for an entity also where its `;` is missing.
fn without_semicolon(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix('#')?;
    let digits = digits.get(..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()))?;
    seen(digits.parse().ok()?).map(|c| (c, digits.len() + 1))
}

/// The character of ASCII with this code, if it is one that is seen.
fn seen(code: u32) -> Option<char> {
    char::from_u32(code).filter(|c| c.is_ascii_graphic() || *c == ' ')
}
