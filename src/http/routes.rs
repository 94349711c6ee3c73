//! The route table.

use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, delete, get, post, resource, scope};

use super::auth::require_key;
use super::{keys, openapi};

/// Every route. Under `/v1` a valid API key is required.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/openapi.json").route(get().to(openapi::describe)));
    config.service(
        scope("/v1")
            .wrap(from_fn(require_key))
            .service(resource("/keys").route(get().to(keys::list)).route(post().to(keys::create)))
            .service(resource("/keys/{id}").route(delete().to(keys::revoke))),
    );
}
