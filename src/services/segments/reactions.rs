//! The reactions of a segment, as they are saved: what they name exists.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::definition::SegmentError;
use crate::config::Settings;
use crate::domain::people::contact::FieldError;
use crate::domain::segments::reaction::{Action, ListName, Reaction, check_marks, read};
use crate::domain::segments::stay::Rules;
use crate::store::Conn;
use crate::store::people::lists::{self, ListKey};

/// The names of the targets that can be called.
pub struct TargetNames(BTreeSet<String>);

impl TargetNames {
    /// Those of the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self(settings.targets.iter().map(|target| target.name.clone()).collect())
    }
}

/// Reads what a client said, with the ids of the lists that it names. Those exist, and so do the targets.
///
/// # Errors
/// [`SegmentError::Reactions`], or a query failed.
pub(super) fn settle(
    conn: &mut Conn,
    given: Vec<Reaction>,
    rules: &Rules,
    targets: &TargetNames,
) -> Result<Vec<Reaction>, SegmentError> {
    let mut reactions = read(given).map_err(SegmentError::Reactions)?;
    check_marks(&reactions, &rules.marks).map_err(SegmentError::Reactions)?;
    let keys: BTreeSet<String> =
        reactions.iter().flat_map(|reaction| &reaction.actions).filter_map(name_of_list).collect();
    let keys: Vec<ListKey> = keys.iter().filter_map(|text| ListKey::parse(text)).collect();
    let known = if keys.is_empty() { Default::default() } else { lists::existing(conn, &keys)? };
    for (index, reaction) in reactions.iter_mut().enumerate() {
        for (place, action) in reaction.actions.iter_mut().enumerate() {
            let refuse = |field: &str, reason: String| {
                let field = format!("reactions/{index}/do/{place}/{field}");
                Err(SegmentError::Reactions(FieldError::new(field, "reaction_invalid", reason)))
            };
            let id = name_of_list(action).and_then(|text| known.get(&ListKey::parse(&text)?).copied());
            match action {
                Action::AddToList(list) | Action::RemoveFromList(list) if id.is_some() => {
                    *list = id.map_or_else(|| list.clone(), ListName::Id);
                }
                Action::AddToList(_) => return refuse("add_to_list", "there is no such list".to_owned()),
                Action::RemoveFromList(_) => return refuse("remove_from_list", "there is no such list".to_owned()),
                Action::Call(target) if !targets.0.contains(target) => {
                    let names: Vec<&str> = targets.0.iter().map(String::as_str).collect();
                    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                    return refuse("call", format!("must be the name of a target in the settings: {known}"));
                }
                Action::Call(_) | Action::AddTag(_) | Action::RemoveTag(_) | Action::RecordEvent(_) => {}
            }
        }
    }
    Ok(reactions)
}

/// What the audit log says of reactions: whom they call, and to which lists they add or from which they remove. `None`: there are none.
pub(super) fn named(reactions: &[Reaction]) -> Option<Value> {
    let calls: BTreeSet<&str> = reactions.iter().flat_map(Reaction::calls).collect();
    let actions = reactions.iter().flat_map(|reaction| &reaction.actions);
    let lists: BTreeSet<String> = actions.filter_map(name_of_list).collect();
    (!reactions.is_empty()).then(|| json!({ "count": reactions.len(), "calls": calls, "lists": lists }))
}

/// What the list goes by that an action is about.
fn name_of_list(action: &Action) -> Option<String> {
    match action {
        Action::AddToList(list) | Action::RemoveFromList(list) => Some(match list {
            ListName::Id(id) => id.to_string(),
            ListName::Slug(slug) => slug.clone(),
        }),
        Action::AddTag(_) | Action::RemoveTag(_) | Action::RecordEvent(_) | Action::Call(_) => None,
    }
}
