//! What was said, in a form that rows can be compared with.

use std::time::Duration;

use super::Meaning;
use crate::domain::dispatch::answer::AnswerClass;

/// The longest wait that is read from an answer's words.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How much of an answer is looked at, in characters.
const MOST: usize = 4000;

/// An answer.
pub(super) struct Said {
    pub(super) code: u16,
    pub(super) enhanced: Option<[u16; 3]>,
    /// In lower case, on one line, without enhanced codes.
    pub(super) words: String,
}

impl Said {
    pub(super) fn means(&self, class: AnswerClass, permanent: bool, wait: Option<Duration>) -> Meaning {
        let wait = if permanent { None } else { named_wait(&self.words).or(wait) };
        Meaning { class: class.when(permanent), permanent, wait, code: self.code, enhanced: self.enhanced }
    }
}

/// `text` in lower case with single spaces.
pub(super) fn normal(text: &str) -> String {
    let mut normal = String::new();
    for word in text.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.extend(word.chars().flat_map(char::to_lowercase));
    }
    normal
}

fn start(text: &str) -> &str {
    text.char_indices().nth(MOST).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// An SMTP reply: all its lines, each of which may begin with the enhanced code.
pub(super) fn said_over_smtp(code: u16, text: &str) -> Said {
    let mut enhanced = None;
    let mut words = Vec::new();
    for line in start(text).lines() {
        let (first, rest) = line.trim_start().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        match enhanced_code(first) {
            Some(found) => {
                enhanced = enhanced.or(Some(found));
                words.push(rest);
            }
            None => words.push(line),
        }
    }
    Said { code, enhanced, words: normal(&words.join(" ")) }
}

/// An HTTP answer.
pub(super) fn said_over_http(status: u16, body: &str) -> Said {
    Said { code: status, enhanced: None, words: normal(start(body)) }
}

/// `5.7.1`, also as `#5.7.1` or `[5.7.1]:`.
fn enhanced_code(word: &str) -> Option<[u16; 3]> {
    let word = word.trim_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = word.split('.').map(|number| number.parse::<u16>().ok().filter(|number| *number < 1000));
    let code = [numbers.next()??, numbers.next()??, numbers.next()??];
    (numbers.next().is_none() && matches!(code, [4 | 5, _, _])).then_some(code)
}

/// How long to wait by the answer's own `words` ("try again in 5 minutes", "retry after 300s"), at most an hour.
#[must_use]
pub fn named_wait(words: &str) -> Option<Duration> {
    const NEAR: usize = 3;
    const ASKS: [&str; 12] = [
        "again",
        "retry",
        "retrying",
        "retried",
        "wait",
        "back",
        "resend",
        "greylisted",
        "greylisting",
        "deferred",
        "blocked",
        "delayed",
    ];
    let words: Vec<String> = words
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase())
        .collect();
    words.iter().enumerate().find_map(|(at, word)| {
        let asks = words.get(at.saturating_sub(NEAR)..at)?.iter().any(|word| ASKS.contains(&word.as_str()));
        let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at_checked(digits)?;
        let number: u64 = number.parse().ok().filter(|_| asks)?;
        let unit = if unit.is_empty() { words.get(at + 1)?.as_str() } else { unit };
        let seconds = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            _ => return None,
        };
        Some(Duration::from_secs(number.saturating_mul(seconds).max(1)).min(LONGEST_WAIT))
    })
}
