//! Journal files that are recorded, kept for a while: should the database lose what it has acknowledged, they are what is left
//! of it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{numbered, segment_path};

/// How long recorded files are kept, and how much of them.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Not longer than this.
    pub age: Duration,
    /// Not more than this, in bytes; the oldest go first.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(600), bytes: 64 << 20 }
    }
}

/// The kept files of one folder.
pub(super) struct Shelf {
    folder: PathBuf,
    retention: Retention,
    /// Oldest first.
    files: VecDeque<Kept>,
}

struct Kept {
    number: u64,
    bytes: u64,
    written: SystemTime,
}

impl Shelf {
    /// With what earlier incarnations kept.
    pub(super) fn open(folder: &Path, retention: Retention) -> io::Result<Self> {
        let mut shelf = Self { folder: folder.to_owned(), retention, files: VecDeque::new() };
        for number in kept_numbers(folder)? {
            shelf.note(number);
        }
        shelf.clear_out();
        Ok(shelf)
    }

    /// The highest number here.
    pub(super) fn last(&self) -> Option<u64> {
        self.files.back().map(|kept| kept.number)
    }

    /// Puts a journal file aside. One that cannot be goes.
    pub(super) fn put(&mut self, number: u64) {
        let from = segment_path(&self.folder, number);
        match std::fs::rename(&from, kept_path(&self.folder, number)) {
            Ok(()) => self.note(number),
            Err(_) => drop(std::fs::remove_file(from)),
        }
        self.clear_out();
    }

    fn note(&mut self, number: u64) {
        let Ok(metadata) = std::fs::metadata(kept_path(&self.folder, number)) else { return };
        let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        self.files.push_back(Kept { number, bytes: metadata.len(), written });
    }

    /// Removes what is too old or too much.
    #[allow(clippy::disallowed_methods, reason = "a file's age is told by the clock that dates files")]
    pub(super) fn clear_out(&mut self) {
        let now = SystemTime::now();
        let mut bytes: u64 = self.files.iter().map(|kept| kept.bytes).sum();
        while let Some(oldest) = self.files.front() {
            // Written in the future: the clock was set back, and it is as old as can be.
            let is_old = now.duration_since(oldest.written).is_ok_and(|age| age > self.retention.age);
            if !is_old && bytes <= self.retention.bytes {
                return;
            }
            bytes -= oldest.bytes;
            let _ = std::fs::remove_file(kept_path(&self.folder, oldest.number));
            self.files.pop_front();
        }
    }
}

/// The numbers of the files that are kept in a folder, in order.
pub(super) fn kept_numbers(folder: &Path) -> io::Result<Vec<u64>> {
    numbered(folder, "kept-")
}

pub(super) fn kept_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("kept-{number:08}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(folder: &Path, retention: Retention) -> Shelf {
        let mut shelf = Shelf::open(folder, retention).unwrap();
        for number in 1..=3 {
            std::fs::write(segment_path(folder, number), [b'x'; 100]).unwrap();
            shelf.put(number);
        }
        shelf
    }

    #[test]
    fn recorded_files_are_kept_within_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let bounded = Retention { bytes: 250, ..Retention::default() };
        assert_eq!(shelf(folder.path(), bounded).last(), Some(3));
        assert_eq!(kept_numbers(folder.path()).unwrap(), [2, 3]);
        // The next incarnation goes on with them, and numbers its own files above.
        assert_eq!(Shelf::open(folder.path(), bounded).unwrap().last(), Some(3));
    }

    #[test]
    fn recorded_files_go_when_they_are_old() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf(folder.path(), Retention::default());
        assert_eq!(kept_numbers(folder.path()).unwrap(), [1, 2, 3]);
        shelf.files.iter_mut().take(2).for_each(|kept| kept.written = SystemTime::UNIX_EPOCH);
        shelf.clear_out();
        assert_eq!(kept_numbers(folder.path()).unwrap(), [3]);
    }
}
