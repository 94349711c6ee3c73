//! What a journal knows of claims.

use std::collections::BTreeMap;

use super::claim::ClaimKey;
use super::settlement::Verdict;
use crate::domain::ids::ContactId;

/// A claim that the journal has a begin-line of, and its outcome where one was written down.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The claim.
    pub key: ClaimKey,
    /// What came of it.
    pub verdict: Option<Verdict>,
}

/// Everything that a journal knows of some contacts of one campaign: the claims of each, oldest first.
pub type Known = BTreeMap<ContactId, Vec<Begun>>;
