//! The journal: a line before the first byte of a hand-over, a line with its outcome.
//!
//! It serves against `kill -9` (the page cache survives the process), so it is never synced: the durable intent stands in
//! the database already. What it adds is *how far* a claim had come. A missing begin-line proves that nothing left, but
//! only under a header that matches the lease's owner **and** the machine's present boot: after a power cut, lines that
//! were written may be gone.
//!
//! One file per `SEGMENT_BYTES`; when everything in it and before it is recorded, a file is put aside and kept for a while,
//! for the case that the database loses what it has acknowledged (`kept`). Each line carries a
//! checksum, so that a line cut short by a full disk is passed over. `journals` reads what was written here.

mod contents;
mod kept;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::contents::JournalContents;
pub use self::kept::Retention;
use self::kept::Shelf;
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::lease::Lease;
use crate::domain::dispatch::settlement::Verdict;
use crate::domain::ids::InstanceId;
use crate::store::engine::fail_point::FailPoint;

/// A journal file is closed, and the next one opened, beyond this size.
const SEGMENT_BYTES: u64 = 4 << 20;

/// The journal that this incarnation writes.
pub struct Journal {
    folder: PathBuf,
    header: Vec<u8>,
    state: Mutex<State>,
}

struct State {
    segments: Vec<Segment>,
    /// Files that are recorded.
    shelf: Shelf,
    /// Lines of outcomes that go out with the next begin-line, or when [`Journal::flush`] is called. A place is taken
    /// again only by another begin-line, so never more attempts lack their outcome on disk than there are places.
    unwritten: Vec<u8>,
    /// The last write failed half way: the next one starts on a line of its own.
    torn: bool,
    trouble: Option<String>,
}

struct Segment {
    number: u64,
    file: File,
    bytes: u64,
    /// Begun here and not yet recorded in the database.
    open: usize,
}

/// The state of a journal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct JournalState {
    /// The file that is written.
    pub file: Option<String>,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The files that are kept, this one included: earlier ones hold attempts that are not recorded yet.
    pub files: usize,
    /// Hand-overs that began and whose outcome is not in the database yet.
    pub open: usize,
    /// What the last write failed with, if it failed: nothing is handed over then.
    pub error: Option<String>,
}

/// Where a begin-line was written; handed back when its outcome is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun(u64);

impl Journal {
    /// Starts the journal of an incarnation in its slot's folder, beside the files that former ones left.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(folder: &Path, instance: InstanceId, boot_id: &str) -> io::Result<Self> {
        Self::create_and_keep(folder, instance, boot_id, Retention::default())
    }

    /// [`Journal::create`], with recorded files kept for that long.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create_and_keep(
        folder: &Path,
        instance: InstanceId,
        boot_id: &str,
        retention: Retention,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let shelf = Shelf::open(folder, retention)?;
        let mut header = Vec::new();
        push_line(&mut header, |line| write!(line, "H {instance} {boot_id}"));
        let journal = Self {
            folder: folder.to_owned(),
            header,
            state: Mutex::new(State { segments: Vec::new(), shelf, unwritten: Vec::new(), torn: false, trouble: None }),
        };
        let last = numbers(folder)?.last().copied().max(journal.lock().shelf.last());
        let next = last.map_or(1, |last| last + 1);
        let segment = journal.open_segment(next)?;
        journal.lock().segments.push(segment);
        Ok(journal)
    }

    fn open_segment(&self, number: u64) -> io::Result<Segment> {
        let path = segment_path(&self.folder, number);
        let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        if let Err(error) = file.write_all(&self.header) {
            // Left behind, it would stand in the way of the next attempt, when the disk has room again.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let bytes = u64::try_from(self.header.len()).unwrap_or(0);
        Ok(Segment { number, file, bytes, open: 0 })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves at worst a torn line, which its checksum reveals.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a lease before anything is claimed under it. From here on, a missing begin-line says something of its claims
    /// even when the database no longer knows whose they were. A failure is not an error: then nothing is said of them.
    pub fn leased(&self, lease: Lease) {
        let Lease { campaign, page, token } = lease;
        let mut state = self.lock();
        self.roll(&mut state);
        push_line(&mut state.unwritten, |line| write!(line, "L {campaign} {page} {}", token.0));
        let _ = write_out(&mut state);
    }

    /// Writes the line that must stand before the first byte of a hand-over.
    ///
    /// # Errors
    /// It could not be written: then nothing may be handed over.
    pub fn begin(&self, key: ClaimKey) -> io::Result<Begun> {
        FailPoint::Begin.pass();
        let mut state = self.lock();
        self.roll(&mut state);
        let outcomes = state.unwritten.len();
        push_line(&mut state.unwritten, |line| write!(line, "B {}", claim(key)));
        let written = write_out(&mut state);
        if written.is_err() {
            state.unwritten.truncate(outcomes);
        }
        let number = written?;
        if let Some(segment) = state.segments.last_mut() {
            segment.open += 1;
        }
        FailPoint::Begun.pass();
        Ok(Begun(number))
    }

    /// Notes an outcome, to be written with whatever is written next. That it is not written is not an error to anybody:
    /// should the process die before the outcome is recorded, the delivery is ambiguous instead of known.
    pub fn outcome(&self, key: ClaimKey, verdict: &Verdict) {
        FailPoint::Outcome.pass();
        push_line(&mut self.lock().unwritten, |line| {
            write!(line, "O {} ", claim(key))?;
            serde_json::to_writer(line, verdict).map_err(io::Error::from)
        });
        FailPoint::Noted.pass();
    }

    /// Writes the outcomes that are noted; for the recorder, before a batch of them may have to wait for the database.
    pub fn flush(&self) {
        let mut state = self.lock();
        if !state.unwritten.is_empty() {
            let _ = write_out(&mut state);
        }
    }

    /// Notes that the outcomes of these attempts are in the database; files with nothing else in them are put aside.
    pub fn recorded(&self, begun: impl IntoIterator<Item = Begun>) {
        let mut state = self.lock();
        for Begun(number) in begun {
            if let Some(segment) = state.segments.iter_mut().find(|segment| segment.number == number) {
                segment.open = segment.open.saturating_sub(1);
            }
        }
        // In order: a later file may hold the outcome of an attempt that began in an earlier one.
        let all_but_current = state.segments.len().saturating_sub(1);
        let done = state.segments.iter().take(all_but_current).take_while(|segment| segment.open == 0).count();
        let State { segments, shelf, .. } = &mut *state;
        for segment in segments.drain(..done) {
            shelf.put(segment.number);
        }
    }

    /// Puts files aside that former incarnations left and that are resolved.
    pub fn put_aside(&self, files: impl IntoIterator<Item = u64>) {
        let mut state = self.lock();
        files.into_iter().for_each(|number| state.shelf.put(number));
    }

    /// What the last write failed with, if it failed.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// What it is at.
    #[must_use]
    pub fn state(&self) -> JournalState {
        let state = self.lock();
        let current = state.segments.last();
        JournalState {
            file: current.map(|segment| segment_path(&self.folder, segment.number).display().to_string()),
            bytes: current.map_or(0, |segment| segment.bytes),
            files: state.segments.len(),
            open: state.segments.iter().map(|segment| segment.open).sum(),
            error: state.trouble.clone(),
        }
    }

    /// Writes an empty line: whether there is room again, when nothing else is written.
    pub fn probe(&self) {
        let mut state = self.lock();
        state.shelf.clear_out();
        let _ = append(&mut state, b"\n");
    }

    /// What this incarnation's own files know of its claims, for leases that its guardian has taken from a pool.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read_back(&self) -> io::Result<JournalContents> {
        self.flush();
        let numbers: Vec<u64> = self.lock().segments.iter().map(|segment| segment.number).collect();
        let mut journals = JournalContents::default();
        for number in numbers {
            journals.read(&segment_path(&self.folder, number), number)?;
        }
        Ok(journals)
    }

    /// What this slot's files know, those that were put aside too: for a database that has lost what it acknowledged.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn everything(&self) -> io::Result<JournalContents> {
        self.flush();
        JournalContents::of_everything(&self.folder)
    }

    /// Goes on in a new file when the present one is long enough; when there is no new one to be had, in the present one.
    fn roll(&self, state: &mut State) {
        let Some(last) = state.segments.last() else { return };
        if last.bytes < SEGMENT_BYTES {
            return;
        }
        let Ok(next) = self.open_segment(last.number + 1) else { return };
        let idle = last.open == 0 && state.segments.len() == 1;
        let number = last.number;
        if idle && state.segments.pop().is_some() {
            state.shelf.put(number);
        }
        state.segments.push(next);
    }
}

/// Writes what is noted. What could not be written stays noted.
fn write_out(state: &mut State) -> io::Result<u64> {
    let mut lines = std::mem::take(&mut state.unwritten);
    let written = append(state, &lines);
    if written.is_ok() {
        lines.clear();
    }
    state.unwritten = lines;
    written
}

fn append(state: &mut State, text: &[u8]) -> io::Result<u64> {
    let torn = state.torn;
    let result = match state.segments.last_mut() {
        None => Err(io::Error::other("the journal is closed")),
        Some(segment) => {
            let parted = if torn { segment.file.write_all(b"\n") } else { Ok(()) };
            parted.and_then(|()| segment.file.write_all(text)).map(|()| {
                segment.bytes += u64::try_from(text.len() + usize::from(torn)).unwrap_or(0);
                segment.number
            })
        }
    };
    state.torn = result.is_err();
    state.trouble = result.as_ref().err().map(ToString::to_string);
    result
}

fn claim(key: ClaimKey) -> impl std::fmt::Display {
    std::fmt::from_fn(move |f| write!(f, "{} {} {} {}", key.campaign, key.contact, key.claim_no, key.token.0))
}

/// Adds `<checksum> <content>\n`. Content that cannot be put into words is left out.
fn push_line(lines: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
    let start = lines.len();
    lines.extend_from_slice(b"00000000 ");
    let from = lines.len();
    if content(lines).is_err() {
        return lines.truncate(start);
    }
    let sum = format!("{:08x}", crc32fast::hash(lines.get(from..).unwrap_or_default()));
    if let Some(place) = lines.get_mut(start..start + sum.len()) {
        place.copy_from_slice(sum.as_bytes());
    }
    lines.push(b'\n');
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("journal-{number:08}.log"))
}

/// The numbers of a folder's journal files, in order.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    numbered(folder, "journal-")
}

/// The numbers of files with that prefix, in order.
fn numbered(folder: &Path, prefix: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix)?.strip_suffix(".log"))
            .and_then(|digits| digits.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dispatch::abandoned::Evidence;
    use crate::domain::dispatch::lease::LeaseToken;
    use crate::domain::ids::{CampaignId, ContactId};

    fn a_claim(contact: i64) -> ClaimKey {
        ClaimKey { campaign: CampaignId(7), contact: ContactId(contact), claim_no: 1, token: LeaseToken(99) }
    }

    fn sent() -> Verdict {
        Verdict { state: crate::domain::dispatch::delivery::DeliveryState::Sent, counted: true, ..Verdict::untouched() }
    }

    #[test]
    fn a_journal_tells_not_begun_from_ended_and_from_ambiguous() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), InstanceId(3), "boot-a").unwrap();
        journal.begin(a_claim(1)).unwrap();
        journal.outcome(a_claim(1), &sent());
        // Its line stands with the next one that begins, which is before its place is taken again.
        journal.begin(a_claim(2)).unwrap();
        let (journals, files) = JournalContents::of_folder(folder.path()).unwrap();
        assert_eq!(files.len(), 1);
        assert!(journals.is_valid_for(InstanceId(3), "boot-a"));
        assert_eq!(journals.evidence(a_claim(1)), Evidence::Ended(sent()));
        assert_eq!(journals.evidence(a_claim(2)), Evidence::Ambiguous);
        assert_eq!(journals.evidence(a_claim(3)), Evidence::NotBegun);
    }

    #[test]
    fn a_journal_from_another_boot_or_incarnation_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        Journal::create(folder.path(), InstanceId(3), "boot-a").unwrap();
        let (journals, _) = JournalContents::of_folder(folder.path()).unwrap();
        assert!(!journals.is_valid_for(InstanceId(3), "boot-b"));
        assert!(!journals.is_valid_for(InstanceId(4), "boot-a"));
    }

    #[test]
    fn a_torn_line_is_passed_over_and_the_next_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), InstanceId(3), "boot-a").unwrap();
        let path = segment_path(folder.path(), 1);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"deadbeef B 7 1 1").unwrap();
        journal.lock().torn = true;
        journal.begin(a_claim(2)).unwrap();
        let (journals, _) = JournalContents::of_folder(folder.path()).unwrap();
        assert_eq!(journals.evidence(a_claim(1)), Evidence::NotBegun);
        assert_eq!(journals.evidence(a_claim(2)), Evidence::Ambiguous);
    }

    #[test]
    fn without_a_new_file_the_present_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), InstanceId(3), "boot-a").unwrap();
        std::fs::create_dir(segment_path(folder.path(), 2)).unwrap();
        if let Some(segment) = journal.lock().segments.last_mut() {
            segment.bytes = SEGMENT_BYTES;
        }
        let begun = journal.begin(a_claim(1)).unwrap();
        assert_eq!(begun, Begun(1));
        assert_eq!(journal.read_back().unwrap().evidence(a_claim(1)), Evidence::Ambiguous);
    }

    #[test]
    fn a_file_goes_once_everything_in_it_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), InstanceId(3), "boot-a").unwrap();
        let begun = journal.begin(a_claim(1)).unwrap();
        if let Some(segment) = journal.lock().segments.last_mut() {
            segment.bytes = SEGMENT_BYTES;
        }
        journal.begin(a_claim(2)).unwrap();
        assert_eq!(numbers(folder.path()).unwrap(), [1, 2]);
        journal.recorded([begun]);
        assert_eq!(numbers(folder.path()).unwrap(), [2]);
    }
}
