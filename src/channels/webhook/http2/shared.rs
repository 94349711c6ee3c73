//! The connections that a pool's requests share.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::{Connection, Stream};
use crate::channels::socket::Socket;
use crate::channels::webhook::route::{Agreed, Route};
use crate::domain::dispatch::answer::Refusal;
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::trouble::Trouble;

/// How long a server that chose HTTP/1.1 is taken to go on so.
const BELIEVED: Duration = Duration::from_secs(3_600);

/// All connections to a server, and those who wait for a stream.
pub(in crate::channels::webhook) struct Shared {
    state: Mutex<State>,
    /// Told when somebody who waits should look again.
    changed: Arc<Notify>,
}

struct State {
    open: Vec<Arc<Connection>>,
    /// Connections that there may be, those in use included.
    room: usize,
    /// How many look for a stream.
    waiting: usize,
    /// How many of these open a connection.
    opening: usize,
    /// How many requests the newest connection takes at once.
    width: usize,
    /// How many attempts to open a connection have failed, and how the last one did.
    failures: (u64, Option<Refusal>),
    /// The server chose HTTP/1.1. Believed until then.
    older_until: Option<Instant>,
}

/// What a request goes over.
pub(in crate::channels::webhook) enum Found {
    Stream(Stream),
    /// The server speaks HTTP/1.1; a fresh connection, for the first who found out.
    Older(Option<Socket>),
}

/// What somebody who looks for a stream does next.
enum Next<'a> {
    Go(Found),
    Fail(Refusal),
    Open(Opening<'a>),
    Wait,
}

/// One who looks for a stream.
struct Waiting<'a>(&'a Shared);

/// One who opens a connection. The others look again when it ends, however it ends.
struct Opening<'a>(&'a Shared);

impl Shared {
    pub(in crate::channels::webhook) fn new() -> Self {
        let state = State {
            open: Vec::new(),
            room: usize::MAX,
            waiting: 0,
            opening: 0,
            width: usize::MAX,
            failures: (0, None),
            older_until: None,
        };
        Self { state: Mutex::new(state), changed: Arc::new(Notify::new()) }
    }

    /// Leaves room for so many connections, those in use included. Idle ones beyond are closed, the oldest first.
    pub(in crate::channels::webhook) fn limit(&self, room: usize) {
        let mut state = self.lock();
        state.room = room;
        state.trim();
    }

    /// How many connections lie idle.
    pub(in crate::channels::webhook) fn kept(&self) -> usize {
        let is_idle = |connection: &&Arc<Connection>| connection.is_usable() && connection.is_idle();
        self.lock().open.iter().filter(is_idle).count()
    }

    /// A stream on a connection that takes one more, or else on a new one, within `patience`.
    ///
    /// # Errors
    /// The server was not reached, or is not who it should be. No request has been sent.
    pub(in crate::channels::webhook) async fn stream(
        &self,
        route: &Route,
        patience: Duration,
    ) -> Result<Found, Refusal> {
        let _waiting = Waiting::among(self);
        let failures_before = self.lock().failures.0;
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.next(failures_before) {
                Next::Go(found) => return Ok(found),
                Next::Fail(refusal) => return Err(refusal),
                Next::Open(_opening) => return self.open(route, patience).await,
                Next::Wait => changed.await,
            }
        }
    }

    fn next(&self, failures_before: u64) -> Next<'_> {
        let mut state = self.lock();
        if state.older_until.is_some_and(|until| Instant::now() < until) {
            return Next::Go(Found::Older(None));
        }
        state.open.retain(|connection| connection.is_usable());
        state.trim();
        if let Some(stream) = state.open.iter().find_map(Connection::begin) {
            return Next::Go(Found::Stream(stream));
        }
        if let (failures, Some(refusal)) = &state.failures
            && *failures > failures_before
        {
            return Next::Fail(refusal.clone());
        }
        // Everybody at once would open a connection each: no more than those need who wait.
        if state.opening > 0 && state.opening.saturating_mul(state.width) >= state.waiting {
            return Next::Wait;
        }
        state.opening += 1;
        Next::Open(Opening(self))
    }

    async fn open(&self, route: &Route, patience: Duration) -> Result<Found, Refusal> {
        let opened = self.fresh(route, patience).await;
        if let Err(refusal) = &opened {
            let failures = &mut self.lock().failures;
            *failures = (failures.0 + 1, Some(refusal.clone()));
        }
        opened
    }

    async fn fresh(&self, route: &Route, patience: Duration) -> Result<Found, Refusal> {
        let deadline = tokio::time::Instant::now() + patience;
        let socket = match route.agree(patience).await? {
            Agreed::Two(socket) => socket,
            Agreed::One(socket) => {
                self.lock().older_until = Some(Instant::now() + BELIEVED);
                return Ok(Found::Older(Some(socket)));
            }
        };
        let unreachable =
            |what: &str| Refusal::unreachable(Trouble::new(ErrorCategory::Network, format!("HTTP/2: {what}")));
        let connection = timeout_at(deadline, Connection::over(socket, Arc::clone(&self.changed))).await;
        let connection = connection
            .map_err(|_elapsed| unreachable(&format!("no answer within {} s", patience.as_secs())))?
            .map_err(|reason| unreachable(&reason))?;
        let connection = Arc::new(connection);
        let stream = connection.begin().ok_or_else(|| unreachable("the server hung up before it was asked"))?;
        let mut state = self.lock();
        state.width = connection.width();
        state.open.push(connection);
        Ok(Found::Stream(stream))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes idle connections that there is no room for.
    fn trim(&mut self) {
        let mut beyond = self.open.len().saturating_sub(self.room);
        self.open.retain(|connection| {
            let goes = beyond > 0 && connection.is_idle();
            beyond -= usize::from(goes);
            !goes
        });
    }
}

impl<'a> Waiting<'a> {
    fn among(shared: &'a Shared) -> Self {
        shared.lock().waiting += 1;
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        {
            let mut state = self.0.lock();
            state.opening = state.opening.saturating_sub(1);
        }
        self.0.changed.notify_waiters();
    }
}
