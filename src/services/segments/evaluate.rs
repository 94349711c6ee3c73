//! The evaluation of contacts: what is known of them, what the rules say of it, and what is written.
//!
//! It belongs in a transaction that holds the lock of the contacts' shard, and that has read the clock after it got the lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::live::{Live, Rank};
use super::react::follow;
use crate::domain::ids::{ContactId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::segments::decide::{decide, glance};
use crate::domain::segments::question::{EventFact, Facts, Question};
use crate::domain::segments::standing::TransitionSource;
use crate::domain::segments::stay::{Change, Occasion, Seen, Step, Stored, Transition, advance};
use crate::store::segments::facts;
use crate::store::segments::members::{self, MemberRow};
use crate::store::segments::queue;
use crate::store::segments::transitions::{self, TransitionRow};
use crate::store::{Conn, StoreError, reactions};

/// Contacts that are to be evaluated, for which segments, and how that was found out.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeMap<ContactId, Want>);

#[derive(Debug)]
struct Want {
    ranks: BTreeSet<Rank>,
    source: TransitionSource,
    /// How many reactions led to it, one after the other, where any did.
    depths: BTreeMap<Rank, i32>,
}

impl Wanted {
    /// Adds segments for a contact. The first source counts.
    pub(super) fn add(&mut self, contact: ContactId, ranks: impl IntoIterator<Item = Rank>, source: TransitionSource) {
        let want =
            self.0.entry(contact).or_insert_with(|| Want { ranks: BTreeSet::new(), source, depths: BTreeMap::new() });
        want.ranks.extend(ranks);
    }

    /// Notes for these segments how many reactions led to what has changed about a contact, one after the other. The longest chain counts.
    pub(super) fn deepen(&mut self, contact: ContactId, ranks: &[Rank], depth: i32) {
        if let Some(want) = self.0.get_mut(&contact).filter(|_| depth > 0) {
            ranks.iter().for_each(|rank| deepen(&mut want.depths, *rank, depth));
        }
    }

    /// Leaves out what is left to the evaluation of everybody, but for the segment that it is now about.
    pub(super) fn leave_to_builds(&mut self, live: &Live, but: Option<SegmentId>) {
        for (contact, want) in &mut self.0 {
            want.ranks.retain(|rank| live.get(*rank).is_some_and(|segment| is_open(&segment.row, *contact, but)));
        }
        self.0.retain(|_, want| !want.ranks.is_empty());
    }
}

fn is_open(row: &crate::store::segments::SegmentRow, contact: ContactId, but: Option<SegmentId>) -> bool {
    Some(row.id) == but || !row.is_still_to_evaluate(contact)
}

/// How an evaluation came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Contacts have changed, or time has passed.
    Live,
    /// Something about all contacts of a stretch may have changed. Most of them stay out of most segments.
    Stretch,
    /// Everybody is evaluated for this segment: entries are not reported.
    Everybody(SegmentId),
}

/// What came of an evaluation, or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evaluated {
    /// Contacts that were looked at.
    pub contacts: usize,
    /// Answers that were found: for each contact and segment one.
    pub answers: usize,
    /// Transitions that were written.
    pub transitions: usize,
    /// Reactions that were refused because each would have been one too many in a chain.
    pub refused: usize,
}

impl std::ops::AddAssign for Evaluated {
    fn add_assign(&mut self, other: Self) {
        self.contacts += other.contacts;
        self.answers += other.answers;
        self.transitions += other.transitions;
        self.refused += other.refused;
    }
}

/// A contact and a segment, and what becomes of them.
struct Found<'a> {
    contact: ContactId,
    rank: Rank,
    open: Option<MemberRow>,
    seen: Seen,
    step: Step,
    source: TransitionSource,
    depth: i32,
    live: &'a Live,
}

/// Evaluates contacts and writes what comes of it.
pub(super) fn evaluate(
    conn: &mut Conn,
    live: &Live,
    mut wanted: Wanted,
    now: UtcInstant,
    cause: Cause,
) -> Result<Evaluated, StoreError> {
    let but = match cause {
        Cause::Live | Cause::Stretch => None,
        Cause::Everybody(segment) => Some(segment),
    };
    wanted.leave_to_builds(live, but);
    if wanted.0.is_empty() {
        return Ok(Evaluated::default());
    }
    let contacts: Vec<ContactId> = wanted.0.keys().copied().collect();
    let question = live.question(&wanted.0.values().flat_map(|want| want.ranks.iter().copied()).collect());
    let mut open: HashMap<ContactId, BTreeMap<SegmentId, MemberRow>> = HashMap::new();
    for row in members::open_of(conn, &contacts)? {
        open.entry(row.contact_id).or_default().insert(row.segment_id, row);
    }
    let (mut found, mut timers) = (Vec::new(), Vec::new());
    let mut answers = 0;
    if cause != Cause::Live && question.is_worth_a_glance() {
        // Most contacts are decided by what costs little to read.
        for mut facts in facts::of_contacts(conn, &question.without_events(), &contacts)? {
            let contact = facts.contact;
            let Some(want) = wanted.0.get(&contact).filter(|_| !open.contains_key(&contact)) else { continue };
            facts.segments = BTreeSet::new();
            if let Some(timer) = stays_out(live, want, &facts, now) {
                answers += want.ranks.len();
                timers.extend(timer.map(|timer| (contact, timer)));
                wanted.0.remove(&contact);
            }
        }
    }
    let left: Vec<ContactId> = wanted.0.keys().copied().collect();
    let facts = if left.is_empty() { Vec::new() } else { facts::of_contacts(conn, &question, &left)? };
    let mut facts: HashMap<ContactId, Facts> = facts.into_iter().map(|facts| (facts.contact, facts)).collect();
    // Only those who are found by an evaluation of everybody count their stay from an event.
    let places = if but.is_some() { Places::of(live, &question) } else { Places(Vec::new()) };
    for (contact, want) in &wanted.0 {
        let gone = || Facts { living: false, ..Facts::blank(*contact, question.clone()) };
        let mut person = Person {
            facts: facts.remove(contact).unwrap_or_else(gone),
            open: open.remove(contact).unwrap_or_default(),
            timer: None,
        };
        person.facts.segments =
            person.open.iter().filter(|(_, row)| row.left_at.is_none()).map(|(id, _)| *id).collect();
        answers += person.walk(live, want, now, (cause, but), &places, &mut found);
        timers.extend(person.timer.map(|timer| (*contact, timer)));
    }
    let (transitions, refused) = write(conn, found, now)?;
    queue::set_timers(conn, &timers)?;
    Ok(Evaluated { contacts: contacts.len(), answers, transitions, refused })
}

/// When a contact that is a member of no segment is to be looked at again, where it stays out of all that are wanted whatever it did.
fn stays_out(live: &Live, want: &Want, facts: &Facts, now: UtcInstant) -> Option<Option<UtcInstant>> {
    let mut first = None;
    for rank in &want.ranks {
        let decision = glance(&live.get(*rank)?.criteria, facts, now).filter(|decision| !decision.matches)?;
        first = first.into_iter().chain(decision.timer).min();
    }
    Some(first)
}

/// Which facts about events each segment asks for, by their places in a question.
struct Places(Vec<Vec<usize>>);

impl Places {
    fn of(live: &Live, question: &Question) -> Self {
        let of = |rank| {
            let own = live.get(rank).map(|segment| Question::of([&*segment.criteria]));
            let is_own = |fact: &EventFact| own.as_ref().is_some_and(|own| own.events().contains(fact));
            question.events().iter().enumerate().filter(|(_, fact)| is_own(fact)).map(|(place, _)| place).collect()
        };
        Self(live.all().map(of).collect())
    }

    /// When the newest of the events occurred that a segment asks for.
    fn newest(&self, rank: Rank, facts: &Facts) -> Option<UtcInstant> {
        self.0.get(rank)?.iter().filter_map(|place| facts.events.get(*place).copied().flatten()).max()
    }
}

/// A contact while it is evaluated.
struct Person {
    facts: Facts,
    open: BTreeMap<SegmentId, MemberRow>,
    timer: Option<UtcInstant>,
}

impl Person {
    /// Evaluates its segments in their order; those that ask for one of which it has become a member, or none any more, too. How many
    /// that were. Only what has changed is kept: there may be very many contacts and segments.
    fn walk<'a>(
        &mut self,
        live: &'a Live,
        want: &Want,
        now: UtcInstant,
        (cause, but): (Cause, Option<SegmentId>),
        places: &Places,
        found: &mut Vec<Found<'a>>,
    ) -> usize {
        let mut answers = 0;
        let contact = self.facts.contact;
        let (mut todo, mut depths) = (want.ranks.clone(), want.depths.clone());
        while let Some(rank) = todo.pop_first() {
            let Some(segment) = live.get(rank) else { continue };
            answers += 1;
            let id = segment.row.id;
            let occasion = match cause {
                Cause::Live | Cause::Stretch => Occasion::Live,
                Cause::Everybody(_) => Occasion::Backfill { since: places.newest(rank, &self.facts) },
            };
            let decision = decide(&segment.criteria, &self.facts, now);
            let seen = Seen { living: self.facts.living, decision, occasion };
            let open = self.open.get(&id).cloned();
            let stored = Stored { open: open.as_ref().map(MemberRow::row), ..Stored::default() };
            let step = advance(&segment.rules, &stored, seen, now);
            self.timer = self.timer.into_iter().chain(step.timer).min();
            let has_changed = match step.change {
                Change::Join(_) => self.facts.segments.insert(id),
                Change::Leave { .. } => self.facts.segments.remove(&id),
                Change::None | Change::Note(_) | Change::Close(_) => false,
            };
            let depth = depths.get(&rank).copied().unwrap_or_default();
            if has_changed {
                let asking = live.asking_for(id).iter().copied();
                asking.clone().for_each(|rank| deepen(&mut depths, rank, depth));
                todo.extend(
                    asking.filter(|rank| live.get(*rank).is_some_and(|segment| is_open(&segment.row, contact, but))),
                );
            }
            if step.change != Change::None || !step.transitions.is_empty() {
                found.push(Found { contact, rank, open, seen, step, source: want.source, depth, live });
            }
        }
        answers
    }
}

/// The longest chain of reactions counts.
fn deepen(depths: &mut BTreeMap<Rank, i32>, rank: Rank, depth: i32) {
    if depth > 0 {
        let known = depths.entry(rank).or_default();
        *known = depth.max(*known);
    }
}

/// Writes what has become of contacts and segments, and their reactions. How many transitions there were, and how many reactions
/// were refused.
fn write(conn: &mut Conn, mut found: Vec<Found<'_>>, now: UtcInstant) -> Result<(usize, usize), StoreError> {
    number_entries(conn, &mut found, now)?;
    let (mut entered, mut changed, mut told, mut due) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for found in found {
        let Some(segment) = found.live.get(found.rank) else { continue };
        let (id, contact) = (segment.row.id, found.contact);
        let row = |row| MemberRow::of(id, contact, row);
        match found.step.change {
            Change::None => {}
            Change::Join(new) => entered.push(row(new)),
            Change::Note(noted) => changed.push(row(noted)),
            Change::Leave { row: left, reason, closed } => {
                changed.push(MemberRow { reason: Some(reason), closed_at: closed.then_some(now), ..row(left) });
            }
            Change::Close(spent) => {
                let reason = found.open.and_then(|open| open.reason);
                changed.push(MemberRow { reason, closed_at: Some(now), ..row(spent) });
            }
        }
        for transition in found.step.transitions {
            follow(segment, contact, &transition, found.depth, &mut due);
            told.push(TransitionRow { depth: found.depth, ..told_of(id, contact, transition, found.source) });
        }
    }
    members::insert(conn, &entered)?;
    members::update(conn, &changed)?;
    transitions::note(conn, &told)?;
    reactions::add(conn, &due, now)?;
    Ok((told.len(), due.iter().filter(|row| row.refused.is_some()).count()))
}

fn told_of(segment: SegmentId, contact: ContactId, transition: Transition, source: TransitionSource) -> TransitionRow {
    TransitionRow {
        segment_id: segment,
        contact_id: contact,
        epoch: transition.epoch,
        kind: transition.kind,
        ordinal: transition.ordinal,
        at: transition.at,
        source,
        reason: transition.reason,
        mark: transition.mark.map(|(mark, _)| mark.to_string()),
        mark_count: transition.mark.map(|(_, count)| count),
        emit: transition.emit,
        depth: 0,
    }
}

/// Those who enter were perhaps members before: which entry it is, and whether it is reported, depends on that.
fn number_entries(conn: &mut Conn, found: &mut [Found<'_>], now: UtcInstant) -> Result<(), StoreError> {
    let pair = |found: &Found<'_>| Some((found.live.get(found.rank)?.row.id, found.contact));
    let joining: HashSet<(SegmentId, ContactId)> =
        found.iter().filter(|found| matches!(found.step.change, Change::Join(_))).filter_map(pair).collect();
    let mut pairs: Vec<(SegmentId, ContactId)> = joining.into_iter().collect();
    pairs.sort_unstable();
    let past = members::past(conn, &pairs)?;
    for found in found.iter_mut().filter(|found| matches!(found.step.change, Change::Join(_))) {
        let Some(segment) = found.live.get(found.rank) else { continue };
        if let Some(past) = past.get(&(segment.row.id, found.contact)) {
            let stored = Stored { open: None, epochs: past.epoch, last_left: past.left_at };
            found.step = advance(&segment.rules, &stored, found.seen, now);
        }
    }
    Ok(())
}
