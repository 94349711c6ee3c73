//! The commands that work on their own, as somebody at a terminal runs them one after the other.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use super::{nobody, stderr, stdout, volley_with};
use crate::support::volley::{Pool, Volley};
use crate::support::waiting::wait_until;
use crate::support::{Database, both_backends};

/// The command line over one database.
struct Terminal {
    url: String,
    data_dir: PathBuf,
}

impl Terminal {
    fn over(db: &Database) -> Self {
        Self { url: db.url(), data_dir: db.folder().join("data") }
    }

    fn run(&self, args: &[&str]) -> Output {
        let data_dir = self.data_dir.display().to_string();
        volley_with(args, &[("VOLLEY_DATABASE__URL", &self.url), ("VOLLEY_SENDING__DATA_DIR", &data_dir)])
    }

    /// What a command that succeeds prints.
    #[track_caller]
    fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    }

    /// What a command that fails complains.
    #[track_caller]
    fn fail(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stdout(&output));
        let complaint = stderr(&output);
        assert!(!complaint.contains("panicked"), "{complaint}");
        complaint
    }
}

/// What the API answers to somebody with this key.
fn status_with(volley: &Volley, key: &str) -> u16 {
    volley.api_with(key).try_get("/v1/lists").unwrap().status
}

both_backends! {
    fn migrate_applies_what_is_missing_once(db: &Database) {
        db.clear();
        let terminal = Terminal::over(db);
        assert!(terminal.succeed(&["migrate"]).starts_with("applied "));
        assert_eq!(terminal.succeed(&["migrate"]), "the schema is up to date\n");
        let applied: Value = serde_json::from_str(&terminal.succeed(&["migrate", "--json"])).unwrap();
        assert_eq!(applied["applied"], serde_json::json!([]));
    }

    fn a_key_is_made_listed_and_revoked_beside_a_serving_process(db: &Database) {
        let terminal = Terminal::over(db);
        let volley = Volley::on(db).pool(Pool::sandbox("main", "email")).start();
        let key = terminal.succeed(&["key", "create", "the shop", "--scope", "read", "--expires", "30d"]).trim().to_owned();
        assert_eq!(status_with(&volley, &key), 200);
        let listed = terminal.succeed(&["key", "list"]);
        assert!(listed.contains("the shop") && listed.contains(" read ") && !listed.contains(&key), "{listed}");
        let listed: Value = serde_json::from_str(&terminal.succeed(&["key", "list", "--json"])).unwrap();
        assert_eq!(listed["data"][0]["scope"], "read", "{listed}");
        assert!(listed["data"][0]["expires_at"].is_string(), "{listed}");
        let id = listed["data"][0]["id"].to_string();
        assert_eq!(terminal.succeed(&["key", "revoke", &id]), format!("key {id} revoked\n"));
        wait_until("the process has heard of it", Duration::from_secs(10), || status_with(&volley, &key) == 401);
        assert_eq!(terminal.succeed(&["key", "revoke", &id]), format!("key {id} revoked\n"), "once more changes nothing");
        let refused = terminal.fail(&["key", "revoke", "999"]);
        assert!(refused.contains("there is no active key 999"), "{refused}");
        let refused = terminal.fail(&["key", "create", "late", "--scope", "read", "--expires", "2020-01-01T00:00:00Z"]);
        assert!(refused.contains("is not in the future"), "{refused}");
        let misspelt = terminal.run(&["key", "create", "the shop", "--scope", "write"]);
        assert_eq!(misspelt.status.code(), Some(2), "{}", stdout(&misspelt));
        volley.stop();
    }

    fn the_doctor_says_what_is_wrong_and_that_nothing_is(db: &Database) {
        db.clear();
        let terminal = Terminal::over(db);
        let ill = terminal.run(&["doctor"]);
        assert_eq!(ill.status.code(), Some(1));
        let said = stdout(&ill);
        assert!(said.contains("WRONG  database") && said.contains("volley migrate"), "{said}");
        assert!(said.contains("WRONG  pools") && said.contains("[[pools]]"), "{said}");
        terminal.succeed(&["migrate"]);
        let config = db.folder().join("doctor.toml");
        let pool = "[[pools]]\nname = \"main\"\nchannel = \"email\"\nprovider = \"sandbox\"\n";
        let target = "[[targets]]\nname = \"crm\"\nurl = \"http://crm.example.com/\"\nsecret = \"whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh\"\n";
        std::fs::write(&config, format!("{pool}{target}")).unwrap();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
        let healthy = terminal.succeed(&["doctor", "--config", config.to_str().unwrap()]);
        let mut lines = healthy.lines();
        assert!(lines.by_ref().all(|line| line.starts_with("ok ") || line.starts_with("note ")), "{healthy}");
        assert!(healthy.contains("note   links.public_url") && healthy.contains("http://127.0.0.1:8080"), "{healthy}");
        assert!(healthy.contains("List-Unsubscribe-Post"), "{healthy}");
        assert!(healthy.contains("note   target crm") && healthy.contains("https://"), "{healthy}");
        assert!(healthy.contains("pool main") && healthy.contains("the sandbox is always there"), "{healthy}");
        let unreachable = config.with_file_name("unreachable.toml");
        let pool = format!(
            "[[pools]]\nname = \"gone\"\nchannel = \"http\"\nprovider = \"webhook\"\nurl = \"{}\"\n", nobody()
        );
        std::fs::write(&unreachable, pool).unwrap();
        let ill = terminal.run(&["doctor", "--json", "--config", unreachable.to_str().unwrap()]);
        assert_eq!(ill.status.code(), Some(1), "{}", stdout(&ill));
        let said: Value = serde_json::from_str(&stdout(&ill)).unwrap();
        let wrong: Vec<&Value> = said["findings"].as_array().unwrap().iter().filter(|one| one["ok"] == false).collect();
        assert_eq!((&said["healthy"], wrong.len()), (&Value::Bool(false), 1), "{said}");
        assert_eq!(wrong[0]["subject"], "pool gone", "{said}");
    }
}

both_backends! {
    fn each_rotation_makes_another_key_for_links(db: &Database) {
        let terminal = Terminal::over(db);
        let rotate = || {
            let said: Value = serde_json::from_str(&terminal.succeed(&["key", "rotate-links", "--json"])).unwrap();
            said["kid"].as_str().unwrap().to_owned()
        };
        let (one, two) = (rotate(), rotate());
        assert!(one != two && one.len() == 4, "{one} {two}");
        assert!(terminal.succeed(&["key", "rotate-links"]).contains("sign their links with key"));
        assert_eq!(db.number("SELECT count(*) AS n FROM link_keys"), 3, "no key is removed");
    }
}

#[test]
fn a_database_that_a_process_uses_is_not_migrated_under_it() {
    let db = Database::sqlite();
    let volley = Volley::on(&db).pool(Pool::sandbox("main", "email")).start();
    let refused = Terminal::over(&db).fail(&["migrate"]);
    assert!(refused.contains("another instance is using"), "{refused}");
    volley.stop();
}

#[test]
fn the_demo_sends_a_campaign_and_closes_its_books() {
    let db = Database::sqlite();
    let demo = Terminal::over(&db).run(&["demo", "--contacts", "120"]);
    assert!(demo.status.success(), "{}{}", stdout(&demo), stderr(&demo));
    let shown = stdout(&demo);
    assert!(shown.contains("The books balance: nobody lost, nobody twice."), "{shown}");
    assert!(shown.contains("= recipients") && shown.contains("120"), "{shown}");
    assert!(shown.contains("people unsubscribed meanwhile") && shown.contains("1 address bounced before"), "{shown}");
    for segment in ["With a first name: 105", "In Berlin or London: 20", "Ordered just now: 0"] {
        assert!(shown.contains(segment), "{shown}");
    }
    assert!(
        shown.contains("5 people order something") && shown.contains("they have left it, by time alone"),
        "{shown}"
    );
    let (_, table) = shown.split_once("ROWS COUNTED").unwrap();
    let row = |name: &str| {
        table.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("{shown}"))
    };
    let number = |name: &str| row(name).split_whitespace().nth(1).unwrap().parse::<u32>().unwrap();
    assert_eq!((number("suppressed"), number("unsubscribed"), number("skipped")), (1, 5, 6), "{shown}");
    let ends = ["sent", "  suppressed", "  unsubscribed"].map(|name| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.find(char::is_numeric).map(|at| at + line[at..].find(' ').unwrap_or(line.len() - at)).unwrap()
    });
    assert!(ends.iter().all(|end| *end == ends[0]), "numbers stand to the right: {shown}");
    assert!(!db.folder().join("data").exists(), "the demo has a place of its own");
}
