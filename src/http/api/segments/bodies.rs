//! Segments as clients write and read them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::ids::SegmentId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::slug;
use crate::domain::segments::Criteria;
use crate::domain::segments::reaction::Reaction;
use crate::domain::segments::standing::{EntryLimitKind, SegmentKind, SegmentState};
use crate::domain::segments::stay::{EntryLimit, Mark, Rules};
use crate::domain::span::Span;
use crate::http::web::extract::{FromQuery, Params, present};
use crate::http::web::paging::{PARAMETERS, Paging};
use crate::http::web::problem::ApiError;
use crate::http::web::text;
use crate::services::segments::change_segment::SegmentChange;
use crate::services::segments::definition::Draft;
use crate::store::engine::listing::{Slice, Window};
use crate::store::segments::{self, SegmentRow, members};
use crate::store::{Conn, StoreError};

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 2_000;

/// A segment.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Segment {
    pub(in crate::http) id: SegmentId,
    pub(in crate::http) name: String,
    /// Stands wherever the id may.
    pub(in crate::http) slug: String,
    pub(in crate::http) description: String,
    pub(in crate::http) kind: SegmentKind,
    /// The rule, as it was given, with ids in the place of slugs.
    pub(in crate::http) criteria: Value,
    /// The rule in words.
    pub(in crate::http) sentence: Option<String>,
    /// Whether it is kept up to date.
    pub(in crate::http) enabled: bool,
    pub(in crate::http) state: SegmentState,
    /// While it is building: how much of all contacts is evaluated, from 0 to 1.
    pub(in crate::http) progress: Option<f64>,
    /// How long a member stays one at least.
    #[schema(value_type = Option<String>)]
    pub(in crate::http) min_dwell: Option<Span>,
    /// How long a member stays one at most.
    #[schema(value_type = Option<String>)]
    pub(in crate::http) max_dwell: Option<Span>,
    /// When a stay is reported: `{"after": "7d"}` once, `{"every": "30d"}` again and again.
    #[schema(value_type = Vec<Object>)]
    pub(in crate::http) dwell: Vec<Mark>,
    /// Which entries are reported.
    pub(in crate::http) entry_limit: EntryLimitKind,
    /// With `once_per_period`: how long after the contact last left.
    #[schema(value_type = Option<String>)]
    pub(in crate::http) entry_period: Option<Span>,
    /// What is done when a contact enters, leaves or is still there.
    #[schema(value_type = Vec<Object>)]
    pub(in crate::http) reactions: Vec<Value>,
    /// Why its rule cannot be evaluated. It stays as it is until then.
    pub(in crate::http) problem: Option<String>,
    pub(in crate::http) member_count: i64,
    pub(in crate::http) created_at: UtcInstant,
    pub(in crate::http) updated_at: UtcInstant,
}

impl Segment {
    /// A segment and how many members it has.
    pub(super) fn read(conn: &mut Conn, id: SegmentId) -> Result<Option<Self>, StoreError> {
        match segments::find(conn, id)? {
            Some(row) => Self::complete(conn, row).map(Some),
            None => Ok(None),
        }
    }

    /// Segments, newest first.
    pub(super) fn list(conn: &mut Conn, window: Window) -> Result<Slice<Self>, StoreError> {
        segments::list(conn, window)?.try_map(|row| Self::complete(conn, row))
    }

    fn complete(conn: &mut Conn, row: SegmentRow) -> Result<Self, StoreError> {
        // What cannot be read is the `problem` of this segment, and leaves the others readable.
        let stored = segments::criteria_of(conn, &[row.id])?.remove(&row.id);
        let criteria = stored.and_then(|stored| stored.given().ok()).unwrap_or_default();
        let member_count = members::count(conn, row.id)?;
        let rules = row.rules().unwrap_or_default();
        // As they are stored: a newer version may know more than this one.
        let reactions = serde_json::from_str(&row.reactions).unwrap_or_default();
        let entry_period = if let EntryLimit::OncePer(span) = rules.entries { Some(span) } else { None };
        Ok(Self {
            id: row.id,
            sentence: Criteria::read(criteria.clone()).ok().map(|criteria| criteria.sentence()),
            criteria,
            kind: row.kind,
            enabled: row.enabled,
            state: row.state,
            progress: row.progress().map(|thousandths| f64::from(thousandths) / 1_000.0),
            min_dwell: rules.min_stay,
            max_dwell: rules.max_stay,
            dwell: rules.marks,
            entry_limit: row.entry_limit,
            entry_period,
            reactions,
            problem: row.problem,
            member_count,
            name: row.name,
            slug: row.slug,
            description: row.description,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Which entries are reported.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum EntryLimitInput {
    /// All of them.
    Unlimited,
    /// The first of each contact.
    Once,
    /// Those that come `entry_period` after the contact last left.
    OncePerPeriod,
}

fn entries(limit: Option<EntryLimitInput>, period: Option<Span>) -> Result<Option<EntryLimit>, ApiError> {
    let refuse = |reason: &str| Err(ApiError::field("/entry_period", "entry_period_invalid", reason));
    match (limit, period) {
        (None, None) => Ok(None),
        (Some(EntryLimitInput::Unlimited), None) => Ok(Some(EntryLimit::Unlimited)),
        (Some(EntryLimitInput::Once), None) => Ok(Some(EntryLimit::Once)),
        (Some(EntryLimitInput::OncePerPeriod), Some(span)) if span.as_ms() > 0 => Ok(Some(EntryLimit::OncePer(span))),
        (Some(EntryLimitInput::OncePerPeriod), _) => refuse("is needed with entry_limit once_per_period, such as 30d"),
        (_, Some(_)) => refuse("goes together with entry_limit once_per_period"),
    }
}

/// A segment to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SegmentInput {
    /// Unique.
    name: String,
    /// Stands wherever the id may; unique. 1 to 64 of a-z, 0-9, - and _, with a letter. Made of the name unless given.
    slug: Option<String>,
    #[serde(default)]
    description: String,
    /// The rule. Lists and segments stand by their ids or slugs.
    #[schema(value_type = Object)]
    pub(super) criteria: Value,
    /// Whether it is kept up to date from now on; true unless given.
    enabled: Option<bool>,
    /// How long a member stays one at least, though the rule does not take it any more.
    min_dwell: Option<Span>,
    /// How long a member stays one at most. It does not come back before the rule once did not take it.
    max_dwell: Option<Span>,
    /// When a stay is reported: `{"after": "7d"}` once, `{"every": "30d"}` again and again.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    dwell: Vec<Mark>,
    /// Which entries are reported; all unless given.
    entry_limit: Option<EntryLimitInput>,
    /// With `once_per_period`.
    entry_period: Option<Span>,
    /// What is done when a contact enters, leaves or is still there: `{"on": "entered", "do": [{"add_tag": "vip"}]}`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    reactions: Vec<Reaction>,
}

impl SegmentInput {
    pub(super) fn draft(self, criteria: Criteria) -> Result<Draft, ApiError> {
        let entries = entries(self.entry_limit, self.entry_period)?.unwrap_or_default();
        Ok(Draft {
            name: text::name("/name", &self.name, MAX_NAME)?,
            slug: self.slug.map(checked_slug).transpose()?,
            description: text::prose("/description", &self.description, MAX_DESCRIPTION)?,
            criteria,
            rules: Rules {
                min_stay: self.min_dwell,
                max_stay: self.max_dwell,
                marks: self.dwell,
                entries,
                ..Rules::default()
            },
            reactions: self.reactions,
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

fn checked_slug(slug: String) -> Result<String, ApiError> {
    slug::check(&slug).map_err(|error| ApiError::field("/slug", "slug_invalid", error.to_string()))?;
    if segments::RESERVED_SLUGS.contains(&slug.as_str()) {
        return Err(ApiError::field("/slug", "slug_invalid", "stands for something else in paths"));
    }
    Ok(slug)
}

/// What is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SegmentPatch {
    name: Option<String>,
    slug: Option<String>,
    description: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub(super) criteria: Option<Value>,
    enabled: Option<bool>,
    /// Null: none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Span>)]
    min_dwell: Option<Option<Span>>,
    /// Null: none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Span>)]
    max_dwell: Option<Option<Span>>,
    #[schema(value_type = Option<Vec<Object>>)]
    dwell: Option<Vec<Mark>>,
    entry_limit: Option<EntryLimitInput>,
    entry_period: Option<Span>,
    #[schema(value_type = Option<Vec<Object>>)]
    reactions: Option<Vec<Reaction>>,
}

impl SegmentPatch {
    pub(super) fn change(self, criteria: Option<Criteria>) -> Result<SegmentChange, ApiError> {
        let prose = |text: String| text::prose("/description", &text, MAX_DESCRIPTION);
        Ok(SegmentChange {
            name: self.name.map(|name| text::name("/name", &name, MAX_NAME)).transpose()?,
            slug: self.slug.map(checked_slug).transpose()?,
            description: self.description.map(prose).transpose()?,
            criteria,
            min_stay: self.min_dwell,
            max_stay: self.max_dwell,
            marks: self.dwell,
            entries: entries(self.entry_limit, self.entry_period)?,
            reactions: self.reactions,
            enabled: self.enabled,
        })
    }
}

#[derive(Debug)]
pub(in crate::http) struct SegmentFilter(pub(super) Paging);

impl SegmentFilter {
    /// The newest ones, as many as one answer has at most.
    pub(in crate::http) fn newest() -> Self {
        Self(Paging::newest("segments"))
    }
}

impl FromQuery for SegmentFilter {
    const NAMES: &'static [&'static str] = &PARAMETERS;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "segments", &[]).map(Self)
    }
}
