//! `/ui/contacts/{id}`: one contact: what is known of it, what it agreed to, why it may get nothing, and what was sent to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::contacts::{address, name};
use super::frame::{Frame, Section, page};
use super::suppressed::{self, SuppressionView};
use super::words::{When, begun, counted, curl};
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::standing::Standing;
use crate::http::api::campaigns::of_contact::{self as sent, ContactDeliveries, ContactDelivery, WhichPart};
use crate::http::api::people::consent::{self, ConsentChange, ConsentChanges, ConsentFilter};
use crate::http::api::people::contacts::{self, Contact};
use crate::http::api::people::lists;
use crate::http::api::people::of_contact::{self, ListOfContact, SuppressionsOfContact};
use crate::http::api::segments::{self, members};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query};
use crate::http::web::problem::ApiError;

/// Changes of consent that are shown at once.
const CHANGES: i64 = 50;

/// Which parts of the page's lists.
pub(in crate::http) struct Parts {
    messages: WhichPart,
    /// Changes of consent behind this one.
    changes_after: i64,
    is_first: bool,
}

impl FromQuery for Parts {
    const NAMES: &'static [&'static str] = &["cursor", "page_size", "changes_after"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self {
            messages: WhichPart::from_params(params)?,
            changes_after: params.integer("changes_after", 0..=i64::MAX)?.unwrap_or_default(),
            is_first: params.text("cursor").is_none(),
        })
    }
}

/// A list that the contact has a standing on.
struct ListLine {
    id: i64,
    name: String,
    standing: Standing,
    since: Option<When>,
    source: String,
}

impl From<ListOfContact> for ListLine {
    fn from(found: ListOfContact) -> Self {
        Self {
            id: found.list_id.0,
            name: found.name,
            standing: found.standing,
            since: found.since.map(When::of),
            source: found.source.as_deref().map(suppressed::source).unwrap_or_default(),
        }
    }
}

/// A change of consent.
struct ChangeLine {
    at: When,
    /// What it is about.
    what: String,
    before: String,
    after: String,
    source: String,
    note: String,
    campaign: Option<i64>,
}

impl ChangeLine {
    fn of(change: ConsentChange, names: &HashMap<ListId, String>) -> Self {
        let list = change.list_id.map(|id| names.get(&id).cloned().unwrap_or_else(|| format!("list {id}")));
        let channel = change.channel.map(|channel| format!(" by {channel}")).unwrap_or_default();
        let word = |text: Option<String>| text.map_or_else(|| "–".to_owned(), |text| text.replace('_', " "));
        Self {
            at: When::of(change.at),
            what: format!("{}{channel}", list.unwrap_or_else(|| "everything".to_owned())),
            before: word(change.before),
            after: word(change.after),
            source: suppressed::source(&change.source),
            note: change.note.unwrap_or_default(),
            campaign: change.campaign_id.map(|id| id.0),
        }
    }
}

/// What one campaign sent to the contact.
struct MessageLine {
    campaign: i64,
    name: String,
    channel: String,
    launched: Option<When>,
    state: &'static str,
    attempts: i32,
    category: String,
    reason: String,
    at: Option<When>,
}

impl From<ContactDelivery> for MessageLine {
    fn from(found: ContactDelivery) -> Self {
        Self {
            campaign: found.campaign_id.0,
            name: found.campaign,
            channel: found.channel.to_string(),
            launched: found.launched_at.map(When::of),
            state: found.status.as_str(),
            attempts: found.attempts,
            category: found.error_category.map(|kind| kind.as_str().replace('_', " ")).unwrap_or_default(),
            reason: found.error.unwrap_or_default(),
            at: found.settled_at.or(found.claimed_at).map(When::of),
        }
    }
}

/// What is known of a contact, in words.
fn facts(contact: &Contact) -> Vec<(String, String)> {
    let built_in =
        contact.fields().filter_map(|(field, value)| Some((field.as_str().replace('_', " "), value?.to_owned())));
    built_in.chain([("version".to_owned(), contact.version.to_string())]).collect()
}

/// The attributes, each with its value as it is written.
fn attributes(contact: &Contact) -> Vec<(String, String)> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    contact.attributes.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

/// Whether messages reach the contact, in a sentence, and whether something holds them back.
fn sentence(found: &SuppressionsOfContact, lists: &[ListOfContact]) -> (String, bool) {
    let mut channels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in found.data.iter().filter(|one| one.list_id.is_none()) {
        for reason in suppressed::holding(one, found.at) {
            channels.entry(suppressed::says(reason)).or_default().insert(one.channel.as_str());
        }
    }
    let by = |(why, channels): (&str, BTreeSet<&str>)| {
        format!("by {}: {why}", channels.into_iter().collect::<Vec<_>>().join(" and "))
    };
    let domain = found.blocked_domain.as_ref().map(|one| format!("by email: the domain {} is blocked", one.domain));
    let held: Vec<String> = channels.into_iter().map(by).chain(domain).collect();
    if !held.is_empty() {
        return (format!("Gets nothing {}.", held.join("; ")), true);
    }
    let refused = lists.iter().filter(|list| list.standing == Standing::Unsubscribed).count();
    let said = match i64::try_from(refused).unwrap_or(i64::MAX) {
        0 => "nothing holds messages back from this contact.".to_owned(),
        count => format!("nothing holds messages back but what it refused: {}.", counted(count, "list", "lists")),
    };
    (begun(&said), false)
}

#[derive(Template)]
#[template(path = "ui/contact.html")]
struct ContactPage {
    frame: Frame,
    id: i64,
    name: String,
    address: String,
    tags: Vec<String>,
    sentence: String,
    is_held: bool,
    facts: Vec<(String, String)>,
    created: When,
    updated: When,
    introduced: Option<When>,
    attributes: Vec<(String, String)>,
    lists: Vec<ListLine>,
    /// The segments that it is a member of: id, name, since when.
    segments: Vec<(i64, String, When)>,
    suppressions: Vec<SuppressionView>,
    blocked_domain: Option<(String, When)>,
    changes: Vec<ChangeLine>,
    /// The page with later changes, and with the first ones.
    later_changes: Option<String>,
    first_changes: Option<String>,
    messages: Vec<MessageLine>,
    /// How many campaigns were looked at.
    looked_at: String,
    /// Campaigns among them whose deliveries were archived.
    archived: Vec<i64>,
    older: Option<String>,
    newest: Option<String>,
}

/// All that is known of a contact.
struct Known {
    contact: Contact,
    lists: Vec<ListOfContact>,
    suppressions: SuppressionsOfContact,
    changes: ConsentChanges,
    messages: ContactDeliveries,
    segments: Vec<(i64, String, When)>,
    /// What the lists are called.
    names: HashMap<ListId, String>,
}

/// The segments that a contact is a member of: id, name, since when.
async fn segments_of(state: &AppState, id: ContactId) -> Result<Vec<(i64, String, When)>, ApiError> {
    let found = members::listed_of_contact(state, id).await?;
    let names = segments::names(state, found.data.iter().map(|one| one.segment_id).collect()).await?;
    let line = |one: &members::SegmentOfContact| {
        Some((one.segment_id.0, names.get(&one.segment_id)?.clone(), When::of(one.entered_at)))
    };
    Ok(found.data.iter().filter_map(line).collect())
}

impl Known {
    async fn of(state: &AppState, id: ContactId, parts: &Parts) -> Result<Self, ApiError> {
        let contact = contacts::one(state, id).await?;
        let lists = of_contact::lists_of(state, id).await?.data;
        let suppressions = of_contact::suppressions_of(state, id).await?;
        let asked = ConsentFilter { after: parts.changes_after, contact: Some(id), limit: CHANGES };
        let changes = consent::listed(state, asked).await?;
        let messages = sent::listed(state, id, parts.messages).await?;
        let named = suppressions.data.iter().filter_map(|one| one.list_id);
        let named: BTreeSet<ListId> = named.chain(changes.data.iter().filter_map(|change| change.list_id)).collect();
        let names = lists::names(state, named).await?;
        let segments = segments_of(state, id).await?;
        Ok(Self { contact, lists, suppressions, changes, messages, segments, names })
    }
}

impl ContactPage {
    fn of(frame: Frame, known: Known, parts: &Parts) -> Self {
        let Known { contact, lists, suppressions, changes, messages, segments, names } = known;
        let base = format!("/ui/contacts/{}", contact.id);
        let (sentence, is_held) = sentence(&suppressions, &lists);
        let is_full = i64::try_from(changes.data.len()).is_ok_and(|count| count >= CHANGES);
        let looked_at = i64::try_from(messages.campaigns_looked_at).unwrap_or(i64::MAX);
        let view = |one| SuppressionView::of(one, &names, Some(suppressions.at));
        Self {
            frame,
            id: contact.id.0,
            name: name(&contact),
            address: address(&contact),
            sentence,
            is_held,
            facts: facts(&contact),
            attributes: attributes(&contact),
            created: When::of(contact.created_at),
            updated: When::of(contact.updated_at),
            introduced: contact.introduced_at.map(When::of),
            tags: contact.tags,
            suppressions: suppressions.data.iter().map(view).collect(),
            blocked_domain: suppressions.blocked_domain.map(|one| (one.domain, When::of(one.blocked_at))),
            lists: lists.into_iter().map(ListLine::from).collect(),
            segments,
            later_changes: is_full.then(|| format!("{base}?changes_after={}#consent", changes.next)),
            first_changes: (parts.changes_after > 0).then(|| format!("{base}#consent")),
            changes: changes.data.into_iter().map(|change| ChangeLine::of(change, &names)).collect(),
            looked_at: counted(looked_at, "campaign", "campaigns"),
            archived: messages.archived_campaign_ids.iter().map(|id| id.0).collect(),
            older: messages.next_cursor.map(|cursor| format!("{base}?cursor={cursor}#messages")),
            newest: (!parts.is_first).then(|| format!("{base}#messages")),
            messages: messages.data.into_iter().map(MessageLine::from).collect(),
        }
    }
}

/// Shows a contact.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<ContactId>,
    Query(parts): Query<Parts>,
) -> Result<HttpResponse, ApiError> {
    let known = Known::of(&state, id, &parts).await?;
    let path = format!("/v1/contacts/{id}");
    let json =
        format!("GET {path}, {path}/lists, /segments, /suppressions, /deliveries and /v1/consent?contact_id={id}");
    let frame = frame.titled(&address(&known.contact)).same_as(&json, &curl("GET", &path, None));
    let up = Some("/ui/contacts".to_owned());
    let frame = Frame { section: Some(Section::People), up, ..frame };
    page(StatusCode::OK, &ContactPage::of(frame, known, &parts))
}
