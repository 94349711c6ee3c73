//! Where in HTML a brace is no business of a template: in styles, scripts, comments, and attributes that hold code.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::Range;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::scan::Token;
use super::shadow::Shadow;

/// Attributes that hold styles, names for them, or conditions of a screen.
const CODE_ATTRIBUTES: &[&str] = &["class", "id", "media", "style"];

/// How the names of attributes begin that hold a program or its data.
const CODE_PREFIXES: &[&str] = &["@", ":", "data-", "on", "v-", "x-"];

/// How deep conditional comments may stand in one another.
const MOST_COMMENTS: usize = 4;

/// The ranges of `source`, which was cut into `tokens`, where only a name that contacts have is a placeholder, and everything else is
/// as it stands. In order. `<!--[if mso]>` is no such range: Outlook shows what is in it.
pub(super) fn quiet(source: &str, tokens: &[(usize, Token<'_>)]) -> Vec<Range<usize>> {
    let Some(shadow) = Shadow::of(source, tokens) else { return Vec::new() };
    let mut found = Vec::new();
    look(&shadow.text, 0, MOST_COMMENTS, &mut found);
    found.into_iter().map(|range| shadow.origin(range.start)..shadow.origin(range.end)).collect()
}

/// Whether a byte is in one of these ranges, which are in order.
pub(super) fn is_in(ranges: &[Range<usize>], at: usize) -> bool {
    ranges.get(ranges.partition_point(|range| range.end <= at)).is_some_and(|range| range.contains(&at))
}

/// Adds the ranges of `text`, which begins at byte `base`.
fn look(text: &str, base: usize, depth: usize, found: &mut Vec<Range<usize>>) {
    let walk = RefCell::new(Walk::default());
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| {
        walk.borrow_mut().take(&event, span.start..span.end);
        None::<Infallible>
    });
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(text, emitter).finish();
    for piece in walk.into_inner().found {
        match piece {
            Piece::Code(range) => found.push(base + range.start..base + range.end),
            Piece::Comment(range) => {
                let comment = text.get(range.clone()).unwrap_or_default();
                match shown_by_outlook(comment) {
                    Some(inside) if depth > 0 => {
                        let inner = comment.get(inside..).unwrap_or_default();
                        look(inner, base + range.start + inside, depth - 1, found);
                    }
                    // `<?` and `</ ` are comments to a browser, and a tag of another product to their author.
                    None if !comment.starts_with("<!--") => {}
                    Some(_) | None => found.push(base + range.start..base + range.end),
                }
            }
        }
    }
}

/// Where the HTML of a conditional comment (`<!--[if mso]>`) begins.
fn shown_by_outlook(comment: &str) -> Option<usize> {
    let condition = comment.strip_prefix("<!--")?.trim_start();
    let is_condition = condition.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("[if"));
    is_condition.then(|| comment.find("]>").map(|end| end + 2)).flatten()
}

/// A range that may hold something else than text.
enum Piece {
    Code(Range<usize>),
    Comment(Range<usize>),
}

#[derive(Default)]
struct Walk {
    found: Vec<Piece>,
    /// Whether the tag that is open, or the element, holds a style or a script.
    is_code: bool,
    /// Whether the attribute holds code.
    in_code_attribute: bool,
}

impl Walk {
    fn take(&mut self, event: &CallbackEvent<'_>, span: Range<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => self.is_code = *name == b"style" || *name == b"script",
            CallbackEvent::AttributeName { name } => {
                self.in_code_attribute = holds_code(&String::from_utf8_lossy(name))
            }
            CallbackEvent::AttributeValue { .. } if self.in_code_attribute => self.found.push(Piece::Code(span)),
            CallbackEvent::String { .. } if self.is_code => self.found.push(Piece::Code(span)),
            CallbackEvent::Comment { .. } => self.found.push(Piece::Comment(span)),
            CallbackEvent::EndTag { .. } => self.is_code = false,
            CallbackEvent::AttributeValue { .. }
            | CallbackEvent::String { .. }
            | CallbackEvent::CloseStartTag { .. }
            | CallbackEvent::Doctype { .. }
            | CallbackEvent::Error(_) => {}
        }
    }
}

fn holds_code(attribute: &str) -> bool {
    CODE_ATTRIBUTES.contains(&attribute) || CODE_PREFIXES.iter().any(|prefix| attribute.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::names::Names;
    use super::super::scan;
    use super::*;

    fn found(source: &str) -> Vec<&str> {
        let known = BTreeSet::new();
        let tokens = scan::tokens(source, &Names::new(&known));
        quiet(source, &tokens).into_iter().map(|range| &source[range]).collect()
    }

    #[test]
    fn styles_scripts_comments_and_attributes_of_code_are_quiet() {
        for (source, expected) in [
            ("<style>a{b:c}</style><p>{x}", vec!["a{b:c}"]),
            ("<script type=a>f({first_name});</script>{y}", vec!["f({first_name});"]),
            ("a<!-- {x} -->b", vec!["<!-- {x} -->"]),
            ("<a href='{first_name}' style=\"a:{b}\" onclick='f({c})' title='{d}'>", vec!["a:{b}", "f({c})"]),
            ("<title>{x}</title><textarea>{y}</textarea>", vec![]),
            ("ä {first_name} <style>ü{first_name}\r\n</style> {z}", vec!["ü{first_name}\r\n"]),
            ("<!--[if mso]><p>{x}</p><style>m{n:o}</style><![endif]-->", vec!["m{n:o}"]),
            ("<?php echo $name ?><p>", vec![]),
        ] {
            assert_eq!(found(source), expected, "{source}");
        }
    }
}
