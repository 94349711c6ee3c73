//! Exchanges and queues. docs/broker.md shows them.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::session::{LinkError, call, short};

/// Launches from outside.
pub(super) const PACK: &str = "campaigns.pack";
/// Ready pages.
pub(super) const SEND: &str = "campaigns.send";
/// Pages and campaigns that are done.
pub(super) const TRACKED: &str = "campaigns.tracked";
/// Operators' decisions.
pub(super) const CONTROL: &str = "campaigns.control";
/// Where launches from outside wait.
pub(super) const PACK_QUEUE: &str = "volley.pack";
/// Where what cannot be read waits for a person.
pub(super) const DEAD_QUEUE: &str = "volley.dead";

/// Unreadable messages beyond so many push out the oldest.
const DEAD_AT_MOST: i32 = 1_000;

/// Where pages of a pool wait for an instance.
pub(super) fn send_queue(pool: &str) -> String {
    format!("volley.send.{pool}")
}

/// Declares everything that outlives a connection. What is there already stays as it is.
pub(super) async fn declare(channel: &Channel, pools: &[String], accept_pack: bool) -> Result<(), LinkError> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    for (name, kind) in [
        (PACK, ExchangeKind::Topic),
        (SEND, ExchangeKind::Topic),
        (TRACKED, ExchangeKind::Topic),
        (CONTROL, ExchangeKind::Fanout),
    ] {
        let declared = channel.exchange_declare(ShortString::from(name), kind, durable, FieldTable::default());
        call("declare an exchange", declared).await?;
    }
    for pool in pools {
        queue(channel, &send_queue(pool), FieldTable::default()).await?;
        bind(channel, &send_queue(pool), SEND, pool).await?;
    }
    if accept_pack {
        queue(channel, PACK_QUEUE, FieldTable::default()).await?;
        bind(channel, PACK_QUEUE, PACK, "#").await?;
    }
    let mut bounded = FieldTable::default();
    bounded.insert(ShortString::from("x-max-length"), AMQPValue::LongInt(DEAD_AT_MOST));
    queue(channel, DEAD_QUEUE, bounded).await
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), LinkError> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    call("declare a queue", channel.queue_declare(short(name), durable, arguments)).await.map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &'static str, key: &str) -> Result<(), LinkError> {
    let options = QueueBindOptions::default();
    let bound =
        channel.queue_bind(short(queue), ShortString::from(exchange), short(key), options, FieldTable::default());
    call("bind a queue", bound).await
}

/// Declares the queue of one connection, freshly named: one with a fixed name races with its own deletion.
pub(super) async fn control_queue(channel: &Channel) -> Result<String, LinkError> {
    let name = format!("volley.control.{}", uuid::Uuid::new_v4());
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    call("declare the control queue", channel.queue_declare(short(&name), own, FieldTable::default())).await?;
    bind(channel, &name, CONTROL, "").await?;
    Ok(name)
}
