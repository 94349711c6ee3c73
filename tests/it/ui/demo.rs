//! What a newcomer sees of `volley demo --serve`.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::assert_heading;
use crate::support::browser::{Browser, Setup};
use crate::support::waiting::wait_until;
use crate::support::webdriver::Key;

const LONG: Duration = Duration::from_secs(60);

/// A demo that stays; ended with the test.
struct Demo {
    child: Child,
    /// The link that it printed.
    link: String,
    /// Kept open: a demo whose words nobody can take ends.
    output: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    fn start() -> Self {
        // `setpriv` becomes the program: nothing is left behind when the tests themselves are killed.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--", env!("CARGO_BIN_EXE_volley"), "demo", "--serve", "--contacts", "400"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start volley");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut demo = Self { child, link: String::new(), output };
        let mut said = Vec::new();
        while let Some(line) = demo.output.next().transpose().expect("the demo's words can be read") {
            if line.contains("/ui/enter") {
                line.trim().clone_into(&mut demo.link);
                return demo;
            }
            said.push(line);
        }
        panic!("the demo printed no link: {}", said.join("\n"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let pid = self.child.id().try_into().ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It removes its folder when it is asked to end.
            let _already_gone = kill_process(pid, Signal::TERM);
        }
        let _ended = self.child.wait();
    }
}

#[test]
fn the_demos_link_opens_a_campaign_that_is_going_out_beside_others_in_other_states() {
    let Some(browser) = Browser::open("the_demos_link_opens_a_campaign", Setup::default()) else { return };
    let demo = Demo::start();
    // Ended before the demo.
    let mut browser = browser;
    browser.go(&demo.link, 200);
    wait_until("the link leads to the campaign", LONG, || browser.find("heading", "Weekend offers").is_some());
    let sent = || {
        let sent = browser.script("return document.querySelector('.legend dd').textContent.replaceAll(',', '')");
        sent.as_str().and_then(|number| number.parse::<u32>().ok()).unwrap_or_default()
    };
    let before = sent();
    wait_until("the bar moves", LONG, || sent() > before);
    browser.press(Key::Letter('p'));
    wait_until("it is asked", LONG, || browser.focused().is_some_and(|node| node.name == "Pause"));
    browser.press(Key::Enter);
    wait_until("the receipt is there", LONG, || browser.text().contains("1 instance acknowledged it within"));
    let origin: String = demo.link.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    browser.go(&format!("{origin}/ui/campaigns"), 200);
    assert_heading(&browser, "Campaigns");
    let shown = browser.text();
    for name in ["Spring greeting", "Members' survey", "Order updates", "Autumn collection", "Summer catalogue"] {
        assert!(shown.contains(name), "{name}: {shown}");
    }
    browser.go(&format!("{origin}/ui"), 200);
    let words = "it is not known whether";
    wait_until("some of them nobody can know of", LONG, || browser.text().contains(words));
}
