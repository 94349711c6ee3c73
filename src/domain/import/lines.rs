//! JSON lines: an object on each line of a file, line by line.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufRead};

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::domain::people::contact::FieldError;

/// The longest line, in bytes.
pub(super) const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Where a file of rejected rows has a line that is no JSON object, as it was.
pub(super) const TEXT: &str = "rejected_text";

/// The members of an object, in their order.
#[derive(Debug, Default)]
pub(super) struct Object(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let (mut all, mut seen) = (Vec::new(), HashSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    // Which of the two is meant cannot be told, and one of them may say "no".
                    if !seen.insert(name.clone()) {
                        let name: String = name.chars().take(100).collect();
                        return Err(A::Error::custom(format_args!("{name:?} stands in the object twice")));
                    }
                    all.push((name, value));
                }
                Ok(Object(all))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Reads a line: the object, and its text. A line of a file of rejected rows that was no object has its text in a member of its own.
///
/// # Errors
/// What is wrong with it, with the place in the line, and its text.
pub(super) fn parse(line: &[u8]) -> Result<(Object, String), (FieldError, String)> {
    let lossy = |line| String::from_utf8_lossy(line).trim().to_owned();
    let (text, object) = read(line).map_err(|error| (error, lossy(line)))?;
    let Some((_, Value::String(inner))) = object.0.iter().find(|(name, _)| name == TEXT) else {
        return Ok((object, text.trim().to_owned()));
    };
    if inner.contains(char::REPLACEMENT_CHARACTER) {
        let why = "has a character that could not be read (U+FFFD): put the right one in its place first";
        return Err((FieldError::new(TEXT, "encoding", why), inner.clone()));
    }
    let (text, object) = read(inner.as_bytes()).map_err(|error| (error, inner.clone()))?;
    Ok((object, text.trim().to_owned()))
}

fn read(line: &[u8]) -> Result<(&str, Object), FieldError> {
    let text = std::str::from_utf8(line).map_err(|error| {
        let reason =
            format!("has bytes that are no text (byte {} of the line): write it in UTF-8", error.valid_up_to());
        FieldError::new("row", "encoding", reason)
    })?;
    let object = serde_json::from_str(text).map_err(|error| {
        // The line is the reader's own; serde_json counts from 1 in each.
        let said = error.to_string();
        let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
        let array = if text.trim_start().starts_with('[') {
            "; in JSON lines, each object has a line of its own, without brackets around"
        } else if text.trim_end().ends_with("},") {
            "; in JSON lines, there is no comma behind an object"
        } else {
            ""
        };
        FieldError::new("row", "json_invalid", format!("is no JSON object: {said} (column {}){array}", error.column()))
    })?;
    Ok((text, object))
}

/// A value as a cell would have it.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Reads lines one by one, and knows where it is.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    /// Where the next line begins.
    pub(super) byte: u64,
    /// Its number, from 1.
    pub(super) line: u64,
}

/// A line that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    /// Its number, from 1.
    pub(super) line: u64,
    /// Whether it is longer than [`MAX_LINE_BYTES`]: its end was read, but not kept.
    pub(super) is_too_long: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads on from `reader`, which stands at that byte and line.
    pub(super) fn new(reader: R, byte: u64, line: u64) -> Self {
        Self { reader, byte, line }
    }

    /// The reader, which has been read beyond the last line.
    pub(super) fn into_reader(self) -> R {
        self.reader
    }

    /// Reads the next line that is not blank, without its end. `None` at the end of the file.
    pub(super) fn read(&mut self, text: &mut Vec<u8>) -> io::Result<Option<Read>> {
        loop {
            let line = self.line;
            let (is_end, is_too_long) = self.read_any(text)?;
            if !text.trim_ascii().is_empty() || is_too_long {
                return Ok(Some(Read { line, is_too_long }));
            }
            if is_end {
                return Ok(None);
            }
        }
    }

    /// Reads a line: whether the file ends with it, and whether it is too long.
    fn read_any(&mut self, text: &mut Vec<u8>) -> io::Result<(bool, bool)> {
        text.clear();
        let mut is_too_long = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok((true, is_too_long));
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            is_too_long = is_too_long || text.len() + part.len() > MAX_LINE_BYTES;
            if !is_too_long {
                text.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.reader.consume(taken);
            self.byte += u64::try_from(taken).unwrap_or(u64::MAX);
            if end.is_some() {
                self.line += 1;
                return Ok((false, is_too_long));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_one_that_is_too_long_is_passed_over() {
        let source = format!("\r\n{{}}\r\n\n{}\n{{\"a\":1}}", "x".repeat(MAX_LINE_BYTES + 1));
        let mut lines = Lines::new(io::BufReader::with_capacity(7, source.as_bytes()), 0, 1);
        let (mut text, mut found) = (Vec::new(), Vec::new());
        while let Some(read) = lines.read(&mut text).unwrap() {
            found.push((read.line, read.is_too_long, text.trim_ascii().len() < 10));
        }
        assert_eq!(found, [(2, false, true), (4, true, false), (5, false, true)]);
        assert_eq!(lines.byte, u64::try_from(source.len()).unwrap());
    }

    #[test]
    fn a_line_that_is_no_object_says_why() {
        for (line, words) in [
            (&b"[1]"[..], "each object has a line of its own"),
            (b"{\"a\":1,}", "(column 8)"),
            (b"{\"a\":1} x", "(column 9)"),
            (b"{\"status\":\"unsubscribed\",\"status\":\"subscribed\"}", "\"status\" stands in the object twice"),
            (b"{\"a\":\"caf\xe9\"}", "byte 9"),
            (b"{\"rejected_text\":\"{\\\"a\\\":\\\"caf\xef\xbf\xbd\\\"}\"}", "U+FFFD"),
            (b"7", "is no JSON object"),
        ] {
            let (error, _) = parse(line).unwrap_err();
            assert!(error.reason.contains(words), "{}: {error:?}", line.escape_ascii());
        }
        let (object, text) = parse(br#"{"rejected_line":7,"rejected_text":"{\"b\":1,\"a\":[2]}"}"#).unwrap();
        assert_eq!(object.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(text, r#"{"b":1,"a":[2]}"#);
    }
}
