//! What went wrong, as a page.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;

use super::form::sign_in;
use super::frame::{Frame, page};
use crate::http::web::edge;
use crate::http::web::idempotency::OUTCOME_UNKNOWN;
use crate::http::web::problem::{ApiError, Problem};

/// What went wrong, as pages show it: the same words as in a problem document.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// The status in words.
    pub(super) title: String,
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) request_id: String,
}

impl Trouble {
    /// What a request has failed with.
    pub(super) fn of(problem: &Problem, request: &HttpRequest) -> Self {
        Self {
            title: problem.title.to_string(),
            status: problem.status,
            code: problem.code.to_string(),
            detail: problem.detail.clone().unwrap_or_default(),
            request_id: edge::request_id(request).unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "ui/error.html")]
struct ErrorPage {
    frame: Frame,
    trouble: Trouble,
    /// Whether the same may work in a moment.
    may_work_later: bool,
    /// The page for signing in, where the session has ended.
    sign_in: Option<String>,
    /// Where it is seen whether something was done of which nobody knows, and asked for again.
    look: Option<String>,
}

/// Where forms are sent that have no page of the same path.
const WITHOUT_A_PAGE: [&str; 2] = ["/ui/theme", "/ui/leave"];

/// What is served where there is no page.
pub(in crate::http) async fn missing(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    Err(ApiError::no_such("page", request.path()))
}

/// An error without a page of its own gets one. Its cause goes into the log.
pub(super) fn as_page(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    edge::log_failure(&response);
    let error = response.response().error();
    let problem = error.and_then(|error| error.as_error::<ApiError>()).map(ApiError::problem);
    let problem = problem.unwrap_or_else(|| edge::plain(status));
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let Ok(mut written) = written(response.request(), status, &problem) else { return response };
    if let Some(seconds) = retry_after {
        written.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response.into_response(written)
}

fn written(request: &HttpRequest, status: StatusCode, problem: &Problem) -> Result<HttpResponse, ApiError> {
    let frame = Frame::extract(request).into_inner()?;
    let is_sent = !matches!(*request.method(), Method::GET | Method::HEAD);
    let has_page = !is_sent || !WITHOUT_A_PAGE.contains(&request.path());
    let here = if has_page { frame.here.clone() } else { super::UI.to_owned() };
    let frame = Frame { here, ..frame };
    let is_unknown = is_sent && (status.is_server_error() || problem.code == OUTCOME_UNKNOWN);
    let error = ErrorPage {
        trouble: Trouble::of(problem, request),
        may_work_later: status == StatusCode::SERVICE_UNAVAILABLE,
        sign_in: (status == StatusCode::UNAUTHORIZED).then(|| sign_in(&frame.here)),
        look: Some(frame.here.clone()).filter(|_| is_unknown),
        frame: frame.titled(&problem.title),
    };
    page(status, &error)
}
