//! Recipient domains, told apart by bins.

/// Domains are told apart by so many bins: a list may have a hundred thousand of them, and a row holds a few.
pub(super) const BINS: usize = 32;

/// The bin of an address's domain: FNV-1a of what follows the last `@`, in lower case. `None` without one.
#[must_use]
pub fn bin_of(address: &str) -> Option<u8> {
    let (_, domain) = address.rsplit_once('@')?;
    let hash = domain.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    });
    u8::try_from((hash ^ (hash >> 32)) % u64::try_from(BINS).unwrap_or(1)).ok()
}
