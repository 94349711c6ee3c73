//! The one recorder of metrics of a process, and what it says of each metric.

use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use metrics::{KeyName, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The page that explains each metric. Its words are what `/metrics` says.
const PAGE: &str = include_str!("../../docs/metrics.md");

const CALL_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

const REQUEST_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The recorder, which is installed and described by the first call.
///
/// # Errors
/// Another recorder is installed.
pub(super) fn handle() -> anyhow::Result<PrometheusHandle> {
    // A mutex, not a OnceLock: two instances in one process may start at the same moment, and building can fail.
    static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut known = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = known.as_ref() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("volley_provider_call_seconds".to_owned()), CALL_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("volley_http_request_seconds".to_owned()), REQUEST_BUCKETS)?
        .set_quantiles(&[0.5, 0.95, 0.99])?
        .install_recorder()
        .context("cannot install the metrics recorder")?;
    describe();
    Ok(known.insert(handle).clone())
}

/// Shows which Volley this is, and on which kind of database.
pub(super) fn show_build(has_one_writer: bool) {
    let database = if has_one_writer { "sqlite" } else { "postgres" };
    metrics::gauge!("volley_build_info", "version" => env!("CARGO_PKG_VERSION"), "database" => database).set(1.0);
}

/// Gives each metric its line of help.
fn describe() {
    metrics::with_recorder(|recorder| {
        for (name, kind, help) in documented() {
            let (name, help) = (KeyName::from(name), SharedString::from(help));
            match kind {
                "counter" => recorder.describe_counter(name, None, help),
                "gauge" => recorder.describe_gauge(name, None, help),
                _ => recorder.describe_histogram(name, None, help),
            }
        }
    });
}

/// Name, kind and the first sentence of what the page says of each metric.
fn documented() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    PAGE.lines().filter(|line| line.starts_with("| `")).filter_map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        let (name, kind, help) = (cells.next()?, cells.next()?, cells.nth(2)?);
        let help = help.split_once(". ").map_or(help, |(first, _)| first).replace('`', "");
        Some((name.trim_matches('`'), kind, help))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_a_line_of_help_and_a_kind() {
        let all: Vec<_> = documented().collect();
        assert!(all.len() > 40, "only {} were found", all.len());
        for (name, kind, help) in all {
            assert!(name.starts_with("volley_") || name.starts_with("process_"), "{name}");
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{name}: {kind}");
            assert!(help.len() > 8 && !help.contains('`'), "{name}: {help}");
        }
    }
}
