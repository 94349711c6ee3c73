//! What a reader sees of HTML.

use super::alternative::{Made, text_of};
use super::scan::Token;

/// HTML as its reader sees it: tags are gone and entities are read.
pub(super) struct Seen<'s> {
    pub(super) text: String,
    /// Where each piece begins, and the token that it is.
    pieces: Vec<(usize, Option<Token<'s>>)>,
}

impl<'s> Seen<'s> {
    /// What a reader sees of `source`, HTML that was cut into `tokens`. Each token stands in it as `…`.
    pub(super) fn of(source: &str, tokens: &[(usize, Token<'s>)]) -> Self {
        let mut seen = Self { text: String::new(), pieces: Vec::new() };
        for piece in text_of(source, tokens) {
            let start = seen.text.len();
            match piece {
                Made::Text(text) => {
                    seen.pieces.push((start, None));
                    seen.text.push_str(&text);
                }
                Made::Token(_, token) => {
                    seen.pieces.push((start, Some(token)));
                    seen.text.push('…');
                }
            }
        }
        seen
    }

    /// The text, cut again. What is code was looked at where it stands.
    pub(super) fn tokens(&self) -> Vec<(usize, Token<'_>)> {
        let ends = self.pieces.iter().skip(1).map(|(start, _)| *start).chain([self.text.len()]);
        let token = |((start, token), end): (&(usize, Option<Token<'s>>), usize)| match token {
            Some(Token::Field { name, .. }) => (*start, Token::Field { name, fallback: None }),
            Some(Token::Code(_) | Token::Text(_) | Token::Literal(_)) => {
                (*start, Token::Field { name: "name", fallback: None })
            }
            None => (*start, Token::Text(self.text.get(*start..end).unwrap_or_default())),
        };
        self.pieces.iter().zip(ends).map(token).collect()
    }
}
