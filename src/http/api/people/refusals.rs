//! What a refused decision on a contact or a list is for clients.

use crate::domain::access::Scope;
use crate::domain::ids::ContactId;
use crate::domain::people::contact::FieldError;
use crate::http::web::problem::ApiError;
use crate::services::people::upsert_contact::UpsertError;
use crate::services::people::{
    change_contact, change_list, change_members, create_list, delete_contact, delete_list, subscribe_members,
};
use crate::services::people::{suppress, tag_contacts};

/// A contact that would have no key.
pub(super) fn no_key(error: FieldError) -> ApiError {
    ApiError::field("", error.code, error.reason)
}

fn conflict(detail: String, ids: &[ContactId]) -> ApiError {
    ApiError::Conflict { code: "contact_conflict", detail, ids: ids.iter().map(|id| id.0).collect() }
}

impl From<UpsertError> for ApiError {
    fn from(error: UpsertError) -> Self {
        let detail = error.to_string();
        match error {
            UpsertError::Conflict(ids) => conflict(detail, &ids),
            UpsertError::Store(error) => error.into(),
        }
    }
}

impl From<change_contact::ChangeError> for ApiError {
    fn from(error: change_contact::ChangeError) -> Self {
        use change_contact::ChangeError;
        let detail = error.to_string();
        match error {
            ChangeError::NotFound(id) => Self::not_found("contact", id.0),
            ChangeError::Conflict(ids) => conflict(detail, &ids),
            ChangeError::NoKey => no_key(FieldError::no_key()),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<delete_contact::DeleteError> for ApiError {
    fn from(error: delete_contact::DeleteError) -> Self {
        match error {
            delete_contact::DeleteError::NotFound(id) => Self::not_found("contact", id.0),
            delete_contact::DeleteError::Store(error) => error.into(),
        }
    }
}

impl From<change_list::ChangeError> for ApiError {
    fn from(error: change_list::ChangeError) -> Self {
        match error {
            change_list::ChangeError::NotFound(id) => Self::not_found("list", id.0),
            change_list::ChangeError::BothOptIns => both_opt_ins(error.to_string()),
            change_list::ChangeError::Store(error) => error.into(),
        }
    }
}

fn both_opt_ins(reason: String) -> ApiError {
    ApiError::field("/double_opt_in", "opt_in_conflict", reason)
}

impl From<create_list::CreateError> for ApiError {
    fn from(error: create_list::CreateError) -> Self {
        match error {
            create_list::CreateError::BothOptIns => both_opt_ins(error.to_string()),
            create_list::CreateError::Store(error) => error.into(),
        }
    }
}

impl From<delete_list::DeleteError> for ApiError {
    fn from(error: delete_list::DeleteError) -> Self {
        use delete_list::DeleteError;
        let detail = error.to_string();
        match error {
            DeleteError::NotFound(id) => Self::not_found("list", id.0),
            DeleteError::InUse(campaigns) => Self::Conflict {
                code: "list_in_use",
                detail,
                ids: campaigns.iter().map(|campaign| campaign.0).collect(),
            },
            DeleteError::Store(error) => error.into(),
        }
    }
}

impl From<subscribe_members::MembersError> for ApiError {
    fn from(error: subscribe_members::MembersError) -> Self {
        use subscribe_members::MembersError;
        let detail = error.to_string();
        match error {
            MembersError::NoList(id) => Self::not_found("list", id.0),
            MembersError::NoContacts(ids) => {
                Self::NotFound { what: "contact", ids: ids.iter().map(|id| id.0).collect() }
            }
            MembersError::Conflict(ids) => conflict(detail, &ids),
            MembersError::Store(error) => error.into(),
        }
    }
}

impl From<suppress::SuppressError> for ApiError {
    fn from(error: suppress::SuppressError) -> Self {
        use suppress::SuppressError;
        let detail = error.to_string();
        match error {
            SuppressError::NoList(id) => Self::not_found("list", id.0),
            SuppressError::AdminOnly { own } => Self::InsufficientScope { what: "this", asked: Scope::Admin, own },
            SuppressError::NoteRequired => Self::field("/note", "required", detail),
            SuppressError::Store(error) => error.into(),
        }
    }
}

impl From<tag_contacts::TagError> for ApiError {
    fn from(error: tag_contacts::TagError) -> Self {
        match error {
            tag_contacts::TagError::NoContacts(ids) => {
                Self::NotFound { what: "contact", ids: ids.iter().map(|id| id.0).collect() }
            }
            tag_contacts::TagError::Store(error) => error.into(),
        }
    }
}

impl From<change_members::MembersError> for ApiError {
    fn from(error: change_members::MembersError) -> Self {
        use change_members::MembersError;
        match error {
            MembersError::NoList(id) => Self::not_found("list", id.0),
            MembersError::NoContacts(ids) => {
                Self::NotFound { what: "contact", ids: ids.iter().map(|id| id.0).collect() }
            }
            MembersError::Store(error) => error.into(),
        }
    }
}
