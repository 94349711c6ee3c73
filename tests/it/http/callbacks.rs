//! Callbacks: what providers report is verified, stored, and read once; only what is about an address suppresses it.

mod consequences;
mod door;
mod evidence;
mod inbound;
mod mail;
mod providers;
mod ses;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use volley::config::pools::{CallbackConfig, PoolConfig};
use volley::config::secret::Secret;
use volley::domain::callbacks::Format;
use volley::domain::channel::ChannelKind;
use volley::domain::ids::CampaignId;
use volley::store::campaigns;

use crate::support::Database;
use crate::support::api::{Api, Campaign, id};
use crate::support::server::{Raw, Server, sandbox};
use crate::support::waiting::wait_for;

const LONG: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQh";
const POOL: &str = "main";

/// An instance whose pool takes callbacks, with a campaign that was sent to Ann and Bob.
struct World {
    server: Server,
    api: Api,
    campaign: i64,
    key: String,
    ann: i64,
    bob: i64,
}

/// A pool that takes callbacks of this format.
fn pool(format: Format, secret: &str) -> PoolConfig {
    let callbacks = CallbackConfig { format, secret: Some(Secret::new(secret)), topics: Vec::new() };
    PoolConfig { callbacks: Some(callbacks), ..sandbox(POOL, ChannelKind::Email, 0.0) }
}

impl World {
    fn on(db: &Database) -> Self {
        Self::with(db, pool(Format::StandardWebhooks, SECRET))
    }

    fn with(db: &Database, pool: PoolConfig) -> Self {
        Self::with_pools(db, vec![pool])
    }

    /// The campaign goes through the pool `main`.
    fn with_pools(db: &Database, pools: Vec<PoolConfig>) -> Self {
        Self::at(Server::with_pools(db, pools))
    }

    fn at(server: Server) -> Self {
        let api = server.api();
        let news = api.create_list("News");
        let [ann, bob] = ["ann", "bob"].map(|name| {
            let contact = id(&api.post("/v1/contacts", &json!({ "email": format!("{name}@example.com") })));
            api.post(&format!("/v1/lists/{news}/members"), &json!({ "contact_ids": [contact] }));
            contact
        });
        let campaign = api.create_campaign("email", POOL, news, &json!({ "subject": "s", "body_text": "x" }));
        api.send(campaign);
        api.wait(campaign, "it ends", LONG, Campaign::is_ended);
        let key = server.ask(move |conn| Ok(campaigns::find(conn, CampaignId(campaign))?.unwrap().key.unwrap()));
        Self { server, api, campaign, key, ann, bob }
    }

    /// The key that the message to a contact went out with.
    fn delivery(&self, contact: i64) -> String {
        format!("{}:{contact}", self.key)
    }

    /// Sends a callback as its provider would: with a signature, and without an API key.
    fn report(&self, id: &str, body: &Value) -> Raw {
        let body = body.to_string();
        self.post(&signed(SECRET, id, now(), body.as_bytes()), body.as_bytes())
    }

    /// Reports one thing about the message to a contact.
    fn tell(&self, id: &str, contact: i64, kind: &str, more: &Value) {
        let mut body = json!({ "kind": kind, "delivery_key": self.delivery(contact) });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(self.report(id, &body).status, 200, "{body}");
        self.wait_read();
    }

    fn post(&self, headers: &[(String, String)], body: &[u8]) -> Raw {
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if !headers.iter().any(|(name, _)| *name == "Authorization") {
            headers.push(("Authorization", "none"));
        }
        self.server.send("POST", &format!("/v1/callbacks/{POOL}"), &headers, body)
    }

    fn count(&self, what: &str) -> i64 {
        let query = format!("SELECT count(*) AS n FROM {what}");
        self.server.ask(move |conn| Ok(crate::support::database::number(conn, &query)))
    }

    /// Waits until every callback was read.
    fn wait_read(&self) {
        wait_for("callbacks are read", LONG, || (self.count("callbacks WHERE state = 'pending'") == 0).then_some(()));
    }

    /// What was reported of the campaign: for how many recipients, and how often.
    fn reported(&self, kind: &str) -> (i64, i64) {
        let figure = &self.api.get(&format!("/v1/campaigns/{}", self.campaign))["reports"][kind];
        (figure["recipients"].as_i64().unwrap_or_default(), figure["total"].as_i64().unwrap_or_default())
    }

    /// Why an address is suppressed on channel email.
    fn suppressed(&self, address: &str) -> Vec<String> {
        let all = self.api.get("/v1/suppressions?channel=email&page_size=100");
        let rows = all["data"].as_array().unwrap().iter().filter(|row| row["address"] == address);
        let reasons = rows.flat_map(|row| row["reasons"].as_array().cloned().unwrap_or_default());
        reasons.map(|reason| reason.as_str().unwrap_or_default().to_owned()).collect()
    }
}

pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The headers of <https://www.standardwebhooks.com>.
pub(crate) fn signed(secret: &str, id: &str, at: i64, body: &[u8]) -> Vec<(String, String)> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(body);
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    [("webhook-id", id.to_owned()), ("webhook-timestamp", at.to_string()), ("webhook-signature", signature)]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .chain([("Content-Type".to_owned(), "application/json".to_owned())])
        .collect()
}
