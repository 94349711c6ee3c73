//! Deliveries of campaigns that ended long ago are in files: what stays, what says where they are, and what is left alone.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use volley::domain::channel::ChannelKind;
use volley::runtime::archive_folder::COLUMNS;
use volley::services::campaigns::archive::Archivist;

use super::{LONG, ask, assert_refused, draft, people};
use crate::support::Database;
use crate::support::api::Api;
use crate::support::both_backends;
use crate::support::server::{Raw, Server, sandbox};

/// A pool that refuses about half of what it gets.
pub(super) fn server(db: &Database) -> Server {
    Server::with_pools(db, vec![sandbox("fast", ChannelKind::Email, 0.5)])
}

fn archivist(server: &Server, db: &Database, keep_days: u32) -> Archivist {
    Archivist::new(server.store.clone(), &db.folder().join("data"), "a slot".to_owned(), "here".to_owned(), keep_days)
}

/// Archives what is due; how many campaigns those were.
pub(super) fn archive(server: &Server, db: &Database, keep_days: u32) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(archivist(server, db, keep_days).round()).unwrap()
}

/// A campaign to everybody that has ended; as if that had been ten days ago.
pub(super) fn ended(server: &Server, api: &Api, more: &Value) -> i64 {
    let mut fields = json!({ "audience": { "all": true } });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let campaign = draft(api, &fields);
    api.send(campaign);
    api.wait_ended(campaign, LONG);
    server.execute(format!("UPDATE campaigns SET ended_at = ended_at - 864000000 WHERE id = {campaign}"));
    campaign
}

pub(super) fn rows(db: &Database, table: &str, campaign: i64) -> i64 {
    db.number(&format!("SELECT count(*) AS n FROM {table} WHERE campaign_id = {campaign}"))
}

fn refused(server: &Server, method: &str, path: &str) -> Raw {
    let answer = ask(server, method, path, &json!({}));
    assert_refused(&answer, 409, "deliveries_archived");
    answer
}

pub(super) fn file(db: &Database, campaign: &Value) -> PathBuf {
    db.folder().join("data").join("archive").join(campaign["archive"]["file"].as_str().unwrap())
}

/// The text of a file.
pub(super) fn unpacked(file: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// The files in the folder of archives.
pub(super) fn files(db: &Database) -> Vec<String> {
    let entries = std::fs::read_dir(db.folder().join("data").join("archive")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

both_backends! {
    fn archived_deliveries_are_in_a_file_and_everything_that_is_summed_up_stays(db: &Database) {
        let server = server(db);
        let api = server.api();
        let ids = people(&api, 40);
        let campaign = ended(&server, &api, &json!({}));
        let before = api.get(&format!("/v1/campaigns/{campaign}"));
        let (reasons, minutes) = (format!("/v1/campaigns/{campaign}/reasons"), format!("/v1/campaigns/{campaign}/minutes"));
        let kept = (api.get(&reasons), api.get(&minutes));
        assert!(before["stats"]["failed"].as_i64() > Some(0) && before["stats"]["sent"].as_i64() > Some(0), "{before}");
        let listed = api.get(&format!("/v1/campaigns/{campaign}/deliveries?page_size=100"));
        assert_eq!(archive(&server, db, 5), 1);
        for table in ["deliveries", "attempts", "delivery_contents", "link_followers"] {
            assert_eq!(rows(db, table, campaign), 0, "{table}");
        }
        let mut after = api.get(&format!("/v1/campaigns/{campaign}"));
        let shown = after["archive"].clone();
        let path = file(db, &after);
        after.as_object_mut().unwrap().remove("archive");
        assert_eq!(after, before);
        assert_eq!((api.get(&reasons), api.get(&minutes)), kept);
        assert_eq!((&shown["deliveries"], &shown["host"]), (&json!(40), &json!("here")));

        // What asks for one of them is told where they are.
        let one = ids[0];
        for path in ["deliveries", "deliveries/export", &format!("deliveries/{one}"), &format!("deliveries/{one}/links"), &format!("why/{one}")] {
            let told = refused(&server, "GET", &format!("/v1/campaigns/{campaign}/{path}"));
            let detail = told.body["detail"].as_str().unwrap();
            assert!(detail.contains(shown["file"].as_str().unwrap()) && detail.contains("on here"), "{path}: {detail}");
            assert!(detail.contains(shown["archived_at"].as_str().unwrap()), "{path}: {detail}");
        }
        refused(&server, "POST", &format!("/v1/campaigns/{campaign}/retry-failed"));
        let of_contact = api.get(&format!("/v1/contacts/{one}/deliveries"));
        assert_eq!((&of_contact["data"], &of_contact["archived_campaign_ids"]), (&json!([]), &json!([campaign])));

        // The file has what the API had.
        let text = unpacked(&path);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(COLUMNS));
        for (line, delivery) in lines.zip(listed["data"].as_array().unwrap()) {
            let begin = format!("{},{},{},", delivery["contact"]["id"], delivery["page_id"], delivery["status"].as_str().unwrap());
            assert!(line.starts_with(&begin), "{line}: {delivery}");
        }
        assert_eq!(text.lines().count(), 41);
        assert!(!text.contains("example.com"), "no addresses");
        let audit = api.audit(campaign);
        assert_eq!((&audit["total"], &audit["archive"]["file"]), (&json!(40), &shown["file"]));
        assert_eq!(archive(&server, db, 5), 0, "once");
    }

    fn what_is_kept_for_ever_or_has_not_ended_long_ago_is_left_alone(db: &Database) {
        let server = server(db);
        let api = server.api();
        people(&api, 3);
        let campaign = ended(&server, &api, &json!({}));
        assert_eq!(archive(&server, db, 0), 0, "0 is for ever");
        assert_eq!(archive(&server, db, 11), 0, "ten days ago is not eleven");
        // Somebody still has to decide.
        server.execute(format!("UPDATE pages SET uncertain = size, sent = 0, failed = 0 WHERE campaign_id = {campaign}"));
        assert_eq!(archive(&server, db, 5), 0, "some are uncertain");
        let counted = "(SELECT count(*) FROM deliveries AS d WHERE d.page_id = pages.id AND d.state";
        server.execute(format!(
            "UPDATE pages SET uncertain = 0, sent = {counted} = 'sent'), failed = {counted} = 'failed') WHERE campaign_id = {campaign}"
        ));
        server.execute(format!("UPDATE campaigns SET status = 'paused' WHERE id = {campaign}"));
        assert_eq!(archive(&server, db, 5), 0, "it is paused");
        server.execute(format!("UPDATE campaigns SET status = 'sent' WHERE id = {campaign}"));
        assert_eq!((rows(db, "deliveries", campaign), archive(&server, db, 5)), (3, 1));
    }

    fn a_campaign_that_an_audience_asks_for_stays_and_a_later_audience_is_refused(db: &Database) {
        let server = server(db);
        let api = server.api();
        people(&api, 4);
        let first = ended(&server, &api, &json!({}));
        let names = json!({ "audience": { "all": true, "exclude": { "campaigns": [{ "id": first }] } } });
        let scheduled = draft(&api, &names);
        let in_an_hour = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
        api.post(&format!("/v1/campaigns/{scheduled}/schedule"), &json!({ "scheduled_at": in_an_hour }));
        assert_eq!(archive(&server, db, 5), 0, "a scheduled campaign leaves its recipients out");
        let deleted = server.send("DELETE", &format!("/v1/campaigns/{scheduled}"), &[], b"");
        assert!(deleted.status < 300, "{deleted:?}");
        let late = draft(&api, &names);
        assert_eq!(archive(&server, db, 5), 1, "a draft keeps nothing");
        let told = refused(&server, "POST", &format!("/v1/campaigns/{late}/send"));
        assert_eq!(told.body["ids"], json!([first]));
        assert_eq!(api.campaign(late).status, "draft");
    }

    fn who_could_ask_why_is_kept_together_with_what_answers(db: &Database) {
        let server = server(db);
        let api = server.api();
        people(&api, 4);
        let first = ended(&server, &api, &json!({}));
        let second = ended(&server, &api, &json!({ "audience": { "all": true, "exclude": { "campaigns": [{ "id": first }] } } }));
        server.execute(format!("UPDATE campaigns SET ended_at = ended_at + 864000000 WHERE id = {second}"));
        assert_eq!(archive(&server, db, 5), 0, "the second one still has its deliveries");
        server.execute(format!("UPDATE campaigns SET ended_at = ended_at - 864000000 WHERE id = {second}"));
        assert_eq!((archive(&server, db, 5), archive(&server, db, 5)), (1, 1), "the second one first");
        api.audit(first);
        api.audit(second);
    }

    fn a_file_that_is_damaged_or_not_here_is_told_by_the_audit(db: &Database) {
        let server = server(db);
        let api = server.api();
        people(&api, 30);
        let campaign = ended(&server, &api, &json!({}));
        archive(&server, db, 5);
        let path = file(db, &api.get(&format!("/v1/campaigns/{campaign}")));
        let audit = || api.get(&format!("/v1/campaigns/{campaign}/audit"));
        assert_eq!(audit()["consistent"], true);
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] = !changed[middle];
        for (bytes, says) in [(changed, "damaged"), (whole[..whole.len() - 9].to_vec(), "damaged")] {
            std::fs::write(&path, bytes).unwrap();
            let told = audit();
            assert_eq!(told["consistent"], false, "{told}");
            assert!(told["archive"]["problem"].as_str().unwrap().contains(says), "{told}");
        }
        std::fs::remove_file(&path).unwrap();
        let told = audit();
        assert_eq!((&told["consistent"], &told["pages"]["pending"]), (&json!(false), &json!(0)), "{told}");
        let problem = told["archive"]["problem"].as_str().unwrap();
        assert!(problem.contains("not in the folder archive of this instance") && problem.contains("on here"), "{problem}");
        std::fs::write(&path, whole).unwrap();
        assert_eq!(audit()["consistent"], true);
    }

    fn a_campaign_is_archived_by_one_instance_at_a_time_and_opened_again_until_its_file_is_complete(db: &Database) {
        let server = server(db);
        let api = server.api();
        people(&api, 20);
        let campaign = ended(&server, &api, &json!({}));
        let begun = |until: &str| {
            server.execute(format!(
                "INSERT INTO archives (campaign_id, state, token, slot, host, lease_until) \
                 VALUES ({campaign}, 'writing', 1, 'another slot', 'there', {until})"
            ));
        };
        begun("9999999999999");
        assert_eq!(archive(&server, db, 5), 0, "another instance is at it");
        api.post(&format!("/v1/campaigns/{campaign}/retry-failed"), &json!({}));
        assert_eq!(rows(db, "archives", campaign), 0, "it goes on as if it had not been begun");
        api.wait_ended(campaign, LONG);
        server.execute(format!("UPDATE campaigns SET ended_at = ended_at - 864000000 WHERE id = {campaign}"));
        begun("1");
        assert_eq!(archive(&server, db, 5), 1, "the lease of the other one has ended");
        assert_eq!(api.get(&format!("/v1/campaigns/{campaign}"))["archive"]["host"], "here");
        api.audit(campaign);
    }
}
