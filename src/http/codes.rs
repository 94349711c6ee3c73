//! Codes that sign a person in once. They are in memory only: they are printed by the process that takes them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::domain::ids::ApiKeyId;
use crate::store::StoreError;
use crate::store::access::api_keys;

/// How long a code can be used that was printed at the start.
const CODE_LASTS: Duration = Duration::from_secs(300);

/// Most codes that wait to be used.
const MOST_CODES: usize = 16;

/// Whose session a code opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeFor {
    /// The holder of the root key.
    Root,
    /// The holder of a stored key.
    Key(ApiKeyId),
}

/// The codes of an instance.
#[derive(Default)]
pub struct Codes(Mutex<Vec<Code>>);

/// A code that waits to be used.
#[derive(Debug)]
pub(super) struct Code {
    hash: String,
    /// Whose session it opens.
    pub(super) opens: CodeFor,
    until: Instant,
}

impl Codes {
    /// A new code.
    ///
    /// # Errors
    /// The system's generator failed.
    pub fn mint(&self, opens: CodeFor) -> Result<String, StoreError> {
        let code = api_keys::random()?;
        self.keep(Code { hash: api_keys::hash(&code), opens, until: Instant::now() + CODE_LASTS });
        Ok(code)
    }

    fn keep(&self, code: Code) {
        let mut codes = self.lock();
        codes.retain(|known| Instant::now() < known.until);
        if codes.len() >= MOST_CODES {
            codes.remove(0);
        }
        codes.push(code);
    }

    /// Gives a code back that was used up, while nobody could be signed in with it.
    pub(super) fn give_back(&self, code: Code) {
        self.keep(code);
    }

    /// Uses a code up. `None`: there is none such.
    pub(super) fn take(&self, code: &str) -> Option<Code> {
        let hash = api_keys::hash(code);
        let mut codes = self.lock();
        codes.retain(|known| Instant::now() < known.until);
        let at = codes.iter().position(|known| known.hash.as_bytes().ct_eq(hash.as_bytes()).into())?;
        Some(codes.remove(at))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Code>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a text could be a secret of ours: 256 bits in hex.
pub(super) fn is_random(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_one_session_and_another_one_none() {
        let codes = Codes::default();
        let code = codes.mint(CodeFor::Key(ApiKeyId(7))).unwrap();
        assert!(codes.take("0".repeat(64).as_str()).is_none());
        let taken = codes.take(&code).unwrap();
        assert_eq!(taken.opens, CodeFor::Key(ApiKeyId(7)));
        assert!(codes.take(&code).is_none());
        codes.give_back(taken);
        assert!(codes.take(&code).is_some(), "one that opened nothing can be used again");
    }

    #[test]
    fn however_many_codes_are_minted_few_are_kept() {
        let codes = Codes::default();
        let all: Vec<String> = (0..100).map(|_| codes.mint(CodeFor::Root).unwrap()).collect();
        let usable = all.iter().filter(|code| codes.take(code).is_some()).count();
        assert_eq!(usable, MOST_CODES);
    }

    #[test]
    fn a_hash_in_front_of_a_secret_is_no_secret() {
        let secret = api_keys::random().unwrap();
        assert!(is_random(&secret));
        for other in [
            format!("{secret} {secret}"),
            secret.replace(|c: char| c.is_ascii(), "A"),
            secret[1..].to_owned(),
            String::new(),
        ] {
            assert!(!is_random(&other), "{other}");
        }
    }
}
