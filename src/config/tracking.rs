//! `[tracking]`: clicks and opens.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::texts;

/// `[tracking]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tracking {
    /// Hosts that a link may compute: `shop.example.com`. None: a link whose host is not in the template itself is not tracked.
    #[serde(deserialize_with = "texts::read")]
    pub hosts: Vec<String>,
    /// What is clicked or opened so soon after its hand-over was a machine's doing, in milliseconds. 5,000.
    pub machine_within_ms: u64,
    /// The most that waits for the database on this instance's disk, in MiB; more is not counted. 256.
    pub spool_mib: u64,
}

impl Default for Tracking {
    fn default() -> Self {
        Self { hosts: Vec::new(), machine_within_ms: 5_000, spool_mib: 256 }
    }
}

impl Tracking {
    /// What is clicked or opened so soon after its hand-over was a machine's doing.
    #[must_use]
    pub const fn machine_within(&self) -> Duration {
        Duration::from_millis(self.machine_within_ms)
    }

    /// The hosts that a link may compute, as URLs spell them.
    #[must_use]
    pub fn spelled_hosts(&self) -> Vec<String> {
        self.hosts.iter().filter_map(|host| spelled(host)).collect()
    }

    /// What is wrong with one of the hosts.
    pub(super) fn check_hosts(&self) -> Result<(), String> {
        match self.hosts.iter().find(|host| spelled(host).is_none()) {
            None => Ok(()),
            Some(host) => Err(format!("{host:?} is no host such as shop.example.com; it has neither scheme nor port")),
        }
    }
}

/// A host as URLs spell it.
fn spelled(host: &str) -> Option<String> {
    let url = Url::parse(&format!("https://{host}/")).ok()?;
    let is_host = url.path() == "/" && url.username().is_empty() && url.password().is_none() && url.port().is_none();
    let is_host = is_host && url.query().is_none() && url.fragment().is_none() && !host.contains([':', '/', '\\']);
    url.host_str().filter(|_| is_host && host.trim() == host).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_spelled_as_in_urls_and_are_nothing_else() {
        let tracking =
            Tracking { hosts: vec!["Shop.Example".to_owned(), "müller.example".to_owned()], ..Tracking::default() };
        assert_eq!(tracking.spelled_hosts(), ["shop.example", "xn--mller-kva.example"]);
        assert_eq!(tracking.check_hosts(), Ok(()));
        for host in [
            "",
            " a.example",
            "https://a.example",
            "a.example:8443",
            "a.example/",
            "a@b.example",
            "*.example/x",
            "a.example?",
        ] {
            let tracking = Tracking { hosts: vec![host.to_owned()], ..Tracking::default() };
            assert!(tracking.check_hosts().is_err(), "{host}");
        }
    }
}
