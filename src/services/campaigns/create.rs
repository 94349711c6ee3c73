//! A new campaign.

use std::time::Instant;

use serde_json::json;

use super::edit::{DraftError, check_pool, check_sender, check_template};
use super::launch::{self, LaunchError, check_audience, check_launchable, check_topic_exists, keep_scheduled};
use super::schedule::check_time;
use super::terms::Terms;
use crate::domain::access::audit::{Action, Object};
use crate::domain::campaigns::audience::{Audience, AudienceForm};
use crate::domain::campaigns::{CampaignStatus, OnUncertain};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::template::Content;
use crate::domain::content::tracking::Tracking;
use crate::domain::ids::{ListId, TemplateId};
use crate::domain::instant::UtcInstant;
use crate::domain::span::Span;
use crate::services::audit::{self, Line};
use crate::services::content::check::check;
use crate::services::content::check_email::{check_email, hold_files};
use crate::services::{By, Services};
use crate::store::campaigns::about::{self, About};
use crate::store::campaigns::launch::Launched;
use crate::store::campaigns::{self, CampaignWithDetails, NewCampaign, email_fields};
use crate::store::content::templates;
use crate::store::{Conn, Lane, engine};

/// What a new campaign is made of. Each field but the content was checked by itself.
#[derive(Debug, Clone)]
pub struct Draft {
    /// For people.
    pub name: String,
    /// What it is about, and the values that its content may use.
    pub about: About,
    /// How it travels.
    pub channel: ChannelKind,
    /// The sender pool's name.
    pub pool: Option<String>,
    /// Its template, or none where it has content of its own.
    pub template: Option<TemplateId>,
    /// Its own content.
    pub content: Option<Content>,
    /// What its emails have beside the content.
    pub email: EmailFields,
    /// Why its own content is sent; a template says so itself.
    pub category: Option<Category>,
    /// The list that it is about.
    pub topic: Option<ListId>,
    /// What is tracked of its messages; none: as its template says.
    pub tracking: Option<Tracking>,
    /// Who it is for.
    pub audience: Option<AudienceForm>,
    /// What happens to deliveries that stay ambiguous.
    pub on_uncertain: OnUncertain,
    /// Hand-overs per second.
    pub rate_per_second: Option<f64>,
    /// How much waiting between tries its deliveries are given.
    pub retry_for: Option<Span>,
    /// When it launches.
    pub start: Start,
}

/// When a new campaign launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Not by itself: it is a draft.
    Later,
    /// By itself, then.
    At(UtcInstant),
    /// With its creation.
    Now,
}

impl Start {
    fn scheduled_at(self) -> Option<UtcInstant> {
        match self {
            Self::At(at) => Some(at),
            Self::Later | Self::Now => None,
        }
    }
}

/// A draft whose parts were checked, as far as they can be checked before the transaction.
#[derive(Debug)]
pub struct Checked(Draft);

/// A campaign that is stored, and whether it is launched.
#[derive(Debug)]
pub struct Created {
    /// The campaign.
    pub campaign: CampaignWithDetails,
    launched: Option<Launched>,
}

/// Creates a campaign: a draft, or one that is scheduled or launched at once, which must be ready to be sent.
///
/// # Errors
/// [`DraftError`]; nothing is stored then.
pub async fn create(services: &Services, draft: Draft, by: &By) -> Result<CampaignWithDetails, DraftError> {
    let began = Instant::now();
    let draft = checked(services, draft).await?;
    let (shared, asker) = (services.clone(), by.clone());
    let create = move |conn: &mut Conn| in_transaction(conn, &shared, draft, &asker);
    let created = services.store.transact(Lane::Write, "create a campaign", create).await?;
    announce(services, &created, began, by);
    Ok(created.campaign)
}

/// Checks the pool, the content and what emails have beside it.
///
/// # Errors
/// [`DraftError`].
pub async fn checked(services: &Services, mut draft: Draft) -> Result<Checked, DraftError> {
    check_pool(&services.settings.pools, draft.channel, draft.pool.as_deref())?;
    if draft.template.is_some() && draft.category.is_some() {
        return Err(DraftError::CategoryOfTemplate);
    }
    draft.content = match draft.content {
        Some(_) if draft.template.is_some() => return Err(DraftError::TwoContents),
        Some(content) => Some(check(&services.store, draft.channel, content, draft.about.props.names()).await?),
        None => None,
    };
    check_email(services, draft.channel, &draft.email, draft.about.props.names()).await?;
    check_sender(&services.settings.pools, draft.channel, draft.pool.as_deref(), &draft.email)?;
    Ok(Checked(draft))
}

/// Creates a campaign inside the caller's write transaction, for what has to be stored with it. After the commit it is to be made
/// known by [`announce`].
///
/// # Errors
/// [`DraftError`]; nothing is stored then, if the caller rolls back.
pub fn in_transaction(
    conn: &mut Conn,
    services: &Services,
    Checked(draft): Checked,
    by: &By,
) -> Result<Created, DraftError> {
    let now = engine::now(conn)?;
    check_template(conn, draft.template, draft.channel)?;
    check_topic_exists(conn, draft.topic)?;
    let scheduled_at = draft.start.scheduled_at();
    scheduled_at.map_or(Ok(()), |at| check_time(at, now))?;
    let template_version_id = match &draft.content {
        Some(content) => Some(templates::add_version(conn, None, 1, content, &EmailFields::default(), now)?.id),
        None => None,
    };
    let audience = draft.audience.map(Audience::try_from).transpose().map_err(LaunchError::from)?;
    if let Some(audience) = &audience {
        check_audience(conn, audience)?;
    }
    let is_scheduled = scheduled_at.is_some();
    let new = NewCampaign {
        name: draft.name,
        channel: draft.channel,
        status: if is_scheduled { CampaignStatus::Scheduled } else { CampaignStatus::Draft },
        pool: draft.pool,
        template_id: draft.template,
        template_version_id,
        audience: audience.as_ref().and_then(|audience| serde_json::to_string(audience).ok()),
        on_uncertain: draft.on_uncertain,
        rate_per_second: draft.rate_per_second,
        retry_for_ms: draft.retry_for.map(Span::as_ms),
        scheduled_at,
        category: draft.category.unwrap_or(Category::Marketing),
        topic_id: draft.topic,
        tracking: draft.tracking.map(Into::into),
        created_at: now,
        updated_at: now,
    };
    let mut row = campaigns::insert(conn, &new)?;
    hold_files(conn, &services.settings, &draft.email)?;
    email_fields::set(conn, row.id, &draft.email)?;
    about::set(conn, row.id, &draft.about)?;
    if is_scheduled {
        row = keep_scheduled(conn, row.id, true, by)?;
        check_launchable(conn, services, row.id, by)?;
    }
    let line = Line::of(Action::Created, Object::Campaign, row.id);
    audit::write(conn, by, line.after(json!({ "status": row.status, "scheduled_at": row.scheduled_at })))?;
    let launched = match draft.start {
        Start::Now => Some(launch::in_transaction(conn, services, row.id, Terms::default(), by)?),
        Start::Later | Start::At(_) => None,
    };
    let row = launched.as_ref().map_or(row, |launched| launched.campaign.clone());
    Ok(Created { campaign: CampaignWithDetails::of(conn, row)?, launched })
}

/// Makes a campaign known that is stored; its creation began at `began`.
pub fn announce(services: &Services, created: &Created, began: Instant, by: &By) {
    let Created { campaign, launched } = created;
    tracing::info!(event = "campaign.created", campaign.id = campaign.row.id.0, by = %by, "a campaign was created");
    if let Some(launched) = launched {
        launch::announce(services, launched, began, by);
    }
}
