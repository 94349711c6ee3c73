//! What criteria ask of a contact, and the answers of one contact.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::criteria::Criteria;
use super::event_clause::EventKind;
use super::field::ContactField;
use super::tree::Clause;
use crate::domain::ids::{ContactId, ListId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Fields;
use crate::domain::people::standing::Standing;

/// A fact about events: when the n-th newest event of a kind occurred.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventFact {
    /// Which events.
    pub kind: EventKind,
    /// Which of the newest: 1 is the newest of all.
    pub nth: u32,
}

/// The distinct facts that some criteria ask for. A fact that several of them ask for is fetched once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Question {
    /// Attributes, by their outermost names.
    pub attributes: BTreeSet<String>,
    /// Lists whose standing is asked for.
    pub lists: BTreeSet<ListId>,
    /// Tags, by name.
    pub tags: BTreeSet<String>,
    /// Segments whose membership is asked for.
    pub segments: BTreeSet<SegmentId>,
    asks_more_than_events: bool,
    events: Vec<EventFact>,
    places: HashMap<EventKind, BTreeMap<u32, usize>>,
}

impl Question {
    /// What these criteria ask.
    #[must_use]
    pub fn of<'a>(criteria: impl IntoIterator<Item = &'a Criteria>) -> Arc<Self> {
        let mut question = Self::default();
        for clause in criteria.into_iter().flat_map(Criteria::clauses) {
            question.add(clause);
        }
        Arc::new(question)
    }

    fn add(&mut self, clause: &Clause) {
        self.asks_more_than_events |= !matches!(clause, Clause::Event(_));
        match clause {
            Clause::Attribute { path, .. } => self.attributes.extend(path.first().cloned()),
            Clause::List { list, .. } => _ = self.lists.insert(*list),
            Clause::Tag(tag) => _ = self.tags.insert(tag.clone()),
            Clause::Segment(segment) => _ = self.segments.insert(*segment),
            Clause::Event(clause) => {
                for nth in clause.places() {
                    let places = self.places.entry(clause.kind.clone()).or_default();
                    places.entry(nth).or_insert_with(|| {
                        self.events.push(EventFact { kind: clause.kind.clone(), nth });
                        self.events.len() - 1
                    });
                }
            }
            // The contact's own row is always read.
            Clause::Field { .. } | Clause::Reachable(_) | Clause::Share(_) => {}
        }
    }

    /// The facts about events, each once. Their order is that of [`Facts::events`].
    #[must_use]
    pub fn events(&self) -> &[EventFact] {
        &self.events
    }

    /// Whether a first look without events costs less, and may tell something.
    #[must_use]
    pub const fn is_worth_a_glance(&self) -> bool {
        self.asks_more_than_events && !self.events.is_empty()
    }

    /// The same question without the facts about events, for a first look that costs little.
    #[must_use]
    pub fn without_events(&self) -> Arc<Self> {
        Arc::new(Self { events: Vec::new(), places: HashMap::new(), ..self.clone() })
    }
}

/// What is known of one contact: the answers to a [`Question`].
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Which contact.
    pub contact: ContactId,
    /// Whether it is there. Nothing takes a deleted contact.
    pub living: bool,
    /// When it was made.
    pub created_at: UtcInstant,
    /// The built-in fields.
    pub fields: Fields,
    /// Of the attributes that are asked for, those that it has.
    pub attributes: BTreeMap<String, Value>,
    /// Of the lists that are asked for, those that it has a standing on.
    pub lists: BTreeMap<ListId, Standing>,
    /// Of the tags that are asked for, those that it has.
    pub tags: BTreeSet<String>,
    /// Of the segments that are asked for, those that it is a member of.
    pub segments: BTreeSet<SegmentId>,
    /// When events occurred, in the order of [`Question::events`].
    pub events: Vec<Option<UtcInstant>>,
    /// What was asked.
    pub question: Arc<Question>,
}

impl Facts {
    /// Of a living contact of which nothing is known.
    #[must_use]
    pub fn blank(contact: ContactId, question: Arc<Question>) -> Self {
        Self {
            contact,
            living: true,
            created_at: UtcInstant::default(),
            fields: Fields::default(),
            attributes: BTreeMap::new(),
            lists: BTreeMap::new(),
            tags: BTreeSet::new(),
            segments: BTreeSet::new(),
            events: vec![None; question.events.len()],
            question,
        }
    }

    /// A value inside an attribute.
    pub(super) fn attribute(&self, path: &[String]) -> Option<&Value> {
        let (name, inner) = path.split_first()?;
        inner.iter().try_fold(self.attributes.get(name)?, |value, name| value.as_object()?.get(name))
    }

    /// A field's value as text. Times are RFC 3339.
    pub(super) fn value_of(&self, field: ContactField) -> Option<Value> {
        match field {
            ContactField::BuiltIn(field) => self.fields.get(field).map(Value::from),
            ContactField::CreatedAt => Some(Value::from(self.created_at.to_string())),
        }
    }

    /// When the n-th newest event of a kind occurred.
    pub(super) fn event(&self, kind: &EventKind, nth: u32) -> Option<UtcInstant> {
        let place = self.question.places.get(kind).and_then(|places| places.get(&nth));
        debug_assert!(place.is_some(), "a fact that nobody asked for");
        self.events.get(*place?).copied().flatten()
    }
}
