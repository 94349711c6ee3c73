//! What is tracked of a template, and how it is signed for a recipient.

use std::sync::Arc;

use minijinja::State;
use minijinja::value::{Object, Value};

use super::links::{self, Link, LinkPart};
use super::scan::Token;
use crate::domain::content::tracking::{LinkRules, Site};
use crate::domain::ids::LinkNumber;
use crate::domain::people::link::tracked::{Target, Tracker};

/// The longest address of a link that is shown, in characters.
const MOST_SHOWN: usize = 500;

/// A link that leads through Volley.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedLink {
    /// Its place among the links of the template.
    pub number: LinkNumber,
    /// Its address as the template has it.
    pub address: String,
}

/// What is tracked of a template.
#[derive(Debug)]
pub(super) struct Marks {
    rules: LinkRules,
    links: Vec<(TrackedLink, Leads)>,
}

/// Where a link leads.
#[derive(Debug)]
pub(super) enum Leads {
    /// The same for every recipient.
    To(Target),
    /// Somewhere on this site; without one, to a host that links may compute.
    Within(Option<Site>),
}

/// The name of the filter that signs a link in the template language. The engine knows it only after the author's filters were checked.
pub(super) const FILTER: &str = "volley_tracked";

/// What the filter is given for the pixel: no link has this place.
pub(super) const PIXEL: usize = usize::MAX;

/// The name by which the filter finds what signs. No template can write it.
const TRACKER: &str = "volley tracker";

impl Marks {
    /// Nothing yet.
    pub(super) fn new(rules: LinkRules) -> Self {
        Self { rules, links: Vec::new() }
    }

    /// Adds a link. Its place.
    pub(super) fn push(&mut self, link: TrackedLink, leads: Leads) -> usize {
        self.links.push((link, leads));
        self.links.len() - 1
    }

    /// The links.
    pub(super) fn links(&self) -> impl Iterator<Item = &TrackedLink> {
        self.links.iter().map(|(link, _)| link)
    }

    /// Where a link leads. `None`: it stays as it is.
    pub(super) fn leads(&self, link: &Link<'_>) -> Option<Leads> {
        let beginning = match link.parts.first()? {
            LinkPart::Text(text) => text.trim_start(),
            LinkPart::Computed(..) => "",
        };
        if link.parts.iter().all(|part| matches!(part, LinkPart::Text(_))) {
            return self.rules.target(beginning).map(Leads::To);
        }
        match self.rules.site_of(beginning) {
            Some(site) => Some(Leads::Within(Some(site))),
            None => (!self.rules.hosts.is_empty()).then_some(Leads::Within(None)),
        }
    }

    /// The address of a link through Volley. `None`: what was computed must not be signed.
    pub(super) fn signed(&self, place: usize, computed: &str, tracker: &Tracker) -> Option<String> {
        let (link, leads) = self.links.get(place)?;
        match leads {
            Leads::To(target) => Some(tracker.click(link.number, target)),
            Leads::Within(site) => {
                let target = self.rules.computed_target(computed, site.as_ref())?;
                Some(tracker.click(link.number, &target))
            }
        }
    }

    /// Whether a link's address is the same for everybody.
    pub(super) fn is_fixed(&self, place: usize) -> bool {
        matches!(self.links.get(place), Some((_, Leads::To(_))))
    }
}

/// The pixel.
pub(super) fn pixel(tracker: &Tracker) -> String {
    format!(r#"<img src="{}" width="1" height="1" alt="" style="display:block;border:0">"#, tracker.open())
}

/// The address of a link as its author knows it.
pub(super) fn shown(link: &Link<'_>) -> String {
    let mut address = String::new();
    for part in &link.parts {
        match part {
            LinkPart::Text(text) => address.push_str(text),
            LinkPart::Computed(_, Token::Field { name, .. }) => address.push_str(&format!("{{{{ {name} }}}}")),
            LinkPart::Computed(_, Token::Code(text) | Token::Text(text) | Token::Literal(text)) => {
                address.push_str(text)
            }
        }
    }
    let address = address.trim();
    match address.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", address.get(..end).unwrap_or_default()),
        None => address.to_owned(),
    }
}

/// What the filter signs with.
#[derive(Debug)]
pub(super) struct Signs {
    pub(super) marks: Arc<Marks>,
    pub(super) tracker: Tracker,
}

impl Object for Signs {}

impl Signs {
    /// The value of `name` in a template, if that is what signs.
    pub(super) fn named(signs: Option<&Arc<Self>>, name: &str) -> Option<Value> {
        signs.filter(|_| name == TRACKER).map(|signs| Value::from_dyn_object(Arc::clone(signs)))
    }
}

/// The filter of [`FILTER`]. Without what signs, inside a macro, the address stays as it is.
pub(super) fn sign(state: &mut State<'_, '_>, html: Value, place: usize) -> Value {
    let found = state.lookup(TRACKER);
    let Some(signs) = found.as_ref().and_then(|value| value.downcast_object_ref::<Signs>()) else { return html };
    if place == PIXEL {
        return Value::from_safe_string(pixel(&signs.tracker));
    }
    let computed = match signs.marks.is_fixed(place) {
        true => String::new(),
        false => links::decoded(html.as_str().unwrap_or_default()),
    };
    signs.marks.signed(place, &computed, &signs.tracker).map_or(html, Value::from_safe_string)
}
