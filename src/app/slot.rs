//! What only one process may have: a journal folder, and the file of the embedded database.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::store::Target;

/// The most instances that may share one data folder.
const SLOTS: u32 = 64;

/// A journal folder of this process's own: `data_dir/instances/<n>`, the first whose lock is free.
pub(super) struct Slot {
    /// Stays with the folder over restarts.
    pub(super) id: String,
    /// The folder.
    pub(super) folder: PathBuf,
    _lock: File,
}

impl Slot {
    /// The name of its folder.
    pub(super) fn number(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or("1")
    }

    /// Runs `each` for those of `numbers` that no process has now; none gets such a number meanwhile.
    ///
    /// # Errors
    /// A lock cannot be tried, or `each` failed.
    pub(super) fn for_unused(
        &self,
        numbers: &[String],
        data_dir: &Path,
        mut each: impl FnMut(&str) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        for n in numbers.iter().filter(|n| *n != self.number()) {
            // A restored backup may have no folders: it is restored with empty ones.
            let folder = data_dir.join("instances").join(n);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("sending.data_dir: cannot create {}", folder.display()))?;
            let Some(_lock) = try_lock(&folder.join("lock"))? else { continue };
            each(n).with_context(|| format!("cannot take over what instance {n} has left"))?;
        }
        Ok(())
    }

    pub(super) fn take(data_dir: &Path) -> anyhow::Result<Self> {
        for n in 1..=SLOTS {
            let folder = data_dir.join("instances").join(n.to_string());
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("sending.data_dir: cannot create {}", folder.display()))?;
            let Some(lock) = try_lock(&folder.join("lock"))? else { continue };
            let id = slot_id(&folder)?;
            return Ok(Self { id, folder, _lock: lock });
        }
        bail!("sending.data_dir: {} has no free slot: {SLOTS} instances use it already", data_dir.display())
    }
}

/// The slot's id: made once, kept in its folder. A folder that was copied to another machine brings its id along; the
/// boot id in the journal's header tells the two apart.
fn slot_id(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("id");
    if let Ok(id) = std::fs::read_to_string(&path)
        && uuid::Uuid::parse_str(id.trim()).is_ok()
    {
        return Ok(id.trim().to_owned());
    }
    let id = uuid::Uuid::new_v4().to_string();
    std::fs::write(&path, &id).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(id)
}

/// The embedded database is one process's: a second one would believe in leases of its own.
pub(super) struct DatabaseLock {
    _file: File,
}

impl DatabaseLock {
    pub(super) fn take(target: &Target) -> anyhow::Result<Option<Self>> {
        let Target::Sqlite(path) = target else { return Ok(None) };
        match try_lock(&lock_path(Path::new(path)))? {
            Some(file) => Ok(Some(Self { _file: file })),
            None => bail!(
                "database.url: another instance is using {path}; the embedded database belongs to one process (use \
                 PostgreSQL for several)"
            ),
        }
    }
}

/// Beside the file itself, whatever links lead to it: two names of one file have one lock.
fn lock_path(file: &Path) -> PathBuf {
    // A link that leads nowhere yet has no other name. An empty file is an empty database.
    let _ = OpenOptions::new().create(true).append(true).open(file);
    let mut path = file.canonicalize().unwrap_or_else(|_| file.to_owned()).into_os_string();
    path.push(".lock");
    path.into()
}

fn try_lock(path: &Path) -> anyhow::Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// The kernel's boot id: lines written before a power cut may be gone after it.
pub(super) fn boot_id() -> anyhow::Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("cannot read the kernel's boot id")?;
    Ok(id.trim().to_owned())
}

/// The machine's name.
pub(super) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_links_to_one_database_have_one_lock() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("volley.db");
        let links = ["a.db", "b.db"].map(|name| folder.path().join(name));
        for link in &links {
            std::os::unix::fs::symlink(&file, link).unwrap();
        }
        let sqlite = |path: &Path| Target::Sqlite(path.display().to_string());
        let held = DatabaseLock::take(&sqlite(&links[0])).unwrap();
        for other in [&links[1], &file] {
            assert!(DatabaseLock::take(&sqlite(other)).is_err(), "{}", other.display());
        }
        drop(held);
        assert!(DatabaseLock::take(&sqlite(&file)).is_ok());
    }
}
