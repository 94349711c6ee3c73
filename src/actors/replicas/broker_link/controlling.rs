//! The connection that hears of decisions, proves to itself that it does, and asks how long the queues are.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection as Amqp};

use super::session::{Ends, LinkError, Publication, call, confirming, connect, publish, short};
use super::state::Connection;
use super::{Link, topology};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::replicas::decision::{Action, Subject};
use crate::domain::replicas::messages::{self, Control};

/// How often a message is sent to ourselves.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Without one of them for so long, the connection is deaf: it looks well and hears of no pause.
const DEAF_AFTER: Duration = Duration::from_secs(6);

/// How often the queues are measured.
const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// Marks messages that are for their sender.
const PING: &str = "volley.ping";

pub(super) async fn run(link: &Link) -> Ends {
    let broker = &link.deps.services.settings.broker;
    let connection = connect(broker, "controlling").await?;
    let channel = confirming(&connection).await?;
    topology::declare(&channel, &[], false).await?;
    let queue = topology::control_queue(&channel).await?;
    let unacknowledged = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(short(&queue), ShortString::from(""), unacknowledged, FieldTable::default());
    let mut consumer = call("subscribe", consumer).await?;
    link.state.connected(Connection::Controlling);
    // What was decided while nobody listened is in the rows.
    link.listen();
    let mut gauges = None;
    let (mut ping, mut measure) = (tokio::time::interval(PING_EVERY), tokio::time::interval(MEASURE_EVERY));
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            message = consumer.next() => match message {
                Some(Ok(message)) => {
                    if hear(link, &queue, &message) {
                        heard = Instant::now();
                    }
                }
                Some(Err(source)) => return Err(LinkError::Refused { action: "listen", source }),
                None => return Err(LinkError::Ended("listen")),
            },
            _ = ping.tick() => {
                if heard.elapsed() > DEAF_AFTER {
                    return Err(LinkError::Deaf);
                }
                publish(&channel, vec![to_self(&queue)]).await?;
            },
            _ = measure.tick() => {
                let began = Instant::now();
                measure_queues(link, &connection, &mut gauges).await;
                // Meanwhile nobody listened.
                heard += began.elapsed();
            },
        }
    }
}

/// Through the exchange, as every decision comes.
fn to_self(queue: &str) -> Publication {
    let publication = Publication::plain(topology::CONTROL, "", queue.as_bytes().to_vec());
    Publication { properties: publication.properties.clone().with_type(ShortString::from(PING)), ..publication }
}

/// Acts on a message. Returns whether it was our own.
fn hear(link: &Link, queue: &str, message: &Delivery) -> bool {
    if message.properties.kind().as_ref().is_some_and(|kind| kind.as_str() == PING) {
        return message.data == queue.as_bytes();
    }
    match messages::parse::<Control>(&message.data) {
        Ok(control) => {
            link.state.heard();
            // Believed at once, for a moment; what is true comes from the row.
            let status = match control.action {
                Action::Pause => Some(CampaignStatus::Paused),
                Action::Stop => Some(CampaignStatus::Stopped),
                // To go on can wait for the row.
                Action::Resume | Action::Suspend => None,
            };
            if let (Some(Subject::Campaign(campaign)), Some(status)) = (control.subject(), status) {
                link.deps.status.hear(campaign, status, control.status_version);
            }
            link.listen();
        }
        // A copy went to every instance: none of them puts it aside.
        Err(bad) => {
            tracing::warn!(
                event = "broker.control_invalid",
                exchange = topology::CONTROL,
                reason = %bad,
                "Invalid payload: the control message is ignored"
            )
        }
    }
    false
}

/// Asks how many messages wait in each queue, on a channel of its own: to ask for a queue that is missing closes it.
async fn measure_queues(link: &Link, connection: &Amqp, channel: &mut Option<Channel>) {
    let mut queues: Vec<String> = link.pool_names().iter().map(|pool| topology::send_queue(pool)).collect();
    if link.deps.services.settings.broker.accept_pack {
        queues.push(topology::PACK_QUEUE.to_owned());
    }
    queues.push(topology::DEAD_QUEUE.to_owned());
    for queue in queues {
        let waiting = measured(connection, channel, &queue).await;
        if waiting.is_err() {
            *channel = None;
        }
        link.state.measured(&queue, waiting.ok());
    }
}

async fn measured(connection: &Amqp, channel: &mut Option<Channel>, queue: &str) -> Result<u32, LinkError> {
    let open = match channel {
        Some(open) => open,
        None => channel.insert(call("open a channel", connection.create_channel()).await?),
    };
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = call("measure a queue", open.queue_declare(short(queue), passive, FieldTable::default())).await?;
    Ok(declared.message_count())
}
