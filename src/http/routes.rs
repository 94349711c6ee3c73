//! The route table. `doors.rs` serves it.

use actix_web::Route;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::to;

use self::Door::{AnyKey, Api, Open, Page, Provider, Public, SignIn};
use super::access::{limited, note_read, require_scope};
use super::api::access::{audit_log, keys, me};
use super::api::campaigns::{
    self, actions, audience, clicks, decisions, duplicate, export, links, minutes, of_contact as deliveries_of_contact,
    pace, page_map, preflight, preview, reasons, recipients, resolving, why,
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
use super::openapi;
use super::public::{self, confirm, pages, preferences, tracked, unsubscribe};
use super::ui::door::require_session;
use super::ui::{
    acts, api_keys, assets, audit, campaign, campaigns as campaign_list, choices, compose, composer, contact,
    contacts as contact_list, copy, decisions as decided, downloads, enter, form, import as import_page,
    imports as import_list, instances as machines, keys as keyboard, lift, lists as list_pages, live, mail, now,
    pace as pace_page, page_map as map_page, people, pool_acts, pool_check, pools as pool_list,
    preflight as preflight_page, search as search_page, segment_acts, segments as segment_list,
    settings as settings_page, suppressions as suppression_list, template_diff, template_edit, template_preview,
    template_versions, templates as template_list, uncertain as incidents, uncertain_acts, way, why as why_page,
};
pub use super::verb::Verb;
use super::web::head::without_body;
use super::web::idempotency::once;
use crate::domain::access::Scope::{self, Admin, Ingest, Operate, Read};
use crate::domain::access::audit::Object;
use crate::domain::access::limit::Limit;

/// Who knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Anybody: probes, the scraper of metrics, readers of the description. No key is asked for.
    Open,
    /// A recipient with a signed link. No key is asked for, and no account.
    Public,
    /// A provider that reports what became of messages. No key is asked for: the handler verifies its signature.
    Provider,
    /// A person with a browser who has not signed in yet. Below [`super::ui::UI`].
    SignIn,
    /// A person with a browser who has signed in with an API key whose scope includes this one. Below [`super::ui::UI`].
    Page(Scope),
    /// A program with an API key, whatever it allows. Below [`API`].
    AnyKey,
    /// A program with an API key whose scope includes this one. Below [`API`]. A key of less is refused before the handler,
    /// in `Entry::route` and nowhere else.
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
    /// Whose personal data it shows: the audit log counts who has read it.
    pub shows: Option<Object>,
    /// Which limit its requests count towards. Routes without a key have none.
    pub limit: Limit,
    handler: fn() -> Route,
}

impl Entry {
    const fn new(method: Verb, path: &'static str, door: Door, handler: fn() -> Route) -> Self {
        let limit = match (door, method) {
            (Api(Ingest), Verb::Post | Verb::Put | Verb::Patch | Verb::Delete) => Limit::Ingest,
            (Open | Public | Provider | SignIn | Page(_) | AnyKey | Api(_), _) => Limit::Requests,
        };
        Self { method, path, door, repeats: Repeats::NoKey, shows: None, limit, handler }
    }

    const fn once(self) -> Self {
        Self { repeats: Repeats::Once, ..self }
    }

    const fn keeps_key(self) -> Self {
        Self { repeats: Repeats::Handler, ..self }
    }

    const fn limited(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    const fn shows(self, object: Object) -> Self {
        Self { shows: Some(object), ..self }
    }

    pub(super) fn route(&self) -> Route {
        self.answering(self.method)
    }

    /// What is shown, without its body: services are watched so.
    pub(super) fn head(&self) -> Route {
        self.answering(Verb::Head).wrap(from_fn(without_body))
    }

    fn answering(&self, method: Verb) -> Route {
        let route = (self.handler)().method(method.method());
        let route = match (self.repeats, self.door) {
            (Repeats::Once, Page(_) | SignIn) => route.wrap(from_fn(form::once)),
            (Repeats::Once, Open | Public | Provider | AnyKey | Api(_)) => route.wrap(from_fn(once)),
            (Repeats::NoKey | Repeats::Handler, _) => route,
        };
        let route = match self.shows {
            None => route,
            Some(object) => route
                .wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| note_read(object, request, next))),
        };
        // The last one is the outermost: what is refused here costs nothing more.
        let limit = self.limit;
        let counted = |route: Route| {
            route.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| limited(limit, request, next)))
        };
        let keyed =
            |route: Route, asked: Scope| {
                counted(route.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
                    require_scope(asked, request, next)
                })))
            };
        match self.door {
            Open | Public | Provider | SignIn => route,
            Page(asked) => keyed(route, asked).wrap(from_fn(require_session)),
            AnyKey => counted(route),
            Api(asked) => keyed(route, asked),
        }
    }
}

const fn get(path: &'static str, door: Door, handler: fn() -> Route) -> Entry {
    Entry::new(Verb::Get, path, door, handler)
}

const fn head(path: &'static str, door: Door, handler: fn() -> Route) -> Entry {
    Entry::new(Verb::Head, path, door, handler)
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
    get("/openapi.json", Open, || to(|request, query| openapi::describe(request, query, asked_scopes()))),
    get("/problems/{code}", Open, || to(problem_types::show)),
    get("/u/{token}", Public, || to(unsubscribe::show)),
    head("/u/{token}", Public, || to(unsubscribe::show)),
    post("/u/{token}", Public, || to(unsubscribe::refuse)),
    get("/preferences/{token}", Public, || to(preferences::show)),
    head("/preferences/{token}", Public, || to(preferences::show)),
    post("/preferences/{token}", Public, || to(preferences::change)),
    get("/confirm/{token}", Public, || to(confirm::show)),
    head("/confirm/{token}", Public, || to(confirm::show)),
    post("/confirm/{token}", Public, || to(confirm::answer_it)),
    get("/t/c/{token}/{target}", Public, || to(tracked::follow)),
    head("/t/c/{token}/{target}", Public, || to(tracked::follow)),
    get("/t/o/{token}", Public, || to(tracked::open)),
    head("/t/o/{token}", Public, || to(tracked::open)),
    get("/assets/public.css", Public, || to(pages::style)),
    get("/ui", Page(Read), || to(now::show)),
    get("/ui/live", Page(Read), || to(live::stream)),
    get("/ui/search", Page(Read), || {
        to(|state, frame, by, query| search_page::show(state, frame, by, query, shown_to))
    }),
    get("/ui/campaigns", Page(Read), || to(campaign_list::list)),
    get("/ui/campaigns/new", Page(Operate), || to(compose::ask)),
    post("/ui/campaigns/new", Page(Operate), || to(compose::make)).once(),
    get("/ui/campaigns/{id}", Page(Read), || to(campaign::show)),
    get("/ui/campaigns/{id}/edit", Page(Operate), || to(composer::show)).shows(Object::Contact),
    post("/ui/campaigns/{id}/edit", Page(Operate), || to(composer::save)).once(),
    get("/ui/campaigns/{id}/edit/files", Page(Operate), || to(composer::show)).shows(Object::Contact),
    post("/ui/campaigns/{id}/edit/files", Page(Operate), || to(composer::bring)).keeps_key(),
    get("/ui/campaigns/{id}/mail", Page(Read), || to(mail::show)).shows(Object::Contact),
    get("/ui/campaigns/{id}/people", Page(Read), || to(people::show)).shows(Object::Campaign),
    get("/ui/campaigns/{id}/people/find", Page(Read), || to(why_page::find)),
    get("/ui/campaigns/{id}/people/{contact_id}", Page(Read), || to(why_page::show)).shows(Object::Campaign),
    get("/ui/campaigns/{id}/deliveries/export", Page(Read), || to(downloads::deliveries)).shows(Object::Campaign),
    get("/ui/campaigns/{id}/decisions", Page(Read), || to(decided::show)),
    get("/ui/campaigns/{id}/pace", Page(Read), || to(pace_page::show)),
    get("/ui/campaigns/{id}/books", Page(Read), || to(people::books)),
    get("/ui/campaigns/{id}/pages", Page(Read), || to(map_page::show)),
    get("/ui/campaigns/{id}/preflight", Page(Read), || to(preflight_page::show)).shows(Object::Campaign),
    post("/ui/campaigns/{id}/preflight", Page(Read), || to(preflight_page::check)),
    get("/ui/campaigns/{id}/send", Page(Operate), || to(preflight_page::to_form)),
    post("/ui/campaigns/{id}/send", Page(Operate), || to(preflight_page::send)).once().limited(Limit::Launches),
    get("/ui/campaigns/{id}/copy", Page(Operate), || to(copy::ask)),
    post("/ui/campaigns/{id}/copy", Page(Operate), || to(copy::make)).once(),
    get("/ui/campaigns/{id}/way", Page(Operate), || to(way::ask)),
    post("/ui/campaigns/{id}/way", Page(Operate), || to(way::change)).once(),
    get("/ui/campaigns/{id}/pause", Page(Operate), || to(acts::ask)),
    post("/ui/campaigns/{id}/pause", Page(Operate), || to(acts::carry_out)).once(),
    get("/ui/campaigns/{id}/resume", Page(Operate), || to(acts::ask)),
    post("/ui/campaigns/{id}/resume", Page(Operate), || to(acts::carry_out)).once(),
    get("/ui/campaigns/{id}/stop", Page(Operate), || to(acts::ask)),
    post("/ui/campaigns/{id}/stop", Page(Operate), || to(acts::carry_out)).once(),
    get("/ui/contacts", Page(Read), || to(contact_list::list)).shows(Object::Contact),
    get("/ui/contacts/export", Page(Read), || to(downloads::contacts)).shows(Object::Contact),
    get("/ui/contacts/{id}", Page(Read), || to(contact::show)).shows(Object::Contact),
    get("/ui/lists", Page(Read), || to(list_pages::list)),
    get("/ui/lists/{id}", Page(Read), || to(list_pages::show)),
    get("/ui/lists/{id}/members/export", Page(Read), || to(downloads::members)).shows(Object::List),
    get("/ui/imports", Page(Read), || to(import_list::list)),
    post("/ui/imports", Page(Ingest), || to(import_list::upload)).keeps_key(),
    get("/ui/imports/preview", Page(Read), || to(import_list::list)),
    post("/ui/imports/preview", Page(Ingest), || to(import_list::look)),
    get("/ui/imports/{id}", Page(Read), || to(import_page::show)),
    get("/ui/imports/{id}/rejected.csv", Page(Read), || to(import_page::rejected)).shows(Object::Import),
    get("/ui/segments", Page(Read), || to(segment_list::list)),
    get("/ui/segments/{id}", Page(Read), || to(segment_list::show)).shows(Object::Segment),
    get("/ui/segments/{id}/explain", Page(Read), || to(segment_acts::explain)).shows(Object::Segment),
    get("/ui/segments/{id}/enable", Page(Operate), || to(segment_acts::ask)),
    post("/ui/segments/{id}/enable", Page(Operate), || to(segment_acts::carry_out)).once(),
    get("/ui/segments/{id}/disable", Page(Operate), || to(segment_acts::ask)),
    post("/ui/segments/{id}/disable", Page(Operate), || to(segment_acts::carry_out)).once(),
    get("/ui/suppressions", Page(Read), || to(suppression_list::list)).shows(Object::Suppression),
    get("/ui/suppressions/lift", Page(Operate), || to(lift::ask)).shows(Object::Suppression),
    post("/ui/suppressions/lift", Page(Operate), || to(lift::carry_out)).once(),
    get("/ui/templates", Page(Read), || to(template_list::list)),
    get("/ui/templates/new", Page(Operate), || to(template_edit::blank)),
    post("/ui/templates/new", Page(Operate), || to(template_edit::create)).once(),
    get("/ui/templates/new/files", Page(Operate), || to(template_edit::blank)),
    post("/ui/templates/new/files", Page(Operate), || to(template_edit::bring)).keeps_key(),
    post("/ui/templates/preview", Page(Read), || to(template_preview::typed)).shows(Object::Contact),
    get("/ui/templates/{id}", Page(Read), || to(template_list::show)),
    get("/ui/templates/{id}/edit", Page(Operate), || to(template_edit::ask)),
    post("/ui/templates/{id}/edit", Page(Operate), || to(template_edit::save)).once(),
    get("/ui/templates/{id}/edit/files", Page(Operate), || to(template_edit::ask)),
    post("/ui/templates/{id}/edit/files", Page(Operate), || to(template_edit::bring_to)).keeps_key(),
    get("/ui/templates/{id}/versions", Page(Read), || to(template_versions::list)),
    get("/ui/templates/{id}/compare", Page(Read), || to(template_diff::show)),
    get("/ui/templates/{id}/preview", Page(Read), || to(template_preview::stored)).shows(Object::Contact),
    get("/ui/pools", Page(Read), || to(pool_list::list)),
    get("/ui/pools/{name}", Page(Read), || to(pool_list::show)),
    get("/ui/pools/{name}/suspend", Page(Admin), || to(pool_acts::ask)),
    post("/ui/pools/{name}/suspend", Page(Admin), || to(pool_acts::carry_out)).once(),
    get("/ui/pools/{name}/resume", Page(Admin), || to(pool_acts::ask)),
    post("/ui/pools/{name}/resume", Page(Admin), || to(pool_acts::carry_out)).once(),
    get("/ui/pools/{name}/check", Page(Operate), || to(pool_check::ask)),
    post("/ui/pools/{name}/check", Page(Operate), || to(pool_check::carry_out)).once(),
    get("/ui/uncertain", Page(Read), || to(incidents::list)),
    get("/ui/uncertain/{incident}", Page(Read), || to(incidents::show)).shows(Object::Campaign),
    get("/ui/uncertain/{incident}/match", Page(Read), || to(incidents::show)).shows(Object::Campaign),
    post("/ui/uncertain/{incident}/match", Page(Read), || to(incidents::match_log)).shows(Object::Campaign),
    get("/ui/uncertain/{incident}/resolve", Page(Operate), || to(uncertain_acts::ask)),
    post("/ui/uncertain/{incident}/resolve", Page(Operate), || to(uncertain_acts::carry_out)).once(),
    get("/ui/instances", Page(Read), || to(machines::list)),
    get("/ui/api-keys", Page(Admin), || to(api_keys::list)),
    post("/ui/api-keys", Page(Admin), || to(api_keys::make)).once(),
    get("/ui/api-keys/{id}/revoke", Page(Admin), || to(api_keys::ask)),
    post("/ui/api-keys/{id}/revoke", Page(Admin), || to(api_keys::revoke)).once(),
    get("/ui/audit", Page(Admin), || to(audit::list)),
    get("/ui/settings", Page(Admin), || to(settings_page::show)),
    get("/ui/enter", SignIn, || to(enter::show)),
    post("/ui/enter", SignIn, || to(enter::enter)),
    post("/ui/leave", SignIn, || to(enter::leave)),
    post("/ui/theme", SignIn, || to(choices::theme)),
    get("/ui/keys", Page(Read), || to(keyboard::show)),
    post("/ui/keys", SignIn, || to(choices::keys)),
    get("/ui/assets/{name}", SignIn, || to(assets::serve)),
    post("/v1/callbacks/{pool}", Provider, || to(public::callbacks::take)),
    get("/v1/callbacks", Api(Read), || to(callbacks::list)),
    post("/v1/callbacks/{id}/replay", Api(Operate), || to(callbacks::replay)).once(),
    get("/v1/me", AnyKey, || to(me::show)),
    get("/v1/keys", Api(Admin), || to(keys::list)),
    post("/v1/keys", Api(Admin), || to(keys::create)),
    delete("/v1/keys/{id}", Api(Admin), || to(keys::revoke)),
    get("/v1/audit-log", Api(Admin), || to(audit_log::list)),
    get("/v1/contacts", Api(Read), || to(contacts::list)).shows(Object::Contact),
    post("/v1/contacts", Api(Ingest), || to(contacts::upsert)).once(),
    get("/v1/contacts/export", Api(Read), || to(exports::contacts)).shows(Object::Contact),
    post("/v1/contacts/import", Api(Ingest), || to(imports::upload)).keeps_key(),
    post("/v1/contacts/tags", Api(Ingest), || to(tags::change_many)).once(),
    post("/v1/contacts/{id}/tags", Api(Ingest), || to(tags::change)).once(),
    get("/v1/contacts/{id}", Api(Read), || to(contacts::show)).shows(Object::Contact),
    patch("/v1/contacts/{id}", Api(Ingest), || to(contacts::change)),
    delete("/v1/contacts/{id}", Api(Ingest), || to(contacts::delete)),
    get("/v1/imports", Api(Read), || to(imports::list)),
    get("/v1/imports/{id}", Api(Ingest), || to(imports::show)),
    get("/v1/imports/{id}/rejected.csv", Api(Read), || to(rejected_rows::download)).shows(Object::Import),
    get("/v1/lists", Api(Read), || to(lists::list)),
    post("/v1/lists", Api(Operate), || to(lists::create)).once(),
    get("/v1/lists/{id}", Api(Read), || to(lists::show)),
    patch("/v1/lists/{id}", Api(Operate), || to(lists::change)),
    delete("/v1/lists/{id}", Api(Operate), || to(lists::delete)),
    post("/v1/lists/{id}/subscribe", Api(Ingest), || to(subscriptions::subscribe)).once(),
    post("/v1/lists/{id}/unsubscribe", Api(Ingest), || to(subscriptions::unsubscribe)).once(),
    get("/v1/lists/{id}/members", Api(Read), || to(lists::members)).shows(Object::List),
    post("/v1/lists/{id}/members", Api(Ingest), || to(lists::add_members)).once(),
    delete("/v1/lists/{id}/members", Api(Ingest), || to(lists::remove_members)),
    get("/v1/lists/{id}/members/export", Api(Read), || to(exports::members)).shows(Object::List),
    delete("/v1/lists/{id}/members/{contact_id}", Api(Ingest), || to(lists::remove_member)),
    get("/v1/suppressions", Api(Read), || to(suppressions::list)).shows(Object::Suppression),
    post("/v1/suppressions", Api(Ingest), || to(suppressions::add)).once(),
    delete("/v1/suppressions", Api(Operate), || to(suppressions::remove)),
    post("/v1/suppressions/undo", Api(Admin), || to(undo_bounces::undo)).once(),
    get("/v1/suppressions/domains", Api(Read), || to(suppressions::domains)),
    get("/v1/suppressions/export", Api(Read), || to(suppressions::export)).shows(Object::Suppression),
    post("/v1/suppressions/import", Api(Ingest), || to(suppression_imports::upload)).keeps_key(),
    get("/v1/consent", Api(Read), || to(consent::list)).shows(Object::Suppression),
    get("/v1/events", Api(Read), || to(events::list)).shows(Object::Event),
    post("/v1/events", Api(Ingest), || to(events::send)).keeps_key(),
    post("/v1/events/batch", Api(Ingest), || to(events::send_batch)),
    get("/v1/events/{id}", Api(Read), || to(events::show)).shows(Object::Event),
    get("/v1/contacts/{id}/lists", Api(Read), || to(of_contact::lists)).shows(Object::Contact),
    get("/v1/contacts/{id}/suppressions", Api(Read), || to(of_contact::suppressions)).shows(Object::Contact),
    get("/v1/contacts/{id}/deliveries", Api(Read), || to(deliveries_of_contact::list)).shows(Object::Contact),
    get("/v1/contacts/{id}/segments", Api(Read), || to(members::of_contact)).shows(Object::Contact),
    get("/v1/segments", Api(Read), || to(segments::list)),
    post("/v1/segments", Api(Operate), || to(segments::create)).once(),
    post("/v1/segments/estimate", Api(Read), || to(criteria::estimate)),
    get("/v1/segments/{id}", Api(Read), || to(segments::show)),
    patch("/v1/segments/{id}", Api(Operate), || to(segments::change)),
    delete("/v1/segments/{id}", Api(Operate), || to(segments::delete)),
    post("/v1/segments/{id}/enable", Api(Operate), || to(segments::enable)).once(),
    post("/v1/segments/{id}/disable", Api(Operate), || to(segments::disable)).once(),
    post("/v1/segments/{id}/recompute", Api(Operate), || to(segments::recompute_all)).once(),
    get("/v1/segments/{id}/members", Api(Read), || to(members::list)).shows(Object::Segment),
    get("/v1/segments/{id}/transitions", Api(Read), || to(members::transitions)).shows(Object::Segment),
    get("/v1/segments/{id}/explain/{contact_id}", Api(Read), || to(members::explain)).shows(Object::Segment),
    get("/v1/reactions", Api(Read), || to(reactions::list)).shows(Object::Reaction),
    post("/v1/reactions/{id}/retry", Api(Operate), || to(reactions::retry)).once(),
    post("/v1/reactions/retry", Api(Operate), || to(reactions::retry_all)).once(),
    get("/v1/tags", Api(Read), || to(tags::list)),
    get("/v1/attributes", Api(Read), || to(attributes::list)),
    get("/v1/files", Api(Read), || to(files::list)),
    post("/v1/files", Api(Operate), || to(files::upload)).once(),
    get("/v1/files/{id}", Api(Read), || to(files::show)),
    delete("/v1/files/{id}", Api(Operate), || to(files::delete)),
    get("/v1/templates", Api(Read), || to(templates::list)),
    post("/v1/templates", Api(Operate), || to(templates::create)).once(),
    get("/v1/templates/{id}", Api(Read), || to(templates::show)),
    put("/v1/templates/{id}", Api(Operate), || to(templates::replace)),
    patch("/v1/templates/{id}", Api(Operate), || to(templates::change)),
    delete("/v1/templates/{id}", Api(Operate), || to(templates::delete)),
    get("/v1/templates/{id}/versions", Api(Read), || to(templates::versions)),
    post("/v1/templates/{id}/preview", Api(Read), || to(templates::preview)).shows(Object::Contact),
    post("/v1/content/preview", Api(Read), || to(previews::preview)).shows(Object::Contact),
    post("/v1/audiences/count", Api(Read), || to(audience::count)),
    get("/v1/campaigns", Api(Read), || to(campaigns::list)),
    post("/v1/campaigns", Api(Operate), || to(campaigns::create)).keeps_key(),
    post("/v1/campaigns/bulk-action", Api(Operate), || to(actions::bulk)).once(),
    get("/v1/campaigns/{id}", Api(Read), || to(campaigns::show)),
    patch("/v1/campaigns/{id}", Api(Operate), || to(campaigns::change)),
    delete("/v1/campaigns/{id}", Api(Operate), || to(campaigns::delete)),
    post("/v1/campaigns/{id}/duplicate", Api(Operate), || to(duplicate::duplicate)).once(),
    post("/v1/campaigns/{id}/send", Api(Operate), || to(actions::send)).keeps_key().limited(Limit::Launches),
    post("/v1/campaigns/{id}/pause", Api(Operate), || to(actions::pause)).once(),
    post("/v1/campaigns/{id}/resume", Api(Operate), || to(actions::resume)).once(),
    post("/v1/campaigns/{id}/stop", Api(Operate), || to(actions::stop)).once(),
    post("/v1/campaigns/{id}/schedule", Api(Operate), || to(actions::schedule)).once(),
    post("/v1/campaigns/{id}/unschedule", Api(Operate), || to(actions::unschedule)).once(),
    post("/v1/campaigns/{id}/retry-failed", Api(Operate), || to(actions::retry_failed)).once().limited(Limit::Launches),
    post("/v1/campaigns/{id}/preflight", Api(Read), || to(preflight::preflight)).shows(Object::Campaign),
    post("/v1/campaigns/{id}/personalized-preview", Api(Read), || to(preview::preview)).shows(Object::Contact),
    post("/v1/campaigns/{id}/test-send", Api(Operate), || to(preview::test_send)).once().limited(Limit::Messages),
    get("/v1/campaigns/{id}/deliveries", Api(Read), || to(recipients::list)).shows(Object::Campaign),
    get("/v1/campaigns/{id}/deliveries/export", Api(Read), || to(export::export)).shows(Object::Campaign),
    get("/v1/campaigns/{id}/deliveries/{contact_id}/links", Api(Operate), || to(links::show)),
    get("/v1/campaigns/{id}/why/{contact_id}", Api(Read), || to(why::show)).shows(Object::Campaign),
    post("/v1/campaigns/{id}/deliveries/resolve", Api(Operate), || to(resolving::resolve)).once(),
    get("/v1/campaigns/{id}/deliveries/{contact_id}", Api(Read), || to(why::delivery)).shows(Object::Campaign),
    get("/v1/campaigns/{id}/links", Api(Read), || to(clicks::list)),
    get("/v1/campaigns/{id}/minutes", Api(Read), || to(minutes::list)),
    get("/v1/campaigns/{id}/pace", Api(Read), || to(pace::show)),
    get("/v1/campaigns/{id}/pages", Api(Read), || to(page_map::show)),
    get("/v1/campaigns/{id}/reasons", Api(Read), || to(reasons::list)),
    get("/v1/campaigns/{id}/decisions", Api(Read), || to(decisions::list)),
    get("/v1/campaigns/{id}/audit", Api(Read), || to(recipients::audit)),
    get("/v1/campaigns/{id}/receipt", Api(Read), || to(actions::receipt)),
    get("/v1/overview", Api(Read), || to(overview::show)),
    get("/v1/stats", Api(Read), || to(stats::show)),
    get("/v1/stream", Api(Read), || to(stream::stream)),
    get("/v1/search", Api(Read), || to(|state, by, query| search::show(state, by, query, shown_to))),
    get("/v1/uncertain", Api(Read), || to(uncertain::list)),
    get("/v1/uncertain/{incident}", Api(Read), || to(uncertain::show)).shows(Object::Campaign),
    post("/v1/uncertain/{incident}/match", Api(Read), || to(provider_logs::match_log)),
    get("/v1/deliverability", Api(Read), || to(deliverability::list)),
    get("/v1/instances", Api(Read), || to(instances::list_instances)),
    get("/v1/pools", Api(Read), || to(pools::list_pools)),
    post("/v1/pools/{name}/suspend", Api(Admin), || to(pools::suspend)).once(),
    post("/v1/pools/{name}/resume", Api(Admin), || to(pools::resume)).once(),
    get("/v1/pools/{name}/receipt", Api(Read), || to(pools::pool_receipt)),
    post("/v1/pools/{name}/check", Api(Operate), || to(checks::check)).once(),
    post("/v1/pools/{name}/pace/reset", Api(Admin), || to(paces::reset)).once(),
    post("/v1/pools/{name}/pace/probe", Api(Admin), || to(paces::probe)).once(),
    post("/v1/pools/{name}/pace/pin", Api(Admin), || to(paces::pin)).once(),
    post("/v1/pools/{name}/pace/mark", Api(Admin), || to(paces::mark)).once(),
    get("/v1/dead-letters", Api(Read), || to(dead_letters::dead_letters)),
    post("/v1/dead-letters/{id}/replay", Api(Admin), || to(dead_letters::replay)).once(),
    delete("/v1/dead-letters/{id}", Api(Operate), || to(dead_letters::discard)),
    get("/v1/settings", Api(Admin), || to(settings::show)),
    get("/v1/admin/state", Api(Read), || to(operations::actor_states)),
];

/// The scope that the GET of a path in this table asks for. `None`: there is no such route, or it asks for none.
fn shown_to(path: &str) -> Option<Scope> {
    let entry = TABLE.iter().find(|entry| entry.path == path && entry.method == Verb::Get)?;
    match entry.door {
        Page(asked) | Api(asked) => Some(asked),
        Open | Public | Provider | SignIn | AnyKey => None,
    }
}

/// Path, method and scope of every route that asks for one.
fn asked_scopes() -> impl Iterator<Item = (&'static str, &'static str, Scope)> {
    TABLE.iter().filter_map(|entry| match entry.door {
        Open | Public | Provider | SignIn | Page(_) | AnyKey => None,
        Api(asked) => Some((entry.path, entry.method.as_str(), asked)),
    })
}
