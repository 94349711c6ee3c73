//! Who a campaign is for, as clients write it: lists and segments go by their ids or their slugs. They are stored by their ids.

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::campaigns::audience::{Audience, AudienceForm, CampaignPart, Exclusion};
use crate::domain::campaigns::reach::Reach;
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::segments::Criteria;
use crate::domain::segments::estimate::Estimate;
use crate::http::api::criteria::read_criteria;
use crate::http::state::AppState;
use crate::http::web::extract::{Json, Query};
use crate::http::web::list_path::{ListName, NamedLists};
use crate::http::web::problem::{ApiError, Problem};
use crate::http::web::segment_path::{SegmentName, segments_named};
use crate::services::campaigns::count_audience;
use crate::services::campaigns::launch::LaunchError;
use crate::services::campaigns::reach::{self, MOST_STRETCHES};
use crate::store::dispatch::preflight::Question;

/// Most lists, and most tags, in one field.
const MAX_NAMED: usize = 1_000;

/// Most segments, and most campaigns, in one field: each is walked by itself.
const MAX_IN_STATEMENTS: usize = 100;

/// An audience to store: everybody who is named in any of the ways, each once, less those who are left out in any of them. Mailing
/// everybody must be said.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AudienceInput {
    /// Those who are subscribed to any of these lists at the launch, and still are when they are packed. At most 1,000 lists.
    #[serde(default)]
    lists: Vec<ListName>,
    /// These contacts.
    #[serde(default)]
    contact_ids: Vec<ContactId>,
    /// Those who have any of these tags. At most 1,000.
    #[serde(default)]
    tags: Vec<String>,
    /// Those who were members of any of these segments at the launch, and still are when they are packed. At most 100 segments.
    #[serde(default)]
    segments: Vec<SegmentName>,
    /// Those that these criteria take when they are packed: see docs/segments.md.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// Recipients of other campaigns, by what became of their messages. At most 100 campaigns.
    #[serde(default)]
    campaigns: Vec<CampaignPart>,
    /// Every live contact.
    #[serde(default)]
    all: bool,
    /// Who is left out of the above.
    #[serde(default)]
    exclude: ExclusionInput,
}

/// People left out of an audience.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ExclusionInput {
    /// Those who are on any of these lists, also if they left it. At most 1,000 lists.
    #[serde(default)]
    lists: Vec<ListName>,
    /// These contacts.
    #[serde(default)]
    contact_ids: Vec<ContactId>,
    /// Those who have any of these tags. At most 1,000.
    #[serde(default)]
    tags: Vec<String>,
    /// Those who are members of any of these segments when they would be packed. At most 100 segments.
    #[serde(default)]
    segments: Vec<SegmentName>,
    /// Those that these criteria take when they are packed: see docs/segments.md.
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
    /// Recipients of other campaigns, by what became of their messages. At most 100 campaigns.
    #[serde(default)]
    campaigns: Vec<CampaignPart>,
}

impl AudienceInput {
    fn check(&self) -> Result<(), ApiError> {
        let fields = [
            ("/audience/lists", self.lists.len()),
            ("/audience/tags", self.tags.len()),
            ("/audience/exclude/lists", self.exclude.lists.len()),
            ("/audience/exclude/tags", self.exclude.tags.len()),
        ];
        let in_statements = [
            ("/audience/segments", self.segments.len()),
            ("/audience/campaigns", self.campaigns.len()),
            ("/audience/exclude/segments", self.exclude.segments.len()),
            ("/audience/exclude/campaigns", self.exclude.campaigns.len()),
        ];
        let limited = fields.map(|field| (field, MAX_NAMED)).into_iter();
        let limited = limited.chain(in_statements.map(|field| (field, MAX_IN_STATEMENTS)));
        match limited.into_iter().find(|((_, count), most)| count > most) {
            Some(((field, _), most)) => Err(ApiError::field(field, "out_of_range", format!("at most {most}"))),
            None => Ok(()),
        }
    }
}

fn read_all(named: &mut NamedLists, field: &str, lists: &[ListName]) -> Vec<ListId> {
    lists.iter().enumerate().filter_map(|(at, list)| named.read(format!("{field}/{at}"), list)).collect()
}

/// The topic and the audience of a body, with the ids of the lists and segments that they name.
///
/// # Errors
/// 404 that names the fields whose lists or segments do not exist; 422 for too many.
pub(super) async fn resolve(
    state: &AppState,
    topic: Option<&ListName>,
    audience: Option<&AudienceInput>,
) -> Result<(Option<ListId>, Option<AudienceForm>), ApiError> {
    audience.map_or(Ok(()), AudienceInput::check)?;
    let in_audience = audience.into_iter().flat_map(|audience| audience.lists.iter().chain(&audience.exclude.lists));
    let keys = topic.into_iter().chain(in_audience).map(|ListName(key)| key.clone()).collect();
    let mut named = NamedLists::look_up(state, keys).await?;
    let topic = topic.and_then(|topic| named.read("/topic_id", topic));
    let filter = criteria(state, audience.and_then(|audience| audience.filter.as_ref()), "/audience/filter").await?;
    let left_out = audience.and_then(|audience| audience.exclude.filter.as_ref());
    let left_out = criteria(state, left_out, "/audience/exclude/filter").await?;
    let segments = audience.map_or((&[][..], &[][..]), |audience| (&audience.segments, &audience.exclude.segments));
    let fields = [("/audience/segments", segments.0), ("/audience/exclude/segments", segments.1)];
    let mut segments = segments_named(state, &fields).await?.into_iter();
    let (in_segments, out_of_segments) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    let audience = audience.map(|audience| AudienceForm {
        lists: read_all(&mut named, "/audience/lists", &audience.lists),
        contact_ids: audience.contact_ids.clone(),
        tags: audience.tags.clone(),
        segments: in_segments,
        filter,
        campaigns: audience.campaigns.clone(),
        all: audience.all,
        exclude: Exclusion {
            lists: read_all(&mut named, "/audience/exclude/lists", &audience.exclude.lists),
            contact_ids: audience.exclude.contact_ids.clone(),
            tags: audience.exclude.tags.clone(),
            segments: out_of_segments,
            filter: left_out,
            campaigns: audience.exclude.campaigns.clone(),
        },
    });
    named.finish()?;
    Ok((topic, audience))
}

async fn criteria(state: &AppState, given: Option<&Value>, pointer: &str) -> Result<Option<Criteria>, ApiError> {
    match given {
        Some(given) => read_criteria(state, given.clone(), pointer).await.map(Some),
        None => Ok(None),
    }
}

/// An audience to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CountInput {
    audience: AudienceInput,
    /// With a channel the answer says how many it reaches, too.
    channel: Option<ChannelKind>,
    /// Why a message would be sent: `marketing` unless given. `transactional` asks nobody whether they agreed.
    category: Option<Category>,
    /// The list that a message would be about. Left out: the lists of the audience.
    topic_id: Option<ListName>,
}

/// How many people an audience names.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AudienceCount {
    #[serde(flatten)]
    #[schema(value_type = Estimate)]
    pub(in crate::http) estimate: Option<Estimate>,
    /// What would become of the first of them. Absent where no channel was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) reach: Option<Reach>,
}

/// How a message to an audience would be sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Way {
    pub(in crate::http) channel: ChannelKind,
    pub(in crate::http) category: Category,
    /// The list that it is about; none: the lists of the audience.
    pub(in crate::http) topic: Option<ListId>,
}

impl Way {
    fn asked_of(self, audience: &Audience) -> Question {
        let topics = self.topic.map_or_else(|| audience.include.lists.clone(), |topic| vec![topic]);
        // No campaign has this id.
        Question { campaign: CampaignId(0), channel: self.channel, category: self.category, topics }
    }
}

/// Counts an audience as it is now, and looks at what would become of its first people.
pub(in crate::http) async fn counted(
    state: &AppState,
    audience: Audience,
    way: Option<Way>,
) -> Result<AudienceCount, ApiError> {
    let estimate = count_audience::count(&state.services, audience.clone()).await?;
    let reach = match way {
        Some(way) => {
            let question = way.asked_of(&audience);
            Some(reach::reach(&state.services, audience, question, MOST_STRETCHES).await?)
        }
        None => None,
    };
    Ok(AudienceCount { estimate: Some(estimate), reach })
}

/// How many stretches of an audience are looked at, where nobody has asked for a count.
const BEGUN_STRETCHES: usize = 3;

/// Looks at what would become of the first people of an audience, and does not count the others.
pub(in crate::http) async fn begun(state: &AppState, audience: Audience, way: Way) -> Result<AudienceCount, ApiError> {
    count_audience::check(&state.services, audience.clone()).await?;
    let question = way.asked_of(&audience);
    let reach = reach::reach(&state.services, audience, question, BEGUN_STRETCHES).await?;
    Ok(AudienceCount { estimate: None, reach: Some(reach) })
}

/// A few people of an audience that a message would reach, among the first ones.
pub(in crate::http) async fn some(state: &AppState, audience: Audience, way: Way) -> Result<Vec<ContactId>, ApiError> {
    let question = way.asked_of(&audience);
    Ok(reach::reach(&state.services, audience, question, 1).await?.examples)
}

/// Counts an audience as it is now, before a campaign is made of it. Without filters the count is exact, with filters up to 100,000
/// contacts. With a `channel`, `reach` says what would become of the first 20,000 people as things are now; the launch and the hand-over
/// ask anew.
#[utoipa::path(post, path = "/v1/audiences/count", tag = "campaigns", request_body = CountInput,
    responses((status = 200, body = AudienceCount), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn count(
    state: web::Data<AppState>,
    _: Query<()>,
    Json(body): Json<CountInput>,
) -> Result<web::Json<AudienceCount>, ApiError> {
    let CountInput { audience, channel, category, topic_id } = body;
    let (topic, audience) = resolve(&state, topic_id.as_ref(), Some(&audience)).await?;
    let audience = Audience::try_from(audience.unwrap_or_default()).map_err(LaunchError::Audience)?;
    let category = category.unwrap_or(Category::Marketing);
    let way = channel.map(|channel| Way { channel, category, topic });
    Ok(web::Json(counted(&state, audience, way).await?))
}
