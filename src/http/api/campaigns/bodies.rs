//! Campaigns as clients write and read them: bodies, parameters, answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::audience::AudienceInput;
use super::reports::CampaignReports;
use crate::domain::campaigns::audience::{Audience, AudienceForm};
use crate::domain::campaigns::content_doubt::ContentDoubt;
use crate::domain::campaigns::{CampaignOutcome, CampaignStatus, OnUncertain};
use crate::domain::channel::ChannelKind;
use crate::domain::content::attachment::AttachmentUse;
use crate::domain::content::category::Category;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::content::props::Props;
use crate::domain::content::template::Content;
use crate::domain::content::tracking::Tracking;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::{CampaignId, ListId, TemplateId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Attributes;
use crate::domain::span::Span;
use crate::http::state::AppState;
use crate::http::web::extract::present;
use crate::http::web::list_path::ListName;
use crate::runtime::health::Attention;
use crate::services::campaigns::edit::ContentEdit;
use crate::store::StoreError;
use crate::store::campaigns::archives::{Archived, Sealed};
use crate::store::campaigns::{CampaignWithDetails, Details};
use crate::store::dispatch::packing;

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Campaign {
    pub(in crate::http) id: CampaignId,
    pub(in crate::http) name: String,
    /// What it is about, for people; empty where nobody has said it.
    pub(in crate::http) description: String,
    pub(in crate::http) channel: ChannelKind,
    pub(in crate::http) status: CampaignStatus,
    /// Rises with every change of status.
    pub(in crate::http) status_version: i64,
    pub(in crate::http) pool: Option<String>,
    pub(in crate::http) template_id: Option<TemplateId>,
    // Its fields stand beside the others, or are not there: never an object, and never `null`.
    #[serde(flatten)]
    #[schema(value_type = OwnContent)]
    pub(in crate::http) content: Option<OwnContent>,
    /// What its emails have beside the content, and beside what its template says.
    #[serde(flatten)]
    pub(in crate::http) email: EmailFields,
    /// The values of its own, which its content uses as `{{ campaign.props.NAME }}`.
    #[schema(value_type = Object)]
    pub(in crate::http) props: Props,
    /// Why it is sent: that of its template or of its own content; pinned at the launch.
    pub(in crate::http) category: Category,
    /// The list that it is about. Null: the lists of its audience.
    pub(in crate::http) topic_id: Option<ListId>,
    /// What is tracked of its emails: as it says itself, else as its template says; pinned at the launch.
    pub(in crate::http) tracking: Tracking,
    #[schema(value_type = Option<AudienceForm>)]
    pub(in crate::http) audience: Option<Audience>,
    pub(in crate::http) on_uncertain: OnUncertain,
    pub(in crate::http) rate_per_second: Option<f64>,
    /// For how long a temporarily refused recipient is tried again: the sum of its waits, in seconds; null: as the pool says.
    pub(in crate::http) retry_for: Option<f64>,
    pub(in crate::http) scheduled_at: Option<UtcInstant>,
    /// How it ended, where the status does not say: `empty_audience`, `none_eligible`, `launch_failed`.
    pub(in crate::http) outcome: Option<CampaignOutcome>,
    /// Why its scheduled launch was impossible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) launch_error: Option<LaunchFailure>,
    pub(in crate::http) stats: Stats,
    /// What was reported of its messages, if anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) reports: Option<CampaignReports>,
    /// Recipients that wait for another try, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) waiting: Option<Waiting>,
    /// How far the audience is cut into pages; absent before the launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) packing: Option<Packing>,
    /// Why it cannot go on, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) attention: Option<Attention>,
    pub(in crate::http) created_at: UtcInstant,
    pub(in crate::http) updated_at: UtcInstant,
    pub(in crate::http) launched_at: Option<UtcInstant>,
    /// The id in all log lines about its sending, made at the launch: the trace of the `traceparent` of the request that launched it, else
    /// a UUID.
    pub(in crate::http) correlation_id: Option<String>,
    pub(in crate::http) ended_at: Option<UtcInstant>,
    /// Where its deliveries are, if they were archived: the totals stay, and single deliveries are in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) archive: Option<Archive>,
}

/// A file with the archived deliveries of a campaign.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Archive {
    /// Its name, in the folder `archive` of the data folder of the instance that has it.
    pub(in crate::http) file: String,
    /// The machine of that instance.
    pub(in crate::http) host: String,
    /// When it was complete.
    pub(in crate::http) archived_at: UtcInstant,
    /// How many deliveries are in it.
    pub(in crate::http) deliveries: i64,
    pub(in crate::http) bytes: i64,
    /// The SHA-256 of its bytes, in hex.
    pub(in crate::http) sha256: String,
}

impl From<Archived> for Archive {
    fn from(archived: Archived) -> Self {
        let Archived { campaign: _, sealed, host, at } = archived;
        let Sealed { file, sha256, bytes, deliveries } = sealed;
        Self { file, host, archived_at: at, deliveries, bytes, sha256 }
    }
}

/// Why a scheduled launch was impossible.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct LaunchFailure {
    /// Stable: the code that `POST …/send` would have been refused with.
    pub(in crate::http) code: String,
    /// One line for people.
    pub(in crate::http) detail: String,
    /// When it was tried.
    pub(in crate::http) at: Option<UtcInstant>,
}

/// Content that belongs to one campaign alone. Absent where the campaign has a template, or nothing yet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct OwnContent {
    #[schema(required = false)]
    pub(in crate::http) subject: String,
    #[schema(required = false)]
    pub(in crate::http) body_text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) body_html: Option<String>,
    /// Texts that go out as they are written.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::http) literal: Vec<String>,
}

/// How many recipients are in each state. `total` is what is packed so far, and always the sum of the others.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(in crate::http) struct Stats {
    pub(in crate::http) total: i64,
    #[serde(flatten)]
    pub(in crate::http) counts: Counts,
    /// How many of the skipped for which reason: `no_address`, `contact_deleted`, `stopped`, `suppressed`, `unsubscribed`,
    /// `unconfirmed`, `not_subscribed`. Recipients that an older version has skipped are not among them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::http) skipped_by_reason: BTreeMap<String, i64>,
}

/// Pending recipients that wait for another try.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct Waiting {
    /// How many, those on pages not counted from which others are handed over at this moment.
    pub(in crate::http) count: i64,
    /// When the first of them may be tried again.
    pub(in crate::http) next_at: UtcInstant,
}

/// How far an audience is cut into pages.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct Packing {
    /// Whether everyone is packed.
    pub(in crate::http) done: bool,
    /// The audience as it was counted at launch. With a filter: how many it has at most, and how many it has when everyone is packed.
    pub(in crate::http) expected: i64,
}

impl Packing {
    /// How many of the audience are not packed, by that count.
    pub(in crate::http) fn left(self, stats: &Stats) -> i64 {
        if self.done { 0 } else { (self.expected - stats.total).max(0) }
    }
}

/// A campaign to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CampaignInput {
    pub(super) name: String,
    /// What it is about, for people: at most 2,000 characters, in several lines if need be.
    #[serde(default)]
    pub(super) description: String,
    pub(super) channel: ChannelKind,
    /// May be left out where the channel has only one pool.
    pub(super) pool: Option<String>,
    /// Either a template …
    pub(super) template_id: Option<TemplateId>,
    /// … or content of its own.
    pub(super) subject: Option<String>,
    /// Plain text. `base_template` is an older name of it.
    #[serde(alias = "base_template")]
    pub(super) body_text: Option<String>,
    /// HTML. `base_template_html` is an older name of it.
    #[serde(alias = "base_template_html")]
    pub(super) body_html: Option<String>,
    /// Texts of its own content that go out as they are written, though they look like placeholders; at most 20.
    #[serde(default)]
    pub(super) literal: Vec<String>,
    /// Who its emails are from: `Shop <shop@example.com>`, at the domain of the pool's sender. Left out: as the pool says.
    pub(super) from: Option<String>,
    /// Where answers go: `Help <help@example.com>`. Left out: as the template says, else as the pool does, else to the sender.
    pub(super) reply_to: Option<String>,
    /// Headers by their names, at most 20, beside those of the template; a value may have placeholders.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Files that its emails have beside those of the template; at most 20 in all.
    #[serde(default)]
    pub(super) attachments: Vec<AttachmentUse>,
    /// Values of its own, at most 50 and 16 KiB as JSON: its content, or its template's, uses them as `{{ campaign.props.NAME }}`. Names
    /// have a to z, digits and `_`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) props: Attributes,
    /// Why its own content is sent: `marketing` unless given. Left out with a template, which has its own.
    pub(super) category: Option<Category>,
    /// The list that it is about: people who agreed to it get the message. Left out, it is about the lists of its audience. A
    /// marketing campaign has to be about one.
    pub(super) topic_id: Option<ListName>,
    /// What is tracked of its emails. Left out: as its template says; of content of its own, clicks and no opens.
    pub(super) tracking: Option<Tracking>,
    pub(super) audience: Option<AudienceInput>,
    /// Launches by itself then.
    pub(super) scheduled_at: Option<UtcInstant>,
    /// Launches at once: all or nothing, a campaign that cannot be launched is not made.
    #[serde(default)]
    pub(super) launch: bool,
    /// Hand-overs per second.
    pub(super) rate_per_second: Option<f64>,
    /// For how long a temporarily refused recipient is tried again: the sum of its waits, in seconds (or `"6h"`); 0 is no second
    /// try, at most 7 days. Left out: as the pool says.
    pub(super) retry_for: Option<Span>,
    #[serde(default = "hold")]
    pub(super) on_uncertain: OnUncertain,
}

impl CampaignInput {
    /// Content of its own, where it has any.
    pub(super) fn own_content(&self) -> Option<Content> {
        let Self { subject, body_text, body_html, literal, .. } = self;
        let has_own = subject.is_some() || body_text.is_some() || body_html.is_some() || !literal.is_empty();
        has_own.then(|| Content {
            subject: subject.clone().unwrap_or_default(),
            text: body_text.clone().unwrap_or_default(),
            html: body_html.clone(),
            literal: literal.clone(),
        })
    }
}

fn hold() -> OnUncertain {
    OnUncertain::Hold
}

/// What is to change; `null` removes a value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CampaignPatch {
    pub(super) name: Option<String>,
    /// At most 2,000 characters.
    pub(super) description: Option<String>,
    /// All values of its own, as they are to be.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub(super) props: Option<Option<Attributes>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) pool: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    pub(super) template_id: Option<Option<TemplateId>>,
    pub(super) subject: Option<String>,
    /// Plain text. `base_template` is an older name of it.
    #[serde(alias = "base_template")]
    pub(super) body_text: Option<String>,
    /// HTML. `base_template_html` is an older name of it.
    #[serde(default, alias = "base_template_html", deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) body_html: Option<Option<String>>,
    /// All texts of its own content that go out as they are written.
    pub(super) literal: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) from: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) reply_to: Option<Option<String>>,
    /// All headers of its own as they are to be.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(super) headers: Option<Option<BTreeMap<String, String>>>,
    /// All files of its own as they are to be.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<AttachmentUse>>)]
    pub(super) attachments: Option<Option<Vec<AttachmentUse>>>,
    pub(super) category: Option<Category>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<ListName>)]
    pub(super) topic_id: Option<Option<ListName>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Tracking>)]
    pub(super) tracking: Option<Option<Tracking>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<AudienceInput>)]
    pub(super) audience: Option<Option<AudienceInput>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<f64>)]
    pub(super) rate_per_second: Option<Option<f64>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Span>)]
    pub(super) retry_for: Option<Option<Span>>,
    pub(super) on_uncertain: Option<OnUncertain>,
    /// The `updated_at` that was seen: if the campaign has changed since, the edit is refused with `changed_meanwhile`, unless it would change nothing.
    pub(super) if_updated_at: Option<UtcInstant>,
    /// More was to change, and was refused: a form says so.
    #[serde(skip)]
    pub(in crate::http) is_part: bool,
}

impl CampaignPatch {
    /// What changes of its own content, if anything does.
    pub(super) fn own_content(&self) -> Option<ContentEdit> {
        let Self { subject, body_text, body_html, literal, .. } = self;
        let has_own = subject.is_some() || body_text.is_some() || body_html.is_some() || literal.is_some();
        has_own.then(|| ContentEdit {
            subject: subject.clone(),
            text: body_text.clone(),
            html: body_html.clone(),
            literal: literal.clone(),
        })
    }
}

impl Campaign {
    pub(in crate::http) fn new(whole: CampaignWithDetails, state: &AppState) -> Result<Self, StoreError> {
        let CampaignWithDetails { row, details } = whole;
        let Details {
            counts,
            skips,
            reports,
            brake,
            waiting,
            packing,
            content,
            category,
            tracking,
            email,
            about,
            archived,
        } = details;
        let audience = row.audience.as_deref().map(|stored| packing::parse_audience(Some(stored))).transpose()?;
        let content_doubted = row.content_doubt == Some(ContentDoubt::Raised);
        let rewound = row.rewound_at.map(Attention::database_rewound);
        let attention = match (row.status, &row.refusal_doubt) {
            (CampaignStatus::Sending, _) => state.health.attention(row.id, row.pool.as_deref()),
            (CampaignStatus::Paused, _) if rewound.is_some() => rewound,
            (CampaignStatus::Paused, Some(quote)) => Some(Attention::refused_alike(quote, row.updated_at)),
            (CampaignStatus::Paused, None) if content_doubted => Some(Attention::content_doubted(row.updated_at)),
            (CampaignStatus::Paused, None) => brake.map(Attention::braked),
            // What was noted before it was last changed is old news.
            (CampaignStatus::Scheduled, _) => {
                state.health.unlaunchable(row.id).filter(|noted| noted.since >= row.updated_at)
            }
            (CampaignStatus::Draft | CampaignStatus::Sent | CampaignStatus::Failed | CampaignStatus::Stopped, _) => {
                None
            }
        };
        Ok(Self {
            id: row.id,
            name: row.name,
            description: about.description,
            channel: row.channel,
            status: row.status,
            status_version: row.status_version,
            pool: row.pool,
            template_id: row.template_id,
            content: content.map(|content| OwnContent {
                subject: content.subject,
                body_text: content.text,
                body_html: content.html,
                literal: content.literal,
            }),
            email,
            props: about.props,
            category,
            topic_id: row.topic_id,
            tracking,
            audience,
            on_uncertain: row.on_uncertain,
            rate_per_second: row.rate_per_second,
            retry_for: row.retry_for_ms.map(|ms| Span::from_ms(ms).0.as_secs_f64()),
            scheduled_at: row.scheduled_at,
            outcome: row.outcome,
            launch_error: row.launch_error_code.map(|code| LaunchFailure {
                code,
                detail: row.launch_error_detail.unwrap_or_default(),
                at: row.ended_at,
            }),
            stats: Stats { total: counts.total(), counts, skipped_by_reason: skips },
            reports: reports.map(|figures| CampaignReports::new(&figures, counts.sent)),
            waiting: waiting.map(|(count, next_at)| Waiting { count, next_at }),
            packing: packing.map(|packing| Packing { done: packing.done, expected: packing.expected }),
            attention,
            created_at: row.created_at,
            updated_at: row.updated_at,
            launched_at: row.launched_at,
            correlation_id: row.correlation_id.clone(),
            ended_at: row.ended_at,
            archive: archived.map(Archive::from),
        })
    }
}
