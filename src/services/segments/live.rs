//! The segments that are kept up to date, as one transaction sees them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ids::SegmentId;
use crate::domain::segments::Criteria;
use crate::domain::segments::dependencies::ordered;
use crate::domain::segments::question::Question;
use crate::domain::segments::reaction::Reaction;
use crate::domain::segments::stay::Rules;
use crate::domain::segments::topic::Topic;
use crate::store::segments::{self, SegmentRow};
use crate::store::{Conn, StoreError};

/// Criteria that were read before, by version: a version never changes. Cloning is cheap.
#[derive(Clone, Default)]
pub struct KnownCriteria(Arc<Mutex<HashMap<SegmentId, Known>>>);

struct Known {
    version: i64,
    criteria: Result<Arc<Criteria>, String>,
}

/// Criteria by segment; or why they cannot be evaluated.
type CriteriaOf = HashMap<SegmentId, Result<Arc<Criteria>, String>>;

impl KnownCriteria {
    /// The criteria of these segments; or why they cannot be evaluated. `None`: some have changed since the rows were read.
    fn criteria(&self, conn: &mut Conn, rows: &[SegmentRow]) -> Result<Option<CriteriaOf>, StoreError> {
        let mut found = CriteriaOf::new();
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let versions: HashMap<SegmentId, i64> = rows.iter().map(|row| (row.id, row.version)).collect();
            known.retain(|id, known| versions.get(id) == Some(&known.version));
            found.extend(known.iter().map(|(id, known)| (*id, known.criteria.clone())));
        }
        let unknown: Vec<SegmentId> = rows.iter().map(|row| row.id).filter(|id| !found.contains_key(id)).collect();
        if unknown.is_empty() {
            return Ok(Some(found));
        }
        let mut stored = segments::criteria_of(conn, &unknown)?;
        for row in rows.iter().filter(|row| unknown.contains(&row.id)) {
            let Some(stored) = stored.remove(&row.id).filter(|stored| stored.version == row.version) else {
                return Ok(None);
            };
            let criteria =
                stored.given().and_then(|given| Criteria::read(given).map(Arc::new).map_err(|error| error.to_string()));
            found.insert(row.id, criteria.clone());
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(row.id, Known { version: row.version, criteria });
        }
        Ok(Some(found))
    }
}

/// A segment that can be evaluated.
pub(super) struct LiveSegment {
    pub(super) row: SegmentRow,
    pub(super) rules: Rules,
    pub(super) criteria: Arc<Criteria>,
    pub(super) reactions: Vec<Reaction>,
}

impl LiveSegment {
    fn depends_on_time(&self) -> bool {
        self.criteria.depends_on_time() || self.rules.depend_on_time()
    }
}

/// The place of a segment in the order of evaluation: it comes after those that it asks for.
pub(super) type Rank = usize;

/// A segment that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) segment: SegmentId,
    pub(super) version: i64,
    pub(super) problem: String,
}

/// The segments that are kept up to date.
#[derive(Default)]
pub(super) struct Live {
    segments: Vec<LiveSegment>,
    by_topic: HashMap<Topic, Vec<Rank>>,
    timed: Vec<Rank>,
    asked_by: HashMap<SegmentId, Vec<Rank>>,
    /// Those that have turned out to be no longer readable.
    pub(super) broken: Vec<Broken>,
    /// Those that are readable again.
    pub(super) readable_again: Vec<SegmentId>,
}

impl Live {
    /// Reads them.
    pub(super) fn read(conn: &mut Conn, known: &KnownCriteria) -> Result<Self, StoreError> {
        let (rows, mut criteria) = loop {
            let rows = segments::live(conn)?;
            if let Some(criteria) = known.criteria(conn, &rows)? {
                break (rows, criteria);
            }
        };
        let mut live = Self::default();
        let mut readable = BTreeMap::new();
        for row in rows {
            let read = criteria.remove(&row.id).unwrap_or_else(|| Err("it has no criteria".to_owned()));
            let read = read.and_then(|criteria| {
                let rest = row.rules().and_then(|rules| Ok((rules, row.reactions()?)));
                rest.map(|(rules, reactions)| (criteria, rules, reactions)).map_err(|error| error.to_string())
            });
            match read {
                Ok((criteria, rules, reactions)) => {
                    readable.insert(row.id, LiveSegment { row, rules, criteria, reactions });
                }
                Err(_) if row.problem.is_some() => {}
                Err(problem) => live.broken.push(Broken { segment: row.id, version: row.version, problem }),
            }
        }
        let mut asks: BTreeMap<SegmentId, BTreeSet<SegmentId>> =
            readable.iter().map(|(id, segment)| (*id, segment.criteria.segments())).collect();
        let order = loop {
            let circle = match ordered(&asks) {
                Ok(order) => break order,
                Err(circle) => circle,
            };
            // It concerns no other segment.
            let of_circle = circle.0.iter().filter_map(|id| readable.remove(id));
            let new = of_circle.filter(|segment| segment.row.problem.is_none());
            live.broken.extend(new.map(|segment| Broken {
                segment: segment.row.id,
                version: segment.row.version,
                problem: circle.to_string(),
            }));
            asks.retain(|id, _| readable.contains_key(id));
        };
        for id in order {
            let Some(segment) = readable.remove(&id) else { continue };
            match segment.row.problem {
                Some(_) => live.readable_again.push(id),
                None => live.segments.push(segment),
            }
        }
        for (rank, segment) in live.segments.iter().enumerate() {
            for topic in segment.criteria.topics() {
                live.by_topic.entry(topic).or_default().push(rank);
            }
            for asked in segment.criteria.segments() {
                live.asked_by.entry(asked).or_default().push(rank);
            }
            if segment.depends_on_time() {
                live.timed.push(rank);
            }
        }
        Ok(live)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn get(&self, rank: Rank) -> Option<&LiveSegment> {
        self.segments.get(rank)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Rank> + use<> {
        0..self.segments.len()
    }

    /// The place of a segment.
    pub(super) fn rank_of(&self, id: SegmentId) -> Option<Rank> {
        self.segments.iter().position(|segment| segment.row.id == id)
    }

    /// Those that a change concerns.
    pub(super) fn concerned(&self, topic: &str) -> Vec<Rank> {
        match Topic::parse(topic) {
            // A newer version knows what it means.
            None => self.all().collect(),
            Some(topic) if topic.concerns_all() => self.all().collect(),
            Some(topic) => self.by_topic.get(&topic).cloned().unwrap_or_default(),
        }
    }

    /// Those whose answer may change because time passes.
    pub(super) fn timed(&self) -> &[Rank] {
        &self.timed
    }

    /// Those that ask whether a contact is a member of this segment.
    pub(super) fn asking_for(&self, segment: SegmentId) -> &[Rank] {
        self.asked_by.get(&segment).map_or(&[], Vec::as_slice)
    }

    /// What these segments ask, and those that may have to be evaluated because of them.
    pub(super) fn question(&self, ranks: &BTreeSet<Rank>) -> Arc<Question> {
        let mut all = ranks.clone();
        // Those that ask for a segment come after it.
        for rank in self.all() {
            if all.contains(&rank)
                && let Some(segment) = self.get(rank)
            {
                all.extend(self.asking_for(segment.row.id));
            }
        }
        Question::of(all.iter().filter_map(|rank| Some(&*self.get(*rank)?.criteria)))
    }
}
