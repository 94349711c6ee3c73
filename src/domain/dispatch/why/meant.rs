//! Whether an audience means a person: each clause as `store::dispatch::dialect` asks it of many. A test holds both against each other.

use super::answer::Step;
use super::facts::{By, Clause, Facts, OnList};
use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::instant::UtcInstant;
use crate::domain::people::standing::Standing;
use crate::domain::shown::shown;

/// At most so many clauses are told one by one.
const MOST_TOLD: usize = 20;

/// What an audience makes of a person.
pub(super) struct Meant {
    /// Whether it names the person, and for each clause that does a step.
    pub(super) named: Vec<Step>,
    /// For each clause that leaves the person out a step.
    pub(super) left_out: Vec<Step>,
    /// For each clause that might name the person, and does not, why.
    pub(super) not_named: Vec<Step>,
    /// Whether anything is left out at all.
    pub(super) has_exclusions: bool,
}

impl Meant {
    /// As things are now, by the rules of packing: who is named is asked as of the launch, who is left out as of now.
    pub(super) fn of(facts: &Facts) -> Self {
        let mut meant = Self { named: Vec::new(), left_out: Vec::new(), not_named: Vec::new(), has_exclusions: false };
        for clause in &facts.clauses {
            if clause.excludes {
                meant.has_exclusions = true;
                if clause.leaves_out() {
                    meant.left_out.push(clause.left_out());
                }
            } else if clause.names(facts) {
                meant.named.push(clause.named());
            } else {
                meant.not_named.push(clause.not_named(facts));
            }
        }
        for steps in [&mut meant.named, &mut meant.left_out, &mut meant.not_named] {
            let more = steps.len().saturating_sub(MOST_TOLD);
            if more > 0 {
                steps.truncate(MOST_TOLD);
                steps.push(Step::new(format!("{more} more parts of the audience say the same."), "audience"));
            }
        }
        meant
    }

    pub(super) const fn is_named(&self) -> bool {
        !self.named.is_empty()
    }

    pub(super) const fn is_left_out(&self) -> bool {
        !self.left_out.is_empty()
    }
}

/// The moment as of which people are named: the launch, or now where there was none.
fn as_of(facts: &Facts) -> UtcInstant {
    facts.campaign.launched_at.unwrap_or(facts.now)
}

impl OnList {
    fn names(&self, launch: UtcInstant) -> bool {
        match self.standing {
            Standing::Subscribed => self.since() <= launch,
            // The standing is another contact's since: at the launch it was this one's.
            Standing::Moved => self.status_at.is_some_and(|at| at > launch) && self.created_at <= launch,
            Standing::Unconfirmed | Standing::Unsubscribed => false,
        }
    }
}

impl Clause {
    /// Whether a clause that names people names this one.
    fn names(&self, facts: &Facts) -> bool {
        let launch = as_of(facts);
        let before = |since: Option<UtcInstant>| since.is_some_and(|since| since <= launch);
        if let By::Ids { is_among } = self.by {
            // Who was named one by one stays in the books also when gone.
            return is_among;
        }
        facts.contact.is_living()
            && match &self.by {
                By::All | By::Ids { .. } => true,
                By::List { default_opt_in, standing, .. } => {
                    let refused = standing.is_some_and(|on| on.standing == Standing::Unsubscribed);
                    let by_default = *default_opt_in && before(facts.contact.introduced_at) && !refused;
                    by_default || standing.is_some_and(|on| on.names(launch))
                }
                By::Tag { since, .. } | By::Segment { since, .. } => before(*since),
                By::Filter { takes, .. } => *takes,
                By::Campaign { state, .. } => *state == Some(DeliveryState::Sent),
            }
    }

    /// Whether a clause that leaves people out leaves this one out.
    fn leaves_out(&self) -> bool {
        match &self.by {
            By::All => false,
            By::Ids { is_among } => *is_among,
            // Who left an excluded list stays left out.
            By::List { standing, .. } => standing.is_some(),
            By::Tag { since, .. } | By::Segment { since, .. } => since.is_some(),
            By::Filter { takes, .. } => *takes,
            By::Campaign { state, .. } => match state {
                Some(
                    DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Sent | DeliveryState::Uncertain,
                ) => true,
                Some(DeliveryState::Failed | DeliveryState::Skipped) | None => false,
            },
        }
    }

    fn source(&self) -> String {
        match &self.by {
            By::All | By::Ids { .. } | By::Filter { .. } => "audience".to_owned(),
            By::List { id, .. } => format!("list {id}"),
            By::Tag { name, .. } => format!("tag {name}"),
            By::Segment { id, .. } => format!("segment {id}"),
            By::Campaign { id, .. } => format!("campaign {id}"),
        }
    }

    fn named(&self) -> Step {
        let step = |fact: String| Step::new(fact, self.source());
        match &self.by {
            By::All => step("The audience is every live contact.".to_owned()),
            By::Ids { .. } => step("The audience names this contact by its id.".to_owned()),
            By::List { standing: Some(on), .. } => match on.standing {
                Standing::Subscribed => step(format!("Named by {}: subscribed.", self.title())).at(on.since()),
                Standing::Moved => step(format!(
                    "Named by {}: subscribed at the launch; another contact of the same person has the subscription since.",
                    self.title()
                ))
                .at(on.since()),
                Standing::Unconfirmed | Standing::Unsubscribed => {
                    step(format!("Named by {}, which counts everybody who has not refused.", self.title()))
                }
            },
            By::List { standing: None, .. } => {
                step(format!("Named by {}, which counts everybody who has not refused.", self.title()))
            }
            By::Tag { name, since } => step(format!("Named by the tag {name}.")).at(*since),
            By::Segment { id, since } => step(format!("Named by segment {id}: a member.")).at(*since),
            By::Filter { sentence, .. } => step(format!("Named by the filter: {sentence}.")),
            By::Campaign { id, .. } => step(format!("Named as a recipient to whom campaign {id} was sent.")),
        }
    }

    fn left_out(&self) -> Step {
        let step = |fact: String| Step::new(fact, self.source());
        match &self.by {
            By::All => step("Everybody is left out.".to_owned()),
            By::Ids { .. } => step("The audience leaves this contact out by its id.".to_owned()),
            By::List { standing, .. } => {
                let is_off = standing.is_some_and(|on| on.standing == Standing::Unsubscribed);
                let how = if is_off { "who left the list stays left out" } else { "on the list" };
                step(format!("Left out by {}: {how}.", self.title())).at(standing.map(|on| on.since()))
            }
            By::Tag { name, since } => step(format!("Left out by the tag {name}.")).at(*since),
            By::Segment { id, since } => step(format!("Left out by segment {id}: a member.")).at(*since),
            By::Filter { sentence, .. } => step(format!("Left out by the filter: {sentence}.")),
            By::Campaign { id, state } => {
                let has = match state {
                    Some(DeliveryState::Sent) => "has its message",
                    Some(DeliveryState::Uncertain) => "may have its message",
                    Some(
                        DeliveryState::Pending
                        | DeliveryState::Sending
                        | DeliveryState::Failed
                        | DeliveryState::Skipped,
                    )
                    | None => "is about to get its message",
                };
                step(format!("Left out as a recipient of campaign {id}: {has}."))
            }
        }
    }

    /// Why a clause that names people does not name this one.
    fn not_named(&self, facts: &Facts) -> Step {
        let launched = facts.campaign.launched_at.is_some();
        let step = |fact: String| Step::new(fact, self.source());
        let late = |verb: &str, since: UtcInstant| {
            let when = if launched { "only after the launch" } else { "only later" };
            step(format!("Not named by {}: {verb} {when}.", self.title())).at(since)
        };
        if !facts.contact.is_living() && !matches!(self.by, By::Ids { .. }) {
            return step(format!("Not named by {}: the contact was deleted.", self.title()));
        }
        match &self.by {
            By::All => step("The audience is every live contact.".to_owned()),
            By::Ids { .. } => step("The ids of the audience do not name this contact.".to_owned()),
            By::List { name: None, .. } => {
                step(format!("Not named by {}: there is no such list any more.", self.title()))
            }
            By::List { standing, .. } => match standing {
                None => step(format!("Not named by {}: not on it.", self.title())),
                Some(on) => match on.standing {
                    Standing::Subscribed => late("subscribed", on.since()),
                    Standing::Unconfirmed => {
                        step(format!("Not named by {}: not confirmed yet.", self.title())).at(on.since())
                    }
                    Standing::Unsubscribed => {
                        step(format!("Not named by {}: unsubscribed.", self.title())).at(on.since())
                    }
                    Standing::Moved => step(format!(
                        "Not named by {}: another contact of the same person has the subscription.",
                        self.title()
                    ))
                    .at(on.since()),
                },
            },
            By::Tag { name, since: None } => step(format!("Not named by the tag {name}: does not have it.")),
            By::Tag { since: Some(since), .. } => late("got it", *since),
            By::Segment { id, since: None } => step(format!("Not named by segment {id}: not a member.")),
            By::Segment { since: Some(since), .. } => late("became a member", *since),
            By::Filter { sentence, .. } => step(format!("Not named by the filter, which asks: {sentence}.")),
            By::Campaign { id, state: None } => {
                step(format!("Not named as a recipient of campaign {id}: it was none."))
            }
            By::Campaign { id, state: Some(state) } => {
                step(format!("Not named as a recipient of campaign {id}: its message there is {state}, not sent."))
            }
        }
    }

    /// What it is called.
    fn title(&self) -> String {
        match &self.by {
            By::List { id, name: Some(name), .. } => format!("list {id} ({})", shown(name)),
            By::All => "the audience".to_owned(),
            By::Ids { .. } => "the ids of the audience".to_owned(),
            By::Filter { .. } => "the filter".to_owned(),
            By::Campaign { id, .. } => format!("what was sent by campaign {id}"),
            By::Tag { name, .. } => format!("the tag {name}"),
            By::List { .. } | By::Segment { .. } => self.source(),
        }
    }
}
