//! What a message costs through the broker, beside in-process messages alone: one instance on PostgreSQL either way.

use volley::verify::servers::rabbitmq::RabbitMq;

use crate::fleet::{Outfit, broker, database, launch, wait_connected, wait_sent};
use crate::provider::Provider;
use crate::{Depth, clock, figures, gauge};

const CONCURRENCY: u32 = 50;

/// One campaign on an empty database.
struct Run {
    /// Messages per second, from the launch to the last acceptance.
    rate: f64,
    /// Processor time of the engine per message, in microseconds.
    micros: f64,
}

/// Prints a row for each run, in turns without and with the broker, and the ratios of the means.
pub(crate) fn measure(depth: Depth) {
    let (rounds, recipients) = depth.choose((3, 100_000), (1, 10_000));
    let broker = broker();
    let mut provider = Provider::start(0);
    println!("\nOne instance on PostgreSQL, a provider that answers at once, {recipients} recipients\n");
    println!("| broker | messages/s | CPU µs a message |\n|---|---:|---:|");
    let mut runs = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (kind, (name, broker)) in [("without", None), ("with", Some(&broker))].into_iter().enumerate() {
            let run = Run::measure(broker, &mut provider, recipients);
            println!("| {name} | {:.0} | {:.1} |", run.rate, run.micros);
            runs[kind].push(run);
        }
    }
    let mean = |runs: &[Run], figure: fn(&Run) -> f64| figures::mean(&runs.iter().map(figure).collect::<Vec<_>>());
    let [without, with] = runs;
    let micros = mean(&with, |run| run.micros) / mean(&without, |run| run.micros);
    let rate = mean(&with, |run| run.rate) / mean(&without, |run| run.rate);
    println!("\n| with the broker, to without | measured | target |\n|---|---:|---:|");
    println!("| CPU a message | {micros:.2} | ≤ 1.10 |");
    println!("| messages/s | {rate:.2} | |");
}

impl Run {
    fn measure(broker: Option<&RabbitMq>, provider: &mut Provider, recipients: u32) -> Self {
        let db = database();
        let outfit = Outfit { db: &db, broker, concurrency: CONCURRENCY, page_size: 0 };
        let mut volley = outfit.start(provider, 0);
        let list = volley.api().a_list_of(usize::try_from(recipients).expect("a count"));
        // The import leaves nothing behind in a process that starts anew.
        let (status, _) = volley.sigterm();
        assert!(status.success(), "volley ended with {status}");
        volley.start();
        wait_connected(&volley);
        let api = volley.api();
        provider.forget();
        let (cpu, began) = (gauge::cpu(volley.pid()), clock::now());
        let campaign = launch(&api, list);
        provider.wait_taken(recipients);
        wait_sent(&api, campaign, recipients);
        let cpu = gauge::cpu(volley.pid()) - cpu;
        let took = provider.taken_at(recipients - 1) - began;
        volley.stop();
        Self {
            rate: f64::from(recipients) / took.as_secs_f64(),
            micros: cpu.as_secs_f64() * 1e6 / f64::from(recipients),
        }
    }
}
