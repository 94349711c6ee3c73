//! What a provider's log or export says of messages that are in doubt.
//!
//! A line counts where it names a message by the key that Volley gave it, or by the relay's queue id of a line that names the key.
//! Of the many words that providers have, few are unmistakable. A line with none of them, or with two that differ, is not understood:
//! that is said, and nothing is concluded from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::callbacks::delivery_key::DeliveryKey;
use crate::domain::ids::ContactId;

/// Most lines whose numbers are kept because they were not understood.
const MOST_NUMBERS: usize = 20;

/// What follows these words is what became of the message.
const NAMES_OF_STATES: [&str; 7] = ["status", "event", "eventtype", "result", "state", "outcome", "type"];

/// The provider has taken the message. One that defers or queues it has, and tries on its own.
const ACCEPTED: [&str; 16] = [
    "accepted",
    "sent",
    "delivered",
    "deferred",
    "queued",
    "ok",
    "success",
    "successful",
    "succeeded",
    "processed",
    "opened",
    "clicked",
    "relayed",
    "completed",
    "=>",
    "received",
];

/// The same, where it is said to be the state.
const ACCEPTED_AS_STATE: [&str; 4] = ["delivery", "send", "open", "click"];

/// The message did not get through.
const REFUSED: [&str; 14] = [
    "refused",
    "rejected",
    "reject",
    "bounced",
    "bounce",
    "failed",
    "failure",
    "undeliverable",
    "undelivered",
    "dropped",
    "blocked",
    "denied",
    "unsent",
    "error",
];

/// What a line says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Accepted,
    Refused,
}

/// Whose message a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// One of the campaign.
    Of(ContactId),
    /// Another one of Volley's.
    Other,
    /// A queue id that stands for several.
    Several,
}

/// What a log says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matched {
    /// In doubt, and the provider has taken them.
    pub accepted: BTreeSet<ContactId>,
    /// In doubt, and the provider has not taken them, or could not deliver them.
    pub refused: BTreeSet<ContactId>,
    /// In doubt, and the log says both. Nothing is concluded.
    pub contradicted: BTreeSet<ContactId>,
    /// In doubt, and the log says nothing of them.
    pub not_mentioned: usize,
    /// Lines that are not empty, without a line of headings.
    pub lines: usize,
    /// Lines about messages that are not in doubt.
    pub other_lines: usize,
    /// Lines that name no message, or say nothing clear of it.
    pub lines_not_understood: usize,
    /// The numbers of the first of these, from 1.
    pub not_understood_at: Vec<usize>,
}

struct Line<'t> {
    number: usize,
    whose: Option<Whose>,
    queue_id: Option<&'t str>,
    said: Option<Said>,
}

/// Reads a log or an export line by line: what does it say of those `in_doubt`, whose messages had `key`?
#[must_use]
pub fn read(text: &str, key: &str, in_doubt: &BTreeSet<ContactId>) -> Matched {
    let lines: Vec<Line<'_>> = text
        .lines()
        .zip(1..)
        .filter(|(line, number)| !(line.trim().is_empty() || *number == 1 && is_heading(line)))
        .map(|(line, number)| Line::read(line, number, key))
        .collect();
    let queues = queues(&lines);
    let mut matched = Matched { lines: lines.len(), ..Matched::default() };
    let (mut taken, mut not_taken, mut named) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for line in &lines {
        let queued = || line.queue_id.and_then(|id| queues.get(id)).copied();
        match line.whose.or_else(queued) {
            Some(Whose::Of(contact)) if in_doubt.contains(&contact) => match line.said {
                Some(Said::Accepted) => _ = taken.insert(contact),
                Some(Said::Refused) => _ = not_taken.insert(contact),
                None => named.push((line.number, contact)),
            },
            Some(Whose::Of(_) | Whose::Other) => matched.other_lines += 1,
            Some(Whose::Several) | None => matched.misses(line.number),
        }
    }
    // A line that only names a message is understood if another one says what became of it.
    for (number, contact) in named {
        if !taken.contains(&contact) && !not_taken.contains(&contact) {
            matched.misses(number);
        }
    }
    matched.not_understood_at.sort_unstable();
    matched.not_mentioned = in_doubt.iter().filter(|id| !taken.contains(id) && !not_taken.contains(id)).count();
    matched.contradicted = taken.intersection(&not_taken).copied().collect();
    matched.accepted = taken.difference(&matched.contradicted).copied().collect();
    matched.refused = not_taken.difference(&matched.contradicted).copied().collect();
    matched
}

/// Which message each queue id stands for.
fn queues<'t>(lines: &[Line<'t>]) -> BTreeMap<&'t str, Whose> {
    let mut queues = BTreeMap::new();
    for line in lines {
        let (Some(id), Some(whose)) = (line.queue_id, line.whose) else { continue };
        let known = *queues.entry(id).or_insert(whose);
        if known != whose {
            queues.insert(id, Whose::Several);
        }
    }
    queues
}

impl Matched {
    fn misses(&mut self, number: usize) {
        self.lines_not_understood += 1;
        if self.not_understood_at.len() < MOST_NUMBERS {
            self.not_understood_at.push(number);
        }
    }
}

impl<'t> Line<'t> {
    fn read(text: &'t str, number: usize, key: &str) -> Self {
        let (mut whose, mut words) = (None, Vec::new());
        for token in text.split(|c: char| c.is_whitespace() || ",;\"'<>()[]{}=|".contains(c)) {
            match DeliveryKey::parse(token).and_then(|found| whose_key(&found, key)) {
                None => words.push(token),
                Some(found) => {
                    let is_other = whose.is_some_and(|whose| whose != found);
                    whose = Some(if is_other { Whose::Several } else { found });
                }
            }
        }
        // Split away above, and a word of its own in some logs.
        if text.split_whitespace().any(|word| word == "=>") {
            words.push("=>");
        }
        let queue_id = queue_id(text);
        // The log of a relay has sizes and counts, and says in words what became of a message.
        let may_be_code = queue_id.is_none();
        Self { number, whose, queue_id, said: said(&words, may_be_code) }
    }
}

fn whose_key(found: &DeliveryKey, key: &str) -> Option<Whose> {
    let is_key = found.campaign.len() == key.len() && found.campaign.bytes().all(|byte| byte.is_ascii_hexdigit());
    if found.campaign == key { Some(Whose::Of(found.contact)) } else { is_key.then_some(Whose::Other) }
}

/// A line of headings has no number.
fn is_heading(line: &str) -> bool {
    line.contains([',', ';', '\t']) && !line.contains(|c: char| c.is_ascii_digit())
}

/// The id that a relay gives a message in its log: `postfix/smtp[1]: 4F3A1B2C3D: to=…`, `1rABCD-000123-4f => …`.
fn queue_id(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let postfix = words.windows(2).find_map(|pair| {
        let [before, id] = pair else { return None };
        let id = id.strip_suffix(':').filter(|_| before.ends_with("]:"))?;
        let is_id = (6..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_id && id.bytes().any(|byte| byte.is_ascii_digit())).then_some(id)
    });
    let is_exim = |word: &&str| {
        let parts: Vec<&str> = word.split('-').collect();
        let fits = |part: &str, lengths: [usize; 2]| {
            lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        matches!(parts.as_slice(), [one, two, three] if fits(one, [6, 6]) && fits(two, [6, 11]) && fits(three, [2, 4]))
    };
    postfix.or_else(|| words.into_iter().find(is_exim))
}

/// What words say, if they say one thing: a named state before all, then words, then codes of mail and of HTTP.
fn said(words: &[&str], may_be_code: bool) -> Option<Said> {
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '>' && c != '=').to_ascii_lowercase()
        })
        .filter(|word| !word.is_empty())
        .collect();
    let pairs = || words.iter().zip(words.iter().skip(1));
    let state = |(name, value): (&String, &String)| {
        let is_state = NAMES_OF_STATES.contains(&name.as_str());
        let accepted = ACCEPTED_AS_STATE.contains(&value.as_str()).then_some(Said::Accepted);
        word(value).or(accepted).filter(|_| is_state)
    };
    if let Some(states) = unanimous(pairs().filter_map(state)) {
        return states;
    }
    let negated = |(not, value): (&String, &String)| not == "not" && word(value) == Some(Said::Accepted);
    if pairs().any(negated) {
        return Some(Said::Refused);
    }
    // A single number: of several, nobody knows which one is the code.
    let is_number = |text: &&String| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_single = may_be_code && words.iter().filter(is_number).count() == 1;
    let numbers = words.iter().filter(|_| is_single);
    unanimous(words.iter().filter_map(|text| word(text)))
        .or_else(|| unanimous(words.iter().filter_map(|text| enhanced_code(text))))
        .or_else(|| unanimous(numbers.filter_map(|text| code(text))))
        .flatten()
}

/// `None`: nothing is said. `Some(None)`: two things are.
fn unanimous(mut said: impl Iterator<Item = Said>) -> Option<Option<Said>> {
    let first = said.next()?;
    Some(Some(first).filter(|first| said.all(|other| other == *first)))
}

fn word(text: &str) -> Option<Said> {
    let accepted = ACCEPTED.contains(&text).then_some(Said::Accepted);
    accepted.or_else(|| REFUSED.contains(&text).then_some(Said::Refused))
}

/// `2.0.0`, `5.1.1` (RFC 3463).
fn enhanced_code(text: &str) -> Option<Said> {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() != 3 || !parts.iter().all(is_number) {
        return None;
    }
    match parts.first().copied() {
        Some("2") => Some(Said::Accepted),
        Some("4" | "5") => Some(Said::Refused),
        Some(_) | None => None,
    }
}

fn code(text: &str) -> Option<Said> {
    match text.parse::<u16>().ok().filter(|_| text.len() == 3)? {
        200..=202 | 250..=252 => Some(Said::Accepted),
        400..=599 => Some(Said::Refused),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef01234567";

    fn read_of(text: &str, people: i64) -> Matched {
        read(&text.replace("KEY", KEY), KEY, &(1..=people).map(ContactId).collect())
    }

    fn ids(set: &BTreeSet<ContactId>) -> Vec<i64> {
        set.iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_mail_log_is_followed_from_the_message_id_to_what_became_of_it() {
        let log = "\
            Mar  1 09:14:02 mx postfix/cleanup[712]: 4F3A1B2C3D: message-id=<KEY-1@example.com>\n\
            Mar  1 09:14:02 mx postfix/qmgr[3]: 4F3A1B2C3D: from=<news@example.com>, size=550, nrcpt=1 (queue active)\n\
            Mar  1 09:14:03 mx postfix/smtp[713]: 4F3A1B2C3D: to=<ann@example.net>, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n\
            Mar  1 09:14:02 mx postfix/cleanup[712]: 5A3A1B2C3D: message-id=<KEY-2@example.com>\n\
            Mar  1 09:14:03 mx postfix/smtp[713]: 5A3A1B2C3D: to=<bob@example.net>, dsn=5.1.1, status=bounced (host said: 550 not accepted)\n\
            Mar  1 09:14:02 mx postfix/cleanup[712]: 6A3A1B2C3D: message-id=<KEY-3@example.com>\n\
            Mar  1 09:14:04 mx postfix/cleanup[712]: 7A3A1B2C3D: message-id=<fedcba987654321001234567-3@example.com>\n\
            Mar  1 09:14:04 mx postfix/smtp[713]: 7A3A1B2C3D: status=sent\n";
        let found = read_of(log, 4);
        assert_eq!((ids(&found.accepted), ids(&found.refused)), (vec![1], vec![2]), "{found:?}");
        assert_eq!((found.not_mentioned, found.lines, found.other_lines), (2, 8, 2), "{found:?}");
        assert_eq!(found.not_understood_at, [6], "the size is no answer; of 3 nothing is said: {found:?}");
    }

    #[test]
    fn an_export_is_read_by_its_ids_whatever_its_columns() {
        let csv = "message_id;event\nKEY-1@example.com;Delivered\n\"KEY:2\";\"bounce\"\nKEY-3;202\nKEY-4;unknown\nKEY-9;sent\n";
        let found = read_of(csv, 5);
        assert_eq!((ids(&found.accepted), ids(&found.refused)), (vec![1, 3], vec![2]), "{found:?}");
        assert_eq!((found.lines, found.other_lines, found.not_mentioned), (5, 1, 2), "{found:?}");
        assert_eq!((found.lines_not_understood, found.not_understood_at), (1, vec![5]));
        let json = r#"{"message_id": "<KEY-1@example.com>", "eventType": "Delivery"}"#;
        assert_eq!(ids(&read_of(json, 1).accepted), [1]);
        let exim = "2026-03-01 09:14:02 1rABCD-000123-4f <= news@example.com id=KEY-1@example.com\n\
                    2026-03-01 09:14:03 1rABCD-000123-4f => ann@example.net R=dns T=smtp\n";
        assert_eq!(ids(&read_of(exim, 1).accepted), [1]);
    }

    #[test]
    fn nothing_is_concluded_from_what_is_unclear() {
        for line in [
            "KEY-1",
            "KEY-1 sent failed",
            "KEY-1 was seen",
            "KEY-1 KEY-2 sent",
            "KEY-1 550 7",
            "sent",
            "1-2 sent",
            "KEY-1 1.2.3",
        ] {
            let found = read_of(line, 2);
            assert_eq!((found.lines_not_understood, found.not_mentioned), (1, 2), "{line}: {found:?}");
        }
        let both = read_of("KEY-1 accepted\nKEY-1 rejected\n\nKEY-2 not accepted", 2);
        assert_eq!((ids(&both.contradicted), ids(&both.refused), both.lines), (vec![1], vec![2], 3), "{both:?}");
        assert!(both.accepted.is_empty() && both.not_mentioned == 0, "{both:?}");
        let shared = "x[1]: 4F3A1B2C3D: KEY-1\nx[1]: 4F3A1B2C3D: KEY-2\nx[1]: 4F3A1B2C3D: status=sent";
        assert_eq!(read_of(shared, 2).accepted.len(), 0, "a queue id that stands for two says nothing");
        assert_eq!(read_of("", 2), Matched { not_mentioned: 2, ..Matched::default() });
    }
}
