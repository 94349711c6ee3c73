//! `/ui/campaigns/{id}/people` and `/ui/campaigns/{id}/books`: who stands where, and whether nobody is missing.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::downloads::Downloads;
use super::frame::{Frame, Section, page};
use super::words::{When, counted, grouped};
use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::recipients::{self, Audit, Deliveries, Delivery, Recipient, Which};
use crate::http::api::campaigns::{Archive, Campaign};
use crate::http::api::overview;
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::ApiError;

#[derive(Template)]
#[template(path = "ui/people.html")]
struct PeoplePage {
    frame: Frame,
    id: i64,
    name: String,
    tabs: Vec<Tab>,
    people: Vec<Person>,
    /// The state that is shown, if only one is.
    state: Option<&'static str>,
    /// The kind of trouble that is shown, if only one is, and the page with everybody of the state.
    kind: Option<(String, String)>,
    downloads: Downloads,
    /// Where single deliveries are, if they were archived.
    archived: Option<Kept>,
    next: Option<String>,
    first: Option<String>,
}

/// A file that has single deliveries in place of the database.
pub(super) struct Kept {
    pub(super) file: String,
    pub(super) host: String,
    pub(super) at: When,
    pub(super) deliveries: String,
}

impl Kept {
    pub(super) fn of(archive: &Archive) -> Self {
        Self {
            file: archive.file.clone(),
            host: archive.host.clone(),
            at: When::of(archive.archived_at),
            deliveries: counted(archive.deliveries, "delivery", "deliveries"),
        }
    }
}

/// A state, and the page that shows who is in it.
struct Tab {
    word: &'static str,
    /// Its swatch; all states together have none.
    state: Option<&'static str>,
    count: String,
    path: String,
    is_chosen: bool,
    /// The key that leads there.
    key: usize,
}

/// A recipient.
struct Person {
    id: i64,
    address: String,
    name: String,
    state: &'static str,
    attempts: i32,
    reason: String,
    category: String,
    at: Option<When>,
}

fn person(delivery: Delivery) -> Person {
    let Recipient { id, external_id, email, phone, first_name, last_name } = delivery.contact;
    let names: Vec<String> = [first_name, last_name].into_iter().flatten().collect();
    let word = |text: String| text.replace('_', " ");
    Person {
        id: id.0,
        address: email.or(phone).or(external_id).unwrap_or_else(|| format!("contact {id}")),
        name: names.join(" "),
        state: delivery.status.as_str(),
        attempts: delivery.attempts,
        category: delivery.error_category.map(|category| word(category.to_string())).unwrap_or_default(),
        reason: delivery.error.unwrap_or_default(),
        at: delivery.settled_at.or(delivery.claimed_at).map(When::of),
    }
}

/// The states in the order of the bar.
const ORDER: [DeliveryState; 6] = super::plot::ORDER;

fn tabs(campaign: &Campaign, chosen: Option<DeliveryState>) -> Vec<Tab> {
    let counts = &campaign.stats.counts;
    let base = format!("/ui/campaigns/{}/people", campaign.id);
    let all = Tab {
        word: "everyone",
        state: None,
        count: grouped(counts.total()),
        path: base.clone(),
        is_chosen: chosen.is_none(),
        key: 0,
    };
    let each = ORDER.iter().zip(1..).map(|(state, key)| Tab {
        word: state.as_str(),
        state: Some(state.as_str()),
        count: grouped(counts.of(*state)),
        path: format!("{base}?status={state}"),
        is_chosen: chosen == Some(*state),
        key,
    });
    std::iter::once(all).chain(each).collect()
}

/// Shows who stands where.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    Query(which): Query<Which>,
) -> Result<HttpResponse, ApiError> {
    let (chosen, is_first, size) = (which.status, which.is_first(), which.chosen_size());
    let kinds = which.kinds();
    let campaign = overview::sight(&state, id).await?.campaign;
    let archived = campaign.archive.as_ref().map(Kept::of);
    // The page says where they are.
    let listed = match archived {
        Some(_) => Deliveries { data: Vec::new(), next_cursor: None },
        None => recipients::listed(&state, id, which).await?,
    };
    let base = format!("/ui/campaigns/{id}/people");
    let state_filter = chosen.map(|state| format!("status={state}"));
    let kind = state_filter.as_ref().filter(|_| !kinds.is_empty()).map(|state| {
        let words: Vec<&str> = kinds.iter().map(|(_, value)| *value).collect();
        (words.join(" · ").replace('_', " "), format!("{base}?{state}"))
    });
    let kinds = kinds.iter().map(|(name, value)| format!("{name}={value}"));
    let filter: Vec<String> = state_filter.into_iter().chain(kinds).collect();
    let filter = Some(filter.join("&")).filter(|filter| !filter.is_empty());
    let query = |more: Option<String>| -> String {
        let size = size.map(|size| format!("page_size={size}"));
        let parts: Vec<String> = [filter.clone(), size, more].into_iter().flatten().collect();
        if parts.is_empty() { base.clone() } else { format!("{base}?{}", parts.join("&")) }
    };
    let asked = request.query_string();
    let asked = if asked.is_empty() { String::new() } else { format!("?{asked}") };
    let frame = frame.titled(&format!("People of {}", campaign.name));
    let frame = Frame { json: Some(format!("GET /v1/campaigns/{id}/deliveries{asked}")), ..frame };
    let shown = PeoplePage {
        frame: Frame { section: Some(Section::Campaigns), up: Some(format!("/ui/campaigns/{id}")), ..frame },
        id: id.0,
        tabs: tabs(&campaign, chosen),
        people: listed.data.into_iter().map(person).collect(),
        state: chosen.map(DeliveryState::as_str),
        kind,
        downloads: Downloads::new(
            &format!("/ui/campaigns/{id}/deliveries/export"),
            filter.as_deref().unwrap_or_default(),
        ),
        archived,
        next: listed.next_cursor.map(|cursor| query(Some(format!("cursor={cursor}")))),
        first: (!is_first).then(|| query(None)),
        name: campaign.name,
    };
    page(StatusCode::OK, &shown)
}

#[derive(Template)]
#[template(path = "ui/books.html")]
struct BooksPage {
    frame: Frame,
    id: i64,
    name: String,
    is_consistent: bool,
    /// Whether there was something to count: a file may be on another machine.
    is_counted: bool,
    rows: Vec<(&'static str, String, String)>,
    total: (String, String),
    /// How many the pages were packed with.
    page_sizes: String,
    /// What the books say of the audience.
    audience: Option<String>,
    /// The file that was counted in place of rows, and why it could not be.
    archived: Option<(Kept, Option<String>)>,
}

impl BooksPage {
    fn of(frame: Frame, name: String, audit: &Audit) -> Self {
        let row =
            |state: &DeliveryState| (state.as_str(), grouped(audit.pages.of(*state)), grouped(audit.rows.of(*state)));
        Self {
            frame,
            id: audit.campaign_id.0,
            name,
            is_consistent: audit.consistent,
            is_counted: audit.archive.as_ref().is_none_or(|found| found.problem.is_none()),
            rows: ORDER.iter().map(row).collect(),
            total: (grouped(audit.pages.total()), grouped(audit.total)),
            page_sizes: grouped(audit.page_sizes),
            audience: audit.expected.map(|expected| of_audience(expected, audit)),
            archived: audit.archive.as_ref().map(|found| (Kept::of(&found.archive), found.problem.clone())),
        }
    }
}

/// How many were packed, of the people that the launch has counted.
fn of_audience(expected: i64, audit: &Audit) -> String {
    let (counted, packed) = (grouped(expected), grouped(audit.total));
    match expected - audit.total {
        _ if !audit.packed => {
            format!("{packed} of about {counted} people are packed so far; the others are in no book yet.")
        }
        0 => format!("At the launch the audience was counted as {counted}, and all of them are here."),
        less @ 1.. => format!(
            "At the launch the audience was counted as {counted}. {} fewer are here: who was deleted or left out between the count \
             and the packing was not packed.",
            grouped(less)
        ),
        more => format!("At the launch the audience was counted as {counted}. {} more are here.", grouped(-more)),
    }
}

/// Counts the rows of a campaign, and compares them with its statistics.
pub(in crate::http) async fn books(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<CampaignId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let campaign = overview::sight(&state, id).await?.campaign;
    let audit = recipients::audited(&state, id).await?;
    let frame = frame.titled(&format!("Books of {}", campaign.name));
    let (json, up) = (format!("GET /v1/campaigns/{id}/audit"), format!("/ui/campaigns/{id}"));
    let frame = Frame { section: Some(Section::Campaigns), json: Some(json), up: Some(up), ..frame };
    page(StatusCode::OK, &BooksPage::of(frame, campaign.name, &audit))
}
