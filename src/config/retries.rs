//! `[retries]`: when a recipient is tried again after a refusal for now, by channel. A pool may say otherwise.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pools::{PoolConfig, ProviderConfig};
use crate::domain::channel::ChannelKind;
use crate::domain::dispatch::retries;
use crate::domain::span::Span;

/// The waits between tries, of which the last repeats, and how much waiting a delivery is given in all.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// Email: 5, 10, 30 minutes, then hourly. Relays that greylist accept nobody before five minutes have passed.
    pub email_delays: Vec<Span>,
    /// Email: 6 hours.
    pub email_for: Span,
    /// SMS: 1, 5, 30 seconds, 2, then every 5 minutes.
    pub sms_delays: Vec<Span>,
    /// SMS: 15 minutes.
    pub sms_for: Span,
    /// WhatsApp: 1, 5, 30 seconds, 2, then every 5 minutes.
    pub whatsapp_delays: Vec<Span>,
    /// WhatsApp: 15 minutes.
    pub whatsapp_for: Span,
    /// HTTP: 1, 5, 30 seconds, 2, then every 5 minutes.
    pub http_delays: Vec<Span>,
    /// HTTP: 15 minutes.
    pub http_for: Span,
}

impl Default for Retries {
    fn default() -> Self {
        let soon = || [1, 5, 30, 120, 300].map(Span::seconds).to_vec();
        let quarter = Span::seconds(15 * 60);
        Self {
            email_delays: [300, 600, 1_800, 3_600].map(Span::seconds).to_vec(),
            email_for: Span::seconds(6 * 3_600),
            sms_delays: soon(),
            sms_for: quarter,
            whatsapp_delays: soon(),
            whatsapp_for: quarter,
            http_delays: soon(),
            http_for: quarter,
        }
    }
}

impl Retries {
    /// What holds for a channel.
    #[must_use]
    pub fn of(&self, channel: ChannelKind) -> (&[Span], Span) {
        match channel {
            ChannelKind::Email => (&self.email_delays, self.email_for),
            ChannelKind::Sms => (&self.sms_delays, self.sms_for),
            ChannelKind::Whatsapp => (&self.whatsapp_delays, self.whatsapp_for),
            ChannelKind::Http => (&self.http_delays, self.http_for),
        }
    }

    /// Gives a pool what it leaves out. The sandbox keeps its own: it refuses by dice, and nobody wants to wait for those.
    pub fn complete(&self, pool: &mut PoolConfig) {
        let is_sandbox = matches!(pool.provider, ProviderConfig::Sandbox(_));
        if !is_sandbox {
            let (delays, retry_for) = self.of(pool.channel);
            pool.retry_delays.get_or_insert_with(|| delays.to_vec());
            pool.retry_for.get_or_insert(retry_for);
        }
    }
}

impl PoolConfig {
    /// The pool's waits. What it leaves out is its channel's default; a sandbox waits for 1, 2 and 4 seconds.
    #[must_use]
    pub fn retries(&self) -> retries::Retries {
        let (delays, retry_for) = match &self.provider {
            ProviderConfig::Sandbox(_) => ([1, 2, 4].map(Span::seconds).to_vec(), Span::seconds(7)),
            ProviderConfig::Smtp(_) | ProviderConfig::Webhook(_) => {
                let defaults = Retries::default();
                let (delays, retry_for) = defaults.of(self.channel);
                (delays.to_vec(), retry_for)
            }
        };
        let delays = self.retry_delays.as_ref().unwrap_or(&delays);
        let delays: Vec<Duration> = delays.iter().map(|delay| delay.0).collect();
        retries::Retries::new(delays, self.retry_for.unwrap_or(retry_for).0, self.max_attempts)
    }
}
