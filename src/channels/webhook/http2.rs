//! HTTP/2 (RFC 9113) from the client's side: requests share connections, each on a stream of its own. The frames are `h2`'s;
//! here stands on which connection a request begins, and what is known of one that was not answered.
//!
//! **What is known.** A server says in two ways that it has not processed a request: it refuses the stream
//! (`REFUSED_STREAM`), or the stream's number lies above the last one that its `GOAWAY` names (RFC 9113 6.8 and 8.7). Of
//! everything else nobody knows, once the request was given to the connection: what had left of it cannot be told.

mod shared;

use std::future::poll_fn;
use std::io::Cursor;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, client};
use http::Request;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::MAX_IDLE;
use super::reply::{Content, Head};
use crate::channels::socket::{Eye, Sight, Socket};
use crate::domain::dispatch::answer::AnswerClass;

pub(super) use shared::{Found, Shared};

/// The longest head of an answer that is read, in bytes.
const MAX_HEAD_BYTES: u32 = 64 * 1024;

/// How often a connection is looked at again on which something came that was not read yet.
const LOOKS: usize = 3;

/// How long a connection that nobody needs any more may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that requests share. It ends when it is dropped and its last stream has ended.
pub(super) struct Connection {
    requests: SendRequest<Cursor<Vec<u8>>>,
    /// Nothing once the connection is over.
    eye: Arc<Mutex<Option<Eye>>>,
    state: Mutex<State>,
    /// Told when a stream ends, and when the connection is over.
    changed: Arc<Notify>,
    /// Dropped with the connection, which tells its driver.
    _needed: oneshot::Sender<()>,
}

struct State {
    /// How many requests are under way.
    streams: usize,
    /// When the last of them ended.
    quiet_since: Instant,
    /// Nothing more begins here.
    retired: bool,
}

/// The right to one request on a connection.
pub(super) struct Stream(Arc<Connection>);

/// An answer up to its body.
pub(super) struct Answer {
    pub(super) head: Head,
    body: RecvStream,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The request was certainly not processed, because its connection ends. Another one may take it.
    Elsewhere(String),
    /// The request was certainly not processed, because the server has too much to do.
    Refused(AnswerClass, String),
    /// The request may have been processed.
    Lost(String),
}

impl Connection {
    /// Over a fresh socket, once the server has said how many requests it takes at once. A request that came before that
    /// might be one too many.
    ///
    /// # Errors
    /// What the server does is not HTTP/2, or it hung up.
    async fn over(socket: Socket, changed: Arc<Notify>) -> Result<Self, String> {
        let eye = socket.eye().map_err(|error| error.to_string())?;
        let shaken = client::Builder::new()
            .enable_push(false)
            .initial_max_send_streams(0)
            .max_header_list_size(MAX_HEAD_BYTES)
            .handshake(socket)
            .await;
        let (requests, mut connection) = shaken.map_err(|error| error.to_string())?;
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Err("the server hung up".to_owned())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.to_string())),
            Poll::Pending if requests.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        })
        .await?;
        let eye = Arc::new(Mutex::new(Some(eye)));
        let (needed, no_longer) = oneshot::channel();
        tokio::spawn(drive(connection, Arc::clone(&eye), Arc::clone(&changed), no_longer));
        let state = Mutex::new(State { streams: 0, quiet_since: Instant::now(), retired: false });
        Ok(Self { requests, eye, state, changed, _needed: needed })
    }

    /// How many requests the server takes at once.
    fn width(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        self.state().streams == 0
    }

    /// Whether requests may begin here, now or when others have ended.
    fn is_usable(&self) -> bool {
        let (is_idle, is_retired) = {
            let state = self.state();
            (state.streams == 0 && state.quiet_since.elapsed() >= MAX_IDLE, state.retired)
        };
        !is_idle && !is_retired && self.sight().is_some() && !self.goes_away()
    }

    /// Takes a place for one request, if the server takes one more.
    fn begin(self: &Arc<Self>) -> Option<Stream> {
        let mut state = self.state();
        if state.streams >= self.width() {
            return None;
        }
        state.streams += 1;
        drop(state);
        Some(Stream(Arc::clone(self)))
    }

    /// Whether the server, as far as it was read, has said that it takes nothing more here.
    fn goes_away(&self) -> bool {
        matches!(self.requests.clone().ready().now_or_never(), Some(Err(_)))
    }

    /// What can be seen of the socket; nothing once the connection is over.
    fn sight(&self) -> Option<Sight> {
        self.eye.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Eye::look)
    }

    /// Whether the server neither hung up nor goes away. What has come and was not read yet may say so: it is read first.
    async fn is_open(&self) -> bool {
        for _ in 0..LOOKS {
            match self.sight() {
                Some(Sight::Quiet) => break,
                Some(Sight::Unread) => tokio::task::yield_now().await,
                Some(Sight::Over) | None => return false,
            }
        }
        !self.goes_away()
    }

    /// Begins nothing more here. What is under way goes on.
    fn retire(&self) {
        self.state().retired = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads and writes for all requests of a connection, until it is over or nobody needs it.
async fn drive(
    mut connection: client::Connection<Socket, Cursor<Vec<u8>>>,
    eye: Arc<Mutex<Option<Eye>>>,
    changed: Arc<Notify>,
    no_longer: oneshot::Receiver<()>,
) {
    // How it ended, each of its requests hears by itself.
    tokio::select! {
        _ended = &mut connection => {}
        _dropped = no_longer => drop(timeout(GOODBYE, &mut connection).await),
    }
    *eye.lock().unwrap_or_else(PoisonError::into_inner) = None;
    changed.notify_waiters();
}

impl Stream {
    /// Sends a request and waits for the answer up to its body. When this is dropped, the request is taken back, which the
    /// server may hear of too late.
    ///
    /// # Errors
    /// [`NoAnswer`] when none came.
    pub(super) async fn ask(&self, request: Request<()>, body: Vec<u8>) -> Result<Answer, NoAnswer> {
        let connection = &self.0;
        if !connection.is_open().await {
            connection.retire();
            return Err(NoAnswer::Elsewhere("the server hung up before it was asked".to_owned()));
        }
        let mut requests = connection.requests.clone();
        let (answer, mut upload) = match requests.send_request(request, body.is_empty()) {
            Ok(begun) => begun,
            // Refused on this side: it was given to nobody.
            Err(error) => {
                connection.retire();
                return Err(NoAnswer::Elsewhere(error.to_string()));
            }
        };
        if !body.is_empty() {
            // Fails where the stream has ended already, and then there is an answer, or a reason why there is none.
            let _ended = upload.send_data(Cursor::new(body), true);
        }
        match answer.await {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                // What the server took of the request is not told. Where that matters, it counts as the whole.
                let mut head = Head { sent_whole: true, ..Head::new(parts.status.as_u16()) };
                parts.headers.iter().for_each(|(name, value)| head.note(name.as_str(), value.as_bytes()));
                Ok(Answer { head, body })
            }
            Err(error) => {
                let told = NoAnswer::of(&error);
                if matches!(told, NoAnswer::Elsewhere(_)) {
                    connection.retire();
                }
                Err(told)
            }
        }
    }

    /// Begins nothing more on this connection, which may be dead: a request on it was not answered in time.
    pub(super) fn retire(&self) {
        self.0.retire();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        {
            let mut state = self.0.state();
            state.streams = state.streams.saturating_sub(1);
            state.quiet_since = Instant::now();
        }
        self.0.changed.notify_waiters();
    }
}

impl Answer {
    /// Reads the body, or the first `most` bytes of a longer one.
    pub(super) async fn body(&mut self, most: usize) -> Content {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.body.data().await {
            let Ok(chunk) = chunk else { return Content::Broken };
            bytes.extend_from_slice(&chunk);
            if bytes.len() > most {
                bytes.truncate(most);
                return Content::Capped(bytes);
            }
            // Fails where the stream has ended, and then nothing more comes.
            let _ended = self.body.flow_control().release_capacity(chunk.len());
        }
        Content::Whole(bytes)
    }
}

impl NoAnswer {
    fn of(error: &h2::Error) -> Self {
        let words = error.to_string();
        if !error.is_remote() {
            return Self::Lost(words);
        }
        match error.reason() {
            Some(Reason::REFUSED_STREAM) if error.is_reset() => Self::Refused(AnswerClass::RelayConnections, words),
            // A request hears of a GOAWAY only where its number lies above the last one; the others go on.
            Some(Reason::ENHANCE_YOUR_CALM) if error.is_go_away() => Self::Refused(AnswerClass::RelayRate, words),
            _ if error.is_go_away() => Self::Elsewhere(words),
            _ => Self::Lost(words),
        }
    }
}
