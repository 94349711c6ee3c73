//! `/ui/imports/{id}`: one import: how far it is, what came of it, and which rows were rejected and why.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::audit::actor;
use super::frame::{Frame, Section, page};
use super::imports::gone;
use super::words::{When, counted, curl, grouped};
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ImportId;
use crate::domain::import::looking::ColumnFate;
use crate::http::api::access::audit_log;
use crate::http::api::import::imports::{self, Import, ImportStatus, KEPT_REJECTIONS, Rejection};
use crate::http::api::import::rejected_rows;
use crate::http::api::people::lists;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::problem::ApiError;

/// Reasons of rejected rows that are shown at once.
const REASONS: usize = 50;

/// Which page of the rejected rows, from 1.
pub(in crate::http) struct Rejected(usize);

impl FromQuery for Rejected {
    const NAMES: &'static [&'static str] = &["page"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let page = params.integer("page", 1..=100_000)?.unwrap_or(1);
        Ok(Self(usize::try_from(page).unwrap_or(usize::MAX)))
    }
}

/// What of the page changes while rows are imported.
#[derive(Template)]
#[template(path = "ui/import_live.html")]
pub(super) struct ImportLive {
    id: i64,
    status: ImportStatus,
    /// Whether rows are still to come.
    goes_on: bool,
    sentence: String,
    /// What to do about it, where something is wrong.
    advice: Option<&'static str>,
    /// Rows by what became of them: the word, how many, and whether they are none.
    counts: Vec<(&'static str, String, bool)>,
    list: Option<i64>,
    may_operate: bool,
    /// Why rows were rejected: a page of it.
    reasons: Vec<Rejection>,
    /// Whether no row was rejected.
    is_clean: bool,
    /// Until when all rejected rows can be downloaded.
    until: Option<When>,
    /// How many rows were rejected whose reasons were not kept.
    unkept: Option<String>,
    /// The pages before and behind this one.
    pages: (Option<usize>, Option<usize>),
    /// The first cells that nothing was made of, and why.
    dropped: Vec<Rejection>,
    /// How many there are; empty: none.
    dropped_cells: String,
    /// Whether there are more than are shown.
    is_more_dropped: bool,
    /// What the columns of the file became.
    columns: Vec<ColumnFate>,
}

/// How an import stands, in a sentence.
fn sentence(import: &Import) -> String {
    let rows = |count: i64| counted(count, "row", "rows");
    match import.status {
        ImportStatus::Pending => "The file is stored safely. Its rows are imported next.".to_owned(),
        ImportStatus::Running => format!("Rows are being imported: {} so far.", rows(import.rows_read)),
        ImportStatus::Completed if import.rows_read == 0 => {
            "The file has a header and no row below it: no contact was imported.".to_owned()
        }
        ImportStatus::Completed if import.rows_rejected == import.rows_read => {
            let rejected = counted(import.rows_read, "row was", "rows were");
            format!("{rejected} rejected, and none was taken: no contact was imported.")
        }
        ImportStatus::Completed if import.rows_rejected == 0 => {
            format!("Done: {} taken.", counted(import.rows_read, "row was", "rows were"))
        }
        ImportStatus::Completed => {
            let taken = import.rows_created + import.rows_updated;
            let rejected = counted(import.rows_rejected, "row was", "rows were");
            format!("Done: {} of {} taken, and {rejected} rejected.", grouped(taken), rows(import.rows_read))
        }
        ImportStatus::Failed => {
            let why = import.error.as_deref().unwrap_or("for a reason that was not kept");
            format!("It stopped after {}: {why}.", rows(import.rows_read))
        }
    }
}

impl ImportLive {
    /// An import with this page of its rejected rows.
    pub(super) fn of(import: &Import, page: usize, may_operate: bool) -> Self {
        let count = |word, count: i64| (word, grouped(count), count == 0);
        let mut counts = vec![
            count("new contacts", import.rows_created),
            count("known contacts", import.rows_updated),
            count("rejected", import.rows_rejected),
        ];
        if import.stay_refused > 0 {
            counts.push(count("stay unsubscribed", import.stay_refused));
        }
        if import.rows_suppressed > 0 {
            counts.push(count("no longer written to", import.rows_suppressed));
        }
        if import.resubscribed > 0 {
            counts.push(count("subscribed again", import.resubscribed));
        }
        let kept: BTreeSet<u64> = import.rejected.iter().map(|one| one.line).collect();
        let kept = i64::try_from(kept.len()).unwrap_or(i64::MAX);
        let skipped = page.saturating_sub(1).saturating_mul(REASONS);
        let is_last = import.rejected.len() <= skipped.saturating_add(REASONS);
        Self {
            id: import.id.0,
            status: import.status,
            goes_on: is_open(import),
            sentence: sentence(import),
            advice: advice(import),
            counts,
            list: import.list_id.map(|id| id.0),
            may_operate,
            reasons: import.rejected.iter().skip(skipped).take(REASONS).cloned().collect(),
            is_clean: import.rows_rejected == 0,
            until: import.rejected_until.map(When::of),
            unkept: Some(import.rows_rejected - kept).filter(|count| *count > 0).map(grouped),
            pages: ((page > 1).then(|| page - 1), (!is_last).then(|| page + 1)),
            dropped: import.dropped.iter().take(REASONS).cloned().collect(),
            dropped_cells: Some(import.dropped_cells)
                .filter(|count| *count > 0)
                .map(|count| counted(count, "cell was", "cells were"))
                .unwrap_or_default(),
            is_more_dropped: import.dropped_cells > i64::try_from(REASONS).unwrap_or(i64::MAX),
            columns: import.columns.clone().unwrap_or_default(),
        }
    }

    const fn kept_rows() -> usize {
        KEPT_REJECTIONS
    }

    const fn shown_cells() -> usize {
        REASONS
    }
}

/// Whether rows are still to come.
const fn is_open(import: &Import) -> bool {
    matches!(import.status, ImportStatus::Pending | ImportStatus::Running)
}

/// What to do where not all is well.
const fn advice(import: &Import) -> Option<&'static str> {
    match (import.status, import.rows_rejected, import.rejected_until.is_some()) {
        (ImportStatus::Failed, ..) => Some(
            "What was imported before stays. Correct the file and upload it again: contacts that are in already are updated, and nobody is made twice.",
        ),
        (ImportStatus::Completed, 1.., false) => Some(
            "Correct the rejected rows and upload them again: contacts that are in already are updated, and nobody is made twice.",
        ),
        (ImportStatus::Completed, 1.., true) => Some(
            "Download the rejected rows, correct them and upload them again: contacts that are in already are updated, and nobody is made twice.",
        ),
        (ImportStatus::Pending | ImportStatus::Running | ImportStatus::Completed, ..) => None,
    }
}

#[derive(Template)]
#[template(path = "ui/import.html")]
struct ImportPage {
    frame: Frame,
    live: ImportLive,
    list: Option<(i64, String)>,
    encoding: Option<String>,
    /// The tool whose export the file was taken for.
    preset: Option<&'static str>,
    uploaded: When,
    by: Option<String>,
    last: When,
}

/// Shows an import.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<ImportId>,
    Query(Rejected(part)): Query<Rejected>,
) -> Result<HttpResponse, ApiError> {
    let import = imports::one(&state, id).await?;
    let path = format!("/v1/imports/{id}");
    let frame = frame.titled(&format!("Import {id}")).same_as(&format!("GET {path}"), &curl("GET", &path, None));
    let live = (is_open(&import) && part == 1).then(|| format!("import-{id}"));
    let names = lists::names(&state, import.list_id.into_iter().collect()).await?;
    let line = match frame.may_administer() {
        true => audit_log::newest(&state, Action::Created, Object::Import, &id.to_string()).await?,
        false => None,
    };
    let shown = ImportPage {
        live: ImportLive::of(&import, part, frame.may_operate()),
        list: import.list_id.map(|id| (id.0, names.get(&id).cloned().unwrap_or_else(|| gone(id)))),
        encoding: import.encoding,
        preset: import.preset.map(|preset| preset.as_str()),
        uploaded: When::of(import.created_at),
        by: line.as_ref().map(actor),
        last: When::of(import.updated_at),
        frame: Frame {
            section: Some(Section::People),
            up: Some("/ui/imports".to_owned()),
            live: live.or(frame.live),
            ..frame
        },
    };
    page(StatusCode::OK, &shown)
}

/// Gives all rejected rows as a file.
pub(in crate::http) async fn rejected(
    state: web::Data<AppState>,
    id: Id<ImportId>,
    no: Query<()>,
) -> Result<HttpResponse, ApiError> {
    rejected_rows::download(state, id, no).await
}
