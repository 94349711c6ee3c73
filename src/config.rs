//! Settings: code default < `config/default.toml` < `--config FILE` < `VOLLEY_SECTION__KEY` < flag.
//! Passed to the parts that need them, never global.

pub mod broker;
pub mod callbacks;
pub mod campaigns;
pub mod check;
pub mod consent;
pub mod cors;
pub mod events;
pub mod inbound;
pub mod instance;
pub mod load;
pub mod origins;
pub mod pools;
pub mod proxies;
pub mod public;
pub mod reactions;
pub mod redact;
pub mod retries;
pub mod secret;
mod secret_files;
pub mod targets;
pub mod test_recipients;
mod texts;
pub mod timing;
pub mod tracking;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::access::limit::Limit;
use crate::domain::campaigns::brake::BrakeLimits;
use crate::domain::dispatch::alike::Rule;
use crate::domain::text_enum::text_enum;
use secret::Secret;
use test_recipients::TestRecipients;

/// Everything that can be set.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `[instance]`
    pub instance: instance::Instance,
    /// `[database]`
    pub database: Database,
    /// `[broker]`
    pub broker: broker::Broker,
    /// `[http]`
    pub http: Http,
    /// `[links]`
    pub links: public::Links,
    /// `[email]`
    pub email: public::Email,
    /// `[auth]`
    pub auth: Auth,
    /// `[limits]`
    pub limits: Limits,
    /// `[audit]`
    pub audit: Audit,
    /// `[log]`
    pub log: Log,
    /// `[sending]`
    pub sending: Sending,
    /// `[retries]`
    pub retries: retries::Retries,
    /// `[consent]`
    pub consent: consent::Consent,
    /// `[campaigns]`
    pub campaigns: campaigns::Campaigns,
    /// `[events]`
    pub events: events::Events,
    /// `[reactions]`
    pub reactions: reactions::Reactions,
    /// `[callbacks]`
    pub callbacks: callbacks::Callbacks,
    /// `[inbound]`
    pub inbound: inbound::Inbound,
    /// `[tracking]`
    pub tracking: tracking::Tracking,
    /// `[timing]`
    pub timing: timing::Timing,
    /// `[cli]`
    pub cli: Cli,
    /// `[[targets]]`
    pub targets: Vec<targets::TargetConfig>,
    /// `[[pools]]`
    pub pools: Vec<pools::PoolConfig>,
    /// What has set each of these. It is no setting.
    #[serde(skip)]
    pub origins: origins::Origins,
}

impl Settings {
    /// The pools that run on this instance: none where it sends nothing.
    pub fn running_pools(&self) -> impl Iterator<Item = &pools::PoolConfig> {
        self.pools.iter().filter(|_| self.instance.role.sends())
    }
}

/// `[database]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://PATH` or `postgres://…`. Default `sqlite://data/volley.db`.
    pub url: Secret,
    /// PostgreSQL: connections for claims and records. 4.
    pub hot_connections: u32,
    /// PostgreSQL: connections for reads (two thirds) and for what writes beside claims and records (one third); SQLite:
    /// readers. 6. Decisions, heartbeats and audits have four more of their own.
    pub connections: u32,
    /// PostgreSQL: how long one read may take, in milliseconds. 5,000. An audit may take a minute.
    pub read_timeout_ms: u64,
    /// How long a query waits for a connection, in milliseconds. 2,000.
    pub checkout_timeout_ms: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: Secret::new("sqlite://data/volley.db"),
            hot_connections: 4,
            connections: 6,
            read_timeout_ms: 5_000,
            checkout_timeout_ms: 2_000,
        }
    }
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where the API listens. Default `127.0.0.1:8080`; port 0 takes a free one.
    pub addr: String,
    /// Where a second listener serves the public pages and nothing else. Unset: there is none.
    pub public_addr: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed. Nobody's.
    pub trusted_proxies: proxies::Proxies,
    /// Origins whose pages may call the API from a browser. None.
    pub cors_origins: cors::CorsOrigins,
    /// Whether people may sign in to the pages although the way is not encrypted. No; on loopback they always may.
    pub allow_plain_sign_in: bool,
    /// Largest JSON body, in bytes. 4 MiB.
    pub max_body_bytes: usize,
    /// Largest import, in bytes. 4 GiB.
    pub max_import_bytes: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:8080".to_owned(),
            public_addr: None,
            trusted_proxies: proxies::Proxies::default(),
            cors_origins: cors::CorsOrigins::default(),
            allow_plain_sign_in: false,
            max_body_bytes: 4 << 20,
            max_import_bytes: 4 << 30,
        }
    }
}

/// `[auth]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// An API key with full rights. Unset: a first start creates one and prints it once.
    pub root_key: Option<Secret>,
}

/// `[limits]`: how much a minute. 0 is no limit.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Contacts and members that one key puts in. 60,000.
    pub ingest_items_per_minute: u32,
    /// Messages beside campaigns, such as tests, of one key. 6,000.
    pub messages_per_minute: u32,
    /// Launches and further tries of one key. 60.
    pub launches_per_minute: u32,
    /// All other requests of one key. 6,000.
    pub requests_per_minute: u32,
    /// Requests without a valid key from one address. 600.
    pub without_key_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ingest_items_per_minute: 60_000,
            messages_per_minute: 6_000,
            launches_per_minute: 60,
            requests_per_minute: 6_000,
            without_key_per_minute: 600,
        }
    }
}

impl Limits {
    /// No limit at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            ingest_items_per_minute: 0,
            messages_per_minute: 0,
            launches_per_minute: 0,
            requests_per_minute: 0,
            without_key_per_minute: 0,
        }
    }

    /// How much a minute. 0 is no limit.
    #[must_use]
    pub const fn of(&self, limit: Limit) -> u32 {
        match limit {
            Limit::Ingest => self.ingest_items_per_minute,
            Limit::Messages => self.messages_per_minute,
            Limit::Launches => self.launches_per_minute,
            Limit::Requests => self.requests_per_minute,
            Limit::WithoutKey => self.without_key_per_minute,
        }
    }
}

/// `[audit]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// How long lines of the audit log are kept, in days. 400; 0 keeps all of them.
    pub keep_days: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { keep_days: 400 }
    }
}

text_enum! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// For machines: one JSON object a line.
        Json = "json",
    }
}

/// `[log]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a tracing filter such as `info,volley::actors=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// `[sending]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sending {
    /// Where journals and uploads are kept. Default `data`.
    pub data_dir: PathBuf,
    /// Recipients per page, 1 to 10,000; 0 or nonsense is 1,000.
    pub page_size: i64,
    /// How long a stop by SIGTERM may take, in seconds. 45.
    pub shutdown_seconds: u64,
    /// How long journal files are kept whose outcomes are in the database, in seconds. 600.
    pub journal_keep_seconds: u64,
    /// How much of them is kept, in MiB. 64.
    pub journal_keep_mib: u64,
    /// Of how many outcomes of a campaign, the last ones, it is seen that nearly all were refused alike. 30.
    pub alike_outcomes: usize,
    /// Which share of them pauses it. 0.9.
    pub alike_share: f64,
    /// A campaign is paused when more than this share of its messages bounce; 1 never. 0.05.
    pub bounce_share: f64,
    /// A campaign is paused when more than this share of its messages are called spam; 1 never. 0.003.
    pub complaint_share: f64,
    /// Who may get test messages; empty: everybody. Empty.
    pub test_recipients: TestRecipients,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            page_size: 1_000,
            shutdown_seconds: 45,
            journal_keep_seconds: 600,
            journal_keep_mib: 64,
            alike_outcomes: 30,
            alike_share: 0.9,
            bounce_share: 0.05,
            complaint_share: 0.003,
            test_recipients: TestRecipients::default(),
        }
    }
}

impl Sending {
    /// How long a stop may take.
    #[must_use]
    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }

    /// When a refusal is nobody's own.
    #[must_use]
    pub fn alike(&self) -> Rule {
        Rule { least: self.alike_outcomes, share: self.alike_share }
    }

    /// How much of a campaign may come back.
    #[must_use]
    pub fn brakes(&self) -> BrakeLimits {
        BrakeLimits { bounces: self.bounce_share, complaints: self.complaint_share }
    }
}

/// `[cli]`: what the commands that talk to a running instance use.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cli {
    /// The instance's address. Default `http://127.0.0.1:8080`.
    pub server: String,
    /// The API key (`VOLLEY_CLI__KEY`).
    pub key: Option<Secret>,
    /// `USER:PASSWORD` that `volley bounce` shows, where the settings have no pool (`VOLLEY_CLI__CALLBACK_SECRET`).
    pub callback_secret: Option<Secret>,
}

impl Default for Cli {
    fn default() -> Self {
        Self { server: "http://127.0.0.1:8080".to_owned(), key: None, callback_secret: None }
    }
}
