//! Calls of targets. A call is taken for a while, made, and removed when the target has taken it. If an instance dies in between, another one
//! makes the call again under the same id.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::KNOWN_FOR_MS;
use super::targets::{Target, Targets};
use crate::channels::webhook::call::Answered;
use crate::domain::dispatch::backoff;
use crate::domain::dispatch::retries::{Doubt, spread};
use crate::domain::dispatch::trouble::Trouble;
use crate::domain::ids::{CampaignId, ContactId, ReactionId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::trace::Trace;
use crate::store::reactions::calls::{self, Call};
use crate::store::reactions::{self, DueCall, known_targets};
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// How much longer than its target's timeout a call belongs to the instance that has taken it.
const MARGIN: Duration = Duration::from_secs(20);

/// How many calls are looked through at once where the oldest ones are not to be made.
const MOST_LOOKED_THROUGH: i64 = 500;

/// What a call says that no instance can make.
const NO_TARGET: &str = "no instance has a target of this name in its settings";

/// Of a contact that is deleted, only this is told.
const LEFT: &str = "segment.left";

/// A call, and what else is known when it is made.
struct Taken {
    call: Call,
    /// What programs know the contact by.
    external_id: Option<String>,
    /// What its campaign is a part of.
    trace: Option<Trace>,
}

/// What was taken for a target.
struct Batch {
    now: UtcInstant,
    taken: Vec<Taken>,
    dropped: usize,
}

/// Makes calls.
pub struct CallDesk {
    store: Store,
    targets: Targets,
    /// How many more calls each target gets at once.
    places: HashMap<String, Arc<Semaphore>>,
    calls: JoinSet<()>,
    since: Instant,
}

impl CallDesk {
    /// A desk that calls these targets.
    #[must_use]
    pub fn new(store: Store, targets: Targets) -> Self {
        let place = |target: &Arc<Target>| (target.name.clone(), Arc::new(Semaphore::new(target.concurrency)));
        let places = targets.all().map(place).collect();
        Self { store, targets, places, calls: JoinSet::new(), since: Instant::now() }
    }

    /// Begins calls that are due, as far as their targets have free places. How many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin(&mut self) -> Result<usize, StoreError> {
        while self.calls.try_join_next().is_some() {}
        let is_free = |name: &String| self.places.get(name).is_some_and(|places| places.available_permits() > 0);
        let names: Vec<String> = self.targets.all().map(|target| target.name.clone()).filter(is_free).collect();
        if names.is_empty() {
            return Ok(0);
        }
        let look = move |conn: &mut Conn| calls::due(conn, &names);
        let mut begun = 0;
        for name in self.store.run(Lane::Read, "look for calls", look).await? {
            if let (Some(target), Some(places)) = (self.targets.get(&name).cloned(), self.places.get(&name).cloned()) {
                begun += self.begin_for(&target, &places).await?;
            }
        }
        Ok(begun)
    }

    /// Begins as many calls of a target as it has places.
    async fn begin_for(&mut self, target: &Arc<Target>, places: &Arc<Semaphore>) -> Result<usize, StoreError> {
        loop {
            let limit = i64::try_from(places.available_permits()).unwrap_or(i64::MAX);
            let held = i64::try_from((target.timeout + MARGIN).as_millis()).unwrap_or(i64::MAX);
            let name = target.name.clone();
            let take = move |conn: &mut Conn| take(conn, &name, limit, held);
            let batch = self.store.transact::<_, StoreError>(Lane::Segments, "take calls", take).await?;
            counter!("volley_reactions_total", "result" => "dropped")
                .increment(u64::try_from(batch.dropped).unwrap_or(u64::MAX));
            let begun = batch.taken.len();
            for taken in batch.taken {
                // Nobody else takes a place: there are as many as calls were taken.
                let Ok(place) = Arc::clone(places).try_acquire_owned() else { break };
                self.calls.spawn(make(self.store.clone(), Arc::clone(target), taken, batch.now, place));
            }
            // Those that are not to be made keep no other one waiting.
            if begun > 0 || batch.dropped == 0 {
                return Ok(begun);
            }
        }
    }

    /// Waits until one of the calls that are under way has ended. Without any, for ever.
    pub async fn ended(&mut self) {
        if self.calls.join_next().await.is_none() {
            std::future::pending().await
        }
    }

    /// Says which targets this instance has, and fails calls of targets that no instance has had for ten minutes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn look_at_targets(&self) -> Result<(), StoreError> {
        let said = self.targets.said();
        let say = move |conn: &mut Conn| known_targets::say(conn, &said);
        self.store.transact::<_, StoreError>(Lane::Write, "say which targets there are", say).await?;
        // Other instances may only just have started, too.
        if i64::try_from(self.since.elapsed().as_millis()).is_ok_and(|ms| ms < KNOWN_FOR_MS) {
            return Ok(());
        }
        let fail = |conn: &mut Conn| {
            let since = engine::now(conn)?.plus_ms(-KNOWN_FOR_MS);
            calls::fail_unknown(conn, since, NO_TARGET)
        };
        loop {
            let (more, failed) =
                self.store.transact::<_, StoreError>(Lane::Write, "fail calls without a target", fail).await?;
            if failed > 0 {
                tracing::warn!(
                    event = "reactions.without_target",
                    count = failed,
                    "calls have failed because no instance has a target of their name in its settings"
                );
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// Takes calls of a target. Those that are not to be made are removed.
fn take(conn: &mut Conn, target: &str, limit: i64, held_ms: i64) -> Result<Batch, StoreError> {
    let now = engine::now(conn)?;
    let (mut dropped, mut look) = (0, limit);
    let (mut wanted, known) = loop {
        let due = calls::lock(conn, target, now, look)?;
        let known = known(conn, &due)?;
        let segments: BTreeSet<SegmentId> = due.iter().filter_map(|call| call.segment_id).collect();
        let enabled = reactions::enabled(conn, &segments)?;
        let is_wanted = |call: &DueCall| {
            let is_on = call.segment_id.is_none_or(|segment| enabled.contains(&segment));
            is_on && (call.event == LEFT || call.contact_id.is_none_or(|contact| known.contains_key(&contact)))
        };
        let (wanted, rest): (Vec<&DueCall>, Vec<&DueCall>) = due.iter().partition(|call| is_wanted(call));
        let ids = |calls: &[&DueCall]| calls.iter().map(|call| call.id).collect::<Vec<ReactionId>>();
        reactions::finish(conn, &ids(&rest))?;
        dropped += rest.len();
        if rest.is_empty() || !wanted.is_empty() || look >= MOST_LOOKED_THROUGH {
            break (ids(&wanted), known);
        }
        look = MOST_LOOKED_THROUGH;
    };
    wanted.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let calls = calls::take(conn, &wanted, now.plus_ms(held_ms))?;
    let traces = traces(conn, &calls)?;
    let with_name = |call: Call| {
        let external_id = call.contact_id.and_then(|contact| known.get(&contact).cloned().flatten());
        let trace = call.campaign_id.and_then(|campaign| traces.get(&campaign).copied());
        Taken { call, external_id, trace }
    };
    Ok(Batch { now, taken: calls.into_iter().map(with_name).collect(), dropped })
}

/// What programs know the contacts of these calls by. Deleted ones are left out.
fn known(conn: &mut Conn, due: &[DueCall]) -> Result<HashMap<ContactId, Option<String>>, StoreError> {
    let contacts: Vec<ContactId> = due.iter().filter_map(|call| call.contact_id).collect();
    if contacts.is_empty() {
        Ok(HashMap::new())
    } else {
        Ok(calls::external_ids(conn, &contacts)?.into_iter().collect())
    }
}

/// The traces of the campaigns that calls are about.
fn traces(conn: &mut Conn, calls: &[Call]) -> Result<HashMap<CampaignId, Trace>, StoreError> {
    let campaigns: BTreeSet<CampaignId> = calls.iter().filter_map(|call| call.campaign_id).collect();
    if campaigns.is_empty() {
        return Ok(HashMap::new());
    }
    let found = calls::correlations(conn, &campaigns.into_iter().collect::<Vec<_>>())?;
    let trace = |(id, correlation): (CampaignId, Option<String>)| Some((id, Trace::of_correlation(&correlation?)?));
    Ok(found.into_iter().filter_map(trace).collect())
}

/// What a target is told.
fn body(taken: &Taken) -> String {
    let mut data: Map<String, Value> = serde_json::from_str(&taken.call.content).unwrap_or_default();
    if taken.call.contact_id.is_some() {
        data.insert("external_id".to_owned(), json!(taken.external_id));
    }
    json!({ "type": taken.call.event, "timestamp": taken.call.at, "data": data }).to_string()
}

/// Makes a call, and notes what came of it. If that cannot be noted, the call is made again.
async fn make(store: Store, target: Arc<Target>, taken: Taken, now: UtcInstant, place: OwnedSemaphorePermit) {
    let seconds = now.0.div_euclid(1_000);
    let answered = target.call(&taken.call.key, seconds, taken.trace, &body(&taken)).await;
    let call = taken.call;
    let noted = match verdict(&target, &call, answered) {
        Verdict::Done => {
            count(&target, "taken");
            let finish = move |conn: &mut Conn| calls::finish(conn, &call);
            store.run(Lane::Segments, "finish a call", finish).await
        }
        Verdict::Failed { wait, trouble } => {
            count(&target, if wait.is_some() { "retried" } else { "failed" });
            if wait.is_none() {
                tracing::warn!(
                    event = "reaction.failed",
                    reaction.id = call.id.0,
                    reaction.target = %target.name,
                    attempts = call.attempts,
                    category = %trouble.category,
                    "a call has failed; GET /v1/reactions lists it, and it can be tried again by hand"
                );
            }
            let wait_ms = wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
            let note = move |conn: &mut Conn| calls::note_failure(conn, &call, wait_ms, &trouble.detail);
            store.run(Lane::Segments, "note that a call has failed", note).await
        }
    };
    if let Err(error) = noted {
        tracing::warn!(event = "reaction.unnoted", error = %error, "what came of a call cannot be stored; it is made again");
    }
    drop(place);
}

fn count(target: &Target, result: &'static str) {
    counter!("volley_reaction_calls_total", "target" => target.name.clone(), "result" => result).increment(1);
}

/// What came of a try.
enum Verdict {
    Done,
    /// `wait`: it is tried again after that.
    Failed {
        wait: Option<Duration>,
        trouble: Trouble,
    },
}

fn verdict(target: &Target, call: &Call, answered: Answered) -> Verdict {
    let (asked, trouble) = match answered {
        Answered::Taken => return Verdict::Done,
        Answered::Never(trouble) => return Verdict::Failed { wait: None, trouble },
        Answered::NotNow { wait, trouble } => (wait, trouble),
    };
    // A lost answer is no other case: the receiver knows a repetition by its id.
    let attempt = u32::try_from(call.attempts).unwrap_or(1).max(1);
    let longer = |wait: Duration| asked.map_or(wait, |asked| backoff::honoured(asked).max(wait));
    let wait = target.retries.wait(attempt, Doubt::None, None).ok();
    Verdict::Failed { wait: wait.map(|wait| longer(spread(wait, jitter(call)))), trouble }
}

/// From 0 to 1, and another one for each call: those that failed together do not come back together.
fn jitter(call: &Call) -> f64 {
    let mixed =
        call.id.0.wrapping_mul(0x9E37).wrapping_add(i64::from(call.attempts).wrapping_mul(7_919)).rem_euclid(1_000);
    f64::from(i32::try_from(mixed).unwrap_or_default()) / 1_000.0
}
