//! `volley doctor`: what is wrong with an installation, and how to fix it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::output::Output;
use crate::app::{self, ResolverChoice};
use crate::config::Settings;
use crate::config::targets::TargetConfig;
use crate::domain::channel::ChannelKind;
use crate::domain::content::mailbox::parse_mailbox;

/// Below this much free space a campaign may not get far.
const LOW_SPACE_BYTES: u64 = 1 << 30;

/// Arguments of `volley doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Also look up SPF, DMARC and DKIM of the senders' domains; `system`, or the IP address of a resolver
    #[arg(long, value_name = "ADDR")]
    resolver: Option<ResolverChoice>,
    /// A selector that the relay signs with (s= in DKIM-Signature); may be repeated
    #[arg(long = "dkim-selector", value_name = "NAME", requires = "resolver")]
    dkim_selectors: Vec<String>,
}

/// One thing looked at.
struct Finding {
    subject: String,
    result: Result<String, String>,
    /// It works, and an operator should know more about it.
    is_note: bool,
}

impl Finding {
    fn new(subject: impl Into<String>, result: Result<String, String>) -> Self {
        Self { subject: subject.into(), result, is_note: false }
    }

    fn note(subject: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { subject: subject.into(), result: Ok(advice.into()), is_note: true }
    }
}

pub(crate) async fn doctor(args: &DoctorArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let mut findings = vec![Finding::new("database", app::check_database(settings).await)];
    for place in places(settings) {
        findings.push(Finding::new(place.setting, place.check_writable()));
        findings.push(Finding::new(format!("disk of {}", place.setting), place.check_space()));
    }
    findings.extend(sending_finding(settings).await);
    if settings.broker.url.is_some() {
        let result = app::check_broker(settings).await.map(|()| "reachable, exchanges and queues declared".to_owned());
        let result = result.map_err(|reason| {
            format!("{reason}; check broker.url and the user's permissions (docs/broker.md); work continues without it")
        });
        findings.push(Finding::new("broker", result));
    }
    if settings.pools.is_empty() {
        let advice = "none configured: nothing can be sent; add a [[pools]] block (config/default.toml has examples)";
        findings.push(Finding::new("pools", Err(advice.to_owned())));
    }
    for pool in &settings.pools {
        let result = app::probe(pool).await.map_err(|reason| {
            format!(
                "{reason}; check url, user, password, from and tls_ca_file of this pool, and that the network lets this \
                 machine through"
            )
        });
        findings.push(Finding::new(format!("pool {}", pool.name), result));
    }
    findings.extend(settings.targets.iter().map(target_finding));
    if settings.pools.iter().any(|pool| pool.channel == ChannelKind::Email) {
        findings.extend(email_findings(settings));
        findings.extend(sender_findings(args, settings).await);
    }
    let healthy = findings.iter().all(|finding| finding.result.is_ok());
    let as_json: Vec<_> = findings
        .iter()
        .map(|finding| {
            let (Ok(detail) | Err(detail)) = &finding.result;
            json!({
                "subject": finding.subject, "ok": finding.result.is_ok(), "note": finding.is_note, "detail": detail,
            })
        })
        .collect();
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or_default();
    let lines: Vec<String> = findings
        .iter()
        .map(|finding| match &finding.result {
            Ok(detail) if finding.is_note => format!("note   {:<width$}  {detail}", finding.subject),
            Ok(detail) => format!("ok     {:<width$}  {detail}", finding.subject),
            Err(detail) => format!("WRONG  {:<width$}  {detail}", finding.subject),
        })
        .collect();
    output.either(&json!({ "healthy": healthy, "findings": as_json }), &lines.join("\n"))?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether any instance sends, if there are some or this one would not.
async fn sending_finding(settings: &Settings) -> Option<Finding> {
    let live = app::live_roles(settings).await;
    let told = live.iter().map(|(role, count)| format!("{count} {role}")).collect::<Vec<_>>().join(", ");
    let sends = live.iter().any(|(role, _)| role.sends());
    if !live.is_empty() && !sends {
        let advice = format!("no instance sends: {told}; start one with volley serve or volley serve --only sender");
        return Some(Finding::new("instances", Err(advice)));
    }
    let alone = (live.is_empty() && !settings.instance.role.sends()).then(|| {
        Finding::note("instances", "none is running, and with these settings (instance.role) one would send nothing")
    });
    alone.or_else(|| (!live.is_empty()).then(|| Finding::new("instances", Ok(told))))
}

/// Whether a target can be called.
fn target_finding(target: &TargetConfig) -> Finding {
    let subject = format!("target {}", target.name);
    match app::check_target(target) {
        Err(reason) => Finding::new(subject, Err(format!("{reason}; check url, tls_ca_file and proxy of this target"))),
        Ok(()) if target.is_in_the_clear() => Finding::note(
            subject,
            "calls go over the network without TLS: others can read whom they are about; use https://",
        ),
        Ok(()) => Finding::new(subject, Ok("its settings can be used; it was not called".to_owned())),
    }
}

/// What every marketing email needs besides a pool.
fn email_findings(settings: &Settings) -> Vec<Finding> {
    let listener = settings.http.public_addr.as_ref().unwrap_or(&settings.http.addr);
    let listener = listener.parse().ok().filter(|_| settings.instance.role.serves());
    let base = settings.links.base(listener);
    let links = match (&settings.links.public_url, base) {
        (Some(url), _) => Finding::new("links.public_url", Ok(format!("links in messages lead to {url}"))),
        (None, Some(base)) => Finding::note(
            "links.public_url",
            format!(
                "not set: links in messages lead to {base}, which only this machine can open; set it to the https:// \
                 address at which recipients reach Volley"
            ),
        ),
        (None, None) if settings.links.require_unsubscribe => Finding::new(
            "links.public_url",
            Err("not set: marketing emails need a link to unsubscribe; set it to the https:// address at which recipients \
                 reach Volley"
                .to_owned()),
        ),
        (None, None) => Finding::note("links.public_url", "not set: no message has a link to unsubscribe"),
    };
    let address = match &settings.email.postal_address {
        Some(_) => Finding::new("email.postal_address", Ok("set".to_owned())),
        None if settings.email.require_postal_address => Finding::note(
            "email.postal_address",
            "not set: marketing campaigns are refused; set it, or email.require_postal_address = false",
        ),
        None => Finding::note("email.postal_address", "not set, and not required"),
    };
    let signature = Finding::note(
        "DKIM",
        "the relay's signature must cover List-Unsubscribe and List-Unsubscribe-Post (its h= names both): else mailbox \
         providers show no button to unsubscribe",
    );
    vec![links, address, signature]
}

/// What the domain name system says of the domains that the email pools send for.
async fn sender_findings(args: &DoctorArgs, settings: &Settings) -> Vec<Finding> {
    let emails = settings.pools.iter().filter(|pool| pool.channel == ChannelKind::Email);
    let senders = emails.filter_map(|pool| parse_mailbox(pool.from.as_deref()?).ok());
    let domains: BTreeSet<String> = senders.map(|sender| sender.email.domain().to_ascii_lowercase()).collect();
    let Some(resolver) = args.resolver else {
        let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        let advice =
            format!("SPF, DMARC and DKIM of {} were not looked up: give --resolver system", domains.join(", "));
        return if domains.is_empty() { Vec::new() } else { vec![Finding::note("senders", advice)] };
    };
    let mut findings = Vec::new();
    for domain in domains {
        match app::look_at_sender(resolver, &domain, &args.dkim_selectors).await {
            Ok(found) => findings.extend(found.into_iter().map(|(subject, result)| Finding::new(subject, result))),
            Err(reason) => findings.push(Finding::new(format!("DNS of {domain}"), Err(reason))),
        }
    }
    findings
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
