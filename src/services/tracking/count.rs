//! Clicks and opens become reports, and clicks are counted by link, in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Click, Noted};
use crate::domain::dispatch::delivery::DeliveryId;
use crate::domain::events::EventSource;
use crate::domain::instant::UtcInstant;
use crate::domain::reports::{Reader, ReportKind};
use crate::store::events::EventKey;
use crate::store::reports::{self, Applied, Fate, Line};
use crate::store::tracking::{self, Follower, HandOver, Privacy};
use crate::store::{Conn, StoreError};

/// What became of clicks and opens.
pub(super) struct Counted {
    /// Those that have to be tried again: another transaction is just moving their deliveries.
    pub(super) left: Vec<Noted>,
    /// Deliveries that may be in doubt although these settle them.
    pub(super) in_doubt: BTreeSet<DeliveryId>,
}

/// Counts them. What was asked for within this time after the hand-over was asked for by a machine. Belongs in a write transaction.
///
/// # Errors
/// A query failed, and nothing is counted.
pub(super) fn count(conn: &mut Conn, all: &[Noted], machine_within: Duration) -> Result<Counted, StoreError> {
    let privacy = tracking::privacy(conn, &all.iter().map(|noted| noted.delivery().contact).collect())?;
    let of = |noted: &Noted| privacy.get(&noted.delivery().contact).copied().unwrap_or(Privacy::Gone);
    // The person may have switched it off after the message was sent.
    let all: Vec<(&Noted, Privacy)> =
        all.iter().map(|noted| (noted, of(noted))).filter(|(_, privacy)| *privacy != Privacy::Untracked).collect();
    let people = all.iter().filter(|(noted, _)| !noted.machine);
    let hand_overs = tracking::hand_overs(conn, &people.map(|(noted, _)| noted.delivery()).collect())?;
    let lines: Vec<Line> =
        all.iter().map(|(noted, privacy)| line(noted, *privacy, reader(noted, &hand_overs, machine_within))).collect();
    let Applied { fates, in_doubt } = reports::apply(conn, &lines)?;
    let mut followed = BTreeMap::<Follower, i64>::new();
    let mut left = Vec::new();
    for (((noted, _), line), fate) in all.iter().zip(&lines).zip(&fates) {
        if let (Fate::Counted, Some(click), Some(reader)) = (fate, &noted.click, line.kind.reader()) {
            *followed.entry(Follower { delivery: line.delivery, link: click.link, reader }).or_default() += 1;
        }
        if *fate == Fate::Later {
            left.push((*noted).clone());
        }
    }
    tracking::count(conn, &followed)?;
    Ok(Counted { left, in_doubt })
}

fn reader(noted: &Noted, hand_overs: &HashMap<DeliveryId, HandOver>, machine_within: Duration) -> Reader {
    let hand_over = hand_overs.get(&noted.delivery());
    let is_soon = hand_over.is_some_and(|hand_over| is_soon(noted.at_ms, *hand_over, machine_within));
    if noted.machine || is_soon { Reader::Machine } else { Reader::Person }
}

/// Whether something happened right after a hand-over. The outcome may be recorded long after the hand-over, while the database is
/// away: what happened before that is compared with the claim. What happened before both is not explained by this hand-over.
fn is_soon(at_ms: i64, hand_over: HandOver, within: Duration) -> bool {
    let HandOver { claimed_at, settled_at } = hand_over;
    let before = settled_at.filter(|settled| settled.0 <= at_ms).or(claimed_at);
    let after_ms = before.and_then(|before| u128::try_from(at_ms.saturating_sub(before.0)).ok());
    after_ms.is_some_and(|after_ms| after_ms < within.as_millis())
}

fn line(noted: &Noted, privacy: Privacy, reader: Reader) -> Line {
    let (kind, details) = match &noted.click {
        None => (ReportKind::Opened(reader), Map::new()),
        Some(Click { link, url }) => {
            let mut details = Map::from_iter([("link".to_owned(), Value::from(link.0))]);
            // An address may have the person in it.
            if privacy != Privacy::Gone {
                details.insert("url".to_owned(), Value::from(url.as_str()));
            }
            (ReportKind::Clicked(reader), details)
        }
    };
    Line {
        key: EventKey { source: EventSource::volley().as_str().to_owned(), key: noted.id.clone() },
        delivery: noted.delivery(),
        kind,
        occurred_at: Some(UtcInstant(noted.at_ms)),
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_outcome_is_recorded_is_compared_with_the_claim() {
        let within = Duration::from_secs(5);
        let at = |claimed_at: Option<i64>, settled_at: Option<i64>| HandOver {
            claimed_at: claimed_at.map(UtcInstant),
            settled_at: settled_at.map(UtcInstant),
        };
        for (hand_over, is_machine) in [
            (at(Some(90_000), Some(98_000)), true),
            (at(Some(90_000), Some(100_000)), true),
            (at(Some(90_000), Some(95_000)), false),
            // Recorded late.
            (at(Some(40_000), Some(160_000)), false),
            (at(Some(98_000), Some(160_000)), true),
            (at(Some(98_000), None), true),
            (at(Some(40_000), None), false),
            // Clicked before: an earlier hand-over's message.
            (at(Some(100_001), Some(160_000)), false),
            (at(Some(100_001), None), false),
            (at(None, Some(160_000)), false),
            (at(None, None), false),
        ] {
            assert_eq!(is_soon(100_000, hand_over, within), is_machine, "{hand_over:?}");
        }
        assert!(!is_soon(100_000, at(Some(100_000), None), Duration::ZERO));
    }
}
