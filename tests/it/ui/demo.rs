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

/// Types a text with the keyboard.
fn write(browser: &Browser, text: &str) {
    text.chars().for_each(|letter| browser.press(if letter == ' ' { Key::Space } else { Key::Letter(letter) }));
}

#[test]
fn a_newcomer_resumes_finds_out_why_one_failed_settles_a_doubt_and_sends_to_a_file_of_their_own() {
    let Some(browser) = Browser::open("a_newcomer_resumes_finds_out_why", Setup::default()) else { return };
    let demo = Demo::start();
    // Ended before the demo.
    let mut browser = browser;
    let origin: String = demo.link.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let at = |browser: &Browser| browser.script("return location.pathname").as_str().unwrap().to_owned();
    browser.go(&demo.link, 200);
    wait_until("the link leads to the campaign", LONG, || browser.find("heading", "Weekend offers").is_some());
    let campaign = at(&browser);
    for (button, then) in [("Pause", "paused"), ("Resume", "sending")] {
        wait_until("the act is there", LONG, || browser.find("link", &format!("{button} p")).is_some());
        browser.press(Key::Letter('p'));
        wait_until("it is asked", LONG, || browser.focused().is_some_and(|node| node.name == button));
        browser.press(Key::Enter);
        wait_until("it is so", LONG, || {
            browser.script("return document.querySelector('#campaign .chip.is')?.textContent ?? ''") == then
        });
    }
    // Why did one person not get it?
    browser.expect(200);
    browser.script("document.querySelector('nav.tabs a[href$=\"/people\"]').click()");
    wait_until("its people are shown", LONG, || at(&browser) == format!("{campaign}/people"));
    wait_until("some of them have failed", LONG, || {
        browser.press(Key::Letter('2'));
        browser.script("return location.search === '?status=failed' && document.querySelector('.people tbody a[data-row]') !== null") == true
    });
    browser.script("document.querySelector('.people tbody a[data-row]').click()");
    wait_until("the verdict is there", LONG, || browser.text().contains("What it rests on"));
    assert!(
        at(&browser).starts_with(&format!("{campaign}/people/")) && browser.text().contains("Not sent"),
        "{}",
        browser.text()
    );
    // What nobody knows is settled, with what it rests on.
    browser.go(&format!("{origin}/ui/uncertain"), 200);
    let incidents = "return document.querySelectorAll('.incidents tbody tr').length";
    let before = browser.script(incidents).as_u64().unwrap();
    assert!(before > 0, "{}", browser.text());
    browser.script("document.querySelector('.incidents tbody a[data-row]').click()");
    wait_until("the incident is shown", LONG, || browser.find("heading", "What is known").is_some());
    browser.follow_in_page("Count as sent…");
    wait_until("it is asked", LONG, || browser.focused().is_some_and(|node| node.role == "textbox"));
    write(&browser, "the relay says so");
    browser.press(Key::Enter);
    wait_until("it is done", LONG, || browser.script("return document.querySelector('dialog[open]') === null") == true);
    wait_until("one is settled", LONG, || {
        browser.go(&format!("{origin}/ui/uncertain"), 200);
        browser.script(incidents).as_u64().is_some_and(|left| left < before)
    });
    // A file of their own, and a campaign for it.
    browser.go(&format!("{origin}/ui/imports"), 200);
    browser.script(
        "document.getElementById('new_list').value = 'My people';
         const chosen = new DataTransfer();
         chosen.items.add(new File(['email,first_name\\nmia@example.com,Mia\\nbob@example.com,Bob\\n'], 'mine.csv', { type: 'text/csv' }));
         const field = document.getElementById('file');
         field.files = chosen.files;
         field.dispatchEvent(new Event('change', { bubbles: true }));",
    );
    browser.choose("Import", 200);
    wait_until("the file is in", LONG, || browser.text().contains("Done: 2 rows were taken."));
    browser.follow("Use in a campaign", 200);
    browser.tab_to("textbox", "Name");
    write(&browser, "Mine");
    browser.script("document.querySelector('[name=pool][value=sandbox]').checked = true");
    browser.choose("Write it", 200);
    browser.expect(422);
    browser.tab_to("textbox", "Subject");
    write(&browser, "Hi {first_name}");
    browser.press(Key::Tab);
    write(&browser, "Hello. No more: {{ unsubscribe_url }} {{ postal_address }}");
    wait_until("the message is seen as one of them gets it", LONG, || {
        let subject = browser.script("return document.querySelector('#preview .subject')?.textContent ?? ''");
        subject == "Hi Mia" || subject == "Hi Bob"
    });
    browser.choose("Check", 200);
    browser.choose("Check", 200);
    assert!(browser.text().contains("will be handed over"), "{}", browser.text());
    browser.tab_to("textbox", "Type the campaign’s name to send it");
    write(&browser, "Mine");
    browser.choose("Send 2 messages", 200);
    // The sandbox refuses some: each of the two has an outcome.
    let is_over = "return document.querySelector('#campaign .chip.is')?.textContent === 'sent'
        && [...document.querySelectorAll('.legend dd')].at(-1).textContent === '2'";
    wait_until("it is over", LONG, || browser.script(is_over) == true);
}
