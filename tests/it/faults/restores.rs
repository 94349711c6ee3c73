//! A backup that is taken while a campaign sends, and restored into an empty place after everything else is lost: what
//! docs/backup.md says happens.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Database;
use crate::support::api::{Api, Campaign};
use crate::support::database::leave_out;
use crate::support::provider::Provider;
use crate::support::stage::{LONG, QUIET, Stage};
use crate::support::turns::shared_turn;
use crate::support::volley::Volley;
use crate::support::waiting::stays;

const PEOPLE: usize = 800;

/// So many are handed over between the backup and the loss, at least.
const LOST: usize = 100;

/// Who has the message at a moment of the first life.
fn reached(provider: &Provider) -> BTreeSet<String> {
    provider.ledger().entries().accepted.keys().cloned().collect()
}

/// Starts on the restored database without pools, looks at the books, and leaves the campaign paused.
fn look_without_pools(restored: &Database, stage: &Stage, is_paused_by_itself: bool) -> Campaign {
    let before = stage.provider.ledger().begun();
    let volley = Volley::on(restored).start();
    let api = volley.api();
    if is_paused_by_itself {
        let paused = api.campaign(stage.campaign);
        assert_eq!(
            (paused.status.as_str(), paused.attention.as_deref()),
            ("paused", Some("database_rewound")),
            "{}",
            paused.body
        );
    } else {
        let missing = |campaign: &Campaign| campaign.attention.as_deref() == Some("pool_missing");
        let goes_on = api.wait(stage.campaign, "the pool is missed", LONG, missing);
        assert_eq!(goes_on.status, "sending");
        api.pause(stage.campaign);
    }
    // Who was claimed when the backup was taken: nobody can say whether they have the message.
    let settled = api.wait(stage.campaign, "the claims of the backup are settled", LONG, |it| it.stats.sending == 0);
    assert_eq!(settled.status, "paused");
    assert_eq!(usize::try_from(settled.stats.total).unwrap(), PEOPLE, "everyone was packed before the backup");
    api.audit(stage.campaign);
    stays("nothing is sent without pools", QUIET, || stage.provider.ledger().begun() == before);
    volley.stop();
    settled
}

/// Takes a backup while it sends, loses the rest, restores it and sends to those who are left.
fn is_restored(db: &Database, restored: &Database, back_up: impl Fn(&Path), restore: impl Fn(&Path)) {
    let is_postgres = restored.url().starts_with("postgres");
    let mut stage = Stage::set(db, Provider::smtp((250, 350)), PEOPLE, |builder| builder);
    stage.api.send(stage.campaign);
    let is_packed = |campaign: &Campaign| usize::try_from(campaign.stats.total).unwrap() == PEOPLE;
    stage.api.wait(stage.campaign, "everyone is packed", LONG, is_packed);
    stage.wait_reached(100);
    let at_backup = reached(&stage.provider);
    let copy = db.folder().join("backup");
    back_up(&copy);
    stage.wait_reached(reached(&stage.provider).len() + LOST);
    stage.volley.kill_9();
    restore(&copy);
    let settled = look_without_pools(restored, &stage, is_postgres);
    // By now the relay has also answered what was on the wire when the process died.
    let at_loss = reached(&stage.provider);
    assert!(at_loss.len() < PEOPLE, "the campaign was over before anything was lost");
    let uncertain = usize::try_from(settled.stats.uncertain).unwrap();
    assert_eq!(settled.stats.sent + settled.stats.uncertain + settled.stats.pending, settled.stats.total);

    let volley = Volley::on(restored).pool(stage.provider.pool()).start();
    let api = volley.api();
    let before = stage.provider.ledger().begun();
    stays("what is paused stays paused", QUIET, || stage.provider.ledger().begun() == before);
    api.resume(stage.campaign);
    let ended = api.wait_ended(stage.campaign, LONG);
    assert_eq!(ended.status, "sent", "{}", ended.body);
    assert_eq!(usize::try_from(ended.stats.uncertain).unwrap(), uncertain, "nothing new is in doubt: {}", ended.body);
    assert_eq!(ended.stats.sent + ended.stats.uncertain, ended.stats.total, "{}", ended.body);

    let ledger = stage.provider.ledger();
    let twice: BTreeSet<String> = ledger.twice().into_iter().collect();
    assert!(!twice.is_empty(), "docs/backup.md says that they get it twice");
    assert!(twice.is_disjoint(&at_backup), "the backup knew of them: {:?}", twice.intersection(&at_backup).next());
    assert!(twice.is_subset(&at_loss), "nobody gets it twice in one life");
    let in_doubt: BTreeSet<String> = api.deliveries(stage.campaign, "uncertain").iter().map(Api::address_of).collect();
    let unreached = ledger.missing(&stage.everyone);
    assert!(unreached.is_subset(&in_doubt), "somebody is lost without a word");
    println!("twice: {}, uncertain: {uncertain}, {} of these never got it", twice.len(), unreached.len());
    volley.stop();
}

#[test]
fn a_backup_of_sqlite_taken_while_sending_is_restored_and_its_books_balance() {
    let _turn = shared_turn();
    let (db, restored) = (Database::sqlite(), Database::sqlite());
    let back_up = |copy: &Path| {
        db.execute(&format!("VACUUM INTO '{}'", copy.display()));
    };
    let restore = |copy: &Path| {
        let file = restored.url().strip_prefix("sqlite://").map(PathBuf::from).unwrap();
        std::fs::copy(copy, file).unwrap();
        assert_eq!(restored.text("SELECT integrity_check AS t FROM pragma_integrity_check"), "ok");
    };
    is_restored(&db, &restored, back_up, restore);
}

/// A program of PostgreSQL, from where the servers of the tests come from.
fn postgres_program(name: &str) -> Command {
    let folder = std::env::var_os("VOLLEY_TEST_PG_BIN").map(PathBuf::from).unwrap_or_default();
    Command::new(folder.join(name))
}

#[test]
fn a_backup_of_postgres_taken_while_sending_is_restored_and_its_books_balance() {
    let test = "a_backup_of_postgres_taken_while_sending_is_restored_and_its_books_balance";
    let _turn = shared_turn();
    if ["pg_dump", "pg_restore"].iter().any(|name| postgres_program(name).arg("--version").output().is_err()) {
        let _left_out: Option<()> = leave_out(test, "there is no pg_dump", "VOLLEY_TEST_REQUIRE_POSTGRES");
        return;
    }
    // Another server, as after the loss of the first.
    let (Some(db), Some(restored)) = (Database::own_postgres(test), Database::own_postgres(test)) else { return };
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let back_up = |copy: &Path| {
        let mut dump = postgres_program("pg_dump");
        run(dump.args(["--format=custom", "--no-owner", "--file"]).arg(copy).arg(db.url()));
    };
    let restore = |copy: &Path| {
        let mut restore = postgres_program("pg_restore");
        run(restore.args(["--exit-on-error", "--no-owner", "--dbname", &restored.url()]).arg(copy));
    };
    is_restored(&db, &restored, back_up, restore);
}
