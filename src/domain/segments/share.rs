//! A random share of all contacts.

use sha2::{Digest, Sha256};

use crate::domain::ids::ContactId;

/// Hundredths of a percent in the whole.
const WHOLE: u64 = 10_000;

/// A part of all contacts, by a hash of the contact's id and a salt: the same contacts each time. Two salts take parts that have
/// nothing to do with each other. Shares of one salt lie side by side: 0 to 50 and 50 to 100 are two halves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Share {
    /// Any text.
    pub salt: String,
    /// Where the share begins, in hundredths of a percent.
    pub from: u32,
    /// Where it ends, in hundredths of a percent: at most 10,000.
    pub until: u32,
}

impl Share {
    /// Whether every contact is in it.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.from == 0 && u64::from(self.until) >= WHOLE
    }

    /// Whether a contact is in it.
    #[must_use]
    pub fn takes(&self, contact: ContactId) -> bool {
        let place = place(&self.salt, contact);
        u64::from(self.from) <= place && place < u64::from(self.until)
    }
}

/// Where a contact lies, in hundredths of a percent.
fn place(salt: &str, contact: ContactId) -> u64 {
    let digest = Sha256::new().chain_update(salt).chain_update([0]).chain_update(contact.0.to_be_bytes()).finalize();
    let first: Option<[u8; 8]> = digest.as_slice().first_chunk().copied();
    u64::from_be_bytes(first.unwrap_or_default()) % WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_one_salt_lie_side_by_side_and_those_of_two_have_nothing_to_do_with_each_other() {
        let share = |salt: &str, from, until| Share { salt: salt.to_owned(), from, until };
        let (left, right, other) = (share("a", 0, 5_000), share("a", 5_000, 10_000), share("b", 0, 5_000));
        let (mut taken, mut both) = (0, 0);
        for id in (1..=10_000).map(ContactId) {
            assert_ne!(left.takes(id), right.takes(id));
            taken += i32::from(left.takes(id));
            both += i32::from(left.takes(id) && other.takes(id));
        }
        assert!((4_800..5_200).contains(&taken), "{taken} of 10,000 are in a half");
        assert!((2_300..2_700).contains(&both), "{both} of 10,000 are in two halves");
    }

    #[test]
    fn a_contact_stays_where_it_is() {
        assert_eq!(place("spring", ContactId(7)), place("spring", ContactId(7)));
        assert_eq!((place("", ContactId(1)), place("spring", ContactId(1))), (6_974, 1_981), "of every version");
    }
}
