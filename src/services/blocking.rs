//! Work that keeps a thread busy.

use tokio::task::JoinError;

/// The work panicked, or the process ends.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct Interrupted {
    /// What was tried.
    pub action: &'static str,
    /// How it ended.
    #[source]
    pub source: JoinError,
}

/// Runs `work` on a thread that may be kept busy. `action` completes "cannot …" in the error.
///
/// # Errors
/// [`Interrupted`].
pub(super) async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Interrupted> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Interrupted { action, source })
}
