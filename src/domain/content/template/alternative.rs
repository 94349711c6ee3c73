//! A text made from HTML, for readers and filters that look at the text.
//!
//! It is made from the template, once, and not from each message: placeholders and code keep their places in it. So it is read by a
//! tokenizer and not by a parser, which would move code that stands between the rows of a table.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::Range;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::names::Names;
use super::scan::{Token, raw_text};
use super::shadow::Shadow;
use super::{Body, Compiled, Part, pieces, source};

/// A piece of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made<'s> {
    /// As it is.
    Text(String),
    /// A placeholder or code of the HTML, with its byte there.
    Token(usize, Token<'s>),
}

/// The pieces as tokens. With `is_program`, a brace in a text is none of the language's.
fn as_tokens<'m>(made: &'m [Made<'m>], is_program: bool) -> Vec<(usize, Token<'m>)> {
    let mut tokens = Vec::with_capacity(made.len());
    let mut at = 0;
    for piece in made {
        match piece {
            Made::Token(place, token) => {
                at = *place;
                tokens.push((at, *token));
            }
            Made::Text(text) if is_program => {
                for (place, plain) in text.split('{').enumerate() {
                    if place > 0 {
                        tokens.push((at, Token::Code("{{ '{' }}")));
                    }
                    tokens.push((at, Token::Text(plain)));
                }
            }
            Made::Text(text) => tokens.push((at, Token::Text(text))),
        }
    }
    tokens
}

/// Elements whose contents nobody reads.
const UNREAD: &[&[u8]] = &[b"head", b"noscript", b"script", b"style", b"template", b"title"];

/// Elements that begin and end a paragraph.
const PARAGRAPHS: &[&[u8]] = &[
    b"blockquote",
    b"center",
    b"dl",
    b"fieldset",
    b"figure",
    b"form",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"hr",
    b"ol",
    b"p",
    b"pre",
    b"table",
    b"ul",
];

/// Elements that begin and end a line.
const LINES: &[&[u8]] = &[
    b"address",
    b"article",
    b"aside",
    b"caption",
    b"dd",
    b"div",
    b"dt",
    b"figcaption",
    b"footer",
    b"header",
    b"li",
    b"main",
    b"nav",
    b"section",
    b"tbody",
    b"tfoot",
    b"thead",
    b"tr",
];

/// The text of `source`, HTML that was cut into `tokens`. Empty where nobody would read anything.
pub(super) fn text_of<'s>(source: &str, tokens: &[(usize, Token<'s>)]) -> Vec<Made<'s>> {
    let Some(shadow) = Shadow::of(source, tokens) else { return Vec::new() };
    let writer = RefCell::new(Writer::new(&shadow));
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| {
        writer.borrow_mut().take(&event, span.start..span.end);
        None::<Infallible>
    });
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(shadow.text.as_str(), emitter).finish();
    writer.into_inner().finish()
}

impl Compiled {
    /// Makes the text of a template that has HTML alone.
    pub(super) fn add_alternative(&mut self, html: &str, names: &Names<'_>) {
        let tokens = source::cut(Part::Html, html, names);
        let made = text_of(html, &tokens);
        if made.is_empty() {
            return;
        }
        let is_code = |piece: &Made<'_>| matches!(piece, Made::Token(_, token) if token.code().is_some_and(|code| raw_text(code).is_none()));
        let is_program = made.iter().any(is_code);
        let tokens = as_tokens(&made, is_program);
        let body = if is_program {
            // The HTML has been read before, with the same code. A text that could not be made is none, and no error of the author's.
            match self.add_program(Part::Text, html, &tokens, names) {
                Ok(uses) => Body::Program(uses.roots()),
                Err(_no_program) => return,
            }
        } else {
            Body::Pieces(pieces(&tokens, names))
        };
        self.parts.retain(|(part, _)| *part != Part::Text);
        self.parts.push((Part::Text, body));
    }
}

/// What goes between the last word and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Blank,
    Line,
    Paragraph,
}

struct Writer<'t, 's> {
    shadow: &'t Shadow<'t, 's>,
    made: Vec<Made<'s>>,
    /// What is to go before the next word, at least.
    gap: Gap,
    /// What of it is already there.
    written: Gap,
    says_something: bool,
    /// The elements that are open and that nobody reads.
    unread: usize,
    /// The elements `pre` that are open: lines stay lines in them.
    preformatted: usize,
    /// How much of the code has been passed on, in places of the shadow's marks.
    passed: usize,
    tag: Tag<'s>,
    /// The address of the link that is open, and where its words begin.
    link: Option<(Vec<Made<'s>>, usize)>,
    /// Whether an address has just been written: a word that follows must not become a part of it.
    after_address: bool,
}

/// The tag that is being read.
#[derive(Default)]
struct Tag<'s> {
    name: Vec<u8>,
    attribute: Vec<u8>,
    href: Option<Vec<Made<'s>>>,
    alt: Option<Vec<Made<'s>>>,
}

impl<'t, 's> Writer<'t, 's> {
    fn new(shadow: &'t Shadow<'t, 's>) -> Self {
        Self {
            shadow,
            made: Vec::new(),
            gap: Gap::None,
            written: Gap::Paragraph,
            says_something: false,
            unread: 0,
            preformatted: 0,
            passed: 0,
            tag: Tag::default(),
            link: None,
            after_address: false,
        }
    }

    fn take(&mut self, event: &CallbackEvent<'_>, span: Range<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.pass_code(span.start);
                self.tag = Tag { name: name.to_vec(), ..Tag::default() };
            }
            CallbackEvent::AttributeName { name } => self.tag.attribute = name.to_vec(),
            CallbackEvent::AttributeValue { value } => {
                let value = self.pieces(&String::from_utf8_lossy(value), &span);
                match self.tag.attribute.as_slice() {
                    b"href" if self.tag.href.is_none() => self.tag.href = Some(value),
                    b"alt" if self.tag.alt.is_none() => self.tag.alt = Some(value),
                    _ => {}
                }
            }
            CallbackEvent::CloseStartTag { self_closing } => {
                self.pass_code(span.end);
                self.open(*self_closing);
            }
            CallbackEvent::EndTag { name } => {
                self.pass_code(span.end);
                self.close(name);
            }
            CallbackEvent::String { value } => {
                if self.unread == 0 {
                    self.write(&String::from_utf8_lossy(value), &span);
                } else {
                    self.pass_code(span.end);
                }
            }
            CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } => self.pass_code(span.end),
            CallbackEvent::Error(_) => {}
        }
    }

    fn open(&mut self, self_closing: bool) {
        let Tag { name, href, alt, .. } = std::mem::take(&mut self.tag);
        self.begin(&name);
        match name.as_slice() {
            // A head need not be closed.
            b"body" => self.unread = 0,
            name if UNREAD.contains(&name) && !self_closing => self.unread += 1,
            _ if self.unread > 0 => {}
            b"pre" => self.preformatted += 1,
            b"li" => {
                self.word("- ");
                // A paragraph in it begins on the same line.
                self.written = Gap::Paragraph;
            }
            b"hr" => {
                self.word("----");
                self.widen(Gap::Paragraph);
            }
            b"td" | b"th" => self.widen(Gap::Blank),
            b"img" => self.phrase(alt.unwrap_or_default()),
            b"a" => {
                // A link within a link ends the first one (HTML, 13.2.6.4.7).
                self.close_link();
                self.link = Some((href.unwrap_or_default(), self.made.len()));
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &[u8]) {
        if UNREAD.contains(&name) {
            self.unread = self.unread.saturating_sub(1);
        } else if self.unread == 0 && name == b"a" {
            self.close_link();
        } else if self.unread == 0 && name == b"pre" {
            self.preformatted = self.preformatted.saturating_sub(1);
        }
        self.begin(name);
    }

    /// The gap that an element makes at its beginning and at its end.
    fn begin(&mut self, name: &[u8]) {
        if PARAGRAPHS.contains(&name) {
            self.widen(Gap::Paragraph);
        } else if LINES.contains(&name) {
            self.widen(Gap::Line);
        } else if name == b"br" {
            let gap = if self.gap == Gap::Line { Gap::Paragraph } else { Gap::Line };
            self.widen(gap);
        }
    }

    /// The address of a link after its words, unless they are the same, or it leads nowhere.
    fn close_link(&mut self) {
        let Some((address, from)) = self.link.take() else { return };
        let words = self.made.get(from..).unwrap_or_default();
        let leads = plain(&address);
        let is_same = |shown: &str| {
            let begins =
                leads.find(shown).filter(|_| leads.trim_end_matches('/').ends_with(shown.trim_end_matches('/')));
            begins.is_some_and(|at| at == 0 || leads.get(..at).is_some_and(|before| before.ends_with(['/', ':'])))
        };
        let shown = plain(words);
        let is_nowhere = leads.is_empty() || leads.starts_with('#') || leads.starts_with("javascript:");
        if is_nowhere || (!shown.is_empty() && is_same(&shown)) {
            return;
        }
        let is_bare = shown.is_empty();
        let mut phrase = address;
        if !is_bare {
            phrase.insert(0, Made::Text("(".to_owned()));
            phrase.push(Made::Text(")".to_owned()));
            self.widen(Gap::Blank);
        }
        self.phrase(phrase);
        self.after_address = true;
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// Writes what is missing of the gap.
    fn fill(&mut self) {
        let missing = match (self.written, self.gap) {
            (written, gap) if gap <= written => "",
            (_, Gap::None) => "",
            (_, Gap::Blank) => " ",
            (_, Gap::Line) | (Gap::Line, Gap::Paragraph) => "\n",
            (_, Gap::Paragraph) => "\n\n",
        };
        self.push(missing);
        self.written = self.written.max(self.gap);
        self.gap = Gap::None;
    }

    /// Writes the gap before a word.
    fn fill_for_word(&mut self) {
        self.fill();
        (self.written, self.says_something, self.after_address) = (Gap::None, true, false);
    }

    fn push(&mut self, text: &str) {
        // The words of a link begin with a piece of their own.
        let is_inside = self.link.as_ref().is_none_or(|(_, from)| *from < self.made.len());
        match self.made.last_mut() {
            _ if text.is_empty() => {}
            Some(Made::Text(last)) if is_inside => last.push_str(text),
            _ => self.made.push(Made::Text(text.to_owned())),
        }
    }

    fn word(&mut self, word: &str) {
        if self.after_address && word.starts_with(char::is_alphanumeric) {
            self.widen(Gap::Blank);
        }
        self.fill_for_word();
        self.push(word);
    }

    /// Text with blanks as HTML reads them: any number is one.
    fn words(&mut self, text: &str) {
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}');
        if text.starts_with(is_blank) {
            self.widen(Gap::Blank);
        }
        for (place, word) in text.split(is_blank).filter(|word| !word.is_empty()).enumerate() {
            if place > 0 {
                self.widen(Gap::Blank);
            }
            // Preheaders are padded with signs that nobody sees.
            let word: String = word
                .chars()
                .filter(|c| !matches!(c, '\u{200b}' | '\u{200c}' | '\u{ad}' | '\u{34f}' | '\u{feff}'))
                .collect();
            let word = word.replace('\u{a0}', " ");
            if word.trim().is_empty() {
                self.widen(Gap::Blank);
            } else {
                self.word(&word);
            }
        }
        if text.ends_with(is_blank) {
            self.widen(Gap::Blank);
        }
    }

    /// Text whose blanks and lines stay as they are.
    fn lines(&mut self, text: &str) {
        for (place, line) in text.split('\n').enumerate() {
            if place > 0 {
                self.begin(b"br");
            }
            let words = line.trim_end();
            if !words.is_empty() {
                self.word(words);
            }
            if words.len() < line.trim_end_matches('\r').len() {
                self.widen(Gap::Blank);
            }
        }
    }

    fn phrase(&mut self, pieces: Vec<Made<'s>>) {
        if self.unread > 0 {
            return;
        }
        for piece in pieces {
            match piece {
                Made::Text(text) if self.preformatted > 0 => self.lines(&text),
                Made::Text(text) => self.words(&text),
                Made::Token(at, token) => self.token(at, token),
            }
        }
    }

    /// A placeholder counts as a word. Before a tag of the language the gap is written, so that a loop repeats what is between its rows.
    fn token(&mut self, at: usize, token: Token<'s>) {
        if matches!(token, Token::Code(code) if code.starts_with("{%") && raw_text(code).is_none() || code.starts_with("{#"))
        {
            self.fill();
        } else {
            if self.after_address {
                self.widen(Gap::Blank);
            }
            self.fill_for_word();
        }
        self.made.push(Made::Token(at, token));
    }

    fn write(&mut self, value: &str, span: &Range<usize>) {
        let pieces = self.pieces(value, span);
        self.phrase(pieces);
    }

    /// A value cut where it has placeholders. Those before it are passed on.
    fn pieces(&mut self, value: &str, span: &Range<usize>) -> Vec<Made<'s>> {
        self.pass_code(span.start);
        let mut pieces = Vec::new();
        for (place, text) in value.split(self.shadow.hole).enumerate() {
            if place > 0
                && let Some((at, token)) = self.next_token(span.end)
            {
                pieces.push(Made::Token(at, token));
            }
            if !text.is_empty() {
                pieces.push(Made::Text(text.to_owned()));
            }
        }
        pieces
    }

    /// The next placeholder or code before a byte of the shadow.
    fn next_token(&mut self, end: usize) -> Option<(usize, Token<'s>)> {
        while let Some((_, at, token)) = self.shadow.marks.get(self.passed).filter(|(here, _, _)| *here < end) {
            self.passed += 1;
            if let Some(token @ (Token::Field { .. } | Token::Code(_) | Token::Literal(_))) = token {
                return Some((*at, **token));
            }
        }
        None
    }

    /// Passes on the tags of the template language before a byte of the shadow, from places that nobody reads: what they set may be used
    /// later.
    fn pass_code(&mut self, end: usize) {
        while let Some((at, token)) = self.next_token(end) {
            if matches!(token, Token::Code(code) if code.starts_with("{%") && raw_text(code).is_none()) {
                self.token(at, token);
            }
        }
    }

    fn finish(mut self) -> Vec<Made<'s>> {
        self.pass_code(usize::MAX);
        if !self.says_something {
            return Vec::new();
        }
        self.gap = Gap::Line;
        self.fill();
        self.made
    }
}

/// What the pieces say, with a sign for each placeholder.
fn plain(pieces: &[Made<'_>]) -> String {
    let one = |piece: &Made<'_>| match piece {
        Made::Text(text) => text.clone(),
        Made::Token(_, Token::Field { name, .. }) => format!("{{{name}}}"),
        Made::Token(at, _) => format!("{{{at}}}"),
    };
    pieces.iter().map(one).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
