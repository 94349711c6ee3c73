//! Instances that share a database and a broker, and a campaign that does not run out.

use std::time::Duration;

use serde_json::json;
use volley::verify::servers::rabbitmq::RabbitMq;

use crate::provider::{POOL, Provider};
use crate::support::Database;
use crate::support::api::{Api, Campaign};
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;

/// How long anything may take that is not measured.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A private PostgreSQL with an empty database.
pub(crate) fn database() -> Database {
    Database::own_postgres("the measurement of replicas").expect("PostgreSQL's programs are installed")
}

/// A private RabbitMQ.
pub(crate) fn broker() -> RabbitMq {
    RabbitMq::start().expect("RabbitMQ is installed and starts")
}

/// One instance, started, ready, and connected with the broker where there is one.
pub(crate) fn start_instance(
    db: &Database,
    broker: Option<&RabbitMq>,
    provider: &Provider,
    number: usize,
    concurrency: u32,
) -> Volley {
    // A settings file that anybody may read holds no password; without one it is the broker's usual guest.
    let url = broker.map(|broker| broker.url().replace("guest:guest@", ""));
    let broker = url.map_or_else(String::new, |url| format!("[broker]\nurl = {url:?}\n"));
    let volley = Volley::on(db)
        .settings(&format!("[log]\nlevel = \"warn\"\n{broker}"))
        .data_dir(&db.folder().join(format!("instance-{number}")))
        .pool(provider.pool(number, concurrency))
        .start();
    wait_connected(&volley);
    volley
}

/// Waits until the instance lacks nothing, the broker included.
pub(crate) fn wait_connected(volley: &Volley) {
    let api = volley.api();
    wait_until("the instance has all its connections", LIMIT, || api.get("/readyz")["status"] == json!("ready"));
}

/// Waits until every instance has begun `count` requests since the provider's book was begun.
pub(crate) fn wait_flowing(provider: &mut Provider, instances: usize, count: u64) {
    wait_until("every instance hands over", LIMIT, || (0..instances).all(|number| provider.begun_by(number) >= count));
}

/// Waits for a campaign's end and checks that everyone was sent to.
pub(crate) fn wait_sent(api: &Api, campaign: i64, recipients: u32) {
    let ended = api.wait(campaign, "the campaign ends", LIMIT, Campaign::is_ended);
    assert_eq!(ended.stats.sent, u64::from(recipients), "{}", ended.body);
}

/// Launches a campaign to a list.
pub(crate) fn launch(api: &Api, list: i64) -> i64 {
    let campaign = api.create_campaign("http", POOL, list, &json!({}));
    api.send(campaign);
    campaign
}

/// A campaign that always has somebody left: before it runs out it is stopped, and another goes to the same people.
pub(crate) struct Supply {
    list: i64,
    people: u64,
    campaign: i64,
}

impl Supply {
    /// Imports so many people and launches the first campaign.
    pub(crate) fn launch(api: &Api, people: u32) -> Self {
        let list = api.a_list_of(usize::try_from(people).expect("a count"));
        Self { list, people: people.into(), campaign: launch(api, list) }
    }

    /// The present campaign.
    pub(crate) fn campaign(&self) -> i64 {
        self.campaign
    }

    /// Sees to it that at least a fifth of all people are left.
    pub(crate) fn renew(&mut self, api: &Api) {
        let stats = api.campaign(self.campaign).stats;
        if stats.total == self.people && stats.pending < self.people / 5 {
            self.end(api);
            self.campaign = launch(api, self.list);
        }
    }

    /// Stops the present campaign.
    pub(crate) fn end(&self, api: &Api) {
        api.stop(self.campaign);
    }
}
