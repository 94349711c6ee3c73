//! Messages per second of one, two and three instances when the provider's latency is the limit.

use std::time::Duration;

use crate::fleet::{Outfit, broker, database, launch, wait_sent};
use crate::provider::Provider;
use crate::support::volley::Volley;
use crate::{Depth, figures, gauge};

/// What an answer takes.
const LATENCY_MS: u64 = 50;
/// Hand-overs of one instance at once: a thousand a second at best.
const CONCURRENCY: u32 = 50;
const MOST_INSTANCES: usize = 3;

/// One campaign.
struct Run {
    recipients: u32,
    /// From the first message taken to the last.
    took: Duration,
    /// The same for all but the first and the last tenth of the messages.
    middle: Duration,
    /// Processor time of all instances.
    cpu: Duration,
}

/// Prints a row for each run, in rounds of one, two and three instances, and the ratios of the means.
pub(crate) fn measure(depth: Depth) {
    let (rounds, for_each) = depth.choose((2, 20_000), (1, 2_000));
    let (db, broker) = (database(), broker());
    let mut provider = Provider::start(LATENCY_MS);
    let outfit = Outfit { db: &db, broker: Some(&broker), concurrency: CONCURRENCY, page_size: 0 };
    let lists = import(&outfit, &provider, for_each);
    println!("\nA provider that takes {LATENCY_MS} ms, {CONCURRENCY} hand-overs at once on each instance\n");
    println!("| instances | recipients | seconds | messages/s | messages/s, middle 80 % | CPU µs a message |");
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut rates = [const { (Vec::new(), Vec::new()) }; MOST_INSTANCES];
    for _ in 0..rounds {
        for (others, (list, recipients)) in lists.iter().enumerate() {
            let run = Run::measure(&outfit, &mut provider, others + 1, *list, *recipients);
            println!(
                "| {} | {recipients} | {:.1} | {:.0} | {:.0} | {:.1} |",
                others + 1,
                run.took.as_secs_f64(),
                run.rate(),
                run.middle_rate(),
                run.cpu.as_secs_f64() * 1e6 / f64::from(run.recipients)
            );
            rates[others].0.push(run.rate());
            rates[others].1.push(run.middle_rate());
        }
    }
    let [one, two, three] = rates.map(|(whole, middle)| (figures::mean(&whole), figures::mean(&middle)));
    println!("\n| instances, to one | whole | middle 80 % | target |\n|---|---:|---:|---:|");
    println!("| two | {:.2} | {:.2} | |", two.0 / one.0, two.1 / one.1);
    println!("| three | {:.2} | {:.2} | ≥ 2.8 |", three.0 / one.0, three.1 / one.1);
}

/// Lists for one, two and three instances, so that all runs take about as long.
fn import(outfit: &Outfit<'_>, provider: &Provider, for_each: u32) -> [(i64, u32); MOST_INSTANCES] {
    let volley = outfit.start(provider, 0);
    let api = volley.api();
    let lists = [1, 2, 3].map(|instances| {
        let people = for_each * instances;
        (api.a_list_of(usize::try_from(people).expect("a count")), people)
    });
    volley.stop();
    lists
}

impl Run {
    fn measure(outfit: &Outfit<'_>, provider: &mut Provider, instances: usize, list: i64, recipients: u32) -> Self {
        let fleet = outfit.start_all(provider, instances);
        let cpu = || fleet.iter().map(|volley| gauge::cpu(volley.pid())).sum::<Duration>();
        let (api, before) = (fleet[0].api(), cpu());
        provider.forget();
        let campaign = launch(&api, list);
        provider.wait_taken(recipients);
        wait_sent(&api, campaign, recipients);
        let cpu = cpu() - before;
        let mut between = |first: u32, last: u32| provider.taken_at(last) - provider.taken_at(first);
        let (took, middle) = (between(0, recipients - 1), between(recipients / 10, recipients / 10 * 9));
        fleet.into_iter().for_each(Volley::stop);
        Self { recipients, took, middle, cpu }
    }

    fn rate(&self) -> f64 {
        f64::from(self.recipients - 1) / self.took.as_secs_f64()
    }

    fn middle_rate(&self) -> f64 {
        f64::from(self.recipients / 10 * 8) / self.middle.as_secs_f64()
    }
}
