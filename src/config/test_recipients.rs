//! Who may get test messages.

use serde::{Deserialize, Serialize};

use super::texts;

/// Addresses and numbers, and domains such as `@example.com`. Empty: everybody may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct TestRecipients(#[serde(deserialize_with = "texts::read")] Vec<String>);

impl TestRecipients {
    /// Whether a test may go to this address.
    #[must_use]
    pub fn allows(&self, to: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|allowed| fits(allowed, to))
    }

    /// What is wrong with an entry.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_bad = |entry: &&String| entry.trim() != entry.as_str() || matches!(entry.as_str(), "" | "@");
        match self.0.iter().find(is_bad) {
            Some(entry) => Err(format!("{entry:?} is no address, no number and no domain such as @example.com")),
            None => Ok(()),
        }
    }
}

impl From<Vec<String>> for TestRecipients {
    fn from(all: Vec<String>) -> Self {
        Self(all)
    }
}

fn fits(allowed: &str, to: &str) -> bool {
    if !allowed.starts_with('@') {
        return allowed.to_lowercase() == to.to_lowercase();
    }
    to.rfind('@').and_then(|at| to.get(at..)).is_some_and(|domain| domain.to_lowercase() == allowed.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipients(all: &[&str]) -> TestRecipients {
        all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>().into()
    }

    #[test]
    fn addresses_numbers_and_whole_domains_are_allowed_and_nobody_else_is() {
        let all = recipients(&["ann@example.com", "+442079460123", "@Test.example"]);
        for to in ["Ann@Example.com", "+442079460123", "bob@test.example"] {
            assert!(all.allows(to), "{to}");
        }
        for to in ["bob@example.com", "x@sub.test.example", "test.example", "x@test.example.org", "+4420794601234", ""]
        {
            assert!(!all.allows(to), "{to}");
        }
        assert!(recipients(&[]).allows("anybody@example.com"));
    }

    #[test]
    fn an_entry_that_fits_nobody_is_refused() {
        assert_eq!(recipients(&["a@b.example", "@b.example"]).check(), Ok(()));
        for entry in ["", "@", " a@b.example"] {
            assert!(recipients(&[entry]).check().unwrap_err().contains("@example.com"), "{entry:?}");
        }
    }
}
