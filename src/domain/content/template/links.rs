//! The links of an HTML template, and the place of its pixel: found once, when it is compiled, by an HTML tokenizer.
//!
//! What stands in comments, scripts and `{% raw %}` is no link.

use std::cell::RefCell;
use std::convert::Infallible;
use std::ops::Range;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::provided::ProvidedName;
use super::scan::Token;
use super::shadow::Shadow;

/// The most links that one template has; those beyond stay as they are.
const MOST_LINKS: usize = 500;

/// A link as its template has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link<'s> {
    /// The bytes of the address in the source, without quotes.
    pub(super) range: Range<usize>,
    /// The address: text without its HTML, and what is computed.
    pub(super) parts: Vec<LinkPart<'s>>,
}

/// A piece of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LinkPart<'s> {
    /// As a browser reads it: entities are decoded.
    Text(String),
    /// A placeholder, or an expression of the template language; with its byte in the source.
    Computed(usize, Token<'s>),
}

/// What there is to track in a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'s> {
    /// The links, in their order.
    pub(super) links: Vec<Link<'s>>,
    /// The byte before which the pixel stands: the last `</body>`, else the end.
    pub(super) pixel_at: usize,
}

/// Finds the links of `source`, which was cut into `tokens`.
pub(super) fn find<'s>(source: &str, tokens: &[(usize, Token<'s>)]) -> Found<'s> {
    let Some(shadow) = Shadow::of(source, tokens) else {
        return Found { links: Vec::new(), pixel_at: source.len() };
    };
    let Seen { hrefs, body_end, .. } = see(&shadow.text);
    let links = hrefs.into_iter().filter_map(|(span, value)| shadow.link(span, &value)).take(MOST_LINKS).collect();
    Found { links, pixel_at: body_end.map_or(source.len(), |at| shadow.origin(at)) }
}

impl<'s> Shadow<'_, 's> {
    /// The link that an attribute is, unless it has something in it that is no address.
    fn link(&self, span: Range<usize>, value: &str) -> Option<Link<'s>> {
        // The tokenizer reads line ends as one character, and its spans must still fit.
        if decoded(self.text.get(span.clone())?) != value {
            return None;
        }
        let mut holes = self.marks.iter().filter(|(here, _, token)| {
            span.contains(here) && matches!(token, Some(Token::Field { .. } | Token::Code(_) | Token::Literal(_)))
        });
        let mut parts = Vec::new();
        for (place, text) in value.split(self.hole).enumerate() {
            if place > 0 {
                // A character reference may spell the same character.
                let (_, origin, token) = holes.next()?;
                parts.push(LinkPart::Computed(*origin, **token.as_ref()?));
            }
            if !text.is_empty() {
                parts.push(LinkPart::Text(text.to_owned()));
            }
        }
        let is_address = |part: &LinkPart<'_>| match part {
            LinkPart::Text(_) => true,
            LinkPart::Computed(_, Token::Field { name, .. }) => !is_way_out(name),
            LinkPart::Computed(_, Token::Code(code)) => code.starts_with("{{") && !is_way_out(code),
            LinkPart::Computed(_, Token::Literal(_)) => true,
            LinkPart::Computed(_, Token::Text(_)) => false,
        };
        let is_link = holes.next().is_none() && parts.iter().all(is_address);
        is_link.then(|| Link { range: self.origin(span.start)..self.origin(span.end), parts })
    }
}

/// Whether this is, or may be, a link by which a recipient says no: it is never tracked.
fn is_way_out(code: &str) -> bool {
    [ProvidedName::UnsubscribeUrl, ProvidedName::PreferencesUrl].iter().any(|name| code.contains(name.as_str()))
}

/// What the tokenizer has seen.
#[derive(Default)]
struct Seen {
    /// Where the addresses of links are, without quotes, and what they say.
    hrefs: Vec<(Range<usize>, String)>,
    /// The last `</body>`.
    body_end: Option<usize>,
    /// Whether a link's tag is open.
    in_link: bool,
    /// Whether the attribute is the address.
    in_href: bool,
    /// The first address of the open tag: those beyond it do not count.
    href: Option<(Range<usize>, String)>,
    has_href: bool,
}

impl Seen {
    fn take(&mut self, event: &CallbackEvent<'_>, span: Span<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                *self = Self {
                    hrefs: std::mem::take(&mut self.hrefs),
                    body_end: self.body_end,
                    in_link: *name == b"a" || *name == b"area",
                    ..Self::default()
                };
            }
            CallbackEvent::AttributeName { name } => {
                self.in_href = self.in_link && *name == b"href" && !self.has_href;
                self.has_href |= self.in_href;
            }
            CallbackEvent::AttributeValue { value } => {
                if self.in_href {
                    self.href = Some((span.start..span.end, String::from_utf8_lossy(value).into_owned()));
                    self.in_href = false;
                }
            }
            CallbackEvent::CloseStartTag { .. } => {
                self.hrefs.extend(self.href.take());
                self.in_link = false;
            }
            CallbackEvent::EndTag { name } => {
                self.in_link = false;
                if *name == b"body" {
                    self.body_end = Some(span.start);
                }
            }
            CallbackEvent::String { .. }
            | CallbackEvent::Comment { .. }
            | CallbackEvent::Doctype { .. }
            | CallbackEvent::Error(_) => {}
        }
    }
}

fn see(text: &str) -> Seen {
    let seen = RefCell::new(Seen::default());
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| {
        seen.borrow_mut().take(&event, span);
        None::<Infallible>
    });
    // Scripts, styles and titles hold text, whatever it looks like.
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(text, emitter).finish();
    seen.into_inner()
}

/// The value of an attribute, as a browser reads it.
pub(super) fn decoded(value: &str) -> String {
    if !value.contains(['&', '\r', '\0']) {
        return value.to_owned();
    }
    let tag = format!("<a href=\"{}\">", value.replace('"', "&quot;"));
    see(&tag).hrefs.pop().map_or_else(String::new, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::collections::BTreeSet;

    use super::super::names::Names;
    use super::super::scan;
    use super::*;

    /// The links of a source: each with what stands there, and its address with `…` for what is computed.
    fn links(source: &str) -> Vec<(String, String)> {
        let known = BTreeSet::new();
        let tokens = scan::tokens(source, &Names::new(&known));
        let text = |part: &LinkPart<'_>| match part {
            LinkPart::Text(text) => text.clone(),
            LinkPart::Computed(..) => "…".to_owned(),
        };
        let links = find(source, &tokens).links.into_iter();
        links.map(|link| (source[link.range.clone()].to_owned(), link.parts.iter().map(text).collect())).collect()
    }

    fn addresses(source: &str) -> Vec<String> {
        links(source).into_iter().map(|(_, address)| address).collect()
    }

    #[test]
    fn a_link_is_found_however_it_is_quoted_and_its_entities_are_decoded() {
        for (source, raw, address) in [
            (
                r#"<a href="https://a.example/?b=1&amp;c=2">"#,
                "https://a.example/?b=1&amp;c=2",
                "https://a.example/?b=1&c=2",
            ),
            (r#"<a href='https://a.example/"x"'>"#, r#"https://a.example/"x""#, r#"https://a.example/"x""#),
            ("<a href=https://a.example/?b=1&c=2>", "https://a.example/?b=1&c=2", "https://a.example/?b=1&c=2"),
            ("<A\n  CLASS=x HREF = \"https://a.example/\"\n>", "https://a.example/", "https://a.example/"),
            ("<area href='https://a.example/'/>", "https://a.example/", "https://a.example/"),
            ("<a href=\"&#104;ttps&#x3a;//a.example/\">", "&#104;ttps&#x3a;//a.example/", "https://a.example/"),
            (
                "<a href=\"https://a.example/?a=1&copy=2\">",
                "https://a.example/?a=1&copy=2",
                "https://a.example/?a=1&copy=2",
            ),
            (
                "<p title='<a href=\"https://b.example/\">'><a href='https://a.example/'>",
                "https://a.example/",
                "https://a.example/",
            ),
            ("<a href='https://a.example/' href='https://b.example/'>", "https://a.example/", "https://a.example/"),
            ("a < b <a\thref=\"https://a.example/ä\">ä</a>", "https://a.example/ä", "https://a.example/ä"),
            ("<p>\r\n<a class='b'\r\n href='https://a.example/'\r\n>", "https://a.example/", "https://a.example/"),
            (
                "<a href='https://a.example/{{ x|default('>') }}/y'>",
                "https://a.example/{{ x|default('>') }}/y",
                "https://a.example/…/y",
            ),
            ("<a {{ x }} href='{first_name}'>", "{first_name}", "…"),
            (
                "<a href=\"https://a.example/{{ x }}{y|&quot;}\">",
                "https://a.example/{{ x }}{y|&quot;}",
                "https://a.example/……",
            ),
        ] {
            assert_eq!(links(source), [(raw.to_owned(), address.to_owned())], "{source}");
        }
    }

    #[test]
    fn what_only_looks_like_a_link_is_none() {
        for source in [
            "<!-- <a href='https://a.example/'> -->",
            "<!--[if mso]><a href='https://a.example/'><![endif]-->",
            "{# <a href='https://a.example/'> #}",
            "{% raw %}<a href='https://a.example/'>{% endraw %}",
            "<script>\"<a href='https://a.example/'>\"</script>",
            "<style><a href='https://a.example/'></style>",
            "<title><a href='https://a.example/'></title>",
            "<textarea><a href='https://a.example/'></textarea>",
            "<img src='https://a.example/'>",
            "<abbr href='https://a.example/'>",
            "</a href='https://a.example/'>",
            "<a data-href='https://a.example/'>",
            "<a href>",
            "<a href=''>",
            "<a href='https://a.example/'",
            "<a href='{{ unsubscribe_url }}'>",
            "<a href='{unsubscribe_url}#{{ first_name }}'>",
            "<a href='https://a.example/?next={{ preferences_url|urlencode }}'>",
            "<a href='{% if x %}https://a.example/{% endif %}'>",
            "<a href='https://a.example/{# x #}'>",
        ] {
            assert_eq!(links(source), [], "{source}");
        }
    }

    #[test]
    fn a_character_that_stands_for_a_placeholder_is_no_placeholder() {
        assert_eq!(addresses("<a href='https://a.example/\u{e000}{x}'>"), ["https://a.example/\u{e000}…"]);
        assert_eq!(addresses("<a href='https://a.example/&#xe000;'>"), Vec::<String>::new());
        assert_eq!(addresses("<a href='https://a.example/&#xe000;{x}'>"), Vec::<String>::new());
    }

    #[test]
    fn the_pixel_stands_before_the_end_of_the_body() {
        for (source, before) in [
            ("<body>a</body></html>", "</body></html>"),
            ("<BODY>{x}a</BODY >", "</BODY >"),
            ("<body>a<!-- </body> -->", ""),
            ("<body></body>a</body>", "</body>"),
            ("a", ""),
            ("", ""),
        ] {
            assert_eq!(
                &source[find(source, &scan::tokens(source, &Names::new(&BTreeSet::new()))).pixel_at..],
                before,
                "{source}"
            );
        }
    }

    #[test]
    fn there_are_not_too_many_links() {
        assert_eq!(addresses(&"<a href='https://a.example/'>".repeat(MOST_LINKS + 1)).len(), MOST_LINKS);
    }

    proptest! {
        /// An address in any quotes, with any characters escaped that may be, is found as it is.
        #[test]
        fn any_address_is_found_in_any_quotes(
            path in "[a-zA-Z0-9/?=&;#%<>\"'äß ._~-]{0,40}",
            escaped in prop::collection::vec(any::<bool>(), 40),
            quote in prop::sample::select(vec!["\"", "'", ""]),
            around in prop::sample::select(vec!["", "{x}", "<p class=\"y\">", "<!-- > -->", "a & b\n", "{% if x %}"]),
        ) {
            let address = format!("https://a.example/{path}");
            let must = |c: char| match quote {
                "" => c.is_whitespace() || "<>\"'=`&/".contains(c),
                quote => c == '&' || quote.contains(c),
            };
            let spelled: String = address
                .chars()
                .zip(escaped.iter().chain(std::iter::repeat(&false)))
                .map(|(c, is_escaped)| if *is_escaped || must(c) { format!("&#{};", u32::from(c)) } else { c.to_string() })
                .collect();
            let source = format!("{around}<a href={quote}{spelled}{quote}>b</a>{around}");
            prop_assert_eq!(links(&source), [(spelled, address)]);
        }

        #[test]
        fn any_text_is_searched_without_a_panic(source in "(\\PC|<a href=['\"]?|\\{\\{|\\}\\}|-->|</body>|\r|\n){0,60}") {
            let known = BTreeSet::new();
            let tokens = scan::tokens(&source, &Names::new(&known));
            for link in find(&source, &tokens).links {
                prop_assert!(source.get(link.range).is_some());
            }
        }
    }
}
