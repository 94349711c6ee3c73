//! What an author may want to know of HTML that is allowed: nothing of it is ever refused.

use std::cell::RefCell;
use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use serde::Serialize;
use utoipa::ToSchema;

use super::attachment::AttachmentUse;
use super::template::Part;
use crate::domain::shown::{grouped, shown};

/// What Gmail shows of a message before it says "message clipped" and hides the rest, in bytes of HTML: 102 KB
/// (<https://support.google.com/mail/answer/6258>).
pub const CLIPPED_BY_GMAIL: usize = 102 * 1024;

/// An image that is a file of the mail, and no file has its content id.
const WITHOUT_FILE: &str = "image_without_file";

/// Something that an author may want to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Advice {
    /// The part that it is about.
    pub part: Part,
    /// Stable, for programs: `clipped_by_gmail`, `image_without_alt`, `image_without_file` or `link_without_https`.
    pub code: &'static str,
    /// For people.
    pub reason: String,
}

/// What may be better in the HTML of a template, or of a message that was made from one.
#[must_use]
pub fn advise(html: &str) -> Vec<Advice> {
    let Seen { without_alt, without_https, .. } = see(html);
    let mut all = Vec::new();
    let mut add = |code, reason| all.push(Advice { part: Part::Html, code, reason });
    if html.len() > CLIPPED_BY_GMAIL {
        let size = grouped(i64::try_from(html.len()).unwrap_or(i64::MAX));
        add(
            "clipped_by_gmail",
            format!("has {size} bytes, and Gmail hides what comes after about 102,000: often the link to unsubscribe"),
        );
    }
    if without_alt > 0 {
        let reason = format!(
            "has {without_alt} {} no alt text, which is read where images are not shown; alt=\"\" says that it is decoration",
            have(without_alt, "image")
        );
        add("image_without_alt", reason);
    }
    if let Some(first) = without_https.first() {
        let count = without_https.len();
        let links =
            if count == 1 { "has 1 link that leads".to_owned() } else { format!("has {count} links that lead") };
        add("link_without_https", format!("{links} to http:// and not to https://, for example {}", shown(first)));
    }
    all
}

/// What the HTML of a template shows by a content id that none of its `files` has.
#[must_use]
pub fn advise_on_files(html: &str, files: &[AttachmentUse]) -> Option<Advice> {
    let has = |id: &String| files.iter().any(|file| file.content_id.as_ref() == Some(id));
    let missing: Vec<String> = see(html).content_ids.into_iter().filter(|id| !has(id)).collect();
    let reason = format!(
        "shows cid:{}, and no file of the template has this content id: a campaign must bring it",
        missing.first().map(|id| shown(id))?
    );
    Some(Advice { part: Part::Html, code: WITHOUT_FILE, reason })
}

/// `image that has` or `images that have`.
fn have(count: usize, what: &str) -> String {
    if count == 1 { format!("{what} that has") } else { format!("{what}s that have") }
}

/// What the tokenizer has seen.
#[derive(Default)]
struct Seen {
    without_alt: usize,
    without_https: Vec<String>,
    /// What `cid:` (RFC 2392) stands before in the source of an image.
    content_ids: Vec<String>,
    /// The tag that is open, if it is of interest.
    tag: Option<&'static str>,
    in_href: bool,
    in_source: bool,
    has_alt: bool,
}

impl Seen {
    fn take(&mut self, event: &CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = ["img", "a", "area"].into_iter().find(|tag| tag.as_bytes() == *name);
                (self.in_href, self.in_source, self.has_alt) = (false, false, false);
            }
            CallbackEvent::AttributeName { name } => {
                self.has_alt |= *name == b"alt";
                self.in_href = *name == b"href" && self.tag.is_some();
                self.in_source = *name == b"src" && self.tag == Some("img");
            }
            CallbackEvent::AttributeValue { value } if self.in_href => {
                let address = String::from_utf8_lossy(value);
                let address = address.trim();
                if address.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://")) {
                    self.without_https.push(address.to_owned());
                }
            }
            CallbackEvent::AttributeValue { value } if self.in_source => {
                let source = String::from_utf8_lossy(value);
                self.content_ids.extend(source.trim().strip_prefix("cid:").map(str::to_owned));
            }
            CallbackEvent::CloseStartTag { .. } if self.tag == Some("img") && !self.has_alt => self.without_alt += 1,
            CallbackEvent::AttributeValue { .. }
            | CallbackEvent::CloseStartTag { .. }
            | CallbackEvent::EndTag { .. }
            | CallbackEvent::String { .. }
            | CallbackEvent::Comment { .. }
            | CallbackEvent::Doctype { .. }
            | CallbackEvent::Error(_) => {}
        }
    }
}

fn see(html: &str) -> Seen {
    let seen = RefCell::new(Seen::default());
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<usize>| {
        seen.borrow_mut().take(&event);
        None::<Infallible>
    });
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(html, emitter).finish();
    seen.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::FileId;

    fn codes(html: &str) -> Vec<&'static str> {
        advise(html).into_iter().map(|advice| advice.code).collect()
    }

    #[test]
    fn advice_is_given_where_it_helps_and_nowhere_else() {
        for (html, expected) in [
            ("<p>Hello</p><img src=\"a\" alt=\"\"><a href=\"https://a.example/\">a</a><a name=\"x\">b</a>", vec![]),
            (
                "<a href=\"{unsubscribe_url}\">a</a><a href=\"mailto:a@b.example\">b</a><script src=\"http://x\"></script>",
                vec![],
            ),
            ("<img src=\"a\"><img alt=\"b\">", vec!["image_without_alt"]),
            ("<a href=\" HTTP://a.example/\">a</a>", vec!["link_without_https"]),
            ("<!-- <img> --><style>a[href^=\"http://\"]{}</style>", vec![]),
        ] {
            assert_eq!(codes(html), expected, "{html}");
        }
        assert_eq!(codes(&"x".repeat(CLIPPED_BY_GMAIL)), Vec::<&str>::new());
        assert_eq!(codes(&"x".repeat(CLIPPED_BY_GMAIL + 1)), ["clipped_by_gmail"]);
        let two = advise("<a href=http://a.example/1>a</a><a href=http://a.example/2>b</a><img><img>");
        assert_eq!(
            two[0].reason,
            "has 2 images that have no alt text, which is read where images are not shown; alt=\"\" says that it is decoration"
        );
        assert_eq!(
            two[1].reason,
            "has 2 links that lead to http:// and not to https://, for example http://a.example/1"
        );
    }
    #[test]
    fn an_image_that_no_file_of_the_template_is_for_is_named() {
        let files = [AttachmentUse { file_id: FileId(1), content_id: Some("logo".to_owned()) }];
        assert_eq!(advise_on_files("<img src=\"cid:logo\" alt=\"\"><img src=\"a.png\" alt=\"cid:x\">", &files), None);
        let said = advise_on_files("<img src='cid:logo'><img src='cid:banner'>", &files).unwrap();
        assert!(said.reason.starts_with("shows cid:banner, and no file"), "{}", said.reason);
    }
}
