//! Clicks and opens on their way into the database: files of this instance's own.
//!
//! A line is in a file before its request is answered. It is not synced: like the journal's lines it outlasts the process, and a power cut
//! may take the last ones. Files are closed, read and removed one after the other; what waits is bounded in size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::engine::private_files;

/// A file is closed, and the next one begun, beyond this size.
const SEGMENT_BYTES: u64 = 1 << 20;

/// The spool of one instance.
#[derive(Debug)]
pub struct TrackingSpool {
    folder: PathBuf,
    slot: String,
    /// The most bytes that all its files may have.
    most_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Closed files, in their order.
    closed: BTreeMap<u64, Waiting>,
    open: Option<Open>,
    last: u64,
    /// The size of all files.
    bytes: u64,
}

/// What a file has.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    bytes: u64,
    /// When this process began it or found it.
    since: Instant,
    /// How old it was then: since its last change, for the file of a former run.
    before: Duration,
}

impl Waiting {
    fn age(&self) -> Duration {
        self.before + self.since.elapsed()
    }
}

/// The file that is written.
#[derive(Debug)]
struct Open {
    number: u64,
    file: File,
    waiting: Waiting,
    /// The last write failed half way, and what it left could not be cut off: the next line begins on a line of its own.
    is_torn: bool,
}

/// A closed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment(u64);

/// The lines of a file.
#[derive(Debug)]
pub struct Lines<T> {
    /// Those that can be read.
    pub read: Vec<T>,
    /// Whole lines that cannot, without their end. A last one without an end was never answered, and is passed over.
    pub unreadable: Vec<Vec<u8>>,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// The size of all files.
    pub bytes: u64,
    /// Since when the oldest file waits.
    pub age: Duration,
}

impl State {
    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.closed.insert(open.number, open.waiting);
        }
    }

    /// Takes a file over that no process writes.
    fn adopt(&mut self, number: u64, waiting: Waiting) {
        self.last = self.last.max(number);
        self.bytes = self.bytes.saturating_add(waiting.bytes);
        self.closed.insert(number, waiting);
    }
}

impl TrackingSpool {
    /// The spool of the instance in slot `slot` below the settings' `data_dir`, with what a former run of it has left.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn below(data_dir: &Path, slot: &str, most_bytes: u64) -> io::Result<Self> {
        let folder = data_dir.join("tracking");
        private_files::make_folder(&folder)?;
        let mut state = State::default();
        for (of, number, waiting) in segments(&folder)? {
            if of == slot {
                state.adopt(number, waiting);
            }
        }
        Ok(Self { folder, slot: slot.to_owned(), most_bytes, state: Mutex::new(state) })
    }

    /// The slots whose instances have left something, this one's own included.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn slots_with_lines(&self) -> io::Result<Vec<String>> {
        let mut slots: Vec<String> = segments(&self.folder)?.into_iter().map(|(slot, ..)| slot).collect();
        slots.sort();
        slots.dedup();
        Ok(slots)
    }

    /// Takes over what the instance in slot `slot` has left, which does not run now.
    ///
    /// # Errors
    /// A file cannot be renamed; it is still the other slot's then.
    pub fn take_over(&self, slot: &str) -> io::Result<()> {
        for (of, number, waiting) in segments(&self.folder)? {
            if of == slot && slot != self.slot {
                let mut state = self.lock();
                let next = state.last + 1;
                std::fs::rename(segment_path(&self.folder, slot, number), self.path(next))?;
                state.adopt(next, waiting);
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: u64) -> PathBuf {
        segment_path(&self.folder, &self.slot, number)
    }

    /// Adds a line, which outlasts the process then.
    ///
    /// # Errors
    /// It could not be written, or too much waits ([`io::ErrorKind::StorageFull`]).
    pub fn add(&self, line: &impl Serialize) -> io::Result<()> {
        let mut text = Vec::with_capacity(512);
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let mut state = self.lock();
        if state.bytes.saturating_add(bytes) > self.most_bytes {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spool of clicks and opens is full"));
        }
        if state.open.as_ref().is_some_and(|open| open.waiting.bytes >= SEGMENT_BYTES) {
            state.close();
        }
        let mut open = match state.open.take() {
            Some(open) => open,
            None => {
                let number = state.last + 1;
                let file = private_files::options().create_new(true).append(true).open(self.path(number))?;
                state.last = number;
                Open {
                    number,
                    file,
                    waiting: Waiting { bytes: 0, since: Instant::now(), before: Duration::ZERO },
                    is_torn: false,
                }
            }
        };
        if std::mem::take(&mut open.is_torn) {
            text.insert(0, b'\n');
        }
        let written = open.file.write_all(&text);
        if written.is_ok() {
            open.waiting.bytes = open.waiting.bytes.saturating_add(bytes);
            state.bytes = state.bytes.saturating_add(bytes);
        } else {
            open.is_torn = open.file.set_len(open.waiting.bytes).is_err();
        }
        state.open = Some(open);
        written
    }

    /// Closes the file that is written, so that it can be read. The next line begins another one.
    pub fn close(&self) {
        self.lock().close();
    }

    /// The closed files, the oldest first.
    #[must_use]
    pub fn closed(&self) -> Vec<Segment> {
        self.lock().closed.keys().copied().map(Segment).collect()
    }

    /// The lines of a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read<T: DeserializeOwned>(&self, segment: Segment) -> io::Result<Lines<T>> {
        let bytes = match std::fs::read(self.path(segment.0)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut lines = Lines { read: Vec::new(), unreadable: Vec::new() };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = line.strip_suffix(b"\n").map_or((line, false), |text| (text, true));
            match serde_json::from_slice(text) {
                Ok(read) => lines.read.push(read),
                Err(_) if is_whole && !text.is_empty() => lines.unreadable.push(text.to_owned()),
                Err(_) => {}
            }
        }
        Ok(lines)
    }

    /// Removes a file whose lines are in the database.
    ///
    /// # Errors
    /// It cannot be removed: its lines are read again then, which counts nothing twice.
    pub fn forget(&self, segment: Segment) -> io::Result<()> {
        match std::fs::remove_file(self.path(segment.0)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut state = self.lock();
        if let Some(waiting) = state.closed.remove(&segment.0) {
            state.bytes = state.bytes.saturating_sub(waiting.bytes);
        }
        Ok(())
    }

    /// Puts a line aside that the database refuses or nobody can read, so that it keeps nothing back and is not lost.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put_aside(&self, line: &[u8]) -> io::Result<()> {
        let text = [line, b"\n"].concat();
        let path = self.folder.join(&self.slot).with_extension("refused");
        private_files::options().create(true).append(true).open(path)?.write_all(&text)
    }

    /// How much waits.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let state = self.lock();
        let files = state.closed.values().chain(state.open.as_ref().map(|open| &open.waiting));
        let age = files.map(Waiting::age).max();
        Depth { bytes: state.bytes, age: age.unwrap_or_default() }
    }
}

fn segment_path(folder: &Path, slot: &str, number: u64) -> PathBuf {
    folder.join(format!("{slot}-{number:012}.spool"))
}

/// Slot and number of every file that has lines, and what waits in it.
fn segments(folder: &Path) -> io::Result<Vec<(String, u64, Waiting)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "spool")
            && let Some((slot, number)) =
                path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.rsplit_once('-'))
            && let Ok(number) = number.parse()
        {
            let metadata = entry.metadata()?;
            // No time: it is not kept here, or the clock was set back.
            let before = metadata.modified().ok().and_then(|changed| changed.elapsed().ok()).unwrap_or_default();
            found.push((slot.to_owned(), number, Waiting { bytes: metadata.len(), since: Instant::now(), before }));
        }
    }
    found.sort_by(|(slot, number, _), (other, later, _)| (slot, number).cmp(&(other, later)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn spool(folder: &Path, slot: &str) -> TrackingSpool {
        TrackingSpool::below(folder, slot, 1 << 20).unwrap()
    }

    /// All that waits, taken out.
    fn drained(spool: &TrackingSpool) -> Vec<String> {
        let mut all = Vec::new();
        spool.close();
        for segment in spool.closed() {
            let lines = spool.read::<String>(segment).unwrap();
            assert!(lines.unreadable.is_empty(), "{:?}", lines.unreadable);
            all.extend(lines.read);
            spool.forget(segment).unwrap();
        }
        all
    }

    #[test]
    fn the_next_run_finds_what_was_left_and_a_cut_line_swallows_none() {
        let folder = tempfile::tempdir().unwrap();
        let first = spool(folder.path(), "1");
        first.add(&"a").unwrap();
        let path = folder.path().join("tracking").join("1-000000000001.spool");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\"cut").unwrap();
        let next = spool(folder.path(), "1");
        next.add(&"b").unwrap();
        assert_eq!(drained(&next), ["a", "b"]);
        assert_eq!(next.depth(), Depth::default());
        assert_eq!(spool(folder.path(), "1").closed(), []);
    }

    #[test]
    fn a_whole_line_that_nobody_can_read_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let first = spool(folder.path(), "1");
        first.add(&"a").unwrap();
        first.close();
        let path = folder.path().join("tracking").join("1-000000000001.spool");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{broken\n\n7\n\"b\"\n\"cut").unwrap();
        let lines = first.read::<String>(first.closed()[0]).unwrap();
        assert_eq!(lines.read, ["a", "b"]);
        assert_eq!(lines.unreadable, [b"{broken".as_slice(), b"7"]);
    }

    #[test]
    fn what_waits_is_known_in_size_and_age() {
        let folder = tempfile::tempdir().unwrap();
        let first = spool(folder.path(), "1");
        assert_eq!(first.depth(), Depth::default());
        first.add(&"a").unwrap();
        first.add(&"bc").unwrap();
        assert_eq!(first.depth().bytes, 9);
        let path = folder.path().join("tracking").join("1-000000000001.spool");
        File::options().append(true).open(path).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let next = spool(folder.path(), "1");
        next.add(&"d").unwrap();
        assert_eq!(next.depth().bytes, 13);
        assert!(next.depth().age >= Duration::from_secs(600), "{:?}", next.depth());
        next.forget(next.closed()[0]).unwrap();
        assert_eq!(next.depth().bytes, 4);
        assert!(next.depth().age < Duration::from_secs(600), "{:?}", next.depth());
        drained(&next);
        assert_eq!(next.depth(), Depth::default());
    }

    #[test]
    fn what_comes_while_a_file_is_read_is_in_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), "1");
        spool.add(&"a").unwrap();
        spool.close();
        let first = spool.closed()[0];
        spool.add(&"b").unwrap();
        assert_eq!(spool.closed(), [first], "the next one is still written");
        assert_eq!(spool.read::<String>(first).unwrap().read, ["a"]);
        spool.forget(first).unwrap();
        assert_eq!(drained(&spool), ["b"]);
    }

    #[test]
    fn what_an_instance_left_that_is_not_started_again_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let one = spool(folder.path(), "1");
        one.add(&"a").unwrap();
        spool(folder.path(), "2").add(&"b").unwrap();
        spool(folder.path(), "12").add(&"c").unwrap();
        assert_eq!(one.slots_with_lines().unwrap(), ["1", "12", "2"]);
        one.take_over("2").unwrap();
        one.take_over("2").unwrap();
        assert_eq!(one.slots_with_lines().unwrap(), ["1", "12"]);
        let mut all = drained(&one);
        all.sort();
        assert_eq!(all, ["a", "b"]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let spool = TrackingSpool::below(folder.path(), "1", 10).unwrap();
        spool.add(&"aaaa").unwrap();
        assert_eq!(spool.add(&"bbbb").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(drained(&spool), ["aaaa"]);
        spool.add(&"cccc").unwrap();
        assert_eq!(drained(&spool), ["cccc"]);
    }

    #[test]
    fn a_large_file_is_closed_and_nothing_of_it_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let spool = TrackingSpool::below(folder.path(), "1", 8 << 20).unwrap();
        let line = "x".repeat(100_000);
        for _ in 0..25 {
            spool.add(&line).unwrap();
        }
        assert!(std::fs::read_dir(folder.path().join("tracking")).unwrap().count() > 1);
        assert_eq!(drained(&spool).len(), 25);
    }

    #[test]
    fn nobody_else_reads_what_waits() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path(), "1");
        spool.add(&"a").unwrap();
        spool.put_aside(b"a").unwrap();
        for file in ["1-000000000001.spool", "1.refused"] {
            let mode = std::fs::metadata(folder.path().join("tracking").join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
}
