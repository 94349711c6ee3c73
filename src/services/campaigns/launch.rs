//! The launch, for every door: everything that must be true is checked, then one transaction.

use std::time::Instant;

use serde_json::json;

use super::audience_campaigns;
use super::audience_segments::{self, MembersNotKnown};
use super::carried::tracked;
use super::fingerprint::{self, Pinned};
use super::known_names::known_names;
use super::terms::Terms;
use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::domain::access::Scope;
use crate::domain::access::audit::{Action, Object};
use crate::domain::campaigns::audience::{Audience, NobodyNamed};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::check::check_props_of_subject;
use crate::domain::content::template::{Compiled, Part, ProvidedName, TemplateError, TrackedLink};
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::{CampaignId, ListId, TemplateVersionId};
use crate::domain::people::contact::FieldError;
use crate::domain::segments::Criteria;
use crate::domain::shown::{self, listed};
use crate::domain::trace::Trace;
use crate::services::audit::{self, Line};
use crate::services::content::check_email::{check_files, check_pool_takes};
use crate::services::{By, Services};
use crate::store::campaigns::archives::Archived;
use crate::store::campaigns::launch::{self, Launch, Launched};
use crate::store::campaigns::{self, CampaignRow, TransitionError, about, email_fields};
use crate::store::dispatch::packing::parse_audience;
use crate::store::people::link_keys;
use crate::store::segments::names;
use crate::store::{Conn, Lane, MayBeStoreError, StoreError};

/// Why a campaign cannot be launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It is missing, or its status does not allow it.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The audience names nobody.
    #[error(transparent)]
    Audience(#[from] NobodyNamed),
    /// These contacts do not exist.
    #[error("these contacts do not exist: {}", listed(.0))]
    UnknownContacts(Vec<i64>),
    /// These lists do not exist.
    #[error("these lists do not exist: {}", listed(.0))]
    UnknownLists(Vec<i64>),
    /// These tags do not exist.
    #[error("these tags do not exist: {}", shown(.0))]
    UnknownTags(Vec<String>),
    /// These campaigns, whose recipients it names, do not exist.
    #[error("these campaigns do not exist: {}", listed(.0))]
    UnknownCampaigns(Vec<i64>),
    /// The deliveries of these campaigns, whose recipients it names, were archived.
    #[error("the audience names recipients that cannot be looked up any more: {}", listed(.0))]
    ArchivedCampaigns(Vec<Archived>),
    /// It is not known who is a member of a segment that the audience asks.
    #[error(transparent)]
    Segments(#[from] MembersNotKnown),
    /// It is marketing, and about no list that people could have agreed to.
    #[error("a marketing campaign is about a list that people agreed to: name a topic_id, or lists in the audience")]
    NoTopic,
    /// It is transactional, goes to more people than the settings allow, and the key that asks has not the scope `admin`.
    #[error(
        "a transactional campaign to more than {0} people (consent.transactional_campaign_limit) needs a key with the scope admin"
    )]
    TransactionalLimit(i64),
    /// It has neither a template nor content of its own.
    #[error("the campaign has no template")]
    NoTemplate,
    /// Its template does not compile, or has what only looks like a placeholder.
    #[error(transparent)]
    Template(#[from] Box<TemplateError>),
    /// What its emails have beside the content is refused.
    #[error("{}", .0.iter().map(|error| format!("{}: {}", error.field, error.reason)).collect::<Vec<_>>().join("; "))]
    Email(Vec<FieldError>),
    /// No pool is configured for it.
    #[error("{0}")]
    NoPool(String),
    /// A marketing email without a link by which its recipients say no.
    #[error("{reason}")]
    NoUnsubscribe {
        /// The body that has none; none where links cannot be made.
        part: Option<Part>,
        /// What is missing, and where.
        reason: String,
    },
    /// A marketing email without the sender's postal address.
    #[error("{reason}")]
    NoPostalAddress {
        /// The body that has none; none where the setting is missing.
        part: Option<Part>,
        /// What is missing, and where.
        reason: String,
    },
    /// Something has changed since the preflight that the launch names.
    #[error(
        "the campaign, its content or its audience has changed since the preflight that this names: check it again"
    )]
    PreflightOutdated,
    /// The system's random generator failed.
    #[error("no randomness for the campaign's key")]
    NoRandomness(#[source] getrandom::Error),
}

fn shown(names: &[String]) -> String {
    listed(&names.iter().map(|name| shown::shown(name)).collect::<Vec<_>>())
}

impl LaunchError {
    /// Stable, for programs: the code of the problem document that a client would get.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ArchivedCampaigns(_) | Self::Transition(TransitionError::Archived(_)) => "deliveries_archived",
            Self::Transition(_) => "invalid_transition",
            Self::Audience(NobodyNamed) => "audience_required",
            Self::UnknownContacts(_) => "contact_not_found",
            Self::UnknownLists(_) => "list_not_found",
            Self::UnknownTags(_) => "tag_not_found",
            Self::UnknownCampaigns(_) => "campaign_not_found",
            Self::Segments(MembersNotKnown::Missing(_)) => "segment_not_found",
            Self::Segments(MembersNotKnown::Building(_)) => "segment_building",
            Self::Segments(MembersNotKnown::NotEvaluated(_)) => "segment_not_evaluated",
            Self::NoTopic => "topic_required",
            Self::TransactionalLimit(_) => "transactional_limit",
            Self::NoTemplate => "template_required",
            Self::Template(error) => error.code(),
            Self::Email(_) => "email_fields_invalid",
            Self::NoPool(_) => "pool_missing",
            Self::NoUnsubscribe { .. } => "unsubscribe_missing",
            Self::NoPostalAddress { .. } => "postal_address_missing",
            Self::PreflightOutdated => "preflight_outdated",
            Self::NoRandomness(_) => "internal_error",
        }
    }
}

impl From<StoreError> for LaunchError {
    fn from(error: StoreError) -> Self {
        Self::Transition(TransitionError::Store(error))
    }
}

impl MayBeStoreError for LaunchError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Transition(error) = self { error.into_store_error().map_err(Self::Transition) } else { Err(self) }
    }
}

/// Launches a campaign with its own audience.
///
/// # Errors
/// [`LaunchError`]; nothing is stored then.
pub async fn launch(services: &Services, id: CampaignId, by: &By) -> Result<CampaignRow, LaunchError> {
    launch_by(services, id, Terms::default(), by).await
}

async fn launch_by(services: &Services, id: CampaignId, terms: Terms, by: &By) -> Result<CampaignRow, LaunchError> {
    let began = Instant::now();
    let shared = services.clone();
    let asker = by.clone();
    let launch = move |conn: &mut Conn| in_transaction(conn, &shared, id, terms, &asker);
    let launched = services.store.transact(Lane::Control, "launch a campaign", launch).await?;
    announce(services, &launched, began, by);
    Ok(launched.campaign)
}

/// Makes a launch known that is stored; it began at `began`.
pub fn announce(services: &Services, launched: &Launched, began: Instant, by: &By) {
    let Launched { campaign, expected } = launched;
    services.status.set(campaign.id, campaign.status, campaign.status_version);
    tracing::info!(
        event = "campaign.launched",
        campaign.id = campaign.id.0,
        correlation.id = campaign.correlation_id,
        campaign.expected = expected,
        campaign.scheduled_at = campaign.scheduled_at.map(tracing::field::display),
        by = %by,
        duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "the campaign is launched"
    );
    services.hints.campaign_changed(campaign.id);
}

/// Launches a campaign if nothing has changed since its preflight.
///
/// # Errors
/// [`LaunchError`]; nothing is stored then.
pub async fn launch_checked(
    services: &Services,
    id: CampaignId,
    preflight: String,
    by: &By,
) -> Result<CampaignRow, LaunchError> {
    launch_by(services, id, Terms { preflight: Some(preflight), ..Terms::default() }, by).await
}

/// Launches a campaign inside the caller's write transaction, for what has to be stored with it. After the commit it is to be made
/// known by [`announce`].
///
/// # Errors
/// [`LaunchError`]; nothing is stored then, if the caller rolls back.
pub fn in_transaction(
    conn: &mut Conn,
    services: &Services,
    id: CampaignId,
    terms: Terms,
    by: &By,
) -> Result<Launched, LaunchError> {
    let campaign = campaigns::locked(conn, id)?;
    campaign
        .status
        .next(crate::domain::campaigns::CampaignEvent::Launch)
        .map_err(|refused| LaunchError::Transition(refused.into()))?;
    let ready = prepare(conn, services, &campaign, terms.audience)?;
    audience_segments::hold(conn, &ready.audience)??;
    if let Some(named) = terms.preflight {
        let Ready { audience, category, tracking, pool, .. } = &ready;
        let pinned = Pinned { audience, category: *category, tracking: *tracking, pool };
        if fingerprint::of(conn, &services.settings, &campaign, pinned)? != named {
            return Err(LaunchError::PreflightOutdated);
        }
    }
    let category = ready.category;
    let launch = Launch {
        campaign: id,
        audience: ready.audience,
        template_version: ready.template_version,
        category: ready.category,
        tracking: ready.tracking,
        links: ready.links,
        pool: ready.pool,
        key: fresh_key()?,
        correlation_id: by.trace.unwrap_or_else(|| Trace::own(uuid::Uuid::new_v4())).as_correlation(),
        link_kid: link_keys::newest_or_first(conn)?.kid(),
    };
    let launched = launch::launch(conn, &launch)?;
    check_reach(&services.settings, category, launched.expected, by)?;
    let line = Line::of(Action::Launched, Object::Campaign, id).before(json!({ "status": campaign.status }));
    audit::write(conn, by, line.after(json!({ "status": launched.campaign.status, "expected": launched.expected })))?;
    Ok(launched)
}

/// Checks that a campaign could be launched as it is now.
///
/// # Errors
/// As [`in_transaction`].
pub fn check_launchable(conn: &mut Conn, services: &Services, id: CampaignId, by: &By) -> Result<(), LaunchError> {
    let campaign = campaigns::locked(conn, id)?;
    look_launchable(conn, services, &campaign, by)
}

/// Checks that so many people may be sent to without being asked for their consent.
pub(super) fn check_reach(settings: &Settings, category: Category, people: i64, by: &By) -> Result<(), LaunchError> {
    let limit = settings.consent.transactional_campaign_limit;
    match category {
        Category::Transactional if people > limit && !by.rights.scope.includes(Scope::Admin) => {
            Err(LaunchError::TransactionalLimit(limit))
        }
        Category::Transactional | Category::Marketing => Ok(()),
    }
}

/// The same of a campaign as it was read, which may change at any moment: for what only shows it.
///
/// # Errors
/// As [`in_transaction`].
pub fn look_launchable(
    conn: &mut Conn,
    services: &Services,
    campaign: &CampaignRow,
    by: &By,
) -> Result<(), LaunchError> {
    let ready = prepare(conn, services, campaign, None)?;
    audience_segments::look(conn, &ready.audience)??;
    // Until its time comes the audience may grow: this is how far it reaches now. The launch counts again.
    if ready.category == Category::Transactional && !by.rights.scope.includes(Scope::Admin) {
        let at_most = launch::at_most(conn, &ready.audience)?;
        check_reach(&services.settings, ready.category, at_most, by)?;
    }
    Ok(())
}

/// Keeps with a scheduled campaign what its launch will ask by: the scope of `by`, and why it is to be sent as its content says
/// now. Without `takes_category`, the latter stays as it was kept before.
///
/// # Errors
/// The campaign is missing, or a query failed.
pub(super) fn keep_scheduled(
    conn: &mut Conn,
    id: CampaignId,
    takes_category: bool,
    by: &By,
) -> Result<CampaignRow, TransitionError> {
    let campaign = campaigns::locked(conn, id)?;
    let category = if takes_category { Some(campaigns::said_now(conn, &campaign)?) } else { None };
    Ok(campaigns::keep_scheduled(conn, &campaign, by.rights.scope, category)?)
}

/// What a launch needs, found and checked.
struct Ready {
    audience: Audience,
    template_version: TemplateVersionId,
    category: Category,
    tracking: Tracking,
    links: Vec<TrackedLink>,
    pool: String,
}

fn prepare(
    conn: &mut Conn,
    services: &Services,
    campaign: &CampaignRow,
    audience: Option<Audience>,
) -> Result<Ready, LaunchError> {
    let audience = match audience {
        Some(audience) => audience,
        None => match campaign.audience.as_deref() {
            None => return Err(NobodyNamed.into()),
            stored => parse_audience(stored)?,
        },
    };
    check_audience(conn, &audience)?;
    let tracking = campaigns::tracking(conn, campaign)?;
    let (template_version, compiled) = content_of(conn, services, campaign, tracking)?;
    let category = campaigns::category(conn, campaign)?;
    check_topic(conn, &services.settings, campaign.topic_id, category, &audience)?;
    check_carried(services, campaign.channel, category, &compiled)?;
    let pool = choose_pool(&services.settings.pools, campaign.channel, campaign.pool.as_deref())?;
    let email = email_fields::of(conn, campaign)?;
    check_pool_takes(pool, &email).map_err(|error| LaunchError::Email(vec![error]))?;
    let pool = pool.name.clone();
    let links = compiled.tracked_links().cloned().collect();
    Ok(Ready { audience, template_version, category, tracking, links, pool })
}

/// Checks that an audience names only people, lists, tags, campaigns and segments that exist.
///
/// # Errors
/// As [`in_transaction`].
pub fn check_audience(conn: &mut Conn, audience: &Audience) -> Result<(), LaunchError> {
    let mut missing = launch::missing_contacts(conn, &audience.include.contact_ids)?;
    missing.extend(launch::missing_contacts(conn, &audience.exclude.contact_ids)?);
    if !missing.is_empty() {
        return Err(LaunchError::UnknownContacts(missing.into_iter().map(|id| id.0).collect()));
    }
    let mut missing = launch::missing_lists(conn, &audience.include.lists)?;
    missing.extend(launch::missing_lists(conn, &audience.exclude.lists)?);
    let asked: Vec<ListId> = audience.filters().flat_map(Criteria::lists).collect();
    missing.extend(launch::missing_lists(conn, &asked)?);
    if !missing.is_empty() {
        return Err(LaunchError::UnknownLists(missing.into_iter().map(|id| id.0).collect()));
    }
    let mut missing = launch::missing_tags(conn, &audience.include.tags)?;
    missing.extend(launch::missing_tags(conn, &audience.exclude.tags)?);
    if !missing.is_empty() {
        return Err(LaunchError::UnknownTags(missing));
    }
    let named = audience.include.campaigns.iter().chain(&audience.exclude.campaigns);
    let missing = launch::missing_campaigns(conn, named.map(|part| part.id).collect())?;
    if !missing.is_empty() {
        return Err(LaunchError::UnknownCampaigns(missing.into_iter().map(|id| id.0).collect()));
    }
    let archived = audience_campaigns::archived(conn, audience)?;
    if !archived.is_empty() {
        return Err(LaunchError::ArchivedCampaigns(archived));
    }
    let segments = audience.segments();
    let missing = &segments - &names::existing(conn, &segments)?;
    if !missing.is_empty() {
        return Err(MembersNotKnown::Missing(missing.into_iter().map(|id| id.0).collect()).into());
    }
    Ok(())
}

/// Checks that a campaign is about a list, where it has to be: its own topic, or the lists of its audience.
pub(super) fn check_topic(
    conn: &mut Conn,
    settings: &Settings,
    topic: Option<ListId>,
    category: Category,
    audience: &Audience,
) -> Result<(), LaunchError> {
    check_topic_exists(conn, topic)?;
    let is_about_one = topic.is_some() || !audience.include.lists.is_empty();
    match category {
        Category::Marketing if settings.consent.require_topic && !is_about_one => Err(LaunchError::NoTopic),
        Category::Marketing | Category::Transactional => Ok(()),
    }
}

/// Checks that the list exists that a campaign names as its topic.
///
/// # Errors
/// [`LaunchError::UnknownLists`].
pub(super) fn check_topic_exists(conn: &mut Conn, topic: Option<ListId>) -> Result<(), LaunchError> {
    let missing = launch::missing_lists(conn, topic.as_slice())?;
    if missing.is_empty() { Ok(()) } else { Err(LaunchError::UnknownLists(missing.iter().map(|id| id.0).collect())) }
}

/// The content that a launch pins.
pub(super) fn content_of(
    conn: &mut Conn,
    services: &Services,
    campaign: &CampaignRow,
    tracking: Tracking,
) -> Result<(TemplateVersionId, Compiled), LaunchError> {
    let version = campaigns::content(conn, campaign)?.ok_or(LaunchError::NoTemplate)?;
    let known = known_names(conn, campaign.id)?;
    let content = version.content();
    let compiled = content.check_placeholders(&known).and_then(|()| Compiled::compile(&content, &known));
    let compiled = compiled.map_err(|error| LaunchError::Template(Box::new(error)))?;
    check_props_of_subject(&compiled, &about::of(conn, campaign.id)?.props)
        .map_err(|error| LaunchError::Email(vec![error]))?;
    let email = email_fields::of(conn, campaign)?;
    email.check(campaign.channel, &known).map_err(LaunchError::Email)?;
    let errors = check_files(conn, &email.attachments, services.settings.email.max_attachments_bytes)?;
    if !errors.is_empty() {
        return Err(LaunchError::Email(errors));
    }
    let base = services.links.base().cloned();
    let compiled = match tracked(&services.settings, base, campaign.channel, tracking) {
        Some((tracking, rules)) => compiled.tracked(&content, &known, tracking, rules),
        None => compiled,
    };
    Ok((version.id, compiled))
}

/// Checks that every body of a marketing email has a link by which its recipients say no, and the sender's postal address.
pub(super) fn check_carried(
    services: &Services,
    channel: ChannelKind,
    category: Category,
    compiled: &Compiled,
) -> Result<(), LaunchError> {
    if channel != ChannelKind::Email || category != Category::Marketing {
        return Ok(());
    }
    let Settings { links, email, .. } = &*services.settings;
    if links.require_unsubscribe {
        if services.links.base().is_none() {
            let reason = "a marketing email needs a link to unsubscribe, and links.public_url is not set";
            return Err(LaunchError::NoUnsubscribe { part: None, reason: reason.to_owned() });
        }
        if let Some(part) = compiled.lacks(ProvidedName::UnsubscribeUrl) {
            let reason = format!("the {part} of a marketing email needs {{{{ unsubscribe_url }}}}");
            return Err(LaunchError::NoUnsubscribe { part: Some(part), reason });
        }
    }
    if email.require_postal_address {
        if email.postal_address.is_none() {
            let reason = "a marketing email needs the sender's postal address, and email.postal_address is not set";
            return Err(LaunchError::NoPostalAddress { part: None, reason: reason.to_owned() });
        }
        if let Some(part) = compiled.lacks(ProvidedName::PostalAddress) {
            let reason = format!("the {part} of a marketing email needs {{{{ postal_address }}}}");
            return Err(LaunchError::NoPostalAddress { part: Some(part), reason });
        }
    }
    Ok(())
}

/// The pool a campaign names, or the only one of its channel.
///
/// # Errors
/// No such pool, or several to choose from.
pub fn choose_pool<'a>(
    pools: &'a [PoolConfig],
    channel: ChannelKind,
    named: Option<&str>,
) -> Result<&'a PoolConfig, LaunchError> {
    let mut fitting = pools.iter().filter(|pool| pool.channel == channel);
    match named {
        Some(name) => fitting
            .find(|pool| pool.name == name)
            .ok_or_else(|| LaunchError::NoPool(format!("no pool named {name} is configured for channel {channel}"))),
        None => match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(LaunchError::NoPool(format!("no pool is configured for channel {channel}"))),
            (Some(_), Some(_)) => {
                Err(LaunchError::NoPool(format!("several pools are configured for channel {channel}: name one")))
            }
        },
    }
}

/// 96 random bits in hex: the half of every idempotency key that nobody can guess.
fn fresh_key() -> Result<String, LaunchError> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(LaunchError::NoRandomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
