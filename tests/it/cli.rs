//! The command line as somebody at a terminal meets it.

mod bounce;
mod campaigns;
mod clients;
mod exports;
mod processes;
mod supervised;

use std::process::{Command, Output};

use crate::support::dns;
use crate::support::tmpfs::Tmpfs;

/// Runs `volley` with an environment of its own, so that settings of the machine do not reach it.
fn volley(args: &[&str]) -> Output {
    volley_with(args, &[])
}

fn volley_with(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_volley"));
    command.args(args).env_clear().envs(variables.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// An address on which nothing listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn help_tells_every_command() {
    let mut help = String::new();
    for command in [
        "",
        "serve",
        "migrate",
        "demo",
        "import",
        "contact",
        "contact export",
        "campaign",
        "campaign create",
        "campaign list",
        "campaign send",
        "campaign report",
        "campaign export",
        "list",
        "list subscribe",
        "list export",
        "segment",
        "segment create",
        "suppression",
        "suppression add",
        "overview",
        "search",
        "uncertain",
        "deliverability",
        "why",
        "bounce",
        "key",
        "doctor",
        "health",
        "verify",
        "dead-letter",
        "completions",
        "man",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = volley(&args);
        assert!(output.status.success(), "{command}");
        help.push_str(&format!("$ volley {}\n{}\n", args.join(" "), stdout(&output)));
    }
    insta::assert_snapshot!("help", help);
}

#[test]
fn help_as_a_word_says_what_the_flag_says() {
    for command in ["serve", "campaign", "campaign send", "import", "list subscribe", "key create", "demo"] {
        let words: Vec<&str> = command.split(' ').collect();
        let flag = volley(&[&words[..], &["--help"]].concat());
        let word = volley(&[&["help"], &words[..]].concat());
        assert!(word.status.success(), "{command}: {}", stderr(&word));
        assert_eq!(stdout(&word), stdout(&flag), "{command}");
    }
    let nested = volley(&["campaign", "help", "send"]);
    assert!(nested.status.success() && stdout(&nested).contains("--preflight"), "{}", stderr(&nested));
    let other_word = volley(&["campaign", "launch", "--help"]);
    assert!(other_word.status.success() && stdout(&other_word).contains("--preflight"), "{}", stderr(&other_word));
}

#[test]
fn shells_and_man_get_what_they_want_whatever_the_settings_say() {
    let broken = [("VOLLEY_HTTP__ADDR", "nowhere")];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = volley_with(&["completions", shell], &broken);
        assert!(output.status.success(), "{shell}: {}", stderr(&output));
        let script = stdout(&output);
        assert!(script.contains("retry-failed") && script.contains("preflight"), "{shell}");
    }
    let page = volley_with(&["man"], &broken);
    assert!(page.status.success() && stdout(&page).contains(".TH volley 1"), "{}", stdout(&page));
    let folder = tempfile::tempdir().unwrap();
    let output = volley(&["man", "--to", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    for page in ["volley.1", "volley-serve.1", "volley-campaign-send.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    assert!(!folder.path().join("volley-help.1").exists());
}

#[test]
fn no_color_is_honoured_on_a_terminal() {
    // A terminal is needed: `script` of util-linux makes one.
    let there = |program: &str| Command::new("which").arg(program).output().is_ok_and(|found| found.status.success());
    if !there("script") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let serve = |no_color: &[(&str, &str)]| {
        let data = folder.path().display();
        let command = format!(
            "VOLLEY_DATABASE__URL=sqlite://{data}/v.db VOLLEY_SENDING__DATA_DIR={data} timeout 5 {} serve --addr 127.0.0.1:0",
            env!("CARGO_BIN_EXE_volley")
        );
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm");
        let output = script.envs(no_color.iter().copied()).stdin(std::process::Stdio::null()).output().unwrap();
        stdout(&output)
    };
    let (coloured, plain) = (serve(&[]), serve(&[("NO_COLOR", "1")]));
    assert!(coloured.contains("instance.serving") && coloured.contains('\u{1b}'), "{coloured}");
    assert!(plain.contains("instance.serving") && !plain.contains('\u{1b}'), "{plain}");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for args in [
        &["dance"][..],
        &[],
        &["import"],
        &["campaign", "show", "seven"],
        &["campaign", "list", "--status", "asleep"],
        &["campaign", "list", "--page-size", "101"],
        &["campaign", "report", "1", "--raw"],
        &["demo", "--contacts", "0"],
        &["campaign", "send", "1", "--key", "vly_secret"],
        &["import", "x.csv", "--preset", "nobody"],
        &["import", "x.csv", "--map", "nothing"],
        &["dead-letter", "discard", "seven"],
        &["completions", "tcsh"],
        &["help", "dance"],
    ] {
        let output = volley(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("Usage") || stderr(&output).contains("--help"), "{args:?}");
    }
}

#[test]
fn config_prints_the_settings_in_force_without_secrets() {
    let variables = [
        ("VOLLEY_HTTP__ADDR", "127.0.0.1:9"),
        ("VOLLEY_AUTH__ROOT_KEY", "s3cret"),
        ("VOLLEY_DATABASE__URL", "postgres://u:s3cret@h/v"),
    ];
    let output = volley_with(&["config", "--log-level", "debug"], &variables);
    assert!(output.status.success(), "{}", stderr(&output));
    let shown: toml::Table = stdout(&output).parse().unwrap();
    assert_eq!(shown["http"]["addr"].as_str(), Some("127.0.0.1:9"));
    assert_eq!(shown["log"]["level"].as_str(), Some("debug"));
    assert_eq!(shown["database"]["url"].as_str(), Some("postgres://***@h/v"));
    assert!(!stdout(&output).contains("s3cret"));
    let output = volley_with(&["config", "--json"], &variables);
    let shown: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(shown["auth"]["root_key"], "***");
}

#[test]
fn a_bad_setting_ends_any_command_with_one_line() {
    for command in [&["serve"][..], &["config"], &["doctor"], &["campaign", "list"]] {
        let output = volley_with(command, &[("VOLLEY_HTTP__ADDR", "nowhere")]);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let complaint = stderr(&output);
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(complaint.contains("http.addr") && complaint.contains("VOLLEY_HTTP__ADDR"), "{complaint}");
    }
}

#[test]
fn a_wrong_value_of_a_flag_and_an_unknown_role_end_with_2_and_say_what_is_allowed() {
    let role = [("VOLLEY_INSTANCE__ROLE", "worker")];
    for (args, variables, told) in [
        (&["serve", "--only", "worker"][..], &[][..], "api"),
        (&["serve"], &role, "expected one of `all`, `api`, `sender`"),
        (&["serve", "--addr", "foo"], &[], "http.addr"),
        (&["campaign", "list", "--server", "foo"], &[], "cli.server"),
        (&["campaign", "list", "--log-level", "loud"], &[], "log.level"),
        (&["config", "--log-level", "foo="], &[], "log.level"),
        (&["config", "--log-level", "info,foo=,bar=debug"], &[], "log.level"),
        (&["config", "--config", "/nonexistent/volley.toml"], &[], "cannot read the settings file"),
    ] {
        let output = volley_with(args, variables);
        let complaint = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {complaint}");
        assert!(complaint.contains(told), "{args:?}: {complaint}");
    }
    // Nobody has typed this.
    let output = volley_with(&["config"], &[("VOLLEY_CONFIG", "/nonexistent/volley.toml")]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let filter = volley_with(&["config", "--log-level", "info,volley::actors=debug"], &[]);
    assert!(filter.status.success(), "{}", stderr(&filter));
}

#[test]
fn config_names_the_setting_that_a_pool_cannot_work_with() {
    let pool = |more: &str| {
        format!(
            r#"[{{"name": "gate", "channel": "sms", "provider": "webhook", "url": "https://sms.example.com/"{more}}}]"#
        )
    };
    let sound = volley_with(&["config"], &[("VOLLEY_POOLS", &pool(""))]);
    assert!(sound.status.success(), "{}", stderr(&sound));
    for (more, key) in [
        (r#", "body": "{\"to\": {{ to }""#, "pools[0].body: "),
        (r#", "body": "[{{ stranger }}]""#, "pools[0].body: "),
        (r#", "tls_ca_file": "/nonexistent/ca.pem""#, "pools[0].tls_ca_file: "),
    ] {
        let output = volley_with(&["config"], &[("VOLLEY_POOLS", &pool(more))]);
        assert_eq!(output.status.code(), Some(1), "{more}");
        let complaint = stderr(&output);
        assert_eq!((complaint.lines().count(), stdout(&output).as_str()), (1, ""), "{complaint}");
        assert!(complaint.contains(key), "{key} is not named: {complaint}");
    }
}

/// What `doctor` found of each subject, and whether it was well.
fn findings(variables: &[(&str, &str)]) -> Vec<(String, bool, String)> {
    findings_with(&[], variables)
}

/// The same with more arguments.
fn findings_with(args: &[&str], variables: &[(&str, &str)]) -> Vec<(String, bool, String)> {
    let output = volley_with(&[&["doctor", "--json"], args].concat(), variables);
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    all.map(|found| (text(&found["subject"]), found["ok"] == true, text(&found["detail"]))).collect()
}

#[test]
fn doctor_looks_at_the_folder_of_an_embedded_database_too() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = ("VOLLEY_SENDING__DATA_DIR", data.path().to_str().unwrap());
    let file = data.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let below_a_file = format!("sqlite://{}/volley.db", file.display());
    let found = findings(&[data_dir, ("VOLLEY_DATABASE__URL", &below_a_file)]);
    let of = |subject: &str| found.iter().find(|(known, ..)| known == subject).unwrap_or_else(|| panic!("{found:?}"));
    assert!(of("sending.data_dir").1, "{found:?}");
    assert!(!of("database.url").1 && of("database.url").2.contains("cannot be written"), "{found:?}");
    let Some(small) = Tmpfs::mount(8) else { return };
    let on_small = format!("sqlite://{}/volley.db", small.path().display());
    let found = findings(&[data_dir, ("VOLLEY_DATABASE__URL", &on_small)]);
    let of = |subject: &str| found.iter().find(|(known, ..)| known == subject).unwrap_or_else(|| panic!("{found:?}"));
    assert!(of("database.url").1, "{found:?}");
    let (_, well, detail) = of("disk of database.url");
    assert!(!well && detail.contains("MiB free") && detail.contains("database.url"), "{detail}");
}

#[test]
fn doctor_says_where_links_lead_and_what_email_needs() {
    let data = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/volley.db", data.path().display());
    let pool = r#"[{"name": "main", "channel": "email", "provider": "sandbox"}]"#;
    let base = [
        ("VOLLEY_SENDING__DATA_DIR", data.path().to_str().unwrap()),
        ("VOLLEY_DATABASE__URL", &database),
        ("VOLLEY_POOLS", pool),
    ];
    let link_of = |more: &[(&str, &str)]| {
        let found = findings(&[&base, more].concat());
        found
            .into_iter()
            .find(|(subject, ..)| subject == "links.public_url")
            .map(|(_, well, detail)| (well, detail))
            .unwrap()
    };
    let everywhere = ("VOLLEY_HTTP__ADDR", "0.0.0.0:8080");
    let (well, detail) = link_of(&[everywhere]);
    assert!(!well && detail.contains("https://"), "{detail}");
    let (well, detail) = link_of(&[everywhere, ("VOLLEY_LINKS__PUBLIC_URL", "https://mail.example.com")]);
    assert!(well && detail.contains("https://mail.example.com"), "{detail}");
    let (well, detail) = link_of(&[everywhere, ("VOLLEY_HTTP__PUBLIC_ADDR", "127.0.0.1:9000")]);
    assert!(well && detail.contains("http://127.0.0.1:9000"), "{detail}");
    assert!(link_of(&[everywhere, ("VOLLEY_LINKS__REQUIRE_UNSUBSCRIBE", "false")]).0);
}

#[test]
fn doctor_looks_up_what_the_world_knows_of_the_senders_domains() {
    let data = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/volley.db", data.path().display());
    let smtp = |name: &str, from: &str| {
        format!(
            r#"{{"name": "{name}", "channel": "email", "provider": "smtp", "url": "smtp://127.0.0.1:1", "from": "{from}"}}"#
        )
    };
    let pools = format!("[{}, {}]", smtp("shop", "Shop <shop@news.shop.example>"), smtp("bare", "bare@bare.example"));
    let base = [
        ("VOLLEY_SENDING__DATA_DIR", data.path().to_str().unwrap()),
        ("VOLLEY_DATABASE__URL", &database),
        ("VOLLEY_POOLS", &pools),
    ];
    let long_key = format!("v=DKIM1; k=rsa; p={}", "M".repeat(300));
    let names = dns::serve_texts(&[
        ("news.shop.example", "v=spf1 include:relay.example -all"),
        ("_dmarc.shop.example", "v=DMARC1; p=reject"),
        ("s1._domainkey.news.shop.example", &long_key),
    ])
    .to_string();
    let found = findings_with(&["--resolver", &names, "--dkim-selector", "s1"], &base);
    let of = |subject: &str| {
        let found = found.iter().find(|(known, ..)| known == subject).unwrap_or_else(|| panic!("{found:?}"));
        (found.1, found.2.as_str())
    };
    assert_eq!(of("SPF of news.shop.example"), (true, "v=spf1 include:relay.example -all"));
    assert_eq!(of("DMARC of news.shop.example"), (true, "v=DMARC1; p=reject"));
    assert!(of("DKIM key s1._domainkey.news.shop.example").0);
    for (subject, advice) in [
        ("SPF of bare.example", "publish a TXT record that begins with v=spf1"),
        ("DMARC of bare.example", "_dmarc.bare.example"),
        ("DKIM key s1._domainkey.bare.example", "no key"),
    ] {
        assert!(!of(subject).0 && of(subject).1.contains(advice), "{found:?}");
    }
    let unasked = findings(&base);
    let note = unasked.iter().find(|(subject, ..)| subject == "senders").unwrap();
    assert!(note.1 && note.2.contains("bare.example, news.shop.example") && note.2.contains("--resolver"), "{note:?}");
    let misspelt = volley_with(&["doctor", "--resolver", "nowhere"], &base);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(stderr(&misspelt).contains("--resolver") && stderr(&misspelt).contains("system"), "{}", stderr(&misspelt));
}

#[test]
fn a_client_that_reaches_nobody_says_where_it_looked() {
    let server = nobody();
    for args in [&["campaign", "list"][..], &["campaign", "pause", "1"], &["import", "Cargo.toml", "--list", "x"]] {
        let output = volley(&[args, &["--server", &server]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let complaint = stderr(&output);
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(complaint.contains(&server) && complaint.contains("volley serve"), "{complaint}");
    }
}

#[test]
fn a_missing_import_file_is_named_before_anything_is_sent() {
    let output = volley(&["import", "/nonexistent.csv", "--server", &nobody()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot read /nonexistent.csv"), "{}", stderr(&output));
}
