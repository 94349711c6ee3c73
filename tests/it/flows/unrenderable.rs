//! Content that cannot be rendered for everybody.

use serde_json::json;

use crate::support::both_backends;
use crate::support::people;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};

/// A text that cannot be rendered for those of whom `condition` holds.
fn fails_if(condition: &str) -> serde_json::Value {
    json!({ "body_text": format!("{{{{ 10 // (0 if {condition} else 1) }}}} reasons, {{first_name}}") })
}

both_backends! {
    fn a_campaign_that_too_many_cannot_be_rendered_for_is_paused_and_goes_on_when_resumed(db: &Database) {
        // One in seventeen lives there.
        let in_town_3 = fails_if("city == 'Town 3'");
        let stage = Stage::with(db, Provider::webhook((0, 2)), 2_000, |builder| builder, &in_town_3);
        stage.api.send(stage.campaign);
        let paused = stage.api.wait(stage.campaign, "it is paused", LONG, |campaign| campaign.status == "paused");
        assert_eq!(paused.attention.as_deref(), Some("content_unusable"), "{}", paused.body);
        let quiet = |campaign: &crate::support::api::Campaign| campaign.stats.sending == 0;
        let paused = stage.api.wait(stage.campaign, "what was begun has ended", LONG, quiet);
        assert!(paused.stats.failed > 1 && paused.stats.pending > 0, "{}", paused.body);
        // Every instance hears of it as of an operator's pause.
        let receipt = stage.api.get(&format!("/v1/campaigns/{}/receipt", stage.campaign));
        assert_eq!(receipt["action"], "pause", "{receipt}");
        let failed = stage.api.deliveries(stage.campaign, "failed");
        assert!(failed.iter().all(|delivery| delivery["error_category"] == "render"), "{:?}", failed.first());
        stage.api.resume(stage.campaign);
        let ended = stage.wait_ended();
        let unlucky = (1..=2_000_u64).filter(|n| n % 17 == 3).count();
        let expected = ("sent", u64::try_from(unlucky).unwrap(), None);
        assert_eq!((ended.status.as_str(), ended.stats.failed, ended.attention.clone()), expected, "{}", ended.body);
        assert_eq!(ended.stats.sent + ended.stats.failed, 2_000, "{}", ended.body);
        stage.provider.ledger().assert_nobody_twice();
        stage.volley.stop();
    }

    fn a_few_who_cannot_be_rendered_fail_and_hold_up_nobody(db: &Database) {
        let person_7 = fails_if(&format!("email == '{}'", people::address(7)));
        let stage = Stage::with(db, Provider::webhook((0, 2)), 300, |builder| builder, &person_7);
        stage.api.send(stage.campaign);
        let ended = stage.wait_ended();
        assert_eq!((ended.stats.sent, ended.stats.failed), (299, 1), "{}", ended.body);
        stage.volley.stop();
    }
}
