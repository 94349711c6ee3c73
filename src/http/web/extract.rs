//! Extractors that read strictly: what a client did not mean is refused, never guessed.

mod json;
mod query;

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use json::{Hashed, Json, present};
pub(in crate::http) use json::{gather, in_time, next_chunk, read_part, refuse_content_encoding};
pub(in crate::http) use query::bad as bad_parameter;
pub use query::{FromQuery, Params, Query};

use super::problem::ApiError;
use crate::domain::shown::shown;

/// The `{id}` of the path: 1 to 2^63 - 1.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<T: for<'de> Deserialize<'de>> FromRequest for Id<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(path_id(request, "id").map(Self))
    }
}

/// An id in the path, by its name in the route.
///
/// # Errors
/// `id_malformed` when it is not a number from 1 to 2^63 - 1.
pub fn path_id<T: for<'de> Deserialize<'de>>(request: &HttpRequest, name: &str) -> Result<T, ApiError> {
    let text = request.match_info().get(name).unwrap_or_default();
    parse_id(text).ok_or_else(|| ApiError::Malformed {
        code: "id_malformed",
        detail: format!("\"{}\" is not an id: a number from 1 to {}", shown(text), i64::MAX),
    })
}

fn parse_id<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    // `i64::from_str` takes a sign; an id has none.
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let id: i64 = text.parse().ok().filter(|id| digits && *id >= 1)?;
    T::deserialize(IntoDeserializer::<ValueError>::into_deserializer(id)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ContactId;

    #[test]
    fn an_id_is_a_positive_number_that_fits() {
        assert_eq!(parse_id::<ContactId>("9223372036854775807"), Some(ContactId(i64::MAX)));
        for text in ["", "0", "-1", "+1", "9223372036854775808", "{1}", "abc", "1.0", " 1", "01x"] {
            assert_eq!(parse_id::<ContactId>(text), None, "{text}");
        }
    }
}

/// A body without fields.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Nothing {}
