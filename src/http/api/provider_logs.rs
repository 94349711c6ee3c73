//! `/v1/uncertain/{incident}/match`: what a provider's log says of an incident, before anything is decided.

use std::collections::BTreeSet;

use actix_web::web;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::provider_log::{self, Matched};
use crate::domain::shown::grouped;
use crate::http::api::campaigns::resolving::{MAX_RESOLVED, ResolveAs};
use crate::http::api::uncertain::inside;
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::campaigns::incidents::Inside;
use crate::services::campaigns::resolve::consequence;

/// The longest log, in bytes.
const MAX_LOG: usize = 1 << 20;

/// A provider's log.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct LogInput {
    /// Lines of a relay's log, or a provider's export as CSV or JSON lines; 1 to 1,048,576 bytes. It is read, and stored nowhere.
    log: String,
}

/// Recipients that a log says the same about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Group {
    pub(in crate::http) count: i64,
    /// The first 1000, by id: as many as one resolution takes.
    pub(in crate::http) contact_ids: Vec<ContactId>,
}

impl Group {
    fn of(contacts: &BTreeSet<ContactId>) -> Self {
        Self { count: number(contacts.len()), contact_ids: contacts.iter().take(MAX_RESOLVED).copied().collect() }
    }
}

/// The lines of a log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct LogLines {
    /// Without empty ones and a line of headings.
    pub(in crate::http) total: i64,
    /// About messages that are not in this incident.
    pub(in crate::http) of_other_messages: i64,
    /// They name no message, or say nothing clear of it.
    pub(in crate::http) not_understood: i64,
    /// The numbers of the first 20 of these, from 1.
    pub(in crate::http) not_understood_at: Vec<i64>,
}

/// What a log says of an incident.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct LogMatch {
    pub(in crate::http) incident: String,
    pub(in crate::http) campaign_id: CampaignId,
    /// How many recipients of the incident were looked for.
    pub(in crate::http) in_doubt: i64,
    /// The provider has taken these.
    pub(in crate::http) accepted: Group,
    /// It has not, or could not deliver them.
    pub(in crate::http) not_accepted: Group,
    /// The log says both. Nothing is concluded.
    pub(in crate::http) contradicted: Group,
    /// The log says nothing of so many.
    pub(in crate::http) not_mentioned: i64,
    pub(in crate::http) lines: LogLines,
    /// The log, as `evidence.log_sha256` of a resolution takes it.
    pub(in crate::http) log_sha256: String,
    /// The same in a sentence or two.
    pub(in crate::http) summary: String,
    /// What it means to resolve those who were accepted as `sent`.
    pub(in crate::http) if_sent: String,
    /// What it means to resolve those who were not accepted as `failed`, and as `pending`.
    pub(in crate::http) if_failed: String,
    pub(in crate::http) if_pending: String,
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl LogMatch {
    fn of(id: &str, inside: &Inside, log: &str, matched: &Matched) -> Self {
        let not_accepted = Group::of(&matched.refused);
        let accepted = Group::of(&matched.accepted);
        let means = |resolution: ResolveAs, count| consequence(resolution.resolution(), count);
        Self {
            incident: id.to_owned(),
            campaign_id: inside.case.incident.key.campaign,
            in_doubt: number(inside.contacts.len()),
            contradicted: Group::of(&matched.contradicted),
            not_mentioned: number(matched.not_mentioned),
            lines: LogLines {
                total: number(matched.lines),
                of_other_messages: number(matched.other_lines),
                not_understood: number(matched.lines_not_understood),
                not_understood_at: matched.not_understood_at.iter().map(|line| number(*line)).collect(),
            },
            log_sha256: format!("{:x}", Sha256::digest(log)),
            summary: summary(matched),
            if_sent: means(ResolveAs::Sent, accepted.count),
            if_failed: means(ResolveAs::Failed, not_accepted.count),
            if_pending: means(ResolveAs::Pending, not_accepted.count),
            accepted,
            not_accepted,
        }
    }
}

/// `9 were accepted, 2 were not, 10 are not mentioned; 3 lines were not understood.`
fn summary(matched: &Matched) -> String {
    let were = |count: usize, one: &str, many: &str| {
        format!("{} {}", grouped(number(count)), if count == 1 { one } else { many })
    };
    let mut people = vec![
        were(matched.accepted.len(), "was accepted", "were accepted"),
        were(matched.refused.len(), "was not", "were not"),
        were(matched.not_mentioned, "is not mentioned", "are not mentioned"),
    ];
    if !matched.contradicted.is_empty() {
        people.push(were(matched.contradicted.len(), "is said to be both", "are said to be both"));
    }
    let lines = were(matched.lines_not_understood, "line was not understood", "lines were not understood");
    format!("{}; {lines}.", people.join(", "))
}

/// Says what a provider's log or export says of an incident, line by line. Nothing is changed, and the log is not stored.
#[utoipa::path(post, path = "/v1/uncertain/{incident}/match", tag = "campaigns", params(("incident" = String, Path)),
    request_body = LogInput, responses((status = 200, body = LogMatch), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn match_log(
    state: web::Data<AppState>,
    incident: web::Path<String>,
    _: Query<()>,
    Json(body): Json<LogInput>,
) -> Result<web::Json<LogMatch>, ApiError> {
    Ok(web::Json(matched(&state, &incident, &body.log).await?))
}

/// What a log says of an incident.
pub(in crate::http) async fn matched(state: &AppState, id: &str, log: &str) -> Result<LogMatch, ApiError> {
    if log.trim().is_empty() {
        return Err(ApiError::field("/log", "required", "paste lines of a log, or an export"));
    }
    if log.len() > MAX_LOG {
        let reason = format!("has {} bytes; at most {MAX_LOG}: give it in parts", log.len());
        return Err(ApiError::field("/log", "too_long", reason));
    }
    let inside = inside(state, id).await?;
    let in_doubt: BTreeSet<ContactId> = inside.contacts.iter().copied().collect();
    let found = provider_log::read(log, &inside.case.campaign.key, &in_doubt);
    Ok(LogMatch::of(id, &inside, log, &found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_told_in_numbers() {
        let of = |count: i64| (1..=count).map(ContactId).collect::<BTreeSet<_>>();
        let matched = Matched {
            accepted: of(9),
            refused: of(2),
            not_mentioned: 10,
            lines_not_understood: 3,
            ..Matched::default()
        };
        assert_eq!(
            summary(&matched),
            "9 were accepted, 2 were not, 10 are not mentioned; 3 lines were not understood."
        );
        let both = Matched { accepted: of(1), contradicted: of(1), lines_not_understood: 1, ..Matched::default() };
        assert_eq!(
            summary(&both),
            "1 was accepted, 0 were not, 0 are not mentioned, 1 is said to be both; 1 line was not understood."
        );
    }
}
