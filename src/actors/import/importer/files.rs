//! The folder of uploads. A writer or reader of a file holds its lock, so that instances may share the folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::engine::private_files;

/// Ends the names of uploads under way.
const PART: &str = "part";

/// Ends the names of whole uploads.
const WHOLE: &str = "csv";

/// The folder of uploads.
#[derive(Debug, Clone)]
pub struct ImportFolder {
    path: PathBuf,
}

/// An upload. Dropped before [`Upload::keep`], it takes its file along.
#[derive(Debug)]
pub struct Upload {
    path: PathBuf,
    /// Holds the lock.
    file: File,
    kept: bool,
}

/// Why a file cannot be imported now.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not in this folder.
    #[error("the uploaded file is gone")]
    Gone,
    /// Another importer has it.
    #[error("another importer has the file")]
    Locked,
    /// It cannot be opened.
    #[error("cannot open the uploaded file")]
    Io(#[source] io::Error),
}

impl ImportFolder {
    /// The folder below the settings' `data_dir`.
    #[must_use]
    pub fn below(data_dir: &Path) -> Self {
        Self { path: data_dir.join("imports") }
    }

    /// Begins an upload under a random name.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub fn create(&self) -> io::Result<Upload> {
        private_files::make_folder(&self.path)?;
        let path = self.path.join(uuid::Uuid::new_v4().to_string()).with_extension(PART);
        let file = private_files::options().create_new(true).read(true).write(true).open(&path)?;
        file.lock()?;
        Ok(Upload { path, file, kept: false })
    }

    /// Opens a whole upload and keeps others from it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, name: &str) -> Result<File, OpenError> {
        let file = File::open(self.path.join(name)).map_err(|source| {
            if source.kind() == io::ErrorKind::NotFound { OpenError::Gone } else { OpenError::Io(source) }
        })?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked),
            Err(fs::TryLockError::Error(source)) => Err(OpenError::Io(source)),
        }
    }

    /// Removes an upload that was dealt with.
    pub fn remove(&self, name: &str) {
        // Left behind, it is swept at the next start.
        let _ = fs::remove_file(self.path.join(name));
    }

    /// Files that nobody holds: `(name, lock)`. What no import needs may be removed while the lock is held.
    #[must_use]
    pub fn idle(&self) -> Vec<(String, File)> {
        let names = fs::read_dir(&self.path).into_iter().flatten().flatten();
        names
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((name.clone(), self.open(&name).ok()?))
            })
            .collect()
    }
}

impl Upload {
    /// Appends to the file.
    ///
    /// # Errors
    /// The disk is full, or failed.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.file, bytes)
    }

    /// What appends to the file.
    pub fn writer(&mut self) -> impl io::Write + '_ {
        &mut self.file
    }

    /// Brings what was written to the disk and gives the file its last name.
    ///
    /// # Errors
    /// The disk failed.
    pub fn complete(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let whole = self.path.with_extension(WHOLE);
        fs::rename(&self.path, &whole)?;
        self.path = whole;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    /// The file, for reading from its start.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// The file's name in the folder.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Leaves the file to the importer.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_that_is_given_up_leaves_nothing() {
        let data_dir = tempfile::tempdir().unwrap();
        let folder = ImportFolder::below(data_dir.path());
        let mut upload = folder.create().unwrap();
        upload.write(b"email\n").unwrap();
        drop(upload);
        assert_eq!(fs::read_dir(data_dir.path().join("imports")).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_use_is_neither_opened_nor_idle() {
        let data_dir = tempfile::tempdir().unwrap();
        let folder = ImportFolder::below(data_dir.path());
        let mut upload = folder.create().unwrap();
        upload.write(b"email\n").unwrap();
        upload.complete().unwrap();
        let name = upload.name();
        assert!(matches!(folder.open(&name), Err(OpenError::Locked)));
        assert!(folder.idle().is_empty());
        upload.keep();
        let _held = folder.open(&name).unwrap();
        assert!(matches!(folder.open(&name), Err(OpenError::Locked)));
        assert!(matches!(folder.open("other.csv"), Err(OpenError::Gone)));
    }
}
