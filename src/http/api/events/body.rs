//! An event as bodies describe it.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::domain::events::{EventName, read_key, read_properties};
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::{BuiltIn, FieldError};
use crate::http::api::people::drafts::DraftReader;
use crate::http::web::extract::read_part;
use crate::http::web::list_path::ListName;
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::By;
use crate::services::events::told::{Key, Told};
use crate::store::people::contacts::strongest::ContactKeys;
use crate::store::people::lists::ListKey;

/// Most lists that one event names.
const MAX_LISTS: usize = 20;

/// What a contact did, or what happened to it. At least one of `contact_id`, `external_id`, `email` and `phone` is needed; the
/// strongest one, in this order, says whose event it is, and a contact that does not exist is created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EventInput {
    /// 1 to 100 characters out of a-z, 0-9, underscore, dot, colon and hyphen: `order_placed`. Names that begin with `segment.`,
    /// `campaign.`, `message.`, `contact.` and `volley.` are Volley's own.
    name: String,
    contact_id: Option<ContactId>,
    external_id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// What else is known of the event: at most 32 KiB as JSON, and five levels.
    #[schema(value_type = Option<Object>)]
    properties: Option<Map<String, Value>>,
    /// Attributes of the contact, merged into those that are there; `null` removes one.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
    /// Lists that the contact is subscribed to, by id or slug: at most 20. Who has refused one stays unsubscribed.
    #[schema(value_type = Option<Vec<ListName>>)]
    lists: Option<Vec<ListName>>,
    /// At most 5 minutes ahead. Unless given: now.
    occurred_at: Option<UtcInstant>,
    /// Under one key, an event is stored once: 1 to 255 visible ASCII characters. Keys are remembered for 30 days, and those of
    /// another source mean other events.
    key: Option<String>,
}

/// Reads an event of a batch.
///
/// # Errors
/// 422 that names the fields of this event.
pub(super) fn read(event: Value, by: &By) -> Result<Told, ApiError> {
    read_part::<EventInput>(event, "").and_then(|body| body.told(None, by))
}

impl EventInput {
    /// The event, if nothing is wrong with it. `header`: the `Idempotency-Key` of its request.
    ///
    /// # Errors
    /// 422 that names every field.
    pub(super) fn told(self, header: Option<String>, by: &By) -> Result<Told, ApiError> {
        let body_hash = self.hash();
        let mut reading = DraftReader::default();
        for (field, raw) in
            [(BuiltIn::ExternalId, &self.external_id), (BuiltIn::Email, &self.email), (BuiltIn::Phone, &self.phone)]
        {
            reading.field(field, raw.as_deref());
        }
        reading.attributes(self.attributes);
        let name = kept(EventName::parse(&self.name), &mut reading.errors);
        let properties = kept(read_properties(self.properties.unwrap_or_default()), &mut reading.errors);
        let key = kept(one_key(self.key, header), &mut reading.errors).flatten();
        let lists: Vec<ListKey> = self.lists.into_iter().flatten().map(|ListName(list)| list).collect();
        if lists.len() > MAX_LISTS {
            let reason = format!("names more than {MAX_LISTS} lists");
            reading.errors.push(FieldProblem::new("/lists", "too_many_lists", reason));
        }
        if reading.errors.is_empty() && self.contact_id.is_none() {
            kept(
                reading.draft.check_key().map_err(|error| FieldError { field: String::new(), ..error }),
                &mut reading.errors,
            );
        }
        let draft = reading.finish()?;
        let (Some(name), Some(properties)) = (name, properties) else { return Err(ApiError::Invalid(Vec::new())) };
        Ok(Told {
            by: by.clone(),
            key: key.map(|text| Key { text, body_hash }),
            contact: ContactKeys { id: self.contact_id, draft, is_held: false },
            name,
            properties,
            occurred_at: self.occurred_at,
            lists,
        })
    }

    /// A hash of everything but the key: 128 bits in hex.
    fn hash(&self) -> String {
        let lists = self.lists.iter().flatten().map(|ListName(list)| match list {
            ListKey::Id(id) => json!(id),
            ListKey::Slug(slug) => json!(slug),
        });
        let body = json!([
            self.name,
            self.contact_id,
            self.external_id,
            self.email,
            self.phone,
            self.properties,
            self.attributes,
            lists.collect::<Vec<_>>(),
            self.occurred_at,
        ]);
        let digest = Sha256::digest(body.to_string());
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The key of the body or of the header.
fn one_key(body: Option<String>, header: Option<String>) -> Result<Option<String>, FieldError> {
    match (body, header) {
        (Some(body), Some(header)) if body != header => {
            let reason = "is not what the header Idempotency-Key says: give one of them";
            Err(FieldError::new("key", "event_key_ambiguous", reason))
        }
        (Some(body), _) => read_key(body).map(Some),
        (None, header) => Ok(header),
    }
}

/// What was read, or `None` and the error.
fn kept<T>(read: Result<T, FieldError>, errors: &mut Vec<FieldProblem>) -> Option<T> {
    let problem = |error: FieldError| {
        let field = if error.field.is_empty() { error.field } else { format!("/{}", error.field) };
        FieldProblem::new(field, error.code, error.reason)
    };
    read.map_err(|error| errors.push(problem(error))).ok()
}
