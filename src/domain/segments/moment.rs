//! Points in time and days, as criteria compare them.

use crate::domain::day::UtcDay;
use crate::domain::instant::UtcInstant;

const DAY_MS: i64 = 86_400_000;

/// A stretch of time from `from` up to, but without, `until`: a millisecond, or a day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Its beginning.
    pub from: UtcInstant,
    /// The first instant after it.
    pub until: UtcInstant,
}

impl Moment {
    /// Reads RFC 3339 with an offset (`2026-03-01T09:00:00Z`), or a day in UTC (`2026-03-01`). `None`: the text is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(day) = UtcDay::parse(text) {
            let from = UtcInstant(day.0.saturating_mul(DAY_MS));
            return Some(Self { from, until: from.plus_ms(DAY_MS) });
        }
        UtcInstant::parse(text).ok().map(Self::at)
    }

    /// One instant.
    #[must_use]
    pub fn at(instant: UtcInstant) -> Self {
        Self { from: instant, until: instant.plus_ms(1) }
    }

    /// Whether it is over when the other one begins.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        self.until <= other.from
    }
}

/// A day as `2026-03-01`, an instant as RFC 3339.
impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.until == self.from.plus_ms(DAY_MS) { UtcDay::of(self.from).fmt(f) } else { self.from.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_before_what_begins_after_its_end() {
        let read = |text| Moment::parse(text).unwrap();
        let day = read("2026-03-01");
        assert!(read("2026-02-28T23:59:59.999Z").is_before(day));
        assert!(!read("2026-03-01T00:00:00Z").is_before(day) && !day.is_before(read("2026-03-01T23:59:59.999Z")));
        assert!(day.is_before(read("2026-03-02T00:00:00Z")) && day.is_before(read("2026-03-02")));
        assert!(!day.is_before(day));
        assert_eq!(day.to_string(), "2026-03-01");
        assert_eq!(read("2026-03-01T09:00:00+02:00").to_string(), "2026-03-01T07:00:00.000Z");
        assert_eq!(Moment::parse("1 March"), None);
    }
}
