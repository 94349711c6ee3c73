//! `/ui/imports`: the files that were imported, and the form that brings another one.

use std::collections::{BTreeSet, HashMap};

use actix_web::http::StatusCode;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::asked::{Asked, Ways};
use super::audit::actor;
use super::errors::Trouble;
use super::form::fresh_key;
use super::frame::{Frame, Section, page};
use super::import_look::LookView;
use super::refused::{Refusal, refused};
use super::upload::Brought;
use super::words::{When, grouped};
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ListId;
use crate::domain::import::presets::Preset;
use crate::domain::import::reading::PresetChoice;
use crate::http::api::access::audit_log;
use crate::http::api::import::destination::Destination;
use crate::http::api::import::dry_runs::{self, DryRun};
use crate::http::api::import::imports::{self, Import, ImportFilter, ImportStatus};
use crate::http::api::people::lists::{self, ListFilter};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::idempotency::IdempotencyKey;
use crate::http::web::problem::ApiError;
use crate::services::By;

/// Lists that can be chosen, newest first.
const LISTS: &str = "page_size=100";

/// An import as a line.
struct Line {
    id: i64,
    status: ImportStatus,
    list: Option<(i64, String)>,
    created: String,
    updated: String,
    rejected: String,
    /// Why it has failed, or what may not be as it was meant.
    note: String,
    at: When,
    by: Option<String>,
}

/// What was typed into the form.
#[derive(Default)]
struct Typed {
    list: String,
    new_list: String,
    is_confirmed: bool,
    resubscribes: bool,
    reason: String,
    encoding: String,
    preset: String,
    /// The mappings that were chosen, as `HEADER:FIELD`.
    mapped: Vec<String>,
    /// Further mappings, one on each line.
    more: String,
}

impl Typed {
    fn of(brought: &Brought) -> Self {
        let text = |name| brought.text(name).to_owned();
        let chosen = brought.fields().filter(|(name, value)| *name == "map" && !value.is_empty());
        Self {
            list: text("list"),
            new_list: text("new_list"),
            is_confirmed: brought.text("confirmed") == "true",
            resubscribes: brought.text("resubscribe") == "true",
            reason: text("reason"),
            encoding: text("encoding"),
            preset: text("preset"),
            mapped: chosen.map(|(_, value)| value.to_owned()).collect(),
            more: text("more"),
        }
    }

    /// All mappings: what was chosen for a column goes before what was written of it.
    fn mappings(&self) -> Vec<&str> {
        let chosen: Vec<&str> = self.mapped.iter().map(String::as_str).collect();
        let header = |text: &str| text.rsplit_once([':', '=']).map(|(header, _)| header.trim().to_owned());
        let headers: Vec<_> = chosen.iter().map(|one| header(one)).collect();
        let written = self.more.lines().map(str::trim).filter(|line| !line.is_empty());
        chosen.iter().copied().chain(written.filter(|line| !headers.contains(&header(line)))).collect()
    }

    /// The same with all mappings written out, where no columns are shown to choose for.
    fn written(self) -> Self {
        let more = self.mappings().join("\n");
        Self { more, mapped: Vec::new(), ..self }
    }

    fn destination(&self, brought: &Brought) -> Result<Destination, ApiError> {
        let others = brought.fields().filter(|(name, _)| *name != "map");
        Destination::of_fields(others.chain(self.mappings().into_iter().map(|one| ("map", one))))
    }
}

/// What can be chosen for an encoding besides the one that is recognised.
const ENCODINGS: [&str; 11] = [
    "utf-8",
    "utf-16le",
    "windows-1252",
    "windows-1250",
    "windows-1251",
    "iso-8859-2",
    "iso-8859-15",
    "macintosh",
    "shift_jis",
    "gb18030",
    "euc-kr",
];

#[derive(Template)]
#[template(path = "ui/imports.html")]
struct ImportsPage {
    frame: Frame,
    total: String,
    imports: Vec<Line>,
    ways: Ways,
    /// Lists that can be chosen: the id, the name, and whether it is chosen.
    lists: Vec<(String, String, bool)>,
    are_more_lists: bool,
    largest: u64,
    typed: Typed,
    trouble: Option<Trouble>,
    /// What would come of the file that was looked at.
    look: Option<LookView>,
    /// The field that is wrong; empty where it is none.
    wrong: &'static str,
    key: String,
}

impl ImportsPage {
    async fn of(state: &AppState, frame: Frame, asked: Asked<ImportFilter>, typed: Typed) -> Result<Self, ApiError> {
        let (which, asked) = asked.split();
        let found = imports::listed(state, which).await?;
        let ways = asked.ways("/ui/imports", "/v1/imports", found.next_cursor.as_deref());
        let json = format!("{}, POST /v1/contacts/import", ways.json);
        let frame = frame.titled("Imports").same_as(&json, "volley import people.csv --list NAME");
        let choice = lists::listed(state, ListFilter::from_params(&Params::parse(LISTS, ListFilter::NAMES)?)?).await?;
        let are_more_lists = choice.next_cursor.is_some();
        let chosen = |id: ListId| id.to_string() == typed.list;
        let lists = choice.data.into_iter().map(|list| (list.id.to_string(), list.name, chosen(list.id))).collect();
        Ok(Self {
            total: grouped(found.pagination.total_count),
            imports: lines(state, &frame, found.data).await?,
            frame: Frame { section: Some(Section::People), ..frame },
            ways,
            lists,
            are_more_lists,
            largest: state.settings.http.max_import_bytes,
            typed,
            trouble: None,
            look: None,
            wrong: "",
            key: fresh_key(),
        })
    }

    /// The page after a form: with the newest imports.
    async fn after(state: &AppState, frame: Frame, typed: Typed) -> Result<Self, ApiError> {
        let asked = Asked::from_params(&Params::parse("", ImportFilter::NAMES)?)?;
        Self::of(state, frame, asked, typed).await
    }

    /// Encodings and whether they are chosen.
    fn encodings(&self) -> Vec<(&str, bool)> {
        let typed = self.typed.encoding.as_str();
        let other = Some(typed).filter(|typed| !typed.is_empty() && !ENCODINGS.contains(typed));
        ENCODINGS.into_iter().chain(other).map(|name| (name, name == typed)).collect()
    }

    /// Tools whose exports are known, and whether they are chosen.
    fn presets(&self) -> Vec<(&'static str, bool)> {
        let names = Preset::ALL.iter().map(|preset| preset.as_str()).chain([PresetChoice::OFF]);
        names.map(|name| (name, name == self.typed.preset)).collect()
    }

    /// Whether the trouble is with this field.
    fn is_wrong(&self, field: &str) -> bool {
        self.trouble.is_some() && self.wrong == field
    }
}

/// Who has uploaded each of these, where the reader may know.
async fn makers(state: &AppState, frame: &Frame, all: &[Import]) -> Result<HashMap<String, String>, ApiError> {
    if !frame.may_administer() {
        return Ok(HashMap::new());
    }
    let ids = all.iter().map(|import| import.id.to_string()).collect();
    let found = audit_log::newest_of_each(state, Action::Created, Object::Import, ids).await?;
    Ok(found.iter().filter_map(|line| Some((line.object_id.clone()?, actor(line)))).collect())
}

async fn lines(state: &AppState, frame: &Frame, all: Vec<Import>) -> Result<Vec<Line>, ApiError> {
    let ids: BTreeSet<ListId> = all.iter().filter_map(|import| import.list_id).collect();
    let (names, mut makers) = (lists::names(state, ids).await?, makers(state, frame, &all).await?);
    let line = |import: Import| Line {
        id: import.id.0,
        status: import.status,
        list: import.list_id.map(|id| (id.0, names.get(&id).cloned().unwrap_or_else(|| gone(id)))),
        created: grouped(import.rows_created),
        updated: grouped(import.rows_updated),
        rejected: grouped(import.rows_rejected),
        note: import.error.unwrap_or_else(|| import.warning.unwrap_or_default().to_owned()),
        at: When::of(import.created_at),
        by: makers.remove(&import.id.to_string()),
    };
    Ok(all.into_iter().map(line).collect())
}

/// What a list is called that is no longer there.
pub(super) fn gone(id: ListId) -> String {
    format!("list {id}, deleted")
}

/// Lists the imports.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(asked): Query<Asked<ImportFilter>>,
) -> Result<HttpResponse, ApiError> {
    page(StatusCode::OK, &ImportsPage::of(&state, frame, asked, Typed::default()).await?)
}

/// Takes a file. What follows is on the page of its import.
pub(in crate::http) async fn upload(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let mut brought = Brought::default();
    let read = brought.read(&state, &request, payload).await;
    let typed = Typed::of(&brought);
    let done = match read {
        Ok(()) => carry_out(&state, &request, brought, &typed, &by).await,
        Err(error) => Err(error),
    };
    let error = match done {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    refused(error, &request, async |refusal| {
        let wrong = field_of(refusal.error);
        let shown = ImportsPage::after(&state, frame, typed.written()).await?;
        Ok(ImportsPage { trouble: Some(said(refusal, &shown.typed)), wrong, ..shown })
    })
    .await
}

/// Shows what would come of a file, and stores nothing.
pub(in crate::http) async fn look(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    by: By,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let mut brought = Brought::to_look_at();
    let read = brought.read(&state, &request, payload).await;
    let typed = Typed::of(&brought);
    let done = match read {
        Ok(()) => look_at(&state, brought, &typed, &by).await,
        Err(error) => Err(error),
    };
    let (view, error) = match done {
        Ok(dry_run) => LookView::of(dry_run, &typed.mapped),
        Err(error) => (LookView::default(), Some(error)),
    };
    let Some(error) = error else {
        let shown = ImportsPage::after(&state, frame, typed).await?;
        return page(StatusCode::OK, &ImportsPage { look: Some(view.with(None)), ..shown });
    };
    refused(error, &request, async |refusal| {
        let shown = ImportsPage::after(&state, frame, typed).await?;
        let look = Some(view.with(Some(said(refusal, &shown.typed))));
        Ok(ImportsPage { look, ..shown })
    })
    .await
}

/// Looks at what a form has brought.
async fn look_at(state: &AppState, mut brought: Brought, typed: &Typed, by: &By) -> Result<DryRun, ApiError> {
    let destination = typed.destination(&brought)?;
    let seen = brought.seen.take().ok_or_else(|| ApiError::field("", "required", "choose a file"))?;
    let new_list = Some(typed.new_list.as_str()).filter(|name| !name.is_empty());
    dry_runs::of_form(state, seen, &destination, new_list, by).await
}

/// Imports what a form has brought: once under its key.
async fn carry_out(
    state: &AppState,
    request: &HttpRequest,
    mut brought: Brought,
    typed: &Typed,
    by: &By,
) -> Result<HttpResponse, ApiError> {
    let key = IdempotencyKey::of_form(request, brought.text("idempotency_key"))?;
    let destination = typed.destination(&brought)?;
    let new_list = Some(brought.text("new_list").to_owned()).filter(|name| !name.is_empty());
    let file = brought.file.take();
    let file = file.ok_or_else(|| ApiError::field("", "required", "choose a file"))?;
    imports::of_form(state, file, destination, new_list.as_deref(), key, by).await
}

/// What is wrong, in a sentence that needs no name of a field.
fn said(Refusal { error, mut trouble, errors, .. }: Refusal<'_>, typed: &Typed) -> Trouble {
    if let Some(one) = errors.first() {
        trouble.detail.clone_from(&one.reason);
    }
    match (trouble.code.as_str(), error) {
        ("list_name_taken", _) => {
            trouble.detail = format!("there is a list called “{}” already: choose it above", typed.new_list);
        }
        ("body_too_large", ApiError::TooLarge { limit }) => {
            let limit = grouped(i64::try_from(*limit).unwrap_or(i64::MAX));
            trouble.detail =
                format!("the file is larger than {limit} bytes, which is the most that this instance takes");
        }
        _ => {}
    }
    trouble
}

/// The field of the form that an error is about; empty where it is none.
fn field_of(error: &ApiError) -> &'static str {
    let problem = error.problem();
    match (problem.errors.first().map(|one| one.field.as_str()), problem.code.as_ref()) {
        (Some("/new_list"), _) | (_, "list_name_taken") => "new_list",
        (Some("list"), _) | (_, "list_not_found") => "list",
        (Some("reason"), _) => "reason",
        (Some("encoding"), _) => "encoding",
        (Some("preset"), _) => "preset",
        (Some("map"), _) => "more",
        (Some(""), _) | (_, "body_too_large") => "file",
        _ => "",
    }
}
