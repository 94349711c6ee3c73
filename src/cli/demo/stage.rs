//! What `volley demo --serve` leaves for its pages: campaigns in most states, and one that is going out.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::client::{self, Client};
use super::super::progress::Progress;
use super::super::watch;
use super::gateway;
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;

/// How long the last campaign takes, so that somebody can look around meanwhile.
const GOING_OUT_SECONDS: f64 = 600.0;
/// How many messages have left before a campaign is paused, and before the pages are opened.
const SOME: i64 = 20;
/// When the campaign starts that waits for its time.
const IN_TWO_DAYS: Duration = Duration::from_secs(48 * 3_600);

/// Leaves campaigns to a list; which one is going out.
///
/// # Errors
/// The instance refused something, or stdout is closed.
pub(super) async fn set(client: &Client, list: i64, progress: &mut Progress) -> anyhow::Result<CampaignId> {
    let members = client::number(&client.get(&format!("v1/lists/{list}"), &[]).await?, "/member_count")?;
    let members = f64::from(i32::try_from(members).unwrap_or(i32::MAX));
    draft(client, list, "Summer catalogue", json!({})).await?;
    let autumn = draft(client, list, "Autumn collection", json!({})).await?;
    let in_two_days = UtcInstant(jiff::Timestamp::now().as_millisecond()).plus(IN_TWO_DAYS);
    let when = json!({ "scheduled_at": in_two_days });
    client.post_once(&format!("v1/campaigns/{autumn}/schedule"), &when).await?;
    // The gateway leaves some of them without an answer: they become uncertain.
    let orders = json!({ "channel": "http", "pool": gateway::NAME });
    launch(client, draft(client, list, "Order updates", orders).await?).await?;
    let survey = draft(client, list, "Members' survey", rate(members / 20.0)).await?;
    launch(client, survey).await?;
    some_sent(client, survey, progress).await?;
    client.post_once(&format!("v1/campaigns/{survey}/pause"), &json!({})).await?;
    let offers = draft(client, list, "Weekend offers", rate(members / GOING_OUT_SECONDS)).await?;
    launch(client, offers).await?;
    some_sent(client, offers, progress).await?;
    Ok(CampaignId(offers))
}

/// A rate of at least four messages per second.
fn rate(per_second: f64) -> Value {
    json!({ "rate_per_second": per_second.max(4.0).round() })
}

/// Makes a campaign. `more` adds or replaces fields.
async fn draft(client: &Client, list: i64, name: &str, more: Value) -> anyhow::Result<i64> {
    let mut campaign = json!({
        "name": name,
        "channel": "email",
        "pool": "sandbox",
        "subject": format!("{name}, {{first_name|there}}"),
        "body_text": "Hello {first_name|there},\n\nthere is news for {location|your town}.\n\n\
            No more of this: {{ unsubscribe_url }}\n{{ postal_address }}\n",
        "audience": { "lists": [list] },
    });
    if let (Some(fields), Value::Object(more)) = (campaign.as_object_mut(), more) {
        fields.extend(more);
    }
    client::number(&client.post("v1/campaigns", &campaign).await?, "/id")
}

async fn launch(client: &Client, id: i64) -> anyhow::Result<()> {
    client.post_once(&format!("v1/campaigns/{id}/send"), &json!({})).await?;
    Ok(())
}

/// Waits until some messages of a campaign have left, or it has ended because it is so small.
async fn some_sent(client: &Client, id: i64, progress: &mut Progress) -> anyhow::Result<()> {
    let is_under_way = |sight: &watch::Sight| sight.status.is_ended() || sight.books.settled() >= SOME;
    watch::follow(client, id, progress, is_under_way).await?;
    Ok(())
}
