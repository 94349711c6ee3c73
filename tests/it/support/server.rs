//! An instance in the test's own process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use volley::app::App;
use volley::channels::fetch::{Fetch, Https};
use volley::config::pools::{PoolConfig, SandboxConfig, ServerConfig, WebhookConfig};
use volley::config::secret::Secret;
use volley::config::{Limits, Settings};
use volley::domain::channel::ChannelKind;
use volley::store::{Conn, Lane, Store, StoreError};

use super::Database;
use super::api::Api;
use super::described::{self, Seen};
use super::scripted_http::ScriptedHttp;

/// The root key of every server here.
pub(crate) const ROOT_KEY: &str = "root-key-of-the-tests";

/// A server that stops when it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) store: Store,
    /// The path of a page that signs in the first person who opens it.
    pub(crate) one_time_path: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Settings for a database: small caps, so that they are reached quickly.
pub(crate) fn settings(db: &Database) -> Settings {
    let mut settings = Settings::default();
    settings.database.url = Secret::new(db.url());
    settings.sending.data_dir = db.folder().join("data");
    settings.auth.root_key = Some(Secret::new(ROOT_KEY));
    settings.http.max_body_bytes = 256 * 1024;
    settings.http.max_import_bytes = 64 * 1024 * 1024;
    settings.sending.shutdown_seconds = 1;
    settings.http.addr = "127.0.0.1:0".to_owned();
    // Most tests are about other things than what a message says.
    settings.links.require_unsubscribe = false;
    settings.email.require_postal_address = false;
    // Tests ask as fast as they can; those of the limits set their own.
    settings.limits = Limits::none();
    // Most tests are not about consent, and send to contacts by their ids.
    settings.consent.require_topic = false;
    settings
}

/// A pool without a network whose calls take no time and fail at this rate.
pub(crate) fn sandbox(name: &str, channel: ChannelKind, failure_rate: f64) -> PoolConfig {
    let sandbox = SandboxConfig { latency_ms: Some([0, 1]), failure_rate: Some(failure_rate), crash_on: None };
    PoolConfig { name: name.to_owned(), channel, ..PoolConfig::bare(sandbox) }
}

/// A pool in front of `sink` that relies on no keys: what the sink does not answer well is uncertain.
pub(crate) fn webhook(name: &str, sink: &ScriptedHttp) -> PoolConfig {
    let server = ServerConfig::at(format!("http://127.0.0.1:{}/send", sink.port()));
    PoolConfig {
        name: name.to_owned(),
        channel: ChannelKind::Http,
        timeout_seconds: 2,
        ..PoolConfig::bare(WebhookConfig { server, ..WebhookConfig::default() })
    }
}

impl Server {
    /// Serves a database that is brought up to date first, without sender pools.
    pub(crate) fn on(db: &Database) -> Self {
        Self::with_pools(db, Vec::new())
    }

    /// The same, with sender pools.
    pub(crate) fn with_pools(db: &Database, pools: Vec<PoolConfig>) -> Self {
        Self::with(db, |settings| settings.pools = pools)
    }

    /// The same, with other settings.
    pub(crate) fn with(db: &Database, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(db);
        change(&mut settings);
        Self::start(settings, Arc::new(Https::new().unwrap()))
    }

    /// The same, with sender pools, and with what fetches documents that providers name.
    pub(crate) fn with_fetch(db: &Database, pools: Vec<PoolConfig>, fetch: Arc<dyn Fetch>) -> Self {
        let settings = Settings { pools, ..settings(db) };
        Self::start(settings, fetch)
    }

    fn start(settings: Settings, fetch: Arc<dyn Fetch>) -> Self {
        let (started, wait) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let system = actix_rt::System::new();
            system.block_on(async move {
                let store = Store::open(&settings.database).unwrap();
                let app = App::start_with(settings, fetch).await.unwrap();
                started.send((app.addr(), store, app.one_time_path(None))).unwrap();
                let _ = stopped.await;
                app.stop().await;
            });
            // Its other threads end only when they are told; with them go the connections that they hold.
            actix_rt::System::current().stop();
            system.run().unwrap();
        });
        let (addr, store, one_time_path) = wait.recv_timeout(Duration::from_secs(60)).expect("the server starts");
        let one_time_path = one_time_path.unwrap_or_default();
        Self { addr, store, one_time_path, stop: Some(stop), thread: Some(thread) }
    }

    /// A client with the root key.
    pub(crate) fn api(&self) -> Api {
        Api::new(&format!("http://{}", self.addr), ROOT_KEY)
    }

    /// Sends bytes as they are, with no more than what is given, and reads until the server closes.
    pub(crate) fn raw(&self, request: &[u8]) -> Raw {
        let mut socket = TcpStream::connect(self.addr).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        // A server that refuses early closes early.
        let _ = socket.write_all(request);
        let answer = Raw::read(socket);
        answer.check(request);
        answer
    }

    /// One request, with the root key unless `headers` have an Authorization of their own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Raw {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n").into_bytes();
        if !headers.iter().any(|(name, _)| *name == "Authorization") {
            request.extend(format!("Authorization: Bearer {ROOT_KEY}\r\n").bytes());
        }
        for (name, value) in headers {
            request.extend(format!("{name}: {value}\r\n").bytes());
        }
        if !body.is_empty() || ["POST", "PATCH", "PUT"].contains(&method) {
            request.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
        }
        request.extend(b"\r\n");
        request.extend(body);
        self.raw(&request)
    }

    /// Asks the database.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.run(Lane::Read, work)
    }

    /// Changes the database behind the API's back.
    pub(crate) fn execute(&self, statement: String) {
        self.run(Lane::Write, move |conn| {
            diesel::RunQueryDsl::execute(diesel::sql_query(statement), conn).map_err(StoreError::query("execute"))
        });
    }

    /// Changes the database in one transaction, by what the store has for it.
    pub(crate) fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.run(Lane::Write, |conn| conn.write(work))
    }

    fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.store.run(lane, "ask", work)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An answer with everything in it.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Raw {
    pub(crate) fn read(mut socket: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = socket.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        Self { status, head: head.to_ascii_lowercase(), body }
    }

    /// Holds the answer to a request against the description. What is cut off, or comes in pieces, is left out.
    #[track_caller]
    fn check(&self, request: &[u8]) {
        let line = request.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
        let mut words = line.unwrap_or_default().split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return };
        let content_type = self.header("content-type");
        let is_json = content_type.is_some_and(|kind| kind.contains("json"));
        if method == "HEAD" || self.status == 0 || is_json && self.body.is_string() {
            return;
        }
        described::check(&Seen { method, target, status: self.status, content_type, body: &self.body });
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The code of a problem document; checks that it is one.
    #[track_caller]
    pub(crate) fn code(&self) -> &str {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert!(self.body["request_id"].is_string(), "{self:?}");
        self.body["code"].as_str().expect("a problem has a code")
    }

    /// The first field that a problem names.
    pub(crate) fn field(&self) -> &str {
        self.body["errors"][0]["field"].as_str().unwrap_or_default()
    }
}
