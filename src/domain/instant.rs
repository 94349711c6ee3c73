//! Points in time, as the database stores them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Stored as BIGINT on both databases, so that comparing a
/// due time costs one integer comparison and no driver has an opinion on time zones; shown as RFC 3339 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, diesel_derive_newtype::DieselNewType)]
pub struct UtcInstant(pub i64);

impl UtcInstant {
    /// The instant `ms` milliseconds later, saturating.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The instant `duration` later, saturating.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        self.plus_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// Parses RFC 3339 with an offset (`2026-03-01T09:00:00Z`, `…+02:00`).
    ///
    /// # Errors
    /// The text is not RFC 3339, names an impossible date, or has no offset.
    pub fn parse(text: &str) -> Result<Self, InstantError> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|source| InstantError { source })?;
        Ok(Self(timestamp.as_millisecond()))
    }
}

/// The text is not a point in time.
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 time with an offset, such as 2026-03-01T09:00:00Z")]
pub struct InstantError {
    #[source]
    source: jiff::Error,
}

impl std::fmt::Display for UtcInstant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "out of range ({} ms)", self.0),
        }
    }
}

impl Serialize for UtcInstant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcInstant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for UtcInstant {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for UtcInstant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_normalised_to_utc() {
        let instant = UtcInstant::parse("2026-03-01T09:00:00+02:00").unwrap();
        assert_eq!(instant.to_string(), "2026-03-01T07:00:00.000Z");
    }

    #[test]
    fn a_time_without_offset_or_on_an_impossible_day_is_refused() {
        for text in ["2026-03-01T09:00:00", "2026-02-30T09:00:00Z", "31/12/26", "1735689600", ""] {
            assert!(UtcInstant::parse(text).is_err(), "{text} was accepted");
        }
    }
}
