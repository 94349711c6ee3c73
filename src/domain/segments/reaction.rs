//! What a segment does when a contact enters it, leaves it, or is still there.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::stay::{LeaveReason, Mark, Transition, TransitionKind};
use crate::domain::events::{EventName, read_properties};
use crate::domain::ids::ListId;
use crate::domain::people::contact::FieldError;
use crate::domain::people::tag;
use crate::domain::span::Span;

/// The most reactions of a segment.
pub const MAX_REACTIONS: usize = 20;

/// The most actions of a reaction.
pub const MAX_ACTIONS: usize = 10;

/// The most bytes of the reactions of a segment, as JSON.
pub const MAX_BYTES: usize = 16 * 1024;

/// The code of all errors here.
const CODE: &str = "reaction_invalid";

/// When something is done, and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// What has happened.
    pub on: TransitionKind,
    /// Only in the first stay of the contact.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_entry_only: bool,
    /// With `left`: only for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<LeaveReason>,
    /// With `dwelled`: only at this time of the stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// With `dwelled`: only at these times of the stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// What is done, one after the other.
    #[serde(rename = "do")]
    pub actions: Vec<Action>,
}

/// Something that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The contact gets a tag.
    AddTag(String),
    /// The contact loses a tag.
    RemoveTag(String),
    /// The contact is subscribed to a list, unless it has refused it.
    AddToList(ListName),
    /// The contact is taken off a list. A refusal stays.
    RemoveFromList(ListName),
    /// An event of the contact is recorded.
    RecordEvent(EventToRecord),
    /// A target of the settings is called.
    Call(String),
}

/// What is to be done after a transition: first the contact is changed, then targets are called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Todo {
    /// The changes, one after the other.
    pub actions: Vec<Action>,
    /// The targets that are called.
    pub calls: BTreeSet<String>,
    /// JSON: what they are told.
    pub told: Value,
}

/// What a list goes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ListName {
    /// Its id. All that is stored goes by it.
    Id(ListId),
    /// Its slug.
    Slug(String),
}

/// An event that is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventToRecord {
    /// Its name.
    pub name: String,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

impl Reaction {
    /// Which mark it is about. `None`: any.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        self.after.map(Mark::After).or(self.every.map(Mark::Every))
    }

    /// Whether it follows from a transition.
    #[must_use]
    pub fn follows(&self, transition: &Transition) -> bool {
        self.on == transition.kind
            && (!self.first_entry_only || transition.epoch == 1)
            && (self.reason.is_none() || self.reason == transition.reason)
            && self.mark().is_none_or(|mark| transition.mark.is_some_and(|(passed, _)| passed == mark))
    }

    /// What it does to the contact.
    pub fn changes(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter().filter(|action| !matches!(action, Action::Call(_)))
    }

    /// The targets that it calls.
    pub fn calls(&self) -> impl Iterator<Item = &str> {
        self.actions
            .iter()
            .filter_map(|action| if let Action::Call(target) = action { Some(target.as_str()) } else { None })
    }
}

fn refuse(place: impl Into<String>, reason: impl Into<String>) -> FieldError {
    FieldError::new(place, CODE, reason)
}

/// Reads what a client said: each action in its one spelling.
///
/// # Errors
/// [`FieldError`] with the code `reaction_invalid`. The field is a JSON pointer without its first slash, as in `reactions/0/do`.
pub fn read(mut given: Vec<Reaction>) -> Result<Vec<Reaction>, FieldError> {
    if given.len() > MAX_REACTIONS {
        return Err(refuse("reactions", format!("has more than {MAX_REACTIONS} entries")));
    }
    for (index, reaction) in given.iter_mut().enumerate() {
        let at = |field: &str| format!("reactions/{index}/{field}");
        if reaction.reason.is_some() && reaction.on != TransitionKind::Left {
            return Err(refuse(at("reason"), "goes together with on: left"));
        }
        for (field, span) in [("after", reaction.after), ("every", reaction.every)] {
            if span.is_some() && reaction.on != TransitionKind::Dwelled {
                return Err(refuse(at(field), "goes together with on: dwelled"));
            }
        }
        if reaction.after.is_some() && reaction.every.is_some() {
            return Err(refuse(at("every"), "does not go together with after"));
        }
        if reaction.actions.is_empty() || reaction.actions.len() > MAX_ACTIONS {
            return Err(refuse(at("do"), format!("must have 1 to {MAX_ACTIONS} entries")));
        }
        for (place, action) in reaction.actions.iter_mut().enumerate() {
            spell(action, &at(&format!("do/{place}")))?;
        }
    }
    let bytes = serde_json::to_string(&given).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_BYTES {
        Err(refuse("reactions", format!("is longer than {MAX_BYTES} bytes as JSON")))
    } else {
        Ok(given)
    }
}

/// Gives an action its one spelling.
fn spell(action: &mut Action, at: &str) -> Result<(), FieldError> {
    let wrong = |field: &str, error: FieldError| Err(refuse(format!("{at}/{field}"), error.reason));
    match action {
        Action::AddTag(name) => match tag::parse(name) {
            Ok(spelled) => *name = spelled,
            Err(error) => return wrong("add_tag", error),
        },
        Action::RemoveTag(name) => match tag::parse(name) {
            Ok(spelled) => *name = spelled,
            Err(error) => return wrong("remove_tag", error),
        },
        Action::RecordEvent(event) => {
            if let Err(error) = EventName::parse(&event.name) {
                return wrong("record_event/name", error);
            }
            if let Err(error) = read_properties(event.properties.clone()) {
                return wrong("record_event/properties", error);
            }
        }
        // What they name is looked up when they are saved.
        Action::AddToList(_) | Action::RemoveFromList(_) | Action::Call(_) => {}
    }
    Ok(())
}

/// Checks that reactions to times of stays name times that the segment has.
///
/// # Errors
/// [`FieldError`] with the code `reaction_invalid`.
pub fn check_marks(reactions: &[Reaction], marks: &[Mark]) -> Result<(), FieldError> {
    for (index, reaction) in reactions.iter().enumerate().filter(|(_, reaction)| reaction.on == TransitionKind::Dwelled)
    {
        let named = reaction.mark();
        if named.is_some_and(|mark| !marks.contains(&mark)) {
            let field = if reaction.after.is_some() { "after" } else { "every" };
            return Err(refuse(format!("reactions/{index}/{field}"), "must be one of the times in dwell"));
        }
        if marks.is_empty() {
            return Err(refuse(format!("reactions/{index}/on"), "dwelled needs a time in dwell"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::instant::UtcInstant;

    fn parse(given: Value) -> Result<Vec<Reaction>, FieldError> {
        read(serde_json::from_value(given).unwrap())
    }

    fn one(given: Value) -> Reaction {
        parse(json!([given])).unwrap().remove(0)
    }

    #[test]
    fn a_reaction_is_read_in_one_spelling_and_written_as_it_was_read() {
        let given = json!({ "on": "left", "reason": "criteria", "do": [
            { "add_tag": " Lost " }, { "add_to_list": 3 }, { "remove_from_list": "news" },
            { "record_event": { "name": "lost", "properties": { "why": "time" } } }, { "call": "crm" },
        ] });
        let read = one(given.clone());
        assert_eq!(read.actions[0], Action::AddTag("lost".to_owned()));
        assert_eq!(read.actions[1], Action::AddToList(ListName::Id(ListId(3))));
        let mut expected = given;
        expected["do"][0]["add_tag"] = json!("lost");
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let tag = json!([{ "add_tag": "a" }]);
        for (given, place) in [
            (json!([{ "on": "entered", "reason": "manual", "do": tag }]), "reactions/0/reason"),
            (json!([{ "on": "entered", "do": tag }, { "on": "left", "after": "1d", "do": tag }]), "reactions/1/after"),
            (json!([{ "on": "dwelled", "after": "1d", "every": "1d", "do": tag }]), "reactions/0/every"),
            (json!([{ "on": "entered", "do": [] }]), "reactions/0/do"),
            (json!([{ "on": "entered", "do": vec![json!({ "add_tag": "a" }); 11] }]), "reactions/0/do"),
            (json!([{ "on": "entered", "do": [{ "add_tag": "a,b" }] }]), "reactions/0/do/0/add_tag"),
            (json!([{ "on": "entered", "do": [{ "remove_tag": "" }] }]), "reactions/0/do/0/remove_tag"),
            (
                json!([{ "on": "entered", "do": [{ "record_event": { "name": "segment.x" } }] }]),
                "reactions/0/do/0/record_event/name",
            ),
            (json!(vec![json!({ "on": "entered", "do": tag }); 21]), "reactions"),
            (
                json!([{ "on": "entered", "do": [{ "record_event": { "name": "a", "properties": { "a": "x".repeat(MAX_BYTES) } } }] }]),
                "reactions",
            ),
        ] {
            let error = parse(given).unwrap_err();
            assert_eq!((error.field.as_str(), &*error.code), (place, CODE), "{error}");
        }
    }

    #[test]
    fn a_time_of_a_stay_must_be_one_that_the_segment_has() {
        let weekly = one(json!({ "on": "dwelled", "every": "7d", "do": [{ "add_tag": "a" }] }));
        let any = one(json!({ "on": "dwelled", "do": [{ "add_tag": "a" }] }));
        let marks = [Mark::Every(Span::seconds(7 * 86_400))];
        assert_eq!(check_marks(&[weekly.clone(), any.clone()], &marks), Ok(()));
        assert_eq!(
            check_marks(&[weekly], &[Mark::After(Span::seconds(7 * 86_400))]).unwrap_err().field,
            "reactions/0/every"
        );
        assert_eq!(check_marks(&[any], &[]).unwrap_err().field, "reactions/0/on");
    }

    #[test]
    fn a_reaction_follows_from_what_it_names_and_from_nothing_else() {
        let day = Mark::After(Span::seconds(86_400));
        let happened = |kind, epoch, reason, mark| Transition {
            kind,
            epoch,
            ordinal: 0,
            at: UtcInstant(0),
            reason,
            mark,
            emit: true,
        };
        let entered = |epoch| happened(TransitionKind::Entered, epoch, None, None);
        let left = |reason| happened(TransitionKind::Left, 1, Some(reason), None);
        let dwelled = |mark| happened(TransitionKind::Dwelled, 1, None, Some((mark, 1)));
        let reaction = |given: Value| {
            one(json!({ "on": given["on"], "first_entry_only": given.get("first").is_some(),
            "reason": given.get("reason"), "after": given.get("after"), "do": [{ "add_tag": "a" }] }))
        };
        let first = reaction(json!({ "on": "entered", "first": true }));
        assert!(
            first.follows(&entered(1)) && !first.follows(&entered(2)) && !first.follows(&left(LeaveReason::Criteria))
        );
        assert!(reaction(json!({ "on": "entered" })).follows(&entered(2)));
        let longest = reaction(json!({ "on": "left", "reason": "max_dwell" }));
        assert!(longest.follows(&left(LeaveReason::MaxDwell)) && !longest.follows(&left(LeaveReason::Criteria)));
        let after = reaction(json!({ "on": "dwelled", "after": "1d" }));
        assert!(after.follows(&dwelled(day)) && !after.follows(&dwelled(Mark::Every(Span::seconds(86_400)))));
    }
}
