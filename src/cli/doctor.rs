//! `volley doctor`: what is wrong with an installation, and how to fix it.

use std::path::{Path, PathBuf};
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
    let mut findings = vec![Finding { subject: "database".to_owned(), result: app::check_database(settings).await }];
    for place in places(settings) {
        findings.push(Finding { subject: place.setting.to_owned(), result: place.check_writable() });
        findings.push(Finding { subject: format!("disk of {}", place.setting), result: place.check_space() });
    }
    if settings.broker.url.is_some() {
        let result = app::check_broker(settings).await.map(|()| "reachable, exchanges and queues declared".to_owned());
        let result = result.map_err(|reason| {
            format!("{reason}; check broker.url and the user's permissions (docs/broker.md); work continues without it")
        });
        findings.push(Finding { subject: "broker".to_owned(), result });
    }
    if settings.pools.is_empty() {
        let advice = "none configured: nothing can be sent; add a [[pools]] block (config/default.toml has examples)";
        findings.push(Finding { subject: "pools".to_owned(), result: Err(advice.to_owned()) });
    }
    for pool in &settings.pools {
        let result = app::probe(pool).await.map_err(|reason| {
            format!(
                "{reason}; check url, user, password, from and tls_ca_file of this pool, and that the network lets this \
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

/// A folder that is written to all the time, and the setting that names it.
struct Place {
    setting: &'static str,
    folder: PathBuf,
    /// A file in it that must be writable too, where there is one.
    file: Option<PathBuf>,
}

/// Where this instance writes: the journals and uploads, and the embedded database.
fn places(settings: &Settings) -> Vec<Place> {
    let data = Place { setting: "sending.data_dir", folder: settings.sending.data_dir.clone(), file: None };
    let database = app::database_file(settings).map(|file| {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Place { setting: "database.url", folder: folder.to_owned(), file: Some(file) }
    });
    std::iter::once(data).chain(database).collect()
}

impl Place {
    /// Whether a file can be written and removed in the folder. A missing one is made by `serve`, so it is made here.
    fn check_writable(&self) -> Result<String, String> {
        let (folder, setting) = (self.folder.display(), self.setting);
        let probe = self.folder.join(format!(".doctor-{}", std::process::id()));
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&probe, b"volley"))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|error| format!("{folder} cannot be written ({error}); give it to this user, or set {setting}"))?;
        if let Some(file) = self.file.as_deref().filter(|file| file.exists()) {
            std::fs::OpenOptions::new().append(true).open(file).map_err(|error| {
                format!("{} cannot be written ({error}); give it to this user, or set {setting}", file.display())
            })?;
        }
        Ok(format!("{folder} can be written"))
    }

    fn check_space(&self) -> Result<String, String> {
        let (folder, setting) = (self.folder.display(), self.setting);
        let stat = rustix::fs::statvfs(&self.folder).map_err(|error| format!("cannot read {folder} ({error})"))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let text = format!("{} MiB free", free >> 20);
        if free < LOW_SPACE_BYTES {
            return Err(format!("only {text} under {folder}; make room or set {setting} to another disk"));
        }
        if stat.f_favail == 0 && stat.f_files > 0 {
            return Err(format!("no inode is free under {folder}; remove files or use another disk"));
        }
        Ok(text)
    }
}
