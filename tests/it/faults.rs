//! What a campaign must survive: killed processes, dead databases, hostile providers, full disks.

mod harness;
