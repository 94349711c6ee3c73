//! What a refused event is for clients.

use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::events::store_events::EventError;
use crate::services::events::told::Refused;
use crate::store::people::lists::ListKey;

impl From<EventError> for ApiError {
    fn from(error: EventError) -> Self {
        let detail = error.to_string();
        match error {
            EventError::Store(error) => error.into(),
            EventError::Refused(refused) => match refused {
                Refused::KeyReused => Self::Conflict { code: "event_key_reused", detail, ids: Vec::new() },
                Refused::NoContact(id) => Self::not_found("contact", id.0),
                Refused::NoList { place, name } => {
                    let (reason, ids) = match name {
                        ListKey::Id(id) => (format!("there is no list {id}"), vec![id.0]),
                        ListKey::Slug(slug) => (format!("no list has the slug {slug}"), Vec::new()),
                    };
                    let errors = vec![FieldProblem::new(format!("/lists/{place}"), "list_not_found", reason)];
                    Self::Missing { what: "list", errors, ids }
                }
                Refused::TooFarAhead { .. } => Self::field("/occurred_at", "out_of_range", detail),
                Refused::Busy => Self::Unavailable { code: "contact_busy", detail },
            },
        }
    }
}
