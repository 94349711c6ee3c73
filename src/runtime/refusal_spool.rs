//! Refusals that were answered while the database was away: a file of this instance's own, and the word whether it is empty.
//!
//! Mailbox providers do not ask twice, so a one-click refusal is answered with 200 even then. It is on the disk before the
//! answer. Until the database has it, nothing is handed over here: a claim may have looked before it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::engine::private_files;

/// The most bytes that the file may have: some hundred thousand refusals.
const MOST_BYTES: u64 = 64 << 20;

/// The spool of one instance.
#[derive(Debug)]
pub struct RefusalSpool {
    path: PathBuf,
    /// Held while lines are added or removed.
    file: Mutex<Option<File>>,
    /// Rises when the first line is added and when the last one is gone: odd while there are lines.
    turns: AtomicU64,
}

/// That the spool was empty, and since which of its turns. A claim that began under one holds no later than it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emptiness(u64);

impl RefusalSpool {
    /// The spool of the instance in slot `slot` below the settings' `data_dir`, with what a former run of it has left. It is not in
    /// the slot's own folder, which may be emptied when a backup is restored.
    ///
    /// # Errors
    /// The folder cannot be made, or the file cannot be read.
    pub fn below(data_dir: &Path, slot: &str) -> io::Result<Self> {
        let folder = data_dir.join("refusals");
        private_files::make_folder(&folder)?;
        let path = folder.join(slot).with_extension("spool");
        let is_left = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len() > 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        Ok(Self { path, file: Mutex::new(None), turns: AtomicU64::new(u64::from(is_left)) })
    }

    /// Takes over what the instance in slot `slot` has left, which does not run now. A crash in the middle leaves lines in both: storing
    /// a refusal again changes nothing.
    ///
    /// # Errors
    /// A file cannot be read or changed; the lines are still in the other one then.
    pub fn take_over(&self, slot: &str) -> io::Result<()> {
        let other = self.path.with_file_name(slot).with_extension("spool");
        let mut lines = match std::fs::read(&other) {
            Ok(lines) => lines,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if lines.is_empty() {
            return Ok(());
        }
        // A line that a crash has cut must not swallow the next one.
        lines.push(b'\n');
        self.append(&lines)?;
        let file = OpenOptions::new().write(true).open(&other)?;
        file.set_len(0)?;
        file.sync_data()
    }

    /// That it is empty. `None`: it has lines.
    #[must_use]
    pub fn emptiness(&self) -> Option<Emptiness> {
        let turns = self.turns.load(Ordering::Acquire);
        turns.is_multiple_of(2).then_some(Emptiness(turns))
    }

    /// Whether something waits for the database.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.emptiness().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds lines, which are on the disk then.
    ///
    /// # Errors
    /// They could not be written, or there are too many: nothing may be answered then.
    pub fn add<T: Serialize>(&self, lines: &[T]) -> io::Result<()> {
        let mut text = Vec::with_capacity(lines.len() * 256);
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        if std::fs::metadata(&self.path).is_ok_and(|about| about.len() > MOST_BYTES) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spool of refusals is full"));
        }
        self.append(&text)
    }

    /// The slots whose instances have left something, this one's own included.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn slots_with_lines(&self) -> io::Result<Vec<String>> {
        let mut slots = Vec::new();
        for entry in self.path.parent().map(std::fs::read_dir).transpose()?.into_iter().flatten() {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "spool")
                && entry.metadata()?.len() > 0
                && let Some(slot) = path.file_stem().and_then(|stem| stem.to_str())
            {
                slots.push(slot.to_owned());
            }
        }
        slots.sort();
        Ok(slots)
    }

    fn append(&self, text: &[u8]) -> io::Result<()> {
        let mut slot = self.lock();
        // Whatever becomes of the write: something of it may be in the file.
        if !self.has_lines() {
            self.turns.fetch_add(1, Ordering::AcqRel);
        }
        let mut file = match slot.take() {
            Some(file) => file,
            None => self.create()?,
        };
        file.write_all(text)?;
        file.sync_data()?;
        *slot = Some(file);
        Ok(())
    }

    fn create(&self) -> io::Result<File> {
        let mut file = private_files::options().create(true).read(true).append(true).open(&self.path)?;
        // A line that a crash has cut must not swallow the next one.
        let end = file.seek(io::SeekFrom::End(0))?;
        if end > 0 {
            file.write_all(b"\n")?;
        }
        // The name, too, outlasts a power cut.
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(file)
    }

    /// What it has, and up to which byte. A line that a crash has cut was never answered, and is passed over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read<T: DeserializeOwned>(&self) -> io::Result<(Vec<T>, u64)> {
        let _slot = self.lock();
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(mut file) => _ = file.read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Ok((lines, u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
    }

    /// Empties it, unless something was added behind byte `read_to`. Whether it is empty.
    ///
    /// # Errors
    /// The file cannot be changed.
    pub fn clear(&self, read_to: u64) -> io::Result<bool> {
        let mut slot = self.lock();
        let length = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if length > read_to {
            return Ok(false);
        }
        if length > 0 {
            let file = OpenOptions::new().write(true).open(&self.path)?;
            file.set_len(0)?;
            file.sync_data()?;
        }
        *slot = None;
        if self.has_lines() {
            self.turns.fetch_add(1, Ordering::AcqRel);
        }
        Ok(true)
    }

    /// Puts a line aside that the database refuses, so that it keeps nothing back and is not lost.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_aside<T: Serialize>(&self, line: &T) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let path = self.path.with_extension("refused");
        let mut file = private_files::options().create(true).append(true).open(path)?;
        file.write_all(&text)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, RefusalSpool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = RefusalSpool::below(folder.path(), "1").unwrap();
        (folder, spool)
    }

    #[test]
    fn a_claim_from_before_a_refusal_holds_no_longer_even_when_the_spool_is_empty_again() {
        let (_folder, spool) = spool();
        let before = spool.emptiness();
        assert!(before.is_some());
        spool.add(&["a"]).unwrap();
        assert_eq!(spool.emptiness(), None);
        let (lines, read_to) = spool.read::<String>().unwrap();
        assert_eq!(lines, ["a"]);
        assert!(spool.clear(read_to).unwrap());
        assert!(spool.emptiness().is_some());
        assert_ne!(spool.emptiness(), before);
    }

    #[test]
    fn what_comes_while_the_rest_is_stored_stays() {
        let (_folder, spool) = spool();
        spool.add(&["a"]).unwrap();
        let (_, read_to) = spool.read::<String>().unwrap();
        spool.add(&["b", "c"]).unwrap();
        assert!(!spool.clear(read_to).unwrap());
        assert_eq!(spool.emptiness(), None);
        assert_eq!(spool.read::<String>().unwrap().0, ["a", "b", "c"]);
    }

    #[test]
    fn the_next_run_finds_what_was_left_and_a_cut_line_swallows_none() {
        let (folder, spool) = spool();
        spool.add(&["a"]).unwrap();
        let path = folder.path().join("refusals").join("1.spool");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\"b").unwrap();
        let next = RefusalSpool::below(folder.path(), "1").unwrap();
        assert_eq!(next.emptiness(), None);
        next.add(&["c"]).unwrap();
        let (lines, read_to) = next.read::<String>().unwrap();
        assert_eq!(lines, ["a", "c"]);
        assert!(next.clear(read_to).unwrap());
        assert!(RefusalSpool::below(folder.path(), "1").unwrap().emptiness().is_some());
    }

    #[test]
    fn what_an_instance_left_that_is_not_started_again_is_taken_over() {
        let (folder, spool) = spool();
        RefusalSpool::below(folder.path(), "2").unwrap().add(&["b"]).unwrap();
        spool.take_over("2").unwrap();
        spool.take_over("3").unwrap();
        assert_eq!(spool.emptiness(), None);
        assert_eq!(spool.read::<String>().unwrap().0, ["b"]);
        spool.add(&["a"]).unwrap();
        spool.take_over("2").unwrap();
        assert_eq!(spool.read::<String>().unwrap().0, ["b", "a"], "once, and nothing of it is overwritten");
        let other = folder.path().join("refusals").join("4.spool");
        std::fs::write(&other, b"\"cut").unwrap();
        assert_eq!(spool.slots_with_lines().unwrap(), ["1", "4"]);
        spool.take_over("4").unwrap();
        spool.add(&["c"]).unwrap();
        assert_eq!(spool.read::<String>().unwrap().0, ["b", "a", "c"], "a cut line swallows none");
        assert!(RefusalSpool::below(folder.path(), "2").unwrap().emptiness().is_some());
    }

    #[test]
    fn what_cannot_be_written_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let spool = RefusalSpool::below(folder.path(), "1").unwrap();
        drop(folder);
        assert!(spool.add(&["a"]).is_err());
    }

    #[test]
    fn nobody_else_reads_what_waits() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, spool) = spool();
        spool.add(&["a"]).unwrap();
        spool.put_aside(&"a").unwrap();
        for file in ["1.spool", "1.refused"] {
            let mode = std::fs::metadata(folder.path().join("refusals").join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
}
