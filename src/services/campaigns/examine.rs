//! Everything that a launch would refuse a campaign for, not only the first of it.

use super::audience_segments;
use super::fingerprint::{self, Pinned};
use super::launch::{self, LaunchError};
use crate::config::pools::PoolConfig;
use crate::domain::campaigns::audience::{Audience, NobodyNamed};
use crate::domain::content::category::Category;
use crate::services::Services;
use crate::services::content::check_email::check_pool_takes;
use crate::store::campaigns::{self, CampaignRow, email_fields};
use crate::store::dispatch::packing::parse_audience;
use crate::store::{Conn, MayBeStoreError, StoreError};

/// A campaign as a launch would find it.
pub(super) struct Examined {
    /// `None`: it names nobody, or somebody who does not exist, or members who are not known.
    pub(super) audience: Option<Audience>,
    pub(super) category: Category,
    /// `None`: there is none for it.
    pub(super) pool: Option<PoolConfig>,
    /// What a launch would be refused for, in the order in which it asks.
    pub(super) refusals: Vec<LaunchError>,
    /// `None`: a launch would be refused.
    pub(super) fingerprint: Option<String>,
}

/// Asks everything that a launch asks before it counts.
///
/// # Errors
/// A query failed.
pub(super) fn examine(conn: &mut Conn, services: &Services, campaign: &CampaignRow) -> Result<Examined, StoreError> {
    let mut refusals = Vec::new();
    let named = match campaign.audience.as_deref() {
        None => Err(LaunchError::from(NobodyNamed)),
        stored => parse_audience(stored).map_err(LaunchError::from),
    };
    let named = noted(named, &mut refusals)?;
    let mut audience = named.clone();
    if let Some(named) = &named
        && noted(launch::check_audience(conn, named), &mut refusals)?.is_none()
    {
        audience = None;
    }
    let tracking = campaigns::tracking(conn, campaign)?;
    let content = noted(launch::content_of(conn, services, campaign, tracking), &mut refusals)?;
    let category = campaigns::category(conn, campaign)?;
    if let Some(named) = &named {
        let topic = launch::check_topic(conn, &services.settings, campaign.topic_id, category, named);
        noted(topic, &mut refusals)?;
    }
    if let Some((_, compiled)) = &content {
        noted(launch::check_carried(services, campaign.channel, category, compiled), &mut refusals)?;
    }
    let chosen = launch::choose_pool(&services.settings.pools, campaign.channel, campaign.pool.as_deref());
    let pool = noted(chosen.cloned(), &mut refusals)?;
    if let Some(pool) = &pool {
        let email = email_fields::of(conn, campaign)?;
        let taken = check_pool_takes(pool, &email).map_err(|error| LaunchError::Email(vec![error]));
        noted(taken, &mut refusals)?;
    }
    if let Some(asked) = &audience {
        let known = audience_segments::look_now(conn, asked)?.map_err(LaunchError::from);
        if noted(known, &mut refusals)?.is_none() {
            audience = None;
        }
    }
    let fingerprint = match (&audience, &pool) {
        (Some(audience), Some(pool)) if refusals.is_empty() => {
            let pinned = Pinned { audience, category, tracking, pool: &pool.name };
            Some(fingerprint::of(conn, &services.settings, campaign, pinned)?)
        }
        _ => None,
    };
    Ok(Examined { audience, category, pool, refusals, fingerprint })
}

/// A refusal is noted; that the database failed is an error.
fn noted<T>(result: Result<T, LaunchError>, refusals: &mut Vec<LaunchError>) -> Result<Option<T>, StoreError> {
    match result.map_err(MayBeStoreError::into_store_error) {
        Ok(value) => Ok(Some(value)),
        Err(Ok(error)) => Err(error),
        Err(Err(refused)) => {
            refusals.push(refused);
            Ok(None)
        }
    }
}
