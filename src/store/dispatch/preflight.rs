//! The people of an audience before a launch, stretch by stretch: who would be packed, and what a claim would say of each.

use diesel::prelude::*;

use super::claims::{UNREADABLE, address_to_send};
use super::dialect::{self, Looked};
use super::eligibility::Asked;
use super::looks;
use super::plan::{Ahead, Plan, Span};
use crate::domain::campaigns::CampaignStatus;
use crate::domain::campaigns::audience::{Audience, Exclusion};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::dispatch::delivery::SkipReason;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::contact::Profile;
use crate::store::campaigns::launch;
use crate::store::engine::schema::campaigns;
use crate::store::segments::matching;
use crate::store::{Conn, StoreError, engine};

/// Most other campaigns that are asked who they were sent to.
pub const MOST_OTHERS: usize = 20;

/// How long ago a message of another campaign counts, in milliseconds: a day.
const LATELY_MS: i64 = 86_400_000;

/// An audience to walk through, as a launch at one moment would find it. Holds nobody.
pub struct Ground {
    plan: Plan,
    /// The same without anybody being left out. `None`: nobody is.
    whole: Option<Plan>,
    asked: Asked,
    /// The moment, by the database's clock.
    pub now: UtcInstant,
    /// Nobody above this one belongs to the audience.
    pub highest: ContactId,
    /// Other campaigns that were under way in the last day, at most [`MOST_OTHERS`].
    pub others: Vec<CampaignId>,
    /// Whether these are all of them.
    pub others_complete: bool,
}

/// What is asked of the people of an audience.
#[derive(Debug, Clone)]
pub struct Question {
    /// The campaign that is to be launched.
    pub campaign: CampaignId,
    /// How it travels.
    pub channel: ChannelKind,
    /// Why it is sent.
    pub category: Category,
    /// The lists that it is about.
    pub topics: Vec<ListId>,
}

/// What would become of a recipient.
pub enum Fate {
    /// Gets a message, if it can be made.
    Reached(Box<Profile>),
    /// Gets none.
    Skipped(SkipReason),
    /// Its delivery would fail for this reason.
    Unreadable(&'static str),
}

/// A stretch of an audience.
pub struct Stretch {
    /// Where the next one begins.
    pub up_to: ContactId,
    /// Nobody is left.
    pub is_end: bool,
    /// How many people are named.
    pub named: i64,
    /// How many of them more than one source names.
    pub in_several_sources: i64,
    /// How many of them are left out.
    pub excluded: i64,
    /// The others, in the order of their ids.
    pub recipients: Vec<(ContactId, Fate)>,
    /// To how many of those who are reached other campaigns were sent in the last day.
    pub recently_mailed: i64,
    /// Whether any campaign is being sent.
    pub is_sending: bool,
}

impl Ground {
    /// Prepares a walk through an audience as it is now.
    ///
    /// # Errors
    /// A query failed.
    pub fn of(conn: &mut Conn, audience: &Audience, question: &Question) -> Result<Self, StoreError> {
        let now = engine::now(conn)?;
        let mut tags = |names: &[String]| -> Result<Vec<_>, StoreError> {
            Ok(launch::tags_named(conn, names)?.into_iter().map(|(tag, _)| tag).collect())
        };
        let tags = (tags(&audience.include.tags)?, tags(&audience.exclude.tags)?);
        let topics = looks::with_defaults(conn, &question.topics)?;
        let whole = match audience.exclude.is_empty() {
            true => None,
            false => {
                let whole = Audience { exclude: Exclusion::default(), ..audience.clone() };
                Some(Plan::of_given(conn, whole, (tags.0.clone(), Vec::new()), now)?)
            }
        };
        let (others, others_complete) = under_way_lately(conn, question.campaign, now)?;
        Ok(Self {
            plan: Plan::of_given(conn, audience.clone(), tags, now)?,
            whole,
            asked: Asked::of(question.channel, question.category, topics),
            now,
            highest: matching::base(conn)?.1,
            others,
            others_complete,
        })
    }
}

/// Campaigns that were under way in the last day, the newest first, and whether these are all.
fn under_way_lately(conn: &mut Conn, but: CampaignId, now: UtcInstant) -> Result<(Vec<CampaignId>, bool), StoreError> {
    let since = now.plus_ms(-LATELY_MS);
    let most = i64::try_from(MOST_OTHERS).unwrap_or(i64::MAX);
    let mut others: Vec<CampaignId> = campaigns::table
        .filter(campaigns::launched_at.is_not_null().and(campaigns::id.ne(but)))
        .filter(campaigns::ended_at.is_null().or(campaigns::ended_at.ge(since)))
        .order(campaigns::id.desc())
        .limit(most + 1)
        .select(campaigns::id)
        .load(conn)
        .map_err(StoreError::query("find campaigns that were under way lately"))?;
    let is_complete = others.len() <= MOST_OTHERS;
    others.truncate(MOST_OTHERS);
    Ok((others, is_complete))
}

/// Looks at the next stretch of an audience, of about so many people. Each stretch is a transaction of its own, so that nothing waits
/// for the whole walk; what changes during it is seen from then on, as packing sees it.
///
/// # Errors
/// A query failed.
pub fn stretch(conn: &mut Conn, ground: &Ground, after: ContactId, size: i64) -> Result<Stretch, StoreError> {
    conn.snapshot(|conn| {
        engine::keep_to_indexes(conn)?;
        let rest = Span { after, up_to: ground.highest };
        let plan = &ground.plan;
        let has_filter = plan.audience.has_filter();
        let Ahead { span, is_end, filtered } =
            if has_filter { plan.ask(conn, rest, size)? } else { plan.next(conn, rest, size)? };
        let is_sending = is_sending(conn)?;
        if is_end {
            return Ok(Stretch::end(span.up_to, is_sending));
        }
        let filtered = Some(filtered).filter(|_| has_filter);
        let ids = plan.people_of(conn, filtered.as_ref(), span)?;
        let counted = |ids: &[ContactId]| i64::try_from(ids.len()).unwrap_or(i64::MAX);
        // Whom the filter of an exclusion was asked about does not matter to who is named.
        let taken =
            filtered.map(|filtered| dialect::Filtered { taken: filtered.taken, ..dialect::Filtered::default() });
        let of_all = ground.whole.as_ref().unwrap_or(plan);
        let named = match &ground.whole {
            Some(whole) => counted(&whole.people_of(conn, taken.as_ref(), span)?),
            None => counted(&ids),
        };
        let in_several_sources = match of_all.given() {
            Some(given) => dialect::in_several_sources(conn, of_all.people(taken.as_ref()), given, span)?,
            None => 0,
        };
        let recipients = fates(conn, ground, &ids)?;
        let reached = recipients.iter().filter(|(_, fate)| matches!(fate, Fate::Reached(_)));
        let reached: Vec<ContactId> = reached.map(|(contact, _)| *contact).collect();
        let recently_mailed = dialect::recently_sent(conn, &ground.others, &reached, ground.now.plus_ms(-LATELY_MS))?;
        Ok(Stretch {
            up_to: span.up_to,
            is_end,
            named,
            in_several_sources,
            excluded: named - counted(&ids),
            recipients,
            recently_mailed,
            is_sending,
        })
    })
}

impl Stretch {
    fn end(up_to: ContactId, is_sending: bool) -> Self {
        let recipients = Vec::new();
        Self {
            up_to,
            is_end: true,
            named: 0,
            in_several_sources: 0,
            excluded: 0,
            recipients,
            recently_mailed: 0,
            is_sending,
        }
    }
}

fn is_sending(conn: &mut Conn) -> Result<bool, StoreError> {
    let sending = campaigns::table.filter(campaigns::status.eq(CampaignStatus::Sending));
    diesel::select(diesel::dsl::exists(sending))
        .get_result(conn)
        .map_err(StoreError::query("look whether a campaign is being sent"))
}

/// What would become of these contacts, in the order of their ids.
fn fates(conn: &mut Conn, ground: &Ground, ids: &[ContactId]) -> Result<Vec<(ContactId, Fate)>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let looked = dialect::look_at_each(conn, &ground.asked, &ground.plan.audience, ids)?;
    let mut fates: Vec<(ContactId, Fate)> = looked
        .into_iter()
        .map(|Looked { contact_id, contact, look }| {
            let fate = match address_to_send(&ground.asked, &contact, &look, ground.now) {
                Err(reason) => Fate::Skipped(reason),
                Ok(_) => match contact.into_profile() {
                    Ok(profile) => Fate::Reached(Box::new(profile)),
                    Err(_) => Fate::Unreadable(UNREADABLE),
                },
            };
            (contact_id, fate)
        })
        .collect();
    fates.sort_unstable_by_key(|(contact, _)| *contact);
    Ok(fates)
}
