//! `/v1/search`: whatever goes by an id, an address, a key, or the beginning of a name. Each kind is looked up by an index, in a bounded
//! number: nothing here is slower because there are many contacts.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::campaigns::why;
use super::known_acts::{self, KnownAct, On};
use super::known_pages::{self, KnownPage};
use crate::domain::access::Scope;
use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ContactId;
use crate::domain::people::contact::{BuiltIn, Fields};
use crate::domain::people::spelling::composed;
use crate::domain::text_enum::text_enum;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query, bad_parameter};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::store::access::api_keys;
use crate::store::campaigns::glance;
use crate::store::naming::{self, Named};
use crate::store::people::contact_filter::{self, ContactFilter};
use crate::store::people::contact_row::ContactRow;
use crate::store::people::contacts;
use crate::store::replicas::pool_switches;
use crate::store::{Conn, Lane, StoreError};

/// Most hits of one kind.
const MOST: usize = 6;

/// Most campaigns that are looked at for what can be done with them.
const LOOKED_AT: usize = 50;

/// The longest text, in characters: as long as an address may be.
pub(in crate::http) const LONGEST: usize = 320;

/// Of a path, the scope that its GET asks for. `None`: no route shows it.
pub(in crate::http) type Shown = fn(&str) -> Option<Scope>;

text_enum! {
    /// What was found.
    HitKind {
        /// A message to one recipient, by its key or its `Message-ID`.
        Delivery = "delivery",
        /// What can be done with a campaign or a pool: the page that asks before.
        Act = "act",
        /// A page for operators.
        Page = "page",
        /// A campaign.
        Campaign = "campaign",
        /// A contact.
        Contact = "contact",
        /// A list.
        List = "list",
        /// A segment.
        Segment = "segment",
        /// A template.
        Template = "template",
        /// A sender pool.
        Pool = "pool",
        /// An API key.
        ApiKey = "api_key",
    }
}

impl HitKind {
    /// The routes that show one: for programs, and for people.
    const fn routes(self) -> (&'static str, &'static str) {
        match self {
            Self::Delivery => ("/v1/campaigns/{id}/why/{contact_id}", "/ui/campaigns/{id}/people/{contact_id}"),
            Self::Act | Self::Page => ("", ""),
            Self::Campaign => ("/v1/campaigns/{id}", "/ui/campaigns/{id}"),
            Self::Contact => ("/v1/contacts/{id}", "/ui/contacts/{id}"),
            Self::List => ("/v1/lists/{id}", "/ui/lists/{id}"),
            Self::Segment => ("/v1/segments/{id}", "/ui/segments/{id}"),
            Self::Template => ("/v1/templates/{id}", "/ui/templates/{id}"),
            Self::Pool => ("/v1/pools", "/ui/pools/{name}"),
            Self::ApiKey => ("/v1/keys", "/ui/api-keys"),
        }
    }

    const fn named(self) -> Option<Named> {
        match self {
            Self::Campaign => Some(Named::Campaigns),
            Self::List => Some(Named::Lists),
            Self::Segment => Some(Named::Segments),
            Self::Template => Some(Named::Templates),
            Self::ApiKey => Some(Named::ApiKeys),
            Self::Delivery | Self::Act | Self::Page | Self::Contact | Self::Pool => None,
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Hit {
    pub(in crate::http) kind: HitKind,
    /// Its id; of a pool its name, of a delivery `CAMPAIGN/CONTACT`, of a page and of an act its path.
    pub(in crate::http) id: String,
    /// What people call it.
    pub(in crate::http) title: String,
    /// What tells it from others: a status, a slug, a channel, a scope, a name. Absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) detail: Option<String>,
    /// The page that shows it. `null`: there is none.
    pub(in crate::http) page: Option<String>,
    /// The path of the API that shows it, alone or among others. `null`: there is none.
    pub(in crate::http) path: Option<String>,
}

/// A kind that was not looked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct LeftOut {
    pub(in crate::http) kind: HitKind,
    /// The scope that a key needs for it.
    pub(in crate::http) scope: Scope,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(in crate::http) struct Found {
    /// The hits: kinds stand together, each with the best first, and has six at most.
    pub(in crate::http) data: Vec<Hit>,
    /// Kinds of which more fits: a longer text finds them.
    pub(in crate::http) more: Vec<HitKind>,
    /// Kinds that were not looked for, because the key of the request may not see them.
    pub(in crate::http) left_out: Vec<LeftOut>,
}

/// What is searched for.
pub(in crate::http) struct Sought(pub(in crate::http) String);

impl FromQuery for Sought {
    const NAMES: &'static [&'static str] = &["q"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let reason = || "give a text: the beginning of a name, an id, an address, a Message-ID".to_owned();
        let text = read(params)?;
        text.map(Self).ok_or_else(|| bad_parameter("q", "required", reason()))
    }
}

/// The text that is searched for, if any is given.
pub(in crate::http) fn read(params: &Params) -> Result<Option<String>, ApiError> {
    let text = params.short("q", LONGEST)?.map(|text| composed(text.trim()).into_owned());
    if text.as_ref().is_some_and(|text| text.starts_with(api_keys::KEY_PREFIX)) {
        let reason = "this is the secret of an API key: search for the key's name".to_owned();
        return Err(bad_parameter("q", "key_in_query", reason));
    }
    Ok(text.filter(|text| !text.is_empty()))
}

/// Finds campaigns, lists, segments, templates, pools and API keys by the beginning of their name, by id or slug; contacts by their exact email
/// address, phone number, external id or id; a delivery by its key or `Message-ID`; pages by what they are called; and what can be done with a
/// campaign or a pool by its verb and the beginning of the name, such as `pause spring`. Six of a kind at most.
/// Kinds that the key of the request may not see are not looked for, and are named.
#[utoipa::path(get, path = "/v1/search", tag = "operations",
    params(("q" = String, Query, description = "1 to 320 characters.")),
    responses((status = 200, body = Found), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    by: By,
    Query(Sought(text)): Query<Sought>,
    shown: Shown,
) -> Result<web::Json<Found>, ApiError> {
    Ok(web::Json(found(&state, &by, text, shown).await?))
}

/// Finds what fits a text, as far as `by` may see it.
pub(in crate::http) async fn found(state: &AppState, by: &By, text: String, shown: Shown) -> Result<Found, ApiError> {
    let may = |path: &str| shown(path).is_some_and(|asked| by.rights.scope.includes(asked));
    let page = |page: KnownPage| Hit {
        page: Some(page.page.to_owned()),
        path: page.path.map(str::to_owned),
        ..hit(HitKind::Page, page.page, page.title.to_owned(), String::new())
    };
    let mut hits: Vec<Hit> = known_pages::fitting(&text, may).into_iter().map(page).collect();
    let mut left_out = Vec::new();
    let mut kinds = Vec::new();
    for kind in HitKind::ALL.iter().copied().filter(|kind| *kind != HitKind::Page) {
        let path = kind.routes().0;
        match shown(path) {
            Some(scope) if !by.rights.scope.includes(scope) => left_out.push(LeftOut { kind, scope }),
            _ => kinds.push(kind),
        }
    }
    if kinds.contains(&HitKind::Delivery) {
        hits.extend(delivery(state, &text).await?);
    }
    let acts = known_acts::fitting(&text, may);
    let names: Vec<String> = state.settings.pools.iter().map(|pool| pool.name.clone()).collect();
    let look = move |conn: &mut Conn| {
        conn.snapshot(|conn| {
            let done = done_with(conn, &acts, &names)?;
            looked_up(conn, &kinds, &text, names).map(|hits| done.into_iter().chain(hits).collect::<Vec<_>>())
        })
    };
    hits.extend(state.store.run(Lane::Read, "search", look).await?);
    if hits.iter().any(|hit| hit.kind == HitKind::Contact) {
        state.gathered.note(by.clone(), Action::Read, Object::Contact, None);
    }
    Ok(answer(hits, left_out, may))
}

/// The hits in order, six of a kind, each with the places that show it.
fn answer(mut hits: Vec<Hit>, left_out: Vec<LeftOut>, may: impl Fn(&str) -> bool) -> Found {
    hits.sort_by_key(|hit| HitKind::ALL.iter().position(|kind| *kind == hit.kind));
    let mut found = Found { left_out, ..Found::default() };
    for hit in hits {
        if found.data.iter().filter(|known| known.kind == hit.kind).count() < MOST {
            found.data.push(placed(hit, &may));
        } else if !found.more.contains(&hit.kind) {
            found.more.push(hit.kind);
        }
    }
    found
}

fn placed(hit: Hit, may: impl Fn(&str) -> bool) -> Hit {
    if matches!(hit.kind, HitKind::Page | HitKind::Act) {
        return hit;
    }
    let fill = |route: &str| {
        let (id, contact) = hit.id.split_once('/').unwrap_or((&hit.id, ""));
        may(route).then(|| route.replace("{id}", id).replace("{name}", id).replace("{contact_id}", contact))
    };
    let (path, page) = hit.kind.routes();
    // A key has its place on the page of all of them.
    let anchor = if hit.kind == HitKind::ApiKey { format!("#key-{}", hit.id) } else { String::new() };
    Hit { path: fill(path), page: fill(page).map(|page| page + &anchor), ..hit }
}

fn hit(kind: HitKind, id: impl ToString, title: String, detail: String) -> Hit {
    let detail = Some(detail).filter(|detail| !detail.is_empty());
    Hit { kind, id: id.to_string(), title, detail, page: None, path: None }
}

/// The message that a key or a `Message-ID` names.
async fn delivery(state: &AppState, text: &str) -> Result<Option<Hit>, ApiError> {
    let Some((id, contact)) = why::keyed(state, text).await? else { return Ok(None) };
    let read = move |conn: &mut Conn| glance::these(conn, &[id]);
    let campaign = state.store.run(Lane::Read, "read a campaign", read).await?.pop();
    let key = format!("{id}/{contact}");
    Ok(campaign.map(|campaign| hit(HitKind::Delivery, key, campaign.name, format!("to contact {contact}"))))
}

/// What can be done with campaigns and pools whose names begin with a text: one more than is shown.
fn done_with(conn: &mut Conn, acts: &[(KnownAct, String)], pools: &[String]) -> Result<Vec<Hit>, StoreError> {
    let mut hits = Vec::new();
    for (act, name) in acts {
        let one = |page: String, name: &str, detail: String| {
            let title = format!("{} {name}", act.verb);
            Hit { page: Some(page.clone()), ..hit(HitKind::Act, page, title, detail) }
        };
        match act.on {
            On::Campaigns(_) => {
                let lines = naming::fitting(conn, Named::Campaigns, name, LOOKED_AT)?;
                let fitting = lines.into_iter().filter(|line| act.on.campaign_of(&line.note)).take(MOST + 1);
                hits.extend(
                    fitting.map(|line| one(act.page.replace("{id}", &line.id.to_string()), &line.name, line.note)),
                );
            }
            On::Pools { suspended } => {
                let (switches, now) = pool_switches::all(conn)?;
                let holds = |pool: &str| switches.iter().any(|switch| switch.pool == pool && switch.holds(now));
                let begins = |pool: &&String| pool.to_lowercase().starts_with(&name.to_lowercase());
                let fitting = pools.iter().filter(begins).filter(|pool| holds(pool) == suspended).take(MOST + 1);
                hits.extend(
                    fitting.map(|pool| one(act.page.replace("{name}", pool), &format!("pool {pool}"), String::new())),
                );
            }
        }
    }
    Ok(hits)
}

/// What these kinds have that fits: one more of each than is shown.
fn looked_up(conn: &mut Conn, kinds: &[HitKind], text: &str, pools: Vec<String>) -> Result<Vec<Hit>, StoreError> {
    let mut hits = Vec::new();
    for kind in kinds.iter().copied() {
        if let Some(named) = kind.named() {
            let lines = naming::fitting(conn, named, text, MOST + 1)?;
            hits.extend(lines.into_iter().map(|line| hit(kind, line.id, line.name, line.note)));
        }
    }
    if kinds.contains(&HitKind::Contact) {
        hits.extend(contacts_with(conn, text)?);
    }
    if kinds.contains(&HitKind::Pool) {
        hits.extend(pools_named(conn, text, pools)?);
    }
    Ok(hits)
}

/// The living contacts that a text is a key or the id of.
fn contacts_with(conn: &mut Conn, text: &str) -> Result<Vec<Hit>, StoreError> {
    let mut ids: Vec<ContactId> = Vec::new();
    let is_id = text.bytes().all(|byte| byte.is_ascii_digit());
    ids.extend(text.parse().ok().filter(|id: &i64| is_id && *id > 0).map(ContactId));
    let field = match text {
        _ if text.contains('@') => BuiltIn::Email,
        _ if text.starts_with('+') => BuiltIn::Phone,
        _ => BuiltIn::ExternalId,
    };
    // An external id may look like anything.
    for field in [Some(field), (field != BuiltIn::ExternalId).then_some(BuiltIn::ExternalId)].into_iter().flatten() {
        let Ok(Some(value)) = field.parse(text) else { continue };
        let mut keys = Fields::default();
        *keys.get_mut(field) = Some(value);
        let filter = ContactFilter { keys, ..ContactFilter::default() };
        ids.extend(contact_filter::ids(conn, &filter, (ContactId(0), ContactId(i64::MAX)), 1)?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(contacts::these(conn, &ids)?.into_iter().map(contact).collect())
}

/// A contact, by the strongest of its keys.
fn contact(row: ContactRow) -> Hit {
    let Fields { email, phone, external_id, first_name, last_name, .. } = row.fields;
    let title = email.or(phone).or(external_id).unwrap_or_else(|| format!("contact {}", row.id));
    let names: Vec<String> = [first_name, last_name].into_iter().flatten().collect();
    hit(HitKind::Contact, row.id, title, names.join(" "))
}

/// The pools of this instance, and those that were ever suspended, whose names begin with a text.
fn pools_named(conn: &mut Conn, text: &str, mut names: Vec<String>) -> Result<Vec<Hit>, StoreError> {
    names.extend(pool_switches::all(conn)?.0.into_iter().map(|switch| switch.pool));
    names.sort_unstable();
    names.dedup();
    let text = text.to_lowercase();
    let fitting = names.into_iter().filter(|name| name.to_lowercase().starts_with(&text));
    Ok(fitting.map(|name| hit(HitKind::Pool, name.clone(), name, String::new())).collect())
}
