//! Codes that sign a person in once. They are in memory only: they are printed by the process that takes them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::domain::ids::ApiKeyId;
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

struct Code {
    hash: String,
    opens: CodeFor,
    until: Instant,
}

impl Codes {
    /// A new code.
    ///
    /// # Errors
    /// The system's generator failed.
    pub fn mint(&self, opens: CodeFor) -> Result<String, getrandom::Error> {
        let code = random()?;
        let mut codes = self.lock();
        codes.retain(|known| Instant::now() < known.until);
        if codes.len() >= MOST_CODES {
            codes.remove(0);
        }
        codes.push(Code { hash: api_keys::hash(&code), opens, until: Instant::now() + CODE_LASTS });
        Ok(code)
    }

    /// Uses a code up. `None`: there is none such.
    pub(super) fn take(&self, code: &str) -> Option<CodeFor> {
        let hash = api_keys::hash(code);
        let mut codes = self.lock();
        codes.retain(|known| Instant::now() < known.until);
        let at = codes.iter().position(|known| known.hash.as_bytes().ct_eq(hash.as_bytes()).into())?;
        Some(codes.remove(at).opens)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Code>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 random bits in hex.
///
/// # Errors
/// The system's generator failed.
pub(super) fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_one_session_and_another_one_none() {
        let codes = Codes::default();
        let code = codes.mint(CodeFor::Key(ApiKeyId(7))).unwrap();
        assert_eq!(codes.take("0".repeat(64).as_str()), None);
        assert_eq!(codes.take(&code), Some(CodeFor::Key(ApiKeyId(7))));
        assert_eq!(codes.take(&code), None);
    }

    #[test]
    fn however_many_codes_are_minted_few_are_kept() {
        let codes = Codes::default();
        let all: Vec<String> = (0..100).map(|_| codes.mint(CodeFor::Root).unwrap()).collect();
        let usable = all.iter().filter(|code| codes.take(code).is_some()).count();
        assert_eq!(usable, MOST_CODES);
    }
}
