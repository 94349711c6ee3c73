//! `/ui/enter` and `/ui/leave`: signing in with an API key or with a code that was printed, and signing out.

use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::cookies;
use super::door::signed_in;
use super::errors::Trouble;
use super::form::{Form, is_own_path, see_other};
use super::frame::{Frame, page};
use crate::domain::access::Scope;
use crate::domain::access::limit::Limit;
use crate::domain::ids::SessionId;
use crate::http::access;
use crate::http::auth::Caller;
use crate::http::codes::Code;
use crate::http::sessions;
use crate::http::state::AppState;
use crate::http::web::client;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::origin::{self, Transport};
use crate::http::web::problem::ApiError;
use crate::services::By;
use crate::services::access::close_session::close_session;

#[derive(Template)]
#[template(path = "ui/enter.html")]
struct EnterPage {
    frame: Frame,
    trouble: Option<Trouble>,
    /// The page that was asked for.
    next: String,
    /// Whether others could read a key on its way here.
    is_refused: bool,
}

/// The page that was asked for.
pub(in crate::http) struct Next(String);

impl FromQuery for Next {
    const NAMES: &'static [&'static str] = &["next"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let next = params.text("next").filter(|path| is_own_path(path));
        Ok(Self(next.unwrap_or(super::UI).to_owned()))
    }
}

/// Asks a person who they are.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    Query(Next(next)): Query<Next>,
) -> Result<HttpResponse, ApiError> {
    // A browser says to this machine and over https where its request comes from. One that does not may be behind a proxy that
    // leaves no sign of itself, with an open wire in front of it.
    let is_refused = is_refused(&state, &request)
        || Transport::of(&request) == Transport::Loopback && !origin::has_metadata(request.headers());
    page(StatusCode::OK, &EnterPage { frame: frame.titled("Sign in"), trouble: None, next, is_refused })
}

/// Signs a person in.
pub(in crate::http) async fn enter(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let next = form.next().unwrap_or(super::UI).to_owned();
    match opened(&state, &request, &form).await {
        Ok(secret) => {
            let mut answer = see_other(&next);
            if let Ok(cookie) = cookies::keep_session(&request, Some(&secret)).parse() {
                answer.headers_mut().insert(SET_COOKIE, cookie);
            }
            Ok(answer)
        }
        // The database, and whatever else is not up to who asks, has a page of its own.
        Err(error) if error.status_code().is_server_error() => Err(error),
        Err(error) => {
            let trouble = Some(Trouble::of(&error.problem(), &request));
            let is_refused = is_refused(&state, &request);
            page(error.status_code(), &EnterPage { frame: frame.titled("Sign in"), trouble, next, is_refused })
        }
    }
}

fn is_refused(state: &AppState, request: &HttpRequest) -> bool {
    Transport::of(request) == Transport::Plain && !state.settings.http.allow_plain_sign_in
}

/// Opens a session for what the form has; its secret.
async fn opened(state: &AppState, request: &HttpRequest, form: &Form) -> Result<String, ApiError> {
    if is_refused(state, request) {
        let detail =
            "the key would travel unencrypted: sign in over https, behind a proxy that http.trusted_proxies names";
        return Err(ApiError::Forbidden { code: "sign_in_unencrypted", detail: detail.to_owned() });
    }
    let (caller, taken) = holder(state, request, form).await?;
    let opened = open(state, request, caller).await;
    // A code is used up by a session, and by nothing else.
    if let (Err(_), Some(taken)) = (&opened, taken) {
        state.codes.give_back(taken);
    }
    opened
}

/// Opens a session of a caller; its secret.
async fn open(state: &AppState, request: &HttpRequest, caller: Caller) -> Result<String, ApiError> {
    let own = caller.rights().scope;
    if !own.includes(Scope::Read) {
        return Err(ApiError::InsufficientScope { what: "to see pages", asked: Scope::Read, own });
    }
    state.limits.take(caller, Limit::Requests, 1)?;
    let former = former(request).await;
    request.extensions_mut().insert(caller);
    let by = access::by(request).ok_or(ApiError::Unauthorized)?;
    let secret = sessions::open(state, caller, &by).await?;
    // One browser has one session.
    if let Some((former, by)) = former {
        close(state, former, &by).await;
    }
    Ok(secret)
}

/// Whose code or key the form has, and the code, which is taken.
async fn holder(state: &AppState, request: &HttpRequest, form: &Form) -> Result<(Caller, Option<Code>), ApiError> {
    let count = || state.limits.take_without_key(client::address(request));
    let given = |name| form.text(name).map(str::trim).filter(|text| !text.is_empty());
    match (given("code"), given("key")) {
        (Some(code), _) => {
            count()?;
            of_code(state, code).await
        }
        (None, Some(key)) => {
            let caller = state.auth.holder(&state.store, key, count).await?;
            // The root key is known without the database: whoever guesses it is slowed down by this alone.
            if caller == Caller::Root {
                count()?;
            }
            Ok((caller, None))
        }
        (None, None) => Err(ApiError::Unauthorized),
    }
}

/// Whose code this is, and the code itself, which nobody else can use until it is given back.
async fn of_code(state: &AppState, code: &str) -> Result<(Caller, Option<Code>), ApiError> {
    let unusable = || {
        let detail = "this code was used already, is older than five minutes, or is not one of this instance's";
        ApiError::Forbidden { code: "code_unusable", detail: detail.to_owned() }
    };
    let taken = state.codes.take(code).ok_or_else(unusable)?;
    match sessions::holder(state, taken.opens).await {
        Ok(holder) => Ok((holder.ok_or_else(unusable)?, Some(taken))),
        Err(error) => {
            state.codes.give_back(taken);
            Err(error)
        }
    }
}

/// The session of a request's cookie, and who closes it.
async fn former(request: &HttpRequest) -> Option<(SessionId, By)> {
    let person = signed_in(request).await.ok().flatten()?;
    request.extensions_mut().insert(person.caller);
    Some((person.session, access::by(request)?))
}

/// Ends a session. Where the database is away it ends by its age.
async fn close(state: &AppState, session: SessionId, by: &By) {
    if let Err(error) = close_session(&state.services.store, session, by).await {
        tracing::warn!(event = "session.unclosed", %error, "a session that was left cannot be closed; it ends by its age");
    }
}

/// Signs a person out.
pub(in crate::http) async fn leave(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    if let Some((session, by)) = former(&request).await {
        close(&state, session, &by).await;
    }
    // The cookie goes, whatever became of the session.
    let mut answer = see_other("/ui/enter");
    if let Ok(cookie) = cookies::keep_session(&request, None).parse() {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}
