//! `/v1/contacts`: people.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::drafts::DraftReader;
use super::refusals::no_key;
use super::selection::MAX_SEARCH;
use crate::domain::access::Scope;
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{Attributes, BuiltIn, ContactDraft, Fields};
use crate::domain::people::fields::built_in_fields;
use crate::domain::people::spelling::composed;
use crate::domain::people::standing::Standing;
use crate::domain::people::tag;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Json, Params, Query, bad_parameter, present};
use crate::http::web::list_path;
use crate::http::web::paging::{Listing, Paging};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::people::change_contact::change_contact;
use crate::services::people::delete_contact::delete_contact;
use crate::services::people::upsert_contact::{Stored, upsert_contact};
use crate::store::engine::listing::Slice;
use crate::store::people::contact_row::ContactRow;
use crate::store::people::contacts::{self, ContactChange};
use crate::store::people::lists::ListKey;
use crate::store::people::{contact_filter, tags};
use crate::store::{Conn, Lane, StoreError};

/// What requests and answers say of a contact, with its built-in fields as fields of their own: a struct that takes them in
/// (`flatten`) would refuse no unknown field, and would not name a field of a wrong type.
macro_rules! bodies {
    ($($(#[$doc:meta])* $variant:ident = $name:ident,)+) => {
        /// A contact.
        #[derive(Serialize, ToSchema)]
        pub(in crate::http) struct Contact {
            pub(in crate::http) id: ContactId,
            $($(#[$doc])* pub(in crate::http) $name: Option<String>,)+
            #[schema(value_type = Object)]
            pub(in crate::http) attributes: Attributes,
            /// In lower case, by name.
            pub(in crate::http) tags: Vec<String>,
            /// When an import, this API or the person's own act introduced it. `null`: known by other means only, or before this was
            /// kept.
            pub(in crate::http) introduced_at: Option<UtcInstant>,
            /// Rises with every change.
            pub(in crate::http) version: i64,
            pub(in crate::http) created_at: UtcInstant,
            pub(in crate::http) updated_at: UtcInstant,
            /// In the answer that creates it: keys that it did not get, because they belong to a contact with another stronger key.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub(in crate::http) ignored_keys: Vec<&'static str>,
        }

        impl Contact {
            /// The built-in fields, in their order.
            pub(in crate::http) fn fields(&self) -> impl Iterator<Item = (BuiltIn, Option<&str>)> {
                [$((BuiltIn::$variant, self.$name.as_deref())),+].into_iter()
            }
        }

        impl TryFrom<ContactRow> for Contact {
            type Error = StoreError;

            fn try_from(row: ContactRow) -> Result<Self, StoreError> {
                Ok(Self {
                    attributes: row.attributes()?,
                    tags: Vec::new(),
                    introduced_at: row.introduced_at.filter(|at| at.0 > 0),
                    id: row.id,
                    $($name: row.fields.$name,)+
                    version: row.version,
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                    ignored_keys: Vec::new(),
                })
            }
        }

        /// A contact to create or update. At least one of `external_id`, `email` and `phone` is needed.
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(in crate::http) struct ContactInput {
            $($(#[$doc])* $name: Option<String>,)+
            /// Merged into those that are there; `null` removes one.
            #[schema(value_type = Option<Object>)]
            attributes: Option<Map<String, Value>>,
            /// The person has confirmed the address: lists with double opt-in do not ask again.
            #[serde(default)]
            confirmed: bool,
        }

        impl ContactInput {
            fn fields(&self) -> impl Iterator<Item = (BuiltIn, &Option<String>)> {
                [$((BuiltIn::$variant, &self.$name)),+].into_iter()
            }
        }

        /// What is to change: absent stays, `null` clears.
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(in crate::http) struct ContactPatch {
            $(
                #[serde(default, deserialize_with = "present")]
                #[schema(value_type = Option<String>)]
                $name: Option<Option<String>>,
            )+
            /// Merged into those that are there; `null` removes one, `null` for the whole removes all.
            #[serde(default, deserialize_with = "present")]
            #[schema(value_type = Option<Object>)]
            attributes: Option<Option<Map<String, Value>>>,
            /// The person has confirmed the new address: lists with double opt-in do not ask again.
            #[serde(default)]
            confirmed: bool,
        }

        impl ContactPatch {
            fn fields(&self) -> impl Iterator<Item = (BuiltIn, &Option<Option<String>>)> {
                [$((BuiltIn::$variant, &self.$name)),+].into_iter()
            }
        }
    };
}
built_in_fields!(bodies);

/// A contact that was stored, to a key that may not read it.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ContactStored {
    id: ContactId,
    /// Rises with every change.
    version: i64,
    /// Keys that it did not get, because they belong to a contact with another stronger key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored_keys: Vec<&'static str>,
}

/// What a write answers: the contact, to a key with `read`; else its id.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum ContactAnswer {
    /// With everything that is known of it.
    Whole(Box<Contact>),
    /// To a key without `read`.
    Stored(ContactStored),
}

impl Contact {
    /// A contact with its tags.
    fn read(conn: &mut Conn, row: ContactRow) -> Result<Self, StoreError> {
        let id = row.id;
        let mut tags = tags::of_contacts(conn, &[id])?;
        Ok(Self { tags: tags.remove(&id).unwrap_or_default(), ..Self::try_from(row)? })
    }
}

/// A contact that was there, as far as `by` may see it.
async fn shown_to(by: &By, state: &AppState, row: ContactRow) -> Result<ContactAnswer, ApiError> {
    if !by.rights.scope.includes(Scope::Read) {
        return Ok(ContactAnswer::Stored(ContactStored { id: row.id, version: row.version, ignored_keys: Vec::new() }));
    }
    let read = move |conn: &mut Conn| Contact::read(conn, row);
    let contact = state.store.run(Lane::Read, "read the tags of a contact", read).await?;
    Ok(ContactAnswer::Whole(Box::new(contact)))
}

/// A new contact, as far as `by` may see it. It has no tags.
fn made_by(by: &By, row: ContactRow, ignored: &[BuiltIn]) -> Result<ContactAnswer, ApiError> {
    let ignored_keys = ignored.iter().map(|key| key.as_str()).collect();
    Ok(if by.rights.scope.includes(Scope::Read) {
        ContactAnswer::Whole(Box::new(Contact { ignored_keys, ..Contact::try_from(row)? }))
    } else {
        ContactAnswer::Stored(ContactStored { id: row.id, version: row.version, ignored_keys })
    })
}

/// Contacts with their tags.
pub(super) fn tagged(conn: &mut Conn, slice: Slice<ContactRow>) -> Result<Slice<Contact>, StoreError> {
    let ids: Vec<ContactId> = slice.rows.iter().map(|row| row.id).collect();
    let mut tags = tags::of_contacts(conn, &ids)?;
    slice.try_map(|row| {
        let tags = tags.remove(&row.id).unwrap_or_default();
        Ok(Contact { tags, ..Contact::try_from(row)? })
    })
}

impl ContactInput {
    fn draft(self) -> Result<ContactDraft, ApiError> {
        let mut reading = DraftReader::default();
        for (field, raw) in self.fields() {
            reading.field(field, raw.as_deref());
        }
        reading.attributes(self.attributes);
        let draft = reading.finish()?;
        draft.check_key().map_err(no_key)?;
        Ok(draft)
    }
}

impl ContactPatch {
    fn change(self) -> Result<ContactChange, ApiError> {
        let mut reading = DraftReader::default();
        let mut clear = Vec::new();
        for (field, patch) in self.fields() {
            let Some(raw) = patch else { continue };
            reading.field(field, raw.as_deref());
            // Blank text is no value either.
            if reading.draft.fields.get(field).is_none() {
                clear.push(field);
            }
        }
        let clear_attributes = matches!(self.attributes, Some(None));
        reading.attributes(self.attributes.flatten());
        Ok(ContactChange { set: reading.finish()?, clear, clear_attributes, is_confirmed: self.confirmed })
    }
}

/// Creates a contact, or updates the one that `external_id`, else `email`, else `phone` means. Keys of several contacts are refused. A contact
/// that only a weaker key finds, while its stronger key has another value, is not the one meant: a new one is made without that key, which
/// `ignored_keys` names. A key without `read` is told the id, and nothing else that is known of the contact.
#[utoipa::path(post, path = "/v1/contacts", tag = "contacts", request_body = ContactInput, responses(
    (status = 201, description = "Created", body = ContactAnswer),
    (status = 200, description = "Updated", body = ContactAnswer),
    (status = "4XX", body = Problem)))]
pub(in crate::http) async fn upsert(
    state: web::Data<AppState>,
    _: Query<()>,
    by: By,
    Json(body): Json<ContactInput>,
) -> Result<HttpResponse, ApiError> {
    let is_confirmed = body.confirmed;
    match upsert_contact(&state.services, body.draft()?, is_confirmed, &by).await? {
        Stored::Created(row, ignored) => Ok(HttpResponse::Created()
            .insert_header(("Location", format!("/v1/contacts/{}", row.id)))
            .json(made_by(&by, row, &ignored)?)),
        Stored::Updated(row) => Ok(HttpResponse::Ok().json(shown_to(&by, &state, row).await?)),
    }
}

/// Which contacts are listed.
#[derive(Debug)]
pub(in crate::http) struct ContactFilter {
    paging: Paging,
    which: Which,
}

/// What contacts are to meet, all of it.
#[derive(Debug)]
pub(super) struct Which {
    filter: contact_filter::ContactFilter,
    list: Option<ListKey>,
    standing: Standing,
}

impl Which {
    pub(super) const NAMES: [&'static str; 8] =
        ["search", "email", "phone", "external_id", "list", "standing", "tag", "suppressed"];

    /// Reads the parameters that select contacts.
    pub(super) fn read(params: &Params) -> Result<Self, ApiError> {
        let search = params.text("search").map(str::trim).filter(|search| !search.is_empty());
        if search.is_some_and(|search| search.chars().count() > MAX_SEARCH) {
            let reason = format!("at most {MAX_SEARCH} characters");
            return Err(bad_parameter("search", "too_long", reason));
        }
        let parse = |text: &str| list_path::parse(text).map_err(|why| bad_parameter("list", "id_malformed", why));
        let list = params.text("list").map(parse).transpose()?;
        let shown = [Standing::Subscribed, Standing::Unconfirmed, Standing::Unsubscribed];
        let standing = params.choice("standing", &shown)?;
        if standing.is_some() && list.is_none() {
            return Err(bad_parameter("standing", "required", "needs a list".to_owned()));
        }
        let tag = params.text("tag").map(tag::parse).transpose();
        let tag = tag.map_err(|error| bad_parameter("tag", "tag_invalid", error.reason))?;
        let suppressed = params.choice("suppressed", &["true", "false"])?.map(|text| text == "true");
        let search = search.map(|search| composed(search).into_owned());
        let filter = contact_filter::ContactFilter { search, tag, suppressed, standing: None, keys: keys(params)? };
        Ok(Self { filter, list, standing: standing.unwrap_or(Standing::Subscribed) })
    }

    /// The same with the list that is named.
    pub(super) async fn resolved(self, state: &AppState) -> Result<contact_filter::ContactFilter, ApiError> {
        let Self { mut filter, list, standing } = self;
        if let Some(key) = list {
            filter.standing = Some((list_path::resolve(state, key).await?, standing));
        }
        Ok(filter)
    }
}

/// The keys that contacts are to have exactly.
fn keys(params: &Params) -> Result<Fields, ApiError> {
    let mut keys = Fields::default();
    for field in [BuiltIn::Email, BuiltIn::Phone, BuiltIn::ExternalId] {
        let Some(text) = params.text(field.as_str()) else { continue };
        let parsed = field.parse(text).map_err(|error| bad_parameter(field.as_str(), "invalid", error.reason))?;
        let missing = || bad_parameter(field.as_str(), "required", "give a value, or leave it out".to_owned());
        *keys.get_mut(field) = Some(parsed.ok_or_else(missing)?);
    }
    Ok(keys)
}

/// The living contact that a text names: an id, an email address, a phone number (`+…`), else an external id. An id is not looked up.
pub(in crate::http) async fn named(state: &AppState, text: &str) -> Result<Option<ContactId>, ApiError> {
    let text = text.trim();
    if let Some(id) = text.parse().ok().filter(|id: &i64| *id > 0 && !text.starts_with('+')) {
        return Ok(Some(ContactId(id)));
    }
    let field = match text {
        _ if text.contains('@') => BuiltIn::Email,
        _ if text.starts_with('+') => BuiltIn::Phone,
        _ => BuiltIn::ExternalId,
    };
    let Ok(Some(value)) = field.parse(text) else { return Ok(None) };
    let mut filter = contact_filter::ContactFilter::default();
    *filter.keys.get_mut(field) = Some(value);
    let everybody = (ContactId(0), ContactId(i64::MAX));
    let find = move |conn: &mut Conn| contact_filter::ids(conn, &filter, everybody, 1);
    Ok(state.store.run(Lane::Read, "find a contact by a key", find).await?.pop())
}

impl FromQuery for ContactFilter {
    const NAMES: &'static [&'static str] = &[
        "page",
        "page_size",
        "anchor",
        "cursor",
        "search",
        "email",
        "phone",
        "external_id",
        "list",
        "standing",
        "tag",
        "suppressed",
    ];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { paging: Paging::read(params, "contacts", &Which::NAMES)?, which: Which::read(params)? })
    }
}

/// Lists contacts, newest first. `search` finds text within email, phone, external id and names; `email`, `phone` and `external_id` take
/// the one contact that has exactly this key. `list` takes those that are subscribed
/// to a list, or stand on it as `standing` says. `suppressed` goes by refusals of everything, complaints, bounces and blocks.
#[utoipa::path(get, path = "/v1/contacts", tag = "contacts",
    params(("search" = Option<String>, Query), ("email" = Option<String>, Query), ("phone" = Option<String>, Query),
        ("external_id" = Option<String>, Query), ("list" = Option<String>, Query),
        ("standing" = Option<Standing>, Query), ("tag" = Option<String>, Query),
        ("suppressed" = Option<bool>, Query), crate::http::web::paging::ListParams),
    responses((status = 200, body = Listing<Contact>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<ContactFilter>,
) -> Result<web::Json<Listing<Contact>>, ApiError> {
    listed(&state, filter).await.map(web::Json)
}

/// A part of the contacts.
pub(in crate::http) async fn listed(state: &AppState, filter: ContactFilter) -> Result<Listing<Contact>, ApiError> {
    let ContactFilter { paging, which } = filter;
    let filter = which.resolved(state).await?;
    let window = paging.window();
    let slice = state
        .store
        .run(Lane::Read, "list contacts", move |conn| {
            let slice = contact_filter::list(conn, &filter, window)?;
            tagged(conn, slice)
        })
        .await?;
    Ok(paging.answer(slice, |contact| contact.id.0))
}

/// Shows a contact.
#[utoipa::path(get, path = "/v1/contacts/{id}", tag = "contacts", params(("id" = i64, Path)),
    responses((status = 200, body = Contact), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<ContactId>,
    _: Query<()>,
) -> Result<web::Json<Contact>, ApiError> {
    one(&state, id).await.map(web::Json)
}

/// A contact with its tags.
pub(in crate::http) async fn one(state: &AppState, id: ContactId) -> Result<Contact, ApiError> {
    let read = move |conn: &mut Conn| contacts::find(conn, id)?.map(|row| Contact::read(conn, row)).transpose();
    let found = state.store.run(Lane::Read, "read a contact", read).await?;
    found.ok_or(ApiError::not_found("contact", id.0))
}

/// Those of these contacts that are there, without their tags.
pub(in crate::http) async fn these(state: &AppState, ids: Vec<ContactId>) -> Result<Vec<Contact>, ApiError> {
    let read = move |conn: &mut Conn| contacts::these(conn, &ids);
    let rows = state.store.run(Lane::Read, "read contacts", read).await?;
    Ok(rows.into_iter().map(Contact::try_from).collect::<Result<_, StoreError>>()?)
}

/// Changes a contact: absent stays, `null` clears. A key without `read` is told its id, and nothing else that is known of it.
#[utoipa::path(patch, path = "/v1/contacts/{id}", tag = "contacts", params(("id" = i64, Path)),
    request_body = ContactPatch, responses((status = 200, body = ContactAnswer), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn change(
    state: web::Data<AppState>,
    Id(id): Id<ContactId>,
    _: Query<()>,
    by: By,
    Json(body): Json<ContactPatch>,
) -> Result<web::Json<ContactAnswer>, ApiError> {
    let row = change_contact(&state.services, id, body.change()?, &by).await?;
    shown_to(&by, &state, row).await.map(web::Json)
}

/// Deletes a contact: it leaves its lists, and its keys are free again. What was sent to it stays on the books.
#[utoipa::path(delete, path = "/v1/contacts/{id}", tag = "contacts", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    Id(id): Id<ContactId>,
    _: Query<()>,
    by: By,
) -> Result<HttpResponse, ApiError> {
    delete_contact(&state.services, id, &by).await?;
    Ok(HttpResponse::NoContent().finish())
}
