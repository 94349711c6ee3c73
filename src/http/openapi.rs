//! The API's description, generated from the code.

use actix_web::HttpResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::extract::Query;
use super::keys;

#[derive(OpenApi)]
#[openapi(
    info(title = "Volley", description = "Campaign dispatch: nobody lost, nobody twice."),
    paths(keys::create, keys::list, keys::revoke),
    security(("api_key" = [])),
    modifiers(&ApiKeyScheme),
)]
struct Description;

struct ApiKeyScheme;

impl utoipa::Modify for ApiKeyScheme {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_with(Default::default);
        components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// `/openapi.json`: needs no key.
pub(super) async fn describe(_: Query<()>) -> HttpResponse {
    HttpResponse::Ok().json(Description::openapi())
}
