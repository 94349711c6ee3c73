//! A message that cannot be made for one of its recipients.

use serde_json::json;

use crate::support::api::Api;
use crate::support::both_backends;
use crate::support::people;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, Stage};

both_backends! {
    fn a_recipient_whose_message_cannot_be_made_fails_alone(db: &Database) {
        let subject = json!({ "subject": "{first_name}" });
        let stage = Stage::with(db, Provider::smtp((0, 2)), 60, |builder| builder, &subject);
        let nameless = people::address(7);
        // A mail without a subject is not sent.
        assert_eq!(db.execute(&format!("UPDATE contacts SET first_name = NULL WHERE email = '{nameless}'")), 1);
        stage.api.send(stage.campaign);
        let ended = stage.api.wait_ended(stage.campaign, LONG);
        assert_eq!((ended.status.as_str(), ended.stats.failed, ended.stats.sent), ("sent", 1, 59), "{}", ended.body);
        let failed = &stage.api.deliveries(stage.campaign, "failed")[0];
        assert_eq!(Api::address_of(failed), nameless);
        assert_eq!((&failed["error_category"], &failed["error"]), (&json!("render"), &json!("subject is empty")), "{failed}");
        let others: Vec<String> = stage.everyone.iter().filter(|who| **who != nameless).cloned().collect();
        stage.provider.ledger().assert_each_once(&others);
        stage.volley.stop();
    }
}
