//! Refusals that race a campaign: who has said no before a claim looks is not sent to, on however many instances.

use std::time::Duration;

use serde_json::json;

use super::ground_alone;
use crate::support::database::number;
use crate::support::fleet::Fleet;
use crate::support::provider::Provider;
use crate::support::stage::Stage;
use crate::support::turns::my_turn;
use crate::support::{Database, people};
use volley::store::Conn;

const PEOPLE: usize = 4_000;

/// Every second person refuses.
const REFUSALS: i64 = 2_000;

/// Refuses one after the other, in turns everything and the campaign's list, from the end of the audience to its beginning: the
/// campaign comes the other way. Each refusal is answered when its commit is; that moment is taken from the database's clock.
fn refuse_all(db: &Database) -> Vec<(i64, i64)> {
    let mut conn = db.connect();
    let now = match &conn {
        Conn::Pg(_) => "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT AS n",
        Conn::Sqlite(_) => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS n",
    };
    (0..REFUSALS)
        .map(|turn| {
            let n = i64::try_from(PEOPLE).unwrap() - 2 * turn;
            let refusal = match turn % 2 {
                0 => format!(
                    "INSERT INTO suppressions (address, channel, topic, unsubscribed_at, created_at, updated_at) \
                     VALUES ('{}', 'http', 0, 1, 0, 0)",
                    people::address(usize::try_from(n).unwrap())
                ),
                _ => format!("UPDATE list_members SET status = 'unsubscribed', status_at = 1 WHERE contact_id = {n}"),
            };
            let changed = diesel::RunQueryDsl::execute(diesel::sql_query(refusal), &mut conn).expect("refuse");
            assert_eq!(changed, 1, "person {n}");
            (n, number(&mut conn, now))
        })
        .collect()
}

/// Lets the refusals race the campaign, and looks at what the database says of both.
fn race(db: &Database, stage: &Stage) {
    let paced = json!({ "rate_per_second": 1_500 });
    let path = format!("/v1/campaigns/{}", stage.campaign);
    let body = Some(paced.to_string().into_bytes());
    stage.api.request(reqwest::Method::PATCH, &path, "application/json", body, &[]).unwrap();
    stage.api.send(stage.campaign);
    stage.api.wait(stage.campaign, "everyone is packed", Duration::from_secs(60), |seen| {
        seen.stats.total == u64::try_from(PEOPLE).unwrap()
    });
    // Some have got their message before anybody says no, however fast the one and the other are.
    stage.wait_reached(PEOPLE / 10);
    let refused = refuse_all(db);
    let ended = stage.wait_ended();
    db.execute("CREATE TABLE refused (contact_id BIGINT PRIMARY KEY, at BIGINT NOT NULL)");
    let rows: Vec<String> = refused.iter().map(|(contact, at)| format!("({contact}, {at})")).collect();
    db.execute(&format!("INSERT INTO refused (contact_id, at) VALUES {}", rows.join(", ")));
    let of_refused = |rest: &str| {
        db.number(&format!(
            "SELECT count(*) AS n FROM deliveries AS d JOIN refused AS r ON r.contact_id = d.contact_id WHERE {rest}"
        ))
    };
    assert_eq!(
        of_refused("d.state <> 'skipped' AND d.claimed_at > r.at"),
        0,
        "sent to somebody who had refused before"
    );
    let (before, after) =
        (of_refused("d.state = 'skipped' AND d.reason = 'unsubscribed'"), of_refused("d.state = 'sent'"));
    assert_eq!(before + after, REFUSALS, "{}", ended.body);
    assert!(before > 100 && after > 100, "it was no race: {before} refused before their turn, {after} after it");
    assert_eq!(ended.body["stats"]["skipped_by_reason"], json!({ "unsubscribed": before }));
    let missing = stage.provider.ledger().missing(&people::addresses(PEOPLE));
    assert_eq!(
        i64::try_from(missing.len()).unwrap(),
        before,
        "who was skipped has got nothing, and everybody else has"
    );
}

#[test]
fn refusals_race_a_campaign_of_three_instances_while_the_broker_is_away() {
    let _turn = my_turn();
    let Some((db, broker)) = ground_alone("refusals_race_a_campaign_of_three_instances") else { return };
    let crowd = (Provider::webhook((5, 10)), PEOPLE);
    let fleet = Fleet::set(&db, &broker.url(), crowd, 3, |_, builder| builder.settings("[sending]\npage_size = 100"));
    broker.kill();
    race(&db, &fleet.stage);
    // Other tests use it, too.
    broker.start_again();
    fleet.stop();
}

#[test]
fn refusals_race_a_campaign_of_one_instance_on_sqlite() {
    let _turn = my_turn();
    let db = Database::sqlite();
    let stage = Stage::set(&db, Provider::webhook((5, 10)), PEOPLE, |builder| builder);
    race(&db, &stage);
    stage.volley.stop();
}
