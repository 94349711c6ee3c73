//! `/v1/uncertain`: of which messages it is not known whether they have left, by incident.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::callbacks::delivery_key::DeliveryKey;
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::incident::{IncidentKey, Journal, OwnerStands, Span};
use crate::domain::ids::{CampaignId, ContactId, InstanceId, PageId};
use crate::domain::instant::UtcInstant;
use crate::http::api::campaigns::recipients::Recipient;
use crate::http::state::AppState;
use crate::http::web::cursor;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::campaigns::incidents::{self, Case, Inside};
use crate::store::Lane;
use crate::store::dispatch::deliveries;
use crate::store::dispatch::uncertain::{Owner, Place};

/// What this list's cursors are marked with.
const LIST: &str = "uncertain";

/// Most recipients of an incident in one part.
const PART: usize = 100;

/// The instance that made the calls of an incident.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct CallOwner {
    pub(in crate::http) id: InstanceId,
    pub(in crate::http) host: String,
    pub(in crate::http) last_seen_at: UtcInstant,
    /// Whether it is running.
    pub(in crate::http) running: bool,
}

impl From<Owner> for CallOwner {
    fn from(owner: Owner) -> Self {
        let Owner { id, host, last_seen_at, stands } = owner;
        Self { id, host, last_seen_at, running: stands == OwnerStands::Running }
    }
}

/// Whether a journal may still decide an incident.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Evidence {
    pub(in crate::http) state: Journal,
    /// Whether it is worth waiting for: what the journal knows is settled by itself.
    pub(in crate::http) may_decide: bool,
    /// For people.
    pub(in crate::http) detail: &'static str,
}

/// A recipient of an incident, by what a provider's log may name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Example {
    pub(in crate::http) contact_id: ContactId,
    /// The key that the message went out with. Its `Message-ID` begins with it, with a hyphen in the place of the colon.
    pub(in crate::http) key: String,
}

/// Uncertain deliveries of one campaign that have one cause.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Incident {
    /// Stays the same while any of it is uncertain.
    pub(in crate::http) id: String,
    pub(in crate::http) campaign_id: CampaignId,
    pub(in crate::http) campaign_name: String,
    /// How many deliveries.
    pub(in crate::http) count: i64,
    /// Why they are uncertain.
    pub(in crate::http) reason: Option<String>,
    /// What kind of trouble that was.
    pub(in crate::http) error_category: Option<ErrorCategory>,
    /// The first and the last of them was claimed then: its call began right after that.
    pub(in crate::http) first_claimed_at: Option<UtcInstant>,
    pub(in crate::http) last_claimed_at: Option<UtcInstant>,
    /// When they became uncertain.
    pub(in crate::http) first_at: Option<UtcInstant>,
    pub(in crate::http) last_at: Option<UtcInstant>,
    /// The instance that made the calls, while it is known.
    pub(in crate::http) instance: Option<CallOwner>,
    pub(in crate::http) journal: Evidence,
    /// What the key of every message of the campaign begins with.
    pub(in crate::http) message_key: String,
    /// Up to five recipients.
    pub(in crate::http) examples: Vec<Example>,
}

impl From<Case> for Incident {
    fn from(case: Case) -> Self {
        let Case { incident, campaign, owner, journal } = case;
        let ends = |span: Option<Span>| (span.map(|span| span.first), span.map(|span| span.last));
        let (first_claimed_at, last_claimed_at) = ends(incident.claimed);
        let (first_at, last_at) = ends(incident.settled);
        let example =
            |contact: &ContactId| Example { contact_id: *contact, key: DeliveryKey::text(&campaign.key, *contact) };
        Self {
            id: incident.key.to_string(),
            campaign_id: incident.key.campaign,
            count: incident.count,
            reason: incident.reason,
            error_category: incident.category,
            first_claimed_at,
            last_claimed_at,
            first_at,
            last_at,
            instance: owner.map(CallOwner::from),
            journal: Evidence { state: journal, may_decide: journal.may_decide(), detail: journal.sentence() },
            examples: incident.examples.iter().map(example).collect(),
            campaign_name: campaign.name,
            message_key: campaign.key,
        }
    }
}

/// A part of the incidents.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Incidents {
    pub(in crate::http) data: Vec<Incident>,
    /// The next part: give it as `cursor`. `null` on the last one. A part has 5,000 deliveries or few more. An incident that is larger
    /// comes again in the next part, with the rest of its count.
    pub(in crate::http) next_cursor: Option<String>,
}

/// Which incidents.
#[derive(Debug)]
pub(in crate::http) struct Which {
    campaign: Option<CampaignId>,
    after: Option<Place>,
}

impl FromQuery for Which {
    const NAMES: &'static [&'static str] = &["campaign_id", "cursor"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let campaign = params.integer("campaign_id", 1..=i64::MAX)?.map(CampaignId);
        let after: Option<(CampaignId, PageId)> = cursor::read(params, LIST)?;
        Ok(Self { campaign, after: after.map(|(campaign, page)| Place { campaign, page }) })
    }
}

/// Lists incidents: uncertain deliveries by campaign, minute, instance and reason, the newest campaign first, and of what one part
/// holds the newest incident first.
#[utoipa::path(get, path = "/v1/uncertain", tag = "campaigns",
    params(("campaign_id" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Incidents), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(which): Query<Which>,
) -> Result<web::Json<Incidents>, ApiError> {
    Ok(web::Json(listed(&state, which).await?))
}

/// A part of the incidents.
pub(in crate::http) async fn listed(state: &AppState, which: Which) -> Result<Incidents, ApiError> {
    let found = incidents::list(&state.store, which.campaign, which.after).await?;
    let next_cursor = found.next.map(|place| cursor::write(LIST, &(place.campaign, place.page)));
    Ok(Incidents { data: found.cases.into_iter().map(Incident::from).collect(), next_cursor })
}

/// A recipient of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct InDoubt {
    pub(in crate::http) contact: Recipient,
    /// The key that the message went out with.
    pub(in crate::http) key: String,
}

/// One incident, with its recipients.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct IncidentInside {
    #[serde(flatten)]
    pub(in crate::http) incident: Incident,
    /// Whether `count` is all of it. False: the campaign has more uncertain deliveries than are looked at for one answer.
    pub(in crate::http) complete: bool,
    /// Up to 100 recipients, by id.
    pub(in crate::http) recipients: Vec<InDoubt>,
    /// The next ones: give it as `cursor`. `null` on the last part.
    pub(in crate::http) next_cursor: Option<String>,
}

/// From where on the recipients of an incident are shown.
#[derive(Debug)]
pub(in crate::http) struct Onwards {
    after: ContactId,
}

impl Onwards {
    /// From the first one on.
    pub(in crate::http) const fn first() -> Self {
        Self { after: ContactId(0) }
    }

    /// Whether it is from the first one on.
    pub(in crate::http) fn is_first(&self) -> bool {
        self.after == ContactId(0)
    }
}

impl FromQuery for Onwards {
    const NAMES: &'static [&'static str] = &["cursor"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { after: cursor::read(params, LIST)?.unwrap_or(ContactId(0)) })
    }
}

/// Shows one incident and who is in it.
#[utoipa::path(get, path = "/v1/uncertain/{incident}", tag = "campaigns",
    params(("incident" = String, Path), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = IncidentInside), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    incident: web::Path<String>,
    Query(from): Query<Onwards>,
) -> Result<web::Json<IncidentInside>, ApiError> {
    Ok(web::Json(shown(&state, &incident, from).await?))
}

/// An incident by its id.
pub(in crate::http) async fn inside(state: &AppState, id: &str) -> Result<Inside, ApiError> {
    let missing = || ApiError::no_such("incident", id);
    let key = IncidentKey::parse(id).ok_or_else(missing)?;
    incidents::find(&state.store, key).await?.ok_or_else(missing)
}

/// An incident, and a part of its recipients.
pub(in crate::http) async fn shown(state: &AppState, id: &str, from: Onwards) -> Result<IncidentInside, ApiError> {
    let Inside { case, contacts, complete } = inside(state, id).await?;
    let campaign = case.incident.key.campaign;
    let mut wanted: Vec<ContactId> = contacts.into_iter().filter(|id| *id > from.after).take(PART + 1).collect();
    let next_cursor = (wanted.len() > PART).then(|| {
        wanted.truncate(PART);
        wanted.last().map(|last| cursor::write(LIST, last))
    });
    let read = move |conn: &mut _| deliveries::recipients(conn, campaign, &wanted);
    let rows = state.store.run(Lane::Read, "read who is in doubt", read).await?;
    let key = case.campaign.key.clone();
    let recipients = rows.into_iter().map(|row| InDoubt { key: DeliveryKey::text(&key, row.id), contact: row.into() });
    let recipients = recipients.collect();
    Ok(IncidentInside { incident: case.into(), complete, recipients, next_cursor: next_cursor.flatten() })
}
