//! A test of a campaign with a few contacts.

use std::sync::Arc;

use serde_json::json;

use super::carried::Carried;
use super::launch::{LaunchError, choose_pool};
use super::render::{Material, RenderingError, profiles};
use crate::channels::Gate;
use crate::domain::access::audit::{Action, Object};
use crate::domain::content::check::check;
use crate::domain::content::message::{Details, Envelope};
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::dispatch::eligibility::address_for;
use crate::domain::dispatch::outcome::{NotBegun, Outcome};
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::shown::listed;
use crate::services::audit::{self, Line};
use crate::services::content::check_email::{check_email, check_pool_takes};
use crate::services::content::files::attachments;
use crate::services::{By, Services};
use crate::store::campaigns::CampaignRow;
use crate::store::content::templates;
use crate::store::{Conn, Lane};

/// What came of one contact's test.
#[derive(Debug)]
pub struct Tested {
    /// The contact.
    pub contact: ContactId,
    /// What the provider made of it, or why it got none: a test overrides no refusal.
    pub outcome: Result<Outcome, SkipReason>,
}

/// Why nobody gets a test.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// There is no such campaign or contact, or it cannot be rendered.
    #[error(transparent)]
    Rendering(#[from] RenderingError),
    /// It has no pool.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Contacts whose addresses may get no test.
    #[error("sending.test_recipients does not allow a test to: contacts {}", listed(.0))]
    NotAllowed(Vec<ContactId>),
    /// Its pool is configured, but this instance does not run it.
    #[error("pool {0} is not running here")]
    NotRunning(String),
}

/// A test is outside the books: it begins whenever it is asked for.
struct AlwaysOpen;

impl Gate for AlwaysOpen {
    fn begin(&self) -> Result<(), NotBegun> {
        Ok(())
    }
}

/// What a test carries. Its links work: a tester who says no is not written to again.
async fn carried(services: &Services, campaign: &CampaignRow) -> Result<Carried, RenderingError> {
    let (links, settings, campaign) = (services.links.clone(), Arc::clone(&services.settings), campaign.clone());
    let read = move |conn: &mut Conn| Carried::of(conn, &links, &settings, &campaign);
    Ok(services.store.run(Lane::Read, "read what a message carries", read).await?)
}

/// The recipient of a test is seldom on the campaign's lists, and need not be. A refusal of them holds.
fn as_a_test(fitness: Result<(), SkipReason>) -> Result<(), SkipReason> {
    match fitness {
        Err(SkipReason::NotSubscribed | SkipReason::Unconfirmed) => Ok(()),
        Ok(())
        | Err(
            SkipReason::Unsubscribed
            | SkipReason::Suppressed
            | SkipReason::ContactDeleted
            | SkipReason::NoAddress
            | SkipReason::Stopped,
        ) => fitness,
    }
}

/// Sends a campaign to these contacts at once, outside the books: nothing is stored, retried or counted.
///
/// # Errors
/// [`TestError`]; nobody got a test then.
pub async fn test_send(
    services: &Services,
    id: CampaignId,
    contacts: Vec<ContactId>,
    by: &By,
) -> Result<Vec<Tested>, TestError> {
    let material = Material::read(&services.store, id).await?;
    let kind = material.campaign.channel;
    let pool = choose_pool(&services.settings.pools, kind, material.campaign.pool.as_deref())?;
    let channel = services.channels.get(&pool.name).map(Arc::clone);
    let channel = channel.ok_or_else(|| TestError::NotRunning(pool.name.clone()))?;
    check_pool_takes(pool, &material.email).map_err(|error| LaunchError::Email(vec![error]))?;
    check_email(services, kind, &material.email, material.known.clone()).await.map_err(RenderingError::from)?;
    let compiled = material.compile(check).await.map_err(RenderingError::from)?;
    let carried = carried(services, &material.campaign).await?;
    let uses = material.email.attachments.clone();
    let attached = services.store.run(Lane::Read, "read the files of a campaign", move |conn| attachments(conn, &uses));
    let attachments = attached.await.map_err(RenderingError::from)?;
    let template_name = match material.campaign.template_id {
        None => None,
        Some(template) => {
            let read = move |conn: &mut Conn| templates::name_of(conn, template);
            services.store.run(Lane::Read, "read a template's name", read).await.map_err(RenderingError::from)?
        }
    };
    let compiled = material.tracked(&carried, compiled);
    // Everything is found and rendered before anything is sent: a refusal means that nobody got a test.
    let mut tests = Vec::with_capacity(contacts.len());
    for (contact, profile) in contacts.iter().copied().zip(profiles(&services.store, &contacts).await?) {
        let message = carried.render(&compiled, contact, &profile).map_err(RenderingError::from)?;
        let fitness = material.may_send(&services.store, contact).await.map_err(RenderingError::from)?;
        tests.push((contact, profile, message, as_a_test(fitness)));
    }
    let allowed = &services.settings.sending.test_recipients;
    let is_refused = |profile| address_for(kind, profile).is_ok_and(|to| !allowed.allows(to));
    let refused: Vec<ContactId> =
        tests.iter().filter(|(_, profile, ..)| is_refused(profile)).map(|(contact, ..)| *contact).collect();
    if !refused.is_empty() {
        return Err(TestError::NotAllowed(refused));
    }
    let line = Line::of(Action::Tested, Object::Campaign, id).after(json!({ "contact_ids": contacts }));
    audit::announce(&services.store, by, line).await.map_err(RenderingError::from)?;
    let mut results = Vec::with_capacity(tests.len());
    for (contact, profile, message, fitness) in tests {
        let to = match fitness.and_then(|()| address_for(kind, &profile)) {
            Ok(to) => to,
            Err(reason) => {
                results.push(Tested { contact, outcome: Err(reason) });
                continue;
            }
        };
        let envelope = Envelope {
            campaign_id: id,
            contact_id: contact,
            to: to.to_owned(),
            to_name: profile.full_name(),
            message,
            key: format!("test-{}", uuid::Uuid::new_v4().simple()),
            attempt: 1,
            trace: by.trace,
            details: channel.wants_details().then(|| {
                let (profile, template_name) = (profile.clone(), template_name.clone());
                Box::new(Details { profile, template_name, props: material.props.clone() })
            }),
            attachments: Arc::clone(&attachments),
        };
        let outcome = Ok(channel.deliver(&envelope, &AlwaysOpen).await);
        results.push(Tested { contact, outcome });
    }
    tracing::info!(
        event = "campaign.test_sent",
        campaign.id = id.0,
        recipients = results.len(),
        "a test message was sent"
    );
    Ok(results)
}
