//! `/ui/templates/{id}/versions`: what a template has said, version by version.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::asked::{Asked, Ways};
use super::audit::actor;
use super::frame::{Frame, Section, page};
use super::words::{When, counted, grouped};
use crate::domain::ids::TemplateId;
use crate::http::api::access::audit_log;
use crate::http::api::content::templates::{self, Version, VersionFilter};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::problem::ApiError;

/// How many versions the page of a template shows: the newest ones.
const NEWEST: &str = "page_size=10";

/// A version, as a line of the history.
struct Line {
    version: i64,
    at: When,
    by: Option<String>,
    /// The version before it, which it can be compared with.
    before: Option<i64>,
    /// How long it is.
    size: String,
}

impl Line {
    fn of(version: &Version, by: Option<String>) -> Self {
        let chars =
            version.body_text.chars().count() + version.body_html.as_deref().unwrap_or_default().chars().count();
        Self {
            version: version.version,
            at: When::of(version.version_created_at),
            by,
            // They are numbered without a gap.
            before: Some(version.version - 1).filter(|before| *before >= 1),
            size: counted(i64::try_from(chars).unwrap_or(i64::MAX), "character", "characters"),
        }
    }
}

/// Versions of a template, newest first.
#[derive(Template)]
#[template(path = "ui/version_rows.html")]
pub(super) struct VersionRows {
    id: i64,
    /// The version that the page shows; 0: none.
    shown: i64,
    /// Whether the reader may know who has written them.
    has_writers: bool,
    lines: Vec<Line>,
}

impl VersionRows {
    /// The newest ones, and how many there are. `shown`: the version that the page shows.
    pub(super) async fn newest(
        state: &AppState,
        id: TemplateId,
        frame: &Frame,
        shown: i64,
    ) -> Result<(Self, i64), ApiError> {
        let which = VersionFilter::from_params(&Params::parse(NEWEST, VersionFilter::NAMES)?)?;
        let found = templates::versions_of(state, id, which).await?;
        Ok((Self::of(state, id, frame, shown, &found.data).await?, found.pagination.total_count))
    }

    async fn of(
        state: &AppState,
        id: TemplateId,
        frame: &Frame,
        shown: i64,
        versions: &[Version],
    ) -> Result<Self, ApiError> {
        let mut writers = writers(state, id, frame).await?;
        let lines = versions.iter().map(|version| Line::of(version, writers.remove(&version.version))).collect();
        Ok(Self { id: id.0, shown, has_writers: frame.may_administer(), lines })
    }

    /// How many there are, where these are not all `total`.
    pub(super) fn are_part_of(&self, total: i64) -> Option<String> {
        let shown = i64::try_from(self.lines.len()).unwrap_or(i64::MAX);
        (shown < total).then(|| grouped(total))
    }

    /// The numbers of these versions.
    pub(super) fn numbers(&self) -> Vec<i64> {
        self.lines.iter().map(|line| line.version).collect()
    }
}

/// Who has written which version, where the reader may know, as far as the newest lines of the audit log say.
async fn writers(state: &AppState, id: TemplateId, frame: &Frame) -> Result<HashMap<i64, String>, ApiError> {
    if !frame.may_administer() {
        return Ok(HashMap::new());
    }
    let query = format!("object=template&object_id={id}&page_size=100");
    let which = audit_log::Which::from_params(&Params::parse(&query, audit_log::Which::NAMES)?)?;
    let mut found = HashMap::new();
    // Newest first: a later line about a version changes its name or what is tracked.
    for line in audit_log::listed(state, which).await?.data {
        let after = line.after.as_deref().and_then(|after| serde_json::from_str::<serde_json::Value>(after.get()).ok());
        if let Some(version) = after.and_then(|after| after.get("version")?.as_i64()) {
            found.insert(version, actor(&line));
        }
    }
    Ok(found)
}

#[derive(Template)]
#[template(path = "ui/template_versions.html")]
struct VersionsPage {
    frame: Frame,
    id: i64,
    name: String,
    total: String,
    versions: VersionRows,
    ways: Ways,
}

/// Lists the versions of a template.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<TemplateId>,
    Query(asked): Query<Asked<VersionFilter>>,
) -> Result<HttpResponse, ApiError> {
    let (which, asked) = asked.split();
    let name = templates::one(&state, id, None).await?.name;
    let found = templates::versions_of(&state, id, which).await?;
    let api = format!("/v1/templates/{id}/versions");
    let ways = asked.ways(&format!("/ui/templates/{id}/versions"), &api, found.next_cursor.as_deref());
    let frame = frame.titled(&format!("Versions of {name}")).same_as(&ways.json, &ways.command);
    let versions = VersionRows::of(&state, id, &frame, 0, &found.data).await?;
    let shown = VersionsPage {
        frame: Frame { section: Some(Section::Templates), up: Some(format!("/ui/templates/{id}")), ..frame },
        id: id.0,
        name,
        total: grouped(found.pagination.total_count),
        versions,
        ways,
    };
    page(StatusCode::OK, &shown)
}
