//! What the settings of callbacks may be.

use super::{Check, bad};
use crate::config::pools::CallbackConfig;

impl CallbackConfig {
    pub(super) fn check(&self, at: &dyn Fn(&str) -> String) -> Check {
        // The text is not repeated: it is a secret. Without one, the door stays closed.
        self.secrets().into_iter().try_for_each(|secret| {
            self.format.check_secret(secret).map_err(|reason| bad(at("callbacks.secret"), reason))
        })
    }
}
