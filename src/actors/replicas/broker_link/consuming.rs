//! The connection that takes pages, and launches where they are accepted from outside. A message is acknowledged once
//! its page's lease has committed; the broker never guards work.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Acker, Connection as Amqp, Consumer};
use tokio::sync::oneshot;

use super::session::{Ends, LinkError, call, confirming, connect, short};
use super::state::Connection;
use super::{Link, dead_letters, topology};
use crate::domain::replicas::messages::{self, Pack, Send};
use crate::runtime::pool::Offer;
use crate::services::By;
use crate::services::campaigns::launch;
use crate::store::{MayBeStoreError, StoreError};

/// How soon a drain ends this connection, so that what it holds goes to other instances.
const DRAIN_SEEN_WITHIN: Duration = Duration::from_millis(100);

/// How long a launch waits before it asks the database again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long the dead-letter queue may take to take a message.
const BURY_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn run(link: &Link) -> Ends {
    let broker = &link.deps.services.settings.broker;
    let connection = connect(broker, "consuming").await?;
    let declaring = confirming(&connection).await?;
    let pools = link.pool_names();
    topology::declare(&declaring, &pools, broker.accept_pack).await?;
    let mut readers = Vec::new();
    for pool in &link.running_pools() {
        readers.push((Some(pool.clone()), subscribe(&connection, &topology::send_queue(pool), broker.prefetch).await?));
    }
    if broker.accept_pack && link.deps.services.settings.instance.role.serves() {
        readers.push((None, subscribe(&connection, topology::PACK_QUEUE, 1).await?));
    }
    link.state.connected(Connection::Consuming);
    // What was announced while nobody listened is found by a look.
    link.deps.pools.wake_all();
    let mut readers: FuturesUnordered<_> =
        readers.into_iter().map(|(pool, consumer)| read(link, pool, consumer)).collect();
    if readers.is_empty() {
        return idle(link, &connection).await;
    }
    readers.next().await.unwrap_or(Err(LinkError::Ended("take pages")))
}

/// Keeps a connection on which there is nothing to take, so that its end is seen.
async fn idle(link: &Link, connection: &Amqp) -> Ends {
    loop {
        tokio::time::sleep(DRAIN_SEEN_WITHIN).await;
        if link.is_draining() || !connection.status().connected() {
            return Err(LinkError::Ended("wait for pages"));
        }
    }
}

async fn subscribe(connection: &Amqp, queue: &str, prefetch: u16) -> Result<Consumer, LinkError> {
    let channel = call("open a channel", connection.create_channel()).await?;
    call("set the prefetch", channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(short(queue), ShortString::from(""), options, FieldTable::default());
    call("subscribe", consumer).await
}

/// Reads one queue: a pool's pages, or launches.
async fn read(link: &Link, pool: Option<String>, mut consumer: Consumer) -> Ends {
    let mut held = FuturesUnordered::new();
    let mut tick = tokio::time::interval(DRAIN_SEEN_WITHIN);
    loop {
        tokio::select! {
            _ = tick.tick() => if link.is_draining() {
                return Err(LinkError::Ended("drain"));
            },
            delivery = consumer.next() => match delivery {
                Some(Ok(delivery)) => held.push(take(link, pool.as_deref(), delivery)),
                Some(Err(source)) => return Err(LinkError::Refused { action: "take a message", source }),
                None => return Err(LinkError::Ended("take messages")),
            },
            Some(done) = held.next() => acknowledge(done?).await?,
        }
    }
}

/// Keeps a message until it need not be kept. An error leaves it with the broker, which delivers it again.
async fn take(link: &Link, pool: Option<&str>, delivery: Delivery) -> Result<Acker, LinkError> {
    let read = match pool {
        Some(pool) => offer(link, pool, &delivery).await,
        None => launch_from_message(link, &delivery).await,
    };
    if let Err(bad) = read {
        tracing::warn!(
            event = "broker.message_invalid",
            exchange = delivery.exchange.as_str(),
            reason = %bad,
            "Invalid payload: the message goes to the dead letters"
        );
        let publication = dead_letters::publication(&delivery, &bad.to_string(), link.deps.instance);
        let buried = link.deps.announcer.hand_in(publication);
        match tokio::time::timeout(BURY_WITHIN, buried).await {
            Ok(Ok(())) => link.state.dead_lettered(),
            Ok(Err(_)) | Err(_) => return Err(LinkError::NotTaken("put a message aside")),
        }
    }
    Ok(delivery.acker)
}

async fn acknowledge(acker: Acker) -> Result<(), LinkError> {
    call("acknowledge", acker.ack(BasicAckOptions::default())).await.map(drop)
}

/// Offers a page to its pool, and waits until the pool has leased it or lets it go.
async fn offer(link: &Link, pool: &str, delivery: &Delivery) -> Result<(), messages::BadMessage> {
    let Send { campaign_id, page_id, .. } = messages::parse(&delivery.data)?;
    if link.is_draining() {
        // Others take it, when this connection has ended.
        return std::future::pending().await;
    }
    let (held, mut let_go) = oneshot::channel();
    link.deps.pools.offer(pool, Offer { campaign: campaign_id, page: page_id, since: Instant::now(), held });
    // A pool that dies lets everything go.
    let _ = (&mut let_go).await;
    Ok(())
}

/// Launches a campaign that somebody outside asked for. What cannot be launched as it stands is dropped: to be asked
/// again would not change it.
async fn launch_from_message(link: &Link, delivery: &Delivery) -> Result<(), messages::BadMessage> {
    let pack: Pack = messages::parse(&delivery.data)?;
    let (id, by) = (pack.campaign_id, By::broker(pack.triggered_by));
    loop {
        let refused = match launch::launch(&link.deps.services, id, &by).await {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        match refused.into_store_error() {
            Err(refused) => {
                tracing::warn!(
                    event = "broker.launch_refused",
                    campaign.id = id.0,
                    error = %refused,
                    "a launch message was refused"
                );
                return Ok(());
            }
            // The process ends; the message stays with the broker.
            Ok(StoreError::Closed) => std::future::pending().await,
            Ok(error) if error.is_transient() => {
                tracing::warn!(
                    event = "broker.launch_waiting",
                    campaign.id = id.0,
                    error = %error,
                    "a launch message waits for the database"
                );
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Ok(error) => {
                tracing::error!(
                    event = "broker.launch_failed",
                    campaign.id = id.0,
                    error = %error,
                    "a launch message has failed"
                );
                return Ok(());
            }
        }
    }
}
