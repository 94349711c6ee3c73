//! What can be asked of a segment and done with it: why a contact is a member, and the switch.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use askama::Template;

use super::contacts::address;
use super::errors::Trouble;
use super::form::{Form, fresh_key};
use super::frame::{Frame, Section, page};
use super::refused::{Refusal, led_on};
use super::segment_tree::Branch;
use super::segments::{SegmentView, members_are};
use super::words::When;
use crate::domain::ids::ContactId;
use crate::http::api::people::contacts;
use crate::http::api::segments::members::{self, WhyMember};
use crate::http::api::segments::{self, Segment};
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params, Query};
use crate::http::web::problem::ApiError;
use crate::http::web::segment_path::SegmentPath;
use crate::services::By;

/// Who is asked about: as it was typed.
pub(in crate::http) struct Who(String);

impl FromQuery for Who {
    const NAMES: &'static [&'static str] = &["contact_id"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Ok(Self(params.text("contact_id").unwrap_or_default().trim().to_owned()))
    }
}

impl Who {
    fn id(&self) -> Result<ContactId, ApiError> {
        let id = self.0.parse().ok().filter(|id: &i64| *id >= 1);
        let reason = "give the id of a contact: a number, as in the address of its page";
        id.map(ContactId).ok_or_else(|| ApiError::field("contact_id", "id_malformed", reason))
    }
}

/// The answer for one contact.
struct Why {
    id: i64,
    address: String,
    /// Whether it is a member, and why, in a sentence.
    verdict: &'static str,
    entered: Option<When>,
    until: Option<When>,
    tree: Option<Branch>,
}

/// Whether a contact is a member, and how that follows from the rule.
const fn verdict(found: &WhyMember) -> &'static str {
    match (found.living, found.member, found.matches, found.building) {
        (false, ..) => "Is no member: there is no such contact, or it was deleted.",
        (_, true, true, _) => "Is a member: the rule takes it.",
        (_, true, false, true) => {
            "Is a member still: the rule does not take it, and the evaluation has yet to come to it."
        }
        (_, true, false, false) => {
            "Is a member still, though the rule does not take it: its shortest stay lasts, or it leaves within moments."
        }
        (_, false, true, true) => "Is no member yet: the rule takes it, and the evaluation has yet to come to it.",
        (_, false, true, false) => {
            "Is no member, though the rule takes it: its longest stay is over, or it enters within moments."
        }
        (_, false, false, _) => "Is no member: the rule does not take it.",
    }
}

impl Why {
    async fn of(state: &AppState, segment: &Segment, who: &Who) -> Result<Self, ApiError> {
        let id = who.id()?;
        let found = members::explained(state, segment.id, id).await?;
        let known = contacts::these(state, vec![id]).await?;
        Ok(Self {
            id: id.0,
            address: known.first().map_or_else(|| format!("contact {id}"), address),
            verdict: verdict(&found),
            entered: found.entered_at.map(When::of),
            until: found.until.map(When::of),
            tree: found.criteria.filter(|_| found.living).map(Branch::from),
        })
    }
}

#[derive(Template)]
#[template(path = "ui/segment_why.html")]
struct WhyPage {
    frame: Frame,
    segment: SegmentView,
    typed: String,
    trouble: Option<Trouble>,
    why: Option<Why>,
}

/// Explains a segment for one contact, clause by clause.
pub(in crate::http) async fn explain(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    SegmentPath(id): SegmentPath,
    Query(who): Query<Who>,
) -> Result<HttpResponse, ApiError> {
    let segment = segments::shown(&state, id).await?;
    let frame = frame.titled(&format!("{}: who is a member, and why", segment.name));
    // Somebody may copy it into a shell.
    let named = if who.0.parse::<i64>().is_ok() { &who.0 } else { "ID" };
    let json = format!("GET /v1/segments/{id}/explain/{named}");
    let frame = frame.same_as(&json, &format!("volley segment explain {} {named}", segment.slug));
    let frame = Frame { section: Some(Section::People), up: Some(format!("/ui/segments/{id}")), ..frame };
    let (why, error) = match Why::of(&state, &segment, &who).await {
        _ if who.0.is_empty() => (None, None),
        Ok(why) => (Some(why), None),
        Err(error) if error.status_code().is_server_error() => return Err(error),
        Err(error) => (None, Some(error)),
    };
    let status = error.as_ref().map_or(StatusCode::OK, ApiError::status_code);
    let trouble = error.map(|error| Trouble::of(&error.problem(), &request));
    page(status, &WhyPage { frame, segment: SegmentView::of(&segment), typed: who.0, trouble, why })
}

/// The switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// It is kept up to date.
    Enable,
    /// It stays as it is.
    Disable,
}

impl Act {
    /// The act that a path ends with.
    fn of(request: &HttpRequest) -> Self {
        if request.path().ends_with("/enable") { Self::Enable } else { Self::Disable }
    }

    /// The last part of its path, and the command.
    const fn word(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }

    /// What the button says.
    const fn button(self) -> &'static str {
        match self {
            Self::Enable => "Switch on",
            Self::Disable => "Switch off",
        }
    }

    /// What will happen, with the numbers of this moment.
    fn consequence(self, members: i64) -> Vec<String> {
        let members = members_are(members);
        match self {
            Self::Enable => vec![
                format!("It has {members} now. Everybody is evaluated anew, which takes seconds to minutes."),
                "Who enters by that is not reported; who leaves is. From then on it is kept up to date.".to_owned(),
            ],
            Self::Disable => vec![
                format!("It keeps {members}: nobody enters or leaves until it is switched on again."),
                "Its reactions whose turn comes meanwhile are removed, and are not done later.".to_owned(),
                "Campaigns and other segments that ask for it take its members as they are.".to_owned(),
            ],
        }
    }
}

#[derive(Template)]
#[template(path = "ui/segment_act.html")]
struct ActPage {
    frame: Frame,
    segment: SegmentView,
    word: &'static str,
    button: &'static str,
    consequence: Vec<String>,
    refusal: Option<&'static str>,
    trouble: Option<Trouble>,
    key: String,
}

impl ActPage {
    fn of(act: Act, segment: &Segment, frame: Frame) -> Self {
        let (id, word) = (segment.id, act.word());
        let path = format!("POST /v1/segments/{id}/{word}");
        let frame = frame.titled(&format!("{} {}?", act.button(), segment.name));
        let frame = frame.same_as(&path, &format!("volley segment {word} {}", segment.slug));
        let refusal = match (act, segment.enabled) {
            (Act::Enable, true) => Some("The segment is switched on already"),
            (Act::Disable, false) => Some("The segment is switched off already"),
            (Act::Enable, false) | (Act::Disable, true) => None,
        };
        Self {
            frame: Frame { section: Some(Section::People), up: Some(format!("/ui/segments/{id}")), ..frame },
            segment: SegmentView::of(segment),
            word,
            button: act.button(),
            consequence: act.consequence(segment.member_count),
            refusal,
            trouble: None,
            key: fresh_key(),
        }
    }
}

/// Asks whether a segment shall be switched.
pub(in crate::http) async fn ask(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    SegmentPath(id): SegmentPath,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let segment = segments::shown(&state, id).await?;
    page(StatusCode::OK, &ActPage::of(Act::of(&request), &segment, frame))
}

/// Switches a segment. What holds since is on its page.
pub(in crate::http) async fn carry_out(
    state: web::Data<AppState>,
    frame: Frame,
    request: HttpRequest,
    SegmentPath(id): SegmentPath,
    by: By,
    _form: Form,
) -> Result<HttpResponse, ApiError> {
    let act = Act::of(&request);
    let done =
        segments::switched(&state, id, act == Act::Enable, &by).await.map(|()| format!("/ui/segments/{id}#receipt"));
    led_on(done, &request, async |Refusal { trouble, .. }| {
        let segment = segments::shown(&state, id).await?;
        Ok(ActPage { trouble: Some(trouble), refusal: None, ..ActPage::of(act, &segment, frame) })
    })
    .await
}
