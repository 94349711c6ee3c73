//! How fast a file is uploaded and imported, and how long the rest will take. On a terminal only.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{self, Client};
use super::output::grouped;
use super::progress::Progress;

/// How often the progress of an upload is shown.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// How long something is watched before it is said how fast it is.
const SURE_AFTER: Duration = Duration::from_secs(1);

/// Uploads a file to be imported.
pub(crate) async fn uploaded(
    client: &Client,
    query: &[(&str, &str)],
    file: &Path,
    progress: &mut Progress,
) -> anyhow::Result<Value> {
    let all = std::fs::metadata(file).map_or(0, |about| about.len());
    let (sent, pace) = (Arc::new(AtomicU64::new(0)), Pace::from(0));
    let mut upload = std::pin::pin!(client.upload("v1/contacts/import", query, file, Arc::clone(&sent)));
    loop {
        match tokio::time::timeout(SHOW_EVERY, upload.as_mut()).await {
            Ok(done) => {
                if done.is_err() {
                    progress.clear();
                }
                return done;
            }
            Err(_not_yet) if progress.is_drawn() => {
                let (sent, all) = (signed(sent.load(Ordering::Relaxed)), signed(all));
                let text =
                    format!("uploading: {} of {}{}", megabytes(sent), megabytes(all), left(pace.left(sent, all)));
                progress.show(sent, all, &text);
            }
            Err(_not_yet) => {}
        }
    }
}

/// The pace of something that is counted.
struct Pace {
    since: Instant,
    first: i64,
}

impl Pace {
    fn from(first: i64) -> Self {
        Self { since: Instant::now(), first }
    }

    /// How long it takes until the count is at `all`, as fast as it went so far. `None`: that cannot be told yet.
    fn left(&self, now: i64, all: i64) -> Option<Duration> {
        time_left(now - self.first, all - now, self.since.elapsed())
    }

    /// How many of it there are in a second.
    fn per_second(&self, now: i64) -> Option<i64> {
        let millis = i128::try_from(self.since.elapsed().as_millis()).unwrap_or(i128::MAX);
        let is_sure = self.since.elapsed() >= SURE_AFTER && now > self.first;
        is_sure.then(|| i64::try_from(i128::from(now - self.first) * 1_000 / millis.max(1)).unwrap_or(i64::MAX))
    }
}

/// How long the rest takes, where so much was done in so long a time.
fn time_left(done: i64, rest: i64, took: Duration) -> Option<Duration> {
    if took < SURE_AFTER || done <= 0 || rest < 0 {
        return None;
    }
    let millis = took.as_millis().saturating_mul(u128::try_from(rest).ok()?) / u128::try_from(done).ok()?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// How an import comes along.
#[derive(Default)]
pub(crate) struct Course {
    /// The pace of the rows and of the bytes, since the import was seen running.
    paces: Option<(Pace, Pace)>,
}

impl Course {
    /// Shows how far an import is, as the API has it.
    pub(crate) fn show(&mut self, import: &Value, progress: &mut Progress) {
        let number = |name: &str| import.get(name).and_then(Value::as_i64).unwrap_or_default();
        let (rows, read, all) = (number("rows_read"), number("bytes_read"), number("bytes"));
        let status = client::text(import, "/status");
        let text = format!("import {} {status}: {} rows read", number("id"), grouped(rows));
        if !progress.is_drawn() {
            return progress.show(0, 0, &text);
        }
        let speed = if status == "running" {
            let (of_rows, of_bytes) = self.paces.get_or_insert_with(|| (Pace::from(rows), Pace::from(read)));
            let speed = of_rows.per_second(rows).map(|rate| format!(", {} rows/s", grouped(rate)));
            format!("{}{}", speed.unwrap_or_default(), left(of_bytes.left(read, all)))
        } else {
            String::new()
        };
        progress.show(read, all, &format!("{text}{speed}"));
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// `12.3 MB`.
fn megabytes(bytes: i64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", grouped(tenths / 10), tenths % 10)
}

/// `, about 14 s left`; nothing where that cannot be told.
fn left(time: Option<Duration>) -> String {
    let Some(time) = time else { return String::new() };
    match time.as_secs() {
        seconds @ 0..90 => format!(", about {} s left", seconds.max(1)),
        seconds @ 90..5_400 => format!(", about {} min left", (seconds + 30) / 60),
        seconds => format!(", about {} h left", (seconds + 1_800) / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_was_done() {
        let second = Duration::from_secs(1);
        assert_eq!(time_left(100, 300, 2 * second), Some(6 * second));
        assert_eq!(time_left(100, 0, 2 * second), Some(Duration::ZERO));
        for (done, rest, took) in [(100, 300, second / 2), (0, 300, 9 * second), (100, -1, 9 * second)] {
            assert_eq!(time_left(done, rest, took), None, "{done} {rest} {took:?}");
        }
    }

    #[test]
    fn times_and_lengths_are_told_in_words() {
        for (seconds, text) in [
            (0, ", about 1 s left"),
            (89, ", about 89 s left"),
            (150, ", about 3 min left"),
            (9_000, ", about 3 h left"),
        ] {
            assert_eq!(left(Some(Duration::from_secs(seconds))), text);
        }
        assert_eq!((left(None).as_str(), megabytes(1_234_567_890).as_str()), ("", "1,234.5 MB"));
    }
}
