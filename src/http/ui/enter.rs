//! `/ui/enter` and `/ui/leave`: signing in with an API key or with a code that was printed, and signing out.

use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::cookies;
use super::errors::Trouble;
use super::form::{Form, is_own_path, see_other};
use super::frame::{Frame, page};
use crate::domain::access::Scope;
use crate::http::access;
use crate::http::auth::Caller;
use crate::http::sessions::{self, SignedIn};
use crate::http::state::AppState;
use crate::http::web::client;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::origin::Transport;
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
    let is_refused = is_refused(&state, &request);
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
    let caller = holder(state, request, form).await?;
    let own = caller.rights().scope;
    if !own.includes(Scope::Read) {
        return Err(ApiError::InsufficientScope { what: "to see pages", asked: Scope::Read, own });
    }
    request.extensions_mut().insert(caller);
    let by = access::by(request).ok_or(ApiError::Unauthorized)?;
    sessions::open(state, caller, &by).await
}

/// Whose code or key the form has.
async fn holder(state: &AppState, request: &HttpRequest, form: &Form) -> Result<Caller, ApiError> {
    let count = || state.limits.take_without_key(client::address(request));
    let given = |name| form.text(name).map(str::trim).filter(|text| !text.is_empty());
    if let Some(code) = given("code") {
        let holder = match state.codes.take(code) {
            Some(code) => sessions::holder(state, code).await?,
            None => None,
        };
        let Some(holder) = holder else {
            count()?;
            let detail = "this code was used already, is older than five minutes, or is not one of this instance's";
            return Err(ApiError::Forbidden { code: "code_unusable", detail: detail.to_owned() });
        };
        return Ok(holder);
    }
    let Some(key) = given("key") else { return Err(ApiError::Unauthorized) };
    state.auth.holder(&state.store, key, count).await
}

/// Signs a person out.
pub(in crate::http) async fn leave(
    state: web::Data<AppState>,
    request: HttpRequest,
    by: By,
    person: web::ReqData<SignedIn>,
) -> Result<HttpResponse, ApiError> {
    close_session(&state.services.store, person.session, &by).await?;
    let mut answer = see_other("/ui/enter");
    if let Ok(cookie) = cookies::keep_session(&request, None).parse() {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(answer)
}
