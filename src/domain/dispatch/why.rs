//! Why one person got a campaign's message, or did not: a pure answer from stored facts.
//!
//! People decide about a person by it, so every step names the stored fact that it rests on, and what is not recorded is
//! said, too. The audience and consent are told as they are now: what they were when the page was packed is not kept.

mod acts;
mod against;
pub mod answer;
pub mod facts;
mod heard;
mod journey;
mod meant;
#[cfg(test)]
mod tests;
mod verdict;

use self::answer::{Step, Why, WhyState};
use self::facts::Facts;
pub use self::heard::ORDER;
use self::meant::Meant;
use super::delivery::SkipReason;

/// Answers.
#[must_use]
pub fn why(facts: &Facts) -> Why {
    let meant = Meant::of(facts);
    let place = verdict::place(facts, &meant);
    let mut steps = audience(facts, &meant, place);
    if place != WhyState::NotNamed {
        let because = verdict::reason(facts);
        let is_out_of_reach = matches!(because, Some(SkipReason::NoAddress | SkipReason::ContactDeleted));
        steps.push(against::reach(facts).decisive(is_out_of_reach && facts.contact.address.is_err()));
        if facts.contact.address.is_ok() {
            steps.extend(against::consent(facts, because));
        }
    }
    steps.push(journey::launch(facts, place));
    if facts.delivery.is_none() {
        steps.extend(journey::packing(facts, place));
    }
    let mut held = journey::holds(facts, place);
    let is_skipped = place == WhyState::Skipped;
    if is_skipped {
        // A stop comes before the end that it caused.
        steps.append(&mut held);
    }
    steps.extend(journey::delivery(facts));
    steps.append(&mut held);
    steps.extend(heard::steps(facts));
    steps.extend(journey::not_recorded(facts));
    Why { verdict: verdict::verdict(facts, &meant, place), place, steps, can: acts::ways(facts, place) }
}

/// How the audience means the person, or does not.
fn audience(facts: &Facts, meant: &Meant, place: WhyState) -> Vec<Step> {
    let mut steps = Vec::new();
    if facts.clauses.is_empty() {
        let source = format!("campaign {}", facts.campaign.id);
        steps.push(Step::new("The campaign has no audience yet.", source).decisive(place == WhyState::NotNamed));
    }
    if meant.is_named() {
        steps.extend(meant.named.iter().cloned());
    } else {
        let decides = place == WhyState::NotNamed;
        steps.extend(meant.not_named.iter().cloned().map(|step| step.decisive(decides)));
        if facts.delivery.is_some() {
            let fact = "No part of the audience names this contact now. One did when its page was packed; which one is not recorded.";
            steps.push(Step::new(fact, "none"));
        }
    }
    if meant.is_left_out() {
        let decides = place == WhyState::LeftOut;
        steps.extend(meant.left_out.iter().cloned().map(|step| step.decisive(decides)));
        if facts.delivery.is_some() {
            let fact = "That was not so when its page was packed, or the contact would not be in the campaign.";
            steps.push(Step::new(fact, "none"));
        }
    } else if meant.has_exclusions && meant.is_named() {
        steps.push(Step::new("No exclusion of the audience leaves this contact out.", "audience"));
    }
    steps
}
