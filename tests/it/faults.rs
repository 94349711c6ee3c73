//! What a campaign must survive: killed processes, dead databases, hostile providers, full disks.

mod databases;
mod disks;
mod drains;
mod harness;
mod imports;
mod kills;
mod locks;
mod pauses;
mod poison;
mod providers;
mod verify;
