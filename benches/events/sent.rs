//! A campaign that was sent, and whose recipients now do something.

use std::time::Duration;

use serde_json::json;
use volley::domain::callbacks::delivery_key::DeliveryKey;
use volley::domain::ids::{CampaignId, ContactId};
use volley::domain::people::link::LinkKey;
use volley::domain::people::link::tracked::Tracker;
use volley::store::campaigns;
use volley::store::people::link_keys;

use crate::support::Database;
use crate::support::api::Api;
use crate::support::volley::{Builder, Pool, Volley};

/// Its pool.
pub(crate) const POOL: &str = "bench";

/// How long anything of this size may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// An instance, its audience, and a campaign that everybody of it has got.
pub(crate) struct Sent {
    pub(crate) volley: Volley,
    pub(crate) api: Api,
    pub(crate) campaign: i64,
    pub(crate) list: i64,
    /// The key of the campaign, with which the keys of its deliveries begin.
    campaign_key: String,
    first: i64,
    people: usize,
    link_key: LinkKey,
}

impl Sent {
    /// Sends to so many people, through a provider that answers at once.
    pub(crate) fn to(db: &Database, people: usize, settings: &str, pool: impl FnOnce(Pool) -> Pool) -> Self {
        let sandbox = Pool::sandbox(POOL, "email").set("latency_ms", "[0, 0]").set("concurrency", "50");
        let builder: Builder = Volley::on(db).settings(&format!("[log]\nlevel = \"warn\"\n{settings}"));
        let volley = builder.pool(pool(sandbox)).start();
        let api = volley.api();
        let list = api.a_list_of(people);
        let first = db.number("SELECT min(id) AS n FROM contacts");
        let last = db.number("SELECT max(id) AS n FROM contacts");
        assert_eq!(last - first + 1, i64::try_from(people).expect("a count"), "the ids have gaps");
        let campaign = api.create_campaign("email", POOL, list, &json!({}));
        api.send(campaign);
        api.wait_ended(campaign, LIMIT);
        let mut conn = db.connect();
        let link_key = link_keys::all(&mut conn).expect("the keys").swap_remove(0);
        let row = campaigns::find(&mut conn, CampaignId(campaign)).expect("the campaign").expect("the campaign");
        let campaign_key = row.key.expect("a key");
        Self { volley, api, campaign, list, campaign_key, first, people, link_key }
    }

    /// Everybody, in the order in which the messages went out, as far as there is one.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = ContactId> + use<> {
        (self.first..).map(ContactId).take(self.people)
    }

    /// Everybody, in an order that follows no id.
    pub(crate) fn in_no_order(&self) -> impl Iterator<Item = ContactId> + use<> {
        let (first, people) = (self.first, self.people);
        (0..people).map(move |n| ContactId(first + i64::try_from(n * 7_919 % people).expect("an id")))
    }

    /// The key of the delivery to a recipient.
    pub(crate) fn delivery_key(&self, contact: ContactId) -> String {
        DeliveryKey::text(&self.campaign_key, contact)
    }

    /// What signs the links of a recipient.
    pub(crate) fn tracker(&self, contact: ContactId) -> Tracker {
        Tracker::new("".into(), self.link_key.clone(), CampaignId(self.campaign), contact)
    }
}
