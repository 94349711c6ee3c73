//! `/ui/…/export`: what a page shows a part of, as a file. Anybody who may see the page may have it.

use actix_web::{HttpResponse, web};

use crate::domain::export::Format;
use crate::domain::ids::CampaignId;
use crate::http::api::campaigns::export::{self, Form};
use crate::http::api::people::exports::{self, ContactExport, MemberExport};
use crate::http::state::AppState;
use crate::http::web::extract::{Id, Query};
use crate::http::web::list_path::ListPath;
use crate::http::web::problem::ApiError;

/// Where the files of a page are.
pub(super) struct Downloads {
    pub(super) csv: String,
    pub(super) jsonl: String,
}

impl Downloads {
    /// The files at `base`, of what this query selects.
    pub(super) fn new(base: &str, query: &str) -> Self {
        let more = if query.is_empty() { String::new() } else { format!("{query}&") };
        let [csv, jsonl] = [Format::Csv, Format::Jsonl].map(|format| format!("{base}?{more}format={format}"));
        Self { csv, jsonl }
    }
}

/// Contacts, as the page of contacts filters them.
pub(in crate::http) async fn contacts(
    state: web::Data<AppState>,
    asked: Query<ContactExport>,
) -> Result<HttpResponse, ApiError> {
    exports::contacts(state, asked).await
}

/// Everybody who stands on a list.
pub(in crate::http) async fn members(
    state: web::Data<AppState>,
    list: ListPath,
    asked: Query<MemberExport>,
) -> Result<HttpResponse, ApiError> {
    exports::members(state, list, asked).await
}

/// The people of a campaign, as the page of them filters them.
pub(in crate::http) async fn deliveries(
    state: web::Data<AppState>,
    id: Id<CampaignId>,
    asked: Query<Form>,
) -> Result<HttpResponse, ApiError> {
    export::export(state, id, asked).await
}
