//! `volley serve` under a supervisor that listens, as systemd does, and `volley health`, which asks it how it is.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use serde_json::Value;

use super::{nobody, stderr, stdout, volley_with};
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

/// The socket of NOTIFY_SOCKET.
struct Supervisor {
    socket: UnixDatagram,
    path: String,
}

impl Supervisor {
    fn beside(db: &Database) -> Self {
        let path = db.folder().join("notify.socket");
        Self { socket: UnixDatagram::bind(&path).unwrap(), path: path.to_str().unwrap().to_owned() }
    }

    /// One whose socket has a name and no file.
    fn without_a_file() -> Self {
        let name = format!("volley-notify-{}", std::process::id());
        let addr = SocketAddr::from_abstract_name(&name).unwrap();
        Self { socket: UnixDatagram::bind_addr(&addr).unwrap(), path: format!("@{name}") }
    }

    /// A process on this database that knows the socket.
    fn start(&self, db: &Database) -> Volley {
        let mut volley = Volley::on(db).pool(Pool::sandbox("main", "email")).prepare();
        volley.spawn_with(&[("NOTIFY_SOCKET", &self.path)]);
        volley
    }

    /// The next message, which comes within `patience`. Each line of it is an assignment.
    fn hear(&self, patience: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut message = [0; 4096];
        match self.socket.recv(&mut message) {
            Ok(length) => Some(std::str::from_utf8(&message[..length]).unwrap().lines().map(str::to_owned).collect()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message, which comes some time.
    fn wait(&self) -> Vec<String> {
        self.hear(Duration::from_secs(30)).expect("the instance says something")
    }
}

fn says(message: &[String], assignment: &str) -> bool {
    message.iter().any(|line| line == assignment)
}

fn has_status(message: &[String], word: &str) -> bool {
    message.iter().any(|line| line.starts_with("STATUS=") && line.contains(word))
}

/// `volley health` of the instance that listens at this port.
fn health(port: u16, args: &[&str]) -> (Option<i32>, String) {
    let addr = format!("0.0.0.0:{port}");
    let output = volley_with(&[&["health"], args].concat(), &[("VOLLEY_HTTP__ADDR", &addr)]);
    assert_eq!(stderr(&output), "");
    (output.status.code(), stdout(&output))
}

both_backends! {
    fn a_supervisor_hears_when_the_instance_takes_requests_and_when_it_begins_to_stop(db: &Database) {
        let supervisor = Supervisor::beside(db);
        let mut volley = supervisor.start(db);
        let first = supervisor.wait();
        assert!(has_status(&first, "starting") && !says(&first, "READY=1"), "{first:?}");
        let ready = supervisor.wait();
        assert!(says(&ready, "READY=1") && has_status(&ready, &volley.port().to_string()), "{ready:?}");
        // Asked once: what is ready is not waited for.
        assert_eq!(volley.api().try_get("/readyz").map(|answer| answer.status).unwrap(), 200);
        assert_eq!(supervisor.hear(Duration::from_millis(300)), None, "nothing is said while nothing happens");
        let (status, _) = volley.sigterm();
        assert!(status.success());
        let last = supervisor.wait();
        assert!(says(&last, "STOPPING=1") && has_status(&last, "stopping"), "{last:?}");
    }

    fn health_is_one_line_and_an_exit_code(db: &Database) {
        let volley = Volley::on(db).pool(Pool::sandbox("main", "email")).start();
        assert_eq!(health(volley.port(), &[]), (Some(0), "ready\n".to_owned()));
        assert_eq!(health(volley.port(), &["--live"]), (Some(0), "ok\n".to_owned()));
        let (code, told) = health(volley.port(), &["--json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((code, &told["healthy"], &told["detail"]), (Some(0), &Value::Bool(true), &Value::from("ready")));
        let elsewhere = format!("http://user:s3cret@127.0.0.1:{}/prefix/", volley.port());
        let (code, told) = health(1, &["--url", &elsewhere]);
        assert!(code == Some(1) && told.contains("does not answer like Volley (HTTP 404)"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
        volley.stop();
    }
}

#[test]
fn health_of_nobody_is_a_failure_in_one_line() {
    let server = nobody();
    let output = volley_with(&["health", "--url", &server], &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    assert!(told.lines().count() == 1 && told.contains(&server) && told.contains("refused"), "{told}");
    let anywhere = volley_with(&["health"], &[("VOLLEY_HTTP__ADDR", "127.0.0.1:0")]);
    assert!(anywhere.status.code() == Some(1) && stderr(&anywhere).contains("--url"), "{}", stderr(&anywhere));
    let impatient = volley_with(&["health", "--timeout", "0"], &[]);
    assert_eq!(impatient.status.code(), Some(2));
}

#[test]
fn an_instance_that_waits_for_its_database_is_not_called_ready_and_one_that_lost_it_is_not_healthy() {
    let Some(db) = Database::own_postgres(module_path!()) else { return };
    db.server().stop_immediately();
    let supervisor = Supervisor::beside(&db);
    let volley = supervisor.start(&db);
    assert!(has_status(&supervisor.wait(), "starting"));
    wait_until("it waits for the database", Duration::from_secs(30), || volley.log().contains("database.waiting"));
    assert_eq!(supervisor.hear(Duration::from_millis(500)), None);
    db.server().start_again();
    let ready = supervisor.wait();
    assert!(says(&ready, "READY=1"), "{ready:?}");
    assert_eq!(health(volley.port(), &[]).0, Some(0));
    db.server().stop_immediately();
    wait_until("the loss is noticed", Duration::from_secs(30), || health(volley.port(), &[]).0 == Some(1));
    let (code, told) = health(volley.port(), &[]);
    assert!(code == Some(1) && told.starts_with("unavailable: database_unavailable"), "{told}");
    assert_eq!(health(volley.port(), &["--live"]), (Some(0), "ok\n".to_owned()), "a restart would not help");
}

#[test]
fn a_supervisor_whose_socket_has_no_file_hears_the_same() {
    let db = Database::sqlite();
    let supervisor = Supervisor::without_a_file();
    let mut volley = supervisor.start(&db);
    let first = supervisor.wait();
    assert!(has_status(&first, "starting"), "{first:?}");
    let ready = supervisor.wait();
    assert!(says(&ready, "READY=1") && has_status(&ready, &volley.port().to_string()), "{ready:?}");
    assert!(volley.sigterm().0.success());
    assert!(says(&supervisor.wait(), "STOPPING=1"));
    assert!(!volley.log().contains("supervisor.unreachable"), "{}", volley.log());
}

#[test]
fn a_supervisor_that_is_gone_keeps_nobody_from_serving() {
    let db = Database::sqlite();
    let supervisor = Supervisor::beside(&db);
    std::fs::remove_file(&supervisor.path).unwrap();
    let mut volley = supervisor.start(&db);
    volley.wait_ready();
    assert!(volley.log().contains("supervisor.unreachable"), "{}", volley.log());
    volley.stop();
}
