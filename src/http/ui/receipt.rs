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
            format!("{instances} acknowledged it within {took} ms.")
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
        (Action::Resume, Some(missing)) => format!("{missing} They go on when they hear of it."),
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
        late @ 1.. => format!(" The last one began {late} ms after the decision."),
        early => format!(" The last one had begun {} ms before the decision.", -early),
    });
    format!("{under_way}{} None has begun since.", last.unwrap_or_default())
}

/// `+9 ms`, `−1 ms`.
fn offset(ms: i64) -> String {
    if ms < 0 { format!("−{} ms", -ms) } else { format!("+{ms} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_has_its_sign() {
        assert_eq!((offset(9), offset(0), offset(-1)), ("+9 ms".into(), "+0 ms".into(), "−1 ms".into()));
    }
}
