//! What handlers need.

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Recipient};
use actix_web::{HttpRequest, web};
use metrics_exporter_prometheus::PrometheusHandle;

use super::api::database_probe::DatabaseProbe;
use super::auth::Auth;
use super::codes::Codes;
use super::limits::Limits;
use super::public::words::Languages;
use super::web::problem::ApiError;
use crate::actors::callback_reader::CallbackReader;
use crate::actors::dispatch::campaign_driver::CampaignDriver;
use crate::actors::dispatch::reaper::Reaper;
use crate::actors::dispatch::recorder::OutcomeRecorder;
use crate::actors::dispatch::scheduler::Scheduler;
use crate::actors::guardian::Guardian;
use crate::actors::import::importer;
use crate::actors::replicas::broker_link::{self, BrokerLink, DeadLetters, LinkState};
use crate::actors::replicas::decision_follower::DecisionFollower;
use crate::config::Settings;
use crate::domain::ids::InstanceId;
use crate::journal::Journal;
use crate::runtime::directory::{Current, PoolDirectory};
use crate::runtime::health::Health;
use crate::services::Services;
use crate::services::events::event_desk::EventDesk;
use crate::services::gathered::Gathered;
use crate::services::people::refusal_desk::RefusalDesk;
use crate::services::tracking::TrackingDesk;
use crate::store::Store;

/// How long an actor may take to say what it is at.
pub(super) const STATE_WITHIN: Duration = Duration::from_secs(2);

/// Everything that handlers share. One per process, behind [`web::Data`].
pub struct AppState {
    /// The database.
    pub store: Store,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Decisions.
    pub services: Services,
    /// Takes refusals by links.
    pub desk: RefusalDesk,
    /// Takes events.
    pub events: EventDesk,
    /// Notes clicks and opens.
    pub tracking: TrackingDesk,
    /// The words of the public pages.
    pub languages: Languages,
    /// Who may call.
    pub auth: Auth,
    /// Codes that sign a person in once.
    pub codes: Codes,
    /// How often.
    pub limits: Limits,
    /// What the audit log says of requests that change nothing.
    pub gathered: Gathered,
    /// Asked what the importer is at.
    pub importer_state: Recipient<importer::GetState>,
    /// Asked what it is at.
    pub driver: Addr<CampaignDriver>,
    /// Asked what the recorder holds.
    pub recorder: Addr<OutcomeRecorder>,
    /// Asked how the others fare.
    pub guardian: Addr<Guardian>,
    /// Asked what it has done.
    pub reaper: Current<Reaper>,
    /// Asked what it has done.
    pub scheduler: Current<Scheduler>,
    /// Asked what it has done.
    pub follower: Current<DecisionFollower>,
    /// Told that there is a callback, and asked what it has done.
    pub callbacks: Current<CallbackReader>,
    /// The link to the broker, if one is configured.
    pub broker: Option<Current<BrokerLink>>,
    /// Messages of the broker that could not be read.
    pub dead_letters: Option<DeadLetters>,
    /// What this incarnation's journal is at.
    pub journal: Arc<Journal>,
    /// The pools as they are now.
    pub pools: PoolDirectory,
    /// What keeps work from going on.
    pub health: Health,
    /// When the database was last asked whether it answers.
    pub database_probe: DatabaseProbe,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// This incarnation.
    pub instance: InstanceId,
}

impl AppState {
    pub(super) fn of(request: &HttpRequest) -> Result<web::Data<Self>, ApiError> {
        request.app_data::<web::Data<Self>>().cloned().ok_or_else(|| ApiError::Unexpected {
            action: "find the application's state",
            source: "it was not registered".into(),
        })
    }

    /// The state of the link to the broker. `None`: none is configured, or it does not answer in time.
    pub(super) async fn link_state(&self) -> Option<LinkState> {
        let link = self.broker.as_ref().and_then(Current::get)?;
        link.send(broker_link::GetState).timeout(STATE_WITHIN).await.ok()
    }
}
