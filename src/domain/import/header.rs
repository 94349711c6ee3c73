//! What the columns of an import mean.

use std::collections::HashMap;

use super::{ImportError, MAX_COLUMNS};
use crate::domain::people::contact::{BuiltIn, attribute_name, normalised_name};
use crate::domain::people::spelling::trim;

/// The columns that a file of rejected rows has before the others.
pub(super) const REJECTED: [&str; 4] = ["rejected_line", "rejected_column", "rejected_code", "rejected_reason"];

/// A column, by its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As the file has it.
    pub(super) header: String,
    /// Where its cells go.
    pub(super) target: Target,
}

/// Where a column's cells go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    BuiltIn(BuiltIn),
    Attribute(String),
    /// Consent, and tags.
    Said(SaidColumn),
    /// What an earlier import said of a row that it rejected.
    Rejected,
    /// The column has no name: spreadsheets export such beside their tables.
    Nowhere,
}

/// What a column says of a contact besides its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaidColumn {
    /// How it stands on the list of the import.
    Standing,
    /// Since when.
    StandingAt,
    /// Where the consent comes from.
    Source,
    /// Its tags.
    Tags,
}

impl SaidColumn {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Standing => "status",
            Self::StandingAt => "status_at",
            Self::Source => "source",
            Self::Tags => "tags",
        }
    }

    /// The column of that name. Without a list, nobody can stand on it: these are attributes then, but tags.
    fn from_name(name: &str, on_list: bool) -> Option<Self> {
        match name {
            "tags" => Some(Self::Tags),
            "status" if on_list => Some(Self::Standing),
            "status_at" if on_list => Some(Self::StandingAt),
            "source" if on_list => Some(Self::Source),
            _ => None,
        }
    }
}

/// Reads the header row of a file whose contacts are to be on a list, or not.
///
/// # Errors
/// [`ImportError`] for too many columns, a column twice, an impossible name, or no column that could be a key.
pub(super) fn columns<'c>(cells: impl Iterator<Item = &'c str>, on_list: bool) -> Result<Vec<Column>, ImportError> {
    let headers: Vec<String> = cells.map(|cell| trim(cell).to_owned()).collect();
    let rejected = rejected(&headers);
    let columns: Vec<Column> = headers
        .into_iter()
        .enumerate()
        .map(|(place, header)| {
            let target = if rejected.contains(&place) { Target::Rejected } else { target(&header, on_list)? };
            Ok(Column { header, target })
        })
        .collect::<Result<_, ImportError>>()?;
    if columns.len() > MAX_COLUMNS {
        return Err(ImportError::TooManyColumns { found: columns.len() });
    }
    let mut seen: HashMap<&str, &str> = HashMap::with_capacity(columns.len());
    for column in &columns {
        let name = match &column.target {
            Target::BuiltIn(field) => field.as_str(),
            Target::Attribute(name) => name,
            Target::Said(said) => said.as_str(),
            Target::Rejected | Target::Nowhere => continue,
        };
        if let Some(first) = seen.insert(name, &column.header) {
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
    if !columns.iter().any(is_key) {
        return Err(ImportError::NoKeyColumn { found: columns.into_iter().map(|column| column.header).collect() });
    }
    Ok(columns)
}

/// Where the columns of rejected rows are: the first of each name, and only where all of them are there. Another file may have such a column
/// of its own.
fn rejected(headers: &[String]) -> Vec<usize> {
    let place = |name: &&str| headers.iter().position(|header| normalised_name(header).as_str() == *name);
    REJECTED.iter().map(place).collect::<Option<Vec<usize>>>().unwrap_or_default()
}

fn target(header: &str, on_list: bool) -> Result<Target, ImportError> {
    if header.is_empty() {
        return Ok(Target::Nowhere);
    }
    let name = normalised_name(header);
    if let Some(said) = SaidColumn::from_name(&name, on_list) {
        return Ok(Target::Said(said));
    }
    match built_in(&name) {
        Some(field) => Ok(Target::BuiltIn(field)),
        None => attribute_name(header).map(Target::Attribute).map_err(|error| ImportError::ColumnName {
            header: header.chars().take(100).collect(),
            reason: error.reason,
        }),
    }
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
mod tests {
    use super::*;

    fn targets(header: &str) -> Result<Vec<Target>, ImportError> {
        Ok(columns(header.split(','), false)?.into_iter().map(|column| column.target).collect())
    }

    #[test]
    fn usual_spellings_are_built_in_fields_and_the_rest_attributes() {
        use BuiltIn as B;
        for (header, expected) in [
            ("E-Mail", B::Email),
            ("EMAIL", B::Email),
            ("eMail", B::Email),
            ("Email Address", B::Email),
            ("Mobile", B::Phone),
            ("phone number", B::Phone),
            ("PhoneNumber", B::Phone),
            ("external id", B::ExternalId),
            ("customerId", B::ExternalId),
            ("userID", B::ExternalId),
        ] {
            assert_eq!(targets(header).unwrap(), [Target::BuiltIn(expected)], "{header}");
        }
        assert_eq!(
            targets("email,firstName,First-Name of pet,Surname,tz,language,Loyalty Tier,,id").unwrap(),
            [
                Target::BuiltIn(B::Email),
                Target::BuiltIn(B::FirstName),
                Target::Attribute("first_name_of_pet".into()),
                Target::BuiltIn(B::LastName),
                Target::BuiltIn(B::Timezone),
                Target::BuiltIn(B::Locale),
                Target::Attribute("loyalty_tier".into()),
                Target::Nowhere,
                Target::Attribute("id".into()),
            ]
        );
    }

    #[test]
    fn consent_has_columns_where_the_contacts_are_to_be_on_a_list() {
        let targets = |on_list| -> Vec<Target> {
            let columns = columns("email,Status,status at,source,Tags".split(','), on_list).unwrap();
            columns.into_iter().skip(1).map(|column| column.target).collect()
        };
        let said = |column| Target::Said(column);
        assert_eq!(
            targets(true),
            [
                said(SaidColumn::Standing),
                said(SaidColumn::StandingAt),
                said(SaidColumn::Source),
                said(SaidColumn::Tags),
            ]
        );
        let attribute = |name: &str| Target::Attribute(name.to_owned());
        assert_eq!(
            targets(false),
            [attribute("status"), attribute("status_at"), attribute("source"), said(SaidColumn::Tags)]
        );
    }

    #[test]
    fn a_header_that_cannot_be_understood_is_refused() {
        for (header, code) in [
            ("email,E-Mail", "duplicate_column"),
            ("email,City,city ", "duplicate_column"),
            ("First Name,city", "no_key_column"),
            (",", "no_key_column"),
            ("email,***", "column_name"),
            (&format!("email{}", ",a".repeat(MAX_COLUMNS)), "too_many_columns"),
        ] {
            assert_eq!(targets(header).unwrap_err().code(), code, "{header:.40}");
        }
    }
}
