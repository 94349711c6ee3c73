//! `/v1/lists/{id}/subscribe` and `/unsubscribe`: consent, by any key of a contact.

use std::collections::HashMap;

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::selection::{Asked, Cursor, FilterInput};
use crate::domain::access::Scope;
use crate::domain::access::limit::Limit;
use crate::domain::ids::{ContactId, ListId};
use crate::domain::people::consent::said_source;
use crate::domain::people::contact::{BuiltIn, ContactDraft};
use crate::domain::people::standing::{Grounds, Standing};
use crate::http::access::{Charge, require_for};
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Query};
use crate::http::web::list_path::ListPath;
use crate::http::web::problem::{ApiError, FieldProblem, Problem};
use crate::http::web::text;
use crate::services::By;
use crate::services::people::subscribe_members::{
    How, Members, Stand, subscribe_members, subscribe_selected, unsubscribe_members, unsubscribe_selected,
};

/// Most contacts per request.
const MAX_MEMBERS: usize = 10_000;

/// Longest reason, in characters.
const MAX_REASON: usize = 500;

/// A contact, by one or more of its keys.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct MemberKeys {
    contact_id: Option<ContactId>,
    external_id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
}

/// Who is subscribed, and on what grounds: one contact by its keys, or several as `members`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SubscribeInput {
    contact_id: Option<ContactId>,
    external_id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// Several contacts, in place of one: 1 to 10,000.
    members: Option<Vec<MemberKeys>>,
    /// Contacts by what is known of them, in place of naming them.
    filter: Option<FilterInput>,
    /// With a filter: `next_cursor` of the answer before.
    cursor: Option<String>,
    /// With a filter: how many contacts at most, 1 to 10,000. Unless given, 10,000.
    limit: Option<usize>,
    /// Where the consent comes from, for the log: at most 100 characters.
    source: Option<String>,
    /// The person has confirmed it to the caller: a list with double opt-in does not ask again.
    #[serde(default)]
    confirmed: bool,
    /// Subscribes contacts that have refused, too. Needs a `reason`, and a key of scope `operate`.
    #[serde(default)]
    resubscribe: bool,
    /// Why contacts that have refused are subscribed again: at most 500 characters.
    reason: Option<String>,
}

/// Who is unsubscribed: one contact by its keys, or several as `members`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UnsubscribeInput {
    contact_id: Option<ContactId>,
    external_id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// Several contacts, in place of one: 1 to 10,000.
    members: Option<Vec<MemberKeys>>,
    /// Contacts by what is known of them, in place of naming them.
    filter: Option<FilterInput>,
    /// With a filter: `next_cursor` of the answer before.
    cursor: Option<String>,
    /// With a filter: how many contacts at most, 1 to 10,000. Unless given, 10,000.
    limit: Option<usize>,
    /// Where the refusal comes from, for the log: at most 100 characters.
    source: Option<String>,
}

/// What became of contacts on a list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StandingsChanged {
    list_id: ListId,
    /// Subscribed now, and not before.
    subscribed: usize,
    /// Noted until they confirm.
    unconfirmed: usize,
    /// Unsubscribed now, and not before.
    unsubscribed: usize,
    /// As before.
    unchanged: usize,
    /// Have refused, and stay unsubscribed.
    stay_refused: usize,
    /// Addresses that no contact has: they are refused as such.
    addresses: usize,
    /// Each contact, and how it stands now. By a filter: only those that are unconfirmed now.
    contacts: Vec<ContactStanding>,
    /// By a filter: give it as `cursor` to go on, until it is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Option<Cursor>>,
}

/// How a contact stands on a list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ContactStanding {
    contact_id: ContactId,
    standing: Option<Standing>,
    /// Of an unconfirmed contact: where the person confirms it, for your own message. Valid for seven days.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm_url: Option<String>,
}

impl StandingsChanged {
    fn of(list_id: ListId, stand: Stand, mut confirm_urls: HashMap<ContactId, String>) -> Self {
        let Stand { tally, contacts, addresses } = stand;
        Self {
            list_id,
            subscribed: tally.subscribed,
            unconfirmed: tally.unconfirmed,
            unsubscribed: tally.unsubscribed,
            unchanged: tally.unchanged,
            stay_refused: tally.stay_refused,
            addresses,
            contacts: contacts
                .into_iter()
                .map(|(contact_id, standing)| ContactStanding {
                    contact_id,
                    standing,
                    confirm_url: confirm_urls.remove(&contact_id),
                })
                .collect(),
            next_cursor: None,
        }
    }
}

/// Reads who is meant, and gathers everything that is wrong with it.
fn read_members(single: MemberKeys, several: Option<Vec<MemberKeys>>) -> Result<Members, ApiError> {
    let (is_single, given) = match several {
        None => (true, vec![single]),
        Some(_) if !single.is_empty() => {
            let reason = "give one contact by its keys, or several as members: not both";
            return Err(ApiError::field("/members", "members_ambiguous", reason));
        }
        Some(several) if several.is_empty() || several.len() > MAX_MEMBERS => {
            return Err(ApiError::field("/members", "out_of_range", format!("give 1 to {MAX_MEMBERS} contacts")));
        }
        Some(several) => (false, several),
    };
    let (mut members, mut errors) = (Members::default(), Vec::new());
    for (index, keys) in given.into_iter().enumerate() {
        let at = if is_single { String::new() } else { format!("/members/{index}") };
        match keys.read(&at, &mut errors) {
            Some(Member::Id(id)) => members.ids.push(id),
            Some(Member::Keys(draft)) => members.keys.push(draft),
            None => {}
        }
    }
    if errors.is_empty() { Ok(members) } else { Err(ApiError::Invalid(errors)) }
}

enum Member {
    Id(ContactId),
    Keys(ContactDraft),
}

impl MemberKeys {
    const fn is_empty(&self) -> bool {
        self.contact_id.is_none() && self.external_id.is_none() && self.email.is_none() && self.phone.is_none()
    }

    fn read(&self, at: &str, errors: &mut Vec<FieldProblem>) -> Option<Member> {
        let keys =
            [(BuiltIn::ExternalId, &self.external_id), (BuiltIn::Email, &self.email), (BuiltIn::Phone, &self.phone)];
        if let Some(id) = self.contact_id {
            if keys.iter().any(|(_, value)| value.is_some()) {
                let reason = "give the id or other keys, not both";
                errors.push(FieldProblem::new(format!("{at}/contact_id"), "members_ambiguous", reason));
                return None;
            }
            return Some(Member::Id(id));
        }
        let mut draft = ContactDraft::default();
        let before = errors.len();
        for (field, value) in keys {
            if let Some(Err(error)) = value.as_deref().map(|raw| draft.set(field, raw)) {
                errors.push(FieldProblem::new(format!("{at}/{}", field.as_str()), error.code, error.reason));
            }
        }
        if errors.len() > before {
            return None;
        }
        match draft.check_key() {
            Ok(()) => Some(Member::Keys(draft)),
            Err(error) => {
                errors.push(FieldProblem::new(at, error.code, error.reason));
                None
            }
        }
    }
}

fn read_source(source: Option<&str>) -> Result<Option<String>, ApiError> {
    let read = source.map(said_source).transpose();
    read.map(Option::flatten).map_err(|error| ApiError::field("/source", error.code, error.reason))
}

impl SubscribeInput {
    fn asked(&mut self) -> Asked {
        let names_contacts = self.members.is_some() || !self.single().is_empty();
        Asked { filter: self.filter.take(), cursor: self.cursor.take(), limit: self.limit, names_contacts }
    }

    fn single(&self) -> MemberKeys {
        MemberKeys {
            contact_id: self.contact_id,
            external_id: self.external_id.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
        }
    }

    fn how(&self) -> Result<How, ApiError> {
        let source = read_source(self.source.as_deref())?;
        let reason = self.reason.as_deref().map(|reason| text::name("/reason", reason, MAX_REASON)).transpose()?;
        let grounds = match (self.resubscribe, self.confirmed) {
            (true, _) if reason.is_none() => {
                let why = "say why contacts that have refused are subscribed again";
                return Err(ApiError::field("/reason", "required", why));
            }
            (true, _) => Grounds::Overridden,
            (false, true) => Grounds::Confirmed,
            (false, false) => Grounds::Claimed,
        };
        Ok(How { grounds, source, reason })
    }
}

impl UnsubscribeInput {
    fn asked(&mut self) -> Asked {
        let names_contacts = self.members.is_some() || !self.single().is_empty();
        Asked { filter: self.filter.take(), cursor: self.cursor.take(), limit: self.limit, names_contacts }
    }

    fn single(&self) -> MemberKeys {
        MemberKeys {
            contact_id: self.contact_id,
            external_id: self.external_id.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
        }
    }
}

/// Subscribes contacts to a list, by any of their keys; a key that no contact has makes one. Contacts that have refused stay
/// unsubscribed, unless `resubscribe` is given with a `reason`, which needs a key of scope `operate`. On a list with double opt-in,
/// contacts are `unconfirmed` until they confirm, each at its `confirm_url`. In place of naming contacts, a `filter` takes up to 10,000
/// at a time; with the `next_cursor` of the answer, the same request goes on.
#[utoipa::path(post, path = "/v1/lists/{id}/subscribe", tag = "lists", params(("id" = String, Path)),
    request_body = SubscribeInput, responses((status = 200, body = StandingsChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn subscribe(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    _: Query<()>,
    charge: Charge,
    by: By,
    Json(mut body): Json<SubscribeInput>,
) -> Result<web::Json<StandingsChanged>, ApiError> {
    if body.resubscribe {
        require_for(&by, Scope::Operate, "/resubscribe")?;
    }
    let how = body.how()?;
    let (stand, next_cursor) = match body.asked().read(&state, &by).await? {
        Some(mut selection) => {
            let stand = subscribe_selected(&state.services, id, &mut selection, &how, &by).await?;
            (stand, Some(Cursor::of(&selection)))
        }
        None => {
            let members = read_members(body.single(), body.members)?;
            charge.rest(Limit::Ingest, members.ids.len() + members.keys.len())?;
            (subscribe_members(&state.services, id, members, how, &by).await?, None)
        }
    };
    let unconfirmed = stand.contacts.iter().filter(|(_, standing)| *standing == Some(Standing::Unconfirmed));
    let unconfirmed = unconfirmed.map(|(contact, _)| *contact).collect();
    let confirm_urls = state.services.links.confirm_urls(id, unconfirmed).await?;
    Ok(web::Json(StandingsChanged { next_cursor, ..StandingsChanged::of(id, stand, confirm_urls) }))
}

/// Unsubscribes contacts from a list, by any of their keys. A key that no contact has is refused as an address: who has it later is
/// unsubscribed. In place of naming contacts, a `filter` takes up to 10,000 at a time; with the `next_cursor` of the answer, the same
/// request goes on.
#[utoipa::path(post, path = "/v1/lists/{id}/unsubscribe", tag = "lists", params(("id" = String, Path)),
    request_body = UnsubscribeInput,
    responses((status = 200, body = StandingsChanged), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn unsubscribe(
    state: web::Data<AppState>,
    ListPath(id): ListPath,
    _: Query<()>,
    charge: Charge,
    by: By,
    Json(mut body): Json<UnsubscribeInput>,
) -> Result<web::Json<StandingsChanged>, ApiError> {
    let source = read_source(body.source.as_deref())?;
    let (stand, next_cursor) = match body.asked().read(&state, &by).await? {
        Some(mut selection) => {
            let stand = unsubscribe_selected(&state.services, id, &mut selection, source, &by).await?;
            (stand, Some(Cursor::of(&selection)))
        }
        None => {
            let members = read_members(body.single(), body.members)?;
            charge.rest(Limit::Ingest, members.ids.len() + members.keys.len())?;
            (unsubscribe_members(&state.services, id, members, source, &by).await?, None)
        }
    };
    Ok(web::Json(StandingsChanged { next_cursor, ..StandingsChanged::of(id, stand, HashMap::new()) }))
}
