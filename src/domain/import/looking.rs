//! The beginning of a file, read as an import would read it: what its columns become, and its first rows. Nothing is stored.

use std::io::{Read, Seek};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::header::{Column, Manner, SaidColumn, Target, Why};
use super::presets::Preset;
use super::reading::Reading;
use super::{ImportError, ImportReader, Row, is_blank, statuses};
use crate::domain::people::contact::BuiltIn;
use crate::domain::text_enum::text_enum;

/// How many values of a column are shown, at most.
const SAMPLES: usize = 3;

/// The longest value that is shown, in characters.
const SAMPLE_CHARS: usize = 60;

/// The longest name of a column that is shown, in characters.
const HEADER_CHARS: usize = 200;

text_enum! {
    /// What has decided what a column becomes.
    DecidedBy {
        /// The mapping of the request.
        Mapping = "mapping",
        /// The export of the tool that the file is taken for.
        Preset = "preset",
        /// The name of the column.
        Name = "name",
        /// Its name means no field: it becomes an attribute, or is passed over where it has no name.
        Nothing = "nothing",
    }
}

/// What a column of a file becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnFate {
    /// Its name in the file: the first 200 characters.
    pub header: String,
    /// What it becomes, as a mapping would say it: `email`, `status`, `attributes.city`, or `-` where it is passed over.
    pub field: String,
    /// What has decided that.
    pub decided_by: DecidedBy,
    /// How its cells are read, or why they are not, where the field alone does not say so.
    pub note: Option<String>,
    /// Up to three different values of the first rows, each cut to 60 characters: in a dry run only.
    pub samples: Vec<String>,
}

impl ColumnFate {
    fn of(column: &Column) -> Self {
        let decided_by = match column.why {
            Why::Mapping => DecidedBy::Mapping,
            Why::Preset => DecidedBy::Preset,
            Why::Name => DecidedBy::Name,
            Why::Outdone | Why::NoField => DecidedBy::Nothing,
        };
        let (field, note) = (field_of(&column.target), note_of(column));
        let header = column.header.chars().take(HEADER_CHARS).collect();
        Self { header, field, decided_by, note, samples: Vec::new() }
    }

    /// Takes a cell for a sample, where there is room for one more.
    fn sample(&mut self, cell: &[u8]) {
        if self.samples.len() >= SAMPLES || is_blank(cell) {
            return;
        }
        // A character has at most four bytes.
        let part = cell.get(..SAMPLE_CHARS * 4).unwrap_or(cell);
        let text = String::from_utf8_lossy(part);
        let plain = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
        let value: String = plain.take(SAMPLE_CHARS).collect();
        if !self.samples.contains(&value) {
            self.samples.push(value);
        }
    }
}

/// A target in the words of a mapping.
fn field_of(target: &Target) -> String {
    match target {
        Target::BuiltIn(field) => field.as_str().to_owned(),
        Target::Name => "name".to_owned(),
        Target::LastName => BuiltIn::LastName.as_str().to_owned(),
        Target::Attribute(name) => format!("attributes.{name}"),
        Target::Attributes => "attributes".to_owned(),
        Target::Said(SaidColumn::StandingAt) => "status_at".to_owned(),
        Target::Said(SaidColumn::Source) => "source".to_owned(),
        Target::Said(SaidColumn::Tags) => "tags".to_owned(),
        Target::Consent(consent) => statuses::field_of(*consent).to_owned(),
        Target::Rejected | Target::Ignored | Target::Nowhere => "-".to_owned(),
    }
}

fn note_of(column: &Column) -> Option<String> {
    let note = match (&column.target, column.manner, column.why) {
        (Target::Consent(consent), ..) => return Some(statuses::described(*consent)),
        (Target::Rejected, ..) => "what an earlier import said of a rejected row",
        (Target::Nowhere, ..) => "has no name",
        (Target::Ignored, _, Why::Preset) => "is of use to the other tool alone",
        (Target::Ignored, _, Why::NoField) => "has a name that no attribute can have",
        (Target::Ignored, _, Why::Name) => "says nothing that an import takes",
        (_, _, Why::Outdone) => "may mean a field, but another column is taken for it",
        (Target::Name, ..) => "is split into first and last name",
        (Target::LastName, ..) => "a first name in it is taken off",
        (Target::Attributes, ..) => "a JSON object: each of its entries becomes an attribute",
        (_, Manner::Perhaps, _) => "what cannot be used is passed over",
        (_, Manner::Detail | Manner::Near, _) => {
            "a yes or a no rejects its row: it could say whether the person agrees"
        }
        (_, Manner::Doubtful, _) => "a no rejects its row: it could say that the person does not agree",
        (_, Manner::First, _) => "the first of several values",
        (_, Manner::Digits, _) => "a number without a plus sign gets one",
        (
            Target::BuiltIn(_) | Target::Attribute(_) | Target::Said(_) | Target::Ignored,
            Manner::AsIs | Manner::Quoted | Manner::Labels | Manner::Exported,
            Why::Mapping | Why::Preset | Why::Name | Why::NoField,
        ) => return None,
    };
    Some(note.to_owned())
}

impl<R> ImportReader<R> {
    /// What the columns of the file become; no values of rows.
    #[must_use]
    pub fn columns(&self) -> Vec<ColumnFate> {
        self.layout.columns.iter().map(ColumnFate::of).collect()
    }
}

/// The beginning of a file.
#[derive(Debug)]
pub struct Look {
    /// The tool whose export the file is taken for.
    pub preset: Option<Preset>,
    /// Whether the file is an export of Volley's own.
    pub is_own: bool,
    /// What stands between its cells. None: it has no cells.
    pub delimiter: Option<char>,
    /// What its columns become, in their order.
    pub columns: Vec<ColumnFate>,
    /// Its first rows; none where `refusal` says that nothing can be imported.
    pub rows: Vec<Row>,
    /// Whether the file has no more rows than these.
    pub is_whole: bool,
    /// Why there are no rows behind these that could be read.
    pub stopped: Option<ImportError>,
    /// Why nothing of the file can be imported.
    pub refusal: Option<ImportError>,
}

/// Reads up to `most` rows of a text that may be the beginning of a longer one: `is_cut`, and the row at its end is left out then.
///
/// # Errors
/// [`ImportError`]: not even the columns can be read.
pub fn look<R: Read + Seek>(
    text: R,
    length: u64,
    is_cut: bool,
    most: usize,
    reading: &Reading,
) -> Result<Look, ImportError> {
    let (mut reader, refusal) = ImportReader::survey(text, None, reading)?;
    let mut look = Look {
        preset: reader.preset(),
        is_own: reader.layout.is_own,
        delimiter: reader.delimiter.map(char::from),
        columns: reader.columns(),
        rows: Vec::new(),
        is_whole: false,
        stopped: None,
        refusal,
    };
    let mut read = 0;
    loop {
        match reader.next_row() {
            // What is at the end may go on beyond it.
            Ok(Some(row)) if is_cut && row.end.byte >= length => break,
            Err(ImportError::UnclosedQuote { .. }) if is_cut && reader.position() >= length => break,
            Ok(Some(_)) if read == most => break,
            Ok(Some(row)) => {
                read += 1;
                let columns = &mut look.columns;
                reader.each_value(|place, cell| {
                    if let Some(column) = columns.get_mut(place) {
                        column.sample(cell);
                    }
                });
                if look.refusal.is_none() {
                    look.rows.push(row);
                }
            }
            Ok(None) => {
                look.is_whole = !is_cut;
                break;
            }
            Err(error) => {
                look.stopped = Some(error);
                break;
            }
        }
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::import::reading::Mapped;

    fn seen(text: &str, is_cut: bool, most: usize, mapping: &[&str]) -> Look {
        let reading = Reading { mapping: Mapped::parse_all(mapping.iter().copied()).unwrap(), ..Reading::default() };
        let length = u64::try_from(text.len()).unwrap();
        look(Cursor::new(text.as_bytes().to_vec()), length, is_cut, most, &reading).unwrap()
    }

    fn lines(look: &Look) -> Vec<u64> {
        look.rows.iter().map(|row| row.line).collect()
    }

    #[test]
    fn each_column_says_what_it_becomes_and_what_has_decided_it() {
        let look = seen(
            "E-Mail;Kunde;Telefon;Handy;opt_in;;Ort\na@b.example;7;1;;yes;;Bonn\n",
            false,
            20,
            &["Kunde:external_id"],
        );
        let told: Vec<(&str, &str, &str)> = look
            .columns
            .iter()
            .map(|column| (column.header.as_str(), column.field.as_str(), column.decided_by.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("E-Mail", "email", "name"),
                ("Kunde", "external_id", "mapping"),
                ("Telefon", "attributes.telefon", "nothing"),
                ("Handy", "phone", "name"),
                ("opt_in", "opt_in", "name"),
                ("", "-", "nothing"),
                ("Ort", "attributes.ort", "nothing"),
            ]
        );
        assert_eq!(look.columns[2].note.as_deref(), Some("may mean a field, but another column is taken for it"));
        assert_eq!(look.columns[4].note.as_deref(), Some("yes: the person agrees; no: the person has unsubscribed"));
        assert_eq!(
            (look.delimiter.unwrap(), look.is_whole, look.columns[6].samples.as_slice()),
            (';', true, &["Bonn".to_owned()][..])
        );
    }

    #[test]
    fn columns_are_told_also_where_nothing_can_be_imported_by_them() {
        for (text, code) in [
            ("Adresse,Ort\na@b.example,Bonn\n", "no_key_column"),
            ("email,E-Mail\na@b.example,c@d.example\n", "duplicate_column"),
            ("email,***\na@b.example,x\n", "column_name"),
        ] {
            let look = seen(text, false, 20, &[]);
            assert_eq!(look.refusal.as_ref().map(ImportError::code), Some(code));
            assert_eq!((look.columns.len(), look.rows.len(), look.columns[0].samples.len()), (2, 0, 1), "{text}");
        }
        let look = seen("email\na@b.example\n", false, 20, &["Ort:attributes.city"]);
        assert_eq!(look.refusal.as_ref().map(ImportError::code), Some("map_no_column"));
    }

    #[test]
    fn no_row_is_taken_from_where_the_text_was_cut() {
        let text = "email\na@b.example\nc@d.example\n\"e@f.exam";
        assert_eq!((lines(&seen(text, true, 20, &[])), seen(text, true, 20, &[]).is_whole), (vec![2, 3], false));
        assert!(seen(text, true, 20, &[]).stopped.is_none());
        let whole = seen(text, false, 20, &[]);
        assert_eq!((lines(&whole), whole.stopped.map(|error| error.code())), (vec![2, 3], Some("unclosed_quote")));
        let ended = "email\na@b.example\nc@d.example\n";
        assert_eq!(lines(&seen(ended, true, 20, &[])), [2], "a cell may go on behind the cut");
        let some = seen(ended, false, 1, &[]);
        assert_eq!((lines(&some), some.is_whole), (vec![2], false));
        let all = seen(ended, false, 2, &[]);
        assert_eq!((lines(&all), all.is_whole), (vec![2, 3], true));
    }
}
