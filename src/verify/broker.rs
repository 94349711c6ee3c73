//! Page messages that nobody of Volley's sent: repeated, out of order, forged. They are hints, and must change nothing.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::{Value, json};

use super::VerifyError;
use super::rng::Rng;
use super::stage::{Campaign, Stage};
use crate::domain::ids::CampaignId;
use crate::store::Lane;
use crate::store::dispatch::inspection;

/// The exchange of page messages; the routing key is the pool's name.
const EXCHANGE: &str = "campaigns.send";
/// The most pages of a campaign that are repeated.
const PAGES: i64 = 100;
/// How many messages name a page that is not there, or another campaign's.
const FORGED: i64 = 20;
/// How long a broker that is blocked, or on its way back, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes every page of the campaigns `copies` times, out of order, and forged messages among them. A broker that does
/// not answer just now is left alone.
///
/// # Errors
/// The database cannot be asked for the pages.
pub(super) async fn confuse(stage: &Stage, campaigns: &[Campaign], seed: u64, copies: u64) -> Result<(), VerifyError> {
    let (Some(store), Some(url)) = (&stage.store, &stage.broker_url) else { return Ok(()) };
    let mut messages: Vec<(&str, Value)> = Vec::new();
    for campaign in campaigns {
        let id = CampaignId(campaign.id);
        let look = move |conn: &mut _| inspection::pages_of(conn, id, PAGES);
        let pages = store.run(Lane::Read, "list pages", look).await.unwrap_or_default();
        let real = pages.iter().map(|(page, number)| (page.0, *number));
        let forged = (1..=FORGED).map(|n| (1_000_000_000 + n, n));
        let pool = campaign.kind.name();
        for (page, number) in real.chain(forged) {
            messages.extend((0..copies).map(|_| (pool, message(campaign.id, page, number))));
        }
        // Another campaign's page, one for the wrong pool, and what is no message at all.
        messages.extend(pages.iter().take(3).map(|(page, number)| (pool, message(campaign.id + 1, page.0, *number))));
        messages.push((pool, json!({ "campaignId": "seven", "surprise": true })));
    }
    Rng::new(seed ^ copies).shuffle(&mut messages);
    // An outage of the broker is another fault's.
    let _unanswered = tokio::time::timeout(PATIENCE, publish(url.expose(), &messages)).await;
    Ok(())
}

fn message(campaign: i64, page: i64, number: i64) -> Value {
    json!({
        "campaignId": campaign, "pageId": page, "page": number, "correlationId": uuid::Uuid::new_v4().to_string(),
    })
}

async fn publish(url: &str, messages: &[(&str, Value)]) -> Result<(), lapin::Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for (pool, body) in messages {
        let body = body.to_string();
        let sent = channel.basic_publish(
            EXCHANGE.into(),
            (*pool).into(),
            BasicPublishOptions::default(),
            body.as_bytes(),
            BasicProperties::default(),
        );
        sent.await?.await?;
    }
    connection.close(200, "done".into()).await
}
