//! Messages that could not be read: put aside with the reason, looked at by people, played again when the cause is gone.

use std::sync::Arc;

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel};
use serde::Serialize;

use super::session::{LinkError, Publication, call, confirming, connect, publish};
use super::topology;
use crate::config::broker::Broker;
use crate::domain::ids::InstanceId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::messages::MAX_BYTES;

/// Most letters that one look shows.
const SHOWN: usize = 100;

/// Most letters that are gone through to find one: the queue holds no more.
const SEARCHED: usize = 1_000;

const REASON: &str = "x-reason";
const EXCHANGE: &str = "x-original-exchange";
const ROUTING_KEY: &str = "x-original-routing-key";
const INSTANCE: &str = "x-instance";

/// A message that could not be read.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeadLetter {
    /// The id by which it is replayed.
    pub id: String,
    /// Where it was published.
    pub exchange: String,
    /// With which key.
    pub routing_key: String,
    /// Why it could not be read.
    pub reason: String,
    /// When it was put aside.
    pub put_aside_at: UtcInstant,
    /// What it said, as far as it is text: at most 4,096 bytes.
    pub body: String,
}

/// Why the dead letters cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// There is no such letter, or somebody else is just looking at it.
    #[error("no dead letter {0}")]
    NotFound(String),
    /// The broker does not answer.
    #[error("the broker cannot be used: {0}")]
    Broker(String),
}

impl From<LinkError> for DeadLetterError {
    fn from(error: LinkError) -> Self {
        Self::Broker(error.to_string())
    }
}

/// What cannot be read, on its way to the dead-letter queue.
pub(super) fn publication(delivery: &Delivery, reason: &str, instance: InstanceId) -> Publication {
    let mut headers = FieldTable::default();
    let mut header = |name: &'static str, value: &str| {
        headers.insert(ShortString::from(name), AMQPValue::LongString(LongString::from(value.to_owned())));
    };
    header(REASON, reason);
    header(EXCHANGE, delivery.exchange.as_str());
    header(ROUTING_KEY, delivery.routing_key.as_str());
    header(INSTANCE, &instance.to_string());
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    let properties = BasicProperties::default()
        .with_message_id(super::session::short(&uuid::Uuid::new_v4().to_string()))
        .with_timestamp(now)
        .with_delivery_mode(2)
        .with_headers(headers);
    // What is longer can never be read, and the queue is not there to store it.
    let body = delivery.data.get(..delivery.data.len().min(MAX_BYTES)).unwrap_or_default().to_vec();
    // By the default exchange, straight into the queue.
    let key = topology::DEAD_QUEUE.to_owned();
    Publication { exchange: "", key, body, properties, mandatory: true }
}

/// The dead-letter queue, over a connection of its own for each look: whatever is not taken away goes back when that ends.
#[derive(Clone)]
pub struct DeadLetters {
    broker: Broker,
    /// One look at a time: a second one would not see what the first has in hand.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl DeadLetters {
    /// Those of this broker.
    #[must_use]
    pub fn of(broker: Broker) -> Self {
        Self { broker, turn: Arc::default() }
    }

    /// The oldest hundred.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let _turn = self.turn.lock().await;
        let connection = connect(&self.broker, "dead letters").await?;
        let channel = self.channel(&connection).await?;
        let mut publications = Vec::new();
        while publications.len() < SHOWN
            && let Some(delivery) = next(&channel).await?
        {
            publications.push(shown(&delivery));
        }
        give_back(&channel).await?;
        Ok(publications)
    }

    /// Publishes a letter again where it came from, and takes it away once the broker has it.
    ///
    /// # Errors
    /// There is no such letter, or the broker does not answer.
    pub async fn replay(&self, id: &str) -> Result<DeadLetter, DeadLetterError> {
        self.take_away(id, async |channel, delivery, found| {
            let exchange = [topology::PACK, topology::SEND].into_iter().find(|known| *known == found.exchange);
            let Some(exchange) = exchange else { return Ok(false) };
            let publication = Publication::lasting(exchange, &found.routing_key, delivery.data.clone());
            publish(channel, vec![Publication { mandatory: true, ..publication }]).await?;
            Ok(true)
        })
        .await
    }

    /// Takes a letter away. It cannot be had again.
    ///
    /// # Errors
    /// There is no such letter, or the broker does not answer.
    pub async fn discard(&self, id: &str) -> Result<DeadLetter, DeadLetterError> {
        self.take_away(id, async |_, _, _| Ok(true)).await
    }

    /// Looks for a letter, and takes it away if `first` says so.
    async fn take_away(
        &self,
        id: &str,
        first: impl AsyncFnOnce(&Channel, &Delivery, &DeadLetter) -> Result<bool, LinkError>,
    ) -> Result<DeadLetter, DeadLetterError> {
        let _turn = self.turn.lock().await;
        let connection = connect(&self.broker, "dead letters").await?;
        let channel = self.channel(&connection).await?;
        let mut taken = None;
        for _ in 0..SEARCHED {
            let Some(delivery) = next(&channel).await? else { break };
            let found = shown(&delivery);
            if found.id != id {
                continue;
            }
            if first(&channel, &delivery, &found).await? {
                call("take a dead letter away", delivery.acker.ack(BasicAckOptions::default())).await?;
                taken = Some(found);
            }
            break;
        }
        let given_back = give_back(&channel).await;
        if let Some(taken) = taken {
            // It is gone, whatever came of the others.
            return Ok(taken);
        }
        given_back?;
        Err(DeadLetterError::NotFound(id.to_owned()))
    }

    async fn channel(&self, connection: &lapin::Connection) -> Result<Channel, LinkError> {
        let channel = confirming(connection).await?;
        topology::declare(&channel, &[], false).await?;
        Ok(channel)
    }
}

/// Ends a look: when the broker has answered, whatever was looked at is in the queue again, and the next look finds it. Where only the
/// connection ends, that comes some time later.
async fn give_back(channel: &Channel) -> Result<(), LinkError> {
    call("give dead letters back", channel.close(200, ShortString::from("looked"))).await
}

async fn next(channel: &Channel) -> Result<Option<Delivery>, LinkError> {
    let got = channel.basic_get(ShortString::from(topology::DEAD_QUEUE), BasicGetOptions::default());
    Ok(call("look at a dead letter", got).await?.map(|message| message.delivery))
}

fn shown(delivery: &Delivery) -> DeadLetter {
    let header = |name: &str| -> String {
        let headers = delivery.properties.headers().as_ref().map(FieldTable::inner);
        match headers.and_then(|headers| headers.get(name)) {
            Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
            _ => String::new(),
        }
    };
    let seconds = delivery.properties.timestamp().and_then(|at| i64::try_from(at).ok()).unwrap_or(0);
    let body = delivery.data.get(..delivery.data.len().min(MAX_BYTES)).unwrap_or_default();
    DeadLetter {
        id: delivery.properties.message_id().as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default(),
        exchange: header(EXCHANGE),
        routing_key: header(ROUTING_KEY),
        reason: header(REASON),
        put_aside_at: UtcInstant(seconds.saturating_mul(1_000)),
        body: String::from_utf8_lossy(body).into_owned(),
    }
}
