//! Relays and gateways as they are met in the field, one line each: what they answer, and how a campaign through them ends.
//! All trials of one table run at once, each with a server and a pool of its own, in one process.

mod http;
mod smtp;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Database;
use crate::support::api::{Api, Campaign};
use crate::support::ledger::Ledger;
use crate::support::people;
use crate::support::scripted_http::ScriptedHttp;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::turns::my_turn;
use crate::support::volley::{Pool, Volley};

/// How long a trial may take, on a slow machine too.
const LIMIT: Duration = Duration::from_secs(120);

/// What a campaign is to come to.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Everyone is sent to once, and nobody fails.
    Everyone,
    /// So many fail, with this in the words that are kept; the others are sent to once.
    Failed(usize, &'static str),
}

/// One line of a table.
struct Trial {
    name: &'static str,
    channel: &'static str,
    script: &'static str,
    people: usize,
    settings: Vec<(&'static str, &'static str)>,
    end: End,
}

/// A trial of a relay.
fn smtp(name: &'static str, script: &'static str, people: usize, end: End) -> Trial {
    Trial { name, channel: "email", script, people, settings: Vec::new(), end }
}

/// A trial of an HTTP API.
fn http(name: &'static str, script: &'static str, people: usize, end: End) -> Trial {
    Trial { name, channel: "http", script, people, settings: Vec::new(), end }
}

impl Trial {
    /// Sets a key of the pool to a TOML value.
    fn set(mut self, key: &'static str, value: &'static str) -> Self {
        self.settings.push((key, value));
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
    let _turn = my_turn();
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
        pool = pool.set("timeout_seconds", "2").set("concurrency", "10");
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
            let list = api.create_list(trial.name);
            api.import_csv(list, &people::csv(trial.people));
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
            if seen.is_ended() {
                break seen;
            }
            if began.elapsed() > limit {
                return Err(format!("it has not ended: {}", seen.body));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        api.audit(self.campaign);
        self.nobody_twice()?;
        match self.trial.end {
            End::Everyone => self.sent(&seen, self.trial.people),
            End::Failed(failed, words) => {
                self.sent(&seen, self.trial.people - failed)?;
                let rows = api.deliveries(self.campaign, "failed");
                ensure(rows.len() == failed, || format!("{} failed: {}", rows.len(), seen.body))?;
                let said = |row: &&Value| row["error"].as_str().is_some_and(|said| said.contains(words));
                ensure(rows.iter().all(|row| said(&row)), || format!("{words:?} is not kept: {}", rows[0]))
            }
        }
    }

    fn sent(&self, seen: &Campaign, people: usize) -> Result<(), String> {
        let sent = usize::try_from(seen.stats.sent).unwrap();
        ensure(sent == people, || format!("{sent} of {people} sent: {}", seen.body))?;
        let reached = self.provider.ledger().reached();
        ensure(reached == people, || format!("{reached} of {people} reached the server"))
    }

    fn nobody_twice(&self) -> Result<(), String> {
        let twice = self.provider.ledger().twice();
        ensure(twice.is_empty(), || format!("{} got it twice, for example {}", twice.len(), twice[0]))
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
