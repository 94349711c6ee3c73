//! The route table.

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, resource, scope, to};
use actix_web::{Resource, Route};

use self::Door::{Api, Open};
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
use crate::domain::access::Scope::{
    self, CampaignsRead, CampaignsSend, CampaignsWrite, ContentRead, ContentWrite, KeysRead, KeysWrite, OperationsRead,
    OperationsWrite, PeopleRead, PeopleWrite,
};

/// Who knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Anybody: probes, the scraper of metrics, readers of the description. No key is asked for.
    Open,
    /// A program with an API key, for what this scope names. Below [`API`].
    Api(Scope),
}

/// What the paths of the door for programs begin with.
pub const API: &str = "/v1";

/// What a route does with an `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// It takes none: it changes nothing, may be repeated as it is, or answers with a secret that is stored nowhere.
    NoKey,
    /// The key is reserved before the handler runs, and the answer stored after it.
    Once,
    /// The handler stores the answer in the transaction that has the effect.
    Handler,
}

/// A route.
#[derive(Debug)]
pub struct Entry {
    /// The method.
    pub method: Verb,
    /// The whole path, with the names of its parameters in braces.
    pub path: &'static str,
    /// Who knocks, and what for.
    pub door: Door,
    /// What it does with an `Idempotency-Key`.
    pub repeats: Repeats,
    handler: fn() -> Route,
}

/// A method that a route may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Shows.
    Get,
    /// Makes, or causes an event.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// As HTTP spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

impl Entry {
    const fn new(method: Verb, path: &'static str, door: Door, handler: fn() -> Route) -> Self {
        Self { method, path, door, repeats: Repeats::NoKey, handler }
    }

    const fn once(self) -> Self {
        Self { repeats: Repeats::Once, ..self }
    }

    const fn keeps_key(self) -> Self {
        Self { repeats: Repeats::Handler, ..self }
    }

    fn route(&self) -> Route {
        let route = (self.handler)().method(self.method.method());
        match self.repeats {
            Repeats::Once => route.wrap(from_fn(once)),
            Repeats::NoKey | Repeats::Handler => route,
        }
    }
}

const fn get(path: &'static str, door: Door, handler: fn() -> Route) -> Entry {
    Entry::new(Verb::Get, path, door, handler)
}

const fn post(path: &'static str, door: Door, handler: fn() -> Route) -> Entry {
    Entry::new(Verb::Post, path, door, handler)
}

const fn put(path: &'static str, door: Door, handler: fn() -> Route) -> Entry {
    Entry::new(Verb::Put, path, door, handler)
}

const fn patch(path: &'static str, door: Door, handler: fn() -> Route) -> Entry {
    Entry::new(Verb::Patch, path, door, handler)
}

const fn delete(path: &'static str, door: Door, handler: fn() -> Route) -> Entry {
    Entry::new(Verb::Delete, path, door, handler)
}

/// Every route. Those of one path stand together; of two paths that fit a request, the first one serves it.
pub const TABLE: &[Entry] = &[
    get("/healthz", Open, || to(operations::healthz)),
    get("/readyz", Open, || to(readiness::readyz)),
    get("/metrics", Open, || to(operations::metrics)),
    get("/openapi.json", Open, || to(openapi::describe)),
    get("/v1/keys", Api(KeysRead), || to(keys::list)),
    post("/v1/keys", Api(KeysWrite), || to(keys::create)),
    delete("/v1/keys/{id}", Api(KeysWrite), || to(keys::revoke)),
    get("/v1/contacts", Api(PeopleRead), || to(contacts::list)),
    post("/v1/contacts", Api(PeopleWrite), || to(contacts::upsert)).once(),
    post("/v1/contacts/import", Api(PeopleWrite), || to(imports::upload)).keeps_key(),
    get("/v1/contacts/{id}", Api(PeopleRead), || to(contacts::show)),
    patch("/v1/contacts/{id}", Api(PeopleWrite), || to(contacts::change)),
    delete("/v1/contacts/{id}", Api(PeopleWrite), || to(contacts::delete)),
    get("/v1/imports", Api(PeopleRead), || to(imports::list)),
    get("/v1/imports/{id}", Api(PeopleRead), || to(imports::show)),
    get("/v1/lists", Api(PeopleRead), || to(lists::list)),
    post("/v1/lists", Api(PeopleWrite), || to(lists::create)).once(),
    get("/v1/lists/{id}", Api(PeopleRead), || to(lists::show)),
    patch("/v1/lists/{id}", Api(PeopleWrite), || to(lists::change)),
    delete("/v1/lists/{id}", Api(PeopleWrite), || to(lists::delete)),
    get("/v1/lists/{id}/members", Api(PeopleRead), || to(lists::members)),
    post("/v1/lists/{id}/members", Api(PeopleWrite), || to(lists::add_members)).once(),
    delete("/v1/lists/{id}/members", Api(PeopleWrite), || to(lists::remove_members)),
    delete("/v1/lists/{id}/members/{contact_id}", Api(PeopleWrite), || to(lists::remove_member)),
    get("/v1/templates", Api(ContentRead), || to(templates::list)),
    post("/v1/templates", Api(ContentWrite), || to(templates::create)).once(),
    get("/v1/templates/{id}", Api(ContentRead), || to(templates::show)),
    put("/v1/templates/{id}", Api(ContentWrite), || to(templates::replace)),
    patch("/v1/templates/{id}", Api(ContentWrite), || to(templates::change)),
    delete("/v1/templates/{id}", Api(ContentWrite), || to(templates::delete)),
    get("/v1/templates/{id}/versions", Api(ContentRead), || to(templates::versions)),
    post("/v1/templates/{id}/preview", Api(ContentRead), || to(templates::preview)),
    get("/v1/campaigns", Api(CampaignsRead), || to(campaigns::list)),
    post("/v1/campaigns", Api(CampaignsWrite), || to(campaigns::create)).once(),
    post("/v1/campaigns/bulk-action", Api(CampaignsSend), || to(actions::bulk)).once(),
    get("/v1/campaigns/{id}", Api(CampaignsRead), || to(campaigns::show)),
    patch("/v1/campaigns/{id}", Api(CampaignsWrite), || to(campaigns::change)),
    delete("/v1/campaigns/{id}", Api(CampaignsWrite), || to(campaigns::delete)),
    post("/v1/campaigns/{id}/send", Api(CampaignsSend), || to(actions::send)).keeps_key(),
    post("/v1/campaigns/{id}/pause", Api(CampaignsSend), || to(actions::pause)).once(),
    post("/v1/campaigns/{id}/resume", Api(CampaignsSend), || to(actions::resume)).once(),
    post("/v1/campaigns/{id}/stop", Api(CampaignsSend), || to(actions::stop)).once(),
    post("/v1/campaigns/{id}/schedule", Api(CampaignsSend), || to(actions::schedule)).once(),
    post("/v1/campaigns/{id}/unschedule", Api(CampaignsSend), || to(actions::unschedule)).once(),
    post("/v1/campaigns/{id}/retry-failed", Api(CampaignsSend), || to(actions::retry_failed)).once(),
    post("/v1/campaigns/{id}/personalized-preview", Api(CampaignsRead), || to(preview::preview)),
    post("/v1/campaigns/{id}/test-send", Api(CampaignsSend), || to(preview::test_send)).once(),
    get("/v1/campaigns/{id}/deliveries", Api(CampaignsRead), || to(recipients::list)),
    post("/v1/campaigns/{id}/deliveries/resolve", Api(CampaignsSend), || to(recipients::resolve)).once(),
    get("/v1/campaigns/{id}/audit", Api(CampaignsRead), || to(recipients::audit)),
    get("/v1/campaigns/{id}/receipt", Api(CampaignsRead), || to(actions::receipt)),
    get("/v1/instances", Api(OperationsRead), || to(instances::list_instances)),
    get("/v1/pools", Api(OperationsRead), || to(pools::list_pools)),
    post("/v1/pools/{name}/suspend", Api(OperationsWrite), || to(pools::suspend)).once(),
    post("/v1/pools/{name}/resume", Api(OperationsWrite), || to(pools::resume)).once(),
    get("/v1/pools/{name}/receipt", Api(OperationsRead), || to(pools::pool_receipt)),
    post("/v1/pools/{name}/pace/reset", Api(OperationsWrite), || to(paces::reset)).once(),
    post("/v1/pools/{name}/pace/probe", Api(OperationsWrite), || to(paces::probe)).once(),
    post("/v1/pools/{name}/pace/pin", Api(OperationsWrite), || to(paces::pin)).once(),
    post("/v1/pools/{name}/pace/mark", Api(OperationsWrite), || to(paces::mark)).once(),
    get("/v1/dead-letters", Api(OperationsRead), || to(dead_letters::dead_letters)),
    post("/v1/dead-letters/{id}/replay", Api(OperationsWrite), || to(dead_letters::replay)).once(),
    get("/v1/admin/state", Api(OperationsRead), || to(operations::actor_states)),
];

/// Serves every route of the [`TABLE`]. The door for programs asks for a valid API key.
pub fn routes(config: &mut ServiceConfig) {
    let mut api = scope(API);
    for routes in TABLE.chunk_by(|one, next| one.path == next.path) {
        let Some(first) = routes.first() else { continue };
        match first.door {
            Open => _ = config.service(served(first.path, routes)),
            Api(_) => api = api.service(served(first.path.strip_prefix(API).unwrap_or(first.path), routes)),
        }
    }
    config.service(api.wrap(from_fn(require_key)));
}

fn served(path: &str, routes: &[Entry]) -> Resource {
    routes.iter().fold(resource(path), |resource, entry| resource.route(entry.route()))
}
