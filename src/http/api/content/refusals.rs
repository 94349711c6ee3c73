//! What a refused decision on a template is for clients.

use super::pointers::CONTENT;
use crate::http::web::problem::ApiError;
use crate::services::content::change_template::ChangeError;
use crate::services::content::delete_template::DeleteError;
use crate::services::content::preview_content::PreviewError;

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match error {
            ChangeError::NotFound(id) => Self::not_found("template", id.0),
            ChangeError::OtherChannel(_) => Self::field("/channel", "channel_fixed", detail),
            ChangeError::Content(error) => CONTENT.refusal(error),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        let detail = error.to_string();
        match error {
            DeleteError::NotFound(id) => Self::not_found("template", id.0),
            DeleteError::InUse(campaigns) => Self::Conflict {
                code: "template_in_use",
                detail,
                ids: campaigns.iter().map(|campaign| campaign.0).collect(),
            },
            DeleteError::Store(error) => error.into(),
        }
    }
}

impl From<PreviewError> for ApiError {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::NoTemplate(id) => Self::not_found("template", id.0),
            PreviewError::NoVersion(version) => Self::not_found("template_version", version),
            PreviewError::NoContact(id) => Self::not_found("contact", id.0),
            PreviewError::Content(error) => CONTENT.refusal(error),
            PreviewError::Unrenderable(error) => Self::field("", "render_failed", error.to_string()),
        }
    }
}
