//! `volley deliverability`: a client of a running instance.

use std::cmp::Reverse;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::client::{self, Client};
use super::output::{self, Output, grouped};
use crate::config::Settings;
use crate::domain::day::UtcDay;

/// The figures of a row, in the order of their columns.
const FIGURES: [&str; 5] = ["sent", "delivered", "soft_bounced", "hard_bounced", "complained"];

/// Which days, pools and domains.
#[derive(Debug, Args)]
pub(crate) struct DeliverabilityArgs {
    /// Only this pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// Only this domain; `other`: those without a row of their own
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// First day, such as 2026-03-01, in UTC; unless given, the last 30 days are shown
    #[arg(long, value_name = "DAY", value_parser = UtcDay::parse)]
    from: Option<UtcDay>,
    /// Last day
    #[arg(long, value_name = "DAY", value_parser = UtcDay::parse)]
    to: Option<UtcDay>,
    /// Most rows, newest day first
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub(crate) async fn run(args: DeliverabilityArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let client = Client::new(&settings.cli.server, settings.cli.key.clone())?;
    let [from, to] = [args.from, args.to].map(|day| day.map(|day| day.to_string()));
    let (mut rows, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("page_size", "1000")];
        for (name, value) in
            [("pool", &args.pool), ("domain", &args.domain), ("from", &from), ("to", &to), ("cursor", &cursor)]
        {
            query.extend(value.as_deref().map(|value| (name, value)));
        }
        let mut part = client.get("v1/deliverability", &query).await?;
        rows.extend(part.get_mut("data").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default());
        cursor = part.get("next_cursor").and_then(Value::as_str).map(ToOwned::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let all = rows.len();
    let rows = largest_first(rows, usize::from(args.limit));
    output.either(&json!({ "data": rows }), &listed(&rows))?;
    if rows.len() < all {
        output::complain(&format!("{} rows are left out: name a pool, a domain or fewer days", all - rows.len()));
    }
    Ok(ExitCode::SUCCESS)
}

fn figure(row: &Value, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// The newest day first, and of each day and pool the domain first to which most was sent.
fn largest_first(mut rows: Vec<Value>, limit: usize) -> Vec<Value> {
    rows.sort_by(|one, other| {
        let by = |row| (Reverse(client::text(row, "/day")), client::text(row, "/pool"), Reverse(figure(row, "sent")));
        by(one).cmp(&by(other))
    });
    rows.truncate(limit);
    rows
}

fn listed(rows: &[Value]) -> String {
    let cells = |row: &Value| {
        let domain = row.get("domain").and_then(Value::as_str).unwrap_or("-");
        let names = [client::text(row, "/day"), client::text(row, "/pool"), domain];
        names.into_iter().map(ToOwned::to_owned).chain(FIGURES.map(|name| grouped(figure(row, name)))).collect()
    };
    let header = ["DAY", "POOL", "DOMAIN", "SENT", "DELIVERED", "SOFT", "HARD", "COMPLAINED"];
    output::table(&header, &rows.iter().map(cells).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_day_and_pool_the_largest_domain_comes_first() {
        let row = |day: &str, domain: Value, sent: i64| {
            json!({
                "day": day, "pool": "main", "domain": domain, "sent": sent, "delivered": 0, "soft_bounced": 0,
                "hard_bounced": 7, "complained": 0,
            })
        };
        let rows = vec![
            row("2026-03-01", json!("gmail.com"), 5),
            row("2026-03-02", json!("a.example"), 1),
            row("2026-03-02", json!("gmail.com"), 1_200),
            row("2026-03-02", json!(null), 3),
        ];
        assert_eq!(largest_first(rows.clone(), 1), [rows[2].clone()], "sorted before it is cut");
        let shown = listed(&largest_first(rows, 9));
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].starts_with("2026-03-02  main  gmail.com  1,200"), "{shown}");
        assert!(lines[2].starts_with("2026-03-02  main  -              3"), "{shown}");
        assert!(lines[3].starts_with("2026-03-02  main  a.example      1"), "{shown}");
        assert!(lines[4].starts_with("2026-03-01  main  gmail.com      5"), "{shown}");
    }
}
