//! From the decision to pause until no instance hands over any more.

use std::time::{Duration, Instant};

use serde_json::json;
use volley::verify::rng::Rng;

use crate::fleet::{LIMIT, Outfit, broker, database, is_flowing, launch};
use crate::provider::Provider;
use crate::support::api::Api;
use crate::support::volley::Volley;
use crate::support::waiting::wait_until;
use crate::{Depth, clock, figures};

const INSTANCES: usize = 3;
/// What an answer takes.
const LATENCY_MS: u64 = 5;
/// Hand-overs of one instance at once: busy, and yet no machine is short of processors because of it.
const CONCURRENCY: u32 = 10;
/// Nothing has begun for so long after the answer: nothing will. Longer than `timing.start_deadline_ms`.
const QUIET: Duration = Duration::from_millis(1_000);

/// What one pause came to, in milliseconds.
struct Trial {
    /// From asking to the beginning of the last hand-over.
    asked_to_last: f64,
    /// From the answer to the same; negative when that began before.
    answered_to_last: f64,
    /// What the request took.
    request: f64,
    /// Whether its receipt said that every instance had followed.
    complete: bool,
}

/// Pauses and resumes a campaign on three instances, each of them asked in turn, and prints what that took.
pub(crate) fn measure(depth: Depth) {
    let (trials, people) = depth.choose((50, 100_000), (5, 20_000));
    let (db, broker) = (database(), broker());
    let mut provider = Provider::start(LATENCY_MS);
    let outfit = Outfit { db: &db, broker: Some(&broker), concurrency: CONCURRENCY, page_size: 0 };
    let fleet = outfit.start_all(&provider, INSTANCES);
    let apis: Vec<Api> = fleet.iter().map(Volley::api).collect();
    let mut supply = Supply::launch(&apis[0], people);
    let rng = Rng::new(3);
    let mut seen = Vec::new();
    for number in 0..trials {
        // A moment like any other.
        wait_until("every instance hands over", LIMIT, || is_flowing(&mut provider, INSTANCES, 1));
        std::thread::sleep(rng.millis(100, 400));
        let api = &apis[number % INSTANCES];
        seen.push(Trial::measure(api, &mut provider, supply.campaign));
        api.resume(supply.campaign);
        supply.renew(api);
        provider.forget();
    }
    let figures = |figure: fn(&Trial) -> f64| figures::spread(&seen.iter().map(figure).collect::<Vec<_>>());
    println!("\n{trials} pauses of a campaign on {INSTANCES} instances, a provider that takes {LATENCY_MS} ms\n");
    println!("| what, in ms | p50 | p99 | max | target |\n|---|---:|---:|---:|---:|");
    let asked = figures(|trial| trial.asked_to_last);
    println!("| from asking to the beginning of the last hand-over | {asked} | p99 100, max 1000 |");
    let answered = figures(|trial| trial.answered_to_last);
    println!("| from the answer to the same (negative: it began before) | {answered} | |");
    let request = figures(|trial| trial.request);
    println!("| the request, which waits for every instance's receipt | {request} | |");
    let complete = seen.iter().filter(|trial| trial.complete).count();
    println!("\n{complete} of {trials} answers carried a complete receipt.");
    supply.end(&apis[0]);
    fleet.into_iter().for_each(Volley::stop);
}

impl Trial {
    fn measure(api: &Api, provider: &mut Provider, campaign: i64) -> Self {
        let path = format!("/v1/campaigns/{campaign}/pause");
        let asked = clock::now();
        let answer = api.try_post(&path, &json!({})).expect("an answer");
        let answered = clock::now();
        let complete = answer.expect_success(&path)["receipt"]["complete"] == json!(true);
        let last = last_begun(provider, answered);
        Self {
            asked_to_last: clock::millis_between(asked, last),
            answered_to_last: clock::millis_between(answered, last),
            request: clock::millis_between(asked, answered),
            complete,
        }
    }
}

/// When the last request began, once none has for long enough.
fn last_begun(provider: &mut Provider, answered: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let last = provider.last_begun().expect("it was handed over before");
        if clock::now().saturating_sub(last.max(answered)) >= QUIET {
            return last;
        }
        assert!(began.elapsed() < LIMIT, "the pause stops nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A campaign that always has somebody left: before it runs out it is stopped, and another goes to the same people.
struct Supply {
    list: i64,
    people: u64,
    /// The present one.
    campaign: i64,
}

impl Supply {
    /// Imports so many people and launches the first campaign.
    fn launch(api: &Api, people: u32) -> Self {
        let list = api.a_list_of(usize::try_from(people).expect("a count"));
        Self { list, people: people.into(), campaign: launch(api, list) }
    }

    /// Sees to it that at least a fifth of all people are left.
    fn renew(&mut self, api: &Api) {
        let stats = api.campaign(self.campaign).stats;
        if stats.total == self.people && stats.pending < self.people / 5 {
            self.end(api);
            self.campaign = launch(api, self.list);
        }
    }

    /// Stops the present campaign.
    fn end(&self, api: &Api) {
        api.stop(self.campaign);
    }
}
