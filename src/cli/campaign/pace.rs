//! `volley campaign pace`: how fast a campaign goes out, and which limit binds.

use serde_json::Value;

use crate::cli::client::{self, Client};
use crate::cli::output::{self, Output, grouped};

pub(super) async fn run(client: &Client, id: i64, output: &Output) -> anyhow::Result<()> {
    let pace = client.get(&format!("v1/campaigns/{id}/pace"), &[]).await?;
    Ok(output.either(&pace, &told(&pace))?)
}

fn rate(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_f64).map(|rate| format!("{:.1}/s", (rate * 10.0).round() / 10.0))
}

fn told(pace: &Value) -> String {
    let text = |pointer| client::text(pace, pointer);
    let limits = pace.get("limits").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<Vec<String>> = limits
        .map(|limit| {
            let binds = limit.get("binds").and_then(Value::as_bool).unwrap_or_default();
            let value = rate(limit.get("per_second"));
            let value = value.unwrap_or_else(|| match client::text(limit, "/state") {
                "none" => "no limit".to_owned(),
                state => state.to_owned(),
            });
            let mark = if binds { ">" } else { "" };
            vec![
                mark.to_owned(),
                client::text(limit, "/kind").to_owned(),
                value,
                client::text(limit, "/detail").to_owned(),
            ]
        })
        .collect();
    let measured = rate(pace.get("measured_per_second")).unwrap_or_else(|| "not measured".to_owned());
    let left = pace.get("left").and_then(Value::as_i64).unwrap_or_default();
    let end = match text("/ends_at") {
        "" => format!("not known ({})", text("/end_unknown")),
        end => end.to_owned(),
    };
    let facts = [("in the last minute", measured), ("people to come", grouped(left)), ("expected end", end)];
    let facts = facts.map(|(word, value)| format!("{word:<20}{value}"));
    let limits = output::table(&["", "LIMIT", "PER SECOND", "WHERE FROM"], &rows);
    format!("{}\n\n{}\n\n{limits}", text("/why"), facts.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_limit_that_binds_is_marked_and_an_unknown_end_is_said() {
        let limit = |kind: &str, rate: Option<f64>, binds: bool| {
            let state = if rate.is_some() { "rate" } else { "none" };
            json!({ "kind": kind, "state": state, "per_second": rate, "binds": binds, "detail": "x" })
        };
        let told = told(&json!({
            "why": "Bound by it.", "measured_per_second": 19.96, "left": 1_200, "ends_at": null, "end_unknown": "held",
            "limits": [limit("campaign", Some(20.0), true), limit("pool", None, false)],
        }));
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "Bound by it.");
        assert_eq!((lines[2], lines[4]), ("in the last minute  20.0/s", "expected end        not known (held)"));
        assert!(lines[7].starts_with('>') && lines[7].contains("20.0/s"), "{told}");
        assert!(lines[8].contains("no limit"), "{told}");
    }
}
