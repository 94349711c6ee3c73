//! Which provider knows an idempotency key, and for how long that is relied on.

use std::time::Duration;

/// A pool's provider and the form in which it sends, as a number: in the upper half a hash of where the provider is and
/// whether it honours keys, in the lower one a hash of what the pool's settings add to every message.
///
/// Kept with each claim. A key may be used again only while both halves are the same: another provider has never heard of
/// the key, and the same one would see two bodies under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, diesel_derive_newtype::DieselNewType)]
pub struct ProviderFingerprint(pub i64);

impl ProviderFingerprint {
    /// Of these hashes.
    #[must_use]
    pub fn new(provider: u32, form: u32) -> Self {
        Self(((u64::from(provider) << 32) | u64::from(form)).cast_signed())
    }

    /// Whether it is the same provider, in whatever form.
    #[must_use]
    pub fn is_same_provider(self, other: Self) -> bool {
        self.0 >> 32 == other.0 >> 32
    }
}

/// How long a key is relied on that a provider promises to know for so long, in milliseconds: a tenth less. `None` when that is
/// longer than can be said.
#[must_use]
pub fn relied_on_ms(promised: Duration) -> Option<i64> {
    i64::try_from(promised.as_millis() / 10 * 9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_the_same_in_another_form() {
        let one = ProviderFingerprint::new(u32::MAX, 1);
        assert!(one.is_same_provider(ProviderFingerprint::new(u32::MAX, 2)));
        assert!(!one.is_same_provider(ProviderFingerprint::new(7, 1)));
        assert_ne!(one, ProviderFingerprint::new(u32::MAX, 2));
    }
}
