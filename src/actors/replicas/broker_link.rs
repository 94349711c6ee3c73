//! The broker link: RabbitMQ between instances. It carries hints and decides nothing.
//!
//! Three connections, each with a campaign driver of ours: one publishes, one takes pages, one hears of decisions. When the
//! broker raises an alarm it stops reading from connections that publish, acknowledgements and heartbeats included; so
//! publishing has one of its own. Whatever a connection meets (a timeout, a closed channel, a queue that was deleted),
//! the whole of it is dropped and built anew, which declares and subscribes again; then the rows are looked at, for what
//! was missed. While the broker is away nothing waits for it: pools find ready pages in the table, notices are rows.

mod consuming;
mod controlling;
mod dead_letters;
pub mod outbox;
mod publishing;
mod session;
mod state;
mod topology;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;

pub use self::dead_letters::{DeadLetter, DeadLetterError, DeadLetters};
pub use self::outbox::Announcer;
use self::state::{Connection, State};
pub use self::state::{ConnectionState, LinkState};
use super::decision_follower::DecisionFollower;
use crate::config::Settings;
use crate::domain::dispatch::backoff;
use crate::domain::ids::InstanceId;
use crate::runtime::directory::{Current, PoolDirectory};
use crate::runtime::hints::{Changed, LookNow};
use crate::runtime::status_cache::StatusCache;
use crate::services::Services;

/// The first wait before a lost connection is built again, and the longest.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// A connection that lasted for so long starts again with the first wait.
const LASTING: Duration = Duration::from_secs(10);

/// What the link is built from; kept by the guardian to build it again.
#[derive(Clone)]
pub struct LinkDeps {
    /// The settings, the database, and launches from outside.
    pub services: Services,
    /// This incarnation.
    pub instance: InstanceId,
    /// The pools that get announced pages.
    pub pools: PoolDirectory,
    /// Campaign statuses.
    pub status: Arc<StatusCache>,
    /// Told when a decision may have been posted.
    pub follower: Current<DecisionFollower>,
    /// Told when a campaign changed elsewhere.
    pub driver: Recipient<Changed>,
    /// What is to be published.
    pub announcer: Announcer,
    /// Set while the broker tells of ready pages.
    pub broker_announces: Arc<AtomicBool>,
    /// Set when the process drains: no more pages are taken.
    pub draining: Arc<AtomicBool>,
}

/// The actor.
pub struct BrokerLink {
    link: Arc<Link>,
}

/// What the connections share.
struct Link {
    deps: LinkDeps,
    state: State,
}

/// Reports the state of the link.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "LinkState")]
pub struct GetState;

impl BrokerLink {
    /// A link that connects when it is started.
    #[must_use]
    pub fn new(deps: LinkDeps) -> Self {
        let state = State::new(Arc::clone(&deps.broker_announces));
        Self { link: Arc::new(Link { deps, state }) }
    }
}

impl Actor for BrokerLink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(supervise(Arc::clone(&self.link), Connection::Publishing).into_actor(self));
        ctx.spawn(supervise(Arc::clone(&self.link), Connection::Consuming).into_actor(self));
        ctx.spawn(supervise(Arc::clone(&self.link), Connection::Controlling).into_actor(self));
    }
}

impl Drop for BrokerLink {
    fn drop(&mut self) {
        self.link.state.all_lost();
    }
}

/// Connects, and declares what instances with these settings declare.
///
/// # Errors
/// In one line, why that does not work.
pub async fn probe(settings: &Settings) -> Result<(), String> {
    let broker = &settings.broker;
    let declare = async {
        let connection = session::connect(broker, "doctor").await?;
        let channel = session::confirming(&connection).await?;
        topology::declare(&channel, &pool_names(settings), broker.accept_pack).await
    };
    declare.await.map_err(|error: session::LinkError| error.to_string())
}

fn pool_names(settings: &Settings) -> Vec<String> {
    settings.pools.iter().map(|pool| pool.name.clone()).collect()
}

/// Builds one connection again and again, for ever.
async fn supervise(link: Arc<Link>, which: Connection) {
    let mut failures = 0;
    loop {
        if which == Connection::Consuming && link.is_draining() {
            return;
        }
        let began = std::time::Instant::now();
        let Err(error) = match which {
            Connection::Publishing => publishing::run(&link).await,
            Connection::Consuming => consuming::run(&link).await,
            Connection::Controlling => controlling::run(&link).await,
        };
        failures = if began.elapsed() > LASTING { 1 } else { failures + 1 };
        if link.state.lost(which, &error) {
            tracing::warn!(
                event = "broker.disconnected",
                connection = which.name(),
                error = %error,
                "the broker cannot be reached; work continues without it"
            );
        }
        tokio::time::sleep(backoff::doubling(RECONNECT.0, failures, RECONNECT.1).mul_f64(jitter())).await;
    }
}

/// 0.5 to 1.0, so that instances do not come back all at once.
fn jitter() -> f64 {
    0.5 + fastrand::f64() / 2.0
}

impl Handler<GetState> for BrokerLink {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.link.state.shown())
    }
}

impl Link {
    fn is_draining(&self) -> bool {
        self.deps.draining.load(Ordering::Acquire)
    }

    /// A decision may have been posted.
    fn listen(&self) {
        if let Some(follower) = self.deps.follower.get() {
            let _ = follower.try_send(LookNow);
        }
    }

    fn pool_names(&self) -> Vec<String> {
        pool_names(&self.deps.services.settings)
    }

    /// The pools whose pages this instance takes.
    fn running_pools(&self) -> Vec<String> {
        self.deps.services.settings.running_pools().map(|pool| pool.name.clone()).collect()
    }
}
