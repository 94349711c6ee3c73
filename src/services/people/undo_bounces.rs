//! Taking bounces back: a provider had a fault, and called addresses wrong that exist.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Source;
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::{By, Services};
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::suppressions::listing::{MadeBy, made_by};
use crate::store::people::suppressions::{self, Key, SuppressionRow};
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
    /// Only bounces from then on.
    pub from: UtcInstant,
    /// Only bounces until then.
    pub to: UtcInstant,
}

/// Lifts the bounces, hard and soft, that a provider caused in this time. How many addresses had one. Other reasons stay, and so does
/// an address that something else has changed since.
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
    let before = json!({ "from": bounces.from, "to": bounces.to, "domain": bounces.domain });
    audit::announce(&services.store, by, line.before(before)).await?;
    let (mut after, mut lifted): (Option<Key>, u64) = (None, 0);
    loop {
        let (looked, from) = (made.clone(), after.clone());
        let look = move |conn: &mut Conn| made_by(conn, &looked, from.as_ref(), PORTION);
        let found = services.store.run(Lane::Read, "find the bounces of a provider", look).await?;
        let Some(last) = found.last() else { return Ok(lifted) };
        after = Some((last.address.clone(), last.channel, last.topic));
        let (scribe, made) = (scribe.clone(), made.clone());
        let work = move |conn: &mut Conn| lift(conn, &scribe, &made, &found);
        lifted += services.store.transact(Lane::Write, "take bounces back", work).await?;
    }
}

/// Lifts the bounces that are meant of those rows that still have them. How many addresses had one.
fn lift(conn: &mut Conn, scribe: &Scribe, made: &MadeBy, found: &[SuppressionRow]) -> Result<u64, StoreError> {
    let addresses: Vec<_> = found.iter().map(|row| (row.channel, row.address.clone())).collect();
    let known = suppressions::hold_of_addresses(conn, &addresses)?;
    let mut ledger = Ledger::new(scribe);
    let mut lifted = 0;
    for row in known.iter().filter(|row| {
        found.iter().any(|one| (&one.address, one.channel, one.topic) == (&row.address, row.channel, row.topic))
    }) {
        let of = [(row.channel, row.address.clone())];
        let mut had = 0;
        for reason in made.reasons(row) {
            had += suppressions::lift(conn, &mut ledger, &of, row.topic, reason, None)?;
        }
        lifted += u64::from(had > 0);
    }
    ledger.close(conn)?;
    Ok(lifted)
}
