//! The route table.

use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, delete, get, patch, post, put, resource, scope};

use super::access::require_key;
use super::api::access::keys;
use super::api::campaigns::{self, actions, preview, recipients};
use super::api::content::templates;
use super::api::import::imports;
use super::api::people::{contacts, lists};
use super::api::replicas::{dead_letters, instances, paces, pools};
use super::api::{operations, readiness};
use super::openapi;
use super::web::idempotency::once;

/// Every route. Under `/v1` a valid API key is required. A POST that does something honours an `Idempotency-Key`: by
/// `once`, or by itself where launch and import store the answer with the effect. `POST /v1/keys` does not: its answer
/// holds a secret that is stored nowhere.
pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/healthz").route(get().to(operations::healthz)));
    config.service(resource("/readyz").route(get().to(readiness::readyz)));
    config.service(resource("/metrics").route(get().to(operations::metrics)));
    config.service(resource("/openapi.json").route(get().to(openapi::describe)));
    config.service(
        scope("/v1")
            .wrap(from_fn(require_key))
            .service(resource("/keys").route(get().to(keys::list)).route(post().to(keys::create)))
            .service(resource("/keys/{id}").route(delete().to(keys::revoke)))
            .service(
                resource("/contacts")
                    .route(get().to(contacts::list))
                    .route(post().to(contacts::upsert).wrap(from_fn(once))),
            )
            .service(resource("/contacts/import").route(post().to(imports::upload)))
            .service(
                resource("/contacts/{id}")
                    .route(get().to(contacts::show))
                    .route(patch().to(contacts::change))
                    .route(delete().to(contacts::delete)),
            )
            .service(resource("/imports").route(get().to(imports::list)))
            .service(resource("/imports/{id}").route(get().to(imports::show)))
            .service(
                resource("/lists").route(get().to(lists::list)).route(post().to(lists::create).wrap(from_fn(once))),
            )
            .service(
                resource("/lists/{id}")
                    .route(get().to(lists::show))
                    .route(patch().to(lists::change))
                    .route(delete().to(lists::delete)),
            )
            .service(
                resource("/lists/{id}/members")
                    .route(get().to(lists::members))
                    .route(post().to(lists::add_members).wrap(from_fn(once)))
                    .route(delete().to(lists::remove_members)),
            )
            .service(resource("/lists/{id}/members/{contact_id}").route(delete().to(lists::remove_member)))
            .service(
                resource("/templates")
                    .route(get().to(templates::list))
                    .route(post().to(templates::create).wrap(from_fn(once))),
            )
            .service(
                resource("/templates/{id}")
                    .route(get().to(templates::show))
                    .route(put().to(templates::replace))
                    .route(patch().to(templates::change))
                    .route(delete().to(templates::delete)),
            )
            .service(resource("/templates/{id}/versions").route(get().to(templates::versions)))
            .service(resource("/templates/{id}/preview").route(post().to(templates::preview)))
            .service(
                resource("/campaigns")
                    .route(get().to(campaigns::list))
                    .route(post().to(campaigns::create).wrap(from_fn(once))),
            )
            .service(resource("/campaigns/bulk-action").route(post().to(actions::bulk).wrap(from_fn(once))))
            .service(
                resource("/campaigns/{id}")
                    .route(get().to(campaigns::show))
                    .route(patch().to(campaigns::change))
                    .route(delete().to(campaigns::delete)),
            )
            .service(resource("/campaigns/{id}/send").route(post().to(actions::send)))
            .service(resource("/campaigns/{id}/pause").route(post().to(actions::pause).wrap(from_fn(once))))
            .service(resource("/campaigns/{id}/resume").route(post().to(actions::resume).wrap(from_fn(once))))
            .service(resource("/campaigns/{id}/stop").route(post().to(actions::stop).wrap(from_fn(once))))
            .service(resource("/campaigns/{id}/schedule").route(post().to(actions::schedule).wrap(from_fn(once))))
            .service(resource("/campaigns/{id}/unschedule").route(post().to(actions::unschedule).wrap(from_fn(once))))
            .service(
                resource("/campaigns/{id}/retry-failed").route(post().to(actions::retry_failed).wrap(from_fn(once))),
            )
            .service(resource("/campaigns/{id}/personalized-preview").route(post().to(preview::preview)))
            .service(resource("/campaigns/{id}/test-send").route(post().to(preview::test_send).wrap(from_fn(once))))
            .service(resource("/campaigns/{id}/deliveries").route(get().to(recipients::list)))
            .service(
                resource("/campaigns/{id}/deliveries/resolve")
                    .route(post().to(recipients::resolve).wrap(from_fn(once))),
            )
            .service(resource("/campaigns/{id}/audit").route(get().to(recipients::audit)))
            .service(resource("/campaigns/{id}/receipt").route(get().to(actions::receipt)))
            .service(resource("/instances").route(get().to(instances::list_instances)))
            .service(resource("/pools").route(get().to(pools::list_pools)))
            .service(resource("/pools/{name}/suspend").route(post().to(pools::suspend).wrap(from_fn(once))))
            .service(resource("/pools/{name}/resume").route(post().to(pools::resume).wrap(from_fn(once))))
            .service(resource("/pools/{name}/receipt").route(get().to(pools::pool_receipt)))
            .service(resource("/pools/{name}/pace/reset").route(post().to(paces::reset).wrap(from_fn(once))))
            .service(resource("/pools/{name}/pace/probe").route(post().to(paces::probe).wrap(from_fn(once))))
            .service(resource("/pools/{name}/pace/pin").route(post().to(paces::pin).wrap(from_fn(once))))
            .service(resource("/pools/{name}/pace/mark").route(post().to(paces::mark).wrap(from_fn(once))))
            .service(resource("/dead-letters").route(get().to(dead_letters::dead_letters)))
            .service(resource("/dead-letters/{id}/replay").route(post().to(dead_letters::replay).wrap(from_fn(once))))
            .service(resource("/admin/state").route(get().to(operations::actor_states))),
    );
}
