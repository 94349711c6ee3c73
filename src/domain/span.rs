//! Lengths of time as people write them.

use std::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::Number;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};

/// A length of time. Read from a number of seconds (`90`, `0.5`) or from a number with its unit (`500ms`, `30s`, `5m`,
/// `6h`, `1d`); written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// What a length of time may look like.
const FORM: &str = "a length of time: seconds, or such as \"30s\", \"5m\", \"6h\"";

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = match unit.trim() {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        Self::from_seconds(number.parse::<f64>().ok()? * unit)
    }

    /// To the millisecond, which is what the database keeps.
    fn from_seconds(seconds: f64) -> Option<Self> {
        Duration::try_from_secs_f64((seconds * 1_000.0).round() / 1_000.0).ok().map(Self)
    }

    /// In milliseconds.
    #[must_use]
    pub fn as_ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// A span of so many milliseconds; none is below zero.
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }
}

/// In words: `6 h`, `1 h 30 min`, `90 s` as `1 min 30 s`, `0.5 s`.
impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        if seconds < 60 && self.0.subsec_millis() > 0 {
            return write!(f, "{} s", self.0.as_secs_f64());
        }
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let parts = [(hours, "h"), (minutes, "min"), (seconds, "s")];
        let words: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
        if words.is_empty() { f.write_str("0 s") } else { f.write_str(&words.join(" ")) }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const UNITS: [(u128, &str); 4] = [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let ms = self.0.as_millis();
        let unit = UNITS.iter().find(|(length, _)| ms.is_multiple_of(*length) && ms >= *length);
        let (length, name) = unit.unwrap_or(&(1_000, "s"));
        serializer.collect_str(&format_args!("{}{name}", ms / length))
    }
}

// Not derived: it is read from a number or from a text.
impl utoipa::PartialSchema for Span {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let seconds =
            ObjectBuilder::new().schema_type(Type::Number).minimum(Some(Number::Int(0))).description(Some("Seconds."));
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[0-9]+(\.[0-9]+)? ?(ms|s|m|min|h|d)?$"))
            .description(Some("A number with its unit: `500ms`, `30s`, `5m`, `6h`, `1d`."));
        OneOfBuilder::new().item(seconds).item(text).description(Some("A length of time.")).into()
    }
}

impl utoipa::ToSchema for Span {}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Span;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(FORM)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Span, E> {
        Ok(Span::seconds(seconds))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Span, E> {
        let whole = u64::try_from(seconds).map_err(|_negative| E::invalid_value(Unexpected::Signed(seconds), &self))?;
        self.visit_u64(whole)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Span, E> {
        Span::from_seconds(seconds).ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        Span::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_from_seconds_or_with_its_unit() {
        let read = |text: &str| serde_json::from_str::<Span>(text).map(|span| span.0.as_millis());
        for (text, ms) in [
            ("90", 90_000),
            ("0.25", 250),
            ("0", 0),
            (r#""250ms""#, 250),
            (r#""30""#, 30_000),
            (r#""30s""#, 30_000),
            (r#""5m""#, 300_000),
            (r#""5 min""#, 300_000),
            (r#""6h""#, 21_600_000),
            (r#""1.5h""#, 5_400_000),
            (r#""1d""#, 86_400_000),
        ] {
            assert_eq!(read(text).unwrap(), ms, "{text}");
        }
        for text in ["-1", "-0.5", r#""""#, r#""5 weeks""#, r#""h""#, r#""1.2.3s""#, "true", "1e300"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("a length of time: seconds, or such as"), "{text}: {error}");
        }
    }

    #[test]
    fn a_span_is_written_with_its_unit_and_told_in_words() {
        let told = [(21_600_000, "6 h"), (5_400_000, "1 h 30 min"), (90_000, "1 min 30 s"), (500, "0.5 s"), (0, "0 s")];
        for (ms, words) in told {
            assert_eq!(Span::from_ms(ms).to_string(), words);
        }
        let all = [300_000, 21_600_000, 90_000, 250, 0].map(Span::from_ms);
        assert_eq!(serde_json::to_string(&all).unwrap(), r#"["5m","6h","90s","250ms","0s"]"#);
    }
}
