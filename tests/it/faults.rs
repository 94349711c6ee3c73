//! What a campaign must survive: killed processes, dead databases, hostile providers, full disks.

mod attention;
mod boots;
mod callbacks;
mod databases;
mod deadlocks;
mod disks;
mod drains;
mod events;
mod fail_points;
mod failovers;
mod freezes;
mod harness;
mod imports;
mod kills;
mod locks;
mod pauses;
mod poison;
mod providers;
mod refusals;
mod renders;
mod retries;
mod spools;
mod standstills;
mod stragglers;
mod tracking;
mod verify;
