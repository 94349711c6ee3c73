//! Scripts: what a server answers, to whom, when and how often. A script is text, one rule a line (or separated by `;;`):
//!
//! ```text
//! STAGE [CONDITION…]: ANSWER
//! ```
//!
//! The first rule of which all conditions hold decides; without one the server does what one in good health does.
//!
//! | example | meaning |
//! |---|---|
//! | `rcpt at<10s: 451 4.3.0 Temporary lookup failure` | for the first ten seconds |
//! | `final rate>5: 454 Throttling failure` | to all beyond five messages a second |
//! | `greeting open>3: 421 Too many connections {cut}` | to each connection beyond the third; then it hangs up |
//! | `rcpt grey<300s: 450 4.2.0 Greylisted` | to each recipient, for 300 s from the first try on |
//! | `final to=bob@: {take} {cut}` | takes the message to Bob, and hangs up instead of an answer |
//! | `request every=10: 429 {Retry-After: 3} slow down` | to each tenth request, with a header and a body |
//! | `ehlo: 250-relay\n250 AUTH=LOGIN PLAIN` | `\n`, `\r`, `\t`, `\\` and `\xHH` in answers |
//!
//! **Stages**: those of [`Stage::ALL`], `connection` (greeting or connect) and `any`.
//!
//! **Conditions**, each `NAME OP VALUE` without spaces, with `<`, `<=`, `>`, `>=`, `=`:
//!
//! | name | value |
//! |---|---|
//! | `to`, `line` | with `=`: text that the recipient's address, or the command line, contains |
//! | `at` | time since the script first played (`500ms`, `8s`, `5m`) |
//! | `grey` | time since this rule first met this sender with this recipient |
//! | `try` | how often this rule has met this recipient, this time included |
//! | `n` | how often this rule was met, this time included |
//! | `every` | with `=`: each n-th time |
//! | `rate` | how many were let through in the last second, this one included |
//! | `passed` | how many were let through, this one not included |
//! | `open`, `busy` | connections open now, hand-overs under way now |
//! | `conn` | the connection's number, from 0 |
//! | `mails` | messages that this connection has accepted |
//! | `size` | bytes of content |
//! | `share` | with `<`: this share of the recipients, in per cent, chosen by their addresses |
//!
//! **Answers** are the text to say, and orders in braces, carried out from left to right: `{wait 2s}` or `{wait 5ms-20ms}`,
//! `{take}`, `{lose}`, `{cut}`, `{reset}`, `{silent}`, `{hold}` (until the script is replaced), `{forget}` (what was sent ahead), `{flood BYTES}`, `{raw}` (the text
//! goes out as it is, without a line end), and for HTTP `{Name: value}`, a header. An HTTP answer is a status and a body.

mod text;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::act::{Act, Moment, Stage, Step};
use crate::verify::rng::{Rng, mix};

/// What `rate` looks back on.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// A script that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{rule:?}: {why}")]
pub struct ScriptError {
    /// The rule.
    pub rule: String,
    /// What is wrong with it.
    pub why: String,
}

/// A script that plays. What its rules have counted so far belongs to it.
#[derive(Debug)]
pub struct Script {
    rules: Vec<Rule>,
    began: OnceLock<Instant>,
    rng: Rng,
}

#[derive(Debug)]
struct Rule {
    /// Empty: any.
    stages: Vec<Stage>,
    conditions: Vec<Condition>,
    steps: Vec<Planned>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    met: u64,
    passed: u64,
    recent: VecDeque<Instant>,
    /// By sender and recipient.
    first: HashMap<(String, String), Instant>,
    tries: HashMap<String, u64>,
}

#[derive(Debug)]
enum Condition {
    To(String),
    Line(String),
    Number(Measure, Op, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    At,
    Grey,
    Try,
    Met,
    Every,
    Rate,
    Passed,
    Open,
    Busy,
    Connection,
    Mails,
    Size,
    Share,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Less,
    AtMost,
    More,
    AtLeast,
    Is,
}

#[derive(Debug)]
enum Planned {
    Step(Step),
    /// Waits for between so and so many milliseconds.
    WaitAbout(u64, u64),
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// Names the first rule that is none, and why.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        Ok(Self { rules: text::rules(text)?, began: OnceLock::new(), rng: Rng::new(7) })
    }

    /// What is to be done at this moment; `None` where no rule speaks of it.
    #[must_use]
    pub fn act(&self, moment: &Moment<'_>) -> Option<Act> {
        let now = Instant::now();
        let began = *self.began.get_or_init(|| now);
        let at = now.saturating_duration_since(began);
        let rule = self.rules.iter().find(|rule| rule.fires(moment, at, now))?;
        let steps = rule.steps.iter().map(|step| match step {
            Planned::Step(step) => step.clone(),
            Planned::WaitAbout(low, high) => Step::Wait(self.rng.millis(*low, *high)),
        });
        Some(Act { steps: steps.collect() })
    }
}

impl Rule {
    fn fires(&self, moment: &Moment<'_>, at: Duration, now: Instant) -> bool {
        if !self.stages.is_empty() && !self.stages.contains(&moment.stage) {
            return false;
        }
        // What can be said without counting decides first: only what it leaves over is counted.
        if !self.conditions.iter().all(|condition| condition.holds_now(moment, at).unwrap_or(true)) {
            return false;
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.meet(moment, now);
        let fires = self.conditions.iter().all(|condition| match condition {
            Condition::Number(Measure::Every, _, value) => memory.met.is_multiple_of(*value),
            Condition::Number(measure, op, value) => {
                memory.measure(*measure, moment, now).is_none_or(|found| op.holds(found, *value))
            }
            Condition::To(_) | Condition::Line(_) => true,
        });
        if !fires {
            memory.passed += 1;
            memory.recent.push_back(now);
        }
        fires
    }
}

impl Condition {
    /// Whether it holds, where that needs no counting.
    fn holds_now(&self, moment: &Moment<'_>, at: Duration) -> Option<bool> {
        let number = |found: usize| u64::try_from(found).unwrap_or(u64::MAX);
        match self {
            Self::To(text) => Some(contains(moment.recipient, text)),
            Self::Line(text) => Some(contains(moment.line, text)),
            Self::Number(measure, op, value) => {
                let found = match measure {
                    Measure::At => u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
                    Measure::Open => number(moment.open),
                    Measure::Busy => number(moment.busy),
                    Measure::Connection => number(moment.connection),
                    Measure::Mails => number(moment.accepted),
                    Measure::Size => number(moment.size),
                    Measure::Share => lot(moment.recipient),
                    Measure::Grey | Measure::Try | Measure::Met | Measure::Every | Measure::Rate | Measure::Passed => {
                        return None;
                    }
                };
                Some(op.holds(found, *value))
            }
        }
    }
}

impl Memory {
    fn meet(&mut self, moment: &Moment<'_>, now: Instant) {
        self.met += 1;
        if !moment.recipient.is_empty() {
            let pair = (moment.sender.to_owned(), moment.recipient.to_owned());
            self.first.entry(pair).or_insert(now);
            *self.tries.entry(moment.recipient.to_owned()).or_default() += 1;
        }
        while self.recent.front().is_some_and(|then| now.saturating_duration_since(*then) >= RATE_SPAN) {
            self.recent.pop_front();
        }
    }

    /// What was counted; `None` where nothing is.
    fn measure(&self, measure: Measure, moment: &Moment<'_>, now: Instant) -> Option<u64> {
        match measure {
            Measure::Grey => {
                let pair = (moment.sender.to_owned(), moment.recipient.to_owned());
                let first = self.first.get(&pair).copied().unwrap_or(now);
                u64::try_from(now.saturating_duration_since(first).as_millis()).ok()
            }
            Measure::Try => self.tries.get(moment.recipient).copied(),
            Measure::Met => Some(self.met),
            Measure::Rate => u64::try_from(self.recent.len() + 1).ok(),
            Measure::Passed => Some(self.passed),
            Measure::Every
            | Measure::At
            | Measure::Open
            | Measure::Busy
            | Measure::Connection
            | Measure::Mails
            | Measure::Size
            | Measure::Share => None,
        }
    }
}

impl Op {
    fn holds(self, found: u64, value: u64) -> bool {
        match self {
            Self::Less => found < value,
            Self::AtMost => found <= value,
            Self::More => found > value,
            Self::AtLeast => found >= value,
            Self::Is => found == value,
        }
    }
}

fn contains(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

/// 0 to 99, the same for an address each time.
fn lot(recipient: &str) -> u64 {
    mix(recipient.bytes().fold(7, |hash: u64, byte| mix(hash ^ u64::from(byte)))) % 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::provider::act::Words;

    fn at<'a>(stage: Stage, recipient: &'a str) -> Moment<'a> {
        Moment {
            stage,
            connection: 0,
            accepted: 0,
            open: 1,
            busy: 1,
            line: "RCPT TO:<x>",
            sender: "shop@example.com",
            recipient,
            size: 0,
            request: None,
        }
    }

    fn fires(script: &Script, stage: Stage, recipient: &str) -> bool {
        script.act(&at(stage, recipient)).is_some()
    }

    fn script(text: &str) -> Script {
        Script::parse(text).unwrap()
    }

    #[test]
    fn the_first_rule_whose_conditions_hold_decides() {
        let script = script("rcpt to=bob@: 550 5.1.1 no\n rcpt: {wait 5ms} ;; final: {take} {cut}");
        let said = |moment| script.act(&moment).unwrap().steps;
        assert_eq!(said(at(Stage::Rcpt, "Bob@example.com")), [Step::Say(Words::Lines(b"550 5.1.1 no".to_vec()))]);
        assert_eq!(said(at(Stage::Rcpt, "ann@example.com")), [Step::Wait(Duration::from_millis(5))]);
        assert_eq!(said(at(Stage::Final, "ann@example.com")), [Step::Take, Step::Cut]);
        assert!(script.act(&at(Stage::Mail, "")).is_none());
    }

    #[test]
    fn counts_are_kept_by_rule_and_by_recipient() {
        let from_third = script("final n>=3: 550 no");
        assert_eq!([1, 2, 3, 4].map(|_| fires(&from_third, Stage::Final, "a")), [false, false, true, true]);
        let every_other = script("final every=2: 550 no");
        assert_eq!([1, 2, 3, 4].map(|_| fires(&every_other, Stage::Final, "a")), [false, true, false, true]);
        let first_try = script("rcpt try=1: 450 later");
        assert_eq!(["a", "a", "b", "b"].map(|who| fires(&first_try, Stage::Rcpt, who)), [true, false, true, false]);
        let quota = script("final passed>=2: 550 quota");
        assert_eq!([1, 2, 3, 4].map(|_| fires(&quota, Stage::Final, "a")), [false, false, true, true]);
        let grey = script("rcpt grey<1h: 450 later");
        assert_eq!(["a", "a"].map(|who| fires(&grey, Stage::Rcpt, who)), [true, true]);
    }

    #[test]
    fn a_rate_lets_so_many_through_in_a_second() {
        let script = script("final rate>3: 454 too fast");
        assert_eq!([1, 2, 3, 4, 5].map(|_| fires(&script, Stage::Final, "a")), [false, false, false, true, true]);
    }

    #[test]
    fn a_share_of_the_recipients_is_about_that_share() {
        let script = script("rcpt share<30: 550 no");
        let hit = (0..1_000).filter(|n| fires(&script, Stage::Rcpt, &format!("recipient-{n}@example.com"))).count();
        assert!((250..350).contains(&hit), "{hit}");
    }

    #[test]
    fn http_answers_have_a_status_headers_and_a_body() {
        let script = script(r#"request: 429 {Retry-After: 3} {"error": "slow"}"#);
        let Step::Say(words) = script.act(&at(Stage::Request, "")).unwrap().steps.remove(0) else {
            panic!("an answer")
        };
        let mut wire = Vec::new();
        words.write(&mut wire);
        let wire = String::from_utf8(wire).unwrap();
        assert!(wire.starts_with("HTTP/1.1 429 "), "{wire}");
        assert!(wire.contains("\r\nRetry-After: 3\r\n") && wire.ends_with("\r\n\r\n{\"error\": \"slow\"}"), "{wire}");
    }

    #[test]
    fn a_rule_that_is_none_is_named() {
        for (text, why) in [
            ("rcpt 550 no", "no colon"),
            ("recipient: 550 no", "no stage"),
            ("rcpt colour=3: 550 no", "no condition"),
            ("rcpt n=three: 550 no", "no number"),
            ("rcpt: 550 no {jump}", "no order"),
            ("request: teapot", "no status"),
            (r"rcpt: 550 \q", "no escape"),
        ] {
            let error = Script::parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(text.split(' ').next().unwrap()), "{error}");
        }
    }
}
