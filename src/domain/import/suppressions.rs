//! Addresses that are not to be written to, from a CSV file: as other tools export them.
//!
//! One column names the address (`address`, `email`, `phone` …), others may name `channel`, `reason`, the `list` that is refused and its
//! `list_name`, `since` when, and `until` when a soft bounce holds: the columns of an export. All else is passed over. An address such
//! as `@example.com` is a whole domain. Without a reason, the person has unsubscribed: another tool's unsubscribes do not keep password
//! resets back.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::ImportError;
use super::opening::{Opening, read_cells};
use super::records::{Record, Records};
use super::spellings::{Word, word};
use crate::domain::channel::ChannelKind;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Reason, forms, guessed};
use crate::domain::people::contact::{FieldError, normalised_name};
use crate::domain::people::email;
use crate::domain::people::spelling::trim;

/// What is not written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An address on its channels, in each form that contacts hold it in.
    Address(Vec<(ChannelKind, String)>),
    /// Every email address of a domain.
    Domain(String),
}

impl Target {
    /// Reads an address as people write it, on a channel where one is given.
    ///
    /// # Errors
    /// It is no address, or none of this channel.
    pub fn parse(raw: &str, channel: Option<ChannelKind>) -> Result<Self, FieldError> {
        let raw = trim(raw);
        // An external id, which channel `http` may go by, can look like anything.
        let is_of_emails = channel.is_none_or(|channel| channel == ChannelKind::Email);
        if is_of_emails && let Some(domain) = raw.strip_prefix("*@").or_else(|| raw.strip_prefix('@')) {
            return Self::parse_domain(domain);
        }
        match channel {
            Some(channel) => forms(channel, raw).map(|forms| forms.into_iter().map(|form| (channel, form)).collect()),
            None => guessed(raw).map(|(all, address)| all.iter().map(|channel| (*channel, address.clone())).collect()),
        }
        .map(Self::Address)
    }

    /// Reads a domain of email addresses.
    ///
    /// # Errors
    /// It is none.
    pub fn parse_domain(raw: &str) -> Result<Self, FieldError> {
        let refuse = |error: email::EmailError| FieldError::new("domain", "domain_invalid", error.to_string());
        let address = email::parse(&format!("x@{}", trim(raw))).map_err(refuse)?;
        let domain = address.split_once('@').map(|(_, domain)| domain.to_owned()).unwrap_or_default();
        Ok(Self::Domain(domain))
    }
}

/// A list as a row names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldList {
    /// Its id or its slug, as it is written.
    pub key: String,
    /// What it is called, where the row says so.
    pub name: Option<String>,
}

/// What a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is not written to.
    pub target: Target,
    /// Why.
    pub reason: Reason,
    /// The list that is refused. None: everything.
    pub list: Option<ToldList>,
    /// Since when; of a soft bounce: until when. None: from now on.
    pub at: Option<UtcInstant>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionLine {
    /// The line on which it begins; the header is line 1.
    pub line: u64,
    /// What it says, or what is wrong with it.
    pub result: Result<Told, FieldError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Address(Option<ChannelKind>),
    Channel,
    Reason,
    List,
    ListName,
    /// Where exports had ids, which are others in another database.
    ListId,
    Since,
    Until,
    Other,
}

/// Reads suppressions from a CSV file. Holds one row at a time.
#[derive(Debug)]
pub struct SuppressionReader<R> {
    records: Records<BufReader<R>>,
    columns: Vec<Column>,
    record: Record,
}

impl<R: Read + Seek> SuppressionReader<R> {
    /// Reads the header, then stands before the first row.
    ///
    /// # Errors
    /// [`ImportError`]: nothing of the file can be used.
    pub fn open(reader: R) -> Result<Self, ImportError> {
        let mut record = Record::default();
        let Opening { mut reader, delimiter, start, line } = Opening::find(reader, &mut record)?;
        reader.seek(SeekFrom::Start(start)).map_err(ImportError::Io)?;
        let mut records = Records::new(reader, delimiter, super::MAX_COLUMNS, start, line);
        records.read(&mut record)?;
        let names: Vec<String> = read_cells(&record, start)?.into_iter().map(ToOwned::to_owned).collect();
        let columns: Vec<Column> = names.iter().map(|name| column(name)).collect();
        if !columns.iter().any(|column| matches!(column, Column::Address(_))) {
            return Err(ImportError::NoAddressColumn { found: names });
        }
        Ok(Self { records, columns, record })
    }
}

impl<R: Read> SuppressionReader<R> {
    /// The next row that is not blank; `None` at the end of the file.
    ///
    /// # Errors
    /// [`ImportError::UnclosedQuote`] and [`ImportError::Io`], after which there is nothing more to read.
    pub fn next_line(&mut self) -> Result<Option<SuppressionLine>, ImportError> {
        loop {
            if !self.records.read(&mut self.record)? {
                return Ok(None);
            }
            if self.record.cells().any(|cell| !cell.trim_ascii().is_empty()) {
                return Ok(Some(SuppressionLine { line: self.record.line, result: self.read_line() }));
            }
        }
    }

    fn read_line(&self) -> Result<Told, FieldError> {
        let (mut address, mut named, mut channel, mut reason) = (None, None, None, Reason::Unsubscribed);
        let (mut list, mut list_name, mut list_id, mut since, mut until) = (None, None, None, None, None);
        for (column, cell) in self.columns.iter().zip(self.record.cells()) {
            let text = std::str::from_utf8(cell)
                .map_err(|error| FieldError::new("row", "encoding", format!("has bytes that are no text: {error}")))?;
            let text = trim(text);
            match column {
                _ if text.is_empty() => {}
                Column::Address(kind) if address.is_none() => {
                    (address, named) = (Some(unprotected(text).to_owned()), *kind);
                }
                Column::Address(_) | Column::Other => {}
                Column::Channel => channel = Some(read_channel(text)?),
                Column::Reason => reason = read_reason(text)?,
                Column::List => list = Some(text),
                Column::ListName => list_name = Some(trim(unprotected(text))),
                Column::ListId => list_id = Some(text),
                // Nobody knows when it was, so that it counts from now on: nothing that was agreed to before passes it.
                Column::Since => since = read_time(text).filter(|at| *at > UtcInstant(0)),
                Column::Until => until = Some(text),
            }
        }
        let address = address.ok_or_else(|| FieldError::new("address", "required", "must not be empty"))?;
        let target = Target::parse(&address, channel.or(named))?;
        let list = match reason {
            Reason::Unsubscribed => refused_list(list, list_name, list_id)?,
            Reason::Stopped | Reason::Complained | Reason::Bounced | Reason::SoftBounced | Reason::Blocked => None,
        };
        if list.is_some() && matches!(target, Target::Domain(_)) {
            return Err(FieldError::new("list", "not_allowed", "a domain is blocked as a whole, and not for one list"));
        }
        let at = match reason {
            Reason::SoftBounced => Some(read_end(until)?),
            Reason::Unsubscribed | Reason::Stopped | Reason::Complained | Reason::Bounced | Reason::Blocked => since,
        };
        Ok(Told { target, reason, list, at })
    }
}

/// A cell without what an export puts before it, so that a spreadsheet takes it for text.
fn unprotected(text: &str) -> &str {
    text.strip_prefix('\'').unwrap_or(text)
}

/// The list that a row refuses. A row that means one and does not name it well must not become a refusal of everything.
fn refused_list(key: Option<&str>, name: Option<&str>, id: Option<&str>) -> Result<Option<ToldList>, FieldError> {
    match (key, name, id) {
        (Some(key), name, _) => Ok(Some(ToldList { key: key.to_owned(), name: name.map(ToOwned::to_owned) })),
        (None, _, Some(_)) => {
            let reason = "the column `list_id` has ids, which name other lists in another database: give slugs in a column \
                          `list`, or rename this one to `list` where the ids are of this database";
            Err(FieldError::new("list_id", "not_allowed", reason))
        }
        (None, Some(_), None) => {
            Err(FieldError::new("list", "required", "`list_name` names a list: `list` must have its slug or its id"))
        }
        (None, None, None) => Ok(None),
    }
}

/// Until when a soft bounce holds.
fn read_end(until: Option<&str>) -> Result<UtcInstant, FieldError> {
    let text = until.ok_or_else(|| FieldError::new("until", "required", "a soft bounce holds until a time"))?;
    let reason = "is no time such as 2026-03-01T09:00:00Z, 2026-03-01 09:00:00 (of UTC) or 2026-03-01";
    read_time(text).ok_or_else(|| FieldError::new("until", "time_invalid", reason))
}

/// A time as tools write it: RFC 3339; without an offset, of UTC; a day alone, which ends before anything counts as later.
pub(super) fn read_time(text: &str) -> Option<UtcInstant> {
    if let Ok(at) = UtcInstant::parse(text) {
        return Some(at);
    }
    let time: jiff::civil::DateTime = match text.parse::<jiff::civil::Date>() {
        Ok(day) if !text.contains(':') => day.at(23, 59, 59, 999_000_000),
        Ok(_) | Err(_) => text.parse().ok()?,
    };
    let at = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(UtcInstant(at.timestamp().as_millisecond()))
}

/// Why a list is not named with another reason.
pub const ONLY_REFUSED: &str =
    "a list can only be refused, with reason `unsubscribed`; every other reason is about the address";

fn column(name: &str) -> Column {
    match normalised_name(trim(name)).as_str() {
        "address" => Column::Address(None),
        "email" | "e_mail" | "mail" | "email_address" | "e_mail_address" | "emailaddress" => {
            Column::Address(Some(ChannelKind::Email))
        }
        // For text messages and WhatsApp alike.
        "phone" | "phone_number" | "phonenumber" | "telephone" | "mobile" => Column::Address(None),
        "channel" => Column::Channel,
        "reason" | "type" | "suppression_reason" => Column::Reason,
        "list" => Column::List,
        "list_name" => Column::ListName,
        "list_id" => Column::ListId,
        "since" => Column::Since,
        "until" => Column::Until,
        _ => match word(name).map(|(word, _)| word) {
            Some(Word::Email) => Column::Address(Some(ChannelKind::Email)),
            Some(Word::Phone) => Column::Address(None),
            Some(Word::FirstName | Word::LastName | Word::FullName | Word::FirstOrFull | Word::LastOrFull) | None => {
                Column::Other
            }
        },
    }
}

fn read_channel(text: &str) -> Result<ChannelKind, FieldError> {
    ChannelKind::from_text(&text.to_ascii_lowercase()).ok_or_else(|| {
        let all = ChannelKind::ALL.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(", ");
        FieldError::new("channel", "not_allowed", format!("is none of: {all}"))
    })
}

fn read_reason(text: &str) -> Result<Reason, FieldError> {
    Ok(match normalised_name(text).as_str() {
        "unsubscribed" | "unsubscribe" | "optout" | "opt_out" | "opted_out" => Reason::Unsubscribed,
        "stopped" | "stop" => Reason::Stopped,
        "complained" | "complaint" | "spam" | "spam_complaint" | "abuse" => Reason::Complained,
        "bounced" | "bounce" | "hard_bounce" | "hardbounce" | "invalid" => Reason::Bounced,
        "blocked" | "block" | "manual" | "manually_blocked" => Reason::Blocked,
        "soft_bounced" => Reason::SoftBounced,
        _ => {
            let reason = "is none of: unsubscribed, stopped, complained, bounced, soft_bounced, blocked";
            return Err(FieldError::new("reason", "not_allowed", reason));
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn lines(csv: &str) -> Vec<SuppressionLine> {
        let mut reader = SuppressionReader::open(Cursor::new(csv.as_bytes().to_vec())).unwrap();
        std::iter::from_fn(|| reader.next_line().unwrap()).collect()
    }

    fn mail(address: &str) -> Target {
        Target::Address(vec![(ChannelKind::Email, address.to_owned())])
    }

    #[test]
    fn another_tools_file_is_read_and_its_unsubscribes_stay_unsubscribes() {
        let read = lines("Email Address;Type;Country\nAnn@Example.com;;DE\nbob@example.com;spam;\n\n;;\nx;bounce;\n");
        let told = |told: Told| (told.target, told.reason);
        let results: Vec<_> = read.iter().map(|line| (line.line, line.result.clone().map(told))).collect();
        assert_eq!(results[0], (2, Ok((mail("ann@example.com"), Reason::Unsubscribed))));
        assert_eq!(results[1], (3, Ok((mail("bob@example.com"), Reason::Complained))));
        let (line, Err(error)) = &results[2] else { panic!("{results:?}") };
        assert_eq!((*line, error.field.as_str(), &*error.code), (6, "address", "email_invalid"));
    }

    #[test]
    fn phones_channels_and_whole_domains_are_understood() {
        let read =
            lines("address,channel,reason\n'+44 20 7946 0123,,\n+442079460123,sms,blocked\n@Example.ORG,,\n?,fax,\n");
        let target = |index: usize| read[index].result.clone().map(|told| told.target);
        let phone = |channels: &[ChannelKind]| {
            Target::Address(channels.iter().map(|channel| (*channel, "+442079460123".to_owned())).collect())
        };
        assert_eq!(target(0), Ok(phone(&[ChannelKind::Sms, ChannelKind::Whatsapp])));
        assert_eq!(target(1), Ok(phone(&[ChannelKind::Sms])));
        assert_eq!(target(2), Ok(Target::Domain("example.org".to_owned())));
        assert_eq!(target(3).unwrap_err().code, "not_allowed");
    }

    fn told_wrong(line: &SuppressionLine) -> (String, String) {
        let error = line.result.clone().unwrap_err();
        (error.field, error.code.into_owned())
    }

    #[test]
    fn what_an_export_says_of_lists_and_times_is_read() {
        let read = lines(
            "address,channel,reason,list,list_name,since,until\n\
             a@example.com,email,unsubscribed,news,'+News,2026-01-02T03:04:05Z,\n\
             a@example.com,email,soft_bounced,,,,2026-01-02T03:04:05Z\n\
             a@example.com,email,soft_bounced,,,,\n\
             a@example.com,email,soft_bounced,,,,soon\n\
             a@example.com,email,unsubscribed,,News,,\n\
             @example.com,email,unsubscribed,news,,,\n",
        );
        let at = UtcInstant::parse("2026-01-02T03:04:05Z").ok();
        let told = |index: usize| read[index].result.clone().map(|told| (told.list, told.at));
        let news = ToldList { key: "news".to_owned(), name: Some("+News".to_owned()) };
        assert_eq!(told(0), Ok((Some(news), at)));
        assert_eq!(told(1), Ok((None, at)));
        for (index, field, code) in [
            (2, "until", "required"),
            (3, "until", "time_invalid"),
            (4, "list", "required"),
            (5, "list", "not_allowed"),
        ] {
            assert_eq!(told_wrong(&read[index]), (field.to_owned(), code.to_owned()), "{index}");
        }
    }

    #[test]
    fn what_other_tools_write_into_columns_of_these_names_loses_no_row() {
        let read = lines(
            "address,reason,list,since,until\n\
             a@example.com,bounced,Weekly,2024-05-01 10:00:00,never\n\
             a@example.com,spam,,2024-05-01,2025-05-01\n\
             a@example.com,,,2024-05-01T10:00:00.5,\n\
             a@example.com,,,5/1/24 10:00 AM,\n\
             @example.com,blocked,Weekly,,\n",
        );
        let at = |index: usize| read[index].result.clone().unwrap().at.map(|at| at.to_string());
        assert_eq!(at(0).as_deref(), Some("2024-05-01T10:00:00.000Z"));
        assert_eq!(at(1).as_deref(), Some("2024-05-01T23:59:59.999Z"), "nobody knows when on that day");
        assert_eq!(at(2).as_deref(), Some("2024-05-01T10:00:00.500Z"));
        assert_eq!(at(3), None, "from now on");
        assert_eq!(at(4), None);
        assert!(read.iter().all(|line| line.result.as_ref().unwrap().list.is_none()));
    }

    #[test]
    fn ids_of_lists_from_an_older_export_do_not_become_refusals_of_everything() {
        let read = lines(
            "address,channel,reason,list_id,since\n\
             a@example.com,email,unsubscribed,17,\n\
             a@example.com,email,unsubscribed,,\n\
             a@example.com,email,bounced,17,\n",
        );
        assert_eq!(told_wrong(&read[0]), ("list_id".to_owned(), "not_allowed".to_owned()));
        assert!(read[1].result.is_ok() && read[2].result.is_ok());
    }

    #[test]
    fn an_external_id_that_looks_like_a_domain_is_one_on_channel_http() {
        let read = lines("address,channel\n@ann,http\n'*@x.example,http\n''c-17,http\n'@x.example,\n@x.example,sms\n");
        let target = |index: usize| read[index].result.clone().map(|told| told.target);
        let id = |id: &str| Ok(Target::Address(vec![(ChannelKind::Http, id.to_owned())]));
        assert_eq!(target(0), id("@ann"));
        assert_eq!(target(1), id("*@x.example"));
        assert_eq!(target(2), id("'c-17"));
        assert_eq!(target(3), Ok(Target::Domain("x.example".to_owned())));
        assert_eq!(told_wrong(&read[4]), ("address".to_owned(), "phone_invalid".to_owned()));
    }

    #[test]
    fn a_time_before_1970_is_what_a_tool_writes_that_knows_none() {
        let read = lines("email,since\na@example.com,0001-01-01T00:00:00Z\nb@example.com,1970-01-01T00:00:00Z\n");
        for line in read {
            assert_eq!(line.result.map(|told| told.at), Ok(None), "line {}", line.line);
        }
    }

    #[test]
    fn an_external_id_that_looks_like_an_address_is_meant_as_it_is_written_too() {
        let read = lines("address,channel\n0044 20 7946 0123,http\nann@example.com,http\nc-17,http\n");
        let forms = |index: usize| match &read[index].result.as_ref().unwrap().target {
            Target::Address(all) => all.iter().map(|(_, form)| form.clone()).collect::<Vec<_>>(),
            Target::Domain(domain) => panic!("{domain}"),
        };
        assert_eq!(forms(0), ["+442079460123", "0044 20 7946 0123"]);
        assert_eq!(forms(1), ["ann@example.com"]);
        assert_eq!(forms(2), ["c-17"]);
    }

    #[test]
    fn a_file_without_addresses_is_refused() {
        let error = SuppressionReader::open(Cursor::new(b"name,reason\nAnn,spam\n".to_vec())).unwrap_err();
        assert_eq!(error.code(), "no_address_column");
    }
}
