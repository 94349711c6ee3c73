//! How long a connection is waited for, and when a silent one counts as dead.

use std::time::Duration;

use super::parameters::Parameters;

/// libpq's own limits, where the URL sets none: a vanished server is noticed within seconds.
const DEFAULTS: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "10000"),
    ("keepalives_idle", "10"),
    // Without it a peer that vanished after it had taken a statement is noticed only 75 s later.
    ("keepalives_interval", "5"),
    ("application_name", "volley"),
];

/// So much sooner than libpq gives up, so that it can still be told why.
const AHEAD: Duration = Duration::from_millis(250);

/// The limits of connections to a server, as libpq calls and counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    /// `connect_timeout`; none: for ever.
    pub(super) patience: Option<Duration>,
    pub(super) keepalives: bool,
    pub(super) idle: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) count: Option<u32>,
    /// `tcp_user_timeout`, in milliseconds.
    pub(super) unacknowledged: Option<u32>,
}

/// Sets the limits that the URL does not.
pub(super) fn set_defaults(of: &mut Parameters) {
    for (name, value) in DEFAULTS {
        of.set_default(name, value);
    }
}

impl Limits {
    /// What `of` says. Zero and what is no number mean the system's own.
    pub(super) fn of(of: &Parameters) -> Self {
        let number = |name| of.get(name).and_then(|text| text.trim().parse::<u32>().ok()).filter(|number| *number > 0);
        let seconds = |name| number(name).map(|seconds| Duration::from_secs(seconds.into()));
        Self {
            patience: seconds("connect_timeout").map(|whole| whole.saturating_sub(AHEAD)),
            keepalives: of.get("keepalives").is_none_or(|value| value.trim() != "0"),
            idle: seconds("keepalives_idle"),
            interval: seconds("keepalives_interval"),
            count: number("keepalives_count"),
            unacknowledged: number("tcp_user_timeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_ours_where_the_url_says_nothing() {
        // The password is no parameter.
        let mut of = Parameters::parse("postgres://u:connect_timeout@db?connect_timeout=2&keepalives_count=3").unwrap();
        set_defaults(&mut of);
        let limits = Limits::of(&of);
        assert_eq!(limits.patience, Some(Duration::from_millis(1750)));
        assert_eq!((limits.idle, limits.count), (Some(Duration::from_secs(10)), Some(3)));
        assert_eq!(limits.unacknowledged, Some(10_000));
        assert_eq!(of.get("application_name"), Some("volley"));
        let forever = Parameters::parse("postgres://db?connect_timeout=0&keepalives=0").unwrap();
        let limits = Limits::of(&forever);
        assert!(limits.patience.is_none() && !limits.keepalives);
    }
}
