//! Instances that share a database and a broker.

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

/// What the instances of a measurement have in common.
pub(crate) struct Outfit<'a> {
    pub(crate) db: &'a Database,
    pub(crate) broker: Option<&'a RabbitMq>,
    /// Hand-overs of one instance at once.
    pub(crate) concurrency: u32,
    /// Recipients per page; 0 is as many as usual.
    pub(crate) page_size: u32,
}

impl Outfit<'_> {
    /// Instance `number`, started, ready, and connected with the broker where there is one.
    pub(crate) fn start(&self, provider: &Provider, number: usize) -> Volley {
        let mut builder = Volley::on(self.db)
            .settings(&format!("[log]\nlevel = \"warn\"\n[sending]\npage_size = {}", self.page_size))
            .data_dir(&self.db.folder().join(format!("instance-{number}")))
            .pool(provider.pool(number, self.concurrency));
        if let Some(broker) = self.broker {
            builder = builder.broker(&broker.url());
        }
        let volley = builder.start();
        wait_connected(&volley);
        volley
    }

    /// The first so many instances.
    pub(crate) fn start_all(&self, provider: &Provider, instances: usize) -> Vec<Volley> {
        (0..instances).map(|number| self.start(provider, number)).collect()
    }
}

/// Waits until the instance lacks nothing, the broker included.
pub(crate) fn wait_connected(volley: &Volley) {
    let api = volley.api();
    wait_until("the instance has all its connections", LIMIT, || api.get("/readyz")["status"] == json!("ready"));
}

/// Whether every instance has begun `count` requests since the provider's book was begun.
pub(crate) fn is_flowing(provider: &mut Provider, instances: usize, count: u64) -> bool {
    (0..instances).all(|number| provider.begun_by(number) >= count)
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
