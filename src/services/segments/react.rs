//! What is to be done after transitions: the rows of it, which are stored in the same transaction.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::live::LiveSegment;
use crate::domain::ids::ContactId;
use crate::domain::reactions::{LONGEST_CHAIN, ReactionKind};
use crate::domain::segments::reaction::{Action, Reaction, Todo};
use crate::domain::segments::stay::Transition;
use crate::store::reactions::{NewReaction, key_of};

/// What is to be done after a transition to which `depth` reactions have led. Nothing, where it is not reported.
pub(super) fn follow(
    segment: &LiveSegment,
    contact: ContactId,
    transition: &Transition,
    depth: i32,
    into: &mut Vec<NewReaction>,
) {
    let following = || segment.reactions.iter().filter(|reaction| transition.emit && reaction.follows(transition));
    let actions: Vec<Action> = following().flat_map(Reaction::changes).cloned().collect();
    // All calls of a transition have its id: a target is called once.
    let calls: BTreeSet<String> = following().flat_map(Reaction::calls).map(str::to_owned).collect();
    if actions.is_empty() && calls.is_empty() {
        return;
    }
    let row = row(segment, contact, transition, depth);
    let told = told(segment, contact, transition);
    if actions.is_empty() {
        let call = |target| NewReaction { target: Some(target), content: told.to_string(), ..row.clone() };
        into.extend(calls.into_iter().map(call));
    } else {
        // The calls are added when the changes are made: who is called finds them.
        let content = json!(Todo { actions, calls, told }).to_string();
        into.push(NewReaction { kind: ReactionKind::Changes, content, ..row });
    }
}

/// A call without its target and without what is told.
fn row(segment: &LiveSegment, contact: ContactId, transition: &Transition, depth: i32) -> NewReaction {
    let Transition { kind, epoch, ordinal, at, .. } = transition;
    let id = segment.row.id;
    let too_many =
        || format!("{LONGEST_CHAIN} reactions led to it, one after the other, which is the most there may be");
    NewReaction {
        kind: ReactionKind::Call,
        segment: Some(id),
        contact: Some(contact),
        campaign: None,
        key: key_of(&format!("segment-{id}-{contact}-{epoch}-{kind}-{ordinal}")),
        event: format!("segment.{kind}"),
        at: *at,
        depth,
        target: None,
        content: String::new(),
        refused: (depth >= LONGEST_CHAIN).then(too_many),
    }
}

/// What a target is told.
fn told(segment: &LiveSegment, contact: ContactId, transition: &Transition) -> Value {
    json!({
        "segment_id": segment.row.id,
        "segment": segment.row.slug,
        "contact_id": contact,
        "epoch": transition.epoch,
        "ordinal": transition.ordinal,
        "reason": transition.reason,
        "mark": transition.mark.map(|(mark, _)| mark.to_string()),
        "mark_count": transition.mark.map(|(_, count)| count),
    })
}
