//! The `Idempotency-Key` header: what was done under a key is not done again.
//!
//! A creation of a campaign, a launch and an import store the answer in the transaction that has the effect; they read the key by
//! [`IdempotencyKey`]. Every other POST that does something is wrapped in `once` by the route table: the key is reserved
//! before, and the answer stored after.

use std::future::{Ready, ready};
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use super::extract::{bad_parameter, gather};
use super::problem::ApiError;
use crate::http::auth::Caller;
use crate::http::state::AppState;
use crate::store::engine::fail_point::FailPoint;
use crate::store::engine::idempotency::{self, Answer, Key, Recall};
use crate::store::{Conn, Lane};

/// The name of the header.
pub(in crate::http) const HEADER: &str = "Idempotency-Key";

/// How long a request waits for the answer to the same one that is under way, and how often it looks.
const WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(100));

/// The first wait before another try to store what became of a key, the longest, and for how long that is tried.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
const PATIENCE: Duration = Duration::from_secs(3_600);

/// The client's key, where it sent one: 1 to 255 visible ASCII characters. Two API keys that send the same one mean two
/// requests.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    key: Option<String>,
    caller: Option<Caller>,
}

impl IdempotencyKey {
    /// The key within `scope`, for a request with this hash.
    #[must_use]
    pub fn scoped(self, scope: &'static str, request_hash: &str) -> Option<Key> {
        let scope = scope_of(self.caller, scope);
        self.key.map(|key| Key::new(scope, key, request_hash.to_owned()))
    }

    /// The key of a form, for the person who has sent it.
    ///
    /// # Errors
    /// It is not 1 to 255 visible ASCII characters.
    pub(in crate::http) fn of_form(request: &HttpRequest, key: &str) -> Result<Self, ApiError> {
        if !is_well_formed(key) {
            return Err(malformed());
        }
        Ok(Self { key: Some(key.to_owned()), caller: request.extensions().get::<Caller>().copied() })
    }

    /// The key as the client sent it.
    #[must_use]
    pub fn text(self) -> Option<String> {
        self.key
    }

    fn read(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
        let mut all = headers.get_all(HEADER);
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(only), None) => match only.to_str() {
                Ok(key) if is_well_formed(key) => Ok(Some(key.to_owned())),
                _ => Err(malformed()),
            },
            (Some(_), Some(_)) => Err(malformed()),
        }
    }
}

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Caller>().copied();
        ready(Self::read(request.headers()).map(|key| Self { key, caller }))
    }
}

/// Whether a key is 1 to 255 visible ASCII characters.
pub(in crate::http) fn is_well_formed(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
}

/// A request without the header: what it does has keys of its own, and an answer that is given again would say nothing of the rest.
#[derive(Debug, Clone, Copy)]
pub struct NoKey;

impl FromRequest for NoKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let reason = "this request takes no key: give each part of it a key of its own".to_owned();
        let has_key = request.headers().contains_key(HEADER);
        ready(if has_key { Err(bad_parameter(HEADER, "idempotency_key_not_taken", reason)) } else { Ok(Self) })
    }
}

/// Does `work` in a write transaction, which stores the answer together with the effect. If the same request was answered before,
/// `work` is not done, and the old answer comes alone.
///
/// # Errors
/// Those of `work`, which undo it; the key is used for another request; or the database failed.
pub(in crate::http) async fn answered_once<T: Send + 'static>(
    state: &AppState,
    (lane, action): (Lane, &'static str),
    key: Option<Key>,
    work: impl FnOnce(&mut Conn) -> Result<(Answer, T), ApiError> + Send + 'static,
) -> Result<(Answer, Option<T>), ApiError> {
    let has_key = key.is_some();
    let answered = state.store.transact(lane, action, move |conn| in_transaction(conn, key.as_ref(), work)).await?;
    if has_key {
        FailPoint::Answered.pass();
    }
    Ok(answered)
}

fn in_transaction<T>(
    conn: &mut Conn,
    key: Option<&Key>,
    work: impl FnOnce(&mut Conn) -> Result<(Answer, T), ApiError>,
) -> Result<(Answer, Option<T>), ApiError> {
    let Some(key) = key else {
        let (answer, done) = work(conn)?;
        return Ok((answer, Some(done)));
    };
    match idempotency::recall(conn, key)? {
        Recall::New => {}
        Recall::Answered(answer) => return Ok((answer, None)),
        Recall::Reused | Recall::UnderWay => return Err(reused()),
    }
    let (answer, done) = work(conn)?;
    idempotency::remember(conn, key, &answer)?;
    FailPoint::Answer.pass();
    Ok((answer, Some(done)))
}

/// What the same request was answered before. For a handler that checks much before its transaction: what it names may be gone
/// by now.
///
/// # Errors
/// The database failed.
pub(in crate::http) async fn answered_before(state: &AppState, key: Option<&Key>) -> Result<Option<Answer>, ApiError> {
    let Some(key) = key.cloned() else { return Ok(None) };
    let look = move |conn: &mut Conn| idempotency::look(conn, &key);
    match state.store.run(Lane::Read, "look an idempotency key up", look).await? {
        Recall::Answered(answer) => Ok(Some(answer)),
        Recall::New | Recall::Reused | Recall::UnderWay => Ok(None),
    }
}

/// Whose keys for what: a stored API key is told from others by its id.
fn scope_of(caller: Option<Caller>, scope: &str) -> String {
    match caller {
        Some(Caller::Key(id, _)) => format!("key {id} {scope}"),
        Some(Caller::Root) | None => format!("root {scope}"),
    }
}

/// Serves a request that has a key once: the same one again gets the same answer, and another one under the key a 409.
/// What was refused had no effect and leaves the key free. What failed with a 5xx may have had one: the key stays taken,
/// and the same request again gets a 409 that says so.
pub(in crate::http) async fn once(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match IdempotencyKey::read(request.headers()) {
        Err(error) => Ok(request.error_response(error)),
        Ok(None) => next.call(request).await,
        Ok(Some(key)) => once_under(key, request, next, None).await,
    }
}

/// The same for a request that has its key elsewhere than in the header. `largest`: its largest body in bytes, where that is another one
/// than `http.max_body_bytes`.
pub(in crate::http) async fn once_under(
    client_key: String,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
    largest: Option<usize>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // In a task of its own: a client that hangs up in the middle does not part a key or an effect from its answer.
    let served = actix_rt::spawn(async move {
        match reserve(&mut request, client_key, largest).await {
            Err(error) => Ok(request.error_response(error)),
            Ok((_, Reserved::Before(answer))) => Ok(request.into_response(respond(answer))),
            Ok((key, Reserved::Now(state))) => finish(&state, key, next.call(request).await?).await,
        }
    });
    served.await.map_err(|source| ApiError::Unexpected { action: "serve a request", source: source.into() })?
}

/// Where the same request leads again, in place of an answer with a secret, which is not stored: an extension of that answer.
pub(in crate::http) struct Instead(pub(in crate::http) String);

/// A key, and whose turn it is.
enum Reserved {
    /// Ours: what is done now is answered under it.
    Now(Data<AppState>),
    /// This was answered before.
    Before(Answer),
}

async fn reserve(
    request: &mut ServiceRequest,
    key: String,
    largest: Option<usize>,
) -> Result<(Key, Reserved), ApiError> {
    let state = AppState::of(request.request())?;
    let body = gather(request.take_payload(), largest.unwrap_or(state.settings.http.max_body_bytes)).await?;
    let mut hasher = Sha256::new();
    for part in [request.path().as_bytes(), b"?", request.query_string().as_bytes(), b"\0", &body] {
        hasher.update(part);
    }
    request.set_payload(Payload::from(body));
    let route = format!("{} {}", request.method(), request.match_pattern().unwrap_or_default());
    let scope = scope_of(request.extensions().get::<Caller>().copied(), &route);
    let key = Key::new(scope, key, format!("{:x}", hasher.finalize()));
    let began = Instant::now();
    loop {
        let wanted = key.clone();
        let recall = move |conn: &mut Conn| conn.write(|conn| idempotency::recall(conn, &wanted));
        match state.store.run(Lane::Control, "reserve an idempotency key", recall).await {
            Ok(Recall::New) => return Ok((key, Reserved::Now(state))),
            Ok(Recall::Answered(answer)) if answer.status >= 500 => return Err(unknown()),
            Ok(Recall::Answered(answer)) => return Ok((key, Reserved::Before(answer))),
            Ok(Recall::Reused) => return Err(reused()),
            Err(error) => {
                // A COMMIT that went unanswered may have reserved it, and nothing is going to be done under it.
                conclude(&state, key, None).await;
                return Err(error.into());
            }
            Ok(Recall::UnderWay) if began.elapsed() >= WAIT.0 => return Err(under_way()),
            Ok(Recall::UnderWay) => tokio::time::sleep(WAIT.1).await,
        }
    }
}

async fn finish(
    state: &Data<AppState>,
    key: Key,
    response: ServiceResponse<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if response.status().is_server_error() {
        // Kept for what it says of the effect, not to be given again.
        let failed = Answer { status: response.status().as_u16(), body: String::new(), location: None };
        conclude(state, key, Some(failed)).await;
        return Ok(response);
    }
    // A secret is given once, and stored nowhere.
    let leads_to = response.response().extensions().get::<Instead>().map(|Instead(path)| path.clone());
    if let Some(path) = leads_to {
        let answer = Answer { status: StatusCode::SEE_OTHER.as_u16(), body: String::new(), location: Some(path) };
        conclude(state, key, Some(answer)).await;
        return Ok(response);
    }
    // A page answers with the way to another one.
    if !response.status().is_success() && response.status() != StatusCode::SEE_OTHER {
        conclude(state, key, None).await;
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let body: Bytes = to_bytes(body)
        .await
        .map_err(|source| ApiError::Unexpected { action: "read an answer", source: source.to_string().into() })?;
    let location = head.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let answer = Answer {
        status: head.status().as_u16(),
        body: String::from_utf8_lossy(&body).into_owned(),
        location: location.map(ToOwned::to_owned),
    };
    conclude(state, key, Some(answer)).await;
    Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(body))))
}

/// Stores the answer under the key, or lets go of a key under which nothing was done. The answer to the client waits for
/// one try. While the database is away the tries go on behind it, since nobody else knows what became of the request.
async fn conclude(state: &Data<AppState>, key: Key, answer: Option<Answer>) {
    let state = state.clone();
    let (tried, first_try) = tokio::sync::oneshot::channel();
    actix_rt::spawn(async move {
        let (began, mut tried, mut wait) = (Instant::now(), Some(tried), RETRY.0);
        loop {
            let (key, answer) = (key.clone(), answer.clone());
            let result = state.store.run(Lane::Control, "conclude an idempotency key", move |conn| match &answer {
                Some(answer) => idempotency::remember(conn, &key, answer),
                None => idempotency::release(conn, &key),
            });
            let result = result.await;
            if let Some(tried) = tried.take() {
                let _ = tried.send(());
            }
            match result {
                Ok(()) => return,
                Err(error) if error.is_transient() && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY.1);
                }
                Err(error) => {
                    return tracing::warn!(
                        event = "idempotency.answer_unrecorded",
                        error = %error,
                        "the answer of an idempotent request cannot be stored; its key stays taken"
                    );
                }
            }
        }
    });
    let _ = first_try.await;
}

fn malformed() -> ApiError {
    let reason = "send it once: 1 to 255 visible ASCII characters".to_owned();
    bad_parameter(HEADER, "idempotency_key_malformed", reason)
}

/// The error for a key that was used for another request.
#[must_use]
pub fn reused() -> ApiError {
    ApiError::Conflict {
        code: "idempotency_key_reused",
        detail: "this Idempotency-Key was used for another request; take a new one".to_owned(),
        ids: Vec::new(),
    }
}

fn under_way() -> ApiError {
    ApiError::Conflict {
        code: "idempotency_key_in_progress",
        detail: "a request with this Idempotency-Key is under way, or was cut off before its answer was stored; see \
                 whether it took effect before you try again under a new key"
            .to_owned(),
        ids: Vec::new(),
    }
}

/// The code of the refusal below.
pub(in crate::http) const OUTCOME_UNKNOWN: &str = "idempotency_outcome_unknown";

/// What every later request gets under a key whose first request failed in the middle.
fn unknown() -> ApiError {
    ApiError::Conflict {
        code: OUTCOME_UNKNOWN,
        detail:
            "a request with this Idempotency-Key failed with a server error and may have taken effect; see whether \
                 it did before you try again under a new key"
                .to_owned(),
        ids: Vec::new(),
    }
}

/// A stored or fresh answer as a response.
#[must_use]
pub fn respond(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    if let Some(location) = answer.location {
        response.insert_header((header::LOCATION, location));
    }
    if answer.body.is_empty() { response.finish() } else { response.content_type("application/json").body(answer.body) }
}
