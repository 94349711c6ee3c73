//! `/ui/live`: what an open page shows, as it changes. Server-sent events, each with the parts of the page that have changed.

use std::sync::Arc;

use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use askama::Template;
use futures_util::stream;

use super::campaign::CampaignLive;
use super::frame::{Banner, Frame};
use super::import::ImportLive;
use super::instances::InstancesLive;
use super::now::NowLive;
use super::pace::PaceLive;
use super::pools::{PoolLive, PoolsLive};
use crate::domain::ids::{CampaignId, ImportId};
use crate::http::pulse::{Beat, NoRoom, Pulse, Sight, Topic, Watcher, Watching};
use crate::http::sessions::SignedIn;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::http::web::sse::{SILENT, event, still_here, streaming};
use crate::runtime::health::Attention;

/// The page that is watched.
pub(in crate::http) struct About(Topic);

impl FromQuery for About {
    const NAMES: &'static [&'static str] = &["page"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let topic = match params.text("page") {
            Some("session") => Some(Topic::Session),
            Some("now") => Some(Topic::Now),
            Some("pools") => Some(Topic::Pools),
            Some("instances") => Some(Topic::Instances),
            Some(page) => match page.split_once('-') {
                Some(("campaign", id)) => id.parse().ok().map(CampaignId).map(Topic::Campaign),
                Some(("pace", id)) => id.parse().ok().map(CampaignId).map(Topic::Pace),
                Some(("import", id)) => id.parse().ok().map(ImportId).map(Topic::Import),
                Some(("pool", name)) => Some(Topic::Pool(name.into())),
                Some(_) | None => None,
            },
            None => None,
        };
        let reason = "session, now, pools, instances, campaign-ID, pace-ID, import-ID, or pool-NAME".to_owned();
        topic.map(Self).ok_or_else(|| ApiError::BadParameter(FieldProblem::new("page", "not_allowed", reason)))
    }
}

/// A person who watches a page.
struct Viewer {
    watching: Watching,
    topic: Topic,
    may_operate: bool,
    may_administer: bool,
    /// What the page shows by now.
    shown: Option<Arc<str>>,
    banner: Option<String>,
    is_over: bool,
}

impl Viewer {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let told = tokio::select! {
            changed = self.watching.beats.changed() => match changed {
                Ok(()) => {
                    let beat = self.watching.beats.borrow_and_update().clone();
                    self.heard(&beat)
                }
                Err(_closed) => self.over("end"),
            },
            _ = self.watching.ended.changed() => {
                if self.watching.goes_on() { still_here() } else { self.over("leave") }
            }
            () = tokio::time::sleep(SILENT) => still_here(),
        };
        Some(Bytes::from(told))
    }

    fn heard(&mut self, beat: &Beat) -> String {
        match beat {
            Beat::Nothing => still_here(),
            Beat::Closed => self.over("end"),
            _ if !self.watching.goes_on() => self.over("leave"),
            _ if self.topic == Topic::Session => still_here(),
            Beat::Away(since, trouble) => {
                let banner = self.banner(trouble.as_ref());
                banner + &event("stale", &since.map(|at| at.to_string()).unwrap_or_default())
            }
            Beat::Seen(sight) => {
                if let Topic::Campaign(id) | Topic::Pace(id) = self.topic
                    && sight.is_gone(id)
                {
                    return self.over("reload");
                }
                let Some(page) = self.page(sight) else { return still_here() };
                let mut told = self.banner(sight.trouble.as_ref());
                if let Some(changed) = changed(self.shown.as_deref(), &page) {
                    told.push_str(&event("page", &changed));
                }
                self.shown = Some(page);
                told + &event("seen", &format!("{} {}", sight.at, sight.next.as_millis()))
            }
        }
    }

    fn over(&mut self, name: &str) -> String {
        self.is_over = true;
        event(name, "")
    }

    /// What keeps the instance from its work, where that has changed.
    fn banner(&mut self, trouble: Option<&Attention>) -> String {
        let banner = Banner { trouble: trouble.cloned() }.render().ok();
        if banner == self.banner {
            return String::new();
        }
        self.banner.clone_from(&banner);
        banner.map(|banner| event("page", &banner)).unwrap_or_default()
    }

    fn page(&self, sight: &Sight) -> Option<Arc<str>> {
        let may = (self.may_operate, self.may_administer);
        let machinery = &sight.machinery;
        sight.rendered((self.topic.clone(), may.0, may.1), || match &self.topic {
            Topic::Session => None,
            Topic::Now => NowLive::of(sight.overview.as_ref()?, &sight.rates).render().ok(),
            Topic::Import(id) => ImportLive::of(sight.imports.get(id)?, 1, self.may_operate).render().ok(),
            Topic::Campaign(id) => {
                let (campaign, receipt) = sight.campaigns.get(id)?;
                let rate = sight.rates.get(id).copied();
                CampaignLive::of(campaign, receipt.as_ref(), sight.at, rate, self.may_operate).render().ok()
            }
            Topic::Pace(id) => PaceLive::of(&machinery.paces.get(id)?.1).render().ok(),
            Topic::Pools => PoolsLive::of(machinery.pools.as_ref()?, self.may_administer).render().ok(),
            Topic::Pool(name) => {
                PoolLive::of(machinery.pools.as_ref()?, name, machinery.receipts.get(name), may)?.render().ok()
            }
            Topic::Instances => {
                InstancesLive::of(sight.overview.as_ref()?, machinery.instances.as_ref()?).render().ok()
            }
        })
    }
}

/// Where a page can be divided: what stands between two of these has an id of its own.
const BETWEEN: &str = "<!--part-->\n";

/// What of a page has changed. Where only some of its parts have, it is those.
fn changed(old: Option<&str>, new: &str) -> Option<String> {
    let Some(old) = old else { return Some(new.to_owned()) };
    if old == new {
        return None;
    }
    let parts = |page: &str| -> Vec<String> { page.split(BETWEEN).map(str::to_owned).collect() };
    let (old, new_parts) = (parts(old), parts(new));
    let id = |part: &str| part.split(" id=\"").nth(1).and_then(|after| after.split('"').next()).map(str::to_owned);
    let is_same_page = old.len() == new_parts.len()
        && old.first() == new_parts.first()
        && old.last() == new_parts.last()
        && old.iter().zip(&new_parts).all(|(old, new)| id(old) == id(new));
    if !is_same_page {
        return Some(new.to_owned());
    }
    Some(old.iter().zip(new_parts).filter(|(old, new)| *old != new).map(|(_, new)| new).collect())
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
    let watching = pulse.watch(&state, topic.clone(), Watcher::Session(person.session)).await.map_err(|NoRoom| {
        let detail = "this instance stops, or too many pages are open: the page is tried again by itself".to_owned();
        ApiError::Unavailable { code: "too_many_pages", detail }
    })?;
    let (may_operate, may_administer) = (frame.may_operate(), frame.may_administer());
    let banner = Banner { trouble: state.health.vital() }.render().ok();
    let viewer = Viewer { watching, topic, may_operate, may_administer, shown: None, banner, is_over: false };
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
    fn only_the_parts_that_have_changed_are_sent() {
        let page = |one: &str, ids: [&str; 2]| {
            format!(
                "<div id=\"now\">\n{BETWEEN}<p id=\"{}\">{one}</p>\n{BETWEEN}<p id=\"{}\">2</p>\n{BETWEEN}</div>\n",
                ids[0], ids[1]
            )
        };
        let before = page("1", ["a", "b"]);
        assert_eq!(changed(Some(&before), &before), None);
        assert_eq!(changed(Some(&before), &page("x", ["a", "b"])).unwrap(), "<p id=\"a\">x</p>\n");
        let other = page("1", ["a", "c"]);
        assert_eq!(changed(Some(&before), &other), Some(other.clone()), "another part is there");
        assert_eq!(changed(None, &before), Some(before.clone()));
    }
}
