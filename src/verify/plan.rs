//! What breaks, and when: a plan of faults made from a seed. Pure, so that the same seed makes the same plan.

use std::time::Duration;

use serde::Serialize;

use super::climate::Demands;
use super::provider_mode::ProviderMode;
use super::rng::Rng;
use crate::verify::climate::{Climate, Faults};

/// What there is to break.
#[derive(Debug, Clone, Copy)]
pub struct Topology {
    /// How many instances.
    pub instances: usize,
    /// How long a lease lasts: an instance is frozen for longer.
    pub lease: Duration,
    /// Whether the database is a server, with links to it.
    pub database: bool,
    /// Whether there is a broker.
    pub broker: bool,
}

/// What happens to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkTrouble {
    /// Every connection is reset, once; new ones work.
    Cut,
    /// Every connection is reset, and so is every new one.
    Refuse,
    /// Connections stay open, and nothing comes through until the end of it.
    BlackHole,
    /// Everything comes late.
    Slow,
    /// Everything comes in little pieces.
    Sliced,
}

/// One thing that breaks, and how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// `kill -9` of one instance, started again later.
    Kill {
        /// Which.
        instance: usize,
        /// When it is started again.
        down_ms: u64,
    },
    /// `kill -9` of all instances at once.
    KillAll {
        /// When they are started again.
        down_ms: u64,
    },
    /// SIGSTOP for longer than a lease, then SIGCONT.
    Freeze {
        /// Which.
        instance: usize,
        /// For how long.
        for_ms: u64,
    },
    /// All campaigns paused through the API, then resumed.
    Pause {
        /// For how long.
        for_ms: u64,
    },
    /// SIGTERM and a new start, one instance after the other.
    RollingRestart,
    /// The database server dies and comes back; one that is not ours loses all its links.
    RestartDatabase {
        /// How long it is away.
        down_ms: u64,
    },
    /// The broker dies and comes back; one that is not ours loses all its links.
    RestartBroker {
        /// How long it is away.
        down_ms: u64,
    },
    /// The link of one instance to the database.
    DatabaseLink {
        /// Whose.
        instance: usize,
        /// What happens to it.
        trouble: LinkTrouble,
        /// For how long.
        for_ms: u64,
    },
    /// The link of one instance to the broker.
    BrokerLink {
        /// Whose.
        instance: usize,
        /// What happens to it.
        trouble: LinkTrouble,
        /// For how long.
        for_ms: u64,
    },
    /// Page messages published again, in another order, with forged ones among them.
    BrokerMessages {
        /// How often each.
        copies: u64,
    },
    /// The providers misbehave.
    Provider {
        /// How.
        #[serde(flatten)]
        weather: ProviderMode,
        /// For how long.
        for_ms: u64,
    },
}

/// A fault with its time, counted from the launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timed {
    /// When it begins.
    pub at_ms: u64,
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
}

/// Everything that will break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What it was made from.
    pub seed: u64,
    /// What is demanded beside the promises.
    pub demands: Demands,
    /// How the providers are.
    pub climate: Climate,
    /// The faults, earliest first.
    pub faults: Vec<Timed>,
}

/// What a fault takes for itself: two that share something never happen at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Instance(usize),
    Database,
    Broker,
    Campaigns,
    Providers,
}

#[derive(Debug, Clone, Copy)]
enum Card {
    Kill,
    KillAll,
    Freeze,
    Pause,
    RollingRestart,
    RestartDatabase,
    RestartBroker,
    DatabaseLink,
    BrokerLink,
    BrokerMessages,
    Provider,
}

impl Card {
    const LIGHT: &[Self] = &[
        Self::Kill,
        Self::Pause,
        Self::Freeze,
        Self::RollingRestart,
        Self::RestartDatabase,
        Self::RestartBroker,
        Self::DatabaseLink,
        Self::Provider,
    ];
    const HEAVY: &[Self] = &[
        Self::Kill,
        Self::Kill,
        Self::Kill,
        Self::KillAll,
        Self::Freeze,
        Self::Pause,
        Self::Pause,
        Self::RollingRestart,
        Self::RestartDatabase,
        Self::RestartBroker,
        Self::DatabaseLink,
        Self::DatabaseLink,
        Self::BrokerLink,
        Self::BrokerMessages,
        Self::Provider,
        Self::Provider,
    ];

    fn exists_in(self, topology: &Topology) -> bool {
        match self {
            Self::RestartDatabase | Self::DatabaseLink => topology.database,
            Self::RestartBroker | Self::BrokerLink | Self::BrokerMessages => topology.broker,
            // With one instance that is a plain kill.
            Self::KillAll => topology.instances > 1,
            Self::Kill | Self::Freeze | Self::Pause | Self::RollingRestart | Self::Provider => true,
        }
    }

    fn play(self, topology: &Topology, rng: &Rng) -> Fault {
        const LINK: &[LinkTrouble] =
            &[LinkTrouble::Cut, LinkTrouble::Refuse, LinkTrouble::BlackHole, LinkTrouble::Slow, LinkTrouble::Sliced];
        let instance = rng.place(topology.instances);
        let lease_ms = u64::try_from(topology.lease.as_millis()).unwrap_or(u64::MAX);
        let one_of = |all: &[LinkTrouble]| all.get(rng.place(all.len())).copied().unwrap_or(LinkTrouble::Cut);
        match self {
            // Every third one stays away for so long that the others have to take over.
            Self::Kill => {
                let long = topology.instances > 1 && rng.between(1, 3) == 1;
                Fault::Kill { instance, down_ms: rng.between(0, 3_000) + if long { lease_ms } else { 0 } }
            }
            Self::KillAll => Fault::KillAll { down_ms: rng.between(0, 1_000) },
            Self::Freeze => Fault::Freeze { instance, for_ms: lease_ms + rng.between(2_000, 4_000) },
            Self::Pause => Fault::Pause { for_ms: rng.between(1_000, 2_500) },
            Self::RollingRestart => Fault::RollingRestart,
            Self::RestartDatabase => Fault::RestartDatabase { down_ms: rng.between(0, 2_000) },
            Self::RestartBroker => Fault::RestartBroker { down_ms: rng.between(0, 2_000) },
            Self::DatabaseLink => {
                Fault::DatabaseLink { instance, trouble: one_of(LINK), for_ms: rng.between(500, 4_000) }
            }
            Self::BrokerLink => Fault::BrokerLink { instance, trouble: one_of(LINK), for_ms: rng.between(500, 4_000) },
            Self::BrokerMessages => Fault::BrokerMessages { copies: rng.between(2, 10) },
            Self::Provider => {
                let (weather, for_ms) = ProviderMode::draw(rng);
                Fault::Provider { weather, for_ms }
            }
        }
    }
}

impl Fault {
    /// How long it lasts, recovery not counted. A rolling restart takes what it takes; this is a guess.
    #[must_use]
    pub fn length_ms(&self, instances: usize) -> u64 {
        match *self {
            Self::Kill { down_ms, .. }
            | Self::KillAll { down_ms }
            | Self::RestartDatabase { down_ms }
            | Self::RestartBroker { down_ms } => down_ms + 2_000,
            Self::Freeze { for_ms, .. }
            | Self::Pause { for_ms }
            | Self::DatabaseLink { for_ms, .. }
            | Self::BrokerLink { for_ms, .. }
            | Self::Provider { for_ms, .. } => for_ms + 500,
            Self::RollingRestart => 2_000 * u64::try_from(instances).unwrap_or(u64::MAX),
            Self::BrokerMessages { .. } => 1_000,
        }
    }

    /// A broker that restarts and a link that is cut are no excuse for a late pause, a provider's mood even less; an
    /// instance that is frozen may have asked its gate already, and without a database no pause is stored.
    pub(super) fn parts(&self, instances: usize) -> Vec<Part> {
        let all = (0..instances).map(Part::Instance);
        match *self {
            Self::Kill { instance, .. } => vec![Part::Instance(instance)],
            Self::KillAll { .. } => all.chain([Part::Campaigns]).collect(),
            Self::Freeze { instance, .. } => vec![Part::Instance(instance), Part::Campaigns],
            Self::Pause { .. } => vec![Part::Campaigns, Part::Database],
            Self::RollingRestart => all.chain([Part::Campaigns, Part::Database, Part::Providers]).collect(),
            Self::RestartDatabase { .. } => vec![Part::Database],
            Self::RestartBroker { .. } | Self::BrokerMessages { .. } => vec![Part::Broker],
            Self::DatabaseLink { instance, .. } => vec![Part::Instance(instance), Part::Database],
            Self::BrokerLink { instance, .. } => vec![Part::Instance(instance), Part::Broker],
            Self::Provider { .. } => vec![Part::Providers],
        }
    }
}

impl Plan {
    /// Deals faults over `duration`: every kind once before any comes twice, as far as the time allows.
    #[must_use]
    pub fn new(seed: u64, faults: Faults, topology: &Topology, duration: Duration) -> Self {
        let (cards, gap_ms) = match faults {
            Faults::None => (&[][..], (1, 1)),
            Faults::Light => (Card::LIGHT, (5_000, 9_000)),
            Faults::Heavy => (Card::HEAVY, (400, 2_200)),
        };
        let rng = Rng::new(seed);
        let mut plan = Self { seed, demands: Demands::of(faults), climate: Climate::of(faults), faults: Vec::new() };
        let cards: Vec<Card> = cards.iter().copied().filter(|card| card.exists_in(topology)).collect();
        let end = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut busy: Vec<(Part, u64)> = Vec::new();
        let mut deck: Vec<Card> = Vec::new();
        let mut now = rng.between(500, 2_000);
        while now < end && !cards.is_empty() {
            if deck.is_empty() {
                deck.clone_from(&cards);
                rng.shuffle(&mut deck);
            }
            busy.retain(|(_, until)| *until > now);
            let is_free = |part: &Part| busy.iter().all(|(taken, _)| taken != part);
            let dealt = deck.iter().enumerate().find_map(|(place, card)| {
                let fault = card.play(topology, &rng);
                let fits = now + fault.length_ms(topology.instances) <= end;
                (fits && fault.parts(topology.instances).iter().all(is_free)).then_some((place, fault))
            });
            if let Some((place, fault)) = dealt {
                deck.remove(place);
                let until = now + fault.length_ms(topology.instances);
                busy.extend(fault.parts(topology.instances).into_iter().map(|part| (part, until)));
                plan.faults.push(Timed { at_ms: now, fault });
                // Light faults come one at a time.
                now = if faults == Faults::Light { until } else { now };
            }
            now += rng.between(gap_ms.0, gap_ms.1);
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn topology(instances: usize, database: bool, broker: bool) -> Topology {
        Topology { instances, lease: Duration::from_secs(10), database, broker }
    }

    fn any_terrain() -> impl Strategy<Value = Topology> {
        (1..6_usize, any::<bool>(), any::<bool>()).prop_map(|(instances, database, broker)| {
            let database = database || instances > 1 || broker;
            topology(instances, database, broker)
        })
    }

    proptest! {
        #[test]
        fn the_same_seed_makes_the_same_plan(seed: u64, topology in any_terrain(), seconds in 1..200_u64) {
            let make = || Plan::new(seed, Faults::Heavy, &topology, Duration::from_secs(seconds));
            prop_assert_eq!(make(), make());
        }

        #[test]
        fn faults_come_in_order_end_in_time_and_never_share_a_part(
            seed: u64, topology in any_terrain(), seconds in 1..200_u64, heavy: bool,
        ) {
            let faults = if heavy { Faults::Heavy } else { Faults::Light };
            let end = seconds * 1_000;
            let plan = Plan::new(seed, faults, &topology, Duration::from_secs(seconds));
            for (place, one) in plan.faults.iter().enumerate() {
                prop_assert!(one.at_ms + one.fault.length_ms(topology.instances) <= end);
                for later in &plan.faults[place + 1..] {
                    prop_assert!(one.at_ms <= later.at_ms);
                    let overlap = later.at_ms < one.at_ms + one.fault.length_ms(topology.instances);
                    let parts = one.fault.parts(topology.instances);
                    let shared = later.fault.parts(topology.instances).iter().any(|part| parts.contains(part));
                    prop_assert!(!(overlap && shared), "{one:?} and {later:?}");
                }
            }
        }

        #[test]
        fn nothing_is_broken_that_is_not_there(seed: u64, heavy: bool) {
            let faults = if heavy { Faults::Heavy } else { Faults::Light };
            let plan = Plan::new(seed, faults, &topology(1, false, false), Duration::from_secs(120));
            prop_assert!(!plan.faults.is_empty());
            for Timed { fault, .. } in plan.faults {
                let local = matches!(fault, Fault::Kill { instance: 0, .. } | Fault::Freeze { instance: 0, .. }
                    | Fault::Pause { .. } | Fault::RollingRestart | Fault::Provider { .. });
                prop_assert!(local, "{fault:?}");
            }
        }

        #[test]
        fn a_long_plan_breaks_everything_there_is(seed: u64) {
            let plan = Plan::new(seed, Faults::Heavy, &topology(3, true, true), DAY / 60);
            let kinds: std::collections::HashSet<_> =
                plan.faults.iter().map(|one| std::mem::discriminant(&one.fault)).collect();
            prop_assert_eq!(kinds.len(), 11);
        }
    }

    #[test]
    fn no_faults_are_no_faults() {
        let plan = Plan::new(7, Faults::None, &topology(3, true, true), DAY);
        assert_eq!((plan.faults, plan.climate), (vec![], Climate::default()));
    }
}
