//! The edit of a campaign that is a draft or scheduled.

use serde_json::json;

use super::launch::{LaunchError, check_audience, check_launchable, check_topic_exists, choose_pool, keep_scheduled};
use super::schedule::ScheduleError;
use crate::config::Settings;
use crate::config::pools::PoolConfig;
use crate::domain::access::audit::{Action, Object};
use crate::domain::campaigns::audience::{Audience, AudienceForm};
use crate::domain::campaigns::{CampaignStatus, OnUncertain};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::{EmailFields, EmailFieldsEdit};
use crate::domain::content::props::Props;
use crate::domain::content::template::Content;
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::{CampaignId, ListId, TemplateId};
use crate::domain::instant::UtcInstant;
use crate::domain::span::Span;
use crate::services::audit::{self, Line};
use crate::services::content::check::{ContentError, check};
use crate::services::content::check_email::{check_email, check_pool_sends_as, check_pool_takes, hold_files};
use crate::services::{By, Services};
use crate::store::campaigns::about::{self, About};
use crate::store::campaigns::{
    self, CampaignChange, CampaignRow, CampaignWithDetails, LockedCampaign, TransitionError, email_fields,
};
use crate::store::content::templates::{self, VersionRow};
use crate::store::dispatch::pool_moves;
use crate::store::{Conn, Lane, MayBeStoreError, Store, StoreError, engine};

/// Why a campaign is not created or edited.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Only drafts and scheduled campaigns can be edited, apart from the rate and the pool.
    #[error(
        "the campaign is {0}; only drafts and scheduled campaigns can be edited, rate_per_second until the end, and pool \
         while it is paused"
    )]
    NotEditable(CampaignStatus),
    /// Its pool changes only while it is paused.
    #[error("the campaign is sending: pause it, change its pool, and resume it")]
    PauseFirst,
    /// It is no longer as it was seen.
    #[error("the campaign has changed since it was read: read it again, and then change it")]
    ChangedMeanwhile,
    /// There is no such template.
    #[error("there is no template {0}")]
    NoSuchTemplate(TemplateId),
    /// The template is for another channel.
    #[error("template {template} is for {is_for}, the campaign for {channel}")]
    OtherChannel {
        /// The template.
        template: TemplateId,
        /// The template's channel.
        is_for: ChannelKind,
        /// The campaign's channel.
        channel: ChannelKind,
    },
    /// It would have a template, and content of its own.
    #[error("a campaign has a template or content of its own, not both")]
    TwoContents,
    /// A category was given to a campaign whose content is a template's.
    #[error("the category belongs to the template: set it there")]
    CategoryOfTemplate,
    /// Its content is refused.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Its launch time, or what a launch would need.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl From<LaunchError> for DraftError {
    fn from(error: LaunchError) -> Self {
        Self::Schedule(error.into())
    }
}

impl From<TransitionError> for DraftError {
    fn from(error: TransitionError) -> Self {
        Self::Schedule(error.into())
    }
}

impl From<StoreError> for DraftError {
    fn from(error: StoreError) -> Self {
        Self::Schedule(error.into())
    }
}

impl MayBeStoreError for DraftError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        match self {
            Self::Schedule(error) => error.into_store_error().map_err(Self::Schedule),
            Self::Content(ContentError::Store(error)) => Ok(error),
            refused @ (Self::NotEditable(_)
            | Self::PauseFirst
            | Self::ChangedMeanwhile
            | Self::NoSuchTemplate(_)
            | Self::OtherChannel { .. }
            | Self::TwoContents
            | Self::CategoryOfTemplate
            | Self::Content(
                ContentError::Parts(_) | ContentError::Email(_) | ContentError::Interrupted(_),
            )) => Err(refused),
        }
    }
}

/// What changes of a campaign's own content. `None` leaves a part as it is; the inner `None` takes the HTML away.
#[derive(Debug, Clone)]
pub struct ContentEdit {
    /// The subject line.
    pub subject: Option<String>,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<Option<String>>,
    /// Texts that go out as they are written.
    pub literal: Option<Vec<String>>,
}

impl ContentEdit {
    fn of(self, before: Content) -> Content {
        Content {
            subject: self.subject.unwrap_or(before.subject),
            text: self.text.unwrap_or(before.text),
            html: self.html.unwrap_or(before.html),
            literal: self.literal.unwrap_or(before.literal),
        }
    }
}

/// What changes. `None` leaves a field as it is; the inner `None` clears it. Each field but the content was checked by
/// itself.
#[derive(Debug, Clone)]
pub struct Edit {
    /// For people.
    pub name: Option<String>,
    /// What it is about, for people.
    pub description: Option<String>,
    /// All values of its own that its content may use, as they are to be.
    pub props: Option<Props>,
    /// The sender pool's name.
    pub pool: Option<Option<String>>,
    /// Its template. With content of its own it has none.
    pub template: Option<Option<TemplateId>>,
    /// Its own content.
    pub content: Option<ContentEdit>,
    /// What changes of what its emails have beside the content.
    pub email: EmailFieldsEdit,
    /// Why its own content is sent; a template says so itself.
    pub category: Option<Category>,
    /// The list that it is about.
    pub topic: Option<Option<ListId>>,
    /// What is tracked of its messages.
    pub tracking: Option<Option<Tracking>>,
    /// Who it is for.
    pub audience: Option<Option<AudienceForm>>,
    /// What happens to deliveries that stay ambiguous.
    pub on_uncertain: Option<OnUncertain>,
    /// Hand-overs per second.
    pub rate_per_second: Option<Option<f64>>,
    /// How much waiting between tries its deliveries are given.
    pub retry_for: Option<Option<Span>>,
    /// When it was changed last, as the editor has seen it: nothing is edited that has changed since.
    pub seen: Option<UtcInstant>,
    /// Whether more was to change, and was left out: that the rest is as it is says nothing of what was seen then.
    pub is_part: bool,
}

impl Edit {
    /// Whether nothing but the rate and the pool is to change, which may do so after the launch.
    fn is_of_the_way_alone(&self) -> bool {
        let Self {
            name,
            description,
            props,
            pool,
            template,
            content,
            email,
            category,
            topic,
            tracking,
            audience,
            on_uncertain,
            rate_per_second,
            retry_for,
            seen: _,
            is_part: _,
        } = self;
        let is_other = name.is_some()
            || description.is_some()
            || props.is_some()
            || template.is_some()
            || content.is_some()
            || !email.is_empty()
            || category.is_some()
            || topic.is_some()
            || tracking.is_some()
            || audience.is_some()
            || on_uncertain.is_some()
            || retry_for.is_some();
        (rate_per_second.is_some() || pool.is_some()) && !is_other
    }
}

/// Edits a campaign that is a draft or scheduled; its rate also while it is sending or paused, in force on every instance
/// within a second, and its pool while it is paused: what waits goes through the new one. A scheduled one must stay ready to be sent. What is as it is wanted already is left as it is, whatever
/// was seen of it.
///
/// # Errors
/// [`DraftError`]; nothing has changed then.
pub async fn edit(services: &Services, id: CampaignId, edit: Edit, by: &By) -> Result<CampaignWithDetails, DraftError> {
    let shared = services.clone();
    let asker = by.clone();
    let only_way = edit.is_of_the_way_alone();
    let before = find(&services.store, id).await?;
    // What is under way stays as it is, whatever is asked for.
    if !before.row.status.is_editable() && !only_way {
        return Err(DraftError::NotEditable(before.row.status));
    }
    let channel = before.row.channel;
    check_pool(&services.settings.pools, channel, edit.pool.as_ref().and_then(|pool| pool.as_deref()))?;
    let props = edit.props.clone().unwrap_or(before.details.about.props);
    let content = match edit.content {
        Some(_) if edit.template.flatten().is_some() => return Err(DraftError::TwoContents),
        Some(change) => {
            let content = change.of(before.details.content.unwrap_or_default());
            Some(check(&services.store, channel, content, props.names()).await?)
        }
        None => {
            // What it says by itself may use a value that it is to have no longer.
            let own = before.details.content.filter(|_| edit.props.is_some() && edit.template.flatten().is_none());
            if let Some(own) = own {
                check(&services.store, channel, own, props.names()).await?;
            }
            None
        }
    };
    if !edit.email.is_empty() || edit.props.is_some() {
        check_email(services, channel, &edit.email.clone().of(before.details.email), props.names()).await?;
    }
    let work = move |conn: &mut Conn| {
        let now = engine::now(conn)?;
        check_template(conn, edit.template.flatten(), channel)?;
        check_topic_exists(conn, edit.topic.flatten())?;
        let mut change = CampaignChange {
            name: edit.name,
            pool: edit.pool,
            template_id: edit.template,
            on_uncertain: edit.on_uncertain,
            rate_per_second: edit.rate_per_second,
            retry_for_ms: edit.retry_for.map(|retry_for| retry_for.map(Span::as_ms)),
            category: edit.category,
            topic_id: edit.topic,
            tracking: edit.tracking.map(|tracking| tracking.map(Into::into)),
            ..CampaignChange::default()
        };
        if content.is_some() {
            change.template_id = Some(None);
        } else if edit.template.flatten().is_some() {
            change.template_version_id = Some(None);
        }
        if let Some(audience) = edit.audience {
            let audience = audience.map(Audience::try_from).transpose().map_err(LaunchError::from)?;
            if let Some(audience) = &audience {
                check_audience(conn, audience)?;
            }
            change.audience = Some(audience.and_then(|audience| serde_json::to_string(&audience).ok()));
        }
        let locked = campaigns::locked(conn, id)?;
        let is_on_its_way = matches!(locked.status, CampaignStatus::Sending | CampaignStatus::Paused);
        let is_allowed = locked.status.is_editable() || (is_on_its_way && only_way);
        if !is_allowed {
            return Err(DraftError::NotEditable(locked.status));
        }
        if let Some(named) = change.pool.take_if(|_| is_on_its_way) {
            change.pool = Some(Some(change_pool(conn, &shared.settings, &locked, named.as_deref())?));
        }
        let has_moved = is_on_its_way && change.pool.as_ref().is_some_and(|pool| *pool != locked.pool);
        let own = own_version(conn, &locked)?;
        let content = content.filter(|content| own.as_ref().is_none_or(|own| own.content() != *content));
        // The answer to the first time may be lost: the same again is not held against one's own edit.
        let email_before = email_fields::own(conn, &[id])?.remove(&id).unwrap_or_default();
        let email = edit.email.of(email_before.clone());
        let about_before = about::of(conn, id)?;
        let about = About {
            description: edit.description.unwrap_or_else(|| about_before.description.clone()),
            props: edit.props.unwrap_or_else(|| about_before.props.clone()),
        };
        let is_unsaid = content.is_none() && email == email_before && about == about_before;
        let is_same = is_unsaid && !alters(&change, &locked);
        if (!is_same || edit.is_part) && edit.seen.is_some_and(|seen| seen != locked.updated_at) {
            return Err(DraftError::ChangedMeanwhile);
        }
        if change.category.is_some() && change.template_id.unwrap_or(locked.template_id).is_some() {
            return Err(DraftError::CategoryOfTemplate);
        }
        let pool = change.pool.as_ref().unwrap_or(&locked.pool);
        if !is_on_its_way && (email.from != email_before.from || *pool != locked.pool) {
            check_sender(&shared.settings.pools, channel, pool.as_deref(), &email)?;
        }
        if is_same {
            return Ok((CampaignWithDetails::of(conn, locked.into_row())?, false, false));
        }
        if let Some(content) = &content {
            change.template_version_id =
                Some(Some(templates::add_version(conn, None, 1, content, &EmailFields::default(), now)?.id));
        }
        let is_other_template = change.template_id.is_some_and(|template| template != locked.template_id);
        let mut row = campaigns::edit(conn, &locked, &change)?;
        if email != email_before {
            hold_files(conn, &shared.settings, &email)?;
            email_fields::set(conn, id, &email)?;
        }
        if about != about_before {
            about::set(conn, id, &about)?;
        }
        // A draft is saved while it is typed: what it said before is not kept, and with a template nothing of its own.
        if let Some(before) = own.filter(|_| content.is_some() || row.template_id.is_some()) {
            templates::forget_own_version(conn, before.id)?;
        }
        let mut fields = changed_fields(&locked, &row);
        fields.extend(about.differing(&about_before));
        fields.extend(email.differing(&email_before));
        // Nobody looks at it again before its time comes: it is launched with the rights of the last one who had a say in it.
        if row.status == CampaignStatus::Scheduled {
            row = keep_scheduled(conn, id, is_other_template, &asker)?;
            check_launchable(conn, &shared, id, &asker)?;
        }
        let line = Line::of(Action::Updated, Object::Campaign, id);
        let line = match has_moved {
            true => line
                .before(json!({ "status": locked.status, "pool": locked.pool }))
                .after(json!({ "status": row.status, "fields": fields, "pool": row.pool })),
            false => {
                line.before(json!({ "status": locked.status })).after(json!({ "status": row.status, "fields": fields }))
            }
        };
        audit::write(conn, &asker, line)?;
        Ok::<_, DraftError>((CampaignWithDetails::of(conn, row)?, true, has_moved))
    };
    let (campaign, is_changed, has_moved) = services.store.transact(Lane::Write, "edit a campaign", work).await?;
    if is_changed {
        tracing::info!(event = "campaign.edited", campaign.id = id.0, by = %by, "the campaign was edited");
    }
    if has_moved {
        services.hints.campaign_changed(id);
    }
    Ok(campaign)
}

/// Has a paused campaign go on through another pool, or the only one of its channel. Returns the pool's name.
fn change_pool(
    conn: &mut Conn,
    settings: &Settings,
    locked: &LockedCampaign,
    named: Option<&str>,
) -> Result<String, DraftError> {
    let pool = choose_pool(&settings.pools, locked.channel, named)?;
    if Some(&pool.name) == locked.pool.as_ref() {
        return Ok(pool.name.clone());
    }
    if locked.status != CampaignStatus::Paused {
        return Err(DraftError::PauseFirst);
    }
    // A sweep puts deliveries back that this is to decide about.
    if let Some(sweep) = campaigns::packing(conn, locked.id)?.and_then(|packing| packing.sweep) {
        return Err(TransitionError::SweepUnderWay(sweep).into());
    }
    let email = email_fields::of(conn, locked)?;
    check_pool_takes(pool, &email).map_err(|error| LaunchError::Email(vec![error]))?;
    pool_moves::begin(conn, locked, pool.fingerprint())?;
    Ok(pool.name.clone())
}

/// Whether a change would leave a campaign other than it is.
fn alters(change: &CampaignChange, row: &CampaignRow) -> bool {
    fn differs<T: PartialEq>(wanted: Option<&T>, stored: &T) -> bool {
        wanted.is_some_and(|wanted| wanted != stored)
    }
    let CampaignChange {
        name,
        pool,
        template_id,
        template_version_id,
        audience,
        on_uncertain,
        rate_per_second,
        retry_for_ms,
        category,
        topic_id,
        tracking,
    } = change;
    differs(name.as_ref(), &row.name)
        || differs(pool.as_ref(), &row.pool)
        || differs(template_id.as_ref(), &row.template_id)
        || differs(template_version_id.as_ref(), &row.template_version_id)
        || differs(audience.as_ref(), &row.audience)
        || differs(on_uncertain.as_ref(), &row.on_uncertain)
        || differs(rate_per_second.as_ref(), &row.rate_per_second)
        || differs(retry_for_ms.as_ref(), &row.retry_for_ms)
        || differs(category.as_ref(), &row.category)
        || differs(topic_id.as_ref(), &row.topic_id)
        || differs(tracking.as_ref(), &row.tracking)
}

/// The fields that an edit has changed, by their names.
fn changed_fields(before: &CampaignRow, after: &CampaignRow) -> Vec<&'static str> {
    // Other content is another version; a template has none of the campaign's.
    let content = (before.template_version_id != after.template_version_id) && after.template_version_id.is_some();
    let changed = [
        ("name", before.name != after.name),
        ("pool", before.pool != after.pool),
        ("template_id", before.template_id != after.template_id),
        ("content", content),
        ("category", before.category != after.category),
        ("topic_id", before.topic_id != after.topic_id),
        ("tracking", before.tracking != after.tracking),
        ("audience", before.audience != after.audience),
        ("on_uncertain", before.on_uncertain != after.on_uncertain),
        ("rate_per_second", before.rate_per_second != after.rate_per_second),
        ("retry_for", before.retry_for_ms != after.retry_for_ms),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}

/// The content of its own that a campaign has so far.
fn own_version(conn: &mut Conn, campaign: &CampaignRow) -> Result<Option<VersionRow>, StoreError> {
    match campaign.template_id {
        Some(_) => Ok(None),
        None => campaigns::content(conn, campaign),
    }
}

async fn find(store: &Store, id: CampaignId) -> Result<CampaignWithDetails, DraftError> {
    let find = move |conn: &mut Conn| match campaigns::find(conn, id)? {
        Some(row) => CampaignWithDetails::of(conn, row).map(Some),
        None => Ok(None),
    };
    let found = store.run(Lane::Read, "read a campaign", find).await?;
    Ok(found.ok_or(TransitionError::NotFound(id))?)
}

/// Checks that the pool a campaign names is one for its channel. A draft may name none.
///
/// # Errors
/// [`LaunchError::NoPool`].
pub(super) fn check_pool(pools: &[PoolConfig], channel: ChannelKind, named: Option<&str>) -> Result<(), LaunchError> {
    named.map_or(Ok(()), |name| choose_pool(pools, channel, Some(name)).map(drop))
}

/// Checks that the pool a campaign is to go through sends for the domain of its own sender. A draft whose pool is not known yet is checked at
/// the launch.
///
/// # Errors
/// [`LaunchError::Email`].
pub(super) fn check_sender(
    pools: &[PoolConfig],
    channel: ChannelKind,
    named: Option<&str>,
    email: &EmailFields,
) -> Result<(), LaunchError> {
    let (Some(from), Ok(pool)) = (&email.from, choose_pool(pools, channel, named)) else { return Ok(()) };
    check_pool_sends_as(pool, from).map_err(|error| LaunchError::Email(vec![error]))
}

/// Checks that a template exists and is for the channel.
pub(super) fn check_template(
    conn: &mut Conn,
    template: Option<TemplateId>,
    channel: ChannelKind,
) -> Result<(), DraftError> {
    let Some(template) = template else { return Ok(()) };
    match templates::find(conn, template, None)? {
        None => Err(DraftError::NoSuchTemplate(template)),
        Some(row) if row.channel != channel => Err(DraftError::OtherChannel { template, is_for: row.channel, channel }),
        Some(_) => Ok(()),
    }
}
