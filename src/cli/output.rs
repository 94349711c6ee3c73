//! What commands print: data on stdout, as text or JSON; talk and complaints on stderr.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

pub(crate) use crate::domain::shown::grouped;

/// Where a command prints its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a line of text, or several.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", printable(text))?;
        out.flush()
    }

    /// Prints a JSON document.
    pub(crate) fn json(self, value: &Value) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{value:#}")?;
        out.flush()
    }

    /// Prints `value` under `--json`, else `text`.
    pub(crate) fn either(self, value: &Value, text: &str) -> io::Result<()> {
        if self.json { self.json(value) } else { self.text(text) }
    }
}

/// Says something on stderr. A closed stderr is nobody's loss.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(text));
}

/// Whether somebody watches stderr, where progress and colours are shown, and wants them: <https://no-color.org>.
pub(crate) fn is_watched() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value: std::ffi::OsString| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Whether `error` says that the reader of our output has gone.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// `text` without control characters: what contacts and campaigns are called must not steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Rows under a header, columns aligned as a terminal shows them; numbers to the right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
        cells.chain(header.get(column).map(|name| name.width())).max().unwrap_or_default()
    };
    let is_whole = |cell: &str| !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || c == ',');
    let is_number = |cell: &str| match cell.strip_suffix('%').and_then(|share| share.split_once('.')) {
        Some((whole, digits)) => is_whole(whole) && is_whole(digits),
        None => is_whole(cell),
    };
    let line = |cells: &mut dyn Iterator<Item = (usize, &str)>| {
        let cells = cells.map(|(column, cell)| {
            let blanks = " ".repeat(width(column).saturating_sub(cell.width()));
            let mut filled = rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
            let numeric = filled.peek().is_some() && filled.all(|cell| is_number(cell) || cell == "-");
            if numeric { format!("{blanks}{cell}") } else { format!("{cell}{blanks}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied().enumerate())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str).enumerate())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let rows = [vec!["7".to_owned(), "Spring".to_owned()], vec!["12".to_owned(), "Ü".to_owned()]];
        assert_eq!(table(&["ID", "NAME"], &rows), "ID  NAME\n 7  Spring\n12  Ü");
        let rows = [["sent", "935", "935"], ["  again", "5", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&["", "A", "B"], &rows),
            "           A    B\nsent     935  935\n  again    5",
            "some cells are empty"
        );
    }

    #[test]
    fn wide_characters_take_two_places() {
        let rows = [vec!["春の便り".to_owned(), "7".to_owned()], vec!["Spring".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["NAME", "SENT"], &rows), "NAME      SENT\n春の便り     7\nSpring      12");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\r"), "a\u{fffd}[2Jb\nc\u{fffd}");
    }
}
