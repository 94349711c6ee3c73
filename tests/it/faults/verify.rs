//! `volley verify`, the adversary that ships with the program, run as anybody would run it.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::{Pid, test_kill_process_group};
use serde_json::{Value, json};
use volley::verify::servers::rabbitmq::RabbitMq;

use crate::support::Database;
use crate::support::database::is_long;
use crate::support::rabbitmq::Broker;
use crate::support::server::Server;
use crate::support::turns::my_turn;
use crate::support::waiting::{wait_for, wait_until};

/// Leases are shorter than by default, so that frozen and killed owners are seen to lose theirs in a short plan.
const SETTINGS: &[(&str, &str)] = &[
    ("VOLLEY_TIMING__LEASE_MS", "4000"),
    ("VOLLEY_TIMING__LEASE_RENEW_MS", "800"),
    ("VOLLEY_TIMING__LEASE_TRUST_MS", "3200"),
];

/// `volley verify` with these arguments and a report.
fn verify(arguments: &str) -> (Output, Value) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_volley"))
        .arg("verify")
        .args(arguments.split_whitespace())
        .arg("--report")
        .arg(&report)
        .env_clear()
        .env("PATH", path())
        .envs(SETTINGS.iter().copied())
        .output()
        .unwrap();
    let report = std::fs::read(report).map_or(Value::Null, |json| serde_json::from_slice(&json).unwrap());
    (output, report)
}

/// Where the programs are that it runs.
fn path() -> OsString {
    let programs = std::env::var_os("VOLLEY_TEST_PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path))).unwrap()
}

fn words(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn sum(report: &Value, field: &str) -> u64 {
    report["accounts"].as_array().unwrap().iter().map(|account| account[field].as_u64().unwrap()).sum()
}

#[test]
fn where_nothing_breaks_everyone_is_sent_to_once() {
    let (output, report) = verify("--faults none --recipients 1001 --duration 2 --seed 1");
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains("PASSED"), "{}", words(&output));
    assert_eq!((sum(&report, "recipients"), sum(&report, "sent")), (1_001, 1_001), "{report:#}");
    assert_eq!(report["records"], Value::Array(vec![]));
    assert_eq!((&report["passed"], &report["seed"]), (&Value::Bool(true), &Value::from(1)));
}

#[test]
fn a_heavy_plan_against_three_instances_loses_nobody_and_reaches_nobody_twice() {
    let _turn = my_turn();
    let test = "a_heavy_plan_against_three_instances_loses_nobody_and_reaches_nobody_twice";
    if Database::postgres(test).is_none() {
        return;
    }
    let broker = if Broker::shared(test).is_some() { "" } else { "--no-broker" };
    let (output, report) = verify(&format!(
        "--faults heavy --recipients 30000 --duration 60 --instances 3 --seed 20261121 --private {broker}"
    ));
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(sum(&report, "recipients"), 30_000);
    for wrong in ["lost", "twice", "misreported"] {
        assert_eq!(sum(&report, wrong), 0, "{wrong}: {}", words(&output));
    }
    assert_eq!(report["violations"], 0);
    assert!(report["looks"].as_u64().unwrap() > 100, "{}", words(&output));
    assert_eq!(report["broker"], Value::Bool(broker.is_empty()));
    let records = report["records"].as_array().unwrap();
    let began = |kind: &str| records.iter().any(|one| one["kind"] == kind && !one["began_ms"].is_null());
    for kind in ["kill", "freeze", "pause", "restart_database", "database_link", "provider"] {
        assert!(began(kind), "the plan had no {kind}: {records:#?}");
    }
}

/// With `scripts/test --long`.
#[test]
fn twenty_seeds_of_the_heavy_plan_pass() {
    if !is_long() {
        return;
    }
    let _turn = my_turn();
    for seed in 101..=120 {
        let arguments = format!("--faults heavy --recipients 10000 --duration 30 --seed {seed} --private");
        let (output, _) = verify(&arguments);
        assert!(output.status.success(), "seed {seed}: {}", words(&output));
        println!("{}", words(&output));
    }
}

#[test]
fn private_servers_end_with_a_process_that_is_killed() {
    let test = "private_servers_end_with_a_process_that_is_killed";
    if Broker::shared(test).is_none() || Database::postgres(test).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The servers run as other users.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let place = folder.path().join("servers");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o777)).unwrap();
    let mut verify = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", env!("CARGO_BIN_EXE_volley"), "verify", "--private"])
        .env_clear()
        .env("PATH", path())
        .env("TMPDIR", &place)
        .spawn()
        .unwrap();
    let number = |file: &str, word: &str| wait_for(file, Duration::from_secs(120), || first_number(&place, file, word));
    let (broker, database) = (number("group", ""), number("data/postmaster.pid", "ready"));
    verify.kill().unwrap();
    verify.wait().unwrap();
    wait_until("the broker has ended", Duration::from_secs(30), || test_kill_process_group(broker).is_err());
    wait_until("PostgreSQL has ended", Duration::from_secs(30), || test_kill_process_group(database).is_err());
    wait_until("their folders are gone", Duration::from_secs(30), || {
        let left = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        !left.into_iter().any(|name| name.starts_with("volley-mq-") || name.starts_with("volley-pg-"))
    });
}

/// The process whose number begins `file` of one of the folders in `place`, once the file has this `word`, too.
fn first_number(place: &Path, file: &str, word: &str) -> Option<Pid> {
    let mut texts = std::fs::read_dir(place).ok()?.flatten().filter_map(|folder| {
        let text = std::fs::read_to_string(folder.path().join(file)).ok()?;
        text.lines().next().filter(|_| text.contains(word))?.trim().parse().ok()
    });
    texts.next().and_then(Pid::from_raw)
}

#[test]
fn a_private_rabbitmq_comes_back_after_a_crash() {
    let test = "a_private_rabbitmq_comes_back_after_a_crash";
    if Broker::shared(test).is_none() {
        return;
    }
    let broker = RabbitMq::start().unwrap();
    let url = broker.url();
    broker.kill();
    broker.start_again().unwrap();
    assert_eq!(broker.url(), url);
}

#[test]
fn a_database_with_campaigns_is_left_alone() {
    let test = "a_database_with_campaigns_is_left_alone";
    let Some(db) = Database::postgres(test) else { return };
    let server = Server::on(&db);
    let api = server.api();
    let list = api.a_list_of(1);
    let template = api.create_template("email", "Hello", "Hello");
    api.post(
        "/v1/campaigns",
        &json!({"name": "ours", "channel": "email", "template_id": template, "audience": {"lists": [list]}}),
    );
    let (output, _) = verify(&format!("--faults none --database {}", db.url()));
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("it holds campaigns"), "{}", words(&output));
}

#[test]
fn options_that_cannot_work_are_refused_before_anything_starts() {
    for (arguments, code, why) in [
        ("--instances 2", 1, "the embedded database belongs to one instance"),
        ("--database sqlite://x.db", 1, "postgres://"),
        ("--broker amqp://127.0.0.1", 2, "--database"),
        ("--private --database postgres://127.0.0.1/x", 2, "cannot be used with"),
        ("--faults some", 2, "heavy"),
        ("--recipients 1", 2, "--recipients"),
    ] {
        let (output, _) = verify(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {}", words(&output));
        assert!(words(&output).contains(why), "{arguments}: {}", words(&output));
    }
}
