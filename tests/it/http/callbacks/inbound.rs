//! What people answer: stop refuses the channel, start takes that back, and the rest is an event without a text.

use serde_json::{Value, json};
use volley::config::pools::PoolConfig;
use volley::domain::callbacks::Format;
use volley::domain::channel::ChannelKind;

use super::{LONG, SECRET, now, pool, signed};
use crate::support::api::{Api, id};
use crate::support::database::number;
use crate::support::server::{Raw, Server};
use crate::support::waiting::wait_for;
use crate::support::{Database, both_backends};

const ANN: &str = "+14155552671";
const NOBODY: &str = "+14155552672";

/// An instance with a pool for each channel that people can answer on, and a list with Ann on it.
struct Texts {
    server: Server,
    api: Api,
    list: i64,
    ann: i64,
    /// A moment of some minutes ago, in seconds.
    start: i64,
}

impl Texts {
    fn on(db: &Database) -> Self {
        let pools = ChannelKind::ALL.iter().map(|channel| PoolConfig {
            name: channel.to_string(),
            channel: *channel,
            ..pool(Format::StandardWebhooks, SECRET)
        });
        let server = Server::with(db, |settings| {
            settings.pools = pools.collect();
            settings.inbound.stop.insert("de".to_owned(), vec!["Abmelden".to_owned()]);
        });
        let api = server.api();
        let list = api.create_list("News");
        let ann = id(&api.post("/v1/contacts", &json!({ "email": "ann@example.com", "phone": ANN })));
        api.post(&format!("/v1/lists/{list}/members"), &json!({ "contact_ids": [ann] }));
        Self { server, api, list, ann, start: now() - 600 }
    }

    fn post(&self, pool: &str, headers: &[(String, String)], body: &[u8]) -> Raw {
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("Authorization", "none"));
        self.server.send("POST", &format!("/v1/callbacks/{pool}"), &headers, body)
    }

    /// Somebody sends a message to the pool of its channel, so many seconds after the start. When it is answered, it has had its effect.
    fn say(&self, key: &str, channel: &str, from: &str, after: i64, text: &str) {
        self.say_to(channel, key, &message(channel, from, self.start + after, text));
    }

    fn say_to(&self, pool: &str, key: &str, message: &Value) {
        let body = message.to_string();
        let taken = self.post(pool, &signed(SECRET, key, now(), body.as_bytes()), body.as_bytes());
        assert_eq!(taken.status, 200, "{taken:?}");
    }

    fn count(&self, what: &str) -> i64 {
        let query = format!("SELECT count(*) AS n FROM {what}");
        self.server.ask(move |conn| Ok(number(conn, &query)))
    }

    /// The channels that a number has stopped.
    fn stopped(&self, number: &str) -> Vec<String> {
        let all = self.api.get("/v1/suppressions?reason=stopped&page_size=100");
        let rows = all["data"].as_array().unwrap().iter().filter(|row| row["address"] == number);
        rows.map(|row| row["channel"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Names of Ann's events that Volley gave, in their order of time.
    fn events(&self) -> Vec<String> {
        let all = self.api.get(&format!("/v1/events?contact_id={}", self.ann));
        let mut all: Vec<&Value> = all["data"].as_array().unwrap().iter().collect();
        all.sort_by_key(|event| event["occurred_at"].to_string());
        all.iter().map(|event| event["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// How many are sent a campaign of this channel and category, and how many are skipped as unsubscribed.
    fn sent(&self, channel: &str, category: &str) -> (u64, u64) {
        let subject = if channel == "email" { "s" } else { "" };
        let content = json!({ "subject": subject, "body_text": "Hi", "category": category });
        let campaign = self.api.create_campaign(channel, channel, self.list, &content);
        self.api.send(campaign);
        let ended = self.api.wait_ended(campaign, LONG);
        let skipped = ended.body["stats"]["skipped_by_reason"]["unsubscribed"].as_u64().unwrap_or_default();
        (ended.stats.sent, skipped)
    }
}

fn message(channel: &str, from: &str, at: i64, text: &str) -> Value {
    let timestamp = jiff::Timestamp::from_second(at).unwrap().to_string();
    json!({ "type": "message.received", "timestamp": timestamp, "data": { "channel": channel, "from": from, "text": text } })
}

const NOTHING: [&str; 0] = [];

both_backends! {
    fn who_says_stop_gets_nothing_more_on_this_channel_until_they_say_start(db: &Database) {
        let texts = Texts::on(db);
        assert_eq!(texts.sent("sms", "marketing"), (1, 0));
        texts.say("m1", "sms", ANN, 1, " \u{ab}Stop!\u{bb} \n");
        assert_eq!(texts.stopped(ANN), ["http", "sms"]);
        assert_eq!(texts.sent("sms", "marketing"), (0, 1));
        for (channel, category) in [("whatsapp", "marketing"), ("email", "marketing"), ("sms", "transactional")] {
            assert_eq!(texts.sent(channel, category), (1, 0), "{channel} {category}");
        }
        assert_eq!(texts.count("list_members WHERE status = 'subscribed'"), 1, "it says nothing about lists");
        let noted = "consent_log WHERE after = 'stopped' AND source = 'pool: sms' AND address IS NULL AND refusal_id IS NOT NULL";
        assert_eq!(texts.count(noted), 1);
        texts.say("m2", "sms", ANN, 2, "START");
        assert_eq!(texts.stopped(ANN), NOTHING);
        assert_eq!(texts.sent("sms", "marketing"), (1, 0));
        texts.say("m3", "sms", ANN, 3, "abmelden");
        assert_eq!(texts.sent("sms", "marketing"), (0, 1), "in any language");
        assert_eq!(texts.events(), ["message.stop_asked", "message.start_asked", "message.stop_asked"]);
    }

    fn what_was_said_last_counts_whenever_it_comes(db: &Database) {
        let texts = Texts::on(db);
        texts.say("stop_2", "sms", ANN, 2, "STOP");
        texts.say("start_1", "sms", ANN, 1, "START");
        assert_eq!(texts.stopped(ANN), ["http", "sms"], "the stop was said later");
        texts.say("start_2", "sms", ANN, 2, "START");
        assert_eq!(texts.stopped(ANN), ["http", "sms"], "at the same moment, the refusal counts");
        texts.say("stop_5", "sms", ANN, 5, "STOP");
        texts.say("start_4", "sms", ANN, 4, "START");
        assert_eq!(texts.stopped(ANN), ["http", "sms"], "the last stop is what counts");
        texts.say("start_7", "sms", ANN, 7, "START");
        texts.say("stop_6", "sms", ANN, 6, "STOP");
        assert_eq!(texts.stopped(ANN), NOTHING, "the start was said later");
        texts.say("stop_7", "sms", ANN, 7, "STOP");
        assert_eq!(texts.stopped(ANN), ["http", "sms"]);
    }

    fn a_message_that_comes_again_has_no_second_effect(db: &Database) {
        let texts = Texts::on(db);
        texts.say("m1", "sms", ANN, 1, "STOP");
        texts.say("m2", "sms", ANN, 2, "START");
        for _ in 0..2 {
            texts.say("m1", "sms", ANN, 1, "STOP");
        }
        // As after callbacks.keep_days: only that it was heard is still known.
        texts.server.execute("DELETE FROM callbacks".to_owned());
        texts.say("m1", "sms", ANN, 8, "STOP");
        assert_eq!((texts.stopped(ANN), texts.events().len()), (Vec::new(), 2));
    }

    fn a_number_that_nobody_has_is_stopped_for_who_has_it_later(db: &Database) {
        let texts = Texts::on(db);
        texts.say("m1", "sms", NOBODY, 1, "QUIT");
        texts.say("m2", "sms", NOBODY, 2, "HELP");
        assert_eq!(texts.stopped(NOBODY), ["http", "sms"]);
        assert_eq!(texts.count("events"), 0);
        let bob = id(&texts.api.post("/v1/contacts", &json!({ "phone": NOBODY, "email": "bob@example.com" })));
        texts.api.post(&format!("/v1/lists/{}/members", texts.list), &json!({ "contact_ids": [bob] }));
        assert_eq!(texts.sent("sms", "marketing"), (1, 1));
        assert_eq!(texts.sent("email", "marketing"), (2, 0));
        texts.say("m3", "sms", NOBODY, 3, "unstop");
        assert_eq!(texts.stopped(NOBODY), NOTHING);
    }

    fn who_stopped_text_messages_stops_them_at_a_new_number_too(db: &Database) {
        let texts = Texts::on(db);
        texts.say("m1", "sms", ANN, 1, "STOP");
        let path = format!("/v1/contacts/{}", texts.ann);
        let change = json!({ "phone": NOBODY, "email": "ann@new.example.com" }).to_string().into_bytes();
        let changed = texts.api.request(reqwest::Method::PATCH, &path, "application/json", Some(change), &[]);
        assert_eq!(changed.unwrap().status, 200);
        assert_eq!(texts.stopped(NOBODY), ["http", "sms"]);
        assert_eq!(texts.stopped("ann@new.example.com"), NOTHING);
        assert_eq!(texts.sent("email", "marketing"), (1, 0));
        texts.say("m2", "sms", NOBODY, 2, "START");
        assert_eq!(texts.sent("sms", "marketing"), (1, 0));
    }

    fn the_channels_of_a_number_are_stopped_and_started_each_for_itself(db: &Database) {
        let texts = Texts::on(db);
        texts.say("m1", "sms", ANN, 1, "STOP");
        texts.say("m2", "whatsapp", ANN, 2, "STOP");
        texts.say("m3", "email", "Ann@Example.com", 3, "unsubscribe");
        assert_eq!(texts.stopped(ANN), ["http", "sms", "whatsapp"]);
        assert_eq!(texts.stopped("ann@example.com"), ["email", "http"]);
        texts.say("m4", "sms", ANN, 4, "START");
        assert_eq!(texts.stopped(ANN), ["http", "whatsapp"], "channel http stays stopped with the other one");
        texts.say("m5", "whatsapp", ANN, 5, "START");
        assert_eq!(texts.stopped(ANN), NOTHING);
        assert_eq!(texts.sent("email", "marketing"), (0, 1));
    }

    fn who_stops_what_a_pool_of_channel_http_sends_gets_nothing_more_from_it(db: &Database) {
        let texts = Texts::on(db);
        assert_eq!(texts.sent("http", "marketing"), (1, 0));
        // It goes by the email, although what it sends are text messages.
        texts.say_to("http", "m1", &message("sms", ANN, texts.start + 1, "STOP"));
        assert_eq!((texts.stopped(ANN), texts.stopped("ann@example.com")), (vec!["http".to_owned(), "sms".to_owned()], vec!["http".to_owned()]));
        assert_eq!((texts.sent("http", "marketing"), texts.sent("sms", "marketing")), ((0, 1), (0, 1)));
        assert_eq!(texts.sent("email", "marketing"), (1, 0));
        // Nor under a new email.
        let (path, change) = (format!("/v1/contacts/{}", texts.ann), json!({ "email": "ann@new.example.com" }).to_string());
        let changed = texts.api.request(reqwest::Method::PATCH, &path, "application/json", Some(change.into_bytes()), &[]);
        assert_eq!(changed.unwrap().status, 200);
        assert_eq!(texts.stopped("ann@new.example.com"), ["http"]);
        assert_eq!(texts.sent("http", "marketing"), (0, 1));
        texts.say_to("http", "m2", &message("sms", ANN, texts.start + 2, "START"));
        assert_eq!((texts.sent("http", "marketing"), texts.sent("sms", "marketing")), ((1, 0), (1, 0)));
    }

    fn start_leaves_a_later_stop_of_channel_http(db: &Database) {
        let texts = Texts::on(db);
        texts.say("m1", "sms", ANN, 1, "STOP");
        texts.api.post("/v1/suppressions", &json!({ "address": ANN, "channel": "http", "reason": "stopped" }));
        texts.say("m2", "sms", ANN, 2, "START");
        assert_eq!(texts.stopped(ANN), ["http"]);
    }

    fn start_takes_back_nothing_but_a_stop(db: &Database) {
        let texts = Texts::on(db);
        let refused = json!({ "address": ANN, "channel": "sms" });
        texts.api.post("/v1/suppressions", &refused);
        texts.say("m1", "sms", ANN, 500, "STOP");
        texts.say("m2", "sms", ANN, 501, "START");
        let rows = texts.api.get("/v1/suppressions?channel=sms");
        assert_eq!(rows["data"][0]["reasons"], json!(["unsubscribed"]), "{rows}");
    }

    fn a_question_and_any_other_text_are_events_without_their_words(db: &Database) {
        let texts = Texts::on(db);
        texts.say("m1", "sms", ANN, 1, "help");
        texts.say("m2", "sms", ANN, 2, "INFO?");
        texts.say("m3", "whatsapp", ANN, 3, "please stop, my pin is 4711");
        assert_eq!(texts.events(), ["message.help_asked", "message.help_asked", "message.received"]);
        assert_eq!(texts.stopped(ANN), NOTHING);
        let plain = "events WHERE properties IN ('{\"channel\":\"sms\"}', '{\"channel\":\"whatsapp\"}')";
        assert_eq!(texts.count(plain), 3);
        assert_eq!(texts.count("callbacks WHERE body IS NOT NULL"), 0);
    }

    fn forged_old_future_and_large_messages_change_nothing(db: &Database) {
        let texts = Texts::on(db);
        let body = message("sms", ANN, texts.start, "STOP").to_string();
        let good = signed(SECRET, "m1", now(), body.as_bytes());
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for (what, headers, sent) in [
            ("another text", good.clone(), body.replace("STOP", "START")),
            ("another number", good, body.replace(ANN, NOBODY)),
            ("another secret", signed(other, "m1", now(), body.as_bytes()), body.clone()),
            ("an old one", signed(SECRET, "m1", now() - 301, body.as_bytes()), body.clone()),
            ("one of the future", signed(SECRET, "m1", now() + 310, body.as_bytes()), body.clone()),
            ("no signature", Vec::new(), body.clone()),
        ] {
            let refused = texts.post("sms", &headers, sent.as_bytes());
            assert_eq!((refused.status, refused.code()), (401, "callback_unverified"), "{what}");
        }
        let large = message("sms", ANN, texts.start, &"STOP ".repeat(1 << 20)).to_string();
        assert_eq!(texts.post("sms", &signed(SECRET, "m1", now(), large.as_bytes()), large.as_bytes()).status, 413);
        assert_eq!((texts.count("callbacks"), texts.stopped(ANN)), (0, Vec::new()));
    }

    fn what_says_that_it_comes_from_the_future_was_said_when_it_came(db: &Database) {
        let texts = Texts::on(db);
        let year = 365 * 86_400;
        texts.say("m1", "sms", ANN, year, "START");
        texts.say("m2", "sms", ANN, year, "STOP");
        assert_eq!(texts.stopped(ANN), ["http", "sms"]);
        assert_eq!(texts.count("suppressions WHERE stopped_at > updated_at"), 0);
        texts.say("m3", "sms", ANN, year, "START");
        assert_eq!(texts.stopped(ANN), NOTHING, "no time of the future stands in the way of what is said next");
    }

    fn a_pool_hears_its_own_channel_and_says_why_it_hears_no_other(db: &Database) {
        let texts = Texts::on(db);
        let tell = |pool: &str, key: &str, body: &Value| {
            let body = body.to_string();
            assert_eq!(texts.post(pool, &signed(SECRET, key, now(), body.as_bytes()), body.as_bytes()).status, 200);
        };
        tell("email", "m1", &message("sms", ANN, texts.start, "STOP"));
        tell("sms", "m2", &message("sms", "020 7946 0123", texts.start, "STOP"));
        wait_for("both have failed", LONG, || (texts.count("callbacks WHERE state = 'failed'") == 2).then_some(()));
        let failed = texts.api.get("/v1/callbacks");
        let said: Vec<&str> = failed["data"].as_array().unwrap().iter().filter_map(|row| row["error"].as_str()).collect();
        assert_eq!(said, [
            "data.from is no address of channel sms: it needs its country code: write +44 20 7946 0000 or 0044 20 7946 0000",
            "data.channel is another one than the pool's",
        ]);
        tell("http", "m3", &message("sms", ANN, texts.start, "STOP"));
        wait_for("it is heard", LONG, || (texts.stopped(ANN) == ["http", "sms"]).then_some(()));
    }
}
