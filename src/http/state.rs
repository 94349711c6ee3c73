//! What handlers need.

use std::sync::Arc;

use actix::Recipient;
use actix_web::{HttpRequest, web};

use super::auth::Auth;
use super::problem::ApiError;
use crate::actors::importer::Look;
use crate::config::Settings;
use crate::store::Store;

/// Everything that handlers share. One per process, behind [`web::Data`].
pub struct AppState {
    /// The database.
    pub store: Store,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Who may call.
    pub auth: Auth,
    /// Told when an import was stored. A hint: the importer looks by itself too.
    pub importer: Recipient<Look>,
}

impl AppState {
    pub(super) fn of(request: &HttpRequest) -> Result<web::Data<Self>, ApiError> {
        request.app_data::<web::Data<Self>>().cloned().ok_or_else(|| ApiError::Unexpected {
            action: "find the application's state",
            source: "it was not registered".into(),
        })
    }
}
