//! Everything a run stands on: servers, providers, links, instances, and a campaign for each provider.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use url::Url;

use super::api::Question;
use super::fleet::{Fleet, Instance, Outfit};
use super::plan::{Plan, Topology};
use super::provider::http::path_of;
use super::provider::kind::Kind;
use super::provider::ledger::{Ledger, address};
use super::provider::smtp::sender_of;
use super::provider::{Pace, Provider};
use super::proxy::{Link, Proxy};
use super::scratch::ScratchDir;
use super::servers::postgres::Postgres;
use super::servers::rabbitmq::RabbitMq;
use super::{Options, VerifyError};
use crate::config::Settings;
use crate::config::secret::Secret;
use crate::store::dispatch::inspection;
use crate::store::{Lane, Store};

/// How long an answer of a provider takes, about; concurrency is chosen so that the campaign lasts as long as it should.
const USUAL_LATENCY_SECONDS: f64 = 0.2;
/// The longest usual answer: the slowest is four times as slow, and still in time.
const LONGEST_USUAL: Duration = Duration::from_millis(500);
/// How long an instance waits for a provider's answer, in seconds.
const ANSWER_SECONDS: u64 = 3;
/// How long an instance may take to drain, in seconds.
pub(super) const DRAIN_SECONDS: u64 = 20;
/// Nobody is given up because the weather was bad.
const MAX_ATTEMPTS: u32 = 20;

/// Waits between tries, in seconds: short, for nobody wants to wait long for the end of a test.
const RETRY_DELAYS: [u64; 6] = [1, 2, 4, 8, 16, 30];

/// How long, in milliseconds, a delivery waits at first after an unclear refusal: as short as the retries, which follow a plan
/// of minutes.
const PUT_OFF_MS: u64 = 1_000;

/// A server, and who it is.
pub(super) enum Server<T> {
    /// Ours: it can die.
    Private(Arc<T>),
    /// Somebody else's: only its links can be cut.
    Scratch,
}

/// The stage. Instances end before what they stand on.
pub(super) struct Stage {
    pub(super) fleet: Fleet,
    pub(super) providers: Vec<Provider>,
    pub(super) database: Option<Server<Postgres>>,
    pub(super) broker: Option<Server<RabbitMq>>,
    /// The broker's own address, past the proxy.
    pub(super) broker_url: Option<Secret>,
    /// The database, past the proxy; not where it is embedded.
    pub(super) store: Option<Store>,
    /// How many calls an instance has under way at each provider.
    pub(super) concurrency: u32,
    _proxy: Proxy,
    pub(super) scratch: ScratchDir,
}

/// A campaign of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Campaign {
    pub(super) id: i64,
    pub(super) kind: Kind,
    /// How many contacts were imported for it.
    pub(super) audience: usize,
}

/// Addresses of the servers, where there are any.
struct Servers {
    database: Option<(Server<Postgres>, Url)>,
    broker: Option<(Server<RabbitMq>, Url)>,
}

impl Servers {
    async fn start(options: &Options) -> Result<Self, VerifyError> {
        let database = match &options.database {
            Some(url) => Some((Server::Scratch, parsed(url, "--database", &["postgres", "postgresql"])?)),
            None if options.private => {
                let (server, url) = blocking(|| {
                    let server = Postgres::start(None, None)?;
                    let url = server.create_database("verify")?;
                    Ok((Arc::new(server), Secret::new(url)))
                })
                .await?;
                Some((Server::Private(server), parsed(&url, "--database", &["postgres"])?))
            }
            None => None,
        };
        let broker = match &options.broker {
            Some(url) => Some((Server::Scratch, parsed(url, "--broker", &["amqp"])?)),
            None if options.private && options.with_broker => match blocking(RabbitMq::start).await {
                Ok(server) => {
                    let url = parsed(&Secret::new(server.url()), "--broker", &["amqp"])?;
                    Some((Server::Private(Arc::new(server)), url))
                }
                Err(VerifyError::Absent(_)) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        Ok(Self { database, broker })
    }
}

impl Stage {
    /// Starts everything; nothing is sent yet.
    ///
    /// # Errors
    /// Something does not start, or a database given is not empty.
    pub(super) async fn set(options: &Options, settings: &Settings) -> Result<(Self, Plan), VerifyError> {
        options.check()?;
        let scratch = ScratchDir::create("verify")?;
        let servers = Servers::start(options).await?;
        let store = match &servers.database {
            Some((_, url)) => Some(empty_store(settings, url).await?),
            None => None,
        };
        let instances = options.instances.unwrap_or(if servers.database.is_some() { 3 } else { 1 });
        if servers.database.is_none() && instances > 1 {
            let why = "the embedded database belongs to one instance; give --private or --database for several";
            return Err(VerifyError::Unfit(why.to_owned()));
        }
        let topology = Topology {
            instances,
            lease: settings.timing.lease(),
            database: servers.database.is_some(),
            broker: servers.broker.is_some(),
        };
        let plan = Plan::new(options.seed, options.faults, &topology, options.duration);
        let load = Load::of(options, instances);
        let providers = start_providers(options, &plan, &load, instances)?;
        let proxy = Proxy::start().map_err(VerifyError::io("start the proxy"))?;
        let root_key = format!("vly_verify_{}", uuid::Uuid::new_v4().simple());
        let mut all = Vec::with_capacity(instances);
        for number in 0..instances {
            let folder = scratch.path().join(format!("instance-{number}"));
            let embedded = format!("sqlite://{}", folder.join("volley.db").display());
            let database = servers.database.as_ref().map(|(_, url)| way(&proxy, url)).transpose()?;
            let broker = servers.broker.as_ref().map(|(_, url)| way(&proxy, url)).transpose()?;
            let (database, database_url) = database.map_or((None, embedded), |(link, url)| (Some(link), url));
            let (broker, broker_url) = broker.map_or((None, None), |(link, url)| (Some(link), Some(url)));
            let settings = instance_settings(number, settings, &providers, &load)?;
            let root_key = root_key.clone();
            all.push(Instance::prepare(Outfit {
                number,
                folder,
                settings,
                root_key,
                database_url,
                broker_url,
                database,
                broker,
            })?);
        }
        let broker_url = servers.broker.as_ref().map(|(_, url)| Secret::new(url.as_str()));
        let stage = Self {
            fleet: Fleet::new(all),
            providers,
            database: servers.database.map(|(server, _)| server),
            broker: servers.broker.map(|(server, _)| server),
            broker_url,
            store,
            concurrency: load.concurrency,
            _proxy: proxy,
            scratch,
        };
        // The first makes the tables.
        let mut instances = stage.fleet.instances.iter();
        if let Some(first) = instances.next() {
            first.start().await?;
        }
        futures_util::future::try_join_all(instances.map(Instance::start)).await?;
        Ok((stage, plan))
    }

    /// Imports the audience and makes a campaign for each provider.
    ///
    /// # Errors
    /// The API refuses something.
    pub(super) async fn make_campaigns(&self) -> Result<Vec<Campaign>, VerifyError> {
        let mut campaigns = Vec::new();
        for provider in &self.providers {
            let kind = provider.kind;
            let name = format!("verify {}", kind.name());
            let list = self.fleet.ask(Question::post("/v1/lists", &json!({ "name": name }))).await?;
            let list = id_of(&list)?;
            self.import(list, provider.ledger().recipients()).await?;
            let channel = match kind {
                Kind::Smtp => "email",
                Kind::Http => "http",
            };
            let campaign = json!({
                "name": name, "channel": channel, "pool": kind.name(), "audience": { "lists": [list] },
                "subject": "Hello {first_name|friend}",
                "body_text": CONTENT,
            });
            let campaign = self.fleet.ask(Question::post("/v1/campaigns", &campaign)).await?;
            let audience = provider.ledger().recipients().len();
            campaigns.push(Campaign { id: id_of(&campaign)?, kind, audience });
        }
        Ok(campaigns)
    }

    async fn import(&self, list: i64, numbers: std::ops::Range<usize>) -> Result<(), VerifyError> {
        let mut csv = String::from("email,first_name\n");
        for number in numbers.clone() {
            csv.push_str(&format!("{},Number {number}\n", address(number)));
        }
        let path = format!("/v1/contacts/import?list={list}");
        let import = id_of(&self.fleet.ask(Question::upload(&path, csv)).await?)?;
        let path = format!("/v1/imports/{import}");
        loop {
            let import = self.fleet.ask(Question::get(&path)).await?;
            let read = import.get("rows_read").and_then(Value::as_u64).and_then(|rows| usize::try_from(rows).ok());
            match import.get("status").and_then(Value::as_str) {
                Some("completed") if read == Some(numbers.len()) => return Ok(()),
                Some("completed" | "failed") => {
                    return Err(VerifyError::Failed {
                        doing: "import the audience".to_owned(),
                        detail: import.to_string(),
                    });
                }
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Launches the campaigns.
    ///
    /// # Errors
    /// The API refuses.
    pub(super) async fn launch(&self, campaigns: &[Campaign]) -> Result<(), VerifyError> {
        for campaign in campaigns {
            let path = format!("/v1/campaigns/{}/send", campaign.id);
            self.fleet.ask(Question::post(&path, &json!({}))).await?;
        }
        Ok(())
    }

    /// How many hand-overs began, and when somebody was last taken, at any provider.
    pub(super) fn last_taken(&self) -> Option<Instant> {
        self.providers.iter().filter_map(|provider| provider.ledger().totals().last_taken).max()
    }

    /// When an instance last began a hand-over, at any provider.
    pub(super) fn last_begun_by(&self, instance: usize) -> Option<Instant> {
        self.providers.iter().filter_map(|provider| provider.ledger().begun_by(instance).last).max()
    }
}

/// Concurrency and latency that make the campaign last as long as it should.
struct Load {
    concurrency: u32,
    pace: Box<dyn Fn() -> Pace>,
    each: usize,
}

impl Load {
    fn of(options: &Options, instances: usize) -> Self {
        let each = options.recipients.div_ceil(options.providers.kinds().len().max(1));
        let exact = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let length = options.duration;
        let rate = exact(each) / length.as_secs_f64();
        let slots = (rate * USUAL_LATENCY_SECONDS / exact(instances)).ceil().clamp(2.0, 50.0);
        let usual = Duration::from_secs_f64(slots * exact(instances) / rate).min(LONGEST_USUAL);
        let concurrency = (2..=50).find(|whole| f64::from(*whole) >= slots).unwrap_or(50);
        let pace = move || Pace { began: OnceLock::new(), length, usual, hurry: AtomicBool::new(false) };
        Self { concurrency, pace: Box::new(pace), each }
    }
}

fn start_providers(
    options: &Options,
    plan: &Plan,
    load: &Load,
    instances: usize,
) -> Result<Vec<Provider>, VerifyError> {
    let mut first = 1;
    let mut providers = Vec::new();
    for kind in options.providers.kinds() {
        let count = load.each.min(options.recipients + 1 - first);
        let ledger = Ledger::new(first, count, instances);
        first += count;
        let provider = Provider::start(*kind, ledger, options.seed, plan.climate, (load.pace)());
        providers.push(provider.map_err(VerifyError::io("start a provider"))?);
    }
    Ok(providers)
}

/// What the campaigns say.
const CONTENT: &str = "Dear {first_name|friend}, this is a test of whether everyone is reached once.\n\n\
                       Unsubscribe: {{ unsubscribe_url }}\n{{ postal_address }}";

/// The settings file of an instance: the caller's own delays but one, and pools of ours.
fn instance_settings(
    number: usize,
    settings: &Settings,
    providers: &[Provider],
    load: &Load,
) -> Result<String, VerifyError> {
    let pools: Vec<Value> =
        providers.iter().map(|provider| pool(number, provider.kind, provider.addr(), load)).collect();
    let mut timing = settings.timing.clone();
    timing.put_off_ms = timing.put_off_ms.min(PUT_OFF_MS);
    let file = json!({
        "timing": timing,
        "sending": {
            "data_dir": Path::new("data"),
            "page_size": settings.sending.page_size,
            "shutdown_seconds": DRAIN_SECONDS,
        },
        // One address for all instances: a message is the same whichever of them makes it.
        "links": { "public_url": "https://verify.example.com" },
        "email": { "postal_address": "Example Ltd, 1 High Street, Springfield" },
        "pools": pools,
    });
    toml::to_string(&file).map_err(|error| VerifyError::failed("write an instance's settings", &error))
}

fn pool(number: usize, kind: Kind, addr: SocketAddr, load: &Load) -> Value {
    let mut pool = json!({
        "name": kind.name(),
        "concurrency": load.concurrency,
        "max_attempts": MAX_ATTEMPTS,
        "retry_delays": RETRY_DELAYS,
        "timeout_seconds": ANSWER_SECONDS,
    });
    let own = match kind {
        Kind::Smtp => json!({
            "channel": "email", "provider": "smtp", "url": format!("smtp://{addr}"),
            "from": format!("Verify <{}>", sender_of(number)),
            "final_reply_timeout_seconds": ANSWER_SECONDS + 1,
        }),
        Kind::Http => json!({
            "channel": "http", "provider": "webhook", "url": format!("http://{addr}{}", path_of(number)),
            "idempotent": true,
        }),
    };
    if let (Some(pool), Value::Object(own)) = (pool.as_object_mut(), own) {
        pool.extend(own);
    }
    pool
}

/// A handle on a database given or made, which must hold nothing yet.
async fn empty_store(settings: &Settings, url: &Url) -> Result<Store, VerifyError> {
    let database = crate::config::Database {
        url: Secret::new(url.as_str()),
        connections: 2,
        hot_connections: 1,
        ..settings.database.clone()
    };
    let store = Store::open(&database)?;
    if store.run(Lane::Read, "look for campaigns", inspection::holds_campaigns).await? {
        let why = "--database: it holds campaigns; give a scratch database, which may be lost";
        return Err(VerifyError::Unfit(why.to_owned()));
    }
    Ok(store)
}

/// A link to the server that `url` names, and the same address by that way.
fn way(proxy: &Proxy, url: &Url) -> Result<(Link, String), VerifyError> {
    let unfit = || VerifyError::Unfit("a server's address names no host".to_owned());
    let host = url.host_str().ok_or_else(unfit)?;
    let port = url.port().unwrap_or(if url.scheme() == "amqp" { 5672 } else { 5432 });
    let link = proxy.link(&format!("{host}:{port}")).map_err(VerifyError::io("open a link"))?;
    let mut by_proxy = url.clone();
    let changed = by_proxy.set_ip_host(link.addr().ip()).and_then(|()| by_proxy.set_port(Some(link.addr().port())));
    changed.map_err(|()| unfit())?;
    Ok((link, by_proxy.into()))
}

fn parsed(url: &Secret, option: &str, schemes: &[&str]) -> Result<Url, VerifyError> {
    let parsed = Url::parse(url.expose()).ok().filter(|url| schemes.contains(&url.scheme()));
    // The text is not repeated: it may hold a password.
    parsed.ok_or_else(|| {
        VerifyError::Unfit(format!("{option}: not an address of the kind {}://…", schemes.join("://… or ")))
    })
}

/// Runs what takes its time on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VerifyError> + Send + 'static,
) -> Result<T, VerifyError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(VerifyError::failed("wait for a server", &error)),
    }
}

/// The id in an answer.
pub(super) fn id_of(document: &Value) -> Result<i64, VerifyError> {
    document.get("id").and_then(Value::as_i64).ok_or_else(|| VerifyError::Failed {
        doing: "read an answer".to_owned(),
        detail: format!("no id in {document}"),
    })
}
