//! `volley health`: one line and an exit code, for the health checks of containers and load balancers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use url::Url;

use super::client;
use super::output::Output;
use crate::config::Settings;

/// How long an answer is waited for, in seconds, by default: longer than an instance asks its database.
const TIMEOUT_SECONDS: u64 = 4;

/// Arguments of `volley health`.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArgs {
    /// Instance to ask [default: the one that listens at http.addr on this machine]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Ask only whether the process answers (/healthz), not whether database and journal take writes (/readyz)
    #[arg(long)]
    live: bool,
    /// How long to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT_SECONDS, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

/// Asks, prints one line, and ends with 0 if the answer is 200.
pub(crate) async fn health(args: &HealthArgs, settings: &Settings, output: &Output) -> anyhow::Result<ExitCode> {
    let mut url = match &args.url {
        Some(url) => url.clone(),
        None => local(&settings.http.addr)?,
    };
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{path}/{}", if args.live { "healthz" } else { "readyz" }));
    let (healthy, told) = match ask(&url, Duration::from_secs(args.timeout)).await {
        Ok((status, answer)) => match told(&answer) {
            told if told.is_empty() => (false, format!("{} does not answer like Volley (HTTP {status})", shown(&url))),
            told => (status == 200, told),
        },
        Err(reason) => (false, format!("{} does not answer: {reason}", shown(&url))),
    };
    output.either(&json!({ "healthy": healthy, "detail": told }), &told)?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where an instance that listens at `addr` is reached from its own machine.
fn local(addr: &str) -> anyhow::Result<Url> {
    let addr: SocketAddr = addr.parse().with_context(|| format!("http.addr: {addr:?} is not IP:PORT"))?;
    anyhow::ensure!(addr.port() != 0, "http.addr has port 0, which takes any free port: name the instance with --url");
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let addr = SocketAddr::new(ip, addr.port());
    Url::parse(&format!("http://{addr}/")).with_context(|| format!("{addr} is not an address"))
}

/// The status and the body of an answer.
async fn ask(url: &Url, patience: Duration) -> Result<(u16, Value), String> {
    // The instance is asked itself, whatever proxy this machine has for other addresses.
    let client = client::builder(url).timeout(patience).no_proxy().build().map_err(|error| error.to_string())?;
    let reason = |error: reqwest::Error| client::reason(&error);
    let response = client.get(url.clone()).send().await.map_err(reason)?;
    let status = response.status().as_u16();
    let body = response.bytes().await.map_err(reason)?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// The address without user and password.
fn shown(url: &Url) -> String {
    crate::config::redact::redact_url(url.as_str())
}

/// What an answer says: its status, and why; empty if it is not an instance's.
fn told(answer: &Value) -> String {
    let text = |at: &str| client::text(answer, at);
    let pools = answer.get("pools").and_then(Value::as_object).into_iter().flatten();
    let troubled: Vec<&str> = pools.filter(|(_, trouble)| !trouble.is_null()).map(|(name, _)| name.as_str()).collect();
    let reasons = [text("/code").to_owned(), text("/detail").to_owned(), troubled.join(", ")];
    let reasons: Vec<String> = reasons.into_iter().filter(|reason| !reason.is_empty()).collect();
    match text("/status") {
        "" => String::new(),
        status if reasons.is_empty() => status.to_owned(),
        status => format!("{status}: {}", reasons.join(": ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_listens_everywhere_is_asked_on_loopback() {
        for (addr, url) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080/"),
            ("[::]:9", "http://[::1]:9/"),
            ("10.0.0.7:80", "http://10.0.0.7/"),
        ] {
            assert_eq!(local(addr).unwrap().as_str(), url);
        }
        assert!(local("127.0.0.1:0").unwrap_err().to_string().contains("--url"));
    }

    #[test]
    fn an_answer_is_told_in_one_line() {
        let ready = json!({ "status": "ready", "pools": { "main": null } });
        assert_eq!(told(&ready), "ready");
        let degraded =
            json!({ "status": "degraded", "pools": { "main": null, "sms": { "code": "provider_unreachable" } } });
        assert_eq!(told(&degraded), "degraded: sms");
        let away = json!({ "status": "unavailable", "code": "disk_full", "detail": "no room", "pools": {} });
        assert_eq!(told(&away), "unavailable: disk_full: no room");
        assert_eq!(told(&Value::Null), "");
        let problem = json!({ "status": 404, "code": "not_found", "detail": "there is nothing here" });
        assert_eq!(told(&problem), "", "another path of Volley, or another program");
    }
}
