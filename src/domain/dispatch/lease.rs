//! Leases: the right to claim from a page, until an expiry.

use crate::domain::ids::{CampaignId, InstanceId, PageId};

/// Proof of a lease: fresh for every lease. It names the instance that it was made for, and is random otherwise: deliveries keep it
/// when the lease is long over, and it is then all that tells who had them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, diesel_derive_newtype::DieselNewType)]
pub struct LeaseToken(pub i64);

/// The random bits of a token. Above them are 20 bits for the instance, and the sign.
const RANDOM_BITS: u32 = 43;

impl LeaseToken {
    /// A token for a lease of this instance, from 64 random bits. The instance is left out where its id needs more than 20 bits.
    #[must_use]
    pub fn made_for(owner: InstanceId, random: u64) -> Self {
        let owner = u64::try_from(owner.0).ok().filter(|id| *id < 1 << (63 - RANDOM_BITS)).unwrap_or(0);
        let random = random >> (64 - RANDOM_BITS);
        Self((owner << RANDOM_BITS | random).cast_signed())
    }

    /// The instance that it was made for, where the token says so. A token of a version that did not write it down says any number, so
    /// ask whether there is such an instance.
    #[must_use]
    pub fn owner(self) -> Option<InstanceId> {
        let id = self.0 >> RANDOM_BITS;
        (id > 0).then_some(InstanceId(id))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_the_instance_that_it_was_made_for() {
        for id in [1, 7, 1_048_575] {
            let tokens = [0, 1, u64::MAX].map(|random| LeaseToken::made_for(InstanceId(id), random));
            for token in tokens {
                assert_eq!(token.owner(), Some(InstanceId(id)), "{token:?}");
                assert!(token.0 > 0, "{token:?}");
            }
            assert_ne!(tokens[0], tokens[2]);
        }
        for id in [0, -1, 1_048_576, i64::MAX] {
            assert_eq!(LeaseToken::made_for(InstanceId(id), u64::MAX).owner(), None, "{id}");
        }
        assert_eq!(LeaseToken(9).owner(), None, "made before tokens named an instance");
    }
}
