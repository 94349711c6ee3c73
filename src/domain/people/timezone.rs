//! Time zones, by their IANA names.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::spelling::trim;

/// The database that is compiled in: the same answer on every machine, and nothing is read from its disk.
static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The text is not the name of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an IANA time zone, such as Europe/Berlin")]
pub struct TimezoneError;

impl TimezoneError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "timezone_invalid"
    }
}

/// Reads an IANA name in any capitals and returns it as the database spells it. Offsets (`+02:00`) are refused: they do
/// not say when summer time begins.
///
/// # Errors
/// [`TimezoneError`].
pub fn parse(raw: &str) -> Result<String, TimezoneError> {
    find(raw)?.iana_name().map(str::to_owned).ok_or(TimezoneError)
}

/// The time zone of this IANA name, in any capitals.
///
/// # Errors
/// [`TimezoneError`].
pub fn find(raw: &str) -> Result<TimeZone, TimezoneError> {
    let zone = BUNDLED.get(trim(raw)).map_err(|_unknown| TimezoneError)?;
    if zone.iana_name().is_some() { Ok(zone) } else { Err(TimezoneError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iana_name_is_spelled_as_in_the_database() {
        for (raw, expected) in
            [("Europe/Berlin", "Europe/Berlin"), (" america/new_york ", "America/New_York"), ("UTC", "UTC")]
        {
            assert_eq!(parse(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn offsets_and_invented_places_are_refused() {
        for raw in ["", "+02:00", "Mars/Olympus", "../etc/passwd", "Europe/Berlin\0", "CEST+2"] {
            assert_eq!(parse(raw), Err(TimezoneError), "{raw}");
        }
    }
}
