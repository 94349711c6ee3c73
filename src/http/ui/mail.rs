//! `/ui/campaigns/{id}/mail`: the HTML that one contact would get, as a document of its own for a frame.
//!
//! Somebody else has written it, so it may do nothing here: its policy puts it into a sandbox without scripts, forms and an origin, and
//! pictures come from elsewhere only when the person who looks has asked for them.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::domain::ids::{CampaignId, ContactId};
use crate::http::api::campaigns::preview;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter};
use crate::http::web::problem::ApiError;

/// What a mail in a frame may do: look like itself.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

/// The same, with its pictures.
const WITH_PICTURES: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; frame-ancestors 'self'";

/// What the document around a mail may do that is not saved: it has its HTML within, in a sandbox, and brings our own styles.
pub(super) const AROUND: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; \
                                 frame-ancestors 'self'";

/// Whose mail, and whether its pictures are shown. `at` changes with the content, so that a frame loads it anew.
#[derive(Debug)]
pub(in crate::http) struct Shown {
    contact: ContactId,
    pictures: bool,
}

impl FromQuery for Shown {
    const NAMES: &'static [&'static str] = &["contact_id", "pictures", "at"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let contact = params.integer("contact_id", 1..=i64::MAX)?;
        let contact = contact.ok_or_else(|| bad_parameter("contact_id", "required", "name a contact".to_owned()))?;
        Ok(Self { contact: ContactId(contact), pictures: params.text("pictures").is_some() })
    }
}

/// Shows the HTML.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<CampaignId>,
    Query(Shown { contact, pictures }): Query<Shown>,
) -> Result<HttpResponse, ApiError> {
    let preview = preview::of_contact(&state, id, contact).await?;
    let html = preview.rendered_html.ok_or_else(|| ApiError::no_such("page", "the HTML of this message"))?;
    let policy = if pictures { WITH_PICTURES } else { POLICY };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .body(html))
}
