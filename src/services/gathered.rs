//! What the audit log says of requests that are many: reads of personal data, refusals for want of a scope, and events, which have a
//! source and a time of their own.
//!
//! Such a request must not wait for another write. It is noted in memory and written by a task of its own: the first of its kind
//! within a second, and what follows from the same key and address as one line with a count, at most one a minute. What was noted
//! last is lost if the process is killed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::audit::{self, Line};
use super::{Asker, By};
use crate::domain::access::audit::{Action, Object};
use crate::store::{Conn, Lane, Store, StoreError};

/// How often it looks for what has to be written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// At most one line of a kind in this time.
const GATHERED_FOR: Duration = Duration::from_secs(60);

/// Most kinds that are told apart. Beyond them neither the client's address nor the object's id is kept, which leaves a few
/// kinds for each key.
const MOST_KINDS: usize = 10_000;

/// Who did what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    asker: Asker,
    client: Option<IpAddr>,
    action: Action,
    object: Object,
    id: Option<String>,
}

struct Noted {
    by: By,
    /// Requests that no line has yet.
    requests: u64,
    due: Instant,
}

/// What was done and is not written yet.
#[derive(Clone, Default)]
pub struct Gathered(Arc<Mutex<HashMap<Kind, Noted>>>);

impl Gathered {
    /// Notes a request: about one object, or, without `id`, about none in particular. Waits for nothing.
    pub fn note(&self, by: By, action: Action, object: Object, id: Option<String>) {
        let mut noted = self.lock();
        let mut kind = Kind { asker: by.asker.clone(), client: by.client, action, object, id };
        if noted.len() >= MOST_KINDS && !noted.contains_key(&kind) {
            (kind.client, kind.id) = (None, None);
        }
        let entry = noted.entry(kind).or_insert_with(|| Noted { by: by.clone(), requests: 0, due: Instant::now() });
        entry.requests += 1;
        // The newest one stands for all.
        entry.by.request_id = by.request_id;
    }

    /// Writes what is due, every second, for ever.
    pub async fn keep_writing(self, store: Store) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.write(&store, Instant::now()).await;
        }
    }

    /// Writes everything, before the process ends.
    pub async fn write_all(&self, store: &Store) {
        self.write(store, Instant::now() + GATHERED_FOR).await;
    }

    /// Writes what is due by `now`. What cannot be written stays.
    async fn write(&self, store: &Store, now: Instant) {
        let due = self.take_due(now);
        if due.is_empty() {
            return;
        }
        let lines = due.clone();
        let work = move |conn: &mut Conn| {
            lines.iter().try_for_each(|(kind, by, requests)| {
                audit::write(conn, by, line(kind).after(json!({ "requests": requests })))
            })
        };
        if let Err(error) = store.transact::<_, StoreError>(Lane::Write, "write the audit log", work).await {
            self.put_back(due);
            tracing::warn!(
                event = "audit.unwritten",
                %error,
                "reads and refusals cannot be written into the audit log; it is tried again"
            );
        }
    }

    fn take_due(&self, now: Instant) -> Vec<(Kind, By, u64)> {
        let mut noted = self.lock();
        noted.retain(|_, entry| entry.requests > 0 || entry.due > now);
        let due = noted.iter_mut().filter(|(_, entry)| entry.requests > 0 && entry.due <= now);
        due.map(|(kind, entry)| {
            entry.due = now + GATHERED_FOR;
            (kind.clone(), entry.by.clone(), std::mem::take(&mut entry.requests))
        })
        .collect()
    }

    fn put_back(&self, lines: Vec<(Kind, By, u64)>) {
        let mut noted = self.lock();
        for (kind, by, requests) in lines {
            let entry = noted.entry(kind).or_insert_with(|| Noted { by, requests: 0, due: Instant::now() });
            entry.requests += requests;
            entry.due = Instant::now();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(kind: &Kind) -> Line {
    match &kind.id {
        Some(id) => Line::of(kind.action, kind.object, id),
        None => Line::some(kind.action, kind.object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ApiKeyId;

    fn read(gathered: &Gathered, key: i64, id: Option<u64>, request: &str) {
        let asker = Asker::ApiKey(ApiKeyId(key));
        let by = By { asker, request_id: Some(request.to_owned()), ..By::command_line() };
        gathered.note(by, Action::Read, Object::Contact, id.map(|id| id.to_string()));
    }

    fn counts(lines: &[(Kind, By, u64)]) -> Vec<u64> {
        let mut counts: Vec<u64> = lines.iter().map(|(_, _, requests)| *requests).collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn the_first_read_is_due_at_once_and_the_next_ones_as_one_line_a_minute_later() {
        let gathered = Gathered::default();
        read(&gathered, 1, None, "a");
        read(&gathered, 2, None, "b");
        read(&gathered, 2, None, "c");
        let now = Instant::now();
        let first = gathered.take_due(now);
        assert_eq!(counts(&first), [1, 2]);
        assert!(first.iter().any(|(_, by, _)| by.request_id.as_deref() == Some("c")), "the newest request is named");
        for _ in 0..5 {
            read(&gathered, 1, None, "d");
        }
        assert_eq!(counts(&gathered.take_due(now + GATHERED_FOR / 2)), Vec::<u64>::new());
        assert_eq!(counts(&gathered.take_due(now + GATHERED_FOR)), [5]);
        gathered.take_due(now + GATHERED_FOR * 3);
        assert!(gathered.lock().is_empty(), "a key that reads no more takes no room");
    }

    #[test]
    fn a_crawler_takes_a_bounded_room_and_every_read_is_counted() {
        let gathered = Gathered::default();
        let many = u64::try_from(MOST_KINDS).unwrap() * 2;
        for id in 0..many {
            read(&gathered, 1, Some(id), "a");
        }
        assert_eq!(gathered.lock().len(), MOST_KINDS + 1);
        assert_eq!(counts(&gathered.take_due(Instant::now())).iter().sum::<u64>(), many);
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let gathered = Gathered::default();
        read(&gathered, 1, Some(7), "a");
        let taken = gathered.take_due(Instant::now());
        read(&gathered, 1, Some(7), "b");
        gathered.put_back(taken);
        assert_eq!(counts(&gathered.take_due(Instant::now())), [2]);
    }
}
