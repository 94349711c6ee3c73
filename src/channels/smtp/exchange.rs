//! Asking a relay: one command and its reply, each within a time.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::content::{Content, END};
use super::reply::{Failure, Reply, Stage};
use super::wire::Wire;

/// Sends one command and wants a reply that [`Reply::expect`]s `wanted`.
pub(super) async fn ask(wire: &mut Wire, command: &str, wanted: u16, patience: Duration) -> Result<Reply, Failure> {
    within(patience, async {
        wire.say(command.as_bytes()).await?;
        wire.hear().await?.expect(wanted)
    })
    .await
}

/// Sends the content, which holds its final dot, and returns the relay's id of the message if its answer names one. A
/// failure comes with the stage that it happened at: as long as the end cannot have left, nothing can have been accepted.
pub(super) async fn finish(
    wire: &mut Wire,
    content: &Content,
    patience: Duration,
) -> Result<Option<String>, (Stage, Failure)> {
    let mut sent = 0;
    let reply = within(patience, async { wire.deliver(content, &mut sent).await?.expect(250) }).await;
    let stage = if sent + END.len() > content.len() { Stage::Final } else { Stage::Content };
    reply.map(|reply| queue_id(reply.first_line())).map_err(|failure| (stage, failure))
}

/// A step of a conversation, for which a relay has so long.
pub(super) async fn within<T>(
    patience: Duration,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(patience, step).await.unwrap_or(Err(Failure::Silent(patience)))
}

/// `2.0.0 Ok: queued as 4XyZ` (Postfix and most others), `OK id=1abc-DEF` (Exim).
fn queue_id(line: &str) -> Option<String> {
    let (_, tail) = line.split_once("queued as ").or_else(|| line.split_once("id="))?;
    let id = tail.split_whitespace().next()?;
    Some(id.chars().filter(|c| c.is_ascii_graphic()).take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids_are_found_where_relays_put_them() {
        for (line, id) in
            [("2.0.0 Ok: queued as 4XyZ", Some("4XyZ")), ("OK id=1abc-DEF", Some("1abc-DEF")), ("2.0.0 ok", None)]
        {
            assert_eq!(queue_id(line).as_deref(), id, "{line}");
        }
    }
}
