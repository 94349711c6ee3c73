//! How real providers misbehave for a while: as scripts of what they answer, drawn from a seed.

use serde::Serialize;

use super::provider::kind::Kind;
use super::rng::Rng;

/// How the providers behave for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "weather", rename_all = "snake_case")]
pub enum ProviderMode {
    /// They work.
    Fair,
    /// They hang up on everybody.
    HangUp,
    /// They say nothing.
    Silent,
    /// They say "later": 429 with `Retry-After`, 451.
    Busy,
    /// They refuse connections.
    Refused,
    /// Outage at the greeting: 421; HTTP: 503.
    OutageAtGreeting,
    /// Outage at `MAIL`: 421; HTTP: 503 with `Retry-After`.
    OutageAtMail,
    /// Outage at `RCPT`: 451; HTTP: 500, and nothing is taken.
    OutageAtRcpt,
    /// Outage at the final dot: 451; HTTP: 503.
    OutageAtFinal,
    /// They take so many connections: 421 to each beyond; HTTP: 429 to so many calls at once.
    FewConnections {
        /// How many.
        allowed: u64,
    },
    /// They take so many messages at once: 432 at the final dot; HTTP: 429.
    FewAtOnce {
        /// How many.
        allowed: u64,
    },
    /// They take so many messages a second: 454 at the final dot; HTTP: 429 without a word of when.
    SlowRate {
        /// How many a second.
        allowed: u64,
    },
    /// They take so many recipients a second: 450 4.7.1 or 451 4.7.0, by turns; HTTP: 429 with `Retry-After`.
    SlowRecipients {
        /// How many a second.
        allowed: u64,
    },
    /// They take so many recipients at once: 452 4.5.3; HTTP: 429.
    FewRecipients {
        /// How many.
        allowed: u64,
    },
    /// Each recipient is greylisted for so long; HTTP has no such thing, and answers 503.
    Greylisting {
        /// For how long, from a recipient's first try.
        for_ms: u64,
    },
    /// A daily quota is used up after so many; the next day comes with the end of this weather.
    Quota {
        /// How many are taken before.
        left: u64,
    },
}

/// How long an outage lasts.
const OUTAGE_MS: u64 = 10_000;

impl ProviderMode {
    /// Bad weather, and how long it lasts, in milliseconds.
    #[must_use]
    pub fn draw(rng: &Rng) -> (Self, u64) {
        let short = || rng.between(500, 3_000);
        let long = || rng.between(3_000, 8_000);
        match rng.between(1, 18) {
            1 => (Self::HangUp, short()),
            2 => (Self::Silent, short()),
            3 => (Self::Busy, short()),
            4 | 5 => (Self::Refused, OUTAGE_MS),
            6 => (Self::OutageAtGreeting, OUTAGE_MS),
            7 => (Self::OutageAtMail, OUTAGE_MS),
            8 => (Self::OutageAtRcpt, OUTAGE_MS),
            9 => (Self::OutageAtFinal, OUTAGE_MS),
            10 | 11 => (Self::FewConnections { allowed: rng.between(2, 10) }, long()),
            12 => (Self::FewAtOnce { allowed: rng.between(2, 10) }, long()),
            13 | 14 => (Self::SlowRate { allowed: rng.between(5, 50) }, long()),
            15 => (Self::SlowRecipients { allowed: rng.between(5, 50) }, long()),
            16 => (Self::FewRecipients { allowed: rng.between(2, 10) }, long()),
            17 => (Self::Greylisting { for_ms: rng.between(1_000, 3_000) }, long()),
            _ => (Self::Quota { left: rng.between(0, 50) }, long()),
        }
    }

    /// What a provider of this kind answers. Empty: what it answers in fair weather.
    pub(super) fn script(self, kind: Kind) -> String {
        match kind {
            Kind::Smtp => self.relay(),
            Kind::Http => self.gateway(),
        }
    }

    fn relay(self) -> String {
        match self {
            Self::Fair | Self::Refused => String::new(),
            Self::HangUp => "greeting: {cut}".to_owned(),
            Self::Silent => "final: {silent}".to_owned(),
            Self::Busy => "rcpt: 451 4.3.0 try later".to_owned(),
            Self::OutageAtGreeting => {
                "greeting: 421 4.3.2 Service not available {cut} ;; mail: 421 4.3.2 closing {cut}".to_owned()
            }
            Self::OutageAtMail => "mail: 421 4.3.2 shutting down {cut}".to_owned(),
            Self::OutageAtRcpt => "rcpt: 451 4.3.0 Temporary lookup failure".to_owned(),
            Self::OutageAtFinal => "final: 451 Temporary local problem - please try later".to_owned(),
            Self::FewConnections { allowed } => {
                format!("greeting open>{allowed}: 421 4.7.0 Too many concurrent SMTP connections {{cut}}")
            }
            Self::FewAtOnce { allowed } => format!(
                "final busy>{allowed}: 432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending"
            ),
            Self::SlowRate { allowed } => {
                format!("final rate>{allowed}: 454 Throttling failure: Maximum sending rate exceeded.")
            }
            Self::SlowRecipients { allowed } => format!(
                "rcpt share<50 rate>{allowed}: 450 4.7.1 Error: too many messages, please slow down\n\
                 rcpt rate>{allowed}: 451 4.7.0 Temporary server error: rate limit exceeded"
            ),
            Self::FewRecipients { allowed } => format!("rcpt busy>{allowed}: 452 4.5.3 Too many recipients"),
            Self::Greylisting { for_ms } => {
                format!(
                    "rcpt grey<{for_ms}ms: 450 4.2.0 Greylisted, please try again in {} seconds",
                    for_ms.div_ceil(1_000)
                )
            }
            Self::Quota { left } => format!("final passed>={left}: 550 5.4.5 Daily user sending quota exceeded."),
        }
    }

    fn gateway(self) -> String {
        match self {
            Self::Fair | Self::Refused => String::new(),
            Self::HangUp => "connect: {cut}".to_owned(),
            Self::Silent => "request: {silent}".to_owned(),
            Self::Busy => "request: 429 {Retry-After: 1}".to_owned(),
            Self::OutageAtGreeting | Self::OutageAtFinal => "request: 503 Service Unavailable".to_owned(),
            Self::OutageAtMail => "request: 503 {Retry-After: 2} Service Unavailable".to_owned(),
            Self::OutageAtRcpt => "request: 500 Internal Server Error".to_owned(),
            Self::FewConnections { allowed } | Self::FewAtOnce { allowed } | Self::FewRecipients { allowed } => {
                format!("request busy>{allowed}: 429 too many concurrent requests")
            }
            Self::SlowRate { allowed } => format!("request rate>{allowed}: 429 rate limit exceeded"),
            Self::SlowRecipients { allowed } => format!("request rate>{allowed}: 429 {{Retry-After: 1}} slow down"),
            Self::Greylisting { for_ms } => format!("request grey<{for_ms}ms: 503 not now"),
            Self::Quota { left } => format!("request passed>={left}: 429 daily quota exceeded"),
        }
    }
}

impl std::fmt::Display for ProviderMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fair => write!(f, "fair"),
            Self::HangUp => write!(f, "hangs up"),
            Self::Silent => write!(f, "silent"),
            Self::Busy => write!(f, "busy"),
            Self::Refused => write!(f, "refuses connections"),
            Self::OutageAtGreeting => write!(f, "out of order at the greeting"),
            Self::OutageAtMail => write!(f, "out of order at MAIL"),
            Self::OutageAtRcpt => write!(f, "out of order at RCPT"),
            Self::OutageAtFinal => write!(f, "out of order at the final dot"),
            Self::FewConnections { allowed } => write!(f, "takes {allowed} connections"),
            Self::FewAtOnce { allowed } => write!(f, "takes {allowed} messages at once"),
            Self::SlowRate { allowed } => write!(f, "takes {allowed} messages a second"),
            Self::SlowRecipients { allowed } => write!(f, "takes {allowed} recipients a second"),
            Self::FewRecipients { allowed } => write!(f, "takes {allowed} recipients at once"),
            Self::Greylisting { for_ms } => write!(f, "greylists for {for_ms} ms"),
            Self::Quota { left } => write!(f, "has {left} messages left of its quota"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::verify::provider::script::Script;

    #[test]
    fn every_weather_is_drawn_and_every_script_can_be_read() {
        let rng = Rng::new(3);
        let mut kinds = HashSet::new();
        for _ in 0..2_000 {
            let (weather, for_ms) = ProviderMode::draw(&rng);
            assert!((500..=OUTAGE_MS).contains(&for_ms), "{weather:?}");
            kinds.insert(std::mem::discriminant(&weather));
            for kind in [Kind::Smtp, Kind::Http] {
                let text = weather.script(kind);
                assert!(Script::parse(&text).is_ok(), "{weather:?}: {text}");
                assert_eq!(text.is_empty(), weather == ProviderMode::Refused, "{weather:?}");
            }
        }
        assert_eq!(kinds.len(), 15);
    }
}
