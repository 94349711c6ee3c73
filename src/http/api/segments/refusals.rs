//! What a refused decision on a segment is for clients.

use crate::domain::people::contact::FieldError;
use crate::http::web::problem::ApiError;
use crate::services::segments::definition::SegmentError;

/// A field of what was said, as a JSON pointer.
fn at(place: &str, error: FieldError) -> ApiError {
    ApiError::field(format!("{place}{}", error.field), error.code, error.reason)
}

impl From<SegmentError> for ApiError {
    fn from(error: SegmentError) -> Self {
        let detail = error.to_string();
        match error {
            SegmentError::NotFound(id) => Self::not_found("segment", id.0),
            SegmentError::Criteria(error) => at("/criteria", error),
            SegmentError::Rules(error) | SegmentError::Reactions(error) => at("/", error),
            SegmentError::Circle(_) => Self::field("/criteria", "segment_circle", detail),
            SegmentError::InUse(ids) => {
                Self::Conflict { code: "segment_in_use", detail, ids: ids.iter().map(|id| id.0).collect() }
            }
            SegmentError::InCampaigns(ids) => {
                Self::Conflict { code: "segment_in_campaigns", detail, ids: ids.iter().map(|id| id.0).collect() }
            }
            SegmentError::TooMany => Self::Conflict { code: "too_many_segments", detail, ids: Vec::new() },
            SegmentError::Store(error) => error.into(),
        }
    }
}
