//! Several instances on one PostgreSQL and one RabbitMQ.

mod brokers;
mod consent;
mod crashes;
mod decisions;
mod messages;
mod paces;
mod pool_changes;
mod pools;
mod rates;
mod refusals;
mod roles;
mod sharing;

use crate::support::Database;
use crate::support::rabbitmq::Broker;

/// How long the providers of these tests take.
const LATENCY_MS: (u64, u64) = (20, 40);

/// A database and a virtual host for several instances, if the machine has servers for them.
pub(crate) fn ground(test: &str) -> Option<(Database, Broker)> {
    Some((Database::postgres(test)?, Broker::shared(test)?))
}

/// The same with a broker that no other test uses, so that it may be broken.
fn ground_alone(test: &str) -> Option<(Database, Broker)> {
    Some((Database::postgres(test)?, Broker::alone(test)?))
}
