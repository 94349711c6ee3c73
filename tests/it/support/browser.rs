//! A real browser: Debian's chromium, driven through chromedriver, with a profile of its own for each session.
//!
//! When a session ends, the test fails unless the pages were quiet: nothing on the console, no violation of the policy, no
//! request to another origin, no answer of 500 or more but those that the test has named.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError, RwLockReadGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::database::leave_out;
use super::turns::shared_turn;
use super::waiting::{wait_for, wait_until};
use super::webdriver::{Chromedriver, Key, PATIENCE, Session};

/// So many browsers run at once.
const MOST_AT_ONCE: usize = 2;

/// A crowded machine may be too slow for a browser's own patience, or have the driver's port in use.
const ATTEMPTS: usize = 5;

/// So long may a page need until everything stands where it stays.
const LAYOUT: Duration = Duration::from_secs(5);

/// What a browser is started with. It asks nobody for updates.
const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP volley.test 127.0.0.1",
    // The browser ends with its driver, however that ends.
    "--remote-debugging-pipe",
];

/// What axe finds, one line for each rule.
const AXE: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        (found) => done(found.violations.map((rule) =>
            `${rule.id}: ${rule.help}: ${rule.nodes.map((node) => node.target.join(' ')).join(', ')}`)),
        (error) => done([`axe failed: ${error}`]),
    );";

/// How a browser is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    /// Whether pages may run scripts.
    pub(crate) scripts: bool,
    /// The window's width in CSS pixels.
    pub(crate) width: u32,
    /// The language that it asks for.
    pub(crate) language: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self { scripts: true, width: 1_000, language: "en" }
    }
}

/// A session. Fields drop in order.
pub(crate) struct Browser {
    session: Session,
    _chromedriver: Chromedriver,
    _profile: TempDir,
    seen: Seen,
    _place: Place,
    _turn: RwLockReadGuard<'static, ()>,
}

/// What went over the network and onto the console.
#[derive(Debug, Default)]
struct Seen {
    /// `http://ADDRESS:PORT/` of the first page.
    origin: String,
    requests: Vec<String>,
    documents: Vec<Document>,
    answers: Vec<(String, u16)>,
    console: Vec<String>,
    /// Statuses that the test has named.
    expected: Vec<u16>,
}

/// The answer that a page came with.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
}

/// A node of the accessibility tree: what a screen reader has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) checked: bool,
    pub(crate) focused: bool,
    pub(crate) focusable: bool,
}

impl Browser {
    /// Opens a session. Without chromium, chromedriver or axe: none, and the test is left out aloud; a failure when
    /// `VOLLEY_TEST_REQUIRE_BROWSER` is `1`.
    ///
    /// The kernel ends the driver when the thread that opened it ends, so open it on the test's own thread.
    pub(crate) fn open(test: &str, setup: Setup) -> Option<Self> {
        // Pictures need no axe.
        let axe = axe().or_else(|| std::env::var_os("VOLLEY_LOOK").map(PathBuf::from));
        let (chromium, chromedriver) = match (program("chromium"), program("chromedriver"), axe) {
            (Some(chromium), Some(driver), Some(_)) => (chromium, driver),
            (None, _, _) => return left_out(test, "chromium is not on the PATH"),
            (_, None, _) => return left_out(test, "chromedriver is not on the PATH"),
            (_, _, None) => return left_out(test, "VOLLEY_TEST_AXE does not name axe-core's axe.min.js"),
        };
        // A browser would disturb a test that measures time.
        let turn = shared_turn();
        let place = Place::take();
        let mut failures = Vec::new();
        let (session, chromedriver, profile) = (0..ATTEMPTS)
            .find_map(|_| {
                let profile = tempfile::Builder::new().prefix("volley-test-").tempdir().expect("a temporary folder");
                let opened = Chromedriver::start(&chromedriver).and_then(|chromedriver| {
                    let session = chromedriver.open(&capabilities(&chromium, &profile, setup))?;
                    Ok((session, chromedriver))
                });
                match opened {
                    Ok((session, chromedriver)) => Some((session, chromedriver, profile)),
                    Err(error) => {
                        failures.push(error);
                        None
                    }
                }
            })
            .unwrap_or_else(|| panic!("chromium does not start: {failures:#?}"));
        let seen = Seen::default();
        let browser =
            Self { session, _chromedriver: chromedriver, _profile: profile, seen, _place: place, _turn: turn };
        let metrics = json!({ "width": setup.width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        browser.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        Some(browser)
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.session.devtools(command, params).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Goes to a page, which has to come with this status.
    #[track_caller]
    pub(crate) fn go(&mut self, url: &str, status: u16) -> Document {
        if self.seen.origin.is_empty() {
            self.seen.origin = url.splitn(4, '/').take(3).map(|part| format!("{part}/")).collect();
        }
        self.answered(status, |browser| browser.session.go(url).expect("go to the page"))
    }

    /// Does what leads to another page, and waits for it. It has to come with this status.
    #[track_caller]
    fn answered(&mut self, status: u16, act: impl FnOnce(&Self)) -> Document {
        self.drain();
        let before = self.seen.documents.len();
        self.seen.expected.push(status);
        self.script("window.isLeft = true");
        act(self);
        let document = wait_for("the next page comes", PATIENCE, || {
            self.drain();
            self.seen.documents.get(before).cloned()
        });
        wait_until("the page is complete", PATIENCE, || {
            let is_complete = "return document.readyState === 'complete' && !window.isLeft";
            self.session.script(is_complete).is_ok_and(|is_complete| is_complete == true)
        });
        assert_eq!(document.status, status, "{document:?}: {}", self.text());
        document
    }

    /// Presses a key.
    pub(crate) fn press(&self, key: Key) {
        self.session.press(key).expect("press a key");
    }

    /// Presses the key Tab until the focus is on what has this role and name.
    #[track_caller]
    pub(crate) fn tab_to(&self, role: &str, name: &str) {
        let stops = self.stops().len();
        assert!(self.find(role, name).is_some(), "no {role} {name:?} among {:?}", self.nodes());
        // Once around, and past what is no part of the page.
        for _ in 0..stops + 3 {
            self.press(Key::Tab);
            if self.focused().is_some_and(|node| node.role == role && node.name == name) {
                return;
            }
        }
        panic!("the key Tab does not reach the {role} {name:?}: {:?}", self.nodes());
    }

    /// Goes to a button by the key Tab and presses Enter. The next page has to come with this status.
    #[track_caller]
    pub(crate) fn choose(&mut self, name: &str, status: u16) -> Document {
        self.tab_to("button", name);
        self.answered(status, |browser| browser.press(Key::Enter))
    }

    /// Goes to a link by the key Tab and presses Enter. The next page has to come with this status.
    #[track_caller]
    pub(crate) fn follow(&mut self, name: &str, status: u16) -> Document {
        self.tab_to("link", name);
        self.answered(status, |browser| browser.press(Key::Enter))
    }

    /// Goes to a link by the key Tab and presses Enter; the page stays.
    #[track_caller]
    pub(crate) fn follow_in_page(&self, name: &str) {
        self.tab_to("link", name);
        self.press(Key::Enter);
    }

    /// An answer with this status is no complaint: the page is going to get one by itself.
    pub(crate) fn expect(&mut self, status: u16) {
        self.seen.expected.push(status);
    }

    /// Everything that a screen reader has, in its order.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        wait_for("the accessibility tree can be read", PATIENCE, || {
            let tree = self.session.devtools("Accessibility.getFullAXTree", &json!({})).ok()?;
            Some(in_order(tree["nodes"].as_array()?))
        })
    }

    /// What has this role and name.
    pub(crate) fn find(&self, role: &str, name: &str) -> Option<Node> {
        self.nodes().into_iter().find(|node| node.role == role && node.name == name)
    }

    /// Where the key Tab stops.
    pub(crate) fn stops(&self) -> Vec<Node> {
        self.nodes().into_iter().filter(|node| node.focusable && node.role != "RootWebArea").collect()
    }

    /// What has the focus.
    pub(crate) fn focused(&self) -> Option<Node> {
        self.stops().into_iter().find(|node| node.focused)
    }

    /// All texts of the page.
    pub(crate) fn text(&self) -> String {
        let nodes = self.nodes();
        let texts = nodes.iter().filter(|node| node.role == "StaticText").map(|node| node.name.as_str());
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Runs a script of the test's own, which the page's policy does not bind.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.session.script(script).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// By how many pixels the page is wider than the window, when it is laid out.
    ///
    /// The bar at its right edge comes only after the page is found to be longer than the window, and until
    /// everything has moved to the left, the page is wider by the width of the bar: so a page that is too wide is
    /// looked at again.
    pub(crate) fn overflow(&self) -> i64 {
        let until = Instant::now() + LAYOUT;
        wait_for("the width of the page", LAYOUT * 2, || {
            let metrics = self.devtools("Page.getLayoutMetrics", &json!({}));
            let content = metrics["cssContentSize"]["width"].as_f64().expect("a width").ceil();
            let window = metrics["cssLayoutViewport"]["clientWidth"].as_f64().expect("a width");
            let is_settled = content <= window || Instant::now() >= until;
            is_settled.then(|| format!("{:.0}", content - window).parse().expect("a number of pixels"))
        })
    }

    /// Prefers a dark page, or a light one.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Shows everything in the colours of the person, as Windows' contrast themes do.
    pub(crate) fn force_colours(&self) {
        self.devtools(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [{ "name": "forced-colors", "value": "active" }] }),
        );
    }

    /// Shows everything so many times as large, in a window of that many pixels.
    pub(crate) fn zoom(&self, width: u32, times: u32) {
        let metrics = json!({ "width": width / times, "height": 400, "deviceScaleFactor": times, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Pictures are as wide as the window, without a bar at their side.
    pub(crate) fn hide_scrollbars(&self) {
        self.devtools("Emulation.setScrollbarsHidden", &json!({ "hidden": true }));
    }

    /// Writes a picture of the whole page.
    pub(crate) fn picture(&self, file: &Path) {
        let taken = self.devtools("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }));
        let picture = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text(&taken["data"]));
        std::fs::write(file, picture.expect("a picture")).expect("write the picture");
    }

    /// What axe finds on the page.
    pub(crate) fn axe(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(axe().expect("axe.min.js")).expect("read axe.min.js");
        self.session.script(&axe).expect("load axe");
        let found = self.session.script_until_done(AXE).expect("run axe");
        serde_json::from_value(found).expect("axe says what it found")
    }

    /// What was not quiet so far; the test that asks takes it.
    pub(crate) fn take_complaints(&mut self) -> Vec<String> {
        self.drain();
        self.seen.take_complaints()
    }

    /// Reads what went over the network and onto the console since.
    fn drain(&mut self) {
        for entry in self.session.log("performance").expect("the log of the network") {
            let event: Value = serde_json::from_str(&text(&entry["message"])).expect("an event");
            self.seen.take(&event["message"]);
        }
        let console = self.session.log("browser").expect("the console");
        let loud = console.iter().filter(|line| line["level"] == "WARNING" || line["level"] == "SEVERE");
        let said = loud.map(|line| text(&line["message"]));
        self.seen.console.extend(said.filter(|line| !line.contains(LATE_FADE)));
    }
}

/// What Chromium says when it has shown a page before the fade to it could begin, as on a busy machine. No page can do anything about it,
/// and nothing but the fade is left out.
const LATE_FADE: &str = "Transition was aborted because of invalid state. Page already revealed";

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the page ---\n{:?}\n---", self.session.script("return document.documentElement.outerHTML"));
            return;
        }
        let complaints = self.take_complaints();
        assert!(complaints.is_empty(), "the pages were not quiet: {complaints:#?}");
    }
}

impl Seen {
    fn take(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => self.requests.push(text(&params["request"]["url"])),
            "Network.webSocketCreated" => self.requests.push(text(&params["url"])),
            "Network.responseReceived" => {
                let response = &params["response"];
                let status = response["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(0);
                let url = text(&response["url"]);
                if params["type"] == "Document" && url.starts_with("http") {
                    let headers = response["headers"].as_object().cloned().unwrap_or_default();
                    let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), text(value)));
                    self.documents.push(Document { status, headers: headers.collect() });
                }
                self.answers.push((url, status));
            }
            _ => {}
        }
    }

    fn take_complaints(&mut self) -> Vec<String> {
        let Self { origin, expected, .. } = &*self;
        let is_expected = |line: &String| {
            let failed = "Failed to load resource: the server responded with a status of ";
            expected.iter().any(|status| {
                *status >= 400 && line.starts_with(origin) && line.contains(&format!("{failed}{status} "))
            })
        };
        let leaves = |url: &&String| {
            let goes_out = ["http:", "https:", "ws:", "wss:"].iter().any(|scheme| url.starts_with(scheme));
            goes_out && !url.starts_with(origin)
        };
        let console = self.console.iter().filter(|line| !is_expected(line)).map(|line| format!("console: {line}"));
        let requests = self.requests.iter().filter(leaves).map(|url| format!("a request to elsewhere: {url}"));
        let failed = self.answers.iter().filter(|(_, status)| *status >= 500 && !expected.contains(status));
        let failed = failed.map(|(url, status)| format!("an answer of {status}: {url}"));
        let complaints = console.chain(requests).chain(failed).collect();
        *self = Self { origin: self.origin.clone(), ..Self::default() };
        complaints
    }
}

impl Node {
    fn read(node: &Value) -> Self {
        let properties = node["properties"].as_array().map(Vec::as_slice).unwrap_or_default();
        let property = |name: &str| {
            let found = properties.iter().find(|property| property["name"] == name);
            found.map(|property| &property["value"]["value"]).unwrap_or(&Value::Null)
        };
        Self {
            role: text(&node["role"]["value"]),
            name: text(&node["name"]["value"]),
            description: text(&node["description"]["value"]),
            checked: property("checked") == "true",
            focused: property("focused") == true,
            focusable: property("focusable") == true,
        }
    }
}

/// The nodes of a tree, each before its children.
fn in_order(nodes: &[Value]) -> Vec<Node> {
    let by_id: BTreeMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["nodeId"].as_str()?, node))).collect();
    let mut left: Vec<&Value> = nodes.iter().filter(|node| node.get("parentId").is_none()).collect();
    let mut found = Vec::new();
    while let Some(node) = left.pop() {
        if node["ignored"] != true {
            found.push(Node::read(node));
        }
        let children = node["childIds"].as_array().map(Vec::as_slice).unwrap_or_default();
        left.extend(children.iter().rev().filter_map(|id| by_id.get(id.as_str()?).copied()));
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What the driver is asked for.
fn capabilities(chromium: &Path, profile: &TempDir, setup: Setup) -> Value {
    let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
    arguments.push(format!("--user-data-dir={}", profile.path().display()));
    if rustix::process::geteuid().is_root() {
        // Its sandbox refuses to run as root.
        arguments.push("--no-sandbox".to_owned());
    }
    if !setup.scripts {
        arguments.push("--blink-settings=scriptEnabled=false".to_owned());
    }
    let prefs = json!({ "intl.accept_languages": setup.language });
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": chromium, "args": arguments, "prefs": prefs },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "timeouts": { "script": 120_000, "pageLoad": 120_000 },
    })
}

/// A program on the PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0))
}

/// axe-core's script, as `scripts/test` has fetched it.
fn axe() -> Option<PathBuf> {
    std::env::var_os("VOLLEY_TEST_AXE").map(PathBuf::from).filter(|file| file.is_file())
}

fn left_out(test: &str, why: &str) -> Option<Browser> {
    leave_out(test, why, "VOLLEY_TEST_REQUIRE_BROWSER")
}

static RUNNING: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// One of the browsers that may run at once.
struct Place;

impl Place {
    fn take() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |running: &mut usize| *running >= MOST_AT_ONCE;
        *GIVEN_BACK.wait_while(running, full).unwrap_or_else(PoisonError::into_inner) += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}
