//! Scripts as text.

use std::time::Duration;

use super::{Condition, Measure, Op, Planned, Rule, ScriptError};
use crate::verify::provider::act::{Stage, Step, Words};

const MEASURES: &[(&str, Measure)] = &[
    ("at", Measure::At),
    ("grey", Measure::Grey),
    ("try", Measure::Try),
    ("n", Measure::Met),
    ("every", Measure::Every),
    ("rate", Measure::Rate),
    ("passed", Measure::Passed),
    ("open", Measure::Open),
    ("busy", Measure::Busy),
    ("conn", Measure::Connection),
    ("mails", Measure::Mails),
    ("size", Measure::Size),
    ("share", Measure::Share),
];

/// The rules of a script.
pub(super) fn rules(text: &str) -> Result<Vec<Rule>, ScriptError> {
    let parts = text.lines().flat_map(|line| line.split(";;")).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| rule(part).map_err(|why| ScriptError { rule: part.to_owned(), why })).collect()
}

fn rule(text: &str) -> Result<Rule, String> {
    let (when, what) = text.split_once(':').ok_or("no colon behind the conditions")?;
    let mut words = when.split_whitespace();
    let stages = match words.next().ok_or("no stage")? {
        "any" => Vec::new(),
        "connection" => vec![Stage::Connect, Stage::Greeting],
        name => {
            let known = Stage::ALL.iter().find(|(known, _)| *known == name);
            vec![known.ok_or_else(|| format!("{name} is no stage"))?.1]
        }
    };
    let conditions = words.map(condition).collect::<Result<_, _>>()?;
    let is_http = stages.iter().any(|stage| stage.is_http());
    Ok(Rule { steps: steps(what, is_http)?, stages, conditions, memory: std::sync::Mutex::default() })
}

fn condition(text: &str) -> Result<Condition, String> {
    let none = || format!("{text} is no condition");
    let end = text.find(['<', '>', '=']).ok_or_else(none)?;
    let (name, rest) = text.split_at_checked(end).ok_or_else(none)?;
    let ops = [("<=", Op::AtMost), (">=", Op::AtLeast), ("<", Op::Less), (">", Op::More), ("=", Op::Is)];
    let found = ops.iter().find_map(|(sign, op)| rest.strip_prefix(sign).map(|value| (*op, value)));
    let (op, value) = found.ok_or_else(none)?;
    match (name, op) {
        ("to", Op::Is) => return Ok(Condition::To(value.to_owned())),
        ("line", Op::Is) => return Ok(Condition::Line(value.to_owned())),
        _ => {}
    }
    let (_, measure) = MEASURES.iter().find(|(known, _)| *known == name).ok_or_else(none)?;
    let number = if matches!(measure, Measure::At | Measure::Grey) {
        millis(value)?
    } else {
        value.parse().map_err(|_malformed| format!("{value} is no number"))?
    };
    Ok(Condition::Number(*measure, op, number))
}

/// A time in milliseconds.
fn millis(text: &str) -> Result<u64, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let found = units.iter().find_map(|(unit, size)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*size)
    });
    found.ok_or_else(|| format!("{text} is no number with ms, s, m or h"))
}

/// The steps of an answer. All its text is one answer, where the first of it stands.
fn steps(text: &str, is_http: bool) -> Result<Vec<Planned>, String> {
    let (mut steps, mut place, mut raw) = (Vec::new(), None, false);
    let (mut said, mut headers): (Vec<u8>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some((order, after)) = braced(rest) {
            match order {
                "raw" => raw = true,
                order => match (order.split_once(':'), is_http) {
                    (Some((name, value)), true) => headers.push((name.to_owned(), value.trim().to_owned())),
                    _ => steps.push(step(order)?),
                },
            }
            rest = after.trim_start();
            continue;
        }
        // Up to the next order; a brace that opens none is text.
        let end = rest.char_indices().skip(1).find(|(at, _)| rest.get(*at..).and_then(braced).is_some());
        let end = end.map_or(rest.len(), |(at, _)| at);
        let (part, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if place.is_none() {
            place = Some(steps.len());
        } else {
            said.push(b' ');
        }
        said.extend(unescaped(part.trim_end())?);
        rest = after;
    }
    if let Some(place) = place {
        let words = match (raw, is_http) {
            (true, _) => Words::Bytes(said),
            (false, false) => Words::Lines(said),
            (false, true) => http(&said, headers)?,
        };
        steps.insert(place, Planned::Step(Step::Say(words)));
    }
    Ok(steps)
}

/// An order in braces at the beginning, and what follows it. JSON does not begin with a letter behind its brace.
fn braced(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{')?;
    let (order, after) = inner.split_once('}')?;
    order.starts_with(|first: char| first.is_ascii_alphabetic()).then_some((order, after))
}

fn step(order: &str) -> Result<Planned, String> {
    let (name, argument) = order.split_once(' ').unwrap_or((order, ""));
    let step = match name {
        "take" => Step::Take,
        "lose" => Step::Lose,
        "cut" => Step::Cut,
        "reset" => Step::Reset,
        "silent" => Step::Silent,
        "hold" => Step::Hold,
        "forget" => Step::Forget,
        "flood" => Step::Flood(argument.parse().map_err(|_malformed| format!("{argument} is no number"))?),
        "wait" => match argument.split_once('-') {
            Some((low, high)) => return Ok(Planned::WaitAbout(millis(low)?, millis(high)?)),
            None => Step::Wait(Duration::from_millis(millis(argument)?)),
        },
        _ => return Err(format!("{{{order}}} is no order")),
    };
    Ok(Planned::Step(step))
}

fn http(said: &[u8], headers: Vec<(String, String)>) -> Result<Words, String> {
    let status = said.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let status = status.ok_or_else(|| format!("{} begins with no status", String::from_utf8_lossy(said)))?;
    let body = said.get(4..).unwrap_or_default().to_vec();
    Ok(Words::Http { status, headers, body })
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).map_err(|_malformed| format!("\\x{digits} is no escape"))?
            }
            other => return Err(format!("\\{} is no escape", other.map(char::from).unwrap_or_default())),
        });
    }
    Ok(bytes)
}
