//! What stands beside the composer's form: for which reader the message is shown, and how far its audience is counted.

use super::composer_parts::Count;
use super::form::Form;
use crate::domain::ids::{CampaignId, ContactId};
use crate::domain::instant::UtcInstant;
use crate::http::api::people::contacts;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Params};
use crate::http::web::problem::ApiError;

/// What is to be seen beside the form.
#[derive(Debug, Default)]
pub(in crate::http) struct Beside {
    /// Who reads. None: somebody of the audience.
    pub(super) reader: Option<ContactId>,
    /// Somebody was asked for who is no contact. The address itself stands in no URL.
    pub(super) is_unknown: bool,
    /// How far the audience is counted.
    pub(super) count: Count,
    /// Whether only what stands beside the form is wanted, for a script.
    pub(super) part: bool,
    /// When the reader of the page has changed the draft: a later change is somebody else's.
    pub(super) saved: Option<UtcInstant>,
}

impl FromQuery for Beside {
    const NAMES: &'static [&'static str] = &["as", "unknown", "count", "part", "saved"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let has = |name| params.text(name).is_some_and(|text| !text.is_empty());
        let reader = if has("as") { params.integer("as", 1..=i64::MAX)? } else { None };
        Ok(Self {
            reader: reader.map(ContactId),
            is_unknown: has("unknown"),
            count: Count::of(params.text("count").unwrap_or_default()),
            part: has("part"),
            saved: params.instant("saved")?,
        })
    }
}

impl Beside {
    /// What a form asks for. Who reads is looked up here, so that no address comes into a URL.
    pub(super) async fn of(state: &AppState, form: &Form, saved: Option<UtcInstant>) -> Result<Self, ApiError> {
        let has = |name| !form.value(name).is_empty();
        let other = form.value("as_other").trim();
        let reader = match other {
            "" => form.value("as").parse().ok().filter(|id: &i64| *id > 0).map(ContactId),
            _ => contacts::named(state, other).await?,
        };
        Ok(Self {
            reader,
            is_unknown: reader.is_none() && !other.is_empty(),
            count: if form.value("act") == "count" { Count::All } else { Count::of(form.value("count")) },
            part: has("part"),
            saved,
        })
    }

    /// The page that shows it.
    pub(super) fn path(&self, id: CampaignId) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let flag = |flag: bool| if flag { "yes" } else { "" };
        let (reader, saved) = (self.reader.map(|id| id.to_string()), self.saved.as_ref().map(ToString::to_string));
        let all = [
            ("as", reader.as_deref().unwrap_or_default()),
            ("unknown", flag(self.is_unknown)),
            ("count", self.count.word()),
            ("part", flag(self.part)),
            ("saved", saved.as_deref().unwrap_or_default()),
        ];
        query.extend_pairs(all.into_iter().filter(|(_, value)| !value.is_empty()));
        let query = query.finish();
        let path = format!("/ui/campaigns/{id}/edit");
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }
}
