//! `/v1/suppressions`: addresses and domains that are not written to.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Scope;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::import::suppressions::{ONLY_REFUSED, Target};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{EVERYTHING, Reason, forms};
use crate::domain::people::contact::FieldError;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Json, Params, Query, bad_parameter};
use crate::http::web::list_path;
use crate::http::web::problem::{ApiError, FieldProblem, Problem};
use crate::http::web::text;
use crate::http::web::{csv, cursor};
use crate::services::By;
use crate::services::people::suppress::{Lift, Suppression as Wanted, lift, suppress};
use crate::store::people::lists::ListKey;
use crate::store::people::suppressions::listing::{self, DomainRow, Filter};
use crate::store::people::suppressions::{Key, SuppressionRow};
use crate::store::people::topics::{self, Named};
use crate::store::{Conn, Lane, Store, StoreError};

/// Rows per page unless asked otherwise, and most of them.
const PAGE: (i64, i64) = (100, 1_000);

/// Longest note, in characters.
const MAX_NOTE: usize = 500;

/// Longest search, in characters.
const MAX_SEARCH: usize = 255;

/// Rows that are read at once for an export.
const EXPORT_ROWS: i64 = 2_000;

/// An address that is not written to on a channel, and why.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Suppression {
    pub(in crate::http) address: String,
    pub(in crate::http) channel: ChannelKind,
    /// The list that is refused. `null`: everything.
    pub(in crate::http) list_id: Option<ListId>,
    pub(in crate::http) reasons: Vec<Reason>,
    pub(in crate::http) unsubscribed_at: Option<UtcInstant>,
    /// When the person last said that it wants nothing more on this channel.
    pub(in crate::http) stopped_at: Option<UtcInstant>,
    pub(in crate::http) complained_at: Option<UtcInstant>,
    pub(in crate::http) bounced_at: Option<UtcInstant>,
    /// Until when a soft bounce keeps messages back.
    pub(in crate::http) soft_until: Option<UtcInstant>,
    pub(in crate::http) blocked_at: Option<UtcInstant>,
    /// Where the last change came from.
    pub(in crate::http) source: Option<String>,
    pub(in crate::http) created_at: UtcInstant,
    pub(in crate::http) updated_at: UtcInstant,
}

impl From<SuppressionRow> for Suppression {
    fn from(row: SuppressionRow) -> Self {
        Self {
            reasons: row.reasons(),
            address: row.address,
            channel: row.channel,
            list_id: Some(row.topic).filter(|topic| *topic != EVERYTHING),
            unsubscribed_at: row.unsubscribed_at,
            stopped_at: row.stopped_at,
            complained_at: row.complained_at,
            bounced_at: row.bounced_at,
            soft_until: row.soft_until,
            blocked_at: row.blocked_at,
            source: row.source,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Suppressions, in the order of their addresses.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Suppressions {
    pub(in crate::http) data: Vec<Suppression>,
    /// The next page: give it as `cursor`. `null` on the last one.
    pub(in crate::http) next_cursor: Option<String>,
}

/// What was set, to a key that may not read what else there is.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Suppressed {
    /// Whether the reason holds for the address or the domain now.
    suppressed: bool,
}

/// What is suppressed of an address, to a key with `read`; else that it is.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum SuppressionsAnswer {
    /// With every reason, and its time.
    Whole(Suppressions),
    /// To a key without `read`.
    Set(Suppressed),
}

/// A domain whose email addresses are not written to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct BlockedDomain {
    pub(in crate::http) domain: String,
    pub(in crate::http) blocked_at: UtcInstant,
    pub(in crate::http) source: Option<String>,
}

impl From<DomainRow> for BlockedDomain {
    fn from(row: DomainRow) -> Self {
        Self { domain: row.domain, blocked_at: row.blocked_at, source: row.source }
    }
}

/// Blocked domains, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct BlockedDomains {
    pub(in crate::http) data: Vec<BlockedDomain>,
    /// The next page: give it as `cursor`. `null` on the last one.
    pub(in crate::http) next_cursor: Option<String>,
}

/// What is suppressed: an address, or a whole domain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SuppressionInput {
    /// An email address, a phone number, or what channel `http` goes by.
    address: Option<String>,
    /// A domain of email addresses, in place of an address. It is blocked.
    domain: Option<String>,
    /// Unless given: `email` for an email address, `sms` and `whatsapp` for a phone number.
    channel: Option<ChannelKind>,
    /// The list that is refused, by its id or its slug. Unless given: everything.
    list: Option<String>,
    /// `unsubscribed` unless given.
    reason: Option<Reason>,
    /// Why, for the log: at most 500 characters.
    note: Option<String>,
}

/// What is lifted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LiftInput {
    /// An email address, a phone number, or what channel `http` goes by.
    pub(in crate::http) address: Option<String>,
    /// A domain of email addresses, in place of an address.
    pub(in crate::http) domain: Option<String>,
    /// Unless given: `email` for an email address, `sms` and `whatsapp` for a phone number.
    pub(in crate::http) channel: Option<ChannelKind>,
    /// The list, by its id or its slug. Unless given: everything.
    pub(in crate::http) list: Option<String>,
    /// The reason that is lifted. Unless given: every one.
    pub(in crate::http) reason: Option<Reason>,
    /// Why, for the log: at most 500 characters. A refusal is lifted with a note only.
    pub(in crate::http) note: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Lifted {
    /// Whether there was something to lift.
    pub(in crate::http) lifted: bool,
}

fn read_target(
    address: Option<String>,
    domain: Option<String>,
    channel: Option<ChannelKind>,
) -> Result<Target, ApiError> {
    let at = |error: FieldError| ApiError::field(format!("/{}", error.field), error.code, error.reason);
    match (address, domain) {
        (Some(address), None) => Target::parse(&address, channel).map_err(at),
        (None, Some(domain)) => Target::parse_domain(&domain).map_err(at),
        (Some(_), Some(_)) | (None, None) => {
            Err(ApiError::field("/address", "required", "give an address, or a domain"))
        }
    }
}

async fn read_topic(state: &AppState, list: Option<&str>) -> Result<ListId, ApiError> {
    let Some(text) = list else { return Ok(EVERYTHING) };
    let key: ListKey = list_path::parse(text).map_err(|reason| ApiError::field("/list", "id_malformed", reason))?;
    list_path::resolve(state, key).await
}

fn read_note(note: Option<&str>) -> Result<Option<String>, ApiError> {
    note.map(|note| text::name("/note", note, MAX_NOTE)).transpose()
}

/// Keeps an address from being written to, or every address of a domain. Reasons that are there stay. What is suppressed of the
/// address now; a key without `read` is told only that it is.
#[utoipa::path(post, path = "/v1/suppressions", tag = "suppressions", request_body = SuppressionInput,
    responses((status = 200, body = SuppressionsAnswer), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn add(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<SuppressionInput>,
) -> Result<web::Json<SuppressionsAnswer>, ApiError> {
    let reason = body.reason.unwrap_or(Reason::Unsubscribed);
    if reason == Reason::SoftBounced {
        return Err(ApiError::field("/reason", "not_allowed", "soft bounces are what providers report"));
    }
    let target = read_target(body.address, body.domain, body.channel)?;
    let topic = read_topic(&state, body.list.as_deref()).await?;
    if topic != EVERYTHING && reason != Reason::Unsubscribed {
        return Err(ApiError::field("/list", "not_allowed", ONLY_REFUSED));
    }
    let note = read_note(body.note.as_deref())?;
    let rows = suppress(&state.services, Wanted { target, topic, reason, at: None }, note, &by).await?;
    if !by.rights.scope.includes(Scope::Read) {
        return Ok(web::Json(SuppressionsAnswer::Set(Suppressed { suppressed: true })));
    }
    let data = rows.into_iter().map(Suppression::from).collect();
    Ok(web::Json(SuppressionsAnswer::Whole(Suppressions { data, next_cursor: None })))
}

/// Lifts a suppression: one reason, or every one. Complaints and hard bounces need a key of scope `admin`; a refusal needs a `note`.
#[utoipa::path(delete, path = "/v1/suppressions", tag = "suppressions", request_body = LiftInput,
    responses((status = 200, body = Lifted), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn remove(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<LiftInput>,
) -> Result<web::Json<Lifted>, ApiError> {
    lifted(&state, body, &by).await.map(web::Json)
}

/// Lifts a suppression.
pub(in crate::http) async fn lifted(state: &AppState, body: LiftInput, by: &By) -> Result<Lifted, ApiError> {
    let target = read_target(body.address, body.domain, body.channel)?;
    let topic = read_topic(state, body.list.as_deref()).await?;
    let note = read_note(body.note.as_deref())?;
    let lifted = lift(&state.services, Lift { target, topic, reason: body.reason, note }, by).await?;
    Ok(Lifted { lifted })
}

/// Which suppressions are listed.
#[derive(Debug)]
pub(in crate::http) struct SuppressionFilter {
    filter: Filter,
    list: Option<ListKey>,
    after: Option<Key>,
    limit: i64,
}

impl SuppressionFilter {
    /// What is suppressed of an address, on a channel and for a reason where these are given.
    pub(in crate::http) fn of_address(
        address: &str,
        channel: Option<ChannelKind>,
        reason: Option<Reason>,
    ) -> Result<Self, ApiError> {
        let addresses = Some(address_forms(address)?);
        let filter = Filter { addresses, channel, reason, ..Filter::default() };
        Ok(Self { filter, list: None, after: None, limit: PAGE.1 })
    }
}

impl FromQuery for SuppressionFilter {
    const NAMES: &'static [&'static str] = &["search", "address", "channel", "reason", "list", "page_size", "cursor"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let search = params.text("search").map(str::trim).filter(|search| !search.is_empty());
        if search.is_some_and(|search| search.chars().count() > MAX_SEARCH) {
            return Err(bad_parameter("search", "too_long", format!("at most {MAX_SEARCH} characters")));
        }
        let parse = |text: &str| list_path::parse(text).map_err(|why| bad_parameter("list", "id_malformed", why));
        Ok(Self {
            filter: Filter {
                search: search.map(ToOwned::to_owned),
                addresses: params.text("address").map(address_forms).transpose()?,
                channel: params.choice("channel", ChannelKind::ALL)?,
                reason: params.choice("reason", Reason::ALL)?,
                topic: None,
            },
            list: params.text("list").map(parse).transpose()?,
            after: cursor::read(params, "suppressions")?,
            limit: params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0),
        })
    }
}

fn refused(parameter: &str, error: FieldError) -> ApiError {
    ApiError::BadParameter(FieldProblem::new(parameter, error.code, error.reason))
}

/// Every form in which an address may be kept, whatever its channel.
fn address_forms(text: &str) -> Result<Vec<String>, ApiError> {
    forms(ChannelKind::Http, text).map_err(|error| refused("address", error))
}

fn key_of(row: &SuppressionRow) -> Key {
    (row.address.clone(), row.channel, row.topic)
}

/// Lists suppressions in the order of their addresses. `address` looks one up: an email address, a phone number, or what channel `http`
/// goes by. `search` finds text within the address, and looks at every one.
#[utoipa::path(get, path = "/v1/suppressions", tag = "suppressions",
    params(("search" = Option<String>, Query), ("address" = Option<String>, Query), ("channel" = Option<ChannelKind>, Query),
        ("reason" = Option<Reason>, Query), ("list" = Option<String>, Query), ("page_size" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Suppressions), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(asked): Query<SuppressionFilter>,
) -> Result<web::Json<Suppressions>, ApiError> {
    listed(&state, asked).await.map(web::Json)
}

/// A part of the suppressions.
pub(in crate::http) async fn listed(state: &AppState, asked: SuppressionFilter) -> Result<Suppressions, ApiError> {
    let SuppressionFilter { mut filter, list, after, limit } = asked;
    if let Some(key) = list {
        filter.topic = Some(list_path::resolve(state, key).await?);
    }
    let read = move |conn: &mut _| listing::list(conn, &filter, after.as_ref(), limit + 1);
    let mut rows = state.store.run(Lane::Read, "list suppressions", read).await?;
    let next = cursor::cut(&mut rows, limit).map(|last| cursor::write("suppressions", &key_of(last)));
    Ok(Suppressions { data: rows.into_iter().map(Suppression::from).collect(), next_cursor: next })
}

/// Which domains are listed.
#[derive(Debug)]
pub(in crate::http) struct DomainFilter {
    domain: Option<String>,
    after: Option<String>,
    limit: i64,
}

impl DomainFilter {
    /// The first ones.
    pub(in crate::http) fn first() -> Self {
        Self { domain: None, after: None, limit: PAGE.0 }
    }

    /// One domain.
    pub(in crate::http) fn named(text: &str) -> Result<Self, ApiError> {
        Ok(Self { domain: Some(named_domain(text)?), ..Self::first() })
    }
}

impl FromQuery for DomainFilter {
    const NAMES: &'static [&'static str] = &["domain", "page_size", "cursor"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self {
            domain: params.text("domain").map(named_domain).transpose()?,
            after: cursor::read(params, "domains")?,
            limit: params.integer("page_size", 1..=PAGE.1)?.unwrap_or(PAGE.0),
        })
    }
}

fn named_domain(text: &str) -> Result<String, ApiError> {
    match Target::parse_domain(text).map_err(|error| refused("domain", error))? {
        Target::Domain(domain) => Ok(domain),
        Target::Address(_) => Ok(String::new()),
    }
}

/// Lists blocked domains, by name. `domain` looks one up.
#[utoipa::path(get, path = "/v1/suppressions/domains", tag = "suppressions",
    params(("domain" = Option<String>, Query), ("page_size" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = BlockedDomains), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn domains(
    state: web::Data<AppState>,
    Query(asked): Query<DomainFilter>,
) -> Result<web::Json<BlockedDomains>, ApiError> {
    listed_domains(&state, asked).await.map(web::Json)
}

/// A part of the blocked domains.
pub(in crate::http) async fn listed_domains(state: &AppState, asked: DomainFilter) -> Result<BlockedDomains, ApiError> {
    let DomainFilter { domain, after, limit } = asked;
    let read = move |conn: &mut Conn| match domain {
        Some(domain) => Ok(listing::domain(conn, &domain)?.into_iter().collect()),
        None => listing::domains(conn, after.as_deref(), limit + 1),
    };
    let mut rows: Vec<DomainRow> = state.store.run(Lane::Read, "list blocked domains", read).await?;
    let next = cursor::cut(&mut rows, limit).map(|last| cursor::write("domains", &last.domain));
    Ok(BlockedDomains { data: rows.into_iter().map(BlockedDomain::from).collect(), next_cursor: next })
}

/// How an export is written.
#[derive(Debug)]
pub(in crate::http) struct ExportForm {
    raw: bool,
}

impl FromQuery for ExportForm {
    const NAMES: &'static [&'static str] = &["raw"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { raw: params.choice("raw", &["true", "false"])? == Some("true") })
    }
}

/// Exports every suppression as CSV, a row for each reason, as the import takes it: `list` and `list_name` are slug and name of the list
/// that is refused and empty for everything, `until` is the end of a soft bounce. Blocked domains are not in it. Cells that a
/// spreadsheet would take for formulas, and those that begin with `'`, have a `'` before them, which an import takes away; not with
/// `raw=true`.
#[utoipa::path(get, path = "/v1/suppressions/export", tag = "suppressions", params(("raw" = Option<bool>, Query)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn export(
    state: web::Data<AppState>,
    Query(ExportForm { raw }): Query<ExportForm>,
) -> Result<HttpResponse, ApiError> {
    let store = state.store.clone();
    let first = portion(store.clone(), None, raw).await?;
    Ok(csv::download("suppressions.csv", "address,channel,reason,list,list_name,since,until", first, move |after| {
        portion(store.clone(), Some(after), raw)
    }))
}

async fn portion(store: Store, after: Option<Key>, raw: bool) -> Result<csv::Portion<Key>, StoreError> {
    let read = move |conn: &mut _| {
        let rows = listing::list(conn, &Filter::default(), after.as_ref(), EXPORT_ROWS)?;
        let named = rows.iter().map(|row| row.topic).filter(|topic| *topic != EVERYTHING);
        let names = topics::names(conn, &named.collect())?;
        Ok((rows, names))
    };
    let (rows, names) = store.run(Lane::Read, "export suppressions", read).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count == EXPORT_ROWS);
    let next = rows.last().filter(|_| is_full).map(key_of);
    Ok(csv::Portion { text: rows.iter().map(|row| lines(row, &names, raw)).collect(), next })
}

/// The lines of a row, one for each reason. A list goes by its slug, which may be the same in another database, and its name.
fn lines(row: &SuppressionRow, names: &HashMap<ListId, Named>, raw: bool) -> String {
    let named = names.get(&row.topic);
    let list = match row.topic {
        EVERYTHING => String::new(),
        topic => named.and_then(|list| list.slug.clone()).unwrap_or_else(|| topic.to_string()),
    };
    let name = named.map(|list| csv::cell(&list.name, raw)).unwrap_or_default();
    let mut text = String::new();
    for reason in row.reasons() {
        let at = row.get(reason).map(|at| at.to_string()).unwrap_or_default();
        let (since, until) = if reason == Reason::SoftBounced { ("", at.as_str()) } else { (at.as_str(), "") };
        let address = csv::cell(&row.address, raw);
        text.push_str(&format!("{address},{},{reason},{list},{name},{since},{until}\r\n", row.channel));
    }
    text
}
