//! Taking bounces back: a provider had a fault, and called addresses wrong that exist.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Reason, Source};
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::{By, Services};
use crate::store::people::consent::Ledger;
use crate::store::people::suppressions::listing::{MadeBy, made_by};
use crate::store::people::suppressions::{self, Key};
use crate::store::{Conn, Lane, StoreError};

/// The longest time of which bounces are taken back at once, in hours: a mistyped year takes nothing else back.
pub const LONGEST_HOURS: i64 = 24;

/// How many addresses one transaction lifts: it holds SQLite's only writer for some milliseconds.
const PORTION: i64 = 100;

/// Which bounces.
#[derive(Debug, Clone)]
pub struct Bounces {
    /// The pool whose provider caused them.
    pub pool: String,
    /// Only addresses at this domain, in lower case.
    pub domain: Option<String>,
    /// Only what was suppressed from then on.
    pub from: UtcInstant,
    /// Only what was suppressed until then.
    pub to: UtcInstant,
}

/// Lifts the bounces, hard and soft, that a provider caused in this time. How many addresses had one. Other reasons stay, and so does
/// everything that was changed since.
///
/// # Errors
/// A query failed. What was lifted before stays lifted; safe to repeat.
pub async fn undo_bounces(services: &Services, bounces: Bounces, by: &By) -> Result<u64, StoreError> {
    let scribe = scribe(services, by, Source::API);
    let made = MadeBy {
        source: Source::pool(&bounces.pool).as_str().to_owned(),
        domain: bounces.domain.clone(),
        from: bounces.from,
        to: bounces.to,
    };
    let line = Line::of(Action::Deleted, Object::Suppression, format!("bounces of pool {}", bounces.pool));
    audit::announce(&services.store, by, line.before(json!({ "from": bounces.from, "to": bounces.to }))).await?;
    let (mut after, mut lifted): (Option<Key>, u64) = (None, 0);
    loop {
        let (scribe, made, from) = (scribe.clone(), made.clone(), after.clone());
        let work = move |conn: &mut Conn| {
            let found = made_by(conn, &made, from.as_ref(), PORTION)?;
            let mut ledger = Ledger::new(&scribe);
            let mut lifted = 0;
            for (address, channel, topic) in &found {
                let of = [(*channel, address.clone())];
                let mut had = 0;
                for reason in [Reason::Bounced, Reason::SoftBounced] {
                    had += suppressions::lift(conn, &mut ledger, &of, *topic, reason, None)?;
                }
                lifted += u64::from(had > 0);
            }
            ledger.close(conn)?;
            Ok::<_, StoreError>((found.last().cloned(), lifted))
        };
        let (last, portion) = services.store.transact(Lane::Write, "take bounces back", work).await?;
        lifted += portion;
        let Some(last) = last else { return Ok(lifted) };
        after = Some(last);
    }
}
