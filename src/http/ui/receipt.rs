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
}

impl ReceiptView {
    /// A receipt as it stands at a moment.
    pub(super) fn of(receipt: &Receipt, at: UtcInstant) -> Self {
        let after = |at: UtcInstant| offset(at.0.saturating_sub(receipt.decided_at.0));
        let acknowledged = receipt.acknowledged.iter().map(|one| Row {
            instance: one.instance_id.0,
            host: one.host.clone(),
            acknowledged: after(one.acknowledged_at),
            in_flight: one.in_flight.to_string(),
            last: one.last_hand_over_at.map_or_else(|| "–".to_owned(), after),
        });
        let missing = receipt.missing.iter().map(|one| Row {
            instance: one.instance_id.0,
            host: one.host.clone(),
            acknowledged: format!("not yet; last heard of at {}", When::clock(one.last_seen_at)),
            in_flight: "?".to_owned(),
            last: "?".to_owned(),
        });
        Self {
            title: title(receipt.action).to_owned(),
            decided: When::of(receipt.decided_at),
            sentence: sentence(receipt, at),
            is_complete: receipt.complete,
            rows: acknowledged.chain(missing).collect(),
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
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let latest = receipt.acknowledged.iter().map(|one| one.acknowledged_at.0).max();
    let took = latest.map(|latest| latest.saturating_sub(receipt.decided_at.0).max(0));
    let all = match took {
        Some(took) => {
            let instances = counted(number(receipt.acknowledged.len()), "instance", "instances");
            format!("{instances} acknowledged it within {}.", lasting(took))
        }
        None => "No instance has acknowledged it.".to_owned(),
    };
    let missing = (!receipt.complete).then(|| {
        counted(
            number(receipt.missing.len()),
            "instance has not acknowledged it.",
            "instances have not acknowledged it.",
        )
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
