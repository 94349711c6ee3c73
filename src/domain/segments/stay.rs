//! How long a contact stays in a segment, and what its coming, staying and going cause.
//!
//! The clock of the database gives `now`. Whatever falls on one instant happens in this order: marks of the stay, the end of the
//! longest stay, the criteria.

use serde::{Deserialize, Serialize};

use super::decision::{Decision, earlier};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::FieldError;
use crate::domain::span::Span;
use crate::domain::text_enum::text_enum;

/// The most marks of a segment.
pub const MAX_MARKS: usize = 10;

/// The shortest time of a mark, and of a stay that is limited, in milliseconds.
const SHORTEST_MS: i64 = 1_000;

/// What a segment says of stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// A member stays so long at least, though the criteria do not take it any more.
    pub min_stay: Option<Span>,
    /// A member stays so long at most, though the criteria still take it. It does not come back before they once did not.
    pub max_stay: Option<Span>,
    /// When a stay is worth telling of.
    pub marks: Vec<Mark>,
    /// Which entries are reported.
    pub entries: EntryLimit,
    /// When the marks were last changed, or the segment enabled. A mark that had passed by then and is not noted yet is noted
    /// silently: no old member gets a message because of a change.
    pub marks_since: UtcInstant,
}

/// A time of a stay that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Once, so long after the beginning.
    After(Span),
    /// Again and again. Times that were missed are reported once.
    Every(Span),
}

/// As reactions name it: `after 7d`, `every 30d`.
impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, span) = match self {
            Self::After(span) => ("after", span),
            Self::Every(span) => ("every", span),
        };
        const DAY_MS: i64 = 86_400_000;
        match (span.as_ms() / DAY_MS, span.as_ms() % DAY_MS) {
            (days, 0) => write!(f, "{word} {days}d"),
            _ => {
                let written = serde_json::to_value(span).unwrap_or_default();
                write!(f, "{word} {}", written.as_str().unwrap_or_default())
            }
        }
    }
}

/// Which entries are reported. Membership does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntryLimit {
    /// All of them.
    #[default]
    Unlimited,
    /// The first of each contact.
    Once,
    /// Those that come so long after the contact last left.
    OncePer(Span),
}

impl Rules {
    /// Checks what a client said.
    ///
    /// # Errors
    /// [`FieldError`] of `min_dwell`, `max_dwell` or `dwell`, with the code `segment_dwell_invalid`.
    pub fn check(&self) -> Result<(), FieldError> {
        let refuse = |field: &str, reason: String| Err(FieldError::new(field, "segment_dwell_invalid", reason));
        for (field, span) in [("min_dwell", self.min_stay), ("max_dwell", self.max_stay)] {
            if span.is_some_and(|span| span.as_ms() < SHORTEST_MS) {
                return refuse(field, "must be at least 1s".to_owned());
            }
        }
        if self.min_stay.zip(self.max_stay).is_some_and(|(min, max)| min > max) {
            return refuse("max_dwell", "must not be shorter than min_dwell".to_owned());
        }
        if self.marks.len() > MAX_MARKS {
            return refuse("dwell", format!("has more than {MAX_MARKS} entries"));
        }
        if self.marks.iter().any(|mark| mark.span().as_ms() < SHORTEST_MS) {
            return refuse("dwell", "must be at least 1s each".to_owned());
        }
        Ok(())
    }

    /// Whether passing of time alone can cause something.
    #[must_use]
    pub fn depend_on_time(&self) -> bool {
        self.min_stay.is_some() || self.max_stay.is_some() || !self.marks.is_empty()
    }
}

impl Mark {
    const fn span(self) -> Span {
        match self {
            Self::After(span) | Self::Every(span) => span,
        }
    }

    /// How often its time has come when a stay is so old.
    fn count(self, age_ms: i64) -> i64 {
        let times = age_ms.max(0) / self.span().as_ms().max(1);
        match self {
            Self::After(_) => times.min(1),
            Self::Every(_) => times,
        }
    }

    /// How old a stay is when its time comes for the n-th time. `None`: it does not.
    fn age(self, n: i64) -> Option<i64> {
        match self {
            Self::After(_) if n > 1 => None,
            Self::After(span) | Self::Every(span) => Some(span.as_ms().saturating_mul(n)),
        }
    }
}

/// An open row: of a contact that is a member, or whose longest stay is over while the criteria still take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// How often the contact has become a member, with this time.
    pub epoch: i64,
    /// When it became one.
    pub entered_at: UtcInstant,
    /// When its longest stay was over. The row is spent since: the contact is no member. `None`: it is one.
    pub left_at: Option<UtcInstant>,
    /// From when its marks count: `entered_at`, or before, where a backfill found it.
    pub dwell_from: UtcInstant,
    /// Marks up to then are noted.
    pub dwell_done: UtcInstant,
    /// How many marks are noted: the ordinal of the last of them.
    pub dwell_n: i64,
}

/// What is stored of a contact and a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    /// The row that is not closed.
    pub open: Option<Row>,
    /// The highest epoch of any row; 0 where there is none.
    pub epochs: i64,
    /// When the contact last left.
    pub last_left: Option<UtcInstant>,
}

/// What was seen of a contact at `now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether it is there.
    pub living: bool,
    /// What the criteria say.
    pub decision: Decision,
    /// How it was seen.
    pub occasion: Occasion,
}

/// How a contact is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Something of it changed, or its timer was due.
    Live,
    /// The whole segment is evaluated. Entries are silent.
    Backfill {
        /// When the newest event occurred that makes the criteria take it: its marks count from then. `None`: from now.
        since: Option<UtcInstant>,
    },
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Of the row.
    pub change: Change,
    /// In the order in which they happened.
    pub transitions: Vec<Transition>,
    /// When the contact is to be looked at again, whatever else changes.
    pub timer: Option<UtcInstant>,
}

/// What becomes of the open row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// A new one.
    Join(Row),
    /// Marks were noted on it.
    Note(Row),
    /// The contact is no member any more.
    Leave {
        /// The row, with `left_at`.
        row: Row,
        /// Why.
        reason: LeaveReason,
        /// Whether the row is closed. Else it is spent, and keeps the contact out.
        closed: bool,
    },
    /// A spent row is closed: the contact may come back.
    Close(Row),
}

/// Something to tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// What happened.
    pub kind: TransitionKind,
    /// In which epoch.
    pub epoch: i64,
    /// Numbers the marks of an epoch from 1; 0 of entries and leaves.
    pub ordinal: i64,
    /// When it was seen.
    pub at: UtcInstant,
    /// Why the contact left.
    pub reason: Option<LeaveReason>,
    /// Which mark, and how often its time has come in this epoch.
    pub mark: Option<(Mark, i64)>,
    /// Whether anything reacts to it.
    pub emit: bool,
}

text_enum! {
    /// What happened to a contact and a segment.
    TransitionKind {
        /// It became a member.
        Entered = "entered",
        /// It is a member no more.
        Left = "left",
        /// It has been a member for so long.
        Dwelled = "dwelled",
    }
}

text_enum! {
    /// Why a contact left a segment.
    LeaveReason {
        /// The criteria do not take it any more.
        Criteria = "criteria",
        /// Its longest stay is over.
        MaxDwell = "max_dwell",
        /// The contact was deleted.
        Deleted = "deleted",
        /// Somebody took it out.
        Manual = "manual",
    }
}

/// What an evaluation at `now` means for a contact.
#[must_use]
pub fn advance(rules: &Rules, stored: &Stored, seen: Seen, now: UtcInstant) -> Step {
    let taken = seen.living && seen.decision.matches;
    let timer = seen.decision.timer.filter(|_| seen.living);
    match stored.open {
        None if taken => join(rules, stored, seen, now),
        None => Step { change: Change::None, transitions: Vec::new(), timer },
        Some(row) if row.left_at.is_some() => {
            let change = if taken { Change::None } else { Change::Close(row) };
            Step { change, transitions: Vec::new(), timer }
        }
        Some(row) => stay(rules, row, seen, now),
    }
}

fn join(rules: &Rules, stored: &Stored, seen: Seen, now: UtcInstant) -> Step {
    let (is_live, dwell_from) = match seen.occasion {
        Occasion::Live => (true, now),
        Occasion::Backfill { since } => (false, since.map_or(now, |since| since.min(now))),
    };
    let epoch = stored.epochs + 1;
    let is_allowed = match rules.entries {
        EntryLimit::Unlimited => true,
        EntryLimit::Once => stored.epochs == 0,
        EntryLimit::OncePer(span) => stored.last_left.is_none_or(|left| left.plus_ms(span.as_ms()) <= now),
    };
    let entered = Row { epoch, entered_at: now, left_at: None, dwell_from, dwell_done: dwell_from, dwell_n: 0 };
    let mut transitions = vec![Transition {
        kind: TransitionKind::Entered,
        epoch,
        ordinal: 0,
        at: now,
        reason: None,
        mark: None,
        emit: is_live && is_allowed,
    }];
    let row = note(rules, entered, now, now, &mut transitions);
    Step { change: Change::Join(row), transitions, timer: earlier(seen.decision.timer, next_of_stay(rules, &row, now)) }
}

fn stay(rules: &Rules, before: Row, seen: Seen, now: UtcInstant) -> Step {
    let left = |row: Row, reason| Transition {
        kind: TransitionKind::Left,
        epoch: row.epoch,
        ordinal: 0,
        at: now,
        reason: Some(reason),
        mark: None,
        emit: true,
    };
    // Nobody leaves before they came, wherever the clock stands.
    let left_at = Some(now.max(before.entered_at));
    let leave = |row: Row, reason, closed| Change::Leave { row: Row { left_at, ..row }, reason, closed };
    if !seen.living {
        let reason = LeaveReason::Deleted;
        return Step { change: leave(before, reason, true), transitions: vec![left(before, reason)], timer: None };
    }
    let taken = seen.decision.matches;
    let mut transitions = Vec::new();
    let longest = rules.max_stay.map(|max| before.entered_at.plus_ms(max.as_ms()));
    let row = note(rules, before, longest.map_or(now, |longest| longest.min(now)), now, &mut transitions);
    // Without a shortest stay, a clock that went back keeps nobody in.
    let earliest = rules.min_stay.map(|min| before.entered_at.plus_ms(min.as_ms())).filter(|earliest| now < *earliest);
    let reason = if longest.is_some_and(|longest| longest <= now) {
        Some(LeaveReason::MaxDwell)
    } else if !taken && earliest.is_none() {
        Some(LeaveReason::Criteria)
    } else {
        None
    };
    if let Some(reason) = reason {
        transitions.push(left(row, reason));
        // Until the criteria once do not take it, it would come back at once.
        return Step { change: leave(row, reason, !taken), transitions, timer: seen.decision.timer };
    }
    let change = if row == before { Change::None } else { Change::Note(row) };
    // While it only stays because its shortest stay is not over, nothing else matters before that.
    let criteria = if taken { seen.decision.timer } else { earliest };
    Step { change, transitions, timer: earlier(criteria, next_of_stay(rules, &row, now)) }
}

/// Notes the marks whose times have come up to `until`.
fn note(rules: &Rules, row: Row, until: UtcInstant, now: UtcInstant, transitions: &mut Vec<Transition>) -> Row {
    let age = |instant: UtcInstant| instant.0.saturating_sub(row.dwell_from.0);
    let mut due: Vec<(i64, Mark, i64)> = Vec::new();
    for mark in &rules.marks {
        let times = mark.count(age(until));
        if times > mark.count(age(row.dwell_done)) {
            due.extend(mark.age(times).map(|at| (at, *mark, times)));
        }
    }
    // Those of one instant in the order in which the segment names them.
    due.sort_by_key(|(at, _, _)| *at);
    let mut noted = row;
    for (at, mark, times) in due {
        let at = row.dwell_from.plus_ms(at);
        noted.dwell_n += 1;
        noted.dwell_done = noted.dwell_done.max(until);
        transitions.push(Transition {
            kind: TransitionKind::Dwelled,
            epoch: row.epoch,
            ordinal: noted.dwell_n,
            at: now,
            reason: None,
            mark: Some((mark, times)),
            // At the entry itself, those are noted that had passed before anybody looked.
            emit: at > rules.marks_since && at > row.entered_at,
        });
    }
    noted
}

/// When the stay itself calls for a look: the next mark, or its end.
fn next_of_stay(rules: &Rules, row: &Row, now: UtcInstant) -> Option<UtcInstant> {
    let age = now.0.saturating_sub(row.dwell_from.0);
    let next = rules.marks.iter().filter_map(|mark| mark.age(mark.count(age) + 1)).min();
    let next = next.map(|at| row.dwell_from.plus_ms(at));
    earlier(next, rules.max_stay.map(|max| row.entered_at.plus_ms(max.as_ms())))
}

#[cfg(test)]
mod tests;
