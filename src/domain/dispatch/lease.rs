//! Leases: the right to claim from a page, until an expiry.

use crate::domain::ids::{CampaignId, InstanceId, PageId};

/// Proof of a lease: random, fresh for every lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, diesel_derive_newtype::DieselNewType)]
pub struct LeaseToken(pub i64);

/// Who holds a lease: an incarnation of a process, and which rebuild of the pool in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The incarnation.
    pub instance: InstanceId,
    /// Rises each time the guardian rebuilds the pool.
    pub generation: i64,
}

/// A lease as its owner wrote it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The campaign.
    pub campaign: CampaignId,
    /// The page.
    pub page: PageId,
    /// The lease.
    pub token: LeaseToken,
}
