//! Why one person got a campaign's message, or did not.

use std::collections::HashMap;

use crate::domain::campaigns::content_doubt::ContentDoubt;
use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::dispatch::why::answer::Why;
use crate::domain::dispatch::why::facts::{Campaign, Facts, Heard, Packing, Suspension, Trouble};
use crate::domain::dispatch::why::{ORDER, why};
use crate::domain::ids::{CampaignId, ContactId, EventId};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Subject;
use crate::domain::reports::{Reader, Reported};
use crate::runtime::health::{Attention, AttentionCode, Health};
use crate::store::campaigns::archives::{self, Archived};
use crate::store::campaigns::{self, CampaignRow, brakes};
use crate::store::dispatch::deliveries::RecipientRow;
use crate::store::dispatch::{attempts, looks, why as reads};
use crate::store::people::suppressions;
use crate::store::replicas::{decisions, pool_switches};
use crate::store::{Conn, Lane, Store, StoreError, engine, events};

/// The newest events of one kind that are looked through for those of one campaign.
const MOST_EVENTS: i64 = 50;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// There is no such campaign.
    #[error("there is no campaign {0}")]
    NoCampaign(CampaignId),
    /// There is no such contact, and never was.
    #[error("there is no contact {0}")]
    NoContact(ContactId),
    /// The campaign's deliveries were archived.
    #[error("{0}")]
    Archived(Box<Archived>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The answer, and who and what it is about. Holds personal data: never logged, hence no `Debug`.
pub struct Explained {
    /// What the campaign is called.
    pub campaign: String,
    /// The contact as it is now, deleted or not. `None`: there is no row of it any more.
    pub contact: Option<RecipientRow>,
    /// The answer.
    pub why: Why,
}

/// Answers from one snapshot of the database, and from what this instance knows of its parts.
///
/// # Errors
/// [`WhyError`].
pub async fn explain(
    store: &Store,
    health: &Health,
    id: CampaignId,
    contact: ContactId,
) -> Result<Explained, WhyError> {
    let health = health.clone();
    let explain = move |conn: &mut Conn| {
        let row = campaigns::find(conn, id)?.ok_or(WhyError::NoCampaign(id))?;
        if let Some(archived) = archives::find(conn, id)? {
            return Err(WhyError::Archived(Box::new(archived)));
        }
        let (campaign, found) = (row.name.clone(), reads::recipient(conn, contact)?);
        Ok(Explained { campaign, contact: found, why: why(&facts(conn, &health, row, contact)?) })
    };
    let read = move |conn: &mut Conn| conn.snapshot(|conn| Ok(explain(conn)));
    store.run(Lane::Read, "look at a recipient", read).await?
}

fn facts(conn: &mut Conn, health: &Health, row: CampaignRow, contact: ContactId) -> Result<Facts, WhyError> {
    let (now, id) = (engine::now(conn)?, row.id);
    let person = reads::person(conn, contact, row.channel)?;
    let found = reads::delivery(conn, id, contact)?;
    if person.created_at.is_none() && found.is_none() {
        return Err(WhyError::NoContact(contact));
    }
    let category = campaigns::category(conn, &row)?;
    let topics = campaigns::topics(&row)?;
    let mut against = looks::against(conn, contact, row.channel, category, &topics)?;
    if let Ok(address) = &person.address {
        against.source = suppressions::source_of(conn, address, row.channel)?;
    }
    let packing = campaigns::packing(conn, id)?;
    let clauses = reads::clauses(conn, &row, contact, now)?;
    let (delivery, page, reported) = match found {
        Some((delivery, page, reported)) => (Some(delivery), page, reported),
        None => (None, None, Reported::NONE),
    };
    let (tried, attempts_kept) = attempts::of(conn, id, contact)?;
    Ok(Facts {
        now,
        contact: person,
        clauses,
        packing: packing.map(|packing| Packing {
            cursor: packing.cursor_contact_id,
            last: packing.max_contact_id,
            is_done: packing.done,
        }),
        page,
        attempts: tried,
        attempts_kept,
        delivery,
        against,
        reports: heard(conn, id, contact, reported)?,
        campaign: Campaign {
            id,
            status: row.status,
            channel: row.channel,
            category,
            outcome: row.outcome,
            launch_error: row
                .launch_error_detail
                .clone()
                .filter(|_| row.outcome == Some(CampaignOutcome::LaunchFailed)),
            scheduled_at: row.scheduled_at,
            launched_at: row.launched_at,
            ended_at: row.ended_at,
            decided_at: decisions::replies(conn, &Subject::Campaign(id))?.first().map(|reply| reply.noted_at),
            paused_for: paused_for(conn, &row)?,
            suspension: suspension(conn, row.pool.as_deref(), now)?,
            trouble: trouble(health, &row),
            pool: row.pool,
        },
    })
}

/// Why Volley has paused a campaign by itself, if it has.
fn paused_for(conn: &mut Conn, row: &CampaignRow) -> Result<Option<String>, StoreError> {
    if row.status != CampaignStatus::Paused {
        return Ok(None);
    }
    let attention = if let Some(at) = row.rewound_at {
        Some(Attention::database_rewound(at))
    } else if let Some(quote) = &row.refusal_doubt {
        Some(Attention::refused_alike(quote, row.updated_at))
    } else if row.content_doubt == Some(ContentDoubt::Raised) {
        Some(Attention::content_doubted(row.updated_at))
    } else {
        brakes::holding(conn, &[row.id])?.remove(&row.id).map(Attention::braked)
    };
    Ok(attention.map(|attention| attention.detail))
}

fn suspension(conn: &mut Conn, pool: Option<&str>, now: UtcInstant) -> Result<Option<Suspension>, StoreError> {
    let Some(pool) = pool else { return Ok(None) };
    let (switches, _) = pool_switches::all(conn)?;
    let holding = switches.into_iter().find(|switch| switch.pool == pool && switch.holds(now));
    Ok(holding.map(|switch| Suspension { at: switch.changed_at, until: switch.expires_at, reason: switch.reason }))
}

/// What keeps a campaign from going on, as far as this instance knows. A suspension is read from the database.
fn trouble(health: &Health, row: &CampaignRow) -> Option<Trouble> {
    let attention = health.attention(row.id, row.pool.as_deref()).filter(|_| row.status == CampaignStatus::Sending)?;
    let Attention { code, detail, since } = attention;
    // Nobody notes when a pool went missing.
    let at = Some(since).filter(|_| code != AttentionCode::PoolMissing);
    (code != AttentionCode::PoolSuspended).then_some(Trouble { detail, at })
}

/// What was reported of the message, each with the newest event of it that is kept.
fn heard(
    conn: &mut Conn,
    campaign: CampaignId,
    contact: ContactId,
    reported: Reported,
) -> Result<Vec<Heard>, StoreError> {
    let mut read = HashMap::new();
    let mut all = Vec::new();
    for kind in ORDER.into_iter().filter(|kind| reported.has(*kind)) {
        let mut one = Heard { kind, event: None, link: None };
        if let Some(name) = kind.event() {
            if !read.contains_key(name) {
                read.insert(name, of_campaign(conn, campaign, contact, name)?);
            }
            let machine = kind.reader().map(|reader| reader == Reader::Machine);
            let events = read.get(name).into_iter().flatten();
            if let Some(event) = events.into_iter().find(|event| event.machine == machine) {
                (one.event, one.link) = (Some((event.id, event.at)), event.link);
            }
        }
        all.push(one);
    }
    Ok(all)
}

/// An event that a report became.
struct Event {
    id: EventId,
    at: UtcInstant,
    machine: Option<bool>,
    link: Option<i64>,
}

/// The events of a contact with this name that are about a campaign, newest first.
fn of_campaign(
    conn: &mut Conn,
    campaign: CampaignId,
    contact: ContactId,
    name: &str,
) -> Result<Vec<Event>, StoreError> {
    let rows = events::newest(conn, contact, name, MOST_EVENTS)?.into_iter();
    let about = rows.filter_map(|row| {
        let properties: serde_json::Value = serde_json::from_str(&row.properties).ok()?;
        let number = |name: &str| properties.get(name).and_then(serde_json::Value::as_i64);
        let machine = properties.get("machine").and_then(serde_json::Value::as_bool);
        (number("campaign_id") == Some(campaign.0)).then(|| Event {
            id: row.id,
            at: row.occurred_at,
            machine,
            link: number("link"),
        })
    });
    Ok(about.collect())
}
