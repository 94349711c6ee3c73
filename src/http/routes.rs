//! The route table.

use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, delete, get, patch, post, put, resource, scope};

use super::auth::require_key;
use super::{contacts, imports, keys, lists, openapi, templates};

/// Every route. Under `/v1` a valid API key is required.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/openapi.json").route(get().to(openapi::describe)));
    config.service(
        scope("/v1")
            .wrap(from_fn(require_key))
            .service(resource("/keys").route(get().to(keys::list)).route(post().to(keys::create)))
            .service(resource("/keys/{id}").route(delete().to(keys::revoke)))
            .service(resource("/contacts").route(get().to(contacts::list)).route(post().to(contacts::upsert)))
            .service(resource("/contacts/import").route(post().to(imports::upload)))
            .service(
                resource("/contacts/{id}")
                    .route(get().to(contacts::show))
                    .route(patch().to(contacts::change))
                    .route(delete().to(contacts::delete)),
            )
            .service(resource("/imports").route(get().to(imports::list)))
            .service(resource("/imports/{id}").route(get().to(imports::show)))
            .service(resource("/lists").route(get().to(lists::list)).route(post().to(lists::create)))
            .service(
                resource("/lists/{id}")
                    .route(get().to(lists::show))
                    .route(patch().to(lists::change))
                    .route(delete().to(lists::delete)),
            )
            .service(
                resource("/lists/{id}/members")
                    .route(get().to(lists::members))
                    .route(post().to(lists::add_members))
                    .route(delete().to(lists::remove_members)),
            )
            .service(resource("/lists/{id}/members/{contact_id}").route(delete().to(lists::remove_member)))
            .service(resource("/templates").route(get().to(templates::list)).route(post().to(templates::create)))
            .service(
                resource("/templates/{id}")
                    .route(get().to(templates::show))
                    .route(put().to(templates::replace))
                    .route(patch().to(templates::change))
                    .route(delete().to(templates::delete)),
            )
            .service(resource("/templates/{id}/versions").route(get().to(templates::versions)))
            .service(resource("/templates/{id}/preview").route(post().to(templates::preview))),
    );
}
