//! A client of WebDriver (<https://www.w3.org/TR/webdriver2/>), as far as the tests need it, and of what chromedriver has
//! beside it.
//!
//! `docs/adr/0019` says why there is no crate for this.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::api::install_tls_provider;

/// Longer than anything that a browser is asked for, on a crowded machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A key, as WebDriver writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Tab,
    Enter,
    Space,
    Escape,
    Letter(char),
    Down,
    Up,
    /// The letter together with Ctrl.
    Ctrl(char),
}

/// The driver's process. Dropping it ends it, and with it the browser.
pub(crate) struct Chromedriver {
    child: Child,
    port: u16,
}

/// A session with a browser. Dropping it ends the browser.
pub(crate) struct Session {
    runtime: Runtime,
    client: reqwest::Client,
    /// The session's address.
    base: String,
}

impl Chromedriver {
    /// Starts the driver on a port that it chooses.
    ///
    /// The kernel ends it when the thread that started it ends, so start it on the test's own thread.
    ///
    /// # Errors
    /// What the driver said before it ended. It takes a free port of IPv4 and then wants the same one of IPv6: on a machine
    /// where much goes on, that may be in use, and the next attempt gets another.
    pub(crate) fn start(program: &Path) -> Result<Self, String> {
        // `setpriv` becomes the program: nothing is left behind when the tests themselves are killed.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start chromedriver");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut started = Self { child, port: 0 };
        let (said, heard) = mpsc::channel();
        // To its end: a driver whose output nobody reads would stop.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _nobody_waits = said.send(line);
            }
        });
        let mut words = Vec::new();
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                started.port = port.trim_end_matches('.').parse().expect("a port");
                return Ok(started);
            }
            words.push(line);
        }
        Err(format!("chromedriver does not start: {words:?}"))
    }

    /// Opens a session.
    ///
    /// # Errors
    /// What the driver says: the browser did not start.
    pub(crate) fn open(&self, capabilities: &Value) -> Result<Session, String> {
        install_tls_provider();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().pool_max_idle_per_host(0);
        let client = client.build().expect("an HTTP client");
        let mut session = Session { runtime, client, base: format!("http://127.0.0.1:{}/session", self.port) };
        let opened = session.post("", &json!({ "capabilities": { "alwaysMatch": capabilities } }))?;
        let id = opened["sessionId"].as_str().ok_or_else(|| format!("no session: {opened}"))?;
        session.base = format!("{}/{id}", session.base);
        Ok(session)
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Session {
    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(self.client.post(format!("{}{path}", self.base)).json(body))
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status(), response.json::<Value>().await?))
        });
        let (status, mut body) = answer.map_err(|error| format!("{error:?}"))?;
        let value = body["value"].take();
        if status.is_success() { Ok(value) } else { Err(value["message"].as_str().unwrap_or("no reason").to_owned()) }
    }

    /// Goes to an address and waits until the page is loaded.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn go(&self, url: &str) -> Result<(), String> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// Presses a key and lets it go.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn press(&self, key: Key) -> Result<(), String> {
        let is_with_ctrl = matches!(key, Key::Ctrl(_));
        let key = match key {
            Key::Tab => '\u{e004}',
            Key::Enter => '\u{e007}',
            Key::Escape => '\u{e00c}',
            Key::Space => ' ',
            Key::Down => '\u{e015}',
            Key::Up => '\u{e013}',
            Key::Letter(letter) | Key::Ctrl(letter) => letter,
        };
        let mut actions = vec![json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        if is_with_ctrl {
            actions.insert(0, json!({ "type": "keyDown", "value": '\u{e009}' }));
            actions.push(json!({ "type": "keyUp", "value": '\u{e009}' }));
        }
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }))
            .map(drop)
    }

    /// Runs a script, which the page's policy does not bind, and answers what it returns.
    ///
    /// # Errors
    /// It failed.
    pub(crate) fn script(&self, script: &str) -> Result<Value, String> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same for a script that says when it is done, by its last argument.
    ///
    /// # Errors
    /// It failed.
    pub(crate) fn script_until_done(&self, script: &str) -> Result<Value, String> {
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// A command of the DevTools protocol.
    ///
    /// # Errors
    /// The browser refused it.
    pub(crate) fn devtools(&self, command: &str, params: &Value) -> Result<Value, String> {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    /// What was logged since the last look: `browser` is the console, `performance` the network.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn log(&self, kind: &str) -> Result<Vec<Value>, String> {
        let entries = self.post("/se/log", &json!({ "type": kind }))?;
        Ok(entries.as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ends_with_the_driver = self.send(self.client.delete(&self.base));
    }
}
