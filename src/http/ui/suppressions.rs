//! `/ui/suppressions`: addresses and domains that are not written to, why, and since when.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::asked::{Asked, Ways};
use super::frame::{Frame, Section, page};
use super::suppressed::{self, SuppressionView};
use super::words::When;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::ListId;
use crate::domain::people::consent::Reason;
use crate::http::api::people::lists;
use crate::http::api::people::suppressions::{self, BlockedDomain, DomainFilter, SuppressionFilter};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

/// The parameters that choose rows.
const FILTERS: [&str; 5] = ["search", "address", "channel", "reason", "list"];

/// A domain that is blocked.
struct DomainView {
    domain: String,
    since: When,
    source: String,
    /// The question whether to lift it.
    lift: String,
}

impl From<&BlockedDomain> for DomainView {
    fn from(found: &BlockedDomain) -> Self {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("domain", &found.domain).finish();
        Self {
            domain: found.domain.clone(),
            since: When::of(found.blocked_at),
            source: found.source.as_deref().map(suppressed::source).unwrap_or_default(),
            lift: format!("/ui/suppressions/lift?{query}"),
        }
    }
}

#[derive(Template)]
#[template(path = "ui/suppressions.html")]
struct SuppressionsPage {
    frame: Frame,
    /// The address that is looked up.
    address: String,
    search: String,
    list: String,
    channels: Vec<(&'static str, bool)>,
    reasons: Vec<(&'static str, &'static str, bool)>,
    is_filtered: bool,
    suppressions: Vec<SuppressionView>,
    /// Blocked domains: all on the first page, and the one of an address that is looked up.
    domains: Vec<DomainView>,
    are_more_domains: bool,
    ways: Ways,
}

/// The blocked domains that belong to what was asked: the first ones where nothing was, and that of an address.
async fn domains(state: &AppState, asked: &Asked<()>) -> Result<(Vec<DomainView>, bool), ApiError> {
    let filter = match (asked.text("address").rsplit_once('@'), asked.has(&FILTERS) || asked.has(&["cursor"])) {
        (Some((_, domain)), _) => DomainFilter::named(domain)?,
        (None, false) => DomainFilter::first(),
        (None, true) => return Ok((Vec::new(), false)),
    };
    let found = suppressions::listed_domains(state, filter).await?;
    Ok((found.data.iter().map(DomainView::from).collect(), found.next_cursor.is_some()))
}

/// Lists what is suppressed, or looks one address up.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(asked): Query<Asked<SuppressionFilter>>,
) -> Result<HttpResponse, ApiError> {
    let (which, asked) = asked.split();
    let found = suppressions::listed(&state, which).await?;
    let named: BTreeSet<ListId> = found.data.iter().filter_map(|one| one.list_id).collect();
    let names = lists::names(&state, named).await?;
    let (domains, are_more_domains) = domains(&state, &asked).await?;
    let ways = asked.ways("/ui/suppressions", "/v1/suppressions", found.next_cursor.as_deref());
    let frame = frame.titled("Suppressions").same_as(&ways.json, "volley suppression list");
    let (channel, reason) = (asked.text("channel"), asked.text("reason"));
    let choice = |one: &Reason| (one.as_str(), suppressed::says(*one), one.as_str() == reason);
    let shown = SuppressionsPage {
        frame: Frame { section: Some(Section::People), ..frame },
        address: asked.text("address"),
        search: asked.text("search"),
        list: asked.text("list"),
        channels: ChannelKind::ALL.iter().map(|one| (one.as_str(), one.as_str() == channel)).collect(),
        reasons: Reason::ALL.iter().map(choice).collect(),
        is_filtered: asked.has(&FILTERS),
        suppressions: found.data.iter().map(|one| SuppressionView::of(one, &names, None)).collect(),
        domains,
        are_more_domains,
        ways,
    };
    page(StatusCode::OK, &shown)
}
