//! Several instances on one database.

use serde_json::{Value, json};

use super::api::Api;
use super::database::Database;
use super::provider::Provider;
use super::stage::Stage;
use super::volley::{Builder, Volley};

/// A stage with more instances beside its own. Each has a data folder of its own.
pub(crate) struct Fleet {
    /// Those beside the stage's.
    pub(crate) others: Vec<Volley>,
    /// The first instance, and everything else.
    pub(crate) stage: Stage,
}

impl Fleet {
    /// `instances` of them on a broker, and a campaign to that many people that is not launched. `change` may alter each
    /// instance, by its number from 0, before it starts.
    pub(crate) fn set(
        db: &Database,
        broker: &str,
        (provider, people): (Provider, usize),
        instances: usize,
        change: impl Fn(usize, Builder) -> Builder,
    ) -> Self {
        let build = |number: usize, builder: Builder| {
            let folder = db.folder().join(format!("data-{number}"));
            change(number, builder.broker(broker).data_dir(&folder))
        };
        let stage = Stage::with(db, provider, people, |builder| build(0, builder), &json!({}));
        let others = (1..instances).map(|number| build(number, Volley::on(db).pool(stage.provider.pool())).start());
        Self { others: others.collect(), stage }
    }

    /// The same, launched.
    pub(crate) fn launched(db: &Database, broker: &str, crowd: (Provider, usize), instances: usize) -> Self {
        let fleet = Self::set(db, broker, crowd, instances, |_, builder| builder);
        fleet.stage.api.send(fleet.stage.campaign);
        fleet
    }

    /// Every instance.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Volley> {
        std::iter::once(&self.stage.volley).chain(&self.others)
    }

    /// Clients of every instance.
    pub(crate) fn apis(&self) -> Vec<Api> {
        self.all().map(Volley::api).collect()
    }

    /// Posts to the campaign by an instance, and answers the receipt.
    #[track_caller]
    pub(crate) fn decide(&self, verb: &str) -> Decided {
        let path = format!("/v1/campaigns/{}/{verb}", self.stage.campaign);
        let answer = self.stage.api.try_post(&path, &json!({})).expect("an answer");
        let at = answer.at;
        let receipt = answer.expect_success(&path)["receipt"].clone();
        Decided { receipt, at }
    }

    /// Ends every instance in good order.
    pub(crate) fn stop(self) {
        self.others.into_iter().for_each(Volley::stop);
        self.stage.volley.stop();
    }
}

/// An answer to a decision.
pub(crate) struct Decided {
    pub(crate) receipt: Value,
    pub(crate) at: std::time::Instant,
}

impl Decided {
    /// How many instances have acknowledged, and how many have not.
    pub(crate) fn tally(&self) -> (usize, usize) {
        tally(&self.receipt)
    }
}

/// How many instances a receipt says have acknowledged, and how many have not.
#[track_caller]
pub(crate) fn tally(receipt: &Value) -> (usize, usize) {
    let count = |field: &str| receipt[field].as_array().unwrap_or_else(|| panic!("no {field} in {receipt}")).len();
    let (acknowledged, missing) = (count("acknowledged"), count("missing"));
    assert_eq!(receipt["complete"], json!(missing == 0), "{receipt}");
    (acknowledged, missing)
}

/// The number by which an instance is known to the others.
#[track_caller]
pub(crate) fn number_of(api: &Api) -> i64 {
    let instances = api.get("/v1/instances");
    let own = instances["data"].as_array().and_then(|all| all.iter().find(|one| one["answering"] == json!(true)));
    own.and_then(|own| own["id"].as_i64()).unwrap_or_else(|| panic!("who answers is not in {instances}"))
}

/// The sum of a metric's series that carry every one of `labels`, written as on the page.
#[track_caller]
pub(crate) fn metric(api: &Api, name: &str, labels: &[&str]) -> f64 {
    let page = api.get("/metrics");
    let lines = page.as_str().expect("text").lines();
    let series = lines.filter(|line| line.split(['{', ' ']).next() == Some(name));
    let wanted = series.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
