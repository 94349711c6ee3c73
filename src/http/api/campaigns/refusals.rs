//! What a refused decision on a campaign is for clients.

use crate::domain::campaigns::BadTransition;
use crate::domain::content::template::Part;
use crate::http::api::content::pointers::CONTENT;
use crate::http::api::content::pointers::Pointers;
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::campaigns::audience_segments::MembersNotKnown;
use crate::services::campaigns::delete::DeleteError;
use crate::services::campaigns::edit::DraftError;
use crate::services::campaigns::launch::LaunchError;
use crate::services::campaigns::render::RenderingError;
use crate::services::campaigns::schedule::ScheduleError;
use crate::services::campaigns::test_send::TestError;
use crate::store::campaigns::TransitionError;
use crate::store::campaigns::archives::Archived;

impl From<Archived> for ApiError {
    fn from(archived: Archived) -> Self {
        Self::Conflict { code: "deliveries_archived", detail: archived.to_string(), ids: vec![archived.campaign.0] }
    }
}

impl From<TransitionError> for ApiError {
    fn from(error: TransitionError) -> Self {
        LaunchError::Transition(error).into()
    }
}

impl From<LaunchError> for ApiError {
    fn from(error: LaunchError) -> Self {
        let code = error.code();
        match error {
            LaunchError::Transition(TransitionError::NotFound(id)) => Self::not_found("campaign", id.0),
            LaunchError::Transition(TransitionError::Illegal(BadTransition { from, event })) => {
                Self::Conflict { code, detail: format!("cannot {event}: the campaign is {from}"), ids: Vec::new() }
            }
            LaunchError::Transition(TransitionError::SweepUnderWay(sweep)) => Self::Conflict {
                code: "pass_under_way",
                detail: format!("an earlier {sweep} has not ended yet"),
                ids: Vec::new(),
            },
            LaunchError::Transition(TransitionError::Archived(archived)) => (*archived).into(),
            LaunchError::Transition(TransitionError::Store(error)) => error.into(),
            LaunchError::Audience(reason) => Self::field("/audience", code, reason.to_string()),
            LaunchError::UnknownContacts(ids) => Self::NotFound { what: "contact", ids },
            LaunchError::UnknownLists(ids) => Self::NotFound { what: "list", ids },
            LaunchError::UnknownCampaigns(ids) => Self::NotFound { what: "campaign", ids },
            LaunchError::ArchivedCampaigns(ref archived) => {
                let ids = archived.iter().map(|archived| archived.campaign.0).collect();
                Self::Conflict { code, detail: error.to_string(), ids }
            }
            LaunchError::Segments(MembersNotKnown::Missing(ids)) => Self::NotFound { what: "segment", ids },
            LaunchError::Segments(MembersNotKnown::Building(ref building)) => {
                let ids = building.iter().map(|building| building.segment.0).collect();
                Self::Conflict { code, detail: error.to_string(), ids }
            }
            LaunchError::Segments(MembersNotKnown::NotEvaluated(ref ids)) => {
                let ids = ids.clone();
                Self::Conflict { code, detail: error.to_string(), ids }
            }
            LaunchError::PreflightOutdated => Self::Conflict { code, detail: error.to_string(), ids: Vec::new() },
            LaunchError::UnknownTags(names) => Self::NoSuch { what: "tag", name: names.join(", ") },
            LaunchError::TransactionalLimit(_) => Self::Forbidden { code, detail: error.to_string() },
            LaunchError::NoTopic => Self::field("/topic_id", code, error.to_string()),
            LaunchError::NoTemplate => {
                let reason = "give a template_id, or a body_text of its own";
                Self::field("/template_id", code, reason)
            }
            LaunchError::Template(error) => Self::field("/body_text", code, error.to_string()),
            LaunchError::Email(errors) => Self::Invalid(errors.into_iter().map(FieldProblem::from).collect()),
            LaunchError::NoPool(reason) => Self::field("/pool", code, reason),
            LaunchError::NoUnsubscribe { part, reason } | LaunchError::NoPostalAddress { part, reason } => {
                let field = if part == Some(Part::Html) { CONTENT.html } else { CONTENT.text };
                Self::field(field, code, reason)
            }
            LaunchError::NoRandomness(_) => Self::Unexpected { action: "mint a key", source: error.into() },
        }
    }
}

impl From<ScheduleError> for ApiError {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Past { .. } | ScheduleError::TooFar(_) => {
                Self::field("/scheduled_at", "schedule_out_of_range", error.to_string())
            }
            ScheduleError::Launch(error) => error.into(),
        }
    }
}

impl From<DraftError> for ApiError {
    fn from(error: DraftError) -> Self {
        let detail = error.to_string();
        match error {
            DraftError::NotEditable(_) | DraftError::PauseFirst => {
                Self::Conflict { code: "campaign_not_editable", detail, ids: Vec::new() }
            }
            DraftError::ChangedMeanwhile => Self::Conflict { code: "changed_meanwhile", detail, ids: Vec::new() },
            DraftError::NoSuchTemplate(_) => Self::field("/template_id", "template_not_found", detail),
            DraftError::OtherChannel { .. } => Self::field("/template_id", "channel_mismatch", detail),
            DraftError::TwoContents => Self::field("/template_id", "content_ambiguous", detail),
            DraftError::CategoryOfTemplate => Self::field("/category", "category_of_template", detail),
            DraftError::Content(error) => CONTENT.refusal(error),
            DraftError::Schedule(error) => error.into(),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Active(_) => {
                Self::Conflict { code: "campaign_active", detail: error.to_string(), ids: Vec::new() }
            }
            DeleteError::Campaign(error) => error.into(),
        }
    }
}

/// What it is that a campaign could not be rendered, whose content stands at `pointers`.
pub(super) fn unrendered(error: RenderingError, pointers: Pointers) -> ApiError {
    match error {
        RenderingError::NoCampaign(id) => ApiError::not_found("campaign", id.0),
        RenderingError::NoContacts(ids) => {
            ApiError::NotFound { what: "contact", ids: ids.iter().map(|id| id.0).collect() }
        }
        RenderingError::Content(error) => pointers.refusal(error),
        RenderingError::Unrenderable(error) => ApiError::field(pointers.text, "render_failed", error.to_string()),
    }
}

impl From<TestError> for ApiError {
    fn from(error: TestError) -> Self {
        let detail = error.to_string();
        match error {
            TestError::Rendering(error) => unrendered(error, CONTENT),
            TestError::Launch(error) => error.into(),
            TestError::NotAllowed(_) => Self::field("/contact_ids", "test_recipient_not_allowed", detail),
            TestError::NotRunning(_) => Self::Unavailable { code: "pool_missing", detail },
        }
    }
}
