//! Times of day somewhere, as people plan them: `2026-12-01T09:00` in `Europe/Zurich`.

use super::instant::UtcInstant;
use super::people::timezone::{self, TimezoneError};

/// The text is no moment in that place.
#[derive(Debug, thiserror::Error)]
pub enum LocalTimeError {
    /// The time zone is none.
    #[error("{0}")]
    Zone(#[from] TimezoneError),
    /// The text is no date and time, or it has an offset.
    #[error("is no date and time without an offset, such as 2026-12-01T09:00; with timezone, it is the time there")]
    Form,
    /// Clocks are put forward or back then.
    #[error(
        "is not there, or there twice, in {zone}: clocks are changed then. Give it with an offset, without timezone"
    )]
    Ambiguous {
        /// The time zone.
        zone: String,
    },
}

/// The moment at which clocks in `zone` (an IANA name) show `local`.
///
/// # Errors
/// [`LocalTimeError`].
pub fn moment(local: &str, zone: &str) -> Result<UtcInstant, LocalTimeError> {
    let zone = timezone::find(zone)?;
    // jiff would pass over an offset here.
    let is_local = local.parse::<jiff::Timestamp>().is_err() && local.contains(':');
    let time = local.parse::<jiff::civil::DateTime>().ok().filter(|_| is_local).ok_or(LocalTimeError::Form)?;
    let ambiguous = || LocalTimeError::Ambiguous { zone: zone.iana_name().unwrap_or_default().to_owned() };
    let moment = zone.to_ambiguous_timestamp(time).unambiguous().map_err(|_twice| ambiguous())?;
    Ok(UtcInstant(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_a_moment_where_clocks_show_it_once() {
        for (local, zone, utc) in [
            ("2026-12-01T09:00", "Europe/Zurich", "2026-12-01T08:00:00.000Z"),
            ("2026-07-01T09:00:30", "europe/zurich", "2026-07-01T07:00:30.000Z"),
            ("2026-12-01 09:00:00", "America/New_York", "2026-12-01T14:00:00.000Z"),
        ] {
            assert_eq!(moment(local, zone).unwrap().to_string(), utc, "{local} {zone}");
        }
        for (local, zone, said) in [
            ("2026-03-29T02:30", "Europe/Zurich", "is not there"),
            ("2026-10-25T02:30", "Europe/Zurich", "there twice"),
            ("2026-12-01T09:00Z", "Europe/Zurich", "no date and time without an offset"),
            ("2026-12-01T09:00+01:00", "Europe/Zurich", "no date and time without an offset"),
            ("2026-12-01", "Europe/Zurich", "no date and time"),
            ("tomorrow", "Europe/Zurich", "no date and time"),
            ("2026-12-01T09:00", "Mars/Olympus", "IANA"),
        ] {
            let refused = moment(local, zone).unwrap_err().to_string();
            assert!(refused.contains(said), "{local} {zone}: {refused}");
        }
    }
}
