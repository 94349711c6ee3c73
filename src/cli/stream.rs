//! Following a campaign by the stream of an instance, which tells what changes.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::Value;

use super::client::{Client, ClientError};
use super::progress::Progress;
use super::watch::{self, Sight};

/// How long an instance that has gone (a restart, an upgrade) is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before a stream that has ended is asked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// A stream that is silent for so long is dead: an instance says something every 15 seconds.
const SILENT: Duration = Duration::from_secs(40);

/// Something that a stream told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
}

/// Reads a stream of server-sent events, however it is cut into chunks.
#[derive(Debug, Default)]
struct Reader {
    rest: Vec<u8>,
    event: Event,
    /// The id of the last event that was complete.
    last_id: Option<String>,
    id: Option<String>,
}

impl Reader {
    /// The events that a chunk completes.
    fn read(&mut self, chunk: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(chunk);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                if let Some(id) = self.id.take() {
                    self.last_id = Some(id);
                }
                let event = std::mem::take(&mut self.event);
                events.extend((!event.name.is_empty()).then_some(event));
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "id" => self.id = Some(value.to_owned()),
                "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
                "data" => self.event.data.extend(["\n", value]),
                // A comment, or what this version does not know.
                _ => {}
            }
        }
        events
    }
}

/// Shows the campaign until `until` holds of it. An instance that goes away is waited for, for a minute; the stream then goes on where it was.
/// An instance that has no stream, or none to spare, is asked again and again instead.
///
/// # Errors
/// The campaign cannot be read, was deleted, or the instance stays away.
pub(crate) async fn follow(
    client: &Client,
    id: i64,
    progress: &mut Progress,
    until: impl Fn(&Sight) -> bool,
) -> anyhow::Result<Sight> {
    let (mut last_heard, mut reader) = (Instant::now(), Reader::default());
    loop {
        let heard = listen(client, id, &mut reader, &mut last_heard, |sight| {
            progress.show(sight.books.settled(), sight.total(), &sight.line());
            until(sight)
        });
        match heard.await {
            Ok(Some(sight)) => return Ok(sight),
            Ok(None) => {}
            Err(error) => match error.downcast_ref::<ClientError>() {
                Some(ClientError::Unreachable { .. }) if last_heard.elapsed() <= PATIENCE => {
                    progress.show(0, 0, "the instance does not answer; waiting for it");
                }
                Some(ClientError::Refused(problem))
                    if ["route_not_found", "too_many_streams"].contains(&problem.code.as_str()) =>
                {
                    return watch::follow(client, id, progress, until).await;
                }
                _ => return Err(error),
            },
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Hears one stream. `None`: it has ended, and can be asked for again.
async fn listen(
    client: &Client,
    id: i64,
    reader: &mut Reader,
    last_heard: &mut Instant,
    mut is_enough: impl FnMut(&Sight) -> bool,
) -> anyhow::Result<Option<Sight>> {
    // What was cut off is told again.
    *reader = Reader { last_id: reader.last_id.take(), ..Reader::default() };
    let campaign = id.to_string();
    let mut stream = client.stream("v1/stream", &[("campaign", &campaign)], reader.last_id.as_deref()).await?;
    loop {
        let Ok(chunk) = tokio::time::timeout(SILENT, stream.next()).await else { return Ok(None) };
        let Some(chunk) = chunk? else { return Ok(None) };
        *last_heard = Instant::now();
        for event in reader.read(&chunk) {
            match event.name.as_str() {
                "campaign" => {
                    let sight = Sight::read(&serde_json::from_str::<Value>(&event.data)?)?;
                    if is_enough(&sight) {
                        return Ok(Some(sight));
                    }
                }
                "gone" => bail!("campaign {id} was deleted"),
                "end" => return Ok(None),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut_and_an_id_counts_when_its_event_is_whole() {
        let text = "retry: 1000\n\n: still here\n\nevent: campaign\ndata: {\"a\":\ndata: 1}\n\nid: x\nevent: receipt\ndata: é\n\nid: y\nevent: ne";
        for size in [1, 3, 1_000] {
            let mut reader = Reader::default();
            let events: Vec<Event> = text.as_bytes().chunks(size).flat_map(|chunk| reader.read(chunk)).collect();
            let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
            assert_eq!(events, [event("campaign", "{\"a\":\n1}"), event("receipt", "é")], "{size}");
            assert_eq!(reader.last_id.as_deref(), Some("x"), "{size}");
        }
    }
}
