//! Serves the [route table](super::routes): which routes a listener has, and what stands before each door.

use actix_web::Resource;
use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::{ServiceConfig, resource, scope, to};

use super::access::require_key;
use super::api::operations;
use super::public;
use super::routes::Door::{AnyKey, Api, Open, Page, Provider, Public, SignIn};
use super::routes::{API, Entry, TABLE};
use super::ui::door::{door, identify};
use super::ui::{UI, errors};
use super::verb::Verb;
use super::web::compression::{mark_small, unmark};
use super::web::cors::cors;
use super::web::edge::small_head;
use crate::config::cors::CorsOrigins;

/// Serves every route of the [`TABLE`]. The door for programs asks for a valid API key; pages of these origins may knock at it.
pub(super) fn routes(config: &mut ServiceConfig, origins: &CorsOrigins) {
    let (mut api, mut pages) = (scope(API), scope(UI));
    let below = |path: &'static str, scope: &str| path.strip_prefix(scope).unwrap_or(path);
    for routes in TABLE.chunk_by(|one, next| one.path == next.path) {
        let Some(first) = routes.first() else { continue };
        match first.door {
            Open => _ = config.service(open(first.path, routes, origins)),
            Public | Provider => _ = config.service(served(first.path, routes).wrap(from_fn(small_head))),
            AnyKey | Api(_) => api = api.service(served(below(first.path, API), routes)),
            SignIn | Page(_) => pages = pages.service(served(below(first.path, UI), routes)),
        }
    }
    // The last one is the outermost.
    let api = api.wrap(from_fn(mark_small)).wrap(Compress::default()).wrap(from_fn(unmark));
    config.service(api.wrap(from_fn(require_key)).wrap(from_fn(small_head)).wrap(cors(origins)));
    let pages = pages.default_service(to(errors::missing).wrap(from_fn(identify))).wrap(from_fn(door));
    let pages = pages.wrap(from_fn(mark_small)).wrap(Compress::default()).wrap(from_fn(unmark));
    config.service(pages.wrap(from_fn(small_head)));
}

/// Serves what recipients open and where providers report, and nothing else.
pub(super) fn public_routes(config: &mut ServiceConfig) {
    let public = TABLE.chunk_by(|one, next| one.path == next.path);
    for routes in public.filter(|routes| routes.first().is_some_and(|first| matches!(first.door, Public | Provider))) {
        let Some(first) = routes.first() else { continue };
        config.service(served(first.path, routes).wrap(from_fn(small_head)));
    }
    config.default_service(to(public::nothing));
}

/// Serves what is asked about the health of an instance that only sends. All else is answered with where to ask.
pub(super) fn health_routes(config: &mut ServiceConfig) {
    let is_health = |path: &str| ["/healthz", "/readyz", "/metrics"].contains(&path);
    for routes in TABLE.chunk_by(|one, next| one.path == next.path) {
        let Some(first) = routes.first().filter(|first| is_health(first.path)) else { continue };
        config.service(open(first.path, routes, &CorsOrigins::default()));
    }
    config.default_service(to(operations::sender_only));
}

/// A path that needs no key.
fn open(path: &str, routes: &[Entry], origins: &CorsOrigins) -> impl HttpServiceFactory + use<> {
    let packed = served(path, routes).wrap(from_fn(mark_small)).wrap(Compress::default()).wrap(from_fn(unmark));
    packed.wrap(from_fn(small_head)).wrap(cors(origins))
}

fn served(path: &str, routes: &[Entry]) -> Resource {
    let of = |method: Verb| routes.iter().find(|entry| entry.method == method);
    let resource = routes.iter().fold(resource(path), |resource, entry| resource.route(entry.route()));
    match (of(Verb::Get), of(Verb::Head)) {
        (Some(get), None) => resource.route(get.head()),
        (None | Some(_), _) => resource,
    }
}
