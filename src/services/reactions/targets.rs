//! The targets of the settings, ready to be called.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::channels::webhook::call::{Answered, Caller};
use crate::config::Settings;
use crate::domain::callbacks::standard_webhooks::sign;
use crate::domain::dispatch::retries::Retries;
use crate::domain::reactions::CampaignNews;
use crate::domain::trace::Trace;

/// A target's settings cannot work.
#[derive(Debug, thiserror::Error)]
#[error("target {target}: {reason}")]
pub struct UnusableTarget {
    /// Its name.
    pub target: String,
    /// Which setting, and what is wrong with it.
    pub reason: String,
}

/// A target.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) concurrency: usize,
    pub(super) timeout: Duration,
    pub(super) retries: Retries,
    caller: Caller,
    secrets: Vec<String>,
    events: Vec<CampaignNews>,
}

impl Target {
    /// Makes a call, signed after <https://www.standardwebhooks.com>.
    /// `trace`: what it is a part of.
    pub(super) async fn call(&self, id: &str, seconds: i64, trace: Option<Trace>, body: &str) -> Answered {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let signature = sign(&secrets, id, seconds, body.as_bytes());
        let seconds = seconds.to_string();
        let mut headers = vec![
            ("webhook-id", id),
            ("webhook-timestamp", seconds.as_str()),
            ("webhook-signature", signature.as_str()),
        ];
        // Each try has a name of its own in the trace.
        let traced = trace.map(|trace| trace.header(uuid::Uuid::new_v4().as_u64_pair().1));
        headers.extend(traced.as_deref().map(|traced| ("traceparent", traced)));
        self.caller.call(&headers, body.as_bytes()).await
    }
}

/// The targets of the settings. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Targets(Arc<BTreeMap<String, Arc<Target>>>);

impl Targets {
    /// Those of the settings. Opens no connection.
    ///
    /// # Errors
    /// [`UnusableTarget`] for the first one that cannot work.
    pub fn of(settings: &Settings) -> Result<Self, UnusableTarget> {
        let target = |config: &crate::config::targets::TargetConfig| {
            let unusable = |reason| UnusableTarget { target: config.name.clone(), reason };
            let target = Target {
                name: config.name.clone(),
                concurrency: config.concurrency,
                timeout: config.timeout(),
                retries: config.retries(),
                caller: Caller::new(&config.webhook(), config.timeout()).map_err(unusable)?,
                secrets: config.secrets().into_iter().map(str::to_owned).collect(),
                events: config.events.clone(),
            };
            Ok((config.name.clone(), Arc::new(target)))
        };
        let all = settings.targets.iter().map(target).collect::<Result<_, UnusableTarget>>()?;
        Ok(Self(Arc::new(all)))
    }

    /// Their names, in order, and what each hears of.
    pub(super) fn said(&self) -> Vec<(String, Vec<CampaignNews>)> {
        self.all().map(|target| (target.name.clone(), target.events.clone())).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Target>> {
        self.0.get(name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.0.values()
    }

    /// Those that hear of an event of campaigns.
    pub(super) fn hearing(&self, event: &str) -> Vec<String> {
        let news = CampaignNews::from_text(event);
        let hears = |target: &&Arc<Target>| news.is_some_and(|news| target.events.contains(&news));
        self.all().filter(hears).map(|target| target.name.clone()).collect()
    }
}
