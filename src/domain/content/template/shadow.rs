//! A template as an HTML tokenizer can read it: each placeholder and each piece of code is one character, so that quotes and brackets in
//! them do not disturb it.

use std::collections::HashSet;

use super::scan::Token;

/// A template with one character for each placeholder.
pub(super) struct Shadow<'t, 's> {
    pub(super) text: String,
    /// What stands for a placeholder.
    pub(super) hole: char,
    /// Byte in the text and in the source, and the token that is there; at last, the ends.
    pub(super) marks: Vec<(usize, usize, Option<&'t Token<'s>>)>,
}

impl<'t, 's> Shadow<'t, 's> {
    /// `None`: the source has every character that could stand for a placeholder.
    pub(super) fn of(source: &str, tokens: &'t [(usize, Token<'s>)]) -> Option<Self> {
        // Characters for private use, which HTML leaves as they are.
        let private = '\u{e000}'..='\u{f8ff}';
        let taken: HashSet<char> = source.chars().filter(|c| private.contains(c)).collect();
        let hole = private.clone().find(|hole| !taken.contains(hole))?;
        let mut shadow = Self { text: String::with_capacity(source.len()), hole, marks: Vec::new() };
        for (at, token) in tokens {
            shadow.marks.push((shadow.text.len(), *at, Some(token)));
            match token {
                Token::Text(text) => shadow.text.push_str(text),
                Token::Field { .. } | Token::Code(_) | Token::Literal(_) => shadow.text.push(hole),
            }
        }
        shadow.marks.push((shadow.text.len(), source.len(), None));
        Some(shadow)
    }

    /// The byte of the source that a byte of the text is.
    pub(super) fn origin(&self, at: usize) -> usize {
        let after = self.marks.partition_point(|(here, _, _)| *here <= at);
        after.checked_sub(1).and_then(|index| self.marks.get(index)).map_or(0, |(here, origin, _)| origin + (at - here))
    }
}
