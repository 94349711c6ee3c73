//! How the instances have followed a decision, as pages show it.

use super::words::{When, counted};
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::decision::Action;
use crate::http::api::replicas::receipt::Receipt;

/// A receipt.
#[derive(Debug)]
pub(super) struct ReceiptView {
    pub(super) title: String,
    pub(super) decided: When,
    pub(super) sentence: String,
    pub(super) is_complete: bool,
    pub(super) rows: Vec<Row>,
    /// What the lanes reach from and to, counted from the decision.
    pub(super) axis: (String, String),
}

/// How one instance has followed.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) instance: i64,
    pub(super) host: String,
    /// When it acknowledged, after the decision; or since when it is silent.
    pub(super) acknowledged: String,
    pub(super) in_flight: String,
    /// When its last hand-over began, before or after the decision.
    pub(super) last: String,
    /// The same, drawn.
    pub(super) lane: Lane,
}

/// An instance on the axis of milliseconds. Places and lengths in percent.
#[derive(Debug, PartialEq)]
pub(super) struct Lane {
    /// The decision.
    pub(super) zero: String,
    /// How long it was not acknowledged, from the decision on.
    pub(super) open: String,
    /// Where it was acknowledged. `None`: not yet.
    pub(super) flag: Option<String>,
    /// Where the last hand-over began, if that is on the axis.
    pub(super) last: Option<String>,
    /// After this nothing can begin, where it was not acknowledged.
    pub(super) until: Option<String>,
}

/// The axis of milliseconds: from so long before the decision to so long after it.
struct Axis {
    before: i64,
    after: i64,
    deadline: Option<i64>,
}

impl Axis {
    /// As long as it takes for all acknowledgements, and for the deadline where one is missing. What began long before is not on it.
    fn of(receipt: &Receipt) -> Self {
        let since = |at: UtcInstant| at.0.saturating_sub(receipt.decided_at.0);
        let holds = !matches!(receipt.action, Action::Resume) && !receipt.complete;
        let deadline = holds.then(|| i64::try_from(receipt.start_deadline_ms).unwrap_or(i64::MAX));
        let lasts = || receipt.acknowledged.iter().filter_map(|one| one.last_hand_over_at).map(since);
        let acknowledged = receipt.acknowledged.iter().map(|one| since(one.acknowledged_at));
        let latest = acknowledged.chain(lasts()).chain(deadline).max().unwrap_or(0).max(SHORTEST_MS);
        let after = latest + latest / 8 + 1;
        let earliest = lasts().filter(|last| *last < 0 && last.saturating_neg() <= after * 2).min().unwrap_or(0);
        let before = earliest.saturating_neg().max(after / 8) + 1;
        Self { before: before + before / 8, after, deadline }
    }

    fn place(&self, ms: i64) -> String {
        format!("{:.2}", (number(ms + self.before) / number(self.before + self.after) * 100.0).clamp(0.0, 100.0))
    }

    fn lane(&self, acknowledged: Option<i64>, last: Option<i64>) -> Lane {
        let open = acknowledged.or(self.deadline).unwrap_or(self.after).max(0);
        Lane {
            zero: self.place(0),
            open: format!("{:.2}", number(open) / number(self.before + self.after) * 100.0),
            flag: acknowledged.map(|ms| self.place(ms)),
            last: last.filter(|ms| (-self.before..=self.after).contains(ms)).map(|ms| self.place(ms)),
            until: self.deadline.filter(|_| acknowledged.is_none()).map(|ms| self.place(ms)),
        }
    }
}

/// The shortest time that an axis shows, in milliseconds.
const SHORTEST_MS: i64 = 8;

fn number(ms: i64) -> f64 {
    f64::from(i32::try_from(ms).unwrap_or(i32::MAX))
}

impl ReceiptView {
    /// A receipt as it stands at a moment.
    pub(super) fn of(receipt: &Receipt, at: UtcInstant) -> Self {
        let since = |at: UtcInstant| at.0.saturating_sub(receipt.decided_at.0);
        let after = |at: UtcInstant| offset(since(at));
        let axis = Axis::of(receipt);
        let acknowledged = receipt.acknowledged.iter().map(|one| Row {
            instance: one.instance_id.0,
            host: one.host.clone(),
            acknowledged: after(one.acknowledged_at),
            in_flight: one.in_flight.to_string(),
            last: one.last_hand_over_at.map_or_else(|| "–".to_owned(), after),
            lane: axis.lane(Some(since(one.acknowledged_at)), one.last_hand_over_at.map(since)),
        });
        let missing = receipt.missing.iter().map(|one| Row {
            instance: one.instance_id.0,
            host: one.host.clone(),
            acknowledged: format!("not yet; last heard of at {}", When::clock(one.last_seen_at)),
            in_flight: "?".to_owned(),
            last: "?".to_owned(),
            lane: axis.lane(None, None),
        });
        Self {
            title: title(receipt.action).to_owned(),
            decided: When::of(receipt.decided_at),
            sentence: sentence(receipt, at),
            is_complete: receipt.complete,
            rows: acknowledged.chain(missing).collect(),
            axis: (offset(-axis.before), offset(axis.after)),
        }
    }
}

const fn title(action: Action) -> &'static str {
    match action {
        Action::Pause => "Paused",
        Action::Resume => "Resumed",
        Action::Stop => "Stopped",
        Action::Suspend => "Suspended",
    }
}

fn sentence(receipt: &Receipt, at: UtcInstant) -> String {
    let many = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let latest = receipt.acknowledged.iter().map(|one| one.acknowledged_at.0).max();
    let took = latest.map(|latest| latest.saturating_sub(receipt.decided_at.0).max(0));
    let all = match took {
        Some(took) => {
            let instances = counted(many(receipt.acknowledged.len()), "instance", "instances");
            format!("{instances} acknowledged it within {}.", lasting(took))
        }
        None => "No instance has acknowledged it.".to_owned(),
    };
    let missing = (!receipt.complete).then(|| {
        counted(many(receipt.missing.len()), "instance has not acknowledged it.", "instances have not acknowledged it.")
    });
    match (receipt.action, missing) {
        (Action::Resume, None) => all,
        (Action::Resume, Some(missing)) => format!("{missing} Sending goes on there when that happens."),
        (Action::Pause | Action::Stop | Action::Suspend, Some(missing)) => {
            let deadline = i64::try_from(receipt.start_deadline_ms).unwrap_or(i64::MAX);
            let until = receipt.decided_at.plus_ms(deadline);
            let clock = When::clock(until);
            let may = if at < until { "may still begin until" } else { "could begin until" };
            format!("{missing} What was claimed there {may} {clock}, and nothing after that.")
        }
        (Action::Pause | Action::Stop | Action::Suspend, None) => format!("{all} {}", under_way(receipt)),
    }
}

/// What was under way when a decision was heard.
fn under_way(receipt: &Receipt) -> String {
    let in_flight: i64 = receipt.acknowledged.iter().map(|one| one.in_flight).sum();
    let under_way = match in_flight {
        0 => "No call was under way.".to_owned(),
        count => format!("{} under way, and could not be called back.", counted(count, "call was", "calls were")),
    };
    let last = receipt.last_hand_over_at.map(|at| match at.0 - receipt.decided_at.0 {
        late @ 1.. => format!(" The last one began {} after the decision.", lasting(late)),
        early => format!(" The last one had begun {} before the decision.", lasting(-early)),
    });
    format!("{under_way}{} None has begun since.", last.unwrap_or_default())
}

/// `+9 ms`, `−1 ms`.
fn offset(ms: i64) -> String {
    format!("{}{}", if ms < 0 { "−" } else { "+" }, lasting(ms.abs()))
}

/// `9 ms`; what takes longer than somebody waits is not said to the millisecond: `15 s`, `40 min`, `72 h`.
fn lasting(ms: i64) -> String {
    match ms {
        ..10_000 => format!("{ms} ms"),
        10_000..600_000 => format!("{} s", ms / 1_000),
        600_000..36_000_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::InstanceId;
    use crate::http::api::replicas::receipt::{Acknowledged, Missing};

    #[test]
    fn an_offset_has_its_sign() {
        assert_eq!((offset(9), offset(0), offset(-1)), ("+9 ms".into(), "+0 ms".into(), "−1 ms".into()));
        let long = [15_400, 2_400_000, 259_200_000].map(offset);
        assert_eq!(long, ["+15 s", "+40 min", "+72 h"]);
    }

    #[test]
    fn a_lane_ends_where_it_was_acknowledged_or_where_nothing_can_begin_any_more() {
        let axis = Axis { before: 10, after: 90, deadline: Some(50) };
        let lane = |zero: &str, open: &str, flag: Option<&str>, last: Option<&str>, until: Option<&str>| Lane {
            zero: zero.to_owned(),
            open: open.to_owned(),
            flag: flag.map(str::to_owned),
            last: last.map(str::to_owned),
            until: until.map(str::to_owned),
        };
        assert_eq!(axis.lane(Some(9), Some(-1)), lane("10.00", "9.00", Some("19.00"), Some("9.00"), None));
        assert_eq!(axis.lane(Some(9), Some(-13_000)), lane("10.00", "9.00", Some("19.00"), None, None));
        assert_eq!(axis.lane(None, None), lane("10.00", "50.00", None, None, Some("60.00")));
    }

    #[test]
    fn a_receipt_says_what_is_known_and_until_when_something_may_begin() {
        let decided = UtcInstant::parse("2026-03-01T09:17:52.120Z").unwrap();
        let receipt = |action, missing: i64, last: Option<i64>| Receipt {
            action,
            version: 2,
            decided_at: decided,
            complete: missing == 0,
            acknowledged: vec![Acknowledged {
                instance_id: InstanceId(1),
                host: "a".to_owned(),
                acknowledged_at: decided.plus_ms(9),
                in_flight: 2,
                last_hand_over_at: None,
            }],
            missing: (0..missing)
                .map(|n| Missing { instance_id: InstanceId(2 + n), host: "b".to_owned(), last_seen_at: decided })
                .collect(),
            last_hand_over_at: last.map(|ms| decided.plus_ms(ms)),
            start_deadline_ms: 5_000,
        };
        let said = |receipt: &Receipt, after: i64| sentence(receipt, decided.plus_ms(after));
        assert_eq!(
            said(&receipt(Action::Pause, 0, Some(-1)), 100),
            "1 instance acknowledged it within 9 ms. 2 calls were under way, and could not be called back. The last one had begun \
             1 ms before the decision. None has begun since."
        );
        let missing = receipt(Action::Stop, 1, None);
        let until = "1 instance has not acknowledged it. What was claimed there";
        assert_eq!(
            said(&missing, 4_999),
            format!("{until} may still begin until 09:17:57.120 UTC, and nothing after that.")
        );
        assert_eq!(
            said(&missing, 5_000),
            format!("{until} could begin until 09:17:57.120 UTC, and nothing after that.")
        );
        assert_eq!(said(&receipt(Action::Resume, 0, None), 100), "1 instance acknowledged it within 9 ms.");
        assert_eq!(
            said(&receipt(Action::Resume, 2, None), 100),
            "2 instances have not acknowledged it. Sending goes on there when that happens."
        );
    }
}
