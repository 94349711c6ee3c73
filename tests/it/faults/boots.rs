//! The machine lost power: what the journal does not say may have happened all the same.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::both_backends;
use crate::support::provider::{POOL, Provider};
use crate::support::stage::{LONG, Stage};
use crate::support::turns::shared_turn;
use crate::support::waiting::wait_until;
use crate::support::{Database, people};

const SENDING: &str = "SELECT count(*) AS n FROM deliveries WHERE state = 'sending'";
const ANOTHER_BOOT: &str = "00000000-0000-4000-8000-000000000000";

/// Kills a process that has claimed people and begun with nobody: their connections are not ready yet. Answers how many
/// those are.
fn killed_before_anything_began(db: &Database) -> (Stage, u64) {
    let provider = Provider::smtp((0, 2));
    provider.hang();
    let patient = provider.pool().set("timeout_seconds", "60");
    let volley =
        crate::support::volley::Volley::on(db).settings("[timing]\nstart_deadline_ms = 60000").pool(patient).start();
    let api = volley.api();
    let list = api.a_list_of(300);
    let campaign = api.create_campaign("email", POOL, list, &json!({}));
    let mut stage = Stage { volley, api, provider, campaign, everyone: people::addresses(300) };
    stage.api.send(stage.campaign);
    wait_until("people are claimed", LONG, || db.number(SENDING) > 0);
    stage.volley.kill_9();
    let sending = u64::try_from(db.number(SENDING)).unwrap();
    assert!(sending > 0);
    assert_eq!(stage.provider.ledger().begun(), 0);
    (stage, sending)
}

/// Makes the journals, and the incarnations that wrote them, those of an earlier boot of the machine.
fn reboot(db: &Database) {
    db.execute(&format!("UPDATE instances SET boot_id = '{ANOTHER_BOOT}'"));
    let folder = db.folder().join("data/instances/1");
    let journals = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rewritten =
        journals.filter(|path| path.extension().is_some_and(|ending| ending == "log")).map(|path| age(&path));
    assert!(rewritten.count() > 0, "there is no journal");
}

/// Rewrites a journal's header.
fn age(journal: &Path) {
    let text = fs::read_to_string(journal).unwrap();
    let aged = text.lines().map(|line| {
        let content = line.split_once(' ').map_or("", |(_, content)| content);
        let Some(header) = content.strip_prefix("H ") else { return format!("{line}\n") };
        let (instance, _) = header.split_once(' ').unwrap();
        let content = format!("H {instance} {ANOTHER_BOOT}");
        format!("{:08x} {content}\n", crc32fast::hash(content.as_bytes()))
    });
    let aged: String = aged.collect();
    assert!(aged.contains(ANOTHER_BOOT), "the journal has no header: {text}");
    fs::write(journal, aged).unwrap();
}

both_backends! {
    fn after_a_power_cut_everyone_who_was_claimed_is_uncertain(db: &Database) {
        let _turn = shared_turn();
        let (mut stage, sending) = killed_before_anything_began(db);
        reboot(db);
        stage.volley.start();
        assert_eq!(stage.api.campaign(stage.campaign).stats.uncertain, sending, "somebody was presumed not begun");
        stage.provider.recover();
        stage.assert_missing_are_uncertain(sending);
        assert_eq!(stage.api.campaign(stage.campaign).stats.uncertain, sending);
        stage.volley.stop();
    }

    fn after_a_kill_the_journal_gives_back_everyone_who_was_not_begun(db: &Database) {
        let _turn = shared_turn();
        let (mut stage, _) = killed_before_anything_began(db);
        stage.volley.start();
        assert_eq!(stage.api.campaign(stage.campaign).stats.uncertain, 0);
        stage.provider.recover();
        stage.assert_everyone_once();
        stage.volley.stop();
    }
}
