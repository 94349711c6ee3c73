//! Whether a campaign's content can be rendered for its recipients.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::domain::campaigns::content_doubt::is_content_doubtful;

/// How a campaign's content has fared on this instance. Each recipient counts once.
#[derive(Debug, Default)]
pub(super) struct RenderTally {
    tried: AtomicU32,
    unrenderable: AtomicU32,
    /// The doubt is being raised, or was.
    pub(super) raised: AtomicBool,
}

impl RenderTally {
    pub(super) fn note(&self, is_rendered: bool) {
        self.tried.fetch_add(1, Ordering::Relaxed);
        if !is_rendered {
            self.unrenderable.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn is_to_be_doubted(&self) -> bool {
        !self.raised.load(Ordering::Relaxed)
            && is_content_doubtful(self.tried.load(Ordering::Relaxed), self.unrenderable.load(Ordering::Relaxed))
    }
}
