//! `/ui/live`: what an open page shows, as it changes. Server-sent events, each with the parts of the page that have changed.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use askama::Template;
use futures_util::stream;

use super::campaign::CampaignLive;
use super::frame::Frame;
use super::now::NowLive;
use super::pulse::{Beat, Pulse, Sight, Topic, Watching};
use crate::domain::ids::{CampaignId, SessionId};
use crate::http::sessions::SignedIn;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::{ApiError, FieldProblem};

/// How long a stream is silent at most.
const SILENT: Duration = Duration::from_secs(15);

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The page that is watched.
pub(in crate::http) struct About(Topic);

impl FromQuery for About {
    const NAMES: &'static [&'static str] = &["page"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let topic = match params.text("page") {
            Some("now") => Some(Topic::Now),
            Some(page) => {
                page.strip_prefix("campaign-").and_then(|id| id.parse().ok()).map(CampaignId).map(Topic::Campaign)
            }
            None => None,
        };
        let reason = "now, or campaign-ID".to_owned();
        topic.map(Self).ok_or_else(|| ApiError::BadParameter(FieldProblem::new("page", "not_allowed", reason)))
    }
}

/// Somebody who watches a page.
struct Viewer {
    watching: Watching,
    topic: Topic,
    session: SessionId,
    may_operate: bool,
    /// What the page shows by now.
    shown: String,
    is_over: bool,
}

impl Viewer {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let beat = tokio::select! {
            changed = self.watching.beats.changed() => match changed {
                Ok(()) => self.watching.beats.borrow_and_update().clone(),
                Err(_closed) => Beat::Closed,
            },
            () = tokio::time::sleep(SILENT) => return Some(Bytes::from_static(b": still here\n\n")),
        };
        Some(self.heard(&beat))
    }

    fn heard(&mut self, beat: &Beat) -> Bytes {
        match beat {
            Beat::Nothing => Bytes::from_static(b": nothing yet\n\n"),
            Beat::Away(since) => event("stale", &since.map(|at| at.to_string()).unwrap_or_default()),
            Beat::Closed => self.over("end"),
            Beat::Seen(sight) if sight.has_ended(self.session) => self.over("leave"),
            Beat::Seen(sight) => match self.page(sight) {
                Page::Gone => self.over("reload"),
                Page::NotYet => Bytes::from_static(b": not yet\n\n"),
                Page::Shown(page) if page == self.shown => event("seen", &sight.at.to_string()),
                Page::Shown(page) => {
                    let told = event("page", &page);
                    self.shown = page;
                    told
                }
            },
        }
    }

    fn over(&mut self, name: &str) -> Bytes {
        self.is_over = true;
        event(name, "")
    }

    fn page(&self, sight: &Sight) -> Page {
        let rendered = match self.topic {
            Topic::Now => {
                let Some(overview) = &sight.overview else { return Page::NotYet };
                NowLive::of(overview, &sight.rates).render()
            }
            Topic::Campaign(id) => {
                if sight.is_gone(id) {
                    return Page::Gone;
                }
                let Some((campaign, receipt)) = sight.campaigns.get(&id) else { return Page::NotYet };
                let rate = sight.rates.get(&id).copied();
                CampaignLive::of(campaign, receipt.as_ref(), rate, self.may_operate).render()
            }
        };
        rendered.map_or(Page::NotYet, Page::Shown)
    }
}

/// The part of a page that changes.
enum Page {
    /// What it was about is gone.
    Gone,
    /// It was not looked at yet.
    NotYet,
    Shown(String),
}

/// An event, each line of its data on a line of its own.
fn event(name: &str, data: &str) -> Bytes {
    let mut text = format!("event: {name}\n");
    for line in data.lines().chain(data.is_empty().then_some("")) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    Bytes::from(text)
}

/// An answer that goes on. It is not compressed: a compressor would keep the beginning of one event until the next.
fn streaming() -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CONTENT_ENCODING, "identity"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_ACCEL_BUFFERING, "no"));
    answer
}

/// The answer to a person whose session has ended: a browser would ask a refusal's address again and again.
pub(super) fn leave() -> HttpResponse {
    streaming().body(event("leave", ""))
}

/// Sends what a page shows, as it changes.
pub(in crate::http) async fn stream(
    state: web::Data<AppState>,
    pulse: web::Data<Pulse>,
    frame: Frame,
    person: web::ReqData<SignedIn>,
    Query(About(topic)): Query<About>,
) -> Result<HttpResponse, ApiError> {
    let session = person.session;
    let watching = pulse.watch(&state, topic, session)?;
    let may_operate = frame.may_operate();
    let viewer = Viewer { watching, topic, session, may_operate, shown: String::new(), is_over: false };
    let events = stream::unfold(viewer, |mut viewer| async move {
        let next = viewer.next().await?;
        Some((Ok::<_, std::convert::Infallible>(next), viewer))
    });
    Ok(streaming().streaming(events))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_an_event_is_marked_as_its_data() {
        assert_eq!(event("page", "<p>\n\na</p>"), "event: page\ndata: <p>\ndata: \ndata: a</p>\n\n");
        assert_eq!(event("leave", ""), "event: leave\ndata: \n\n");
    }
}
