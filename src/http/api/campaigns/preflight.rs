//! The preflight of a campaign: its progress as it comes, then its result.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::domain::ids::CampaignId;
use crate::domain::preflight::{Progress, Report};
use crate::http::state::AppState;
use crate::http::web::extract::{Hashed, Id, Nothing, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::campaigns::preflight::desk::Busy;
use crate::services::campaigns::preflight::{self, PreflightError, Running};

/// The media type of an answer line by line.
const LINES: &str = "application/x-ndjson";

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(250);

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A line of a preflight that is told as it goes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum PreflightLine {
    /// How far it is. Any number of these.
    Progress(Progress),
    /// The result: the last line.
    Result(Box<Report>),
    /// There is no result: the last line.
    Problem(Box<Problem>),
}

impl From<Busy> for ApiError {
    fn from(busy: Busy) -> Self {
        Self::Conflict { code: "preflight_under_way", detail: busy.to_string(), ids: Vec::new() }
    }
}

impl From<PreflightError> for ApiError {
    fn from(error: PreflightError) -> Self {
        let detail = error.to_string();
        match error {
            PreflightError::Launch(error) => error.into(),
            PreflightError::Busy(busy) => busy.into(),
            PreflightError::Unwanted | PreflightError::TooLong => {
                Self::Unavailable { code: "preflight_unfinished", detail }
            }
            PreflightError::Interrupted(source) => {
                Self::Unexpected { action: "check a campaign before its launch", source: Box::new(source) }
            }
        }
    }
}

/// The result of a preflight, when it has come.
async fn ended(running: Running) -> Result<Arc<Report>, ApiError> {
    let Running { end, progress } = running;
    // It is not listened to any more.
    drop(progress);
    match end.await {
        Ok(result) => Ok(result?),
        Err(_closed) => {
            let detail = "the preflight was interrupted: this instance is shutting down".to_owned();
            Err(ApiError::Unavailable { code: "preflight_unfinished", detail })
        }
    }
}

/// Counts everybody who is meant by a draft or scheduled campaign, and makes every message without sending any, as a launch at this
/// moment would. With `Accept: application/x-ndjson` the answer is a line of JSON now and then with the `progress`, and at last one
/// with the `result` or the `problem`; otherwise it is the result alone, when it has come. It stops when the client goes away, and
/// after 15 minutes.
#[utoipa::path(post, path = "/v1/campaigns/{id}/preflight", tag = "campaigns", params(("id" = i64, Path)),
    responses((status = 200, content((Report = "application/json"), (PreflightLine = "application/x-ndjson"))),
        (status = "4XX", body = Problem)))]
pub(in crate::http) async fn preflight(
    state: web::Data<AppState>,
    request: HttpRequest,
    Id(id): Id<CampaignId>,
    _: Query<()>,
    by: By,
    _: Hashed<Nothing>,
) -> Result<HttpResponse, ApiError> {
    let accepted = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let by_lines = accepted.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == LINES));
    let running = preflight::start(&state.services, id, &by, false)?;
    if by_lines { Ok(told(running)) } else { Ok(HttpResponse::Ok().json(&*ended(running).await?)) }
}

/// Tells a preflight line by line.
fn told(running: Running) -> HttpResponse {
    let progress = running.progress.clone();
    let end: stream::BoxStream<'static, PreflightLine> = Box::pin(stream::once(async move {
        match ended(running).await {
            Ok(report) => PreflightLine::Result(Box::new(Arc::unwrap_or_clone(report))),
            Err(error) => PreflightLine::Problem(Box::new(error.problem())),
        }
    }));
    let lines = stream::unfold((progress, Some(end)), |(progress, end)| async move {
        let mut end = end?;
        let line = next(&progress, &mut end).await;
        let rest = matches!(line, PreflightLine::Progress(_)).then_some(end);
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        Some((Ok::<_, Infallible>(Bytes::from(text)), (progress, rest)))
    });
    HttpResponse::Ok()
        .content_type(LINES)
        .insert_header((CACHE_CONTROL, "no-store"))
        // A line is sent when it is written, by us and by a proxy.
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header((X_ACCEL_BUFFERING, "no"))
        .streaming(lines)
}

async fn next(
    progress: &watch::Receiver<Progress>,
    end: &mut stream::BoxStream<'static, PreflightLine>,
) -> PreflightLine {
    tokio::select! {
        line = futures_util::StreamExt::next(end) => match line {
            Some(line) => line,
            None => PreflightLine::Progress(*progress.borrow()),
        },
        () = tokio::time::sleep(TELL_EVERY) => PreflightLine::Progress(*progress.borrow()),
    }
}
