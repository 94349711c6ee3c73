//! A refusal by a link: what the holder of a token says no to, and how it is stored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Client, Source};
use crate::services::By;
use crate::services::people::standings::{Refusal, RefusalScope, Refused, refuse};
use crate::store::people::refusals::RefusalBook;
use crate::store::people::topics;
use crate::store::{Conn, StoreError};

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// What a campaign was about.
    Campaign(CampaignId),
    /// One list.
    List(ListId),
    /// Everything.
    Everything,
}

/// A refusal as it is answered and, while the database is away, spooled. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidNo {
    /// Who refuses.
    pub contact: ContactId,
    /// What.
    pub what: What,
    /// The campaign whose message had the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// Where it comes from.
    pub source: String,
    /// When it was said, by the clock of this machine.
    pub at: UtcInstant,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// What its program calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// Stores refusals inside the caller's write transaction. Repeating one changes nothing.
///
/// # Errors
/// A query failed.
pub fn say_no(conn: &mut Conn, book: &RefusalBook, said: &[SaidNo]) -> Result<Vec<Refused>, StoreError> {
    let campaigns = said.iter().filter_map(|no| match no.what {
        What::Campaign(campaign) => Some(campaign),
        What::List(_) | What::Everything => None,
    });
    let campaigns: BTreeSet<CampaignId> = campaigns.collect();
    let topics = topics::of_campaigns(conn, &campaigns.into_iter().collect::<Vec<_>>())?;
    let refusal = |no: &SaidNo| Refusal {
        contact: Some(no.contact),
        address: None,
        scope: match no.what {
            What::Everything => RefusalScope::Everything,
            What::List(list) => RefusalScope::Topics(vec![list]),
            What::Campaign(campaign) => {
                RefusalScope::CampaignTopics(topics.get(&campaign).into_iter().flatten().copied().collect())
            }
        },
        source: Source::stored(no.source.clone()),
        campaign: no.campaign,
        at: Some(no.at),
        client: Some(Client { ip: no.ip.clone(), user_agent: no.user_agent.clone() }),
    };
    refuse(conn, book, &By::recipient(), &said.iter().map(refusal).collect::<Vec<_>>())
}
