//! Targets: what their settings may be, and where they come from.

use super::{ConfigError, file, from_file, from_variables, load};

const TARGET: &str = "[[targets]]\nname = \"Crm-One\"\nurl = \"https://crm.example.com/hooks\"\nsecret = \"whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh\"\n";

fn invalid(text: &str) -> (String, String) {
    let error = from_file(text).unwrap_err();
    let shown = error.to_string();
    let ConfigError::Invalid { key, reason, .. } = error else { panic!("{shown}") };
    (key, reason)
}

#[test]
fn a_target_is_read_and_waits_for_a_day_unless_it_says_otherwise() {
    let settings = from_file(&format!("{TARGET}events = [\"campaign.ended\"]\n")).unwrap();
    let target = &settings.targets[0];
    assert_eq!((target.concurrency, target.timeout_seconds, target.events.len()), (4, 10, 1));
    let waits = |attempt| {
        let retries = target.retries();
        retries.wait(attempt, volley::domain::dispatch::retries::Doubt::None, None).map(|wait| wait.as_secs())
    };
    assert_eq!((waits(1), waits(2), waits(7), waits(8)), (Ok(5), Ok(30), Ok(10_800), Ok(10_800)));
    assert!(waits(20).is_err());
}

#[test]
fn what_cannot_work_is_refused_by_its_key() {
    for (more, key, reason) in [
        ("url = \"https://user:hunter2@crm.example.com/\"\n", "targets[0].url", "must have no user"),
        ("url = \"ftp://crm.example.com/\"\n", "targets[0].url", "not an address"),
        ("url = \"https://crm.example.com/#x\"\n", "targets[0].url", "no fragment"),
        ("secret = \"whsec_c2hvcnQ=\"\n", "targets[0].secret", "16 to 64 bytes"),
        ("secret = \"\"\n", "targets[0].secret", "is needed"),
        ("concurrency = 0\n", "targets[0].concurrency", "outside 1 to 64"),
        ("timeout_seconds = 61\n", "targets[0].timeout_seconds", "outside 1 to 60"),
        ("retry_delays = []\n", "targets[0].retry_delays", "give 1 to 20"),
        ("retry_for = \"8d\"\n", "targets[0].retry_for", "outside"),
        ("events = [\"campaign.sang\"]\n", "targets[0].events[0]", "campaign.sang"),
        ("method = \"PUT\"\n", "targets[0].method", "unknown field"),
    ] {
        let name = more.split(' ').next().unwrap();
        let kept: String =
            TARGET.lines().filter(|line| !line.starts_with(name)).map(|line| format!("{line}\n")).collect();
        let (at, why) = invalid(&format!("{kept}{more}"));
        assert_eq!(at, key, "{more}: {why}");
        assert!(why.contains(reason), "{more}: {why}");
        assert!(!why.contains("hunter2"), "{why}");
    }
    assert_eq!(invalid(&format!("{TARGET}{}", TARGET.replace("Crm-One", "crm_one"))).0, "targets[1].name");
    assert_eq!(invalid(&TARGET.replace("Crm-One", "a b")).0, "targets[0].name");
}

#[test]
fn a_target_and_its_secret_can_be_given_by_variables() {
    let all = r#"[{"name": "crm", "url": "http://127.0.0.1:9/hooks"}]"#;
    let secret = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh";
    let settings = from_variables(&[("VOLLEY_TARGETS", all), ("VOLLEY_TARGETS__CRM__SECRET", secret)]).unwrap();
    assert_eq!(settings.targets[0].secrets(), [secret]);
    let shown = settings.redacted().unwrap().to_string();
    assert!(shown.contains("http://127.0.0.1:9/***") && !shown.contains(secret), "{shown}");
    assert!(!shown.contains("hooks"), "many receivers have a secret in the path: {shown}");
    let bare = TARGET.lines().filter(|line| !line.starts_with("secret")).collect::<Vec<_>>().join("\n");
    let two = format!("{secret} {secret}");
    let settings = load(Some(file(&bare).path()), &[("VOLLEY_TARGETS__CRM_ONE__SECRET", &two)], &[]).unwrap();
    assert_eq!(settings.targets[0].secrets().len(), 2);
    let error = from_variables(&[("VOLLEY_TARGETS__CRM__SECRET", secret)]).unwrap_err().to_string();
    assert!(error.contains("no target is named crm") && !error.contains(secret), "{error}");
    let error =
        load(Some(file(TARGET).path()), &[("VOLLEY_TARGETS__CRM_ONE__EVENTS", "x")], &[]).unwrap_err().to_string();
    assert!(error.contains("not settable by a variable"), "{error}");
}
