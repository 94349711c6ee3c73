//! What people meet in the field. Relays and gateways, one line each: what they answer, and how a campaign through them ends.
//! All trials of one table run at once, each with a server and a pool of its own, in one process.

mod answers;
mod csv;
mod csv_mapping;
mod csv_refusals;
mod http;
mod lifecycle;
mod pace;
mod smtp;
mod templates;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Database;
use crate::support::api::{Api, Campaign};
use crate::support::ledger::Ledger;
use crate::support::people;
use crate::support::scripted_http::ScriptedHttp;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::turns::shared_turn;
use crate::support::volley::{Pool, Volley};

/// How long a trial may take, on a slow machine too.
const LIMIT: Duration = Duration::from_secs(180);

/// How many may fail before a campaign that is refused for nearly everybody pauses itself: the thirty that must be seen,
/// and two rounds of the pool's ten places.
const MOST_FAILED: u64 = 50;

/// What a campaign is to come to.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Everyone is sent to once, and nobody fails.
    Everyone,
    /// So many fail, with this in the words that are kept; the others are sent to once.
    Failed(usize, &'static str),
    /// It is not known of anybody whether the message was taken, and nobody is asked again.
    Unknown,
    /// It waits: nobody fails, and an attention says this.
    Held(&'static str),
    /// It pauses itself before many have failed, and an attention says this.
    Paused(&'static str),
}

/// One line of a table.
struct Trial {
    name: &'static str,
    channel: &'static str,
    script: &'static str,
    people: usize,
    settings: Vec<(&'static str, &'static str)>,
    heard: &'static str,
    end: End,
}

/// A trial of a relay.
fn smtp(name: &'static str, script: &'static str, people: usize, end: End) -> Trial {
    Trial { name, channel: "email", script, people, settings: Vec::new(), heard: "", end }
}

/// A trial of an HTTP API.
fn http(name: &'static str, script: &'static str, people: usize, end: End) -> Trial {
    Trial { name, channel: "http", script, people, settings: Vec::new(), heard: "", end }
}

impl Trial {
    /// Sets a key of the pool to a TOML value.
    fn set(mut self, key: &'static str, value: &'static str) -> Self {
        self.settings.push((key, value));
        self
    }

    /// A line that the relay must have heard begins so.
    fn hears(mut self, line: &'static str) -> Self {
        self.heard = line;
        self
    }
}

/// The server of a trial.
enum Provider {
    Smtp(ScriptedSmtp),
    Http(ScriptedHttp),
}

impl Provider {
    fn ledger(&self) -> &Ledger {
        match self {
            Self::Smtp(server) => server.ledger(),
            Self::Http(server) => server.ledger(),
        }
    }
}

struct Running<'a> {
    trial: &'a Trial,
    provider: Provider,
    campaign: i64,
}

/// Runs a table; fails with everything that came out wrong.
#[track_caller]
fn run(db: &Database, trials: &[Trial]) {
    let _turn = shared_turn();
    let mut builder = Volley::on(db);
    let mut providers = Vec::new();
    for trial in trials {
        let (provider, mut pool) = if trial.channel == "email" {
            let server = ScriptedSmtp::playing(trial.script);
            let pool = Pool::smtp_at(trial.name, server.port());
            (Provider::Smtp(server), pool)
        } else {
            let server = ScriptedHttp::playing(trial.script);
            let pool = Pool::webhook_at(trial.name, server.port());
            (Provider::Http(server), pool)
        };
        pool = pool.set("timeout_seconds", "2").set("concurrency", "10").set("retry_delays", "[0.5, 1, 2, 4]");
        for (key, value) in &trial.settings {
            pool = pool.set(key, value);
        }
        builder = builder.pool(pool);
        providers.push(provider);
    }
    let volley = builder.start();
    let api = volley.api();
    let running: Vec<Running<'_>> = trials
        .iter()
        .zip(providers)
        .map(|(trial, provider)| {
            // People of its own: an address that one trial finds to be wrong is written to by no other.
            let list = api.create_list(trial.name);
            api.import_csv(list, &people::csv_at(&format!("{}.example.com", trial.name), 1..=trial.people));
            let campaign = api.create_campaign(trial.channel, trial.name, list, &json!({}));
            Running { trial, provider, campaign }
        })
        .collect();
    let began = Instant::now();
    for one in &running {
        api.send(one.campaign);
    }
    let mut wrong = Vec::new();
    for one in &running {
        let left = LIMIT.saturating_sub(began.elapsed());
        if let Err(why) = one.judge(&api, left) {
            wrong.push(format!("{}: {why}", one.trial.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} trials came out wrong:\n{}", wrong.len(), trials.len(), wrong.join("\n"));
    volley.stop();
}

impl Running<'_> {
    fn judge(&self, api: &Api, limit: Duration) -> Result<(), String> {
        let began = Instant::now();
        let seen = loop {
            let seen = api.campaign(self.campaign);
            if self.is_over(&seen) {
                break seen;
            }
            if began.elapsed() > limit {
                return Err(format!("it does not come to its end: {}", seen.body));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        api.audit(self.campaign);
        let twice = self.provider.ledger().twice();
        ensure(twice.is_empty(), || format!("{} got it twice, for example {}", twice.len(), twice[0]))?;
        if let (Provider::Smtp(relay), false) = (&self.provider, self.trial.heard.is_empty()) {
            let commands = relay.commands();
            let heard = commands.iter().any(|line| line.starts_with(self.trial.heard));
            ensure(heard, || format!("never heard {:?}: {:?}", self.trial.heard, &commands[..commands.len().min(9)]))?;
        }
        match self.trial.end {
            End::Everyone => self.sent(&seen, self.trial.people),
            End::Failed(failed, words) => {
                self.sent(&seen, self.trial.people - failed)?;
                let rows = api.deliveries(self.campaign, "failed");
                ensure(rows.len() == failed, || format!("{} failed: {}", rows.len(), seen.body))?;
                let said = |row: &&Value| row["error"].as_str().is_some_and(|said| said.contains(words));
                ensure(rows.iter().all(|row| said(&row)), || format!("{words:?} is not kept: {}", rows[0]))
            }
            End::Unknown => {
                let uncertain = usize::try_from(seen.stats.uncertain).unwrap();
                ensure(uncertain == self.trial.people, || format!("{uncertain} are uncertain: {}", seen.body))
            }
            End::Held(words) | End::Paused(words) => {
                api.stop(self.campaign);
                let most = if matches!(self.trial.end, End::Held(_)) { 0 } else { MOST_FAILED };
                ensure(seen.stats.failed <= most, || format!("more than {most} failed: {}", seen.body))?;
                let said = seen.body["attention"].to_string();
                ensure(said.contains(words), || format!("{words:?} is not said: {said}"))
            }
        }
    }

    fn is_over(&self, seen: &Campaign) -> bool {
        match self.trial.end {
            End::Held(_) => seen.attention.is_some() || seen.is_ended(),
            End::Paused(_) => seen.status == "paused" || seen.is_ended(),
            End::Everyone | End::Failed(..) | End::Unknown => seen.is_ended(),
        }
    }

    fn sent(&self, seen: &Campaign, people: usize) -> Result<(), String> {
        let sent = usize::try_from(seen.stats.sent).unwrap();
        ensure(sent == people, || format!("{sent} of {people} sent: {}", seen.body))?;
        let reached = self.provider.ledger().reached();
        ensure(reached == people, || format!("{reached} of {people} reached the server"))
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
