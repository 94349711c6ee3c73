//! `volley overview`: what goes on, as the first page in a browser has it.

use std::process::ExitCode;

use serde_json::Value;

use super::client::{self, Client};
use super::output::{self, Output, grouped};
use crate::config::Settings;

pub(crate) async fn run(settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    let seen = client.get("v1/overview", &[]).await?;
    output.either(&seen, &told(&seen))?;
    Ok(ExitCode::SUCCESS)
}

fn rows<'v>(seen: &'v Value, name: &str) -> &'v [Value] {
    seen.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// One part for each question: what needs attention, what moves, what comes next, what has ended.
fn told(seen: &Value) -> String {
    let mut parts = Vec::new();
    let needs = rows(seen, "needs");
    if !needs.is_empty() {
        let cells =
            |need: &Value| ["name", "code", "detail"].map(|field| client::text(need, &format!("/{field}")).to_owned());
        let cells: Vec<Vec<String>> = needs.iter().map(|need| cells(need).to_vec()).collect();
        parts.push(output::table(&["NEEDS ATTENTION", "CODE", "WHY"], &cells));
    }
    for (name, title) in [("active", "MOVING"), ("scheduled", "NEXT"), ("ended", "ENDED")] {
        let lines: Vec<Vec<String>> = rows(seen, name).iter().map(line).collect();
        if !lines.is_empty() {
            parts.push(output::table(
                &["ID", title, "STATUS", "SENT", "FAILED", "UNCERTAIN", "LEFT", "RECIPIENTS"],
                &lines,
            ));
        }
    }
    if parts.is_empty() {
        parts.push("No campaign has been made, and nothing that the instance knows of needs attention.".to_owned());
    }
    let pools = rows(seen, "pools").len();
    parts.push(format!("instances: {}; pools of the one that answers: {pools}", instances(seen)));
    parts.join("\n\n")
}

/// How many instances there are, and of which roles if not all do everything.
fn instances(seen: &Value) -> String {
    let all = rows(seen, "instances");
    let of = |role: &str| all.iter().filter(|one| client::text(one, "/role") == role).count();
    let (apis, senders) = (of("api"), of("sender"));
    let named = [(all.len() - apis - senders, "all"), (apis, "api"), (senders, "sender")];
    let named = named.into_iter().filter(|(count, _)| *count > 0).map(|(count, role)| format!("{count} {role}"));
    let roles =
        if apis + senders == 0 { String::new() } else { format!(" ({})", named.collect::<Vec<_>>().join(", ")) };
    format!("{}{roles}", all.len())
}

fn line(campaign: &Value) -> Vec<String> {
    let count = |name: &str| campaign.pointer(&format!("/stats/{name}")).and_then(Value::as_i64).unwrap_or_default();
    let mut cells = vec![campaign.get("id").map(Value::to_string).unwrap_or_default()];
    cells.extend(["/name", "/status"].map(|field| client::text(campaign, field).to_owned()));
    let left = campaign.get("left").and_then(Value::as_i64).unwrap_or_default();
    let counts = [count("sent"), count("failed"), count("uncertain"), left, count("total")];
    cells.extend(counts.map(grouped));
    cells
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_wants_somebody_comes_first_and_what_is_not_there_is_left_out() {
        let stats = json!({ "total": 1_200, "sent": 1_000, "failed": 1, "uncertain": 2, "pending": 190, "sending": 7 });
        let campaign = json!({ "id": 7, "name": "Spring", "status": "sending", "stats": stats, "left": 197 });
        let need = json!({ "name": "Spring", "code": "uncertain_deliveries", "detail": "of 2 messages" });
        let told = told(&json!({ "needs": [need], "active": [campaign], "instances": [{}], "pools": [] }));
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("NEEDS ATTENTION") && lines[1].contains("uncertain_deliveries"), "{told}");
        assert!(lines[4].starts_with("7   Spring") || lines[4].contains("Spring"), "{told}");
        assert!(lines[4].contains("1,000") && lines[4].contains("197") && lines[4].ends_with("1,200"), "{told}");
        let roles = ["api", "sender", "sender"].map(|role| json!({ "role": role }));
        assert_eq!(instances(&json!({ "instances": roles })), "3 (1 api, 2 sender)");
        assert!(!told.contains("NEXT") && told.ends_with("instances: 1; pools of the one that answers: 0"), "{told}");
    }
}
