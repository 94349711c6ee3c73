//! Numbers, times and sentences, as pages have them.

use askama::Template;

use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::instant::UtcInstant;
pub(super) use crate::domain::shown::grouped;
use crate::http::api::campaigns::{Packing, Stats};
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

/// A number and what there is so many of.
pub(super) fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A rate without digits that nobody reads.
pub(super) fn per_second(rate: f64) -> String {
    if rate >= 10.0 || rate.fract() == 0.0 { format!("{rate:.0}/s") } else { format!("{rate:.1}/s") }
}

/// `1 person is`, `2 people are`.
pub(super) fn people_are(count: i64) -> String {
    counted(count, "person is", "people are")
}

/// How many are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) count: i64,
    /// Whether all of them are known: the audience is packed.
    is_exact: bool,
}

impl Left {
    /// Those who are packed and not settled, and those of the audience who are not packed yet.
    pub(super) fn of(stats: &Stats, packing: Option<Packing>) -> Self {
        let unpacked = packing.filter(|packing| !packing.done).map(|packing| (packing.expected - stats.total).max(0));
        Self {
            count: stats.counts.pending + stats.counts.sending + unpacked.unwrap_or(0),
            is_exact: unpacked.is_none(),
        }
    }

    /// Without those whose call is under way.
    pub(super) fn pending(stats: &Stats, packing: Option<Packing>) -> Self {
        let left = Self::of(stats, packing);
        Self { count: left.count - stats.counts.sending, ..left }
    }

    /// `about 981,000 people are`
    pub(super) fn people_are(self) -> String {
        format!("{}{}", if self.is_exact { "" } else { "about " }, people_are(self.count))
    }
}

/// How a campaign stands, in a sentence. `rate`: what was measured lately.
pub(super) fn sentence(campaign: &Glance, rate: Option<f64>) -> String {
    let counts = &campaign.stats.counts;
    let left = Left::of(&campaign.stats, campaign.packing);
    let handed_over =
        || format!("{} of {} messages were taken by the provider.", grouped(counts.sent), grouped(counts.total()));
    match campaign.status {
        CampaignStatus::Draft => "A draft: nothing is sent before it is launched.".to_owned(),
        CampaignStatus::Scheduled => "Launches by itself at its time.".to_owned(),
        CampaignStatus::Paused if left.count == 0 => {
            "Paused, and nobody is left: it ends when it is resumed.".to_owned()
        }
        CampaignStatus::Paused => {
            format!("Paused: nothing is handed over until it is resumed. {} left.", begun(&left.people_are()))
        }
        CampaignStatus::Stopped if left.count == 0 => format!("Stopped: {}", handed_over()),
        CampaignStatus::Stopped => format!("Stopped. {} being marked as skipped.", begun(&left.people_are())),
        CampaignStatus::Failed => match campaign.outcome {
            Some(CampaignOutcome::LaunchFailed) => "Its time came, and it could not be launched as it was.".to_owned(),
            Some(CampaignOutcome::EmptyAudience | CampaignOutcome::NoneEligible) | None => {
                "Ended: no message was taken by the provider.".to_owned()
            }
        },
        CampaignStatus::Sent => match campaign.outcome {
            Some(CampaignOutcome::EmptyAudience) => "Ended at once: its audience names nobody.".to_owned(),
            Some(CampaignOutcome::NoneEligible) => {
                "Ended at once: nobody in its audience may be written to.".to_owned()
            }
            Some(CampaignOutcome::LaunchFailed) | None => format!("Ended: {}", handed_over()),
        },
        CampaignStatus::Sending => sending(campaign, left, rate),
    }
}

/// With a capital letter.
pub(super) fn begun(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn sending(campaign: &Glance, left: Left, rate: Option<f64>) -> String {
    let limit = campaign.rate_per_second.map(|limit| format!(", at most {}", per_second(limit))).unwrap_or_default();
    let pace = match rate {
        Some(rate) if rate >= 0.05 => format!("Goes out at {}{limit}", per_second(rate)),
        Some(_) => "Nothing was handed over in the last ten seconds".to_owned(),
        None => format!("Goes out{limit}"),
    };
    let end = rate.filter(|rate| *rate >= 0.05).and_then(|rate| time_left(left.count, rate));
    let end = end.map(|end| format!(", {end}")).unwrap_or_default();
    let packing = campaign.packing.filter(|packing| !packing.done).map(|packing| {
        format!(" {} of about {} are packed so far.", grouped(campaign.stats.total), grouped(packing.expected))
    });
    let waiting = campaign
        .waiting
        .map(|waiting| format!(" {} for another try.", counted(waiting.count, "person waits", "people wait")));
    let (packing, waiting) = (packing.unwrap_or_default(), waiting.unwrap_or_default());
    format!("{pace}: {} left{end}.{packing}{waiting}", left.people_are())
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::dispatch::page::Counts;

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
    fn who_is_not_packed_yet_is_still_to_come() {
        let counts = Counts { pending: 990, sending: 10, sent: 19_000, ..Counts::default() };
        let stats = Stats { total: 20_000, counts, skipped_by_reason: BTreeMap::new() };
        let packing = |done| Some(Packing { done, expected: 1_000_000 });
        assert_eq!(Left::of(&stats, packing(false)).people_are(), "about 981,000 people are");
        assert_eq!(Left::pending(&stats, packing(false)).count, 980_990);
        assert_eq!(Left::of(&stats, packing(true)).people_are(), "1,000 people are");
        assert_eq!(Left::of(&stats, None).count, 1_000);
        assert_eq!((people_are(1), begun("about 2")), ("1 person is".into(), "About 2".into()));
    }

    #[test]
    fn times_are_in_utc_until_a_script_knows_better() {
        let at = UtcInstant::parse("2026-03-01T09:17:52.120Z").unwrap();
        let when = When::of(at);
        assert_eq!((when.iso.as_str(), when.utc.as_str()), ("2026-03-01T09:17:52.120Z", "01 Mar 2026, 09:17:52 UTC"));
        assert_eq!(When::clock(at), "09:17:52.120 UTC");
    }
}
