//! What became of a campaign's messages, minute by minute.
//!
//! A side row of the campaign, written last in the transaction that moves the counts of a page, and by nothing but those counts: so the
//! sum of the minutes is what stands on the pages, whatever came twice, late or after a crash.

use std::collections::BTreeMap;

use super::dialect::{self, Stretch};
use crate::domain::dispatch::minutes::{MinuteFigures, minute_of};
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, InstanceId};
use crate::domain::instant::UtcInstant;
use crate::store::{Conn, StoreError, engine};

/// The instance of what happens to a page that nobody holds.
pub(super) const NOBODY: InstanceId = InstanceId(0);

/// The instance of what happens while an audience is packed. A row of its own, because a packing locks its cursor before it, and a pass over
/// the pages after it.
const PACKING: InstanceId = InstanceId(-1);

/// What one transaction adds.
pub(super) type News = BTreeMap<(CampaignId, InstanceId), MinuteFigures>;

/// Writes down what one transaction adds, in the order of the rows.
///
/// # Errors
/// A query failed.
pub(super) fn write(conn: &mut Conn, news: &News, now: UtcInstant) -> Result<(), StoreError> {
    for ((campaign, instance), figures) in news.iter().filter(|(_, figures)| !figures.is_nothing()) {
        dialect::add_minute(conn, (*campaign, minute_of(now), *instance), figures)?;
    }
    Ok(())
}

/// Writes down how many of a page that was just packed are skipped from the beginning.
///
/// # Errors
/// A query failed.
pub(in crate::store) fn note_packed(conn: &mut Conn, campaign: CampaignId, counts: &Counts) -> Result<(), StoreError> {
    let figures = MinuteFigures::between(&Counts::default(), counts);
    if figures.is_nothing() {
        return Ok(());
    }
    let now = engine::now(conn)?;
    write(conn, &News::from([((campaign, PACKING), figures)]), now)
}

/// A step of a campaign's course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub at: UtcInstant,
    /// Who held the pages, where instances stand apart: 0 for nobody, -1 while they were packed.
    pub instance: InstanceId,
    /// What happened.
    pub figures: MinuteFigures,
}

/// How long a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// So many minutes.
    Minutes(i64),
    /// As few minutes as divide the whole course into no more than so many steps.
    AtMost(i64),
}

/// Which steps.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How long each is.
    pub grain: Grain,
    /// Whether instances stand apart.
    pub apart: bool,
    /// Behind this step and instance.
    pub after: Option<(UtcInstant, InstanceId)>,
    /// Not before this moment.
    pub from: Option<UtcInstant>,
    /// Before this moment.
    pub to: Option<UtcInstant>,
    /// So many at most.
    pub limit: i64,
}

/// A campaign's course.
#[derive(Debug, Clone)]
pub struct Course {
    /// The minutes of a step.
    pub step_minutes: i64,
    /// The steps in which something happened, in the order of time.
    pub steps: Vec<Step>,
    /// Everything that ever happened.
    pub whole: MinuteFigures,
    /// The first minute and the last one in which something happened.
    pub span: Option<(UtcInstant, UtcInstant)>,
    /// How its recipients stand.
    pub counts: Counts,
}

/// What happened in the minutes since a moment, ten at most, in the order of time. Reads those and no others.
///
/// # Errors
/// A query failed.
pub fn since(
    conn: &mut Conn,
    campaign: CampaignId,
    from: UtcInstant,
) -> Result<Vec<(UtcInstant, MinuteFigures)>, StoreError> {
    let stretch = Stretch {
        step_ms: MINUTE_MS,
        after: (from.plus_ms(-MINUTE_MS), PACKING),
        from,
        to: from.plus_ms(10 * MINUTE_MS),
    };
    let minutes = dialect::list_minutes(conn, campaign, &stretch, false, 10)?;
    Ok(minutes.into_iter().map(|(at, _, figures)| (at, figures)).collect())
}

/// The steps that divide a day, and a day itself, in minutes.
const STEPS: [i64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1_440];

/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// Reads the course of a campaign. Belongs in a snapshot.
///
/// # Errors
/// A query failed.
pub fn course(conn: &mut Conn, campaign: CampaignId, asked: &Asked) -> Result<Course, StoreError> {
    let whole = dialect::sum_minutes(conn, campaign)?;
    let counts = dialect::sum_page_counts(conn, &[campaign])?.remove(&campaign).unwrap_or_default();
    let Some((first, last, figures)) = whole else {
        return Ok(Course { step_minutes: 1, steps: Vec::new(), whole: MinuteFigures::default(), span: None, counts });
    };
    let step_minutes = match asked.grain {
        Grain::Minutes(minutes) => minutes,
        Grain::AtMost(most) => {
            // One more: the first and the last step may be cut.
            let steps = |minutes: &i64| (last.0 - first.0) / (minutes * MINUTE_MS) + 2;
            STEPS.into_iter().find(|minutes| steps(minutes) <= most).unwrap_or(1_440)
        }
    };
    let step_ms = step_minutes * MINUTE_MS;
    let stretch = Stretch {
        step_ms,
        after: asked.after.unwrap_or((UtcInstant(-step_ms), PACKING)),
        from: asked.from.unwrap_or(first),
        to: asked.to.unwrap_or(last.plus_ms(1)),
    };
    let steps = dialect::list_minutes(conn, campaign, &stretch, asked.apart, asked.limit)?;
    let step = |(at, instance, figures)| Step { at, instance, figures };
    let steps = steps.into_iter().map(step).collect();
    Ok(Course { step_minutes, steps, whole: figures, span: Some((first, last)), counts })
}
