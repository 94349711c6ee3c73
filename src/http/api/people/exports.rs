//! Contacts and the members of a list as a file, read part by part: as an import takes them back, and as programs read them.

use std::borrow::Cow;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::contacts::{Contact, Which};
use crate::domain::export::Format;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::import::own::BETWEEN;
use crate::domain::instant::UtcInstant;
use crate::domain::people::fields::BuiltIn;
use crate::domain::people::standing::Standing;
use crate::http::state::AppState;
use crate::http::web::csv::{Portion, cell};
use crate::http::web::export::Written;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::list_path::ListPath;
use crate::http::web::problem::{ApiError, Problem};
use crate::store::people::contact_filter::{self, ContactFilter};
use crate::store::people::exports::{self, Exported, OnList};
use crate::store::people::{lists, topics};
use crate::store::{Conn, Lane, Store, StoreError};

/// Contacts that are read at once: the fewest, with which an export begins, and the most.
const ROWS: (i64, i64) = (50, 1_000);

/// About how long a part is, in bytes: of contacts with much in their attributes fewer are read at once.
const PART_BYTES: i64 = 4 << 20;

/// How far an export is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The last contact of the part before.
    after: ContactId,
    /// How many are read next.
    rows: i64,
}

/// A contact as a line of JSON: as the API shows it, and what else an export says.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    contact: Contact,
    /// Why it is not written to: `unsubscribed`, `email:bounced`.
    suppressed: Vec<String>,
    /// How it stands on lists: `news:subscribed`.
    lists: Vec<String>,
    /// Whether the person has said that they are not to be tracked.
    untracked: bool,
    #[serde(flatten)]
    on_list: Option<OnListLine>,
}

/// How it stands on the list whose members are exported.
#[derive(Serialize)]
struct OnListLine {
    status: Standing,
    status_at: UtcInstant,
    source: Option<String>,
    /// Which list that is: its slug, or its id where it has none.
    status_list: String,
}

impl Line {
    /// `list`: what the list goes by whose members are exported.
    fn of(exported: Exported, list: &str) -> Result<Self, StoreError> {
        let stands = |OnList { standing, since, source }| OnListLine {
            status: standing,
            status_at: since,
            source,
            status_list: list.to_owned(),
        };
        let Exported { contact, tags, suppressed, lists, on_list } = exported;
        Ok(Self {
            untracked: contact.untracked,
            contact: Contact { tags, ..Contact::try_from(contact)? },
            suppressed: suppressed.iter().map(ToString::to_string).collect(),
            lists: lists.iter().map(|(list, standing)| format!("{list}:{standing}")).collect(),
            on_list: on_list.map(stands),
        })
    }
}

/// Whose file it is.
#[derive(Debug, Clone)]
enum Whose {
    Contacts(Box<ContactFilter>),
    Members(ListId, Option<Standing>, String),
}

/// An export and how it is written.
#[derive(Debug, Clone)]
struct Export {
    whose: Whose,
    until: ContactId,
    written: Written,
}

impl Export {
    /// Who came later than now is not in it.
    async fn new(state: &AppState, whose: Whose, written: Written) -> Result<Self, ApiError> {
        let until = state.store.run(Lane::Read, "find the newest contact", contact_filter::newest).await?;
        Ok(Self { whose, until, written })
    }

    /// The header of a CSV file. Behind a byte order mark, which an import drops, spreadsheets read UTF-8; programs ask for `raw`.
    fn header(&self) -> String {
        let fields = BuiltIn::ALL.iter().map(|field| field.as_str());
        let standing: &[&str] = match self.whose {
            Whose::Contacts(_) => &[],
            Whose::Members(..) => &["status", "status_at", "source", "status_list"],
        };
        let rest = ["suppressed", "lists", "untracked", "introduced_at", "created_at", "updated_at"];
        let names = ["contact_id"].into_iter().chain(fields).chain(["tags", "attributes"]);
        let names: Vec<&str> = names.chain(standing.iter().copied()).chain(rest).collect();
        format!("{}{}", if self.written.raw { "" } else { "\u{feff}" }, names.join(","))
    }

    fn line(&self, exported: Exported) -> Result<String, StoreError> {
        let wrong = |error: serde_json::Error| StoreError::Corrupt { what: "a contact", detail: error.to_string() };
        let list = match &self.whose {
            Whose::Contacts(_) => "",
            Whose::Members(_, _, name) => name.as_str(),
        };
        let line = Line::of(exported, list)?;
        match self.written.format {
            Format::Csv => line.csv(self.written.raw).map_err(wrong),
            Format::Jsonl => serde_json::to_string(&line).map(|json| format!("{json}\n")).map_err(wrong),
        }
    }

    async fn portion(self, store: Store, place: Place) -> Result<Portion<Place>, StoreError> {
        let read = move |conn: &mut Conn| {
            let (window, rows) = ((place.after, self.until), place.rows);
            let part = match &self.whose {
                Whose::Contacts(filter) => exports::contacts(conn, filter, window, rows)?,
                Whose::Members(list, standing, _) => exports::members(conn, (*list, *standing), window, rows)?,
            };
            self.check_list(conn)?;
            let (mut text, count) = (String::new(), part.people.len());
            for exported in part.people {
                text.push_str(&self.line(exported)?);
            }
            let rows = match (text.len() / count.max(1)).try_into() {
                Ok(0) => rows,
                Ok(each) => (PART_BYTES / each).clamp(ROWS.0, ROWS.1),
                Err(_larger) => ROWS.0,
            };
            Ok(Portion { text, next: part.next.map(|after| Place { after, rows }) })
        };
        store.run(Lane::Read, "export contacts", read).await
    }

    /// A list that was deleted has no members any more, and the file would look whole: its reader gets an error instead.
    fn check_list(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let list = match &self.whose {
            Whose::Contacts(filter) => filter.standing.map(|(list, _)| list),
            Whose::Members(list, ..) => Some(*list),
        };
        match list.map(|list| lists::find(conn, list)).transpose()? {
            Some(None) => Err(StoreError::Stale { what: "the list" }),
            Some(Some(_)) | None => Ok(()),
        }
    }

    async fn answer(self, state: &AppState, file: &str) -> Result<HttpResponse, ApiError> {
        let (store, header, written) = (state.store.clone(), self.header(), self.written);
        let read = move |place| self.clone().portion(store.clone(), place);
        let first = read(Place { after: ContactId(0), rows: ROWS.0 }).await?;
        Ok(written.answer(file, &header, first, read))
    }
}

impl Line {
    /// As a row of CSV with its end.
    fn csv(&self, raw: bool) -> Result<String, serde_json::Error> {
        let attributes = match self.contact.attributes.is_empty() {
            true => String::new(),
            false => serde_json::to_string(&self.contact.attributes)?,
        };
        let mut cells: Vec<Cow<'_, str>> = vec![self.contact.id.to_string().into()];
        cells.extend(self.contact.fields().map(|(_, value)| Cow::from(value.unwrap_or_default())));
        cells.extend([self.contact.tags.join(BETWEEN).into(), attributes.into()]);
        if let Some(OnListLine { status, status_at, source, status_list }) = &self.on_list {
            let source = source.as_deref().unwrap_or_default();
            cells.extend([status.as_str().into(), status_at.to_string().into(), source.into(), status_list.into()]);
        }
        let introduced = self.contact.introduced_at.map(|at| at.to_string()).unwrap_or_default();
        let words = [self.suppressed.join(BETWEEN), self.lists.join(BETWEEN), self.untracked.to_string(), introduced];
        cells.extend(words.map(Cow::from));
        cells.extend([self.contact.created_at, self.contact.updated_at].map(|at| Cow::from(at.to_string())));
        let cells: Vec<String> = cells.iter().map(|text| cell(text, raw)).collect();
        Ok(format!("{}\r\n", cells.join(",")))
    }
}

/// Which contacts are exported, and how they are written.
#[derive(Debug)]
pub(in crate::http) struct ContactExport {
    which: Which,
    written: Written,
}

impl FromQuery for ContactExport {
    const NAMES: &'static [&'static str] =
        &["search", "email", "phone", "external_id", "list", "standing", "tag", "suppressed", "format", "raw"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { which: Which::read(params)?, written: Written::read(params)? })
    }
}

/// Exports contacts as a file, oldest first: those that `GET /v1/contacts` with the same filters lists. `format=csv` has a header, and a
/// JSON object in the column `attributes`; an import takes it back as it is. `format=jsonl` has a contact on each line. `suppressed` says why a
/// contact is not written to, `lists` how it stands on lists. Cells that a spreadsheet would take for formulas, and those that begin with `'`, have
/// a `'` before them, which an import takes away; not with `raw=true`, which also leaves the byte order mark out. Each contact is as it was when it
/// was read; those that are made meanwhile are not in it.
#[utoipa::path(get, path = "/v1/contacts/export", tag = "contacts", operation_id = "export_contacts",
    params(("search" = Option<String>, Query), ("email" = Option<String>, Query), ("phone" = Option<String>, Query),
        ("external_id" = Option<String>, Query), ("list" = Option<String>, Query), ("standing" = Option<Standing>, Query),
        ("tag" = Option<String>, Query), ("suppressed" = Option<bool>, Query),
        ("format" = inline(Option<Format>), Query, description = "`csv` unless given."), ("raw" = Option<bool>, Query)),
    responses((status = 200, content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = "4XX", body = Problem)))]
pub(in crate::http) async fn contacts(
    state: web::Data<AppState>,
    Query(ContactExport { which, written }): Query<ContactExport>,
) -> Result<HttpResponse, ApiError> {
    let filter = which.resolved(&state).await?;
    Export::new(&state, Whose::Contacts(Box::new(filter)), written).await?.answer(&state, "contacts").await
}

/// Which members are exported, and how they are written.
#[derive(Debug)]
pub(in crate::http) struct MemberExport {
    standing: Option<Standing>,
    written: Written,
}

impl FromQuery for MemberExport {
    const NAMES: &'static [&'static str] = &["standing", "format", "raw"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let shown = [Standing::Subscribed, Standing::Unconfirmed, Standing::Unsubscribed];
        Ok(Self { standing: params.choice("standing", &shown)?, written: Written::read(params)? })
    }
}

/// Exports the contacts that stand on a list as a file: subscribed, unconfirmed and unsubscribed ones, unless `standing` asks for some of them. As
/// the export of contacts, with how each stands on this list, since when, and where that comes from (`status`, `status_at`, `source`), and which list
/// this is (`status_list`: its slug). An import onto that list takes it back as it is.
#[utoipa::path(get, path = "/v1/lists/{id}/members/export", tag = "lists", operation_id = "export_members",
    params(("id" = String, Path), ("standing" = Option<Standing>, Query),
        ("format" = inline(Option<Format>), Query, description = "`csv` unless given."), ("raw" = Option<bool>, Query)),
    responses((status = 200, content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = "4XX", body = Problem)))]
pub(in crate::http) async fn members(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    Query(MemberExport { standing, written }): Query<MemberExport>,
) -> Result<HttpResponse, ApiError> {
    let find = move |conn: &mut Conn| topics::names(conn, &[id].into());
    let named = state.store.run(Lane::LookUp, "look a list up", find).await?;
    let name = named.get(&id).ok_or(ApiError::not_found("list", id.0))?.slug.clone().unwrap_or_else(|| id.to_string());
    let file = format!("list-{id}-members");
    Export::new(&state, Whose::Members(id, standing, name), written).await?.answer(&state, &file).await
}
