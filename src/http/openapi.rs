//! The API's description, generated from the code.

use actix_web::HttpResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::extract::Query;
use super::{contacts, imports, keys, lists, templates};

#[derive(OpenApi)]
#[openapi(
    info(title = "Volley", description = "Campaign dispatch: nobody lost, nobody twice."),
    paths(
        contacts::upsert, contacts::list, contacts::show, contacts::change, contacts::delete,
        imports::upload, imports::list, imports::show,
        lists::create, lists::list, lists::show, lists::change, lists::delete,
        lists::members, lists::add_members, lists::remove_members, lists::remove_member,
        templates::create, templates::list, templates::show, templates::versions, templates::replace,
        templates::change, templates::delete, templates::preview,
        keys::create, keys::list, keys::revoke,
    ),
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
