//! What is known of one person and one campaign, as the database has it.

use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory, SkipReason};
use crate::domain::dispatch::eligibility::Held;
use crate::domain::ids::{CampaignId, ContactId, EventId, InstanceId, ListId, PageId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::standing::Standing;
use crate::domain::reports::ReportKind;

/// Everything that the answer rests on, from one snapshot. Holds an address: never logged, hence no `Debug`.
#[derive(Clone)]
pub struct Facts {
    /// The database's clock.
    pub now: UtcInstant,
    /// The person.
    pub contact: Person,
    /// The campaign.
    pub campaign: Campaign,
    /// What the audience says of the person, clause by clause: who is named, then who is left out.
    pub clauses: Vec<Clause>,
    /// How far the audience is packed. `None`: the campaign was never launched.
    pub packing: Option<Packing>,
    /// The page of the delivery.
    pub page: Option<Page>,
    /// The delivery. `None`: there is none.
    pub delivery: Option<Delivery>,
    /// Its attempts that were not simply accepted, as far as they are kept, in order: the newest ones.
    pub attempts: Vec<Attempt>,
    /// How many attempts are kept.
    pub attempts_kept: i64,
    /// What is held against the address, and against messages of this kind.
    pub against: Against,
    /// What was reported of the message, in the order in which it is told.
    pub reports: Vec<Heard>,
}

/// A contact, deleted or not.
#[derive(Clone)]
pub struct Person {
    /// Its id.
    pub id: ContactId,
    /// When it was created. `None`: there is no row of it any more.
    pub created_at: Option<UtcInstant>,
    /// When it was deleted.
    pub deleted_at: Option<UtcInstant>,
    /// When it was introduced.
    pub introduced_at: Option<UtcInstant>,
    /// Where the campaign's channel reaches it. `Err`: why it does not.
    pub address: Result<String, SkipReason>,
}

impl Person {
    /// Whether it is there and was not deleted.
    #[must_use]
    pub const fn is_living(&self) -> bool {
        self.created_at.is_some() && self.deleted_at.is_none()
    }
}

/// A campaign, as far as it matters to one person.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Where it stands.
    pub status: CampaignStatus,
    /// How it travels.
    pub channel: ChannelKind,
    /// Why it is sent.
    pub category: Category,
    /// Its pool.
    pub pool: Option<String>,
    /// How it ended, where the status does not say.
    pub outcome: Option<CampaignOutcome>,
    /// Why its launch was impossible.
    pub launch_error: Option<String>,
    /// When it is to launch by itself.
    pub scheduled_at: Option<UtcInstant>,
    /// When it was launched.
    pub launched_at: Option<UtcInstant>,
    /// When it ended.
    pub ended_at: Option<UtcInstant>,
    /// When the newest decision about it was made: a pause, a resume or a stop.
    pub decided_at: Option<UtcInstant>,
    /// Why Volley has paused it by itself.
    pub paused_for: Option<String>,
    /// The suspension of its pool, while it holds.
    pub suspension: Option<Suspension>,
    /// What else keeps it from going on, as the instance that answers knows it.
    pub trouble: Option<Trouble>,
}

/// What keeps a campaign from going on.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// One line.
    pub detail: String,
    /// Since when, where that is known.
    pub at: Option<UtcInstant>,
}

/// The suspension of a pool.
#[derive(Debug, Clone)]
pub struct Suspension {
    /// Since when.
    pub at: UtcInstant,
    /// When it ends by itself.
    pub until: Option<UtcInstant>,
    /// Why.
    pub reason: Option<String>,
}

/// A clause of an audience, and what is known of the person by it.
#[derive(Debug, Clone)]
pub struct Clause {
    /// Whether it leaves people out; else it names them.
    pub excludes: bool,
    /// What it goes by.
    pub by: By,
}

/// What a clause goes by.
#[derive(Debug, Clone)]
pub enum By {
    /// Every live contact.
    All,
    /// Ids.
    Ids {
        /// Whether the person's is among them.
        is_among: bool,
    },
    /// A list.
    List {
        /// Which.
        id: ListId,
        /// What operators call it. `None`: it is gone.
        name: Option<String>,
        /// Whether it counts everybody who was introduced and has not refused.
        default_opt_in: bool,
        /// How the person stands on it.
        standing: Option<OnList>,
    },
    /// A tag.
    Tag {
        /// Which.
        name: String,
        /// Since when the person has it.
        since: Option<UtcInstant>,
    },
    /// A segment.
    Segment {
        /// Which.
        id: SegmentId,
        /// Since when the person is a member.
        since: Option<UtcInstant>,
    },
    /// Criteria.
    Filter {
        /// In words.
        sentence: String,
        /// Whether they take the person now.
        takes: bool,
    },
    /// Recipients of another campaign.
    Campaign {
        /// Which.
        id: CampaignId,
        /// What became of the person there.
        state: Option<DeliveryState>,
    },
}

/// How somebody stands on a list.
#[derive(Debug, Clone, Copy)]
pub struct OnList {
    /// The standing.
    pub standing: Standing,
    /// Since when; `None`: since it was created.
    pub status_at: Option<UtcInstant>,
    /// When the person came onto the list.
    pub created_at: UtcInstant,
}

impl OnList {
    /// Since when.
    #[must_use]
    pub fn since(&self) -> UtcInstant {
        self.status_at.unwrap_or(self.created_at)
    }
}

/// How far an audience is packed.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    /// Everybody up to this contact is packed.
    pub cursor: ContactId,
    /// The newest contact at the launch: nobody behind it is meant.
    pub last: ContactId,
    /// Whether everybody is packed.
    pub is_done: bool,
}

/// The page of a delivery.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its id.
    pub id: PageId,
    /// Its number in the campaign, from 1.
    pub seq: i64,
    /// The instance that holds it, and the name of its machine.
    pub owner: Option<(InstanceId, String)>,
    /// Until when that one holds it.
    pub lease_until: Option<UtcInstant>,
}

/// A delivery as stored.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts that counted.
    pub attempts: i32,
    /// How often in a row it was put off without an attempt.
    pub put_offs: i32,
    /// How often it was claimed.
    pub claims: i32,
    /// Whether an attempt may have been accepted of which nobody knows.
    pub ambiguous: bool,
    /// The last words about it.
    pub reason: Option<String>,
    /// What kind of trouble that was.
    pub category: Option<ErrorCategory>,
    /// Whose trouble the last refusal was.
    pub class: Option<AnswerClass>,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// Not due before; 0 is at once.
    pub due_at: UtcInstant,
    /// When it was last claimed.
    pub claimed_at: Option<UtcInstant>,
    /// When it ended.
    pub settled_at: Option<UtcInstant>,
}

/// An attempt that the provider did not simply accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which claim it was made under, from 1.
    pub claim_no: i32,
    /// The state of the delivery after it.
    pub state: DeliveryState,
    /// What kind of trouble it was.
    pub category: Option<ErrorCategory>,
    /// Whose trouble it was, where the provider refused.
    pub class: Option<AnswerClass>,
    /// What the provider said, or why it ended.
    pub reason: Option<String>,
    /// When it was recorded.
    pub at: UtcInstant,
}

/// What keeps messages of this kind back from the person, as it is now.
#[derive(Debug, Clone)]
pub struct Against {
    /// Whether a claim would let it pass now.
    pub may_send: Result<(), SkipReason>,
    /// What is held against the address.
    pub held: Held,
    /// Where the last change of that came from.
    pub source: Option<String>,
    /// How the person, or the address, stands on each topic of the campaign.
    pub topics: Vec<(ListId, Option<Standing>)>,
}

/// A report about the message.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What it says.
    pub kind: ReportKind,
    /// The newest event of it that is kept, and when it occurred.
    pub event: Option<(EventId, UtcInstant)>,
    /// The number of the link that was followed.
    pub link: Option<i64>,
}
