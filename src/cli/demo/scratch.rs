//! A directory that is gone when the demo is.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A directory of our own, removed with everything in it on drop.
pub(super) struct ScratchDir(PathBuf);

impl ScratchDir {
    /// Makes one that nobody else can read.
    ///
    /// # Errors
    /// The system's temporary directory is not writable.
    pub(super) fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("volley-demo-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // What is left in the system's temporary directory, the system clears away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
