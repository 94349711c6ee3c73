//! `volley doctor`: what is wrong with an installation, and how to mend it.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::output::Output;
use crate::app;
use crate::config::Settings;

/// Below this much free space a campaign may not get far.
const LOW_SPACE_BYTES: u64 = 1 << 30;

/// One thing looked at.
struct Finding {
    subject: String,
    result: Result<String, String>,
}

pub(crate) async fn doctor(settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let mut findings = vec![
        Finding { subject: "database".to_owned(), result: app::check_database(settings).await },
        Finding { subject: "data_dir".to_owned(), result: check_writable(&settings.sending.data_dir) },
        Finding { subject: "disk".to_owned(), result: check_space(&settings.sending.data_dir) },
    ];
    if settings.pools.is_empty() {
        let advice = "none configured: nothing can be sent; add a [[pools]] block (config/default.toml has examples)";
        findings.push(Finding { subject: "pools".to_owned(), result: Err(advice.to_owned()) });
    }
    for pool in &settings.pools {
        let result = app::probe(pool).await.map(|()| format!("{} reachable", pool.provider)).map_err(|reason| {
            format!(
                "{reason}; check url, user, password and tls_ca_file of this pool, and that the network lets this \
                 machine through"
            )
        });
        findings.push(Finding { subject: format!("pool {}", pool.name), result });
    }
    let healthy = findings.iter().all(|finding| finding.result.is_ok());
    let as_json: Vec<_> = findings
        .iter()
        .map(|finding| {
            let (Ok(detail) | Err(detail)) = &finding.result;
            json!({ "subject": finding.subject, "ok": finding.result.is_ok(), "detail": detail })
        })
        .collect();
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or_default();
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| match &finding.result {
            Ok(detail) => format!("ok     {:<width$}  {detail}", finding.subject),
            Err(detail) => format!("WRONG  {:<width$}  {detail}", finding.subject),
        })
        .collect();
    output.either(&json!({ "healthy": healthy, "findings": as_json }), &lines.join("\n"))?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a file can be written and removed in `dir`. A missing directory is made by `serve`, so it is made here.
fn check_writable(dir: &Path) -> Result<String, String> {
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&probe, b"volley"))
        .and_then(|()| std::fs::remove_file(&probe))
        .map(|()| format!("{} can be written", dir.display()))
        .map_err(|error| {
            format!("{} cannot be written ({error}); give it to this user, or set sending.data_dir", dir.display())
        })
}

fn check_space(dir: &Path) -> Result<String, String> {
    let stat = rustix::fs::statvfs(dir).map_err(|error| format!("cannot look at {} ({error})", dir.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let text = format!("{} MiB free", free >> 20);
    if free < LOW_SPACE_BYTES {
        return Err(format!("only {text} under {}; make room or set sending.data_dir to another disk", dir.display()));
    }
    if stat.f_favail == 0 && stat.f_files > 0 {
        return Err(format!("no inode is free under {}; remove files or use another disk", dir.display()));
    }
    Ok(text)
}
