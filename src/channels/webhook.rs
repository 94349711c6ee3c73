//! Any HTTP API: one request per delivery, under the delivery's idempotency key.
//!
//! HTTP/1.1, one request at a time on a connection, and nothing of its own accord: no retries, no redirects, no
//! decompression. The connection is ready before the gate is asked, and looked at once more before the request is
//! written, so that an open gate, an open connection and the request line are a system call apart each, however slowly
//! the server accepts.
//!
//! **What remains**: a server that hangs up while a request is on its way to it may or may not have read that request.
//! Nobody can tell, and such a delivery is uncertain (or asked again, where keys are honoured). `keep_alive = false`
//! avoids it.

mod answer;
mod body;
mod failures;
mod habit;
mod probe;
mod reply;
mod request;
mod route;
mod wire;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use super::idle::{Idle, Lent};
use super::{BuildError, Channel, Deliver, Gate, Probe};
use crate::config::pools::PoolConfig;
use crate::domain::delivery::ErrorCategory;
use crate::domain::dispatch::answer::Refusal;
use crate::domain::message::Envelope;
use crate::domain::outcome::{Outcome, Trouble};
use answer::{MAX_ANSWER_BYTES, Reader};
use body::Body;
use habit::Habit;
use probe::Question;
use reply::Content;
use request::Prototype;
use route::Route;
use wire::{NoAnswer, Wire};

/// The longest address, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// Servers close idle connections, some after 5 s, and a request that meets the closing is ambiguous: be first.
const MAX_IDLE: Duration = Duration::from_secs(4);

/// The longest wait for a connection, handshake included.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// An HTTP API and the connections to it.
pub struct Webhook {
    route: Route,
    prototype: Prototype,
    body: Body,
    reader: Reader,
    question: Option<Question>,
    timeout: Duration,
    keep_alive: bool,
    habit: Habit,
    idle: Idle<Wire>,
}

impl Webhook {
    /// An API as the pool's settings describe it. Opens no connection.
    ///
    /// # Errors
    /// [`BuildError`] when `url`, `proxy`, `tls_ca_file`, `method`, `headers`, `body`, `provider_id_pointer` or `probe` cannot work.
    pub fn new(pool: &PoolConfig) -> Result<Self, BuildError> {
        let url = parse_url(pool)?;
        Ok(Self {
            route: Route::new(pool, &url)?,
            prototype: Prototype::new(pool, &url)?,
            body: Body::new(pool.body.as_deref()).map_err(|reason| BuildError::new(pool, format!("body: {reason}")))?,
            reader: Reader::new(pool)?,
            question: Question::new(pool, &url)?,
            timeout: pool.timeout(),
            keep_alive: pool.keep_alive,
            habit: Habit::new(),
            idle: Idle::new(pool.concurrency, MAX_IDLE),
        })
    }

    async fn call(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        let keep = self.may_keep();
        let request = self.body.render(envelope).and_then(|body| self.prototype.complete(envelope, &body, keep));
        let request = match request {
            Ok(request) => request,
            Err(trouble) => return Outcome::Unsendable(trouble),
        };
        let lent = match self.connection().await {
            Ok(lent) => lent,
            // DNS, refused, TLS: not a byte of the request can have left.
            Err(refusal) => return Outcome::Refused(refusal),
        };
        if let Err(reason) = gate.begin() {
            self.put_back(lent);
            return Outcome::NotBegun(reason);
        }
        let mut wire = lent.connection;
        let deadline = Instant::now() + self.timeout;
        match self.exchange(&mut wire, &request, deadline, &envelope.to).await {
            Ok(outcome) => {
                self.keep(wire);
                return outcome;
            }
            Err(unsent) if wire.answers() == 0 => return Outcome::Refused(Refusal::unreachable(unsent)),
            // A kept connection was over, which says nothing about the server: a fresh one will.
            Err(_) => {}
        }
        let mut wire = match self.route.open(deadline.saturating_duration_since(Instant::now())).await {
            Ok(socket) => Wire::over(socket),
            Err(refusal) => return Outcome::Refused(refusal),
        };
        if let Err(reason) = gate.begin() {
            self.keep(wire);
            return Outcome::NotBegun(reason);
        }
        match self.exchange(&mut wire, &request, deadline, &envelope.to).await {
            Ok(outcome) => {
                self.keep(wire);
                outcome
            }
            Err(unsent) => Outcome::Refused(Refusal::unreachable(unsent)),
        }
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// The connection was over before a byte of the request had left.
    async fn exchange(&self, wire: &mut Wire, request: &[u8], deadline: Instant, to: &str) -> Result<Outcome, Trouble> {
        let (answers, quiet_for) = (wire.answers(), wire.quiet_for());
        let network = |words: String| Trouble::new(ErrorCategory::Network, words);
        if !wire.is_quiet().await {
            self.habit.hung_up(answers, quiet_for);
            return Err(network("the server hung up, or spoke, before it was asked".to_owned()));
        }
        match timeout_at(deadline, wire.ask(request)).await {
            Ok(Ok(answer)) => {
                let body = timeout_at(deadline, wire.body(&answer, MAX_ANSWER_BYTES)).await;
                Ok(self.reader.read(&answer.head, body.unwrap_or(Content::Broken), to))
            }
            Ok(Err(NoAnswer::Unsent(error))) => {
                self.habit.hung_up(answers, quiet_for);
                Err(network(error.to_string()))
            }
            Ok(Err(NoAnswer::Silence(error))) => {
                self.habit.hung_up(answers, quiet_for);
                Ok(Outcome::Unknown(network(error.to_string())))
            }
            Ok(Err(NoAnswer::Garbled(error))) => Ok(Outcome::Unknown(network(error.to_string()))),
            Err(_elapsed) => Ok(Outcome::Unknown(network(format!("no answer within {} s", self.timeout.as_secs())))),
        }
    }

    /// The connection used last that the server has left open, or else a new one.
    async fn connection(&self) -> Result<Lent<Wire>, Refusal> {
        while let Some(mut lent) = self.idle.take() {
            let wire = &mut lent.connection;
            if wire.has_expired(MAX_IDLE) {
                continue;
            }
            let used = wire.answers() > 0;
            let unproven = self.habit.still_to_prove(wire.quiet_for());
            if used && !unproven.is_zero() {
                sleep(unproven).await;
            }
            let quiet_for = wire.quiet_for();
            if wire.is_quiet().await {
                if used {
                    self.habit.stayed_open(quiet_for);
                }
                return Ok(lent);
            }
            self.habit.hung_up(wire.answers(), quiet_for);
        }
        self.route.open(self.timeout.min(MAX_CONNECT)).await.map(|socket| Lent::fresh(Wire::over(socket)))
    }

    /// Whether connections are worth keeping.
    fn may_keep(&self) -> bool {
        self.keep_alive && self.habit.allows_keeping()
    }

    fn keep(&self, wire: Wire) {
        if wire.is_in_order() && self.may_keep() {
            self.idle.keep(wire);
        }
    }

    /// Keeps a connection that nothing was asked on.
    fn put_back(&self, lent: Lent<Wire>) {
        if self.may_keep() {
            self.idle.put_back(lent);
        }
    }

    async fn ask_question(&self) -> Result<String, String> {
        let mut lent = self.connection().await.map_err(|refusal| refusal.trouble.detail)?;
        let Some(question) = &self.question else {
            self.put_back(lent);
            return Ok("a connection was made, no more: set probe for this pool, and a request is tried".to_owned());
        };
        question.ask(&mut lent.connection, self.timeout).await
    }
}

impl Channel for Webhook {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(self.call(envelope, gate))
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(self.ask_question())
    }

    /// A fresh connection instead of one that turned out to be over is opened within the same time.
    fn call_timeout(&self) -> Duration {
        self.timeout
    }
}

fn parse_url(pool: &PoolConfig) -> Result<Url, BuildError> {
    let fault = |reason: &str| BuildError::new(pool, reason);
    let text = pool.url.as_ref().ok_or_else(|| fault("url is required, such as https://host/path"))?.expose();
    if text.len() > MAX_URL_BYTES {
        return Err(fault("url must not be longer than 2048 bytes"));
    }
    let url = Url::parse(text).map_err(|error| BuildError::new(pool, format!("url: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("url must begin with http:// or https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fault("url must name a host"));
    }
    if url.fragment().is_some() {
        return Err(fault("url must not have a fragment (#…)"));
    }
    Ok(url)
}
