//! The API's description, generated from the code.

mod common;

use std::sync::OnceLock;

use actix_web::http::header::{CACHE_CONTROL, ContentType, ETag, EntityTag, IfNoneMatch};
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};
use utoipa::OpenApi;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{RefOr, Required};

use self::common::Common;
use super::api::access::{audit_log, keys, me};
use super::api::campaigns::{
    self, actions, audience, clicks, decisions, export, links, minutes, of_contact as deliveries_of_contact, pace,
    page_map, preflight, preview, reasons, recipients, resolving, why,
};
use super::api::content::{files, previews, templates};
use super::api::import::{imports, rejected_rows, suppression_imports};
use super::api::people::{
    attributes, consent, contacts, exports, lists, of_contact, subscriptions, suppressions, tags, undo_bounces,
};
use super::api::replicas::{checks, dead_letters, instances, paces, pools};
use super::api::segments::{self, members};
use super::api::{
    callbacks, criteria, deliverability, events, operations, overview, problem_types, provider_logs, reactions,
    readiness, search, settings, stats, stream, uncertain,
};
use super::public;
use super::web::extract::Query;
use super::web::idempotency::HEADER;
use crate::domain::access::Scope;

#[derive(OpenApi)]
#[openapi(
    info(title = "Volley", description = "Campaign dispatch: nobody lost, nobody twice.

HEAD is answered wherever GET is, with the same status and headers and without a body; it is not listed. A POST without a body counts as \
one with `{}`. A field that is not named here is refused with 422.

Statuses: `4XX` and `5XX` are problem documents (RFC 9457) with a stable `code`; docs/api-design.md lists the codes."),
    paths(
        contacts::upsert, contacts::list, exports::contacts, contacts::show, contacts::change, contacts::delete,
        of_contact::lists, of_contact::suppressions, deliveries_of_contact::list,
        imports::upload, imports::list, imports::show, rejected_rows::download,
        lists::create, lists::list, lists::show, lists::change, lists::delete,
        subscriptions::subscribe, subscriptions::unsubscribe,
        suppressions::add, suppressions::remove, undo_bounces::undo, suppressions::list, suppressions::domains, suppressions::export,
        suppression_imports::upload, consent::list, tags::list, attributes::list, tags::change, tags::change_many, lists::members, exports::members, lists::add_members, lists::remove_members, lists::remove_member,
        public::callbacks::take, callbacks::list, callbacks::replay, reactions::list, reactions::retry, reactions::retry_all,
        events::send, events::send_batch, events::list, events::show,
        criteria::estimate, audience::count,
        segments::create, segments::list, segments::show, segments::change, segments::delete, segments::enable, segments::disable,
        segments::recompute_all, members::list, members::transitions, members::explain, members::of_contact,
        files::upload, files::list, files::show, files::delete,
        templates::create, templates::list, templates::show, templates::versions, templates::replace,
        templates::change, templates::delete, templates::preview, previews::preview,
        me::show, keys::create, keys::list, keys::revoke, audit_log::list,
        campaigns::create, campaigns::list, campaigns::show, campaigns::change, campaigns::delete, campaigns::duplicate::duplicate,
        actions::send, actions::pause, actions::resume, actions::stop, actions::schedule, actions::unschedule,
        actions::retry_failed, actions::bulk, preflight::preflight, preview::preview, preview::test_send,
        recipients::list, resolving::resolve, recipients::audit, export::export, why::delivery, why::show, links::show, clicks::list, minutes::list, pace::show, page_map::show, decisions::list, reasons::list,
        actions::receipt, overview::show, stats::show, stream::stream, search::show, uncertain::list, uncertain::show, provider_logs::match_log, deliverability::list, instances::list_instances, pools::list_pools, pools::suspend, pools::resume,
        pools::pool_receipt, checks::check, paces::reset, paces::probe, paces::pin, paces::mark, dead_letters::dead_letters, dead_letters::replay, dead_letters::discard,
        settings::show, problem_types::show, operations::healthz, readiness::readyz, operations::metrics, operations::actor_states,
    ),
    security(("api_key" = [])),
    modifiers(&ApiKeyScheme, &IdempotencyKeys, &Common),
)]
struct Description;

struct ApiKeyScheme;

impl utoipa::Modify for ApiKeyScheme {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_with(Default::default);
        components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// POSTs that take no `Idempotency-Key`: they change nothing, answer with a secret, or have a key of their own.
const WITHOUT_KEY: [&str; 10] = [
    "/v1/keys",
    "/v1/events/batch",
    "/v1/callbacks/{pool}",
    "/v1/audiences/count",
    "/v1/content/preview",
    "/v1/segments/estimate",
    "/v1/templates/{id}/preview",
    "/v1/campaigns/{id}/preflight",
    "/v1/campaigns/{id}/personalized-preview",
    "/v1/uncertain/{incident}/match",
];

struct IdempotencyKeys;

impl utoipa::Modify for IdempotencyKeys {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut description.paths.paths {
            let Some(post) = item.post.as_mut().filter(|_| !WITHOUT_KEY.contains(&path.as_str())) else { continue };
            let parameter = ParameterBuilder::new()
                .name(HEADER)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some("The same request with the same key gets the same answer, and is done once."))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255))));
            post.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
        }
    }
}

/// The description, but for the scopes that routes ask for.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// The description as it is served. It stays the same for as long as the process runs.
struct Served {
    body: Bytes,
    /// Weak: the same document may be compressed.
    tag: EntityTag,
}

impl Served {
    fn of(description: &utoipa::openapi::OpenApi) -> Self {
        let body = serde_json::to_vec(description).unwrap_or_default();
        let hash: String = Sha256::digest(&body).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self { body: body.into(), tag: EntityTag::new_weak(hash) }
    }
}

/// `/openapi.json`: needs no key. `asked` has the path, method and scope of every route that asks for a scope.
pub(super) async fn describe(
    request: HttpRequest,
    _: Query<()>,
    asked: impl Iterator<Item = (&'static str, &'static str, Scope)>,
) -> HttpResponse {
    static SERVED: OnceLock<Served> = OnceLock::new();
    let Served { body, tag } = SERVED.get_or_init(|| Served::of(&with_scopes(asked)));
    let is_known = match request.get_header::<IfNoneMatch>() {
        None => false,
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
    };
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header(ETag(tag.clone())).insert_header((CACHE_CONTROL, "no-cache"));
    if is_known { answer.finish() } else { answer.content_type(ContentType::json()).body(body.clone()) }
}

fn with_scopes(asked: impl Iterator<Item = (&'static str, &'static str, Scope)>) -> utoipa::openapi::OpenApi {
    let mut description = document();
    for (path, method, scope) in asked {
        let Some(item) = description.paths.paths.get_mut(path) else { continue };
        let operation = match method {
            "GET" => item.get.as_mut(),
            "POST" => item.post.as_mut(),
            "PUT" => item.put.as_mut(),
            "PATCH" => item.patch.as_mut(),
            "DELETE" => item.delete.as_mut(),
            _ => None,
        };
        if let Some(operation) = operation {
            operation.security = Some(vec![SecurityRequirement::new("api_key", [scope.as_str()])]);
        }
    }
    description
}
