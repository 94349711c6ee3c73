//! docs/logging.md lists the events of the log with their levels and fields.

use std::collections::{BTreeMap, BTreeSet};

use super::{page, quoted, sources, tables};

/// The text up to the bracket that closes the one before `text`, and what stands between the commas in it. Brackets and
/// commas inside of text and of other brackets do not count.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut escaped, mut start) = (0_usize, false, false, 0);
    let mut found = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                found.push(text[start..at].trim());
                break;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.retain(|argument| !argument.is_empty());
    found
}

/// The event's name: words of lower case with dots between them, in the field `event`.
fn name(arguments: &[&str]) -> Option<String> {
    let text = arguments.iter().find_map(|argument| literal(argument.strip_prefix("event = ")?))?;
    let is_name = text.contains('.') && text.split('.').all(|word| !word.is_empty() && word.bytes().all(is_of_a_name));
    is_name.then(|| text.to_owned())
}

/// The message, if it is a constant sentence: several words, no values in them, and no event's name.
fn message(arguments: &[&str]) -> Option<String> {
    let text = literal(arguments.last()?)?;
    let is_sentence = text.contains(' ') && !text.contains(['{', '}']) && !text.ends_with('.');
    is_sentence.then(|| text.to_owned())
}

fn literal(argument: &str) -> Option<&str> {
    argument.strip_prefix('"')?.strip_suffix('"')
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}

/// The name of the field that an argument sets.
fn field(argument: &str) -> Option<String> {
    let name = argument.split(" = ").next()?.trim_start_matches(['%', '?']);
    let is_field = !name.starts_with('"') && !argument.starts_with("event = \"");
    is_field.then(|| name.to_owned())
}

/// Every log call: its level and its arguments.
fn calls(source: &str) -> impl Iterator<Item = (&'static str, Vec<&str>)> {
    ["error", "warn", "info", "debug", "trace"].into_iter().flat_map(move |level| {
        let call = format!("tracing::{level}!(");
        let after: Vec<&str> = source.split(call.as_str()).skip(1).collect();
        after.into_iter().map(move |line| (level, arguments(line)))
    })
}

/// Of each event its levels, and the fields of each of its lines.
fn logged() -> BTreeMap<String, (BTreeSet<String>, Vec<BTreeSet<String>>)> {
    let mut events: BTreeMap<String, (BTreeSet<String>, Vec<BTreeSet<String>>)> = BTreeMap::new();
    for source in sources("src") {
        for (level, arguments) in calls(&source) {
            let Some(event) = name(&arguments) else { continue };
            let event = events.entry(event).or_default();
            event.0.insert(level.to_owned());
            event.1.push(arguments.iter().filter_map(|argument| field(argument)).collect());
        }
    }
    events
}

#[test]
fn every_log_line_has_an_event_and_a_message_without_values() {
    let mut lines = 0;
    for source in sources("src") {
        for (level, arguments) in calls(&source) {
            lines += 1;
            assert!(name(&arguments).is_some(), "{level}!({arguments:?}) has no event = \"some.name\"");
            assert!(message(&arguments).is_some(), "the message of {level}!({arguments:?}) is no constant sentence");
        }
        for level in ["error", "warn", "info", "debug", "trace", "event"] {
            let bare = source.lines().find(|line| line.trim_start().starts_with(&format!("{level}!(")));
            assert_eq!(bare, None, "a log call is written tracing::{level}!(…), so that this test finds it");
        }
    }
    assert!(lines > 80, "only {lines} log lines were found");
}

#[test]
fn every_event_of_the_log_is_documented_with_its_fields_and_no_other() {
    let logged: BTreeMap<_, _> = logged()
        .into_iter()
        .map(|(event, (levels, lines))| {
            let all: BTreeSet<String> = lines.iter().flatten().cloned().collect();
            let sometimes: BTreeSet<String> =
                all.iter().filter(|field| lines.iter().any(|line| !line.contains(*field))).cloned().collect();
            (event, (levels, all, sometimes))
        })
        .collect();
    let shown: BTreeMap<_, _> = tables(&page("docs/logging.md"), "event")
        .into_iter()
        .map(|row| {
            let sometimes = row[2].split(", ").filter(|field| field.starts_with('(')).flat_map(quoted).collect();
            let levels = BTreeSet::from([row[1].clone()]);
            (row[0].trim_matches('`').to_owned(), (levels, quoted(&row[2]), sometimes))
        })
        .collect();
    assert_eq!(shown, logged);
}

#[test]
fn the_reader_of_log_lines_reads_what_code_writes() {
    let line =
        r#"event = "campaign.moved", campaign.id = id(1, "a)").0, %error, size = n, "it, (too), moved"); other("x")"#;
    let arguments = arguments(line);
    assert_eq!(name(&arguments).as_deref(), Some("campaign.moved"));
    assert_eq!(message(&arguments).as_deref(), Some("it, (too), moved"));
    let fields: Vec<_> = arguments.iter().filter_map(|argument| field(argument)).collect();
    assert_eq!(fields, ["campaign.id", "error", "size"]);
    for event in ["page.id = 1", r#"event = "lost""#, r#"event = "Page.lost""#, "event = lost.as_str()"] {
        assert_eq!(name(&[event, r#""a page is lost""#]), None, "{event}");
    }
    for text in [r#""page.lost""#, r#""page {id} is lost""#, r#""a page is lost.""#, "text"] {
        assert_eq!(message(&[r#"event = "page.lost""#, text]), None, "{text}");
    }
}
