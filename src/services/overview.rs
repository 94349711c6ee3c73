//! What goes on, read in one snapshot: for people who look at all of it, and for the page that shows it as it changes.

use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{ApiKeyId, CampaignId, ImportId, SessionId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Subject;
use crate::store::access::{api_keys, sessions};
use crate::store::campaigns::{CampaignRow, CampaignWithDetails, details, glance};
use crate::store::import::imports::{self, ImportRow};
use crate::store::replicas::decisions::{self, Reply};
use crate::store::replicas::instances::{self, LiveInstance, SilentInstance};
use crate::store::replicas::pool_switch::PoolSwitch;
use crate::store::replicas::pool_switches;
use crate::store::segments::{self, Unevaluated};
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// Most campaigns of each kind.
pub const MOST_ACTIVE: i64 = 50;
/// Most campaigns with uncertain deliveries, most that could not be launched, and most segments that cannot be evaluated.
pub const MOST_NEEDS: i64 = 20;
/// How long it is said that a campaign could not be launched, in milliseconds: a day.
const SAID_FOR_MS: i64 = 86_400_000;
const MOST_SCHEDULED: i64 = 10;
const MOST_ENDED: i64 = 10;

/// What goes on.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Campaigns that are sending or paused, newest first, at most [`MOST_ACTIVE`].
    pub active: Vec<CampaignWithDetails>,
    /// How many there are of these.
    pub active_total: i64,
    /// Campaigns that will launch by themselves, soonest first.
    pub scheduled: Vec<CampaignWithDetails>,
    /// The newest campaigns that have ended.
    pub ended: Vec<CampaignWithDetails>,
    /// The newest campaigns that have uncertain deliveries, whatever their status, at most one more than [`MOST_NEEDS`].
    pub uncertain: Vec<CampaignWithDetails>,
    /// The newest campaigns that could not be launched in the last day, at most one more than [`MOST_NEEDS`].
    pub not_launched: Vec<CampaignWithDetails>,
    /// Instances that were heard of in the last day, are silent since, and have not ended in order.
    pub silent: Vec<SilentInstance>,
    /// The newest segments that cannot be evaluated, at most one more than [`MOST_NEEDS`].
    pub unevaluated: Vec<Unevaluated>,
    /// The switches of pools that were ever set.
    pub switches: Vec<PoolSwitch>,
}

/// What is wanted to be seen.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// All that goes on.
    pub overview: bool,
    /// Single campaigns, each with how its newest decision was followed.
    pub campaigns: Vec<CampaignId>,
    /// Single imports.
    pub imports: Vec<ImportId>,
}

/// What there was at one moment.
#[derive(Debug)]
pub struct Seen {
    /// The moment, by the database's clock.
    pub at: UtcInstant,
    /// All that goes on, if that was wanted.
    pub overview: Option<Overview>,
    /// The instances that live.
    pub instances: Vec<LiveInstance>,
    /// The wanted campaigns that there are.
    pub campaigns: Vec<(CampaignWithDetails, Vec<Reply>)>,
    /// The wanted imports that there are.
    pub imports: Vec<ImportRow>,
}

/// Looks at what is wanted, in one snapshot.
///
/// # Errors
/// The database failed.
pub async fn look(store: &Store, wanted: Wanted) -> Result<Seen, StoreError> {
    look_in(store, Lane::Read, wanted).await
}

/// The same for a decision, which waits behind no other read.
///
/// # Errors
/// The database failed.
pub async fn look_to_decide(store: &Store, wanted: Wanted) -> Result<Seen, StoreError> {
    look_in(store, Lane::LookUp, wanted).await
}

async fn look_in(store: &Store, lane: Lane, wanted: Wanted) -> Result<Seen, StoreError> {
    let look = move |conn: &mut Conn| {
        conn.snapshot(|conn| {
            let shown = with_details(conn, |conn| glance::these(conn, &wanted.campaigns))?;
            let subjects: Vec<Subject> = shown.iter().map(|whole| Subject::Campaign(whole.row.id)).collect();
            let mut replies = decisions::replies_to_all(conn, &subjects)?;
            let mut campaigns = Vec::with_capacity(shown.len());
            for (whole, subject) in shown.into_iter().zip(&subjects) {
                let name = subject.name();
                let own = replies.extract_if(.., |(of, _)| *of == *name).map(|(_, reply)| reply).collect();
                campaigns.push((whole, own));
            }
            let overview = if wanted.overview { Some(all(conn)?) } else { None };
            let instances = instances::live(conn)?;
            let imports = imports::these(conn, &wanted.imports)?;
            Ok(Seen { at: engine::now(conn)?, overview, instances, campaigns, imports })
        })
    };
    store.run(lane, "look at what goes on", look).await
}

/// Whether a look that failed has cost the database something: it was reached.
#[must_use]
pub const fn was_asked(error: &StoreError) -> bool {
    !matches!(error, StoreError::Unavailable { .. })
}

/// Which of these sessions and API keys are still valid.
///
/// # Errors
/// The database failed.
pub async fn still_valid(
    store: &Store,
    sessions: Vec<SessionId>,
    keys: Vec<ApiKeyId>,
) -> Result<(Vec<SessionId>, Vec<ApiKeyId>), StoreError> {
    let look =
        move |conn: &mut Conn| Ok((sessions::still_valid(conn, &sessions)?, api_keys::still_valid(conn, &keys)?));
    store.run(Lane::LookUp, "look who may still watch", look).await
}

fn all(conn: &mut Conn) -> Result<Overview, StoreError> {
    use CampaignStatus::{Failed, Paused, Sending, Sent, Stopped};
    let active = [Sending, Paused];
    let ended = [Sent, Failed, Stopped];
    let since = engine::now(conn)?.plus_ms(-SAID_FOR_MS);
    Ok(Overview {
        active: with_details(conn, |conn| glance::newest(conn, &active, MOST_ACTIVE))?,
        active_total: glance::count(conn, &active)?,
        scheduled: with_details(conn, |conn| glance::soonest(conn, MOST_SCHEDULED))?,
        uncertain: with_details(conn, |conn| glance::uncertain(conn, MOST_NEEDS + 1))?,
        not_launched: with_details(conn, |conn| glance::not_launched(conn, since, MOST_NEEDS + 1))?,
        ended: with_details(conn, |conn| glance::newest(conn, &ended, MOST_ENDED))?,
        silent: instances::silent(conn)?,
        unevaluated: segments::unevaluated(conn, MOST_NEEDS + 1)?,
        switches: pool_switches::all(conn)?.0,
    })
}

fn with_details(
    conn: &mut Conn,
    rows: impl FnOnce(&mut Conn) -> Result<Vec<CampaignRow>, StoreError>,
) -> Result<Vec<CampaignWithDetails>, StoreError> {
    let rows = rows(conn)?;
    let details = details(conn, &rows)?;
    Ok(rows.into_iter().zip(details).map(|(row, details)| CampaignWithDetails { row, details }).collect())
}
