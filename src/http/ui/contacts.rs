//! `/ui/contacts`: the people that are known, newest first.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::asked::Asked;
use super::downloads::Downloads;
use super::frame::{Frame, Section, page};
use super::words::{When, grouped};
use crate::domain::people::standing::Standing;
use crate::http::api::people::contacts::{self, Contact, ContactFilter};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

/// A contact as a line.
pub(super) struct ContactLine {
    pub(super) id: i64,
    pub(super) address: String,
    pub(super) name: String,
    phone: String,
    external_id: String,
    tags: Vec<String>,
    created: When,
}

impl ContactLine {
    pub(super) fn of(contact: &Contact) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            id: contact.id.0,
            address: address(contact),
            name: name(contact),
            phone: text(&contact.phone),
            external_id: text(&contact.external_id),
            tags: contact.tags.clone(),
            created: When::of(contact.created_at),
        }
    }
}

/// The strongest thing that a contact goes by.
pub(super) fn address(contact: &Contact) -> String {
    let known = [&contact.email, &contact.phone, &contact.external_id];
    known.into_iter().find_map(Clone::clone).unwrap_or_else(|| format!("contact {}", contact.id))
}

/// Both names, as far as they are known.
pub(super) fn name(contact: &Contact) -> String {
    let names: Vec<&str> =
        [&contact.first_name, &contact.last_name].into_iter().filter_map(|name| name.as_deref()).collect();
    names.join(" ")
}

/// A value of a filter, what it says, and whether it is chosen.
type Choice = (&'static str, &'static str, bool);

#[derive(Template)]
#[template(path = "ui/contacts.html")]
struct ContactsPage {
    frame: Frame,
    total: String,
    contacts: Vec<ContactLine>,
    search: String,
    list: String,
    tag: String,
    standings: [Choice; 4],
    suppressed: [Choice; 3],
    is_filtered: bool,
    downloads: Downloads,
    first: Option<String>,
    next: Option<String>,
}

fn standings(chosen: &str) -> [Choice; 4] {
    let choice = |standing: Standing| (standing.as_str(), standing.as_str(), standing.as_str() == chosen);
    let nothing = ("", "as subscribed", chosen.is_empty());
    let [one, two, three] = [Standing::Subscribed, Standing::Unconfirmed, Standing::Unsubscribed].map(choice);
    [nothing, one, two, three]
}

fn suppressed(chosen: &str) -> [Choice; 3] {
    [("", "or not"), ("true", "suppressed"), ("false", "not suppressed")]
        .map(|(value, says)| (value, says, value == chosen))
}

/// Lists contacts.
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    frame: Frame,
    Query(asked): Query<Asked<ContactFilter>>,
) -> Result<HttpResponse, ApiError> {
    let (which, asked) = asked.split();
    let listed = contacts::listed(&state, which).await?;
    let ways = asked.ways("/ui/contacts", "/v1/contacts", listed.next_cursor.as_deref());
    let frame = frame.titled("Contacts").same_as(&ways.json, &ways.command);
    let shown = ContactsPage {
        frame: Frame { section: Some(Section::People), ..frame },
        total: grouped(listed.pagination.total_count),
        contacts: listed.data.iter().map(ContactLine::of).collect(),
        search: asked.text("search"),
        list: asked.text("list"),
        tag: asked.text("tag"),
        standings: standings(&asked.text("standing")),
        suppressed: suppressed(&asked.text("suppressed")),
        is_filtered: asked.has(&["search", "list", "standing", "tag", "suppressed"]),
        downloads: asked.downloads("/ui/contacts/export"),
        first: ways.first,
        next: ways.next,
    };
    page(StatusCode::OK, &shown)
}
