//! `volley campaign create` against a real instance, up to the mail at the relay.

use serde_json::{Value, json};

use super::{stderr, stdout, volley_with};
use crate::support::Database;
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::volley::{Pool, ROOT_KEY, Volley};

fn run(volley: &Volley, args: &[&str]) -> std::process::Output {
    let server = format!("http://127.0.0.1:{}", volley.port());
    volley_with(args, &[("VOLLEY_CLI__KEY", ROOT_KEY), ("VOLLEY_CLI__SERVER", &server)])
}

#[test]
fn a_campaign_is_made_from_files_and_sent_without_a_line_of_json() {
    let db = Database::sqlite();
    let relay = ScriptedSmtp::start(|_| None);
    let volley = Volley::on(&db).pool(Pool::smtp_at("relay", relay.port())).start();
    let api = volley.api();
    let news = api.post("/v1/lists", &json!({ "name": "News" }))["slug"].as_str().unwrap().to_owned();
    for (email, tags) in [("ann@example.com", json!(["reader"])), ("ben@example.com", json!(["staff"]))] {
        let contact = api.post("/v1/contacts", &json!({ "email": email, "first_name": "Ann" }));
        api.post(&format!("/v1/contacts/{}/tags", contact["id"]), &json!({ "add": tags }));
        api.post(&format!("/v1/lists/{news}/subscribe"), &json!({ "contact_id": contact["id"] }));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = file("spring.txt", "Hi {first_name}, your code is {campaign.props.code}");
    let say = ["--subject", "Spring", "--text", &text, "--prop", "code=SPRING=1"];
    let who = ["--list", &news, "--exclude-tag", "staff"];

    let output = run(&volley, &[&["campaign", "create", "Spring"][..], &who, &say].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("campaign 1 is a draft: `volley campaign preflight 1`"), "{}", stdout(&output));
    assert_eq!(api.get("/v1/campaigns/1")["status"], "draft");

    let more = file("more.json", r#"{"channel": "sms", "description": "The second", "props": {"code": "NO", "n": 1}}"#);
    let output = run(
        &volley,
        &[&["campaign", "create", "Again", "--channel", "email", "--body", &more, "--send", "--watch"][..], &who, &say]
            .concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let made = api.get("/v1/campaigns/2");
    let expected = json!(["sent", "The second", { "code": "SPRING=1", "n": 1 }, 1]);
    let is: Vec<&Value> = vec![&made["status"], &made["description"], &made["props"], &made["stats"]["sent"]];
    assert_eq!(json!(is), expected, "{made}");
    assert!(stdout(&output).contains("sent"), "{}", stdout(&output));
    let taken = relay.taken();
    assert_eq!(taken.len(), 1, "only who is on the list and has not the tag");
    assert!(taken[0].content.contains("Hi Ann, your code is SPRING=3D1"), "{}", taken[0].content);

    // All or nothing, and what is wrong is named.
    for (args, words) in [
        (vec!["--send", "--subject", "Hi *|FNAME|*", "--text", &text, "--list", &news], "a merge tag of Mailchimp"),
        (vec!["--list", "nobody", "--subject", "x", "--text", &text], "nobody"),
        (vec!["--body", &text], "no JSON object"),
        (vec!["--text", "/nowhere/x"], "cannot read /nowhere/x"),
    ] {
        let output = run(&volley, &[&["campaign", "create", "No"][..], &args].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stdout(&output));
        assert!(stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(run(&volley, &["campaign", "create", "No", "--prop", "code"]).status.code(), Some(2));
    assert_eq!(api.get("/v1/campaigns")["pagination"]["total_count"], 2);
    volley.stop();
}
