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

/// A number and what there is so many of.
pub(super) fn counted(count: i64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// How large something of so many bytes is: `512 bytes`, `12.3 kB`, `4.0 MB`.
pub(super) fn sized(bytes: i64) -> String {
    let tenths = |unit: i64| {
        let tenths = bytes.saturating_add(unit / 20) / (unit / 10);
        format!("{}.{}", grouped(tenths / 10), tenths % 10)
    };
    match bytes {
        ..1_000 => counted(bytes, "byte", "bytes"),
        1_000..999_950 => format!("{} kB", tenths(1_000)),
        _ => format!("{} MB", tenths(1_000_000)),
    }
}

/// A rate without digits that nobody reads.
pub(super) fn per_second(rate: f64) -> String {
    if rate >= 10.0 || rate.fract() == 0.0 { format!("{rate:.0}/s") } else { format!("{rate:.1}/s") }
}

/// `1 person is`, `2 people are`.
pub(super) fn people_are(count: i64) -> String {
    counted(count, "person is", "people are")
}

/// How many are to come, in words: `about 981,000 people are`.
pub(super) fn left_are(campaign: &Glance) -> String {
    let about = if campaign.packing_on().is_some() { "about " } else { "" };
    format!("{about}{}", people_are(campaign.left))
}

/// A request as a command, where Volley has none of its own.
pub(super) fn curl(method: &str, path: &str, body: Option<&str>) -> String {
    let json = body.map(|body| format!(" --json '{body}'")).unwrap_or_default();
    let method = if method == "GET" { String::new() } else { format!(" -X {method}") };
    format!("curl{method} -H \"Authorization: Bearer $VOLLEY_CLI__KEY\"{json} $VOLLEY_CLI__SERVER{path}")
}

/// How a campaign stands, in a sentence. `rate`: what was measured lately.
pub(super) fn sentence(campaign: &Glance, rate: Option<f64>) -> String {
    let counts = &campaign.stats.counts;
    let handed_over =
        || format!("the provider took the messages to {} of {} people.", grouped(counts.sent), grouped(counts.total()));
    match campaign.status {
        CampaignStatus::Draft => "A draft: nothing is sent before it is launched.".to_owned(),
        CampaignStatus::Scheduled => "Launches by itself at its time.".to_owned(),
        CampaignStatus::Paused if campaign.left == 0 => {
            "Paused, and nobody is left: it ends when it is resumed.".to_owned()
        }
        CampaignStatus::Paused => {
            format!("Paused: nothing is handed over until it is resumed. {} left.", begun(&left_are(campaign)))
        }
        CampaignStatus::Stopped if campaign.left == 0 => {
            format!("Stopped: {}{}", handed_over(), never_packed(campaign))
        }
        CampaignStatus::Stopped => {
            format!("Stopped. {} being marked as skipped.{}", begun(&people_are(campaign.left)), never_packed(campaign))
        }
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
        CampaignStatus::Sending => sending(campaign, rate),
    }
}

/// What is said of people that a stopped campaign never reached: they are in no book.
fn never_packed(campaign: &Glance) -> String {
    match campaign.packing.map_or(0, |packing| packing.left(&campaign.stats)) {
        0 => String::new(),
        1 => " About 1 person of its audience was not packed yet, and gets no message.".to_owned(),
        count => {
            format!(" About {} people of its audience were not packed yet, and get no message.", grouped(count))
        }
    }
}

/// With a capital letter.
pub(super) fn begun(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn sending(campaign: &Glance, rate: Option<f64>) -> String {
    let limit = campaign.rate_per_second.map(|limit| format!(" (limit {})", per_second(limit))).unwrap_or_default();
    let pace = match rate {
        Some(rate) if rate >= 0.05 => format!("Goes out at {}{limit}", per_second(rate)),
        Some(_) => "Nothing was handed over in the last ten seconds".to_owned(),
        None => format!("Goes out{limit}"),
    };
    let end = rate.filter(|rate| *rate >= 0.05).and_then(|rate| time_left(campaign.left, rate));
    let end = end.map(|end| format!(", {end}")).unwrap_or_default();
    let packing = campaign.packing_on().map(|packing| {
        format!(" {} of about {} are packed so far.", grouped(campaign.stats.total), grouped(packing.expected))
    });
    let waiting = campaign
        .waiting
        .map(|waiting| format!(" {} for another try.", counted(waiting.count, "person waits", "people wait")));
    let (packing, waiting) = (packing.unwrap_or_default(), waiting.unwrap_or_default());
    format!("{pace}: {} left{end}.{packing}{waiting}", left_are(campaign))
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
    use crate::domain::dispatch::page::Counts;
    use crate::http::api::campaigns::Packing;

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

    fn campaign(status: CampaignStatus, counts: Counts, packing: (bool, i64)) -> Glance {
        Glance::example(status, counts, Packing { done: packing.0, expected: packing.1 })
    }

    #[test]
    fn who_is_not_packed_yet_is_still_to_come_unless_the_campaign_is_stopped() {
        let counts = Counts { pending: 990, sending: 10, sent: 19_000, ..Counts::default() };
        let half = campaign(CampaignStatus::Sending, counts, (false, 1_000_000));
        assert_eq!((half.left, left_are(&half).as_str()), (981_000, "about 981,000 people are"));
        let whole = campaign(CampaignStatus::Sending, counts, (true, 20_000));
        assert_eq!((whole.left, left_are(&whole).as_str()), (1_000, "1,000 people are"));
        let stopping = campaign(CampaignStatus::Stopped, counts, (false, 1_000_000));
        assert_eq!(stopping.left, 1_000);
        assert_eq!(
            sentence(&stopping, None),
            "Stopped. 1,000 people are being marked as skipped. About 980,000 people of its audience were not packed yet, and get \
             no message."
        );
        let counts = Counts { sent: 19_000, skipped: 1_000, ..Counts::default() };
        let stopped = sentence(&campaign(CampaignStatus::Stopped, counts, (false, 1_000_000)), None);
        assert!(
            stopped.starts_with("Stopped: the provider took the messages to 19,000 of 20,000 people. About 980,000"),
            "{stopped}"
        );
        let stopped = sentence(&campaign(CampaignStatus::Stopped, counts, (true, 20_000)), None);
        assert_eq!(stopped, "Stopped: the provider took the messages to 19,000 of 20,000 people.");
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
