//! A directory that is gone when its command is.

use std::path::Path;

use tempfile::TempDir;

use super::VerifyError;

/// A directory of our own, removed with everything in it on drop.
#[derive(Debug)]
pub struct ScratchDir(TempDir);

impl ScratchDir {
    /// Makes one, named after `command`, that nobody else can read.
    ///
    /// # Errors
    /// The system's temporary directory is not writable.
    pub fn create(command: &str) -> Result<Self, VerifyError> {
        let made = tempfile::Builder::new().prefix(&format!("volley-{command}-")).tempdir();
        made.map(Self).map_err(VerifyError::io(format!("make a directory in {}", std::env::temp_dir().display())))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves it where it is, for somebody to look at.
    pub fn keep(&mut self) {
        self.0.disable_cleanup(true);
    }
}
