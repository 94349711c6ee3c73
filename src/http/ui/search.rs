//! `/ui/search`: whatever goes by an id, an address, a key, or the beginning of a name. The dialog that Ctrl K opens shows the same.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, page, quoted};
use crate::http::api::search::{self, Found, Hit, HitKind, Shown};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::ApiError;
use crate::services::By;

/// What is searched for, if anything is yet.
pub(in crate::http) struct Typed(Option<String>);

impl FromQuery for Typed {
    const NAMES: &'static [&'static str] = &["q"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        search::read(params).map(Self)
    }
}

/// What was found of one kind.
struct Group {
    title: &'static str,
    hits: Vec<Hit>,
    /// Whether more fits.
    more: bool,
}

#[derive(Template)]
#[template(path = "ui/search.html")]
struct SearchPage {
    frame: Frame,
    typed: String,
    longest: usize,
    groups: Vec<Group>,
    /// Kinds that were not looked for, and the scope that a key needs for them.
    left_out: Vec<(&'static str, &'static str)>,
}

const fn title(kind: HitKind) -> &'static str {
    match kind {
        HitKind::Delivery => "Messages",
        HitKind::Act => "Acts",
        HitKind::Page => "Pages",
        HitKind::Campaign => "Campaigns",
        HitKind::Contact => "Contacts",
        HitKind::List => "Lists",
        HitKind::Segment => "Segments",
        HitKind::Template => "Templates",
        HitKind::Pool => "Pools",
        HitKind::ApiKey => "API keys",
    }
}

fn groups(found: Found) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for hit in found.data {
        let of_kind = title(hit.kind);
        match groups.last_mut().filter(|group| group.title == of_kind) {
            Some(group) => group.hits.push(hit),
            None => {
                groups.push(Group { title: of_kind, more: found.more.contains(&hit.kind), hits: vec![hit] });
            }
        }
    }
    groups
}

/// Shows what was found. `shown`: which paths a key may see.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    by: By,
    Query(Typed(typed)): Query<Typed>,
    shown: Shown,
) -> Result<HttpResponse, ApiError> {
    let found = match &typed {
        Some(text) => search::found(&state, &by, text.clone(), shown).await?,
        None => Found::default(),
    };
    let typed = typed.unwrap_or_default();
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", &typed).finish();
    let command = format!("volley search '{}'", quoted(&typed));
    let frame = frame.titled("Search").same_as(&format!("GET /v1/search?{query}"), &command);
    let left_out = found.left_out.iter().map(|kind| (title(kind.kind), kind.scope.as_str())).collect();
    let shown = SearchPage { frame, typed, longest: search::LONGEST, groups: groups(found), left_out };
    page(StatusCode::OK, &shown)
}
