//! What settings mean together: the rules that a type cannot hold.

mod callbacks;
mod inbound;
mod smtp;
mod targets;
mod webhook;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::pools::{PoolConfig, Provider, ProviderConfig, SandboxConfig, ServerConfig};
use super::secret::Secret;
use super::{Database, Settings};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::answers::{Way, is_provider};
use crate::domain::dispatch::retries::LONGEST_RETRY_FOR;
use crate::domain::span::Span;

/// A setting that cannot work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct BadSetting {
    /// The setting: `http.addr`, `pools[0].url`.
    pub key: String,
    /// What is wrong and what is allowed. Never the text of a secret.
    pub reason: String,
}

type Check = Result<(), BadSetting>;

fn bad(key: impl Into<String>, reason: impl Into<String>) -> BadSetting {
    BadSetting { key: key.into(), reason: reason.into() }
}

fn ensure(holds: bool, key: &str, reason: impl Into<String>) -> Check {
    if holds { Ok(()) } else { Err(bad(key, reason)) }
}

fn within<T: PartialOrd + std::fmt::Display>(key: &str, value: T, allowed: RangeInclusive<T>) -> Check {
    let reason = || format!("{value} is outside {} to {}", allowed.start(), allowed.end());
    if allowed.contains(&value) { Ok(()) } else { Err(bad(key, reason())) }
}

/// A pool's name as variables spell it. Two pools may not share it.
pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

impl Settings {
    /// Checks what a type cannot hold: ranges, addresses, and settings that contradict one another.
    ///
    /// # Errors
    /// The first [`BadSetting`].
    pub fn check(&self) -> Check {
        self.database.check()?;
        self.check_broker()?;
        check_listener("http.addr", &self.http.addr)?;
        if let Some(addr) = &self.http.public_addr {
            check_listener("http.public_addr", addr)?;
        }
        self.http.cors_origins.check().map_err(|reason| bad("http.cors_origins", reason))?;
        self.check_links()?;
        within("email.max_attachments_bytes", self.email.max_attachments_bytes, 0..=50 << 20)?;
        check_postal_address(self.email.postal_address.as_deref())?;
        within("http.max_body_bytes", self.http.max_body_bytes, 1 << 10..=1 << 30)?;
        within("http.max_import_bytes", self.http.max_import_bytes, 1..=1 << 50)?;
        check_key("auth.root_key", self.auth.root_key.as_ref())?;
        for channel in ChannelKind::ALL {
            let (delays, retry_for) = self.retries.of(*channel);
            check_delays(&format!("retries.{channel}_delays"), delays)?;
            check_retry_for(&format!("retries.{channel}_for"), retry_for)?;
        }
        within("audit.keep_days", self.audit.keep_days, 0..=36_500)?;
        check_level(&self.log.level)?;
        ensure(!self.sending.data_dir.as_os_str().is_empty(), "sending.data_dir", "name a directory")?;
        within("sending.shutdown_seconds", self.sending.shutdown_seconds, 1..=3_600)?;
        within("sending.journal_keep_seconds", self.sending.journal_keep_seconds, 0..=86_400)?;
        within("sending.journal_keep_mib", self.sending.journal_keep_mib, 0..=1_024)?;
        within("sending.alike_outcomes", self.sending.alike_outcomes, 5..=10_000)?;
        within("sending.alike_share", self.sending.alike_share, 0.5..=1.0)?;
        within("sending.bounce_share", self.sending.bounce_share, 0.0001..=1.0)?;
        within("sending.complaint_share", self.sending.complaint_share, 0.0001..=1.0)?;
        self.sending.test_recipients.check().map_err(|reason| bad("sending.test_recipients", reason))?;
        let limit = self.consent.transactional_campaign_limit;
        within("consent.transactional_campaign_limit", limit, 0..=1_000_000_000)?;
        within("consent.unconfirmed_keep_days", self.consent.unconfirmed_keep_days, 0..=3_650)?;
        within("campaigns.keep_days", self.campaigns.keep_days, 0..=36_500)?;
        within("events.keep_days", self.events.keep_days, 0..=36_500)?;
        within("callbacks.keep_days", self.callbacks.keep_days, 1..=365)?;
        within("reactions.keep_days", self.reactions.keep_days, 1..=365)?;
        self.inbound.check()?;
        self.tracking.check_hosts().map_err(|reason| bad("tracking.hosts", reason))?;
        within("tracking.machine_within_ms", self.tracking.machine_within_ms, 0..=3_600_000)?;
        within("tracking.spool_mib", self.tracking.spool_mib, 1..=65_536)?;
        self.timing.check()?;
        check_key("cli.key", self.cli.key.as_ref())?;
        let server = Url::parse(&self.cli.server).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        ensure(server.is_some(), "cli.server", "not an address such as http://127.0.0.1:8080")?;
        self.check_targets()?;
        for (index, pool) in self.pools.iter().enumerate() {
            pool.check(&format!("pools[{index}]"))?;
            let twin = self.pools.iter().take(index).any(|other| folded(&other.name) == folded(&pool.name));
            ensure(
                !twin,
                &format!("pools[{index}].name"),
                format!("another pool is named {:?} too (case and - or _ aside)", pool.name),
            )?;
            // A mail that comes back says to which pool by its address alone.
            let others = self.pools.iter().take(index);
            let mut same =
                others.filter(|other| return_path(pool).is_some_and(|path| return_path(other) == Some(path)));
            same.next().map_or(Ok(()), |other| {
                let reason = format!("pool {:?} has the same one: give each pool its own", other.name);
                Err(bad(format!("pools[{index}].return_path"), reason))
            })?;
        }
        Ok(())
    }
}

fn return_path(pool: &PoolConfig) -> Option<&str> {
    pool.provider.smtp()?.return_path()
}

impl Settings {
    /// An instance that serves no links cannot lead them to itself, and knows no other address by itself.
    fn check_links(&self) -> Check {
        self.links.check_url().map_err(|reason| bad("links.public_url", reason))?;
        let sends_emails = self.running_pools().any(|pool| pool.channel == ChannelKind::Email);
        let needs_them = !self.instance.role.serves() && self.links.require_unsubscribe && sends_emails;
        let reason = "must be set where instance.role is sender: marketing emails need a link to unsubscribe, and this instance \
                      serves none; set it to the https:// address at which recipients reach the instances that do";
        ensure(!needs_them || self.links.public_url.is_some(), "links.public_url", reason)
    }

    fn check_broker(&self) -> Check {
        let broker = &self.broker;
        within("broker.prefetch", broker.prefetch, 1..=64)?;
        broker.authorities().map_err(|reason| bad("broker.tls_ca_file", reason))?;
        if broker.url.is_none() {
            ensure(!broker.accept_pack, "broker.accept_pack", "needs broker.url")?;
            return ensure(broker.ca_file().is_none(), "broker.tls_ca_file", "needs broker.url");
        }
        let uri = broker.uri().map_err(|reason| bad("broker.url", reason))?;
        let in_the_clear = uri.scheme == lapin::uri::AMQPScheme::AMQP;
        let reason = "belongs to amqps://, and the address asks for an unencrypted connection";
        ensure(!in_the_clear || broker.ca_file().is_none(), "broker.tls_ca_file", reason)?;
        let host = uri.authority.host.as_str();
        let on_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let guest = uri.authority.userinfo.username == "guest";
        ensure(
            on_loopback || !guest,
            "broker.url",
            "give a user of its own: RabbitMQ accepts guest only from its own machine",
        )?;
        ensure(
            !self.database.url.expose().starts_with("sqlite:"),
            "broker.url",
            "RabbitMQ is for several instances, and an SQLite database has one: set database.url to a PostgreSQL, or \
             leave broker.url out",
        )
    }
}

impl Database {
    fn check(&self) -> Check {
        let url = self.url.expose();
        let usable = match url.split_once("://") {
            Some(("sqlite", path)) => !path.is_empty(),
            Some(("postgres" | "postgresql", _)) => Url::parse(url).is_ok(),
            _ => false,
        };
        // The text is not repeated: it may hold a password.
        ensure(usable, "database.url", "not an address; give sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE")?;
        within("database.hot_connections", self.hot_connections, 1..=200)?;
        within("database.connections", self.connections, 1..=200)?;
        within("database.read_timeout_ms", self.read_timeout_ms, 100..=600_000)?;
        within("database.checkout_timeout_ms", self.checkout_timeout_ms, 1..=60_000)
    }
}

impl super::timing::Timing {
    fn check(&self) -> Check {
        const HOUR_MS: u64 = 3_600_000;
        for (key, ms) in [
            ("timing.lease_ms", self.lease_ms),
            ("timing.lease_renew_ms", self.lease_renew_ms),
            ("timing.lease_trust_ms", self.lease_trust_ms),
            ("timing.driver_tick_ms", self.driver_tick_ms),
            ("timing.due_tick_ms", self.due_tick_ms),
            ("timing.start_deadline_ms", self.start_deadline_ms),
            ("timing.status_ttl_ms", self.status_ttl_ms),
            ("timing.reaper_tick_ms", self.reaper_tick_ms),
            ("timing.scheduler_tick_ms", self.scheduler_tick_ms),
            ("timing.circuit_first_ms", self.circuit_first_ms),
            ("timing.circuit_max_ms", self.circuit_max_ms),
            ("timing.second_look_ms", self.second_look_ms),
            ("timing.put_off_ms", self.put_off_ms),
            ("timing.step_back_ms", self.step_back_ms),
        ] {
            within(key, ms, 1..=HOUR_MS)?;
        }
        within("timing.claim_linger_ms", self.claim_linger_ms, 0..=1_000)?;
        within("timing.flush_ms", self.flush_ms, 0..=1_000)?;
        within("timing.call_margin_ms", self.call_margin_ms, 0..=HOUR_MS)?;
        within("timing.claim_chunk", self.claim_chunk, 1..=1_000)?;
        within("timing.flush_batch", self.flush_batch, 1..=10_000)?;
        ensure(
            self.lease_renew_ms < self.lease_trust_ms,
            "timing.lease_renew_ms",
            format!("{} must be below lease_trust_ms = {}", self.lease_renew_ms, self.lease_trust_ms),
        )?;
        ensure(
            self.lease_trust_ms < self.lease_ms,
            "timing.lease_trust_ms",
            format!("{} must be below lease_ms = {}", self.lease_trust_ms, self.lease_ms),
        )?;
        ensure(
            self.circuit_first_ms <= self.circuit_max_ms,
            "timing.circuit_first_ms",
            format!("{} must not exceed circuit_max_ms = {}", self.circuit_first_ms, self.circuit_max_ms),
        )
    }
}

fn check_listener(key: &str, addr: &str) -> Check {
    let reason = format!("{addr:?} is not IP:PORT, such as 127.0.0.1:8080");
    ensure(addr.parse::<SocketAddr>().is_ok(), key, reason)
}

fn check_postal_address(address: Option<&str>) -> Check {
    let is_line = |text: &str| {
        let chars = text.chars().count();
        text.trim() == text && (1..=500).contains(&chars) && !text.chars().any(char::is_control)
    };
    let reason = "must be one line of 1 to 500 characters, without blanks around it";
    ensure(address.is_none_or(is_line), "email.postal_address", reason)
}

fn check_delays(key: &str, delays: &[Span]) -> Check {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(86_400);
    ensure((1..=20).contains(&delays.len()), key, format!("{} waits; give 1 to 20", delays.len()))?;
    let strange = delays.iter().find(|delay| !(SHORTEST..=LONGEST).contains(&delay.0));
    strange.map_or(Ok(()), |delay| Err(bad(key, format!("a wait of {delay} is outside 10 ms to a day"))))
}

fn check_retry_for(key: &str, retry_for: Span) -> Check {
    ensure(retry_for <= LONGEST_RETRY_FOR, key, format!("{retry_for} is outside 0 to {LONGEST_RETRY_FOR}"))
}

fn check_key(key: &str, secret: Option<&Secret>) -> Check {
    let travels = |secret: &Secret| {
        let text = secret.expose();
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    ensure(secret.is_none_or(travels), key, "must be printable ASCII without spaces, at least one character")
}

fn check_level(level: &str) -> Check {
    const LEVELS: &str = "error, warn, info, debug, trace";
    // A tracing filter takes any word for the name of a module, so a mistyped level would pass as one.
    let is_level = LEVELS.split(", ").any(|word| word == level);
    // It also takes `module=` without a level for one of errors alone.
    let is_complete = !level.split(',').any(|part| part.trim_end().ends_with('='));
    let is_filter = level.contains('=') && is_complete && tracing_subscriber::EnvFilter::try_new(level).is_ok();
    ensure(
        is_level || is_filter,
        "log.level",
        format!("{level:?} is none of {LEVELS}, nor a filter such as info,volley::actors=debug"),
    )
}

impl PoolConfig {
    fn check(&self, path: &str) -> Check {
        let at = |setting: &str| format!("{path}.{setting}");
        let charset = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ensure(
            (1..=64).contains(&self.name.len()) && self.name.bytes().all(charset),
            &at("name"),
            format!("{:?} is not 1 to 64 letters, digits, - and _", self.name),
        )?;
        within(&at("concurrency"), self.concurrency, 1..=10_000)?;
        within(&at("rate_per_second"), self.rate_per_second, 0.0..=1e6)?;
        within(&at("burst"), self.burst.unwrap_or(1), 1..=1_000_000)?;
        if let Some(delays) = &self.retry_delays {
            check_delays(&at("retry_delays"), delays)?;
        }
        if let Some(retry_for) = self.retry_for {
            check_retry_for(&at("retry_for"), retry_for)?;
        }
        within(&at("max_attempts"), self.max_attempts, 0..=1_000)?;
        within(&at("timeout_seconds"), self.timeout_seconds, 1..=3_600)?;
        if let Some(callbacks) = &self.callbacks {
            callbacks.check(&at)?;
        }
        match &self.provider {
            ProviderConfig::Smtp(smtp) => {
                smtp.server.check(Way::Smtp, &at)?;
                smtp.check(self, &at)
            }
            ProviderConfig::Webhook(webhook) => {
                webhook.server.check(Way::Http, &at)?;
                webhook.check(&at)
            }
            ProviderConfig::Sandbox(sandbox) => sandbox.check(&at),
        }
    }
}

impl ServerConfig {
    fn check(&self, way: Way, at: &dyn Fn(&str) -> String) -> Check {
        self.authorities().map_err(|reason| bad(at("tls_ca_file"), reason))?;
        let pin = self.pinned_certificate().map_err(|reason| bad(at("tls_fingerprint"), reason))?;
        let both = pin.is_some() && self.ca_file().is_some();
        ensure(!both, &at("tls_fingerprint"), "the one certificate that is trusted then; leave tls_ca_file out")?;
        let name = self.answers_of.as_deref();
        ensure(
            name.is_none_or(is_provider),
            &at("answers_of"),
            format!("{:?} is no provider of docs/provider-answers.md", name.unwrap_or_default()),
        )?;
        // The reason begins with the row's key.
        self.book(way).map(drop).map_err(|reason| match reason.split_once(": ") {
            Some((key, reason)) => bad(at(key), reason),
            None => bad(at("answers"), reason),
        })
    }

    fn check_encrypted(&self, at: &dyn Fn(&str) -> String, encrypted: bool) -> Check {
        let reason = "belongs to encrypted connections, and the address asks for an unencrypted connection";
        ensure(encrypted || self.ca_file().is_none(), &at("tls_ca_file"), reason)?;
        let pinned = self.tls_fingerprint.as_deref().is_some_and(|text| !text.is_empty());
        ensure(encrypted || !pinned, &at("tls_fingerprint"), reason)
    }

    /// The address, where it has one of `schemes` and a host. Its text is not repeated: it may hold a password.
    fn checked_url(
        &self,
        provider: Provider,
        at: &dyn Fn(&str) -> String,
        schemes: &[&str],
        form: &str,
    ) -> Result<Url, BadSetting> {
        let Some(text) = &self.url else {
            return Err(bad(at("url"), format!("{provider} needs an address; {form}")));
        };
        Url::parse(text.expose())
            .ok()
            .filter(|url| schemes.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty()))
            .ok_or_else(|| bad(at("url"), format!("not an address that {provider} can use; {form}")))
    }
}

impl SandboxConfig {
    fn check(&self, at: &dyn Fn(&str) -> String) -> Check {
        if let Some([shortest, longest]) = self.latency_ms {
            ensure(
                shortest <= longest && longest <= 60_000,
                &at("latency_ms"),
                format!("[{shortest}, {longest}] is not [shortest, longest] up to 60000"),
            )?;
        }
        within(&at("failure_rate"), self.failure_rate.unwrap_or_default(), 0.0..=1.0)?;
        ensure(self.crash_on.as_deref() != Some(""), &at("crash_on"), "name an address, or leave it out")
    }
}
