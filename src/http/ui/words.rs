//! Numbers, times and sentences, as pages have them.

use askama::Template;

use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::instant::UtcInstant;
pub(super) use crate::domain::shown::grouped;
use crate::http::api::overview::Glance;

/// A time. A script shows it in the zone of the reader; without one it is in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "ui/time.html")]
pub(super) struct When {
    /// RFC 3339.
    pub(super) iso: String,
    /// For people, in UTC.
    pub(super) utc: String,
}

impl When {
    /// To the second.
    pub(super) fn of(at: UtcInstant) -> Self {
        Self { iso: at.to_string(), utc: in_utc(at, "%d %b %Y, %H:%M:%S UTC") }
    }

    /// To the millisecond, which a script does not touch: it is compared with others.
    pub(super) fn clock(at: UtcInstant) -> String {
        in_utc(at, "%H:%M:%S%.3f UTC")
    }
}

fn in_utc(at: UtcInstant, format: &str) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => at.to_zoned(jiff::tz::TimeZone::UTC).strftime(format).to_string(),
        Err(_) => at.to_string(),
    }
}

/// `1 person`, `2 people`.
pub(super) fn people(count: i64) -> String {
    counted(count, "person", "people")
}

/// A number and what there is so many of.
pub(super) fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A rate without digits that nobody reads.
pub(super) fn per_second(rate: f64) -> String {
    if rate >= 10.0 || rate.fract() == 0.0 { format!("{rate:.0}/s") } else { format!("{rate:.1}/s") }
}

/// How a campaign stands, in a sentence. `rate`: what was measured lately.
pub(super) fn sentence(campaign: &Glance, rate: Option<f64>) -> String {
    let counts = &campaign.stats.counts;
    let left = counts.pending + counts.sending;
    match campaign.status {
        CampaignStatus::Draft => "A draft: nothing is sent before it is launched.".to_owned(),
        CampaignStatus::Scheduled => "Launches by itself at its time.".to_owned(),
        CampaignStatus::Paused => match left {
            0 => "Paused, and nobody is left: it ends when it is resumed.".to_owned(),
            left => format!("Paused: nothing is handed over until it is resumed. {} are left.", people(left)),
        },
        CampaignStatus::Stopped => match left {
            0 => format!("Stopped: {} of {} got it.", grouped(counts.sent), people(counts.total())),
            left => format!("Stopped. {} are being marked as skipped.", people(left)),
        },
        CampaignStatus::Failed => match campaign.outcome {
            Some(CampaignOutcome::LaunchFailed) => "Its time came, and it could not be launched as it was.".to_owned(),
            _ => "Ended: nobody got it.".to_owned(),
        },
        CampaignStatus::Sent => match campaign.outcome {
            Some(CampaignOutcome::EmptyAudience) => "Ended at once: its audience names nobody.".to_owned(),
            Some(CampaignOutcome::NoneEligible) => "Ended at once: nobody whom it names may be written to.".to_owned(),
            Some(CampaignOutcome::LaunchFailed) | None => {
                format!("Ended: {} of {} got it.", grouped(counts.sent), people(counts.total()))
            }
        },
        CampaignStatus::Sending => sending(campaign, left, rate),
    }
}

fn sending(campaign: &Glance, left: i64, rate: Option<f64>) -> String {
    let limit = campaign.rate_per_second.map(|limit| format!(", at most {}", per_second(limit))).unwrap_or_default();
    let packing = campaign.packing.filter(|packing| !packing.done).map(|packing| {
        format!(" {} of about {} are packed so far.", grouped(campaign.stats.total), grouped(packing.expected))
    });
    let waiting = campaign.waiting.map(|waiting| format!(" {} wait for another try.", people(waiting.count)));
    let pace = match rate {
        Some(rate) if rate >= 0.05 => format!("Goes out with {}{limit}", per_second(rate)),
        Some(_) | None if limit.is_empty() => "Goes out".to_owned(),
        Some(_) | None => format!("Goes out{limit}"),
    };
    let end = rate.filter(|rate| *rate >= 0.05).and_then(|rate| time_left(left, rate));
    let end = end.map(|end| format!(", {end}")).unwrap_or_default();
    format!("{pace}: {} left{end}.{}{}", people(left), packing.unwrap_or_default(), waiting.unwrap_or_default())
}

/// How long so many take at a rate.
fn time_left(left: i64, rate: f64) -> Option<String> {
    let left = i32::try_from(left).ok().filter(|left| *left > 0)?;
    let seconds = f64::from(left) / rate;
    Some(match seconds {
        ..60.0 => "for less than a minute".to_owned(),
        ..5_400.0 => format!("for about {:.0} min", (seconds / 60.0).ceil()),
        _ => format!("for about {:.1} h", seconds / 3_600.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said_with_the_digits_that_are_known() {
        assert_eq!(time_left(10, 100.0).unwrap(), "for less than a minute");
        assert_eq!(time_left(31_570, 120.0).unwrap(), "for about 5 min");
        assert_eq!(time_left(1_000_000, 100.0).unwrap(), "for about 2.8 h");
        assert_eq!(time_left(0, 100.0), None);
        assert_eq!(
            (per_second(120.4), per_second(2.5), per_second(7.0)),
            ("120/s".into(), "2.5/s".into(), "7/s".into())
        );
    }

    #[test]
    fn times_are_in_utc_until_a_script_knows_better() {
        let at = UtcInstant::parse("2026-03-01T09:17:52.120Z").unwrap();
        let when = When::of(at);
        assert_eq!((when.iso.as_str(), when.utc.as_str()), ("2026-03-01T09:17:52.120Z", "01 Mar 2026, 09:17:52 UTC"));
        assert_eq!(When::clock(at), "09:17:52.120 UTC");
    }
}
