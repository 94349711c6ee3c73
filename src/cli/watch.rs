//! Following a campaign until it ends.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::client::{self, Client, ClientError};
use super::output::grouped;
use super::progress::Progress;
use crate::domain::campaigns::CampaignStatus;

const POLL_EVERY: Duration = Duration::from_millis(250);
/// How long an instance that has gone (a restart, an upgrade) is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The counts of a campaign's recipients by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Books {
    #[serde(default)]
    pub(crate) total: i64,
    pub(crate) pending: i64,
    pub(crate) sending: i64,
    pub(crate) sent: i64,
    pub(crate) failed: i64,
    pub(crate) skipped: i64,
    pub(crate) uncertain: i64,
}

impl Books {
    /// The states in the order in which the books are shown.
    pub(crate) fn states(&self) -> [(&'static str, i64); 6] {
        [
            ("pending", self.pending),
            ("sending", self.sending),
            ("sent", self.sent),
            ("failed", self.failed),
            ("skipped", self.skipped),
            ("uncertain", self.uncertain),
        ]
    }

    /// How many recipients have come to an end.
    pub(crate) fn settled(&self) -> i64 {
        self.total - self.pending - self.sending
    }

    /// Whether nobody is lost: the states add up to the total.
    pub(crate) fn balance(&self) -> bool {
        self.states().iter().map(|(_, count)| count).sum::<i64>() == self.total
    }
}

/// A campaign as it was seen at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) status: CampaignStatus,
    pub(crate) books: Books,
    /// The audience as it was counted at launch, where packing goes on.
    pub(crate) expected: i64,
    /// Who waits for another try, and when the first may be tried.
    pub(crate) waiting: Option<String>,
    /// Why the campaign cannot go on.
    pub(crate) attention: Option<String>,
}

impl Sight {
    /// Reads the API's campaign.
    ///
    /// # Errors
    /// It lacks what the API promises.
    pub(crate) fn read(campaign: &Value) -> anyhow::Result<Self> {
        let status = client::text(campaign, "/status");
        let books = campaign.get("stats").cloned().context("the campaign has no stats")?;
        let books: Books = serde_json::from_value(books).context("the campaign's stats cannot be read")?;
        let waiting = campaign.pointer("/waiting/count").and_then(Value::as_i64).map(|count| {
            format!(
                "waiting for another try: {}, next at {}",
                grouped(count),
                client::text(campaign, "/waiting/next_at")
            )
        });
        let attention = campaign.get("attention").filter(|attention| attention.is_object());
        Ok(Self {
            status: CampaignStatus::from_text(status).with_context(|| format!("unknown status {status:?}"))?,
            books,
            expected: campaign.pointer("/packing/expected").and_then(Value::as_i64).unwrap_or(books.total),
            waiting,
            attention: attention.map(|it| format!("{}: {}", client::text(it, "/code"), client::text(it, "/detail"))),
        })
    }

    /// How many recipients there will be.
    pub(crate) fn total(&self) -> i64 {
        self.expected.max(self.books.total)
    }

    /// One line: `sending  334/997  sent 310  failed 20 …`, zeros left out.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{}  {}/{}", self.status, grouped(self.books.settled()), grouped(self.total()));
        for (state, count) in self.books.states().into_iter().skip(1).filter(|(_, count)| *count > 0) {
            line.push_str(&format!("  {state} {}", grouped(count)));
        }
        if let Some(waiting) = &self.waiting {
            line.push_str(&format!("  {waiting}"));
        }
        if let Some(attention) = &self.attention {
            line.push_str(&format!("  [{attention}]"));
        }
        line
    }
}

/// How many recipients were skipped for which reason, by name.
pub(crate) fn skips(campaign: &Value) -> Vec<(String, i64)> {
    let reasons = campaign.pointer("/stats/skipped_by_reason").and_then(Value::as_object);
    let reasons = reasons.into_iter().flatten();
    reasons.map(|(reason, count)| (reason.clone(), count.as_i64().unwrap_or_default())).collect()
}

/// The campaign as it is now.
///
/// # Errors
/// [`ClientError`], or an answer that is no campaign.
pub(crate) async fn look(client: &Client, id: i64) -> anyhow::Result<Sight> {
    Sight::read(&client.get(&format!("v1/campaigns/{id}"), &[]).await?)
}

/// Shows the campaign until `until` holds of it. An instance that goes away is waited for, for a minute.
///
/// # Errors
/// The campaign cannot be read, or the instance stays away.
pub(crate) async fn follow(
    client: &Client,
    id: i64,
    progress: &mut Progress,
    until: impl Fn(&Sight) -> bool,
) -> anyhow::Result<Sight> {
    let mut last_seen = Instant::now();
    loop {
        match look(client, id).await {
            Ok(sight) => {
                last_seen = Instant::now();
                progress.show(sight.books.settled(), sight.total(), &sight.line());
                if until(&sight) {
                    return Ok(sight);
                }
            }
            Err(error) => {
                let is_away = matches!(error.downcast_ref::<ClientError>(), Some(ClientError::Unreachable { .. }));
                if !is_away || last_seen.elapsed() > PATIENCE {
                    return Err(error);
                }
                progress.show(0, 0, "the instance does not answer; waiting for it");
            }
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_told_in_one_line_without_its_zeros() {
        let campaign = serde_json::json!({
            "status": "sending", "packing": {"done": true, "expected": 1000},
            "attention": {"code": "provider_unreachable", "detail": "connection refused", "since": "2026-01-01T00:00:00Z"},
            "waiting": {"count": 1200, "next_at": "2026-01-01T00:05:00.000Z"},
            "stats": {"total": 1000, "pending": 640, "sending": 50, "sent": 290, "failed": 20, "skipped": 0, "uncertain": 0},
        });
        let sight = Sight::read(&campaign).unwrap();
        assert!(sight.books.balance());
        let line = "sending  310/1,000  sending 50  sent 290  failed 20  \
                    waiting for another try: 1,200, next at 2026-01-01T00:05:00.000Z  \
                    [provider_unreachable: connection refused]";
        assert_eq!(sight.line(), line);
    }

    #[test]
    fn books_that_lose_somebody_do_not_balance() {
        assert!(!Books { total: 3, sent: 2, ..Books::default() }.balance());
    }
}
