//! The HTML of a template once more, with its links and a pixel tracked.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::engine::Translation;
use super::links::{self, Link, LinkPart};
use super::marks::{FILTER, Marks, PIXEL, TrackedLink, shown, sign};
use super::names::Names;
use super::scan::Token;
use super::{Body, Compiled, Content, Part, Piece, pieces, source};
use crate::domain::content::tracking::{LinkRules, Tracking};
use crate::domain::ids::LinkNumber;

/// The HTML with what is tracked.
#[derive(Debug)]
pub(super) struct TrackedHtml {
    pub(super) body: Body,
    pub(super) marks: Arc<Marks>,
}

/// Something that is tracked, in the place where it is printed.
#[derive(Debug)]
pub(super) enum Mark {
    /// The address of a link, by its place in [`Marks`]; and what it is computed from, without HTML.
    Link(usize, Vec<Piece>),
    /// The pixel.
    Pixel,
}

impl Compiled {
    /// The same template, ready to be tracked. Only HTML is. `content` and `known_attributes` are those that it was compiled from.
    #[must_use]
    pub fn tracked(
        mut self,
        content: &Content,
        known_attributes: &BTreeSet<String>,
        tracking: Tracking,
        rules: LinkRules,
    ) -> Self {
        let Some(source) = content.html.as_deref().filter(|_| tracking.is_on()) else { return self };
        let names = Names::new(known_attributes).with_literal(&content.literal);
        let tokens = source::cut(Part::Html, source, &names);
        let found = links::find(source, &tokens);
        let mut marks = Marks::new(rules);
        let mut places = Vec::new();
        if tracking.clicks {
            for (number, link) in (1..).map(LinkNumber).zip(found.links) {
                let Some(leads) = marks.leads(&link) else { continue };
                let address = shown(&link);
                let place = marks.push(TrackedLink { number, address }, leads);
                places.push((link.range.clone(), Some((place, link))));
            }
        }
        if tracking.opens && !source.trim().is_empty() {
            places.push((found.pixel_at..found.pixel_at, None));
        }
        places.sort_by_key(|(range, _)| range.start);
        let is_program = self.parts.iter().any(|(part, body)| *part == Part::Html && matches!(body, Body::Program(_)));
        let body = if is_program {
            self.add_tracked_program(&tokens, source.len(), &places)
        } else {
            Some(Body::Pieces(tracked_pieces(&tokens, source.len(), places, &names)))
        };
        self.tracked = body.map(|body| TrackedHtml { body, marks: Arc::new(marks) });
        self
    }

    /// The links that lead through Volley.
    pub fn tracked_links(&self) -> impl Iterator<Item = &TrackedLink> {
        self.tracked.iter().flat_map(|tracked| tracked.marks.links())
    }

    /// `None`: the program is none with what is tracked in it.
    fn add_tracked_program(&mut self, tokens: &[(usize, Token<'_>)], end: usize, places: &[Place<'_>]) -> Option<Body> {
        let opening = |place: usize| format!("{{% filter {FILTER}({place}) %}}");
        let openings: Vec<String> =
            places.iter().map(|(_, link)| opening(link.as_ref().map_or(PIXEL, |(place, _)| *place))).collect();
        let mut marked = Vec::with_capacity(tokens.len() + 3 * places.len());
        let mut from = 0;
        for ((range, _), opening) in places.iter().zip(&openings) {
            marked.extend(cut(tokens, from..range.start));
            marked.push((range.start, Token::Code(opening)));
            marked.extend(cut(tokens, range.clone()));
            marked.push((range.end, Token::Code("{% endfilter %}")));
            from = range.end;
        }
        marked.extend(cut(tokens, from..end));
        let source = Translation::of(&marked).source;
        self.env.add_filter(FILTER, sign);
        self.env.add_template_owned(Part::TRACKED_HTML, source).ok()?;
        let lookups = self.parts.iter().find_map(|(part, body)| match body {
            Body::Program(lookups) if *part == Part::Html => Some(lookups.clone()),
            Body::Program(_) | Body::Pieces(_) => None,
        });
        lookups.map(Body::Program)
    }
}

/// Something that is tracked: its bytes in the source, and the link with its place in [`Marks`]. Without a link it is the pixel.
type Place<'s> = (Range<usize>, Option<(usize, Link<'s>)>);

fn tracked_pieces(tokens: &[(usize, Token<'_>)], end: usize, places: Vec<Place<'_>>, names: &Names<'_>) -> Vec<Piece> {
    let mut all = Vec::new();
    let mut from = 0;
    for (range, link) in places {
        all.extend(pieces(&cut(tokens, from..range.start), names));
        all.push(Piece::Mark(match link {
            None => Mark::Pixel,
            Some((place, link)) => {
                Mark::Link(place, link.parts.iter().flat_map(|part| computed(part, names)).collect())
            }
        }));
        from = range.end;
    }
    all.extend(pieces(&cut(tokens, from..end), names));
    all
}

fn computed(part: &LinkPart<'_>, names: &Names<'_>) -> Vec<Piece> {
    match part {
        LinkPart::Text(text) => vec![Piece::Text(text.clone())],
        LinkPart::Computed(at, token) => pieces(&[(*at, *token)], names),
    }
}

/// The tokens of a range of the source. Text is cut where the range begins and ends; nothing else reaches over that.
fn cut<'s>(tokens: &[(usize, Token<'s>)], range: Range<usize>) -> Vec<(usize, Token<'s>)> {
    let first = tokens.partition_point(|(at, _)| *at <= range.start).saturating_sub(1);
    let mut found = Vec::new();
    for &(at, token) in tokens.iter().skip(first).take_while(|(at, _)| *at < range.end) {
        match token {
            Token::Text(text) => {
                let (from, to) = (range.start.saturating_sub(at), (range.end - at).min(text.len()));
                if let Some(text) = text.get(from..to).filter(|text| !text.is_empty()) {
                    found.push((at + from, Token::Text(text)));
                }
            }
            Token::Field { .. } | Token::Code(_) | Token::Literal(_) if at >= range.start => found.push((at, token)),
            Token::Field { .. } | Token::Code(_) | Token::Literal(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
