use volley::channels::{Channel, build};
use volley::domain::dispatch::outcome::{NotBegun, Outcome};

use super::{Turnstile, envelope, kind, pool};

fn sandbox(failure_rate: f64) -> Box<dyn Channel> {
    build(&pool("sandbox", serde_json::json!({"latency_ms": [0, 0], "failure_rate": failure_rate}))).unwrap()
}

#[tokio::test]
async fn the_share_of_refusals_is_the_one_asked_for_half_of_them_final() {
    let (channel, gate) = (sandbox(0.5), Turnstile::default());
    let (mut rejected, mut deferred) = (0, 0);
    for _ in 0..1_000 {
        match kind(&channel.deliver(&envelope(), &gate).await) {
            "rejected" => rejected += 1,
            "deferred" => deferred += 1,
            other => assert_eq!(other, "accepted"),
        }
    }
    // Nine standard deviations: a quarter of 1,000 give or take 14.
    assert!((125..375).contains(&rejected) && (125..375).contains(&deferred), "{rejected} + {deferred}");
    assert_eq!(gate.asked(), 1_000);
}

#[tokio::test]
async fn a_sandbox_without_failures_accepts_and_a_shut_gate_stops_it() {
    let channel = sandbox(0.0);
    assert_eq!(kind(&channel.deliver(&envelope(), &Turnstile::default()).await), "accepted");
    let shut = Turnstile::shut(NotBegun::Paused);
    assert_eq!(channel.deliver(&envelope(), &shut).await, Outcome::NotBegun(NotBegun::Paused));
    assert!(channel.probe().await.is_ok());
}

#[test]
fn settings_that_contradict_themselves_are_refused() {
    for more in [serde_json::json!({"latency_ms": [2, 1]}), serde_json::json!({"failure_rate": 1.5})] {
        assert!(build(&pool("sandbox", more.clone())).is_err(), "{more}");
    }
}
