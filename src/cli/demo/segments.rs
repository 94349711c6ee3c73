//! Segments of the demo: rules that keep themselves up to date while people order and time passes.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use super::super::client::{self, Client};
use super::super::output::grouped;
use super::super::progress::Progress;
use super::hook::{self, Hook};

const POLL_EVERY: Duration = Duration::from_millis(100);
/// How long a segment may take to follow what has happened.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an order counts, in seconds.
const JUST_NOW: u64 = 3;
/// How many people order something.
const ORDERS: usize = 5;

/// The segments of the demo.
pub(super) struct Segments {
    /// Those who ordered something a moment ago.
    ordered: i64,
}

impl Segments {
    /// Creates them, and says how many members each has.
    ///
    /// # Errors
    /// The instance refused something, or stdout is closed.
    pub(super) async fn create(client: &Client, progress: &mut Progress) -> anyhow::Result<Self> {
        let first_name = json!({ "field": { "name": "first_name", "op": "exists" } });
        let towns = json!({ "attribute": { "name": "location", "op": "in", "value": ["Berlin", "London"] } });
        let ordered = json!({ "event": { "name": "order_placed", "within": format!("{JUST_NOW}s") } });
        let (mut ids, mut told) = (Vec::new(), Vec::new());
        let calls = json!([{ "on": "entered", "do": [{ "call": hook::NAME }] }, { "on": "left", "do": [{ "call": hook::NAME }] }]);
        for (name, criteria, reactions) in [
            ("With a first name", first_name, json!([])),
            ("In Berlin or London", towns, json!([])),
            ("Ordered just now", ordered, calls),
        ] {
            let draft = json!({ "name": name, "criteria": criteria, "reactions": reactions });
            let id = client::number(&client.post("v1/segments", &draft).await?, "/id")?;
            told.push(format!("  {name}: {}", grouped(built(client, id, progress).await?)));
            ids.push(id);
        }
        progress.say(&format!("{} segments keep themselves up to date:\n{}", ids.len(), told.join("\n")))?;
        Ok(Self { ordered: ids.last().copied().unwrap_or_default() })
    }

    /// Some people order something: they enter by that, and leave because time passes.
    ///
    /// # Errors
    /// The instance refused something, nobody entered or left, or stdout is closed.
    pub(super) async fn order(&self, client: &Client, hook: &Hook, progress: &mut Progress) -> anyhow::Result<()> {
        let page_size = ORDERS.to_string();
        let people = client.get("v1/contacts", &[("page_size", page_size.as_str())]).await?;
        let people = people.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        let events: Vec<Value> = people
            .iter()
            .filter_map(|contact| contact.get("id"))
            .map(|id| json!({ "name": "order_placed", "contact_id": id, "properties": { "total": 42 } }))
            .collect();
        let count = i64::try_from(events.len())?;
        client.post("v1/events/batch", &json!({ "events": &events })).await?;
        let entered = self.has_members(client, count).await?;
        progress.say(&format!(
            "{count} people order something: {} ms later they are in \"Ordered just now\"",
            grouped(i64::try_from(entered.as_millis())?)
        ))?;
        let waited = hears(hook, "segment.entered", events.len()).await?;
        progress.say(&format!(
            "A webhook is called for each of them, signed: {} ms later all have arrived",
            grouped(i64::try_from(waited.as_millis())?)
        ))?;
        self.has_members(client, 0).await?;
        hears(hook, "segment.left", events.len()).await?;
        progress.say(&format!(
            "{JUST_NOW} seconds after the order they have left it, by time alone; the webhook knows that, too"
        ))?;
        Ok(())
    }

    /// Waits until so many are members, and says how long that took.
    async fn has_members(&self, client: &Client, count: i64) -> anyhow::Result<Duration> {
        let began = Instant::now();
        while client::number(&client.get(&format!("v1/segments/{}", self.ordered), &[]).await?, "/member_count")?
            != count
        {
            ensure!(began.elapsed() < PATIENCE, "the segment has not come to {count} members");
            tokio::time::sleep(POLL_EVERY).await;
        }
        Ok(began.elapsed())
    }
}

/// Waits until the webhook was told so much of a kind, and says how long that took.
async fn hears(hook: &Hook, kind: &str, count: usize) -> anyhow::Result<Duration> {
    let began = Instant::now();
    while hook.taken(kind).len() < count {
        ensure!(began.elapsed() < PATIENCE, "the webhook was not told of {count} contacts: {kind}");
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(began.elapsed())
}

/// Waits until everybody was evaluated for a segment; how many are members.
async fn built(client: &Client, id: i64, progress: &mut Progress) -> anyhow::Result<i64> {
    loop {
        let segment = client.get(&format!("v1/segments/{id}"), &[]).await?;
        if client::text(&segment, "/state") == "ready" {
            return client::number(&segment, "/member_count");
        }
        let share = segment.get("progress").and_then(Value::as_f64).unwrap_or_default() * 100.0;
        let name = client::text(&segment, "/name");
        progress.show(0, 0, &format!("segment \"{name}\": {share:.0} % of all contacts evaluated"));
        tokio::time::sleep(POLL_EVERY).await;
    }
}
