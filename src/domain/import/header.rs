//! What the columns of an import mean.

use std::collections::HashMap;

use super::consent_names::Named;
use super::near;
use super::own;
use super::presets::{Known, Preset, is_permission, known, proofs, recognise};
use super::reading::{Field, PresetChoice, Reading};
use super::spellings::{Word, word};
use super::statuses::{Consent, Meaning};
use super::{ImportError, MAX_COLUMNS};
use crate::domain::export::Format;
use crate::domain::people::contact::{BuiltIn, attribute_name, normalised_name};
use crate::domain::people::spelling::trim;
use crate::domain::shown::listed;

/// The columns that a file of rejected rows has before the others.
pub(super) const REJECTED: [&str; 4] = ["rejected_line", "rejected_column", "rejected_code", "rejected_reason"];

/// A column, by its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As the file has it.
    pub(super) header: String,
    /// Where its cells go.
    pub(super) target: Target,
    /// How its cells are written.
    pub(super) manner: Manner,
    /// What has decided where they go.
    pub(super) why: Why,
}

/// What has decided what a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Mapping,
    Preset,
    /// Its name.
    Name,
    /// Its name may mean a field, and another column is taken for it.
    Outdone,
    /// Nothing: its name means no field.
    NoField,
}

/// Where a column's cells go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    BuiltIn(BuiltIn),
    /// First and last name in one.
    Name,
    /// The last name, or the whole name beside a column of first names.
    LastName,
    Attribute(String),
    /// A JSON object of attributes.
    Attributes,
    /// Of a consent, and tags.
    Said(SaidColumn),
    /// Whether the person agrees.
    Consent(Consent),
    /// What an earlier import said of a row that it rejected.
    Rejected,
    /// The column has nothing of use here.
    Ignored,
    /// The column has no name: spreadsheets export such beside their tables.
    Nowhere,
}

/// How cells are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    AsIs,
    /// What cannot be used is passed over.
    Perhaps,
    /// The first of several values.
    First,
    /// A phone number that may lack its plus sign.
    Digits,
    /// In double quotes.
    Quoted,
    /// Between `:::` or `;`.
    Labels,
    /// As Volley exports it.
    Exported,
    /// When or how somebody agreed: a yes or a no would say more than that.
    Detail,
    /// About something near to consent: any answer may be one about consent.
    Near,
    /// Mostly about something else: a no may be one about consent.
    Doubtful,
}

/// What a column says of a contact besides its fields and besides whether it agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaidColumn {
    /// Since when.
    StandingAt,
    /// Where the consent comes from.
    Source,
    /// Its tags.
    Tags,
}

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) columns: Vec<Column>,
    /// The tool that has written the file.
    pub(super) preset: Option<Preset>,
    /// Whether the file is an export of Volley's.
    pub(super) is_own: bool,
    /// Places of the columns of which one must have something in each row, so that it shows what the person has said. Empty: no such rule.
    pub(super) proof: Vec<usize>,
}

/// A column whose target may depend on the others.
enum Found {
    Clear(Target, Manner, Why),
    /// A word of some language, and how far behind others of its kind it stands.
    Word(Word, usize),
}

/// Reads the header row of a file as far as it can be read: the columns, and why nothing can be imported by them. A column that can be
/// nothing is passed over, and a mapping that fits no column as well.
///
/// # Errors
/// [`ImportError::TooManyColumns`].
pub(super) fn survey<'c>(
    cells: impl Iterator<Item = &'c str>,
    reading: &Reading,
) -> Result<(Layout, Option<ImportError>), ImportError> {
    let headers: Vec<String> = cells.map(|cell| trim(cell).to_owned()).collect();
    if headers.len() > MAX_COLUMNS {
        return Err(ImportError::TooManyColumns { found: headers.len() });
    }
    let names: Vec<String> = headers.iter().map(|header| normalised_name(header)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut wrong = None;
    let (rejected, mapped) = (rejected(&names), mapped(&headers, reading, &mut wrong));
    let preset = match reading.preset {
        PresetChoice::Recognised => recognise(&names),
        PresetChoice::Off => None,
        PresetChoice::Named(preset) => Some(preset),
    };
    // No tool has written it, so that turning tools off changes nothing.
    let is_own = preset.is_none() && own::is_export(&headers);
    let mut found = Vec::with_capacity(headers.len());
    for (place, (header, name)) in headers.iter().zip(&names).enumerate() {
        found.push(match mapped.get(&place) {
            _ if rejected.contains(&place) => Found::Clear(Target::Rejected, Manner::AsIs, Why::Name),
            Some(field) => Found::Clear(told(field), Manner::AsIs, Why::Mapping),
            None => match of_own(name, reading).filter(|_| is_own) {
                Some((target, manner)) => Found::Clear(target, manner, Why::Name),
                None if preset.is_some_and(|preset| is_permission(preset, name, &names)) => {
                    Found::Clear(Target::Consent(Consent::Perhaps), Manner::AsIs, Why::Preset)
                }
                None => find(header, name, preset, reading, &mut wrong),
            },
        });
    }
    let columns = settle(headers.iter().zip(found), &mut wrong);
    if let Err(error) = check(&columns) {
        wrong.get_or_insert(error);
    }
    let proof = preset.map(|preset| proof(preset, &names, |place| !mapped.contains_key(&place))).unwrap_or_default();
    Ok((Layout { columns, preset, is_own, proof }, wrong))
}

/// The fields of the columns that are mapped, by place.
fn mapped<'r>(headers: &[String], reading: &'r Reading, wrong: &mut Option<ImportError>) -> HashMap<usize, &'r Field> {
    let mut mapped = HashMap::new();
    for one in &reading.mapping {
        let exactly = |header: &String| *header == one.header;
        let alike = |header: &String| header.to_lowercase() == one.header.to_lowercase();
        let place = headers.iter().position(exactly).or_else(|| headers.iter().position(alike));
        let Some(place) = place else {
            wrong.get_or_insert_with(|| ImportError::NoMappedColumn {
                header: one.header.clone(),
                found: listed(&headers.iter().filter(|header| !header.is_empty()).collect::<Vec<_>>()),
            });
            continue;
        };
        if one.field == Field::Source && !reading.on_list {
            let header = one.header.clone();
            wrong.get_or_insert_with(|| ImportError::MapNeedsList { header, field: one.field.to_string() });
            continue;
        }
        mapped.insert(place, &one.field);
    }
    mapped
}

fn told(field: &Field) -> Target {
    match field {
        Field::BuiltIn(field) => Target::BuiltIn(*field),
        Field::Name => Target::Name,
        Field::Status => Target::Consent(Consent::Word),
        Field::OptIn => Target::Consent(Consent::Agreed),
        Field::OptOut => Target::Consent(Consent::Filled(Meaning::Refuses)),
        Field::StatusAt => Target::Said(SaidColumn::StandingAt),
        Field::Source => Target::Said(SaidColumn::Source),
        Field::Tags => Target::Said(SaidColumn::Tags),
        Field::Attributes => Target::Attributes,
        Field::Attribute(name) => Target::Attribute(name.clone()),
        Field::Ignored => Target::Ignored,
    }
}

/// What a column is in an export of Volley's own, where that is not what it is in every file.
fn of_own(name: &str, reading: &Reading) -> Option<(Target, Manner)> {
    let on_list = reading.on_list;
    Some(match name {
        "id" | "version" if reading.format == Format::Jsonl => (Target::Ignored, Manner::AsIs),
        "contact_id" | "untracked" | "introduced_at" | "created_at" | "updated_at" => (Target::Ignored, Manner::AsIs),
        "attributes" => (Target::Attributes, Manner::Exported),
        "tags" => (Target::Said(SaidColumn::Tags), Manner::Exported),
        "suppressed" => (Target::Consent(Consent::Reasons), Manner::AsIs),
        "lists" => (Target::Consent(Consent::Lists), Manner::AsIs),
        "status" if on_list => (Target::Consent(Consent::Stands), Manner::AsIs),
        "status_list" if on_list => (Target::Consent(Consent::StandsOn), Manner::AsIs),
        "source" if on_list => (Target::Said(SaidColumn::Source), Manner::Exported),
        // How it stood on a list says nothing where none is meant.
        "source" | "status_at" | "status_list" if !on_list => (Target::Ignored, Manner::AsIs),
        _ => return None,
    })
}

/// What a column is by its name alone.
fn find(header: &str, name: &str, preset: Option<Preset>, reading: &Reading, wrong: &mut Option<ImportError>) -> Found {
    let on_list = reading.on_list;
    let as_is = |target| Found::Clear(target, Manner::AsIs, Why::Name);
    if header.is_empty() {
        return Found::Clear(Target::Nowhere, Manner::AsIs, Why::NoField);
    }
    if let Some(known) = preset.and_then(|preset| known(preset, name)) {
        let (target, manner) = match known {
            Known::Field(field) => (Target::BuiltIn(field), Manner::AsIs),
            Known::First(field) => (Target::BuiltIn(field), Manner::First),
            Known::Digits(field) => (Target::BuiltIn(field), Manner::Digits),
            Known::Perhaps(field) => (Target::BuiltIn(field), Manner::Perhaps),
            Known::Name => (Target::Name, Manner::AsIs),
            Known::Attributes => (Target::Attributes, Manner::AsIs),
            Known::QuotedTags => (Target::Said(SaidColumn::Tags), Manner::Quoted),
            Known::Labels => (Target::Said(SaidColumn::Tags), Manner::Labels),
            Known::Consent(consent) => (Target::Consent(consent), Manner::AsIs),
            Known::At => (Target::Said(SaidColumn::StandingAt), Manner::Perhaps),
            Known::Nothing => (Target::Ignored, Manner::AsIs),
        };
        return Found::Clear(target, manner, Why::Preset);
    }
    match name {
        "tags" => return as_is(Target::Said(SaidColumn::Tags)),
        "attributes" if reading.format == Format::Jsonl => return as_is(Target::Attributes),
        "status_at" if on_list => return as_is(Target::Said(SaidColumn::StandingAt)),
        "source" if on_list => return as_is(Target::Said(SaidColumn::Source)),
        _ => {}
    }
    match (built_in(name), near::of_name(name), word(header)) {
        (Some(field), ..) => as_is(Target::BuiltIn(field)),
        (None, Some(Named::Says(consent)), _) => as_is(Target::Consent(consent)),
        (None, Some(Named::Detail), _) => Found::Clear(attribute(header, wrong), Manner::Detail, Why::NoField),
        (None, Some(Named::Near), _) => Found::Clear(attribute(header, wrong), Manner::Near, Why::NoField),
        (None, Some(Named::Doubtful), _) => Found::Clear(attribute(header, wrong), Manner::Doubtful, Why::NoField),
        (None, Some(Named::Unclear), _) => {
            wrong.get_or_insert_with(|| ImportError::ColumnUnclear { header: header.to_owned() });
            Found::Clear(attribute(header, wrong), Manner::AsIs, Why::NoField)
        }
        (None, None, Some((word, rank))) => Found::Word(word, rank),
        (None, None, None) => Found::Clear(attribute(header, wrong), Manner::AsIs, Why::NoField),
    }
}

fn attribute(header: &str, wrong: &mut Option<ImportError>) -> Target {
    attribute_name(header).map(Target::Attribute).unwrap_or_else(|error| {
        let header = header.chars().take(100).collect();
        wrong.get_or_insert(ImportError::ColumnName { header, reason: error.reason });
        Target::Ignored
    })
}

/// Gives words their places: a field goes to the best of its columns, unless another column names it in English, and what is left becomes
/// attributes. A column `name` is split only in a file without columns of first and of last names.
fn settle<'h>(found: impl Iterator<Item = (&'h String, Found)>, wrong: &mut Option<ImportError>) -> Vec<Column> {
    let mut words: Vec<(usize, Word, usize)> = Vec::new();
    let mut columns: Vec<Column> = Vec::new();
    for (place, (header, found)) in found.enumerate() {
        let (target, manner, why) = match found {
            Found::Clear(target, manner, why) => (target, manner, why),
            Found::Word(word, rank) => {
                words.push((place, word, rank));
                (Target::Nowhere, Manner::AsIs, Why::Name)
            }
        };
        columns.push(Column { header: header.clone(), target, manner, why });
    }
    let has = |columns: &[Column], field| columns.iter().any(|column| column.target == Target::BuiltIn(field));
    let mut give = |columns: &mut [Column], word: Word, target: Target| {
        let best = words.iter().enumerate().filter(|(_, (_, one, _))| *one == word).min_by_key(|(_, (.., rank))| *rank);
        let Some(place) = best.map(|(at, _)| at).map(|at| words.remove(at).0) else { return false };
        if let Some(column) = columns.get_mut(place) {
            column.target = target;
        }
        true
    };
    // English `first_name,name` has been with us for long, and its `name` may be anything.
    let has_english_first = has(&columns, BuiltIn::FirstName);
    for (word, field) in [
        (Word::Email, BuiltIn::Email),
        (Word::Phone, BuiltIn::Phone),
        (Word::FirstName, BuiltIn::FirstName),
        (Word::LastName, BuiltIn::LastName),
    ] {
        if !has(&columns, field) {
            give(&mut columns, word, Target::BuiltIn(field));
        }
    }
    let is_split = columns.iter().any(|column| column.target == Target::Name);
    match (has(&columns, BuiltIn::FirstName), has(&columns, BuiltIn::LastName)) {
        (false, true) => _ = give(&mut columns, Word::FirstOrFull, Target::BuiltIn(BuiltIn::FirstName)),
        (true, false) if !has_english_first => _ = give(&mut columns, Word::LastOrFull, Target::LastName),
        (false, false) if !is_split => {
            let words = [Word::FullName, Word::LastOrFull, Word::FirstOrFull];
            let _ = words.into_iter().any(|word| give(&mut columns, word, Target::Name));
        }
        (true, _) | (false, false) => {}
    }
    for (place, ..) in words {
        if let Some(column) = columns.get_mut(place) {
            column.target = attribute(&column.header, wrong);
            column.why = Why::Outdone;
        }
    }
    columns
}

/// Refuses columns that mean the same, and a file without keys.
fn check(columns: &[Column]) -> Result<(), ImportError> {
    // An attribute may have the name of what is none.
    let mut seen: HashMap<(bool, String), &str> = HashMap::with_capacity(columns.len());
    for column in columns {
        let own_name = normalised_name(&column.header);
        let (is_attribute, name) = match &column.target {
            Target::BuiltIn(field) => (false, field.as_str()),
            Target::Name => (false, "name"),
            Target::LastName => (false, BuiltIn::LastName.as_str()),
            Target::Attribute(name) => (true, name.as_str()),
            Target::Attributes => (false, "attributes"),
            Target::Said(SaidColumn::StandingAt) => (false, "status_at"),
            Target::Said(SaidColumn::Source) => (false, "source"),
            Target::Said(SaidColumn::Tags) => (false, "tags"),
            // Several columns may say it, as `status` and `subscription_status` do: the most restrictive counts.
            Target::Consent(Consent::Word) if column.why != Why::Mapping => (false, own_name.as_str()),
            Target::Consent(Consent::Word | Consent::Stands) => (false, "status"),
            Target::Consent(Consent::Lists) => (false, "lists"),
            Target::Consent(Consent::StandsOn) => (false, "status_list"),
            Target::Consent(_) | Target::Rejected | Target::Ignored | Target::Nowhere => continue,
        };
        if let Some(first) = seen.insert((is_attribute, name.to_owned()), &column.header) {
            return Err(ImportError::DuplicateColumn {
                name: name.to_owned(),
                first: first.to_owned(),
                second: column.header.clone(),
            });
        }
    }
    let is_key = |column: &Column| {
        matches!(column.target, Target::BuiltIn(BuiltIn::Email | BuiltIn::Phone | BuiltIn::ExternalId))
    };
    if columns.iter().any(is_key) {
        return Ok(());
    }
    Err(ImportError::NoKeyColumn { found: columns.iter().map(|column| column.header.clone()).collect() })
}

/// Where the columns of rejected rows are: the first of each name, and only where all of them are there. Another file may have such a column
/// of its own.
fn rejected(names: &[&str]) -> Vec<usize> {
    let place = |name: &&str| names.iter().position(|one| one == name);
    REJECTED.iter().map(place).collect::<Option<Vec<usize>>>().unwrap_or_default()
}

/// Where the columns are of which one must have something in each row.
fn proof(preset: Preset, names: &[&str], is_free: impl Fn(usize) -> bool) -> Vec<usize> {
    let places = |group: &&[&str]| -> Vec<usize> {
        let of_group = names.iter().enumerate().filter(|(place, name)| group.contains(*name) && is_free(*place));
        of_group.map(|(place, _)| place).collect()
    };
    proofs(preset).iter().map(places).find(|places| !places.is_empty()).unwrap_or_default()
}

/// The field that a header names, in one of its usual spellings.
fn built_in(name: &str) -> Option<BuiltIn> {
    Some(match name {
        "email" | "e_mail" | "mail" | "email_address" | "e_mail_address" | "emailaddress" => BuiltIn::Email,
        "phone" | "phone_number" | "phonenumber" | "telephone" | "tel" | "mobile" | "mobile_number"
        | "mobile_phone" | "cell" | "cell_phone" | "cellphone" => BuiltIn::Phone,
        "first_name" | "firstname" | "given_name" | "givenname" | "forename" => BuiltIn::FirstName,
        "last_name" | "lastname" | "surname" | "family_name" | "familyname" => BuiltIn::LastName,
        "external_id" | "externalid" | "customer_id" | "customerid" | "user_id" | "userid" => BuiltIn::ExternalId,
        "timezone" | "time_zone" | "tz" => BuiltIn::Timezone,
        "locale" | "language" | "lang" => BuiltIn::Locale,
        other => return BuiltIn::from_name(other),
    })
}

#[cfg(test)]
mod tests;
