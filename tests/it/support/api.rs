//! A client of the REST API that checks the books at every look.

use std::sync::Once;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::described::{self, Seen};
use super::waiting::wait_for;

/// Longer than any answer may take; shorter than a test's patience.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The client. Threads do not share one: each makes its own with [`Api::another`].
pub(crate) struct Api {
    base: String,
    key: String,
    runtime: Runtime,
    client: reqwest::Client,
}

/// What the server said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// When the answer had been read.
    pub(crate) at: Instant,
}

/// A campaign's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Stats {
    pub(crate) total: u64,
    pub(crate) pending: u64,
    pub(crate) sending: u64,
    pub(crate) sent: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) uncertain: u64,
}

/// A campaign as the API shows it.
#[derive(Debug, Clone)]
pub(crate) struct Campaign {
    pub(crate) status: String,
    pub(crate) stats: Stats,
    pub(crate) attention: Option<String>,
    pub(crate) body: Value,
}

impl Api {
    pub(crate) fn new(base: &str, key: &str) -> Self {
        install_tls_provider();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .expect("an HTTP client");
        Self { base: base.to_owned(), key: key.to_owned(), runtime, client }
    }

    /// Another client of the same server, for another thread.
    pub(crate) fn another(&self) -> Self {
        Self::new(&self.base, &self.key)
    }

    /// Sends one request. `headers` may replace the usual ones.
    ///
    /// # Errors
    /// When no answer came.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.header("Content-Type", content_type).body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let content_type = response.headers().get("content-type").cloned();
            let text = response.text().await?;
            let at = Instant::now();
            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let content_type = content_type.as_ref().and_then(|kind| kind.to_str().ok());
            // Not in the benches, which share this client and measure.
            if cfg!(test) {
                described::check(&Seen { method: method.as_str(), target: path, status, content_type, body: &body });
            }
            Ok(Answer { status, body, at })
        })
    }

    /// # Errors
    /// When no answer came.
    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        self.request(Method::GET, path, "", None, &[])
    }

    /// # Errors
    /// When no answer came.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        self.request(Method::POST, path, "application/json", Some(body.to_string().into_bytes()), &[])
    }

    /// The body of a successful GET. Asks again when the answer is "the database is away, try again", as a client would.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = wait_for("the database is back", TIMEOUT, || {
            self.try_get(path).map(|answer| (answer.status != 503).then_some(answer)).transpose()
        });
        answer.expect("an answer").expect_success(path)
    }

    /// The body of a successful POST.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body).expect("an answer").expect_success(path)
    }

    /// Makes a list.
    #[track_caller]
    pub(crate) fn create_list(&self, name: &str) -> i64 {
        id(&self.post("/v1/lists", &json!({ "name": name })))
    }

    /// Imports people into a list and waits until that is done. Answers the finished import.
    #[track_caller]
    pub(crate) fn import_csv(&self, list: i64, csv: &str) -> Value {
        let path = format!("/v1/contacts/import?list={list}");
        let answer = self.request(Method::POST, &path, "text/csv", Some(csv.as_bytes().to_vec()), &[]);
        let import = id(&answer.expect("an answer").expect_success(&path));
        wait_for("the import ends", Duration::from_secs(120), || {
            let import = self.get(&format!("/v1/imports/{import}"));
            let status = import["status"].as_str().expect("an import has a status").to_owned();
            assert_ne!(status, "failed", "the import failed: {import}");
            (status == "completed").then_some(import)
        })
    }

    /// A list of that many made-up people.
    #[track_caller]
    pub(crate) fn a_list_of(&self, people: usize) -> i64 {
        let list = self.create_list(&format!("{people} people"));
        self.import_csv(list, &super::people::csv(people));
        list
    }

    /// Makes a template.
    #[track_caller]
    pub(crate) fn create_template(&self, channel: &str, subject: &str, text: &str) -> i64 {
        let name = format!("template {subject}");
        id(&self
            .post("/v1/templates", &json!({ "name": name, "channel": channel, "subject": subject, "body_text": text })))
    }

    /// Makes a campaign to a list, with content of its own. `more` adds or replaces fields.
    #[track_caller]
    pub(crate) fn create_campaign(&self, channel: &str, pool: &str, list: i64, more: &Value) -> i64 {
        let mut body = json!({
            "name": "A campaign",
            "channel": channel,
            "pool": pool,
            "subject": "Hello {first_name|friend}",
            "body_text": "Dear {first_name|friend}, good news from {city|town}.",
            "audience": { "lists": [list] },
        });
        let fields = more.as_object().cloned().unwrap_or_default();
        body.as_object_mut().expect("an object").extend(fields);
        id(&self.post("/v1/campaigns", &body))
    }

    /// Launches a campaign.
    #[track_caller]
    pub(crate) fn send(&self, campaign: i64) -> Value {
        self.post(&format!("/v1/campaigns/{campaign}/send"), &json!({}))
    }

    /// Pauses a campaign; answers when the answer had been read.
    #[track_caller]
    pub(crate) fn pause(&self, campaign: i64) -> Instant {
        self.verb(campaign, "pause")
    }

    /// Resumes a campaign.
    #[track_caller]
    pub(crate) fn resume(&self, campaign: i64) -> Instant {
        self.verb(campaign, "resume")
    }

    /// Stops a campaign for good; answers when the answer had been read.
    #[track_caller]
    pub(crate) fn stop(&self, campaign: i64) -> Instant {
        self.verb(campaign, "stop")
    }

    #[track_caller]
    fn verb(&self, campaign: i64, verb: &str) -> Instant {
        let path = format!("/v1/campaigns/{campaign}/{verb}");
        let answer = self.try_post(&path, &json!({})).expect("an answer");
        let at = answer.at;
        answer.expect_success(&path);
        at
    }

    /// Looks at a campaign and checks its books.
    #[track_caller]
    pub(crate) fn campaign(&self, campaign: i64) -> Campaign {
        let path = format!("/v1/campaigns/{campaign}");
        Campaign::read(self.get(&path))
    }

    /// Waits until `condition` holds for the campaign, checking its books at every look.
    #[track_caller]
    pub(crate) fn wait(
        &self,
        campaign: i64,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Campaign) -> bool,
    ) -> Campaign {
        let mut last = None;
        let began = Instant::now();
        loop {
            let seen = self.campaign(campaign);
            if condition(&seen) {
                return seen;
            }
            last = Some(seen).or(last);
            if began.elapsed() >= limit {
                println!("what each actor says: {:?}", self.try_get("/v1/admin/state").map(|answer| answer.body));
                panic!("waited {limit:?} in vain: {what}; last seen: {last:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the campaign has ended, and audits it.
    #[track_caller]
    pub(crate) fn wait_ended(&self, campaign: i64, limit: Duration) -> Campaign {
        let ended = self.wait(campaign, "the campaign ends", limit, Campaign::is_ended);
        self.audit(campaign);
        ended
    }

    /// Has the rows counted and compared with the page counts; fails the test when they differ.
    #[track_caller]
    pub(crate) fn audit(&self, campaign: i64) -> Value {
        let audit = self.get(&format!("/v1/campaigns/{campaign}/audit"));
        assert_eq!(audit["consistent"], json!(true), "the books are wrong: {audit}");
        audit
    }

    /// The address of the contact that a delivery is for.
    #[track_caller]
    pub(crate) fn address_of(delivery: &Value) -> String {
        delivery["contact"]["email"].as_str().unwrap_or_else(|| panic!("no address in {delivery}")).to_owned()
    }

    /// Every delivery of a campaign in one state.
    #[track_caller]
    pub(crate) fn deliveries(&self, campaign: i64, status: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/campaigns/{campaign}/deliveries?status={status}&page_size=100{cursor}");
            let mut page = self.get(&path);
            found.append(page["data"].as_array_mut().expect("a page has data"));
            let Some(next) = page["next_cursor"].as_str() else { return found };
            cursor = format!("&cursor={next}");
        }
    }
}

impl Answer {
    /// The body, when the answer is a success.
    #[track_caller]
    pub(crate) fn expect_success(self, path: &str) -> Value {
        assert!((200..300).contains(&self.status), "{path} answered {}: {}", self.status, self.body);
        self.body
    }
}

impl Campaign {
    #[track_caller]
    pub(crate) fn read(body: Value) -> Self {
        let stats: Stats = serde_json::from_value(body["stats"].clone()).expect("a campaign has stats");
        let Stats { total, pending, sending, sent, failed, skipped, uncertain } = stats;
        assert_eq!(total, pending + sending + sent + failed + skipped + uncertain, "somebody is lost: {body}");
        Self {
            status: body["status"].as_str().expect("a campaign has a status").to_owned(),
            stats,
            attention: body["attention"]["code"].as_str().map(str::to_owned),
            body,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        ["sent", "failed", "stopped"].contains(&self.status.as_str())
    }
}

/// Says once who does the cryptography; HTTP clients ask for it.
pub(crate) fn install_tls_provider() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The id that a document carries.
#[track_caller]
pub(crate) fn id(document: &Value) -> i64 {
    document["id"].as_i64().unwrap_or_else(|| panic!("no id in {document}"))
}
