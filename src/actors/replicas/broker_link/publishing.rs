//! The connection that publishes: ready pages from their rows, and what others left in the outbox.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::{Channel, Event};

use super::session::{Ends, LinkError, Publication, confirming, connect, publish};
use super::state::Connection;
use super::{Link, topology};
use crate::domain::replicas::messages::Send;
use crate::store::Lane;
use crate::store::replicas::announcements;

/// How often ready pages are looked for. What was packed here is announced at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(link: &Link) -> Ends {
    let broker = &link.deps.services.settings.broker;
    let connection = connect(broker, "publishing").await?;
    let mut events = std::pin::pin!(connection.events_listener());
    let channel = confirming(&connection).await?;
    let pools = link.pool_names();
    topology::declare(&channel, &pools, broker.accept_pack).await?;
    link.state.connected(Connection::Publishing);
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let announcer = &link.deps.announcer;
    loop {
        tokio::select! {
            _ = tick.tick() => announce(link, &channel, &pools).await?,
            () = announcer.pages_left() => announce(link, &channel, &pools).await?,
            () = announcer.left() => empty(link, &channel).await?,
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => return Err(LinkError::Blocked(reason)),
                Some(Event::Error(source)) => return Err(LinkError::Refused { action: "stay connected", source }),
                Some(_) => {}
                None => return Err(LinkError::Ended("stay connected")),
            },
        }
    }
}

/// Announces what is ready and was not announced yet. A message that is not confirmed is as if it had never been: its
/// page is announced again in a while.
async fn announce(link: &Link, channel: &Channel, pools: &[String]) -> Result<(), LinkError> {
    // Messages that were left while there was no connection are not forgotten either.
    empty(link, channel).await?;
    for pool in pools {
        let name = pool.clone();
        let taken = link.deps.services.store.run(Lane::Write, "take pages to announce", move |conn| {
            conn.write(|conn| announcements::take(conn, &name))
        });
        // Without the database there is nothing to announce.
        let Ok(pages) = taken.await else { return Ok(()) };
        let publications = pages.iter().filter_map(|page| {
            let body = serde_json::to_vec(&Send::of(page.campaign_id, page.id, page.seq)).ok()?;
            Some(Publication { mandatory: true, ..Publication::plain(topology::SEND, pool, body) })
        });
        let publications: Vec<Publication> = publications.collect();
        link.state.published(topology::SEND, publications.len());
        publish(channel, publications).await?;
    }
    Ok(())
}

/// Publishes what waits in the outbox.
async fn empty(link: &Link, channel: &Channel) -> Result<(), LinkError> {
    for waiting in link.deps.announcer.waiting() {
        link.state.published(waiting.publication.exchange, 1);
        publish(channel, vec![waiting.publication]).await?;
        if let Some(taken) = waiting.taken {
            let _ = taken.send(());
        }
    }
    Ok(())
}
