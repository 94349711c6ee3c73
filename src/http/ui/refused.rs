//! A form that was refused becomes its page again: with what was typed, and with what is wrong.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::errors::Trouble;
use super::form::see_other;
use super::frame::page;
use crate::http::web::problem::{ApiError, FieldProblem};

/// Why a form was refused, as its page says it.
pub(super) struct Refusal<'e> {
    pub(super) error: &'e ApiError,
    /// The same, in words.
    pub(super) trouble: Trouble,
    /// What is wrong with which field.
    pub(super) errors: Vec<FieldProblem>,
    /// Whether what was typed is wrong, and not what is asked for.
    pub(super) is_wrong: bool,
}

/// A refusal that has something to do with what is there. What is not there has no form: the page of the error says so.
pub(super) fn of_what_is_there(error: ApiError) -> Result<ApiError, ApiError> {
    if error.status_code() == StatusCode::NOT_FOUND { Err(error) } else { Ok(error) }
}

/// Leads on to `done`, the place where what a form has done is seen. A form that was refused is shown again, as [`refused`] does it.
pub(super) async fn led_on<P: Template>(
    done: Result<String, ApiError>,
    request: &HttpRequest,
    page_of: impl AsyncFnOnce(Refusal<'_>) -> Result<P, ApiError>,
) -> Result<HttpResponse, ApiError> {
    match done {
        Ok(place) => Ok(see_other(&place)),
        Err(error) => refused(of_what_is_there(error)?, request, page_of).await,
    }
}

/// Answers a refused form with its page, which `page_of` makes. What has failed is no refusal. A refusal whose page cannot be made now is
/// a refusal all the same: nothing was done.
pub(super) async fn refused<P: Template>(
    error: ApiError,
    request: &HttpRequest,
    page_of: impl AsyncFnOnce(Refusal<'_>) -> Result<P, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let status = error.status_code();
    if status.is_server_error() {
        return Err(error);
    }
    let problem = error.problem();
    let trouble = Trouble::of(&problem, request);
    let is_wrong = status == StatusCode::UNPROCESSABLE_ENTITY;
    let shown = page_of(Refusal { error: &error, trouble, errors: problem.errors, is_wrong }).await;
    match shown {
        Ok(shown) => page(status, &shown),
        Err(_cannot_be_made) => Err(error),
    }
}
