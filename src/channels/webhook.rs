//! Any HTTP API: one request per delivery, under the delivery's idempotency key.
//!
//! HTTP/1.1, one request at a time on a connection, or HTTP/2 where `http_version` says so, many on one; and nothing of its
//! own accord: no retries, no redirects, no decompression. The connection is ready before the gate is asked, and looked at once more before the request is
//! written, so that an open gate, an open connection and the request line are a system call apart each, however slowly
//! the server accepts.
//!
//! **What remains**: a server that hangs up while a request is on its way to it may or may not have read that request.
//! Nobody can tell, and such a delivery is uncertain (or asked again, where keys are honoured). `keep_alive = false`
//! avoids it.

mod answer;
mod body;
pub mod call;
mod credentials;
mod failures;
mod habit;
mod http2;
mod probe;
mod reply;
mod request;
mod route;
mod variables;
mod wire;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use super::idle::{Idle, Lent};
use super::redact::redact;
use super::{Channel, Deliver, Gate, Probe, Unusable};
use crate::config::pools::webhook::HttpVersion;
use crate::config::pools::{PoolConfig, WebhookConfig};
use crate::domain::content::message::Envelope;
use crate::domain::dispatch::answer::Refusal;
use crate::domain::dispatch::delivery::ErrorCategory;
use crate::domain::dispatch::outcome::Outcome;
use crate::domain::dispatch::trouble::Trouble;
use answer::{MAX_ANSWER_BYTES, Reader};
use body::Body;
use habit::Habit;
use http2::{Found, Shared, Stream};
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

/// What a probe says that asked nothing.
const CONNECTED: &str = "a connection was made, no more: set probe for this pool, and a request is tried";

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
    /// The connections of HTTP/2, where that is spoken.
    shared: Option<Shared>,
}

impl Webhook {
    /// An API as the pool's settings describe it. Opens no connection.
    ///
    /// # Errors
    /// [`Unusable`] when `url`, `proxy`, `tls_ca_file`, `http_version`, `method`, `headers`, `body`, `form`, `provider_id_pointer` or `probe` cannot work.
    pub(super) fn new(pool: &PoolConfig, config: &WebhookConfig) -> Result<Self, Unusable> {
        let url = parse_url(config)?;
        let body = Body::new(config).map_err(Unusable)?;
        Ok(Self {
            route: Route::new(config, &url)?,
            prototype: Prototype::new(config, &url, body.media_type())?,
            body,
            reader: Reader::new(config)?,
            question: Question::new(config, &url)?,
            timeout: pool.timeout(),
            keep_alive: config.keep_alive,
            habit: Habit::new(),
            idle: Idle::new(pool.concurrency, MAX_IDLE),
            shared: may_share(config, &url).then(Shared::new),
        })
    }

    async fn call(&self, envelope: &Envelope, gate: &dyn Gate) -> Outcome {
        let body = match self.body.render(envelope) {
            Ok(body) => body,
            Err(trouble) => return Outcome::Unsendable(trouble),
        };
        match &self.shared {
            Some(shared) => self.call_shared(shared, envelope, body, gate).await,
            None => self.call_alone(envelope, &body, gate).await,
        }
    }

    /// Over HTTP/2. A request that was certainly not processed, because its connection ended, goes over another one, once.
    async fn call_shared(&self, shared: &Shared, envelope: &Envelope, body: Vec<u8>, gate: &dyn Gate) -> Outcome {
        let request = match self.prototype.complete_shared(envelope, body.len()) {
            Ok(request) => request.unwrap_or_default(),
            Err(trouble) => return Outcome::Unsendable(trouble),
        };
        let mut deadline = None;
        let mut left = None;
        for _ in 0..2 {
            let patience = deadline.map_or(self.timeout, |by: Instant| by.saturating_duration_since(Instant::now()));
            let stream = match shared.stream(&self.route, patience.min(MAX_CONNECT)).await {
                Ok(Found::Stream(stream)) => stream,
                Ok(Found::Older(socket)) => {
                    socket.into_iter().for_each(|socket| self.keep(Wire::over(socket)));
                    return self.call_alone(envelope, &body, gate).await;
                }
                Err(refusal) => return Outcome::Refused(refusal),
            };
            if let Err(reason) = gate.begin() {
                return Outcome::NotBegun(reason);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.timeout);
            match self.exchange_shared(&stream, request.clone(), body.clone(), deadline, &envelope.to).await {
                Ok(outcome) => return outcome,
                Err(trouble) => left = Some(trouble),
            }
        }
        let trouble = left.unwrap_or_else(|| Trouble::new(ErrorCategory::Network, "HTTP/2"));
        Outcome::Refused(Refusal::unreachable(trouble))
    }

    /// Asks over HTTP/2, and reads the answer.
    ///
    /// # Errors
    /// The request was certainly not processed, and its connection takes no more.
    async fn exchange_shared(
        &self,
        stream: &Stream,
        request: http::Request<()>,
        body: Vec<u8>,
        deadline: Instant,
        to: &str,
    ) -> Result<Outcome, Trouble> {
        let network = |words: &str| Trouble::new(ErrorCategory::Network, redact(&format!("HTTP/2: {words}"), to));
        match timeout_at(deadline, stream.ask(request, body)).await {
            Ok(Ok(mut answer)) => {
                let content = timeout_at(deadline, answer.body(MAX_ANSWER_BYTES)).await.unwrap_or_else(|_elapsed| {
                    stream.retire();
                    Content::Broken
                });
                Ok(self.reader.read(&answer.head, content, to))
            }
            Ok(Err(http2::NoAnswer::Elsewhere(words))) => Err(network(&words)),
            Ok(Err(http2::NoAnswer::Refused(class, words))) => {
                Ok(Outcome::Refused(Refusal { class, ..Refusal::unreachable(network(&words)) }))
            }
            Ok(Err(http2::NoAnswer::Lost(words))) => Ok(Outcome::Unknown(network(&words))),
            Err(_elapsed) => {
                stream.retire();
                Ok(Outcome::Unknown(self.too_late()))
            }
        }
    }

    fn too_late(&self) -> Trouble {
        Trouble::new(ErrorCategory::Network, format!("no answer within {} s", self.timeout.as_secs()))
    }

    /// Over HTTP/1.1.
    async fn call_alone(&self, envelope: &Envelope, body: &[u8], gate: &dyn Gate) -> Outcome {
        let request = match self.prototype.complete(envelope, body, self.may_keep()) {
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
        let asked_at = Instant::now();
        let deadline = asked_at + self.timeout;
        let quiet_for = wire.quiet_before(asked_at.into_std());
        match self.exchange(&mut wire, quiet_for, &request, deadline, &envelope.to).await {
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
        match self.exchange(&mut wire, Duration::ZERO, &request, deadline, &envelope.to).await {
            Ok(outcome) => {
                self.keep(wire);
                outcome
            }
            Err(unsent) => Outcome::Refused(Refusal::unreachable(unsent)),
        }
    }

    /// Asks on a connection that was quiet for so long, and reads the answer.
    ///
    /// # Errors
    /// The connection was over before a byte of the request had left.
    async fn exchange(
        &self,
        wire: &mut Wire,
        quiet_for: Duration,
        request: &[u8],
        deadline: Instant,
        to: &str,
    ) -> Result<Outcome, Trouble> {
        let answers = wire.answers();
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
            Err(_elapsed) => Ok(Outcome::Unknown(self.too_late())),
        }
    }

    /// The connection used last that the server has left open, or else a new one.
    async fn connection(&self) -> Result<Lent<Wire>, Refusal> {
        while let Some(mut lent) = self.idle.take() {
            let wire = &mut lent.connection;
            let mut quiet_for = wire.quiet_for();
            if wire.has_expired(quiet_for, MAX_IDLE) {
                continue;
            }
            let used = wire.answers() > 0;
            let unproven = self.habit.still_to_prove(quiet_for);
            if used && !unproven.is_zero() {
                sleep(unproven).await;
                quiet_for = wire.quiet_for();
            }
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
        if let Some(shared) = &self.shared {
            let found = shared.stream(&self.route, self.timeout.min(MAX_CONNECT)).await;
            match (found.map_err(|refusal| refusal.trouble.detail)?, &self.question) {
                (Found::Stream(stream), Some(question)) => return question.ask_shared(&stream, self.timeout).await,
                (Found::Stream(_), None) => return Ok(format!("{CONNECTED} (HTTP/2)")),
                (Found::Older(socket), _) => socket.into_iter().for_each(|socket| self.keep(Wire::over(socket))),
            }
        }
        let mut lent = self.connection().await.map_err(|refusal| refusal.trouble.detail)?;
        let Some(question) = &self.question else {
            self.put_back(lent);
            return Ok(CONNECTED.to_owned());
        };
        question.ask(&mut lent.connection, self.timeout).await
    }
}

impl Channel for Webhook {
    fn deliver<'a>(&'a self, envelope: &'a Envelope, gate: &'a dyn Gate) -> Deliver<'a> {
        Box::pin(async move {
            let _busy = self.idle.enter();
            self.call(envelope, gate).await
        })
    }

    fn wants_details(&self) -> bool {
        self.body.wants_details()
    }

    fn limit(&self, places: usize) {
        self.idle.limit(places);
        self.shared.iter().for_each(|shared| shared.limit(places));
    }

    fn kept(&self) -> usize {
        self.idle.len() + self.shared.as_ref().map_or(0, Shared::kept)
    }

    fn probe(&self) -> Probe<'_> {
        Box::pin(self.ask_question())
    }

    /// A fresh connection instead of one that turned out to be over is opened within the same time.
    fn call_timeout(&self) -> Duration {
        self.timeout
    }
}

/// Whether HTTP/2 may be spoken. In the clear nothing is agreed on with the server: there only a setting says so.
fn may_share(config: &WebhookConfig, url: &Url) -> bool {
    match config.http_version {
        HttpVersion::One => false,
        HttpVersion::Two => true,
        HttpVersion::Auto => url.scheme() == "https",
    }
}

fn parse_url(config: &WebhookConfig) -> Result<Url, Unusable> {
    let fault = |reason: &str| Unusable(reason.to_owned());
    let text = config.server.url.as_ref().ok_or_else(|| fault("url is required, such as https://host/path"))?.expose();
    if text.len() > MAX_URL_BYTES {
        return Err(fault("url must not be longer than 2048 bytes"));
    }
    let url = Url::parse(text).map_err(|error| Unusable::new(format!("url: {error}")))?;
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
