//! A directory that is gone when its command is.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::VerifyError;

/// A directory of our own, removed with everything in it on drop.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
    keep: bool,
}

impl ScratchDir {
    /// Makes one, named after `command`, that nobody else can read.
    ///
    /// # Errors
    /// The system's temporary directory is not writable.
    pub fn create(command: &str) -> Result<Self, VerifyError> {
        let path = std::env::temp_dir().join(format!("volley-{command}-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(VerifyError::io(format!("make {}", path.display())))?;
        Ok(Self { path, keep: false })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it where it is, for somebody to look at.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.keep {
            // What is left in the system's temporary directory, the system clears away.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
