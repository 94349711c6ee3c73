//! `volley campaign preflight`: what a launch would do, before it does.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli::client::{self, Client};
use crate::cli::output::{Output, grouped};
use crate::cli::progress::Progress;

/// Checks a campaign, with its progress on the terminal. Fails if something forbids its launch.
pub(super) async fn run(client: &Client, id: i64, output: &Output) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new(output);
    let mut report = None;
    client
        .post_lines(&format!("v1/campaigns/{id}/preflight"), &json!({}), |line| {
            if let Some(so_far) = line.get("progress") {
                let count = |name: &str| so_far.get(name).and_then(Value::as_i64).unwrap_or_default();
                let text = format!("{} people looked at", grouped(count("looked_at")));
                progress.show(count("thousandths"), 1_000, &text);
            }
            if let Some(result) = line.get("result") {
                report = Some(result.clone());
            }
        })
        .await?;
    let report = report.context("the answer ended without a result: the server may have been stopped")?;
    let people = report.pointer("/funnel/named").and_then(Value::as_i64).unwrap_or_default();
    progress.end(&format!("{} people looked at", grouped(people)));
    output.either(&report, &portrait(id, &report))?;
    let is_go = report.pointer("/verdict/go").and_then(Value::as_bool).unwrap_or_default();
    Ok(if is_go { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The result in some lines.
fn portrait(id: i64, report: &Value) -> String {
    let found = |kind: &str| -> Vec<&Value> {
        report.pointer(&format!("/verdict/{kind}")).and_then(Value::as_array).into_iter().flatten().collect()
    };
    let (blockers, remarks) = (found("blockers"), found("remarks"));
    let counted = |all: &[&Value], one: &str| format!("{} {one}{}", all.len(), if all.len() == 1 { "" } else { "s" });
    let mut lines = vec![match (blockers.is_empty(), remarks.is_empty()) {
        (false, _) => format!("no: {}", counted(&blockers, "blocker")),
        (true, true) => "go".to_owned(),
        (true, false) => format!("go with {}", counted(&remarks, "remark")),
    }];
    for (word, all) in [("blocker", &blockers), ("remark", &remarks)] {
        lines.extend(
            all.iter()
                .map(|one| format!("  {word}: {} ({})", client::text(one, "/detail"), client::text(one, "/code"))),
        );
    }
    lines.push(String::new());
    lines.extend(funnel(report));
    lines.extend(sms_parts(report));
    let estimate = report.pointer("/estimate/seconds").and_then(Value::as_i64).map(|seconds| {
        let rate = report.pointer("/estimate/rate_per_second").and_then(Value::as_f64).unwrap_or_default();
        let bound = client::text(report, "/estimate/bound_by");
        format!("takes about {} at {rate}/s, the limit of the {bound}", in_words(seconds))
    });
    lines.push(String::new());
    lines.push(
        estimate
            .unwrap_or_else(|| "no limit is set: how fast the provider answers decides how long it takes".to_owned()),
    );
    let samples = report.get("samples").and_then(Value::as_array).map_or(0, Vec::len);
    if samples > 0 {
        lines.push(format!("{samples} sampled messages are in the result: --json shows them"));
    }
    match client::text(report, "/fingerprint") {
        "" => {}
        fingerprint => lines.push(format!("to send just this: volley campaign send {id} --preflight {fingerprint}")),
    }
    lines.join("\n")
}

fn funnel(report: &Value) -> Vec<String> {
    let rows = [
        ("named", "named"),
        ("  by several sources", "in_several_sources"),
        ("left out", "excluded"),
        ("recipients", "recipients"),
        ("  without an address", "unreachable"),
        ("  suppressed", "suppressed"),
        ("  refused, or never agreed", "refused"),
        ("  message cannot be made", "unrenderable"),
        ("messages", "messages"),
    ];
    let count =
        |field: &str| grouped(report.pointer(&format!("/funnel/{field}")).and_then(Value::as_i64).unwrap_or_default());
    let counts: Vec<(&str, String)> = rows.into_iter().map(|(word, field)| (word, count(field))).collect();
    let width = counts.iter().map(|(_, count)| count.len()).max().unwrap_or_default();
    counts.into_iter().map(|(word, count)| format!("{word:<26}  {count:>width$}")).collect()
}

/// What text messages take in parts, which is what providers charge.
fn sms_parts(report: &Value) -> Option<String> {
    let count = |field: &str| report.pointer(&format!("/sms_parts/{field}")).and_then(Value::as_i64);
    let total = grouped(count("total")?);
    let [longest, several, unicode] =
        ["longest", "in_several", "in_unicode"].map(|field| grouped(count(field).unwrap_or_default()));
    Some(format!(
        "{total} SMS parts: the longest message takes {longest}, {several} take more than one, {unicode} are not in the GSM alphabet"
    ))
}

fn in_words(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 59) / 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_reads_from_the_verdict_to_the_command_that_sends() {
        let report = json!({
            "verdict": { "go": true, "blockers": [], "remarks": [{ "code": "missing_values", "detail": "20 people have none" }] },
            "funnel": { "named": 1_234, "in_several_sources": 3, "excluded": 4, "recipients": 1_230, "unreachable": 10, "messages": 1_220 },
            "estimate": { "seconds": 400, "rate_per_second": 3.5, "bound_by": "pool" },
            "samples": [{}], "sms_parts": { "total": 1_300, "longest": 2, "in_several": 80, "in_unicode": 0 }, "fingerprint": "0a1b",
        });
        let shown = portrait(7, &report);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..2], ["go with 1 remark", "  remark: 20 people have none (missing_values)"]);
        assert!(lines.contains(&"named                       1,234"), "{shown}");
        assert!(lines.contains(&"  without an address           10"), "{shown}");
        assert!(lines.contains(&"takes about 7 min at 3.5/s, the limit of the pool"), "{shown}");
        let parts =
            "1,300 SMS parts: the longest message takes 2, 80 take more than one, 0 are not in the GSM alphabet";
        assert!(lines.contains(&parts), "{shown}");
        assert_eq!(lines.last(), Some(&"to send just this: volley campaign send 7 --preflight 0a1b"));
        let no = json!({ "verdict": { "go": false, "blockers": [{ "code": "pool_missing", "detail": "none" }], "remarks": [] } });
        assert!(
            portrait(7, &no).starts_with("no: 1 blocker\n  blocker: none (pool_missing)\n"),
            "{}",
            portrait(7, &no)
        );
    }
}
