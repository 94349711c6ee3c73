//! Files as other tools export them, and what becomes of the people in them: names, attributes, and above all the ones who have said no.

use std::time::Duration;

use serde_json::{Value, json};
use volley::domain::ids::ImportId;
use volley::store::import::imports;

use crate::support::api::{Api, id};
use crate::support::scripted_smtp::ScriptedSmtp;
use crate::support::server::{Raw, Server};
use crate::support::turns::shared_turn;
use crate::support::volley::{Pool, ROOT_KEY, Volley};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const CSV: (&str, &str) = ("Content-Type", "text/csv");

fn upload(server: &Server, query: &str, csv: &str) -> Raw {
    server.send("POST", &format!("/v1/contacts/import?{query}"), &[CSV], csv.as_bytes())
}

fn finished(api: &Api, import: i64) -> Value {
    wait_for("the import ends", Duration::from_secs(60), || {
        let import = api.get(&format!("/v1/imports/{import}"));
        ["completed", "failed"].contains(&import["status"].as_str().unwrap()).then_some(import)
    })
}

#[track_caller]
fn imported(server: &Server, query: &str, csv: &str) -> Value {
    let accepted = upload(server, query, csv);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    finished(&server.api(), id(&accepted.body))
}

#[track_caller]
fn contact(api: &Api, email: &str) -> Value {
    api.get(&format!("/v1/contacts?email={email}"))["data"][0].clone()
}

/// First name, last name and attributes.
#[track_caller]
fn who(api: &Api, email: &str) -> (String, String, Value) {
    let found = contact(api, email);
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("first_name"), text("last_name"), found["attributes"].clone())
}

fn reasons(api: &Api, address: &str, channel: &str) -> Value {
    api.get(&format!("/v1/suppressions?search={address}&channel={channel}"))["data"][0]["reasons"].clone()
}

/// Line, column and code of what was rejected.
fn rejected(import: &Value) -> Vec<(u64, String, String)> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let rows = import["rejected"].as_array().unwrap().iter();
    rows.map(|row| (row["line"].as_u64().unwrap(), text(row, "column"), text(row, "code"))).collect()
}

/// Imports a file with the command alone.
fn import_by_command(volley: &Volley, csv: &str, more: &[&str]) -> (bool, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), csv).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_volley"));
    command.args(["import", file.path().to_str().unwrap()]).args(more).env_clear();
    command.env("VOLLEY_CLI__KEY", ROOT_KEY).env("VOLLEY_CLI__SERVER", format!("http://127.0.0.1:{}", volley.port()));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.success(), said)
}

/// Sends a campaign to a list and tells who got it.
fn reached(api: &Api, relay: &ScriptedSmtp, list: i64, text: &str) -> Vec<String> {
    let campaign = api.create_campaign("email", "relay", list, &json!({ "body_text": text }));
    api.send(campaign);
    wait_for("the campaign ends", Duration::from_secs(60), || api.campaign(campaign).is_ended().then_some(()));
    let mut all: Vec<String> = relay.ledger().entries().accepted.keys().cloned().collect();
    all.sort();
    all
}

const LISTMONK: &str = "uuid,email,name,attributes,status,created_at,updated_at\n\
    2f1c,ann@example.com,Ann Lee,\"{\"\"city\"\": \"\"Leeds\"\", \"\"age\"\": 30, \"\"langs\"\": [\"\"en\"\", \"\"de\"\"]}\",enabled,2024-01-02 03:04:05,2024-01-02 03:04:05\n\
    2f1d,ben@example.com,Ben van Dyk,{},disabled,2024-01-02 03:04:05,2024-01-02 03:04:05\n\
    2f1e,cleo@example.com,Cleo,{},blocklisted,2024-01-02 03:04:05,2024-01-02 03:04:05\n\
    2f1f,dora@example.com,Dora,{},sleeping,2024-01-02 03:04:05,2024-01-02 03:04:05\n\
    2f20,eve@example.com,Eve,not json,enabled,2024-01-02 03:04:05,2024-01-02 03:04:05\n";

const AUDIENCE: &str = "Email Address,First Name,Last Name,Address,Phone Number,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,\
    LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS";

fn audience(more: &str, rows: &[(&str, &str, &str)]) -> String {
    let rows = rows.iter().map(|(email, confirmed, more)| {
        format!("{email},Ann,Lee,,,2,,,{confirmed},192.0.2.7,53.8,-1.5,0,1,Europe/Nowhere,gb,eng,2024-05-06 07:08:09,12,ab12,,\"\"\"VIP\"\",\"\"Early bird\"\"\"{more}\n")
    });
    format!("{AUDIENCE}{more}\n{}", rows.collect::<String>())
}

both_backends! {
    fn csv_listmonk_export(db: &Database) {
        let _turn = shared_turn();
        let relay = ScriptedSmtp::playing("");
        let volley = Volley::on(db).pool(Pool::smtp_at("relay", relay.port())).start();
        let api = volley.api();
        let (is_well, said) = import_by_command(&volley, LISTMONK, &["--list", "News"]);
        assert!(is_well && said.contains("3 created, 0 updated, 2 rejected") && said.contains("read as an export of listmonk"), "{said}");
        assert!(said.contains("not written to any more, as the file says: 2"), "{said}");
        let import = &api.get("/v1/imports")["data"][0];
        assert_eq!((&import["preset"], &import["rows_suppressed"]), (&json!("listmonk"), &json!(2)), "{import}");
        assert_eq!(rejected(import), [(5, "status".into(), "not_allowed".into()), (6, "attributes".into(), "json_invalid".into())]);
        let attributes = json!({ "city": "Leeds", "age": 30, "langs": ["en", "de"] });
        assert_eq!(who(&api, "ann@example.com"), ("Ann".into(), "Lee".into(), attributes));
        assert_eq!(who(&api, "ben@example.com"), ("Ben".into(), "van Dyk".into(), json!({})));
        assert_eq!(contact(&api, "dora@example.com"), Value::Null, "what is not understood stays out");
        let list = id(&import["list_id"].as_i64().map(|id| json!({ "id": id })).unwrap());
        assert_eq!(api.get(&format!("/v1/lists/{list}"))["member_count"], 1);
        assert_eq!(reasons(&api, "ben@", "email"), json!(["blocked"]));
        // Somebody puts all of them on the list all the same.
        api.import_csv(list, "email\nann@example.com\nben@example.com\ncleo@example.com\n");
        assert_eq!(reached(&api, &relay, list, "Dear {first_name}, good news from {city}."), ["ann@example.com"]);
        assert!(relay.ledger().message_to("ann@example.com").contains("Dear Ann, good news from Leeds."));
    }

    fn csv_status_column(db: &Database) {
        let _turn = shared_turn();
        let relay = ScriptedSmtp::playing("");
        let volley = Volley::on(db).pool(Pool::smtp_at("relay", relay.port())).start();
        let api = volley.api();
        let csv = "email,phone,Status\nann@example.com,,subscribed\nben@example.com,+442079460123,Unsubscribed\ncleo@example.com,,lead\nbad@,+442079460124,unsubscribed\n";
        let (is_well, said) = import_by_command(&volley, csv, &[]);
        assert!(is_well && said.contains("line 4: Status: is none of: subscribed, unconfirmed, unsubscribed"), "{said}");
        let import = &api.get("/v1/imports")["data"][0];
        assert_eq!((&import["rows_created"], &import["rows_suppressed"]), (&json!(2), &json!(2)), "{import}");
        assert_eq!(rejected(import), [(4, "Status".into(), "not_allowed".into()), (5, "email".into(), "email_invalid".into())]);
        assert_eq!(who(&api, "ben@example.com").2, json!({}), "it is no attribute");
        assert_eq!(reasons(&api, "ben@", "email"), json!(["unsubscribed"]));
        assert_eq!(reasons(&api, "7946012", "sms"), json!(["unsubscribed"]), "of somebody who refuses, under every address");
        assert_eq!(reasons(&api, "79460124", "sms"), json!(["unsubscribed"]), "a refusal counts though its row is wrong");
        // The column may be about something else: then that is said.
        let (is_well, said) = import_by_command(&volley, csv, &["--map", "Status=attributes.status"]);
        assert!(is_well && said.contains("1 created, 2 updated"), "{said}");
        assert_eq!(who(&api, "cleo@example.com").2, json!({ "status": "lead" }));
        // Put on a list without a word of the status, the one who refused is not written to.
        let list = api.create_list("News");
        api.import_csv(list, "email\nann@example.com\nben@example.com\ncleo@example.com\n");
        assert_eq!(reached(&api, &relay, list, "News"), ["ann@example.com", "cleo@example.com"]);
    }

    fn who_refuses_everything_does_so_alone_though_a_phone_is_shared(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let csv = "email,phone,unsubscribed\nann@example.com,+442079460123,no\nben@example.com,+442079460123,yes\ncleo@example.com,n/a,yes\n";
        let import = imported(&server, "", csv);
        assert_eq!((&import["rows_created"], &import["dropped_cells"], &import["rows_suppressed"]), (&json!(3), &json!(2), &json!(2)), "{import}");
        let found = ["ann@", "ben@", "cleo@"].map(|address| reasons(&api, address, "email"));
        assert_eq!(found, [Value::Null, json!(["unsubscribed"]), json!(["unsubscribed"])]);
        assert_eq!(reasons(&api, "79460123", "sms"), Value::Null, "it is the phone of somebody else, who has not refused");
    }

    fn a_no_counts_in_a_row_of_the_wrong_shape(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let list = api.create_list("News");
        let query = format!("list={list}");
        imported(&server, &query, "email,status\nann@example.com,subscribed\nbob@example.com,subscribed\n");
        let long = "x".repeat(100_000);
        let import = imported(
            &server,
            &query,
            &format!("email,status,notes\nann@example.com,unsubscribed,a,b\nbob@example.com,unsubscribed,{}\n", long.repeat(30)),
        );
        assert_eq!(import["rows_rejected"], 2, "{import}");
        let counts = &api.get(&format!("/v1/lists/{list}"))["counts"];
        assert_eq!((&counts["subscribed"], &counts["unsubscribed"]), (&json!(0), &json!(2)), "{counts}");
    }

    fn a_json_cell_never_says_who_is_meant(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        api.post("/v1/contacts", &json!({ "external_id": "VIP1", "email": "vip@example.com" }));
        let json = "{\"\"external_id\"\":\"\"VIP1\"\",\"\"city\"\":\"\"Leeds\"\"}";
        let import = imported(&server, "map=data:attributes", &format!("email,data\nann@example.com,\"{json}\"\neve@example.com,null\n"));
        assert_eq!((&import["rows_created"], &import["dropped_cells"]), (&json!(2), &json!(1)), "{import}");
        assert_eq!(contact(&api, "vip@example.com")["external_id"], "VIP1");
        assert_eq!(contact(&api, "ann@example.com")["attributes"]["city"], "Leeds");
    }

    fn csv_mailchimp_export(db: &Database) {
        let _turn = shared_turn();
        let relay = ScriptedSmtp::playing("");
        let volley = Volley::on(db).pool(Pool::smtp_at("relay", relay.port())).start();
        let api = volley.api();
        let confirmed = "2024-01-02 03:04:05";
        let subscribed = audience("", &[("ann@example.com", confirmed, ""), ("nina@example.com", "", "")]);
        let (is_well, said) = import_by_command(&volley, &subscribed, &["--list", "News"]);
        assert!(is_well && said.contains("1 created, 0 updated, 1 rejected") && said.contains("an export of mailchimp"), "{said}");
        assert!(said.contains("line 3: CONFIRM_TIME: does not show that the person has ever subscribed"), "{said}");
        let attributes = json!({ "member_rating": "2", "cc": "gb", "region": "eng" });
        assert_eq!(who(&api, "ann@example.com"), ("Ann".into(), "Lee".into(), attributes));
        assert_eq!(api.get("/v1/contacts?tag=early%20bird")["data"][0]["email"], "ann@example.com");
        let unsubscribed = audience(",UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON,UNSUB_REASON_OTHER", &[
            ("ben@example.com", confirmed, ",2024-02-03 04:05:06,May,7,No longer interested,"),
            ("olga@example.com", confirmed, ",,,,,"),
        ]);
        let (_, said) = import_by_command(&volley, &unsubscribed, &[]);
        assert!(said.contains("1 created, 0 updated, 1 rejected") && said.contains("line 3: UNSUB_TIME"), "{said}");
        assert_eq!(reasons(&api, "ben@", "email"), json!(["unsubscribed"]));
        let cleaned = audience(",CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID", &[("cleo@example.com", confirmed, ",2024-02-03 04:05:06,May,7")]);
        let (_, said) = import_by_command(&volley, &cleaned, &["--list", "News"]);
        assert!(said.contains("1 created"), "{said}");
        assert_eq!(reasons(&api, "cleo@", "email"), json!(["bounced"]));
        let list = api.get("/v1/lists")["data"][0]["id"].as_i64().unwrap();
        assert_eq!(api.get(&format!("/v1/lists/{list}"))["member_count"], 1, "a bad address is no subscription");
        api.import_csv(list, "email\nann@example.com\nben@example.com\ncleo@example.com\n");
        assert_eq!(reached(&api, &relay, list, "News"), ["ann@example.com"]);
        // On the list that the audience becomes, it is a refusal of this list alone.
        let (_, said) = import_by_command(&volley, &unsubscribed.replace("ben@", "bea@"), &["--list", "Other"]);
        assert!(said.contains("1 created"), "{said}");
        assert_eq!(reasons(&api, "bea@", "email"), Value::Null);
        assert_eq!(api.get("/v1/contacts?list=other&standing=unsubscribed")["data"][0]["email"], "bea@example.com");
    }

    fn csv_exports_of_other_tools(db: &Database) {
        let server = Server::on(db);
        let api = server.api();
        let brevo = "CONTACT ID,EMAIL,PRENOM,NOM,SMS,WHATSAPP,OPT_IN,EMAIL_BLACKLISTED,SMS_BLACKLISTED,ADDED_TIME\n\
            1,ann@b.example,Ann,Lee,33612345678,,,false,true,2024-01-02\n2,ben@b.example,Ben,Roy,,,,true,false,2024-01-02\n";
        let import = imported(&server, "", brevo);
        assert_eq!((&import["preset"], &import["rows_created"]), (&json!("brevo"), &json!(2)), "{import}");
        let ann = contact(&api, "ann@b.example");
        assert_eq!((&ann["phone"], &ann["last_name"]), (&json!("+33612345678"), &json!("Lee")));
        assert_eq!(reasons(&api, "33612345678", "sms"), json!(["stopped"]));
        assert_eq!((reasons(&api, "ann@b.", "email"), reasons(&api, "ben@b.", "email")), (Value::Null, json!(["unsubscribed"])));

        let hubspot = "Record ID,First Name,Last Name,Email,Contact owner,Unsubscribed from all email,Opted out of email: News,Email hard bounce reason\n\
            9,Ann,Lee,ann@h.example,Ina,,,\n8,Ben,Roy,ben@h.example,Ina,true,,\n7,Cleo,Orr,cleo@h.example,Ina,,true,\n6,Dora,Fox,dora@h.example,Ina,,,UNKNOWN_USER\n";
        let import = imported(&server, "", hubspot);
        assert_eq!((&import["preset"], &import["rows_suppressed"]), (&json!("hubspot"), &json!(3)), "{import}");
        assert_eq!(who(&api, "ann@h.example").2, json!({ "record_id": "9", "contact_owner": "Ina" }));
        let found = ["ann@h.", "ben@h.", "cleo@h.", "dora@h."].map(|address| reasons(&api, address, "email"));
        assert_eq!(found, [Value::Null, json!(["unsubscribed"]), json!(["unsubscribed"]), json!(["bounced"])]);

        let google = "First Name,Middle Name,Last Name,Phonetic First Name,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value\n\
            Ann,M,Lee,,* myContacts ::: Choir,* Work,ann@g.example ::: ann@old.example,Mobile,+44 20 7946 0125\n";
        let import = imported(&server, "", google);
        assert_eq!((&import["preset"], &import["rows_created"]), (&json!("google"), &json!(1)), "{import}");
        assert_eq!(who(&api, "ann@g.example"), ("Ann".into(), "Lee".into(), json!({})));
        assert_eq!(api.get("/v1/contacts?tag=choir")["data"][0]["phone"], "+442079460125");

        let outlook = "First Name,Middle Name,Last Name,Title,E-mail Address,E-mail 2 Address,Business Phone,Mobile Phone,Categories,Language\n\
            Ann,,Lee,Dr,ann@o.example,,,+44 20 7946 0126,Choir;Blue Category,English\n";
        let import = imported(&server, "", outlook);
        assert_eq!((&import["preset"], &import["rows_created"]), (&json!("outlook"), &json!(1)), "{import}");
        assert_eq!(who(&api, "ann@o.example"), ("Ann".into(), "Lee".into(), json!({ "title": "Dr" })));
        assert_eq!(api.get("/v1/contacts?tag=blue%20category")["data"][0]["email"], "ann@o.example");
    }

    fn a_mapping_is_kept_when_an_import_is_interrupted(db: &Database) {
        let rows = 40_000;
        let mut csv = "Kunde,Wer,E-Mail,Daten\n".to_owned();
        for n in 0..rows {
            csv.push_str(&format!("k-{n},\"Lee, P{n}\",p{n}@example.com,\"{{\"\"nr\"\":{n}}}\"\n"));
        }
        let map = "map=Kunde:external_id&map=Wer:name&map=Daten:attributes&preset=none";
        let import = {
            let server = Server::on(db);
            let import = id(&upload(&server, map, &csv).body);
            let at_stop = wait_for("some rows are in", Duration::from_secs(60), || {
                let row = server.ask(move |conn| imports::find(conn, ImportId(import))).unwrap();
                (row.rows_read > 0).then_some(row.rows_read)
            });
            assert!(at_stop < rows, "it was over before it could be stopped");
            import
        };
        let server = Server::on(db);
        let done = finished(&server.api(), import);
        assert_eq!((&done["rows_created"], &done["rows_rejected"], &done["preset"]), (&json!(rows), &json!(0), &Value::Null), "{done}");
        let last = contact(&server.api(), &format!("p{}@example.com", rows - 1));
        assert_eq!((&last["external_id"], &last["last_name"], &last["attributes"]), (&json!("k-39999"), &json!("Lee"), &json!({ "nr": 39_999 })));
    }
}

#[test]
fn headers_of_other_languages_are_understood() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    let api = server.api();
    for (number, (header, cells)) in [
        ("E-Mail-Adresse;Vorname;Name;Handy", "Ann;Lee;+44 20 7946 0131"),
        ("Courriel;Prénom;Nom;Téléphone portable", "Ann;Lee;+44 20 7946 0132"),
        ("Correo electrónico;Nombre;Apellidos;Móvil", "Ann;Lee;+44 20 7946 0133"),
        ("Indirizzo e-mail;Nome;Cognome;Cellulare", "Ann;Lee;+44 20 7946 0134"),
        ("Adres e-mail;Imię;Nazwisko;Telefon komórkowy", "Ann;Lee;+44 20 7946 0135"),
        ("E-postadress;Förnamn;Efternamn;Mobil", "Ann;Lee;+44 20 7946 0136"),
    ]
    .into_iter()
    .enumerate()
    {
        let import = imported(&server, "", &format!("{header}\na{number}@example.com;{cells}\n"));
        assert_eq!(import["rows_created"], 1, "{header}: {import}");
        let found = contact(&api, &format!("a{number}@example.com"));
        assert_eq!((&found["first_name"], &found["last_name"]), (&json!("Ann"), &json!("Lee")), "{header}");
        assert!(found["phone"].is_string() && found["attributes"] == json!({}), "{header}: {found}");
    }
    imported(&server, "", "email,name\nzoe@example.com,\"Le Roy, Zoë\"\n");
    assert_eq!(who(&api, "zoe@example.com"), ("Zoë".into(), "Le Roy".into(), json!({})));
}

#[test]
fn a_mapping_that_cannot_be_used_is_refused_before_anything_is_stored() {
    let db = Database::sqlite();
    let server = Server::on(&db);
    for (query, status, code, words) in [
        ("map=Stadt:attributes.city", 422, "map_no_column", "\"Stadt\""),
        ("map=city:mail", 400, "not_allowed", "column \"city\" cannot be \"mail\": allowed are email, phone"),
        ("map=city", 400, "not_allowed", "HEADER:FIELD"),
        ("map=city:phone&map=city:email", 400, "not_allowed", "\"city\" is mapped twice"),
        ("map=city:email", 422, "duplicate_column", "\"email\" and \"city\" are both email"),
        ("map=city:source", 422, "map_needs_list", "\"city\" cannot be source"),
        ("map=email:-", 422, "no_key_column", "it has: email, city"),
        ("preset=sendgrid", 400, "not_allowed", "listmonk, mailchimp, brevo, hubspot, google, outlook, none"),
    ] {
        let refused = upload(&server, query, "email,city\nann@example.com,Leeds\n");
        assert_eq!((refused.status, refused.code()), (status, code), "{query}: {refused:?}");
        assert!(refused.body.to_string().replace("\\\"", "\"").contains(words), "{query}: {refused:?}");
    }
    assert_eq!(server.api().get("/v1/imports")["pagination"]["total_count"], 0);
}
