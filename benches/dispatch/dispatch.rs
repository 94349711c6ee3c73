//! The engine over 50 connections: messages per second, processor time and memory.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::memory::memory_mb;
use crate::server::Server;
use crate::support::Database;
use crate::support::api::Api;
use crate::support::volley::{Pool, Volley};
use crate::{Backend, Wire, bare, gauge, letter, per_second};

/// The name of the measured pool.
pub(crate) const POOL: &str = "bench";

/// Measures one campaign on an empty database, between two runs of the bare loop, and prints its row of the table.
pub(crate) fn measure(wire: Wire, backend: Backend, recipients: u32) {
    let Some(db) = backend.database() else { return };
    let before = bare::measure(wire, recipients);
    let mut server = Server::start(wire);
    let mut volley = start(&db, wire, &server);
    let list = volley.api().a_list_of(usize::try_from(recipients).expect("a count"));
    start_afresh(&mut volley);
    let run = Run::measure(&volley, &mut server, wire, list, recipients);
    let memory = memory_mb(volley.pid(), "VmHWM");
    volley.stop();
    // What the machine does beside this changes from minute to minute.
    let bare = f64::midpoint(before, bare::measure(wire, recipients));
    println!(
        "| {} | {} | {:.0} | {bare:.0} | {:.2} | {:.1} | {memory:.0} |",
        wire.name(),
        backend.name(),
        run.rate,
        run.rate / bare,
        run.micros_each(recipients),
    );
}

/// Ends the program in good order and starts it again: what it held at its most is then forgotten. A new client, because
/// the connections of earlier ones are gone.
pub(crate) fn start_afresh(volley: &mut Volley) -> Api {
    let (status, _) = volley.sigterm();
    assert!(status.success(), "volley ended with {status}");
    volley.start();
    volley.api()
}

/// The program, with one pool in front of `server`.
pub(crate) fn start(db: &Database, wire: Wire, server: &Server) -> Volley {
    Volley::on(db).settings("[log]\nlevel = \"warn\"").pool(pool(POOL, wire, server.port())).start()
}

/// A pool of 50 connections to a port of this machine.
pub(crate) fn pool(name: &str, wire: Wire, port: u16) -> Pool {
    match wire {
        Wire::Smtp | Wire::SmtpPlain | Wire::SmtpLetter => Pool::smtp_at(name, port),
        Wire::Webhook => Pool::webhook_at(name, port).set("idempotent", "true"),
    }
    .set("concurrency", "50")
}

/// What the campaign says: a line of text, or the letter.
fn content(wire: Wire) -> Value {
    match wire {
        Wire::Smtp | Wire::SmtpPlain | Wire::Webhook => json!({}),
        Wire::SmtpLetter => json!({
            "subject": "{first_name}, the news of this week",
            "body_text": letter::text("{first_name}"),
            "body_html": letter::html("{first_name}"),
        }),
    }
}

/// One campaign from the launch to the last acceptance.
pub(crate) struct Run {
    /// Messages per second, from the request that launched it.
    pub(crate) rate: f64,
    /// Processor time of the engine.
    pub(crate) cpu: Duration,
}

impl Run {
    /// Sends a campaign to a list of that many.
    pub(crate) fn measure(volley: &Volley, server: &mut Server, wire: Wire, list: i64, recipients: u32) -> Self {
        let api = volley.api();
        let campaign = api.create_campaign(wire.channel(), POOL, list, &content(wire));
        let already = server.taken();
        let (cpu, began) = (gauge::cpu(volley.pid()), Instant::now());
        api.send(campaign);
        let took = server.wait_taken(already + u64::from(recipients), Duration::from_millis(10)) - began;
        let ended = api.wait(campaign, "the campaign ends", Duration::from_secs(60), |campaign| campaign.is_ended());
        assert_eq!(ended.stats.sent, u64::from(recipients), "{}", ended.body);
        Self { rate: per_second(recipients, took), cpu: gauge::cpu(volley.pid()) - cpu }
    }

    /// Processor time of the engine per message, in microseconds.
    pub(crate) fn micros_each(&self, recipients: u32) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(recipients)
    }
}
