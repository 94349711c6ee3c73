//! `/v1/stream`: what goes on, as it changes. Server-sent events.

use std::collections::BTreeMap;
use std::convert::Infallible;

use actix_web::http::header::HeaderName;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::overview;
use crate::domain::ids::CampaignId;
use crate::http::pulse::{Beat, NoRoom, Pulse, Said, Sight, Topic, Watcher, Watching};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::sse::{SILENT, event, event_with_id, still_here, streaming};
use crate::services::{Asker, By};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What a stream begins with: how long a client waits before it comes again, in milliseconds.
const BEGINNING: &str = "retry: 1000\n\n";

/// What is watched.
pub(in crate::http) struct About(Option<CampaignId>);

impl FromQuery for About {
    const NAMES: &'static [&'static str] = &["campaign"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self(params.integer("campaign", 1..=i64::MAX)?.map(CampaignId)))
    }
}

/// A program that hears a stream.
struct Listener {
    watching: Watching,
    topic: Topic,
    /// What it knows, by what each fact is about.
    known: BTreeMap<String, String>,
    /// The id of the last event of an earlier stream.
    resumes: Option<String>,
    has_begun: bool,
    is_stale: bool,
    is_over: bool,
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(Bytes::from_static(BEGINNING.as_bytes()));
        }
        let silent = tokio::time::sleep(SILENT);
        tokio::pin!(silent);
        loop {
            let told = tokio::select! {
                changed = self.watching.beats.changed() => match changed {
                    Ok(()) => {
                        let beat = self.watching.beats.borrow_and_update().clone();
                        self.heard(&beat)
                    }
                    Err(_closed) => Some(self.over("end", &json!({ "reason": "instance_stops" }))),
                },
                _ = self.watching.ended.changed() => Some(self.left().unwrap_or_else(still_here)),
                () = &mut silent => Some(still_here()),
            };
            if let Some(told) = told {
                return Some(Bytes::from(told));
            }
        }
    }

    /// The end of a stream whose key is no longer valid.
    fn left(&mut self) -> Option<String> {
        (!self.watching.goes_on()).then(|| self.over("end", &json!({ "reason": "key_ended" })))
    }

    fn heard(&mut self, beat: &Beat) -> Option<String> {
        if let Some(end) = self.left() {
            return Some(end);
        }
        match beat {
            Beat::Nothing => None,
            Beat::Closed => Some(self.over("end", &json!({ "reason": "instance_stops" }))),
            Beat::Away(since, _) => {
                let is_known = std::mem::replace(&mut self.is_stale, true);
                (!is_known).then(|| event("stale", &json!({ "since": since }).to_string()))
            }
            Beat::Seen(sight) => self.seen(sight),
        }
    }

    fn seen(&mut self, sight: &Sight) -> Option<String> {
        if let Topic::Campaign(id) = self.topic
            && sight.is_gone(id)
        {
            return Some(self.over("gone", &json!({ "campaign_id": id })));
        }
        let said = sight.said(self.topic.clone(), || say(sight, &self.topic))?;
        let mut told = String::new();
        if std::mem::replace(&mut self.is_stale, false) {
            told.push_str(&event("live", &json!({ "at": sight.at }).to_string()));
        }
        let is_known = self.resumes.take().is_some_and(|id| id == said.id);
        if !is_known {
            told.push_str(&news(&self.known, &said));
        }
        self.known = said.facts.iter().map(|(about, (_, fact))| (about.clone(), fact.clone())).collect();
        Some(told).filter(|told| !told.is_empty())
    }

    fn over(&mut self, name: &str, data: &serde_json::Value) -> String {
        self.is_over = true;
        event(name, &data.to_string())
    }
}

/// What is new to somebody who knows this. The last of the events has the id: who was cut off before it hears all of them again.
fn news(known: &BTreeMap<String, String>, said: &Said) -> String {
    let changed = said.facts.iter().filter(|(about, (_, fact))| known.get(*about) != Some(fact));
    let mut events: Vec<(&str, String)> = changed.map(|(_, (name, fact))| (*name, fact.clone())).collect();
    let gone = known.keys().filter(|about| !said.facts.contains_key(*about));
    let gone = gone.filter_map(|about| about.strip_prefix(CAMPAIGN)?.parse::<i64>().ok());
    events.extend(gone.map(|id| ("gone", json!({ "campaign_id": id }).to_string())));
    let last = events.pop();
    let mut told: String = events.iter().map(|(name, fact)| event(name, fact)).collect();
    told.extend(last.map(|(name, fact)| event_with_id(&said.id, name, &fact)));
    told
}

/// What facts about campaigns are called, before the id.
const CAMPAIGN: &str = "campaign-";

/// What a stream says of what was seen.
fn say(sight: &Sight, topic: &Topic) -> Option<Said> {
    let mut facts = BTreeMap::new();
    if let Topic::Campaign(id) = topic {
        let (campaign, receipt) = sight.campaigns.get(id)?;
        note(&mut facts, &format!("{CAMPAIGN}{id}"), "campaign", campaign)?;
        if let Some(receipt) = receipt {
            note(&mut facts, "receipt", "receipt", receipt)?;
        }
    } else {
        let all = sight.overview.as_ref().filter(|_| *topic == Topic::Now)?;
        for campaign in all.active.iter().chain(&all.scheduled).chain(&all.ended) {
            note(&mut facts, &format!("{CAMPAIGN}{}", campaign.id), "campaign", campaign)?;
        }
        let needs = json!({ "needs": all.needs, "needs_complete": all.needs_complete });
        note(&mut facts, "needs", "needs", &needs)?;
    }
    let mut digest = Sha256::new();
    for (about, (_, fact)) in &facts {
        digest.update(about);
        digest.update([0]);
        digest.update(fact);
        digest.update([0]);
    }
    let id = digest.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Some(Said { id, facts })
}

fn note(
    facts: &mut BTreeMap<String, (&'static str, String)>,
    about: &str,
    name: &'static str,
    fact: &impl Serialize,
) -> Option<()> {
    facts.insert(about.to_owned(), (name, serde_json::to_string(fact).ok()?));
    Some(())
}

/// Tells what goes on, as it changes, as server-sent events. With `campaign`: `campaign` (as in `GET /v1/overview`) and `receipt` of its newest
/// decision. Without: `campaign` for each that the overview lists, and `needs`. First comes how things are, then what changes. A client that
/// gives back the last id as `Last-Event-ID` hears nothing again that it knows, and otherwise how things are now: states that came and went
/// meanwhile are not told.
#[utoipa::path(get, path = "/v1/stream", tag = "operations",
    params(("campaign" = Option<i64>, Query, description = "Only this campaign."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard.")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = Problem),
        (status = 503, body = Problem)))]
pub(in crate::http) async fn stream(
    state: web::Data<AppState>,
    pulse: web::Data<Pulse>,
    request: HttpRequest,
    by: By,
    Query(About(campaign)): Query<About>,
) -> Result<HttpResponse, ApiError> {
    let topic = match campaign {
        Some(id) => {
            overview::sight(&state, id).await?;
            Topic::Campaign(id)
        }
        None => Topic::Now,
    };
    let watcher = Watcher::Key(if let Asker::ApiKey(id) = by.asker { Some(id) } else { None });
    let watching = pulse.watch(&state, topic.clone(), watcher).await.map_err(|NoRoom| {
        let detail = "this instance stops, or too many streams are open: 20 with one key, 500 in all".to_owned();
        ApiError::Unavailable { code: "too_many_streams", detail }
    })?;
    let resumes = request.headers().get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let known = BTreeMap::new();
    let listener = Listener { watching, topic, known, resumes, has_begun: false, is_stale: false, is_over: false };
    let events = stream::unfold(listener, |mut listener| async move {
        let next = listener.next().await?;
        Some((Ok::<_, Infallible>(next), listener))
    });
    Ok(streaming().streaming(events))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str, facts: &[(&str, &'static str, &str)]) -> Said {
        let facts = facts.iter().map(|(about, name, fact)| ((*about).to_owned(), (*name, (*fact).to_owned())));
        Said { id: id.to_owned(), facts: facts.collect() }
    }

    fn known(said: &Said) -> BTreeMap<String, String> {
        said.facts.iter().map(|(about, (_, fact))| (about.clone(), fact.clone())).collect()
    }

    #[test]
    fn only_what_has_changed_is_told_and_the_last_event_has_the_id() {
        let first = said("a", &[("campaign-1", "campaign", "1"), ("needs", "needs", "2")]);
        let told = news(&BTreeMap::new(), &first);
        assert_eq!(told, "event: campaign\ndata: 1\n\nid: a\nevent: needs\ndata: 2\n\n");
        assert_eq!(news(&known(&first), &first), "");
        let second = said("b", &[("needs", "needs", "2")]);
        assert_eq!(news(&known(&first), &second), "id: b\nevent: gone\ndata: {\"campaign_id\":1}\n\n");
    }
}
