//! What goes on, read in one snapshot: for people who look at all of it, and for the page that shows it as it changes.

use crate::domain::campaigns::CampaignStatus;
use crate::domain::ids::{CampaignId, SessionId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Subject;
use crate::store::access::sessions;
use crate::store::campaigns::{CampaignRow, CampaignWithDetails, details, glance};
use crate::store::replicas::decisions::{self, Reply};
use crate::store::replicas::instances::{self, LiveInstance, SilentInstance};
use crate::store::replicas::pool_switch::PoolSwitch;
use crate::store::replicas::pool_switches;
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// Most campaigns of each kind.
pub const MOST_ACTIVE: i64 = 50;
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
    /// The instances that live.
    pub instances: Vec<LiveInstance>,
    /// Instances that were heard of in the last day, are silent since, and have not ended in order.
    pub silent: Vec<SilentInstance>,
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
    /// Whether these sessions are still valid.
    pub sessions: Vec<SessionId>,
}

/// What there was at one moment.
#[derive(Debug)]
pub struct Seen {
    /// The moment, by the database's clock.
    pub at: UtcInstant,
    /// All that goes on, if that was wanted.
    pub overview: Option<Overview>,
    /// The wanted campaigns that there are.
    pub campaigns: Vec<(CampaignWithDetails, Vec<Reply>)>,
    /// The wanted sessions that are valid.
    pub sessions: Vec<SessionId>,
}

/// Looks at what is wanted, in one snapshot.
///
/// # Errors
/// The database failed.
pub async fn look(store: &Store, wanted: Wanted) -> Result<Seen, StoreError> {
    let look = move |conn: &mut Conn| {
        conn.snapshot(|conn| {
            let mut campaigns = Vec::with_capacity(wanted.campaigns.len());
            for whole in with_details(conn, |conn| glance::these(conn, &wanted.campaigns))? {
                let replies = decisions::replies(conn, &Subject::Campaign(whole.row.id))?;
                campaigns.push((whole, replies));
            }
            Ok(Seen {
                at: engine::now(conn)?,
                overview: if wanted.overview { Some(all(conn)?) } else { None },
                campaigns,
                sessions: sessions::still_valid(conn, &wanted.sessions)?,
            })
        })
    };
    store.run(Lane::Read, "look at what goes on", look).await
}

fn all(conn: &mut Conn) -> Result<Overview, StoreError> {
    use CampaignStatus::{Failed, Paused, Sending, Sent, Stopped};
    let active = [Sending, Paused];
    let ended = [Sent, Failed, Stopped];
    Ok(Overview {
        active: with_details(conn, |conn| glance::newest(conn, &active, MOST_ACTIVE))?,
        active_total: glance::count(conn, &active)?,
        scheduled: with_details(conn, |conn| glance::soonest(conn, MOST_SCHEDULED))?,
        ended: with_details(conn, |conn| glance::newest(conn, &ended, MOST_ENDED))?,
        instances: instances::live(conn)?,
        silent: instances::silent(conn)?,
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
