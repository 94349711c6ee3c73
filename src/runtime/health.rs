//! What keeps work from going on: the source of a campaign's `attention` and of `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::domain::campaigns::brake::{Brake, BrakeKind, Pulled};
use crate::domain::ids::CampaignId;
use crate::domain::instant::UtcInstant;
use crate::domain::replicas::role::Role;
use crate::domain::text_enum::text_enum;
use crate::store::StoreError;
use crate::store::replicas::instances::Neighbour;

text_enum! {
    /// Why work does not go on. docs/operations.md says of each what to do.
    AttentionCode {
        /// The pool's provider cannot be reached, or accepts nothing.
        ProviderUnreachable = "provider_unreachable",
        /// The pool's provider asked for fewer calls, and gets them.
        ProviderThrottling = "provider_throttling",
        /// No pool of the campaign's name is configured on this instance.
        PoolMissing = "pool_missing",
        /// An operator has suspended the pool.
        PoolSuspended = "pool_suspended",
        /// The disk of the database or of the journal is full.
        DiskFull = "disk_full",
        /// The database does not answer.
        DatabaseUnavailable = "database_unavailable",
        /// A claim took longer than `timing.start_deadline_ms`.
        DatabaseSlow = "database_slow",
        /// The database lost its newest commits.
        DatabaseRewound = "database_rewound",
        /// The journal cannot be written, for another reason than a full disk.
        JournalUnavailable = "journal_unavailable",
        /// The content cannot be compiled, or cannot be rendered for too many recipients.
        ContentUnusable = "content_unusable",
        /// Nearly all recipients were refused alike.
        RefusedAlike = "refused_alike",
        /// Too many messages came back because the address does not exist.
        BouncesHigh = "bounces_high",
        /// Too many recipients called the message spam.
        ComplaintsHigh = "complaints_high",
        /// A scheduled campaign could not be launched as it is now.
        LaunchImpossible = "launch_impossible",
        /// The audience cannot be packed: the database refuses it again and again.
        PackingFailed = "packing_failed",
        /// No instance that lives sends anything: all of them only take requests.
        NoSender = "no_sender",
    }
}

impl AttentionCode {
    /// Whether nothing goes on. Where the provider throttles or the database is slow, something does.
    #[must_use]
    pub const fn stops_everything(self) -> bool {
        !matches!(self, Self::ProviderThrottling | Self::DatabaseSlow)
    }
}

/// A code and one line of detail: an [`Attention`] before it has a time.
pub type Trouble = (AttentionCode, String);

/// Something that keeps work from going on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attention {
    /// Stable: `provider_unreachable`, `provider_throttling`, `pool_missing`, `disk_full`, `database_unavailable`,
    /// `database_slow`, `journal_unavailable`, `content_unusable`, `refused_alike`, `bounces_high`,
    /// `complaints_high`, `pool_suspended`, `database_rewound`, `launch_impossible`, `no_sender`, `packing_failed`.
    #[schema(value_type = String)]
    pub code: AttentionCode,
    /// One line for people.
    pub detail: String,
    /// Since when.
    pub since: UtcInstant,
}

impl Attention {
    /// A campaign was paused because too many of its recipients could not be rendered.
    #[must_use]
    pub fn content_doubted(since: UtcInstant) -> Self {
        let detail = "more than 1 % of the recipients could not be rendered: the failed deliveries say why; \
                      resume to send to the others, or stop";
        Self { code: AttentionCode::ContentUnusable, detail: detail.to_owned(), since }
    }

    /// A campaign was paused because nearly everybody was refused alike.
    #[must_use]
    pub fn refused_alike(quote: &str, since: UtcInstant) -> Self {
        let detail = format!("{quote}; fix the cause, retry-failed, then resume; or stop");
        Self { code: AttentionCode::RefusedAlike, detail, since }
    }

    /// A campaign was paused because too much of it came back.
    #[must_use]
    pub fn braked(pulled: Pulled) -> Self {
        let Pulled { brake: Brake { kind, part, whole }, at } = pulled;
        let (code, what) = match kind {
            BrakeKind::Bounces => (AttentionCode::BouncesHigh, "bounced"),
            BrakeKind::Complaints => (AttentionCode::ComplaintsHigh, "were called spam"),
        };
        let detail = format!("{part} of {whole} messages {what}; resume to go on all the same, or stop");
        Self { code, detail, since: at }
    }

    /// A campaign was paused because the database went back in time.
    #[must_use]
    pub fn database_rewound(since: UtcInstant) -> Self {
        let detail = "the database lost its newest commits when it was failed over or restored: see that every instance \
                      has been started again and look through the uncertain deliveries, then resume";
        Self { code: AttentionCode::DatabaseRewound, detail: detail.to_owned(), since }
    }
}

/// The health of this instance's parts. Held in memory on purpose: that the disk is full cannot be written to the disk.
#[derive(Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<Parts>>,
}

#[derive(Default)]
struct Parts {
    role: Role,
    /// What is known of the other instances, where this one sends nothing.
    elsewhere: Option<Elsewhere>,
    store: Option<Attention>,
    /// How often the database turned out to be away.
    absences: u64,
    journal: Option<Attention>,
    pools: BTreeMap<String, Option<Attention>>,
    campaigns: BTreeMap<i64, Attention>,
    unpackable: BTreeMap<i64, Attention>,
    unlaunchable: BTreeMap<i64, Attention>,
    suspended: BTreeMap<String, Option<Attention>>,
}

/// What instances say of their troubles with each heartbeat.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Troubles {
    pools: BTreeMap<String, Attention>,
    campaigns: BTreeMap<i64, Attention>,
}

/// What is known of the other instances.
#[derive(Default)]
struct Elsewhere {
    /// Each pool that one of them runs, and its trouble if all of these have one.
    pools: BTreeMap<String, Option<Attention>>,
    campaigns: BTreeMap<i64, Attention>,
    /// That none of them sends.
    no_sender: Option<Attention>,
}

impl Health {
    /// The health of an instance that does this.
    #[must_use]
    pub fn of(role: Role) -> Self {
        let health = Self::default();
        health.lock().role = role;
        health
    }

    /// What this instance does.
    #[must_use]
    pub fn role(&self) -> Role {
        self.lock().role
    }

    /// What keeps this instance from going on, for the others: JSON.
    #[must_use]
    pub fn troubles(&self) -> String {
        let parts = self.lock();
        let pools = parts.pools.iter().filter_map(|(name, trouble)| Some((name.clone(), trouble.clone()?)));
        let troubles = Troubles { pools: pools.collect(), campaigns: parts.campaigns.clone() };
        serde_json::to_string(&troubles).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Notes what the other instances say. This one sends nothing, so what keeps campaigns from going on is with them.
    pub fn note_neighbours(&self, neighbours: &[Neighbour]) {
        let mut next = Elsewhere::default();
        for one in neighbours.iter().filter(|one| one.role.sends()) {
            // Another version may say it in other words.
            let mut said: Troubles = serde_json::from_str(&one.troubles).unwrap_or_default();
            for pool in serde_json::from_str::<Vec<String>>(&one.pools).unwrap_or_default() {
                let trouble = said.pools.remove(&pool);
                let known = next.pools.entry(pool).or_insert_with(|| trouble.clone());
                if trouble.is_none() {
                    *known = None;
                }
            }
            next.campaigns.append(&mut said.campaigns);
        }
        let mut parts = self.lock();
        next.no_sender = parts.elsewhere.take().and_then(|before| before.no_sender);
        let none = !neighbours.iter().any(|one| one.role.sends());
        let detail = "no instance sends: start one with volley serve or volley serve --only sender";
        replace(&mut next.no_sender, none.then(|| (AttentionCode::NoSender, detail.to_owned())));
        parts.elsewhere = Some(next);
    }

    /// That no instance sends, if so.
    #[must_use]
    pub fn no_sender(&self) -> Option<Attention> {
        self.lock().elsewhere.as_ref()?.no_sender.clone()
    }
    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how the database answered. Returns whether that is news.
    pub fn note_store(&self, result: Result<(), &StoreError>) -> bool {
        let next = result.err().map(|error| {
            if matches!(error, StoreError::DiskFull { .. }) {
                (AttentionCode::DiskFull, "the disk of the database is full".to_owned())
            } else {
                (AttentionCode::DatabaseUnavailable, error.to_string())
            }
        });
        let mut parts = self.lock();
        if result.is_err_and(StoreError::is_absence) {
            parts.absences += 1;
        }
        replace(&mut parts.store, next)
    }

    /// How often any part of this process found the database away. The same as before: it was there all the time, as far as
    /// anybody noticed.
    #[must_use]
    pub fn absences(&self) -> u64 {
        self.lock().absences
    }

    /// Notes whether the journal takes writes. Returns whether that is news.
    pub fn note_journal(&self, trouble: Option<String>) -> bool {
        let next = trouble.map(|detail| {
            let code = if detail.contains("No space left") || detail.contains("File too large") {
                AttentionCode::DiskFull
            } else {
                AttentionCode::JournalUnavailable
            };
            (code, format!("the journal cannot be written: {detail}"))
        });
        replace(&mut self.lock().journal, next)
    }

    /// Notes whether a pool's provider can be used. Returns whether that is news.
    pub fn note_pool(&self, pool: &str, trouble: Option<Trouble>) -> bool {
        let mut parts = self.lock();
        match parts.pools.get_mut(pool) {
            Some(slot) => replace(slot, trouble),
            None => replace(parts.pools.entry(pool.to_owned()).or_default(), trouble),
        }
    }

    /// Notes whether operators have suspended a pool, and why.
    pub fn note_suspension(&self, pool: &str, reason: Option<String>) {
        let trouble = reason.map(|reason| {
            let detail = if reason.is_empty() { "an operator has suspended the pool".to_owned() } else { reason };
            (AttentionCode::PoolSuspended, detail)
        });
        let mut parts = self.lock();
        match parts.suspended.get_mut(pool) {
            Some(slot) => replace(slot, trouble),
            None => replace(parts.suspended.entry(pool.to_owned()).or_default(), trouble),
        };
    }

    /// Notes which scheduled campaigns could not be launched as they are now, and why not; all others could.
    pub fn note_unlaunchable(&self, found: Vec<(CampaignId, String)>) {
        let mut parts = self.lock();
        let mut before = std::mem::take(&mut parts.unlaunchable);
        for (campaign, reason) in found {
            let mut slot = before.remove(&campaign.0);
            replace(&mut slot, Some((AttentionCode::LaunchImpossible, reason)));
            parts.unlaunchable.extend(slot.map(|attention| (campaign.0, attention)));
        }
    }

    /// Why a scheduled campaign could not be launched as it was when it was last looked at.
    #[must_use]
    pub fn unlaunchable(&self, campaign: CampaignId) -> Option<Attention> {
        self.lock().unlaunchable.get(&campaign.0).cloned()
    }

    /// Notes what is wrong with one campaign itself.
    pub fn note_campaign(&self, campaign: CampaignId, trouble: Option<Trouble>) {
        let mut parts = self.lock();
        let mut slot = parts.campaigns.remove(&campaign.0);
        replace(&mut slot, trouble);
        if let Some(attention) = slot {
            parts.campaigns.insert(campaign.0, attention);
        }
    }

    /// Notes why the audience of a campaign cannot be packed, or that it can. Returns whether that is news.
    pub fn note_packing(&self, campaign: CampaignId, trouble: Option<String>) -> bool {
        let mut parts = self.lock();
        let mut slot = parts.unpackable.remove(&campaign.0);
        let news = replace(&mut slot, trouble.map(|detail| (AttentionCode::PackingFailed, detail)));
        parts.unpackable.extend(slot.map(|attention| (campaign.0, attention)));
        news
    }

    /// The trouble of the database or the journal: then this instance is not ready.
    #[must_use]
    pub fn vital(&self) -> Option<Attention> {
        let parts = self.lock();
        parts.store.clone().or_else(|| parts.journal.clone())
    }

    /// Each pool of this instance, or where it sends nothing those of the others, and its trouble.
    #[must_use]
    pub fn pools(&self) -> BTreeMap<String, Option<Attention>> {
        let parts = self.lock();
        let suspended = |name: &String| parts.suspended.get(name).cloned().flatten();
        let shown =
            |(name, trouble): (&String, &Option<Attention>)| (name.clone(), suspended(name).or(trouble.clone()));
        let pools = parts.elsewhere.as_ref().map_or(&parts.pools, |elsewhere| &elsewhere.pools);
        pools.iter().map(shown).collect()
    }

    /// Why a campaign that is `sending` through `pool` cannot go on, if it cannot.
    #[must_use]
    pub fn attention(&self, campaign: CampaignId, pool: Option<&str>) -> Option<Attention> {
        if let Some(vital) = self.vital() {
            return Some(vital);
        }
        let parts = self.lock();
        if let Some(unpackable) = parts.unpackable.get(&campaign.0) {
            return Some(unpackable.clone());
        }
        if let Some(own) = parts.campaigns.get(&campaign.0) {
            return Some(own.clone());
        }
        if let Some(Some(suspended)) = pool.and_then(|name| parts.suspended.get(name)) {
            return Some(suspended.clone());
        }
        if !parts.role.sends() {
            return elsewhere(parts.elsewhere.as_ref()?, campaign, pool);
        }
        match pool.map(|name| (name, parts.pools.get(name))) {
            Some((_, Some(trouble))) => trouble.clone(),
            Some((name, None)) => Some(attention(
                AttentionCode::PoolMissing,
                format!("no pool named {name} is configured on this instance"),
            )),
            None => Some(attention(AttentionCode::PoolMissing, "the campaign has no pool".to_owned())),
        }
    }
}

/// Why a campaign cannot go on at the instances that send.
fn elsewhere(known: &Elsewhere, campaign: CampaignId, pool: Option<&str>) -> Option<Attention> {
    let missing = |detail: String| Some(attention(AttentionCode::PoolMissing, detail));
    if let Some(none) = &known.no_sender {
        return Some(none.clone());
    }
    match pool.map(|name| (name, known.pools.get(name))) {
        Some((_, Some(trouble))) => known.campaigns.get(&campaign.0).or(trouble.as_ref()).cloned(),
        Some((name, None)) => missing(format!("no instance that sends has a pool named {name}")),
        None => missing("the campaign has no pool".to_owned()),
    }
}

/// Puts a trouble in its slot; one that goes on keeps its `since`.
fn replace(slot: &mut Option<Attention>, next: Option<Trouble>) -> bool {
    match (slot.as_mut(), next) {
        (None, None) => false,
        (Some(_), None) => {
            *slot = None;
            true
        }
        (Some(now), Some((code, detail))) if now.code == code => {
            now.detail = detail;
            false
        }
        (_, Some((code, detail))) => {
            *slot = Some(attention(code, detail));
            true
        }
    }
}

fn attention(code: AttentionCode, detail: String) -> Attention {
    // Shown to people only; nothing is decided by it.
    let since = UtcInstant(jiff::Timestamp::now().as_millisecond());
    Attention { code, detail, since }
}
