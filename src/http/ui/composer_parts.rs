//! What stands in the composer beside what is typed: what can be chosen, how many people are meant, and what one of them would get.

use askama::Template;

use super::contacts::{address, name};
use super::email_form::extras;
use super::form::Form;
use super::words::{When, counted, grouped};
use crate::domain::channel::ChannelKind;
use crate::domain::content::sms::{SmsAlphabet, SmsLength};
use crate::domain::ids::{ContactId, ListId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::http::api::campaigns::audience::{self, AudienceCount, Way};
use crate::http::api::campaigns::{Campaign, preview};
use crate::http::api::content::templates::{self, TemplateFilter};
use crate::http::api::people::contacts;
use crate::http::api::people::lists::{self, ListFilter};
use crate::http::api::replicas::pools;
use crate::http::api::segments::{self, SegmentFilter};
use crate::http::state::AppState;
use crate::http::web::problem::ApiError;

/// A list or a segment, and how it is chosen.
pub(super) struct Pick {
    pub(super) id: String,
    pub(super) name: String,
    /// How many people are in it.
    pub(super) count: String,
    pub(super) is_chosen: bool,
    pub(super) is_left_out: bool,
}

/// A value of a field, what it says, and whether it is chosen.
pub(super) type Choice = (String, String, bool);

/// What can be chosen.
pub(super) struct Choices {
    pub(super) lists: Vec<Pick>,
    /// Lists that are older than those shown.
    pub(super) has_more_lists: bool,
    pub(super) segments: Vec<Pick>,
    pub(super) has_more_segments: bool,
    pub(super) templates: Vec<Choice>,
    pub(super) pools: Vec<Choice>,
    pub(super) topics: Vec<Choice>,
}

impl Choices {
    pub(super) async fn of(state: &AppState, channel: ChannelKind, form: &Form) -> Result<Self, ApiError> {
        let found = lists::listed(state, ListFilter::newest()).await?;
        let has_more_lists = found.next_cursor.is_some();
        let of_list =
            |list: lists::List| (list.id.to_string(), format!("{}\n{}", list.name, grouped(list.counts.subscribed)));
        let mut all: Vec<(String, String)> = found.data.into_iter().map(of_list).collect();
        let named = form.all("lists").chain(form.all("not_lists")).chain(form.all("topic_id"));
        let others = named.filter(|id| !all.iter().any(|(shown, _)| shown == id));
        let others = others.filter_map(|id| id.parse().ok().map(ListId)).collect();
        let others = lists::names(state, others).await?;
        all.extend(others.into_iter().map(|(id, name)| (id.to_string(), name)));
        let lists: Vec<Pick> =
            all.into_iter().map(|(id, both)| pick(form, ("lists", "not_lists"), id, &both)).collect();
        let topic = |list: &Pick| (list.id.clone(), list.name.clone(), form.has("topic_id", &list.id));
        let topics = lists.iter().map(topic).collect();
        let (segments, has_more_segments) = segments_of(state, form).await?;
        let of_channel = templates::listed(state, TemplateFilter::newest(channel)).await?.data;
        let templates = of_channel.into_iter().map(|template| {
            let id = template.id.to_string();
            let is_chosen = form.has("template_id", &id);
            (id, format!("{} · version {}", template.name, template.content.version), is_chosen)
        });
        let templates = templates.collect();
        let pools = pools_of(state, channel, form).await?;
        Ok(Self { lists, has_more_lists, segments, has_more_segments, templates, pools, topics })
    }
}

/// `both`: the name, and on a line of its own how many people are in it.
fn pick(form: &Form, (named, left_out): (&str, &str), id: String, both: &str) -> Pick {
    let (name, count) = both.split_once('\n').unwrap_or((both, ""));
    Pick {
        name: name.to_owned(),
        count: count.to_owned(),
        is_chosen: form.has(named, &id),
        is_left_out: form.has(left_out, &id),
        id,
    }
}

async fn segments_of(state: &AppState, form: &Form) -> Result<(Vec<Pick>, bool), ApiError> {
    let found = segments::listed(state, SegmentFilter::newest()).await?;
    let has_more = found.next_cursor.is_some();
    let mut all: Vec<(String, String)> = found
        .data
        .into_iter()
        .filter(|segment| segment.enabled)
        .map(|segment| (segment.id.to_string(), format!("{}\n{}", segment.name, grouped(segment.member_count))))
        .collect();
    let named = form.all("segments").chain(form.all("not_segments"));
    let others = named.filter(|id| !all.iter().any(|(shown, _)| shown == id));
    let others = others.filter_map(|id| id.parse().ok().map(SegmentId)).collect();
    let others = segments::names(state, others).await?;
    all.extend(others.into_iter().map(|(id, name)| (id.to_string(), name)));
    Ok((all.into_iter().map(|(id, both)| pick(form, ("segments", "not_segments"), id, &both)).collect(), has_more))
}

async fn pools_of(state: &AppState, channel: ChannelKind, form: &Form) -> Result<Vec<Choice>, ApiError> {
    let chosen = form.value("pool");
    let found = pools::listed(state).await?.0.data.into_iter();
    let found = found.filter(|pool| pool.settings.as_ref().is_some_and(|settings| settings.channel == channel));
    let mut all: Vec<Choice> = found
        .map(|pool| {
            let says = if pool.suspended { format!("{} · suspended", pool.name) } else { pool.name.clone() };
            let is_chosen = pool.name == chosen;
            (pool.name, says, is_chosen)
        })
        .collect();
    if !chosen.is_empty() && !all.iter().any(|(.., is_chosen)| *is_chosen) {
        all.push((chosen.to_owned(), format!("{chosen} · not of this instance"), true));
    }
    Ok(all)
}

/// How a campaign would be sent.
fn way_of(campaign: &Campaign) -> Way {
    Way { channel: campaign.channel, category: campaign.category, topic: campaign.topic_id }
}

/// How far an audience is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Count {
    /// Not at all.
    #[default]
    Nothing,
    /// Its first people, as often as it changes: what that costs does not grow with the audience.
    Some,
    /// All of it, because a person asks for that.
    All,
}

impl Count {
    /// The count that a field asks for: `some`, any other word for all of it, or nothing.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "" => Self::Nothing,
            "some" => Self::Some,
            _ => Self::All,
        }
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Some => "some",
            Self::All => "yes",
        }
    }
}

/// How many people are meant.
#[derive(Template)]
#[template(path = "ui/composer_count.html")]
pub(super) struct CountView {
    /// Nobody is named.
    is_nobody: bool,
    found: Option<Counted>,
    /// Why they cannot be counted.
    trouble: Option<String>,
}

struct Counted {
    /// `20 people`, `about 120,000 people`, `more than 4,000 people`.
    people: String,
    /// Only the first people are counted.
    is_part: bool,
    /// How far off that may be.
    error: Option<String>,
    reached: String,
    /// Why people get nothing, and how many.
    rows: Vec<(String, String)>,
    /// How many people are named and left out of the audience: `3 more people are`. They are none of the above.
    left_out: Option<String>,
    /// How many were looked at, where these are not all.
    looked_at: Option<String>,
    channel: ChannelKind,
    at: When,
}

impl CountView {
    /// The people of a draft, as far as they are to be counted.
    pub(super) async fn of(
        state: &AppState,
        campaign: &Campaign,
        at: UtcInstant,
        how: Count,
    ) -> Result<Self, ApiError> {
        let nothing = Self { is_nobody: campaign.audience.is_none(), found: None, trouble: None };
        let Some(audience) = campaign.audience.clone().filter(|_| how != Count::Nothing) else { return Ok(nothing) };
        let counted = match how {
            Count::All => audience::counted(state, audience, Some(way_of(campaign))).await,
            Count::Some | Count::Nothing => audience::begun(state, audience, way_of(campaign)).await,
        };
        match counted {
            Ok(counted) => Ok(Self { found: Some(Counted::of(counted, campaign.channel, at)), ..nothing }),
            Err(error) if error.is_refusal() => Ok(Self { trouble: Some(error.to_string()), ..nothing }),
            Err(error) => Err(error),
        }
    }
}

impl Counted {
    fn of(AudienceCount { estimate, reach }: AudienceCount, channel: ChannelKind, at: UtcInstant) -> Self {
        let reach = reach.unwrap_or_default();
        // People that the audience leaves out are not among its recipients.
        let looked_at = reach.looked_at - reach.excluded;
        let people = |count| counted(count, "person", "people");
        let people = match estimate {
            Some(estimate) if estimate.exact => people(estimate.count),
            Some(estimate) => format!("about {}", people(estimate.count)),
            None if reach.complete => people(looked_at),
            None => format!("more than {}", people(looked_at)),
        };
        let reasons = reach.skipped_by_reason.iter().map(|(reason, count)| (reason.replace('_', " "), grouped(*count)));
        Self {
            people,
            is_part: estimate.is_none() && !reach.complete,
            error: estimate.filter(|estimate| !estimate.exact).map(|estimate| grouped(estimate.error)),
            reached: grouped(reach.reached),
            rows: reasons.collect(),
            left_out: (reach.excluded > 0).then(|| counted(reach.excluded, "more person is", "more people are")),
            looked_at: (!reach.complete).then(|| grouped(looked_at)),
            channel,
            at: When::of(at),
        }
    }
}

/// What one person would get.
#[derive(Template)]
#[template(path = "ui/composer_preview.html")]
pub(super) struct PreviewView {
    campaign: i64,
    /// People to choose from, by their ids.
    people: Vec<Choice>,
    /// Somebody was asked for who is no contact.
    is_unknown: bool,
    /// The person: id, name, address.
    reader: Option<(i64, String, String)>,
    shown: Option<Shown>,
    /// Why nothing can be shown.
    troubles: Vec<String>,
    has_subject: bool,
}

struct Shown {
    subject: String,
    text: String,
    has_html: bool,
    missing: Vec<String>,
    /// Names that no contact has.
    unknown: Vec<String>,
    skip_reason: Option<String>,
    /// What it has beside the words.
    extras: Vec<(String, String)>,
    /// How long it is as a text message.
    sms: Option<String>,
    /// Changes with the content, so that a frame loads it anew.
    version: i64,
}

impl PreviewView {
    /// The message of a draft to the contact who was asked for; else to somebody of the audience. `is_unknown`: somebody was asked for
    /// who is no contact.
    pub(super) async fn of(
        state: &AppState,
        campaign: &Campaign,
        asked: Option<ContactId>,
        is_unknown: bool,
    ) -> Result<Self, ApiError> {
        let some = match campaign.audience.clone() {
            Some(audience) => audience::some(state, audience, way_of(campaign)).await,
            None => Ok(Vec::new()),
        };
        let some = match some {
            Ok(some) => some,
            Err(error) if error.is_refusal() => Vec::new(),
            Err(error) => return Err(error),
        };
        let found = if is_unknown { None } else { asked.or_else(|| some.first().copied()) };
        let known = contacts::these(state, some.iter().copied().chain(found).collect()).await?;
        let person = known.iter().find(|contact| Some(contact.id) == found);
        let is_unknown = is_unknown || (asked.is_some() && person.is_none());
        let has_subject = matches!(campaign.channel, ChannelKind::Email | ChannelKind::Http);
        let mut view = Self {
            campaign: campaign.id.0,
            people: known.iter().map(|one| (one.id.to_string(), called(one), Some(one.id) == found)).collect(),
            is_unknown,
            reader: person.map(|contact| (contact.id.0, name(contact), address(contact))),
            shown: None,
            troubles: Vec::new(),
            has_subject,
        };
        if is_unknown {
            view.troubles.push("No contact has exactly this address, phone number or id.".to_owned());
        } else if let Some(contact) = person {
            view.fill(state, campaign, contact.id).await?;
        }
        Ok(view)
    }

    /// Whether it shows anything of anybody.
    pub(super) const fn shows_somebody(&self) -> bool {
        !self.people.is_empty() || self.reader.is_some()
    }

    async fn fill(&mut self, state: &AppState, campaign: &Campaign, contact: ContactId) -> Result<(), ApiError> {
        if campaign.template_id.is_none() && campaign.content.is_none() {
            self.troubles.push("The message is not written yet.".to_owned());
            return Ok(());
        }
        match preview::of_contact(state, campaign.id, contact).await {
            Ok(found) => {
                let sms = (campaign.channel == ChannelKind::Sms).then(|| sms(SmsLength::of(&found.rendered_message)));
                self.shown = Some(Shown {
                    extras: extras(
                        found.from.as_deref(),
                        found.reply_to.as_deref(),
                        &found.headers,
                        &found.attachments,
                    ),
                    subject: found.rendered_subject,
                    text: found.rendered_message,
                    has_html: found.rendered_html.is_some(),
                    missing: found.missing,
                    unknown: found.unknown.into_iter().collect(),
                    skip_reason: found.skip_reason.map(|reason| reason.as_str().replace('_', " ")),
                    sms,
                    version: campaign.updated_at.0,
                });
                Ok(())
            }
            Err(error) if error.is_refusal() => {
                let problem = error.problem();
                let reasons = problem.errors.iter().map(|problem| problem.reason.clone());
                self.troubles.extend(reasons.chain(problem.detail.filter(|_| problem.errors.is_empty())));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn called(contact: &contacts::Contact) -> String {
    let (name, address) = (name(contact), address(contact));
    if name.is_empty() { address } else { format!("{name} · {address}") }
}

fn sms(length: SmsLength) -> String {
    let SmsLength { alphabet, places, parts } = length;
    let count = |count: usize, one, many| counted(i64::try_from(count).unwrap_or(i64::MAX), one, many);
    let alphabet = match alphabet {
        SmsAlphabet::Gsm7 => "GSM alphabet",
        SmsAlphabet::Ucs2 => "Unicode: a character outside of the GSM alphabet makes parts shorter",
    };
    format!("{}, {} ({alphabet})", count(parts, "part", "parts"), count(places, "character", "characters"))
}
