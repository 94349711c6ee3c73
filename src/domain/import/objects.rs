//! Rows that are JSON objects, a line each.
//!
//! There is no header: what the members of the first lines are called stands for one, and a line that has further members is read as if the
//! header had them, too. So the same line is always read alike, wherever a reader begins.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use serde_json::Value;

use super::filling::Told;
use super::header::{self, Column, Layout, Target};
use super::lines::{Lines, MAX_LINE_BYTES, Object, as_text, parse};
use super::reading::Reading;
use super::records::Record;
use super::rejected::Cells;
use super::{ImportError, ImportReader, ResumePoint, Row, Source, close, nameless};
use crate::domain::people::contact::FieldError;

/// How many lines are looked at for the names of their members, and how many bytes.
const HEAD_LINES: usize = 100;
const HEAD_BYTES: u64 = 1 << 20;

/// How much of the file is read at a time, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// The lines of a file.
#[derive(Debug)]
pub(super) struct Objects<R> {
    pub(super) lines: Lines<R>,
    /// The present line.
    text: Vec<u8>,
    reading: Reading,
    /// Names of members, in their order, and the place of each.
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// Names that the last line with others had besides, and what all columns are then.
    further: Option<(Vec<String>, Result<Layout, FieldError>)>,
}

/// What the first lines are like.
#[derive(Default)]
struct Head {
    names: Vec<String>,
    places: HashMap<String, usize>,
    /// Why the first line that is no object is none.
    wrong: Option<(u64, FieldError)>,
    objects: usize,
}

impl Head {
    fn read<R: Read>(lines: &mut Lines<BufReader<R>>) -> Result<Self, ImportError> {
        let (mut head, mut text) = (Self::default(), Vec::new());
        for _ in 0..HEAD_LINES {
            let Some(read) = lines.read(&mut text).map_err(ImportError::Io)? else { break };
            match parse(&text) {
                Ok((Object(members), _)) => {
                    head.objects += 1;
                    for (name, _) in members {
                        if !head.places.contains_key(&name) {
                            head.places.insert(name.clone(), head.names.len());
                            head.names.push(name);
                        }
                    }
                }
                Err((error, _)) => _ = head.wrong.get_or_insert((read.line, error)),
            }
            if lines.byte > HEAD_BYTES {
                break;
            }
        }
        Ok(head)
    }
}

impl<R: Read + Seek> ImportReader<R> {
    /// As [`ImportReader::survey`], of a file of JSON lines.
    pub(super) fn survey_lines(
        reader: R,
        resume: Option<ResumePoint>,
        reading: &Reading,
    ) -> Result<(Self, Option<ImportError>), ImportError> {
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        let mut mark = Vec::new();
        reader.by_ref().take(3).read_to_end(&mut mark).map_err(ImportError::Io)?;
        let start: u64 = if mark == b"\xef\xbb\xbf" { 3 } else { 0 };
        reader.seek(SeekFrom::Start(start)).map_err(ImportError::Io)?;
        let mut lines = Lines::new(reader, start, 1);
        let head = Head::read(&mut lines)?;
        if head.objects == 0 {
            let (line, reason) = head
                .wrong
                .map_or((1, "is not there: the file is empty".to_owned()), |(line, error)| (line, error.reason));
            return Err(ImportError::NoObject { line, reason });
        }
        let (layout, wrong) = header::survey(head.names.iter().map(String::as_str), reading)?;
        let after = resume.unwrap_or(ResumePoint { byte: start, line: 1 });
        let mut reader = lines.into_reader();
        reader.seek(SeekFrom::Start(after.byte)).map_err(ImportError::Io)?;
        let objects = Objects {
            lines: Lines::new(reader, after.byte, after.line),
            text: Vec::new(),
            reading: reading.clone(),
            names: head.names,
            places: head.places,
            further: None,
        };
        let reader = Self {
            source: Source::Jsonl(Box::new(objects)),
            layout,
            delimiter: None,
            on_list: reading.on_list,
            list: reading.list.clone(),
            record: Record::default(),
            is_protected: false,
            is_broken: false,
        };
        Ok((reader, wrong))
    }
}

impl<R: Read> ImportReader<R> {
    /// The row on the next line that is not blank.
    pub(super) fn next_object(&mut self) -> Result<Option<Row>, ImportError> {
        let Source::Jsonl(objects) = &mut self.source else { return Ok(None) };
        let Some(read) = objects.lines.read(&mut objects.text).map_err(ImportError::Io)? else { return Ok(None) };
        let end = ResumePoint { byte: objects.lines.byte, line: objects.lines.line };
        let mut told = Told::default();
        if read.is_too_long {
            let error = FieldError::new("row", "line_too_long", format!("is longer than {MAX_LINE_BYTES} bytes"));
            return Ok(Some(Row::of(told, vec![error], (read.line, end), Cells::lost)));
        }
        let (object, text) = match parse(&objects.text) {
            Ok(read) => read,
            Err((error, text)) => {
                return Ok(Some(Row::of(told, vec![error], (read.line, end), || Cells::of_text(&text))));
            }
        };
        let (layout, places) = match objects.layout(&self.layout, &object) {
            Ok(found) => found,
            Err(error) => {
                // A refusal counts all the same.
                for (column, value) in objects.known(&self.layout, &object) {
                    let is_said = matches!(column.target, Target::Consent(_) | Target::BuiltIn(_));
                    let _wrong = is_said.then(|| told.take_value(column, value, self.on_list));
                }
                told.finish_refusal(self.list.as_deref());
                return Ok(Some(Row::of(told, vec![error], (read.line, end), || {
                    Cells::of_object(&object.0, &text, &[], &self.layout)
                })));
            }
        };
        let mut values: Vec<&Value> = vec![&Value::Null; layout.columns.len()];
        for (place, (_, value)) in places.into_iter().zip(&object.0) {
            if let Some(free) = values.get_mut(place) {
                *free = value;
            }
        }
        let mut wrong = Vec::new();
        let mut is_proven = layout.proof.is_empty();
        for (place, (column, value)) in layout.columns.iter().zip(&values).enumerate() {
            is_proven = is_proven || layout.proof.contains(&place) && !is_nothing(value);
            match told.take_value(column, value, self.on_list) {
                Ok(()) if column.target == Target::Nowhere && !is_nothing(value) => told.dropped.push(nameless(place)),
                Ok(()) => {}
                Err(error) => wrong.push((column, FieldError { field: column.header.clone(), ..error })),
            }
        }
        let errors = close(&mut told, layout, wrong, is_proven, (self.on_list, self.list.as_deref()));
        let cells = || Cells::of_object(&object.0, &text, &values, layout);
        Ok(Some(Row::of(told, errors, (read.line, end), cells)))
    }

    /// Gives the values of the present line by the place of their columns, as text.
    pub(super) fn each_value(&self, mut each: impl FnMut(usize, &[u8])) {
        match &self.source {
            Source::Csv(_) => self.record.cells().enumerate().for_each(|(place, cell)| each(place, cell)),
            Source::Jsonl(objects) => {
                let object = parse(&objects.text).map(|(object, _)| object).unwrap_or_default();
                for (name, value) in &object.0 {
                    if let Some(place) = objects.places.get(name) {
                        each(*place, as_text(value).as_bytes());
                    }
                }
            }
        }
    }
}

impl<R> Objects<R> {
    /// The members of a line whose columns are those of the first lines.
    fn known<'l>(&self, layout: &'l Layout, object: &'l Object) -> impl Iterator<Item = (&'l Column, &'l Value)> {
        let members = object.0.iter().map(|(name, value)| (self.places.get(name).copied(), value));
        members.filter_map(|(place, value)| Some((layout.columns.get(place?)?, value))).collect::<Vec<_>>().into_iter()
    }

    /// What the members of a line are: the columns, and the place of each member among them.
    fn layout<'l>(&'l mut self, layout: &'l Layout, object: &Object) -> Result<(&'l Layout, Vec<usize>), FieldError> {
        let mut further: Vec<String> = Vec::new();
        let mut places = Vec::with_capacity(object.0.len());
        for (at, (name, _)) in object.0.iter().enumerate() {
            // Most lines have the same members in the same order.
            let known = if self.names.get(at) == Some(name) { Some(at) } else { self.places.get(name).copied() };
            places.push(known.unwrap_or_else(|| {
                further.push(name.clone());
                self.names.len() + further.len() - 1
            }));
        }
        if further.is_empty() {
            return Ok((layout, places));
        }
        if self.further.as_ref().is_none_or(|(names, _)| *names != further) {
            let names = self.names.iter().chain(&further).map(String::as_str);
            let found = header::survey(names, &self.reading).and_then(|(layout, wrong)| wrong.map_or(Ok(layout), Err));
            let found = found.map_err(|error| FieldError::new("row", error.code(), error.to_string()));
            self.further = Some((further, found));
        }
        match &self.further {
            Some((_, Ok(found))) => Ok((found, places)),
            Some((_, Err(error))) => Err(error.clone()),
            None => Ok((layout, places)),
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests;
