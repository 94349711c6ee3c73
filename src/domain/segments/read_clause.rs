//! Reads one clause from JSON.

use serde_json::Value;

use super::comparison::{Case, Comparison, Number, Scalar, Test};
use super::event_clause::{Condition, Engagement, EngagementKind, EventClause, EventKind, MAX_COUNT, Quantity};
use super::field::{AddressKind, ContactField};
use super::moment::Moment;
use super::place::{Object, Place};
use super::share::Share;
use super::tree::Clause;
use crate::domain::events::check_name;
use crate::domain::ids::{CampaignId, LinkNumber, ListId, SegmentId};
use crate::domain::people::contact::{BuiltIn, FieldError, attribute_name};
use crate::domain::people::standing::Standing;
use crate::domain::people::tag;
use crate::domain::span::Span;

/// The most values that `in` takes.
const MAX_VALUES: usize = 100;

/// The longest text to compare with, in characters.
const MAX_TEXT: usize = 1_000;

/// The most names in a path.
const MAX_PATH: usize = 10;

/// The most conditions on the properties of an event.
const MAX_CONDITIONS: usize = 10;

/// The longest window, in milliseconds: a hundred years.
const MAX_WINDOW_MS: i64 = 36_525 * 86_400_000;

/// Reads a clause of this kind. `None`: there is no such kind.
pub(super) fn clause(kind: &str, given: &Value, place: &Place) -> Result<Option<Clause>, FieldError> {
    Ok(Some(match kind {
        "attribute" => attribute(given, place)?,
        "field" => field(given, place)?,
        "event" => Clause::Event(event(given, place)?),
        "message" => Clause::Event(message(given, place)?),
        "list" => list(given, place)?,
        "tag" => {
            let written = given.as_str().ok_or_else(|| place.wrong("must be the name of a tag"))?;
            Clause::Tag(tag::parse(written).map_err(|error| place.wrong(error.reason))?)
        }
        "segment" => Clause::Segment(SegmentId(id(given, place, "segment")?)),
        "reachable" => {
            let kind = given.as_str().and_then(AddressKind::from_text);
            Clause::Reachable(kind.ok_or_else(|| place.wrong("must be email or phone"))?)
        }
        "random" => Clause::Share(share(given, place)?),
        _ => return Ok(None),
    }))
}

const COMPARISON: [&str; 4] = ["name", "op", "value", "ignore_case"];

fn attribute(given: &Value, place: &Place) -> Result<Clause, FieldError> {
    let object = Object::read(given, place, &COMPARISON)?;
    let mut path = path(&object, "name")?;
    if let Some(first) = path.first_mut() {
        *first = attribute_name(first).map_err(|error| object.at("name").wrong(error.reason))?;
    }
    Ok(Clause::Attribute { path, comparison: comparison(&object, Subject::Value)? })
}

fn field(given: &Value, place: &Place) -> Result<Clause, FieldError> {
    let object = Object::read(given, place, &COMPARISON)?;
    let field = ContactField::from_name(object.text("name")?).ok_or_else(|| {
        let names: Vec<&str> = BuiltIn::ALL.iter().map(|field| field.as_str()).collect();
        object.at("name").wrong(format!("must be one of {}, created_at", names.join(", ")))
    })?;
    let subject = match field {
        ContactField::BuiltIn(_) => Subject::Text,
        ContactField::CreatedAt => Subject::Time,
    };
    Ok(Clause::Field { field, comparison: comparison(&object, subject)? })
}

/// A path with dots between its names.
fn path(object: &Object<'_>, key: &str) -> Result<Vec<String>, FieldError> {
    let path: Vec<String> = object.text(key)?.split('.').map(str::to_owned).collect();
    let is_bad = |name: &String| name.is_empty() || name.len() > 255 || name.chars().any(char::is_control);
    if path.len() > MAX_PATH || path.iter().any(is_bad) {
        let reason = format!("must be 1 to {MAX_PATH} names with dots between them, none of them empty");
        return Err(object.at(key).wrong(reason));
    }
    Ok(path)
}

/// What is compared, which says what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Any JSON value.
    Value,
    /// A text.
    Text,
    /// A time.
    Time,
    /// A property of an event: any JSON value, but nothing that depends on the time or on an alphabet.
    Property,
}

impl Subject {
    const fn ops(self) -> &'static [&'static str] {
        match self {
            Self::Value => &[
                "eq",
                "neq",
                "gt",
                "gte",
                "lt",
                "lte",
                "contains",
                "starts_with",
                "ends_with",
                "in",
                "exists",
                "not_exists",
                "before",
                "after",
                "within_last",
                "within_next",
            ],
            Self::Text => &["eq", "neq", "contains", "starts_with", "ends_with", "in", "exists", "not_exists"],
            Self::Time => &["before", "after", "within_last", "within_next"],
            Self::Property => &[
                "eq",
                "neq",
                "gt",
                "gte",
                "lt",
                "lte",
                "contains",
                "starts_with",
                "ends_with",
                "in",
                "exists",
                "not_exists",
            ],
        }
    }
}

fn comparison(object: &Object<'_>, subject: Subject) -> Result<Comparison, FieldError> {
    let allowed = || format!("must be one of {}", subject.ops().join(", "));
    let op = object.text("op").map_err(|_not_text| object.at("op").wrong(allowed()))?;
    if !subject.ops().contains(&op) {
        return Err(object.at("op").wrong(allowed()));
    }
    let case = if object.flag("ignore_case")? { Case::Ignored } else { Case::Exact };
    let takes_case = matches!(op, "eq" | "neq" | "contains" | "starts_with" | "ends_with" | "in");
    if case == Case::Ignored && !takes_case {
        return Err(object.at("ignore_case").wrong("is for eq, neq, contains, starts_with, ends_with and in"));
    }
    let value = Operand { object, case };
    let test = match op {
        "exists" => value.none(Test::Exists)?,
        "not_exists" => value.none(Test::NotExists)?,
        "eq" => Test::Equals(value.scalar()?),
        "neq" => Test::Differs(value.scalar()?),
        "in" => Test::In(value.several()?),
        "gt" => Test::Above(value.number()?),
        "gte" => Test::AtLeast(value.number()?),
        "lt" => Test::Below(value.number()?),
        "lte" => Test::AtMost(value.number()?),
        "contains" => Test::Contains(value.part()?),
        "starts_with" => Test::StartsWith(value.text()?),
        "ends_with" => Test::EndsWith(value.text()?),
        "before" => value.moment()?.map_or(Test::Past, Test::Before),
        "after" => value.moment()?.map_or(Test::Future, Test::After),
        "within_last" => Test::WithinLast(value.span()?),
        "within_next" => Test::WithinNext(value.span()?),
        _ => return Err(object.at("op").wrong(allowed())),
    };
    Ok(Comparison { test, case })
}

/// The value that is compared with.
struct Operand<'a> {
    object: &'a Object<'a>,
    case: Case,
}

impl Operand<'_> {
    fn given(&self) -> &Value {
        self.object.get("value").unwrap_or(&Value::Null)
    }

    fn wrong(&self, reason: impl Into<String>) -> FieldError {
        self.object.at("value").wrong(reason)
    }

    fn none(&self, test: Test) -> Result<Test, FieldError> {
        if self.object.get("value").is_some() {
            return Err(self.wrong("is not for exists and not_exists"));
        }
        Ok(test)
    }

    fn scalar(&self) -> Result<Scalar, FieldError> {
        self.scalar_of(self.given(), &self.object.at("value"))
    }

    fn scalar_of(&self, given: &Value, place: &Place) -> Result<Scalar, FieldError> {
        let scalar = Scalar::of(given).ok_or_else(|| place.wrong("must be a text, a number, true or false"))?;
        match (scalar, self.case) {
            (Scalar::Text(text), _) if text.chars().count() > MAX_TEXT => {
                Err(place.wrong(format!("is longer than {MAX_TEXT} characters")))
            }
            (Scalar::Text(text), _) if text.contains('\0') => Err(place.wrong("has a control character")),
            (Scalar::Text(text), Case::Ignored) => Ok(Scalar::Text(text.to_lowercase())),
            (Scalar::Number(_) | Scalar::Bool(_), Case::Ignored) => Err(place.wrong("must be a text with ignore_case")),
            (scalar, Case::Exact) => Ok(scalar),
        }
    }

    fn several(&self) -> Result<Vec<Scalar>, FieldError> {
        let items = self.given().as_array().filter(|items| (1..=MAX_VALUES).contains(&items.len()));
        let items = items.ok_or_else(|| self.wrong(format!("must be a list of 1 to {MAX_VALUES} values")))?;
        let read = |(number, item)| self.scalar_of(item, &self.object.at("value").inner(&format!("{number}")));
        items.iter().enumerate().map(read).collect()
    }

    fn number(&self) -> Result<Number, FieldError> {
        Number::of(self.given()).ok_or_else(|| self.wrong("must be a number"))
    }

    fn part(&self) -> Result<Scalar, FieldError> {
        match self.scalar()? {
            Scalar::Text(text) if text.is_empty() => Err(self.wrong("must not be empty")),
            scalar @ (Scalar::Text(_) | Scalar::Number(_) | Scalar::Bool(_)) => Ok(scalar),
        }
    }

    fn text(&self) -> Result<String, FieldError> {
        match self.part()? {
            Scalar::Text(text) => Ok(text),
            Scalar::Number(_) | Scalar::Bool(_) => Err(self.wrong("must be a text")),
        }
    }

    /// `None`: now.
    fn moment(&self) -> Result<Option<Moment>, FieldError> {
        match self.given().as_str() {
            Some("now") => Ok(None),
            text => text.and_then(Moment::parse).map(Some).ok_or_else(|| {
                self.wrong("must be a day such as 2026-03-01, a time such as 2026-03-01T09:00:00Z, or now")
            }),
        }
    }

    fn span(&self) -> Result<Span, FieldError> {
        span(self.given()).ok_or_else(|| self.wrong(WINDOW))
    }
}

const WINDOW: &str = "must be a length of time such as 30d, 12h or 5m, above zero and at most 36525d";

fn span(given: &Value) -> Option<Span> {
    let span: Option<Span> = given.as_str().and_then(|_| serde_json::from_value(given.clone()).ok());
    span.filter(|span| (1..=MAX_WINDOW_MS).contains(&span.as_ms()))
}

fn event(given: &Value, place: &Place) -> Result<EventClause, FieldError> {
    let object = Object::read(given, place, &["name", "where", "count", "exists", "not_exists", "within"])?;
    let name = object.text("name")?;
    check_name(name).map_err(|reason| object.at("name").wrong(reason))?;
    let conditions = match object.get("where") {
        None => Vec::new(),
        Some(given) => {
            let at = object.at("where");
            let items = given.as_array().filter(|items| (1..=MAX_CONDITIONS).contains(&items.len()));
            let items = items.ok_or_else(|| at.wrong(format!("must be a list of 1 to {MAX_CONDITIONS} conditions")))?;
            let read = |(number, item)| condition(item, &at.inner(&format!("{number}")));
            items.iter().enumerate().map(read).collect::<Result<_, _>>()?
        }
    };
    Ok(EventClause {
        kind: EventKind { name: name.to_owned(), conditions, to_list: None },
        quantity: quantity(&object)?,
        within: within(&object)?,
        engagement: None,
    })
}

fn condition(given: &Value, place: &Place) -> Result<Condition, FieldError> {
    let object = Object::read(given, place, &["property", "op", "value"])?;
    let path = path(&object, "property")?;
    if path.iter().any(|name| name.contains(['"', '\\'])) {
        // SQLite has no way to write such a name.
        return Err(object.at("property").wrong("must have no quotation mark and no backslash"));
    }
    Ok(Condition { path, comparison: comparison(&object, Subject::Property)? })
}

fn within(object: &Object<'_>) -> Result<Option<Span>, FieldError> {
    object.get("within").map(|given| span(given).ok_or_else(|| object.at("within").wrong(WINDOW))).transpose()
}

fn quantity(object: &Object<'_>) -> Result<Quantity, FieldError> {
    let (exists, not_exists) = (object.get("exists"), object.get("not_exists"));
    let count = object.get("count");
    match (count, exists, not_exists) {
        (None, None, None) => return Ok(Quantity::AtLeast(1)),
        (None, Some(Value::Bool(true)), None) => return Ok(Quantity::AtLeast(1)),
        (None, None, Some(Value::Bool(true))) => return Ok(Quantity::FewerThan(1)),
        (Some(_), None, None) => {}
        _ => return Err(object.place.wrong("takes one of exists: true, not_exists: true, or count")),
    }
    let place = object.at("count");
    let Some(count) = count else { return Ok(Quantity::AtLeast(1)) };
    let count = Object::read(count, &place, &["op", "n"])?;
    let op = count.text("op")?;
    let n = count.whole("n")?.and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= MAX_COUNT);
    let n = n.ok_or_else(|| count.at("n").wrong(format!("must be a whole number from 0 to {MAX_COUNT}")))?;
    let always = |what: &str| place.wrong(format!("{what}: use a number that decides something"));
    match (op, n) {
        ("gte", 0) => Err(always("at least 0 is always true")),
        ("lt", 0) => Err(always("fewer than 0 is never true")),
        ("gte", n) => Ok(Quantity::AtLeast(n)),
        ("gt", n) => Ok(Quantity::AtLeast(n + 1)),
        ("lt", n) => Ok(Quantity::FewerThan(n)),
        ("lte", n) => Ok(Quantity::FewerThan(n + 1)),
        ("eq", 0) => Ok(Quantity::FewerThan(1)),
        ("eq", n) => Ok(Quantity::Exactly(n)),
        _ => Err(count.at("op").wrong("must be one of gt, gte, lt, lte, eq")),
    }
}

fn message(given: &Value, place: &Place) -> Result<EventClause, FieldError> {
    let keys = ["event", "campaign", "list", "link", "machines", "count", "exists", "not_exists", "within"];
    let object = Object::read(given, place, &keys)?;
    let kind = object.text("event").ok().and_then(EngagementKind::from_text).ok_or_else(|| {
        let names: Vec<&str> = EngagementKind::ALL.iter().map(|kind| kind.as_str()).collect();
        object.at("event").wrong(format!("must be one of {}", names.join(", ")))
    })?;
    let campaign = object.whole("campaign")?.map(CampaignId);
    if campaign.is_some_and(|campaign| campaign.0 < 1) {
        return Err(object.at("campaign").wrong("must be the id of a campaign"));
    }
    let to_list = object.get("list").map(|given| id(given, &object.at("list"), "list").map(ListId)).transpose()?;
    if campaign.is_some() && to_list.is_some() {
        return Err(object.place.wrong("takes a campaign or a list, not both"));
    }
    let link = object.whole("link")?.map(LinkNumber);
    if link.is_some() && (kind != EngagementKind::Clicked || campaign.is_none()) {
        return Err(object.at("link").wrong("is for clicked of one campaign"));
    }
    let machines = object.flag("machines")?;
    let has_readers = matches!(kind, EngagementKind::Opened | EngagementKind::Clicked);
    if machines && !has_readers {
        return Err(object.at("machines").wrong("is for opened and clicked"));
    }
    let equals = |name: &str, value: Value| {
        let test = Scalar::of(&value).map(Test::Equals)?;
        Some(Condition { path: vec![name.to_owned()], comparison: Comparison { test, case: Case::Exact } })
    };
    let conditions = [
        campaign.and_then(|campaign| equals("campaign_id", campaign.0.into())),
        link.and_then(|link| equals("link", link.0.into())),
        (has_readers && !machines).then(|| equals("machine", false.into())).flatten(),
    ];
    Ok(EventClause {
        kind: EventKind {
            name: format!("message.{kind}"),
            conditions: conditions.into_iter().flatten().collect(),
            to_list,
        },
        quantity: quantity(&object)?,
        within: within(&object)?,
        engagement: Some(Engagement { kind, campaign, link, machines }),
    })
}

fn list(given: &Value, place: &Place) -> Result<Clause, FieldError> {
    let object = Object::read(given, place, &["id", "standing"])?;
    let list = ListId(id(object.get("id").unwrap_or(&Value::Null), &object.at("id"), "list")?);
    let standing = match object.get("standing") {
        None => Some(Standing::Subscribed),
        Some(given) => given.as_str().and_then(Standing::from_text).filter(|standing| *standing != Standing::Moved),
    };
    let standing =
        standing.ok_or_else(|| object.at("standing").wrong("must be one of subscribed, unconfirmed, unsubscribed"))?;
    Ok(Clause::List { list, standing })
}

/// An id. A slug that is still there is one that nothing has.
fn id(given: &Value, place: &Place, what: &str) -> Result<i64, FieldError> {
    if given.is_string() {
        return Err(place.wrong(format!("there is no {what} of this slug")));
    }
    let id = given.as_i64().filter(|id| *id > 0);
    id.ok_or_else(|| place.wrong(format!("must be the id or the slug of a {what}")))
}

fn share(given: &Value, place: &Place) -> Result<Share, FieldError> {
    let object = Object::read(given, place, &["salt", "percent", "from"])?;
    let salt = object.text("salt")?;
    if !(1..=64).contains(&salt.chars().count()) {
        return Err(object.at("salt").wrong("must be 1 to 64 characters"));
    }
    let from = hundredths(&object, "from")?.unwrap_or(0);
    let size = hundredths(&object, "percent")?.filter(|size| *size > 0);
    let size = size.ok_or_else(|| object.at("percent").wrong("must be a number from 0.01 to 100"))?;
    let until = from + size;
    if until > 10_000 {
        return Err(object.at("from").wrong("from and percent together must be at most 100"));
    }
    Ok(Share { salt: salt.to_owned(), from, until })
}

/// A percentage with at most two decimals, in hundredths.
fn hundredths(object: &Object<'_>, key: &str) -> Result<Option<u32>, FieldError> {
    let Some(given) = object.get(key) else { return Ok(None) };
    let refuse = || object.at(key).wrong("must be a number from 0 to 100 with at most two decimals");
    let percent = given.as_f64().filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(refuse)?;
    // Through its text, because a fraction in binary is never exact.
    let text = format!("{:.0}", percent * 100.0);
    let hundredths: u32 = text.parse().map_err(|_not_whole| refuse())?;
    if (f64::from(hundredths) / 100.0 - percent).abs() > 1e-9 { Err(refuse()) } else { Ok(Some(hundredths)) }
}
