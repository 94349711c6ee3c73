//! Live segments beside the campaigns: people buy things while instances die, and in the end members and transitions must be what the
//! purchases that were stored say.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::VerifyError;
use super::api::Question;
use super::rng::Rng;
use super::stage::{Stage, id_of};
use crate::domain::segments::stay::TransitionKind;

/// How many people buy something again and again.
const BUYERS: usize = 100;
/// How long it takes until the next one does.
const EVERY: Duration = Duration::from_millis(40);
/// How long a purchase counts as one of late, in seconds.
const LATELY: u64 = 2;
/// How often is looked whether segments have followed.
const LOOK: Duration = Duration::from_millis(200);
/// How long they may take for that when nothing is broken any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that is wrong with one segment and told in words.
const NAMED: usize = 5;

/// The people of a run, and the segments that follow them.
pub(super) struct People {
    /// Their contacts.
    buyers: Vec<i64>,
    /// Those who have bought twice: they enter once, and never leave.
    twice: i64,
    /// Those who have bought lately: they come and go.
    lately: i64,
    seed: u64,
}

/// What became of the segments.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SegmentAccount {
    /// Events that were stored.
    pub events: usize,
    /// Members that there have to be in the end.
    pub members: usize,
    /// Transitions that were noted.
    pub transitions: usize,
    /// Whatever is wrong, in words.
    pub complaints: Vec<String>,
}

/// A transition as the API shows it.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Transition {
    contact_id: i64,
    kind: TransitionKind,
    epoch: i64,
    emit: bool,
}

impl People {
    /// Chooses people, creates the segments, and waits until everybody was evaluated.
    ///
    /// # Errors
    /// The API refuses something.
    pub(super) async fn gather(stage: &Stage, seed: u64) -> Result<Self, VerifyError> {
        let contacts = stage.fleet.ask(Question::get(&format!("/v1/contacts?page_size={BUYERS}"))).await?;
        let contacts = contacts.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let buyers = contacts.iter().map(id_of).collect::<Result<_, _>>()?;
        let twice = json!({ "event": { "name": "bought", "count": { "op": "gte", "n": 2 } } });
        let lately = json!({ "event": { "name": "bought", "within": format!("{LATELY}s") } });
        let (twice, lately) = (segment(stage, "twice", twice).await?, segment(stage, "lately", lately).await?);
        Ok(Self { buyers, twice, lately, seed })
    }

    /// One after the other buys something, at any instance that answers, until the campaigns are over. How many purchases of each were
    /// stored.
    ///
    /// # Errors
    /// No instance answers.
    pub(super) async fn buy(&self, stage: &Stage, over: &Cell<bool>) -> Result<BTreeMap<i64, usize>, VerifyError> {
        let (dice, mut bought) = (Rng::new(self.seed), BTreeMap::new());
        for number in 0_u64.. {
            let Some(buyer) = self.buyers.get(dice.place(self.buyers.len())).copied().filter(|_| !over.get()) else {
                break;
            };
            // Under its key it is stored once, however often it has to be sent.
            let event = json!({ "name": "bought", "contact_id": buyer, "key": format!("verify-{number}") });
            stage.fleet.ask(Question::post("/v1/events", &event)).await?;
            *bought.entry(buyer).or_default() += 1;
            tokio::time::sleep(EVERY).await;
        }
        Ok(bought)
    }

    /// Waits until the segments have followed, and holds them against the purchases.
    ///
    /// # Errors
    /// The API refuses something, or no instance answers.
    pub(super) async fn reckon(
        &self,
        stage: &Stage,
        bought: &BTreeMap<i64, usize>,
    ) -> Result<SegmentAccount, VerifyError> {
        let members = bought.values().filter(|times| **times >= 2).count();
        let mut account = SegmentAccount { events: bought.values().sum(), members, ..SegmentAccount::default() };
        for (segment, expected) in [(self.twice, members), (self.lately, 0)] {
            let found = followed(stage, segment, expected).await?;
            if found != i64::try_from(expected).unwrap_or(i64::MAX) {
                account.complaints.push(format!("segment {segment} has {found} members instead of {expected}"));
            }
        }
        let twice = transitions(stage, self.twice).await?;
        let lately = transitions(stage, self.lately).await?;
        account.transitions = twice.len() + lately.len();
        let wrong = wrong_in(&twice, bought, once).into_iter().map(|wrong| format!("segment {}: {wrong}", self.twice));
        account.complaints.extend(wrong);
        let wrong = wrong_in(&lately, bought, in_turn).into_iter();
        account.complaints.extend(wrong.map(|wrong| format!("segment {}: {wrong}", self.lately)));
        Ok(account)
    }
}

/// Creates a segment and waits until everybody was evaluated for it.
async fn segment(stage: &Stage, name: &str, criteria: Value) -> Result<i64, VerifyError> {
    let draft = json!({ "name": name, "criteria": criteria });
    let id = id_of(&stage.fleet.ask(Question::post("/v1/segments", &draft)).await?)?;
    let path = format!("/v1/segments/{id}");
    while stage.fleet.ask(Question::get(&path)).await?.get("state").and_then(Value::as_str) != Some("ready") {
        tokio::time::sleep(LOOK).await;
    }
    Ok(id)
}

/// How many members a segment has, as soon as it has as many as it should, or at the end of all patience.
async fn followed(stage: &Stage, segment: i64, expected: usize) -> Result<i64, VerifyError> {
    let (path, began) = (format!("/v1/segments/{segment}"), Instant::now());
    loop {
        let shown = stage.fleet.ask(Question::get(&path)).await?;
        let found = shown.get("member_count").and_then(Value::as_i64).unwrap_or(-1);
        if i64::try_from(expected).is_ok_and(|expected| expected == found) || began.elapsed() > PATIENCE {
            return Ok(found);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// All transitions of a segment, the oldest first.
async fn transitions(stage: &Stage, segment: i64) -> Result<Vec<Transition>, VerifyError> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path = format!("/v1/segments/{segment}/transitions?page_size=1000{after}");
        let mut part = stage.fleet.ask(Question::get(&path)).await?;
        let rows = part.get_mut("data").map(Value::take).unwrap_or_default();
        let rows: Vec<Transition> =
            serde_json::from_value(rows).map_err(|error| VerifyError::failed("read transitions", &error))?;
        found.extend(rows);
        cursor = part.get("next_cursor").and_then(Value::as_str).map(ToOwned::to_owned);
        if cursor.is_none() {
            found.reverse();
            return Ok(found);
        }
    }
}

/// What is wrong with the transitions of a segment, in words: those of each contact, with the number of its purchases, are judged alone.
fn wrong_in(
    all: &[Transition],
    bought: &BTreeMap<i64, usize>,
    judge: fn(&[Transition], usize) -> Option<&'static str>,
) -> Vec<String> {
    let mut by_contact: BTreeMap<i64, Vec<Transition>> = bought.keys().map(|contact| (*contact, Vec::new())).collect();
    for transition in all {
        by_contact.entry(transition.contact_id).or_default().push(*transition);
    }
    let wrong = by_contact.iter().filter_map(|(contact, own)| {
        let times = bought.get(contact).copied().unwrap_or_default();
        let wrong = judge(own, times)?;
        Some(format!("contact {contact} bought {times} times and {wrong}"))
    });
    let mut wrong: Vec<String> = wrong.collect();
    let more = wrong.len().saturating_sub(NAMED);
    if more > 0 {
        wrong.truncate(NAMED);
        wrong.push(format!("and {more} more"));
    }
    wrong
}

/// Who bought twice has entered once, and others never.
fn once(own: &[Transition], times: usize) -> Option<&'static str> {
    match own {
        [] => (times >= 2).then_some("has never entered"),
        [only] if only.kind == TransitionKind::Entered && only.epoch == 1 && only.emit => {
            (times < 2).then_some("has entered")
        }
        _ => Some("has more transitions than one entry"),
    }
}

/// Each entry is followed by its leave, and there are no more entries than purchases.
fn in_turn(own: &[Transition], times: usize) -> Option<&'static str> {
    let expected = (1_i64..).flat_map(|epoch| [(epoch, TransitionKind::Entered), (epoch, TransitionKind::Left)]);
    let is_in_turn = own.iter().zip(expected).all(|(one, expected)| (one.epoch, one.kind) == expected && one.emit);
    if !is_in_turn {
        Some("has not entered and left in turn")
    } else if own.len() % 2 == 1 {
        Some("has not left again")
    } else {
        (own.len() / 2 > times).then_some("has entered more often")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(contact_id: i64, all: &[(i64, TransitionKind)]) -> Vec<Transition> {
        all.iter().map(|(epoch, kind)| Transition { contact_id, kind: *kind, epoch: *epoch, emit: true }).collect()
    }

    #[test]
    fn who_bought_twice_enters_once() {
        use TransitionKind::{Entered, Left};
        assert_eq!(once(&of(1, &[(1, Entered)]), 2), None);
        assert_eq!(once(&[], 1), None);
        assert_eq!(once(&[], 2), Some("has never entered"));
        assert_eq!(once(&of(1, &[(1, Entered)]), 1), Some("has entered"));
        for twice in [of(1, &[(1, Entered), (2, Entered)]), of(1, &[(1, Entered), (1, Left)])] {
            assert_eq!(once(&twice, 3), Some("has more transitions than one entry"));
        }
    }

    #[test]
    fn who_bought_lately_comes_and_goes() {
        use TransitionKind::{Entered, Left};
        assert_eq!(in_turn(&of(1, &[(1, Entered), (1, Left), (2, Entered), (2, Left)]), 2), None);
        assert_eq!(in_turn(&of(1, &[(1, Entered), (1, Left)]), 0), Some("has entered more often"));
        assert_eq!(in_turn(&of(1, &[(1, Entered)]), 1), Some("has not left again"));
        assert_eq!(in_turn(&of(1, &[(1, Entered), (2, Entered)]), 2), Some("has not entered and left in turn"));
        let bought = BTreeMap::from([(1, 1)]);
        let stranger = of(2, &[(1, Entered), (1, Left)]);
        assert_eq!(wrong_in(&stranger, &bought, in_turn), ["contact 2 bought 0 times and has entered more often"]);
    }
}
