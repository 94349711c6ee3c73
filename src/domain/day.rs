//! Days of the UTC calendar, as the database stores them.

use serde::{Serialize, Serializer};

use super::instant::UtcInstant;

const DAY_MS: i64 = 86_400_000;

/// A day in UTC: the number of days since 1970-01-01. Shown as `2026-03-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, diesel_derive_newtype::DieselNewType)]
pub struct UtcDay(pub i64);

impl UtcDay {
    /// The day that an instant lies on.
    #[must_use]
    pub const fn of(instant: UtcInstant) -> Self {
        Self(instant.0.div_euclid(DAY_MS))
    }

    /// Its midnight.
    #[must_use]
    pub const fn begins_at(self) -> UtcInstant {
        UtcInstant(self.0.saturating_mul(DAY_MS))
    }

    /// The day so many days earlier, saturating.
    #[must_use]
    pub const fn minus(self, days: i64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Parses `2026-03-01`.
    ///
    /// # Errors
    /// The text is not a day of the calendar in this form.
    pub fn parse(text: &str) -> Result<Self, DayError> {
        let midnight = UtcInstant::parse(&format!("{text}T00:00:00Z")).ok();
        // Other forms of ISO 8601 are read, too.
        midnight.map(Self::of).filter(|day| day.to_string() == text).ok_or(DayError)
    }
}

/// The text is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a day such as 2026-03-01")]
pub struct DayError;

impl std::fmt::Display for UtcDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let midnight = self.begins_at().to_string();
        f.write_str(midnight.split('T').next().unwrap_or_default())
    }
}

impl Serialize for UtcDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl utoipa::PartialSchema for UtcDay {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Date)))
            .into()
    }
}

impl utoipa::ToSchema for UtcDay {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let at = |text| UtcDay::of(UtcInstant::parse(text).unwrap()).to_string();
        assert_eq!(at("2026-03-01T00:00:00Z"), "2026-03-01");
        assert_eq!(at("2026-03-01T23:59:59.999Z"), "2026-03-01");
        assert_eq!(at("2026-03-01T00:30:00+01:00"), "2026-02-28");
        assert_eq!(at("1969-12-31T23:59:59Z"), "1969-12-31");
        assert_eq!(UtcDay::parse("2026-03-01").unwrap().minus(1).to_string(), "2026-02-28");
    }

    #[test]
    fn a_text_that_is_no_day_is_refused() {
        for text in ["", "2026-02-30", "20260301", "2026-3-1", "2026-03-01T00:00:00Z", "yesterday", " 2026-03-01"] {
            assert_eq!(UtcDay::parse(text), Err(DayError), "{text}");
        }
    }
}
