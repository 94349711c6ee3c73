//! docs/logging.md lists the events of the log with their levels and fields.

use std::collections::{BTreeMap, BTreeSet};

use super::{page, quoted, sources, table};

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

/// An event's name, where a line has one: words of lower case with dots between them, as its message or its field `event`.
fn name(arguments: &[&str]) -> Option<String> {
    let field = arguments.iter().find_map(|argument| argument.strip_prefix("event = "));
    let text = field.into_iter().chain(arguments.last().copied()).find_map(|text| {
        text.strip_prefix('"')?.strip_suffix('"').filter(|text| {
            text.contains('.') && text.split('.').all(|word| !word.is_empty() && word.bytes().all(is_of_a_name))
        })
    });
    text.map(str::to_owned)
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

/// Of each event its levels, and the fields of each of its lines.
fn logged() -> BTreeMap<String, (BTreeSet<String>, Vec<BTreeSet<String>>)> {
    let mut events: BTreeMap<String, (BTreeSet<String>, Vec<BTreeSet<String>>)> = BTreeMap::new();
    for source in sources("src") {
        for level in ["error", "warn", "info", "debug", "trace"] {
            for line in source.split(&format!("tracing::{level}!(")).skip(1) {
                let arguments = arguments(line);
                let Some(event) = name(&arguments) else { continue };
                let event = events.entry(event).or_default();
                event.0.insert(level.to_owned());
                event.1.push(arguments.iter().filter_map(|argument| field(argument)).collect());
            }
        }
    }
    events
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
    let shown: BTreeMap<_, _> = table(&page("docs/logging.md"), "event")
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
    let line = r#"campaign.id = id(1, "a)").0, %error, size = n, "campaign.moved"); other("x")"#;
    let arguments = arguments(line);
    assert_eq!(name(&arguments).as_deref(), Some("campaign.moved"));
    let fields: Vec<_> = arguments.iter().filter_map(|argument| field(argument)).collect();
    assert_eq!(fields, ["campaign.id", "error", "size"]);
    let named = [r#"event = "page.lost""#, "page.id = 1", r#""a page is lost""#];
    assert_eq!(name(&named).as_deref(), Some("page.lost"));
    assert_eq!(named.iter().filter_map(|argument| field(argument)).collect::<Vec<_>>(), ["page.id"]);
}
