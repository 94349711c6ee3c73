//! The folder of archived deliveries: a compressed CSV file for each campaign, written under another name until it is complete.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use csv_core::ReadRecordResult;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::domain::dispatch::delivery::DeliveryState;
use crate::domain::dispatch::page::Counts;
use crate::domain::ids::CampaignId;
use crate::store::engine::private_files;

/// The columns of a file.
pub const COLUMNS: &str = "contact_id,page_id,status,attempts,error,error_category,answer_class,provider_id,claimed_at,settled_at,reported,\
                           attempt_log,links";

/// The end of a name while the file is not complete.
const PART: &str = ".part";

/// What is read at once.
const BLOCK: usize = 1 << 16;

/// The longest line that is read: no line that was written is as long.
const LONGEST_LINE: usize = 1 << 26;

/// The folder `archive` below the settings' `data_dir`.
#[derive(Debug, Clone)]
pub struct ArchiveFolder {
    path: PathBuf,
}

/// A file that is being written. It goes when this is dropped before [`Part::complete`].
pub struct Part {
    packed: Option<GzEncoder<Hashed<File>>>,
    part: PathBuf,
    whole: PathBuf,
}

/// What a complete file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete {
    /// Its name in the folder.
    pub name: String,
    /// The SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// How many deliveries are in which state.
    pub counts: Counts,
}

/// Why a file cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not in this folder.
    #[error("the file is not in the data folder of this instance")]
    Missing,
    /// The disk failed.
    #[error("the file cannot be read: {0}")]
    Io(io::Error),
    /// It is not what was written.
    #[error("the file is damaged: {0}")]
    Damaged(String),
}

impl ArchiveFolder {
    /// The folder below the settings' `data_dir`.
    #[must_use]
    pub fn below(data_dir: &Path) -> Self {
        Self { path: data_dir.join("archive") }
    }

    /// Begins a file for a campaign, under a name of its own, and writes the header. What earlier tries have left unfinished goes.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub fn begin(&self, campaign: CampaignId) -> io::Result<Part> {
        private_files::make_folder(&self.path)?;
        if let Some(data_dir) = self.path.parent() {
            // The new folder itself has to outlast a power cut.
            File::open(data_dir)?.sync_all()?;
        }
        self.forget_parts(campaign)?;
        let mark = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("campaign-{campaign}-{}.csv.gz", mark.get(..8).unwrap_or(&mark));
        let whole = self.path.join(&name);
        let part = self.path.join(format!("{name}{PART}"));
        let file = private_files::options().create_new(true).write(true).open(&part)?;
        let mut begun = Part { packed: Some(GzEncoder::new(Hashed::new(file), Compression::default())), part, whole };
        begun.write(&format!("{COLUMNS}\r\n"))?;
        Ok(begun)
    }

    fn forget_parts(&self, campaign: CampaignId) -> io::Result<()> {
        let begin = format!("campaign-{campaign}-");
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let is_part = |name: &str| name.starts_with(&begin) && name.ends_with(PART);
            if name.to_str().is_some_and(is_part) {
                fs::remove_file(self.path.join(name))?;
            }
        }
        Ok(())
    }

    /// Whether there is a file of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    /// Removes a complete file that nobody was told about.
    pub fn remove(&self, name: &str) {
        // Left behind, it says the same as the rows, which are still there.
        let _ = fs::remove_file(self.path.join(name));
    }

    /// Reads a whole file, and holds its bytes against their SHA-256. Memory does not grow with the file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn count(&self, name: &str, sha256: &str) -> Result<Held, FileError> {
        let file = File::open(self.path.join(name)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound { FileError::Missing } else { FileError::Io(error) }
        })?;
        let mut lines = Lines::new(MultiGzDecoder::new(Hashed::new(file)));
        let held = lines.count()?;
        let mut file = lines.packed.into_inner();
        io::copy(&mut file, &mut io::sink()).map_err(FileError::Io)?;
        if file.digest() == sha256 { Ok(held) } else { Err(damaged("its bytes are not those that were written")) }
    }
}

/// What is packed says itself whether it is whole.
fn unreadable(error: io::Error) -> FileError {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let is_damaged = [InvalidData, InvalidInput, UnexpectedEof].contains(&error.kind());
    if is_damaged { damaged(error.to_string()) } else { FileError::Io(error) }
}

fn damaged(what: impl Into<String>) -> FileError {
    FileError::Damaged(what.into())
}

impl Part {
    /// Appends whole lines.
    ///
    /// # Errors
    /// The disk is full, or failed.
    pub fn write(&mut self, lines: &str) -> io::Result<()> {
        match &mut self.packed {
            Some(packed) => packed.write_all(lines.as_bytes()),
            None => Err(io::Error::other("the file is complete already")),
        }
    }

    /// Brings everything to the disk, and gives the file its name.
    ///
    /// # Errors
    /// The disk is full, or failed.
    pub fn complete(mut self) -> io::Result<Complete> {
        let packed = self.packed.take().ok_or_else(|| io::Error::other("the file is complete already"))?;
        let hashed = packed.finish()?;
        hashed.inner.sync_all()?;
        let (sha256, bytes) = (hashed.digest(), hashed.inner.metadata()?.len());
        fs::rename(&self.part, &self.whole)?;
        if let Some(folder) = self.whole.parent() {
            File::open(folder)?.sync_all()?;
        }
        let name = self.whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Complete { name, sha256, bytes })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After the rename there is none.
        let _ = fs::remove_file(&self.part);
    }
}

/// Bytes on their way, hashed.
struct Hashed<F> {
    inner: F,
    hash: Sha256,
}

impl<F> Hashed<F> {
    fn new(inner: F) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    /// The SHA-256 of what has passed so far, in hex.
    fn digest(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<F: Write> Write for Hashed<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<F: Read> Read for Hashed<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// The lines of a file, one after the other.
struct Lines<R> {
    packed: R,
    reader: csv_core::Reader,
    block: Vec<u8>,
    /// Of the block: from where, up to where it is still to be read.
    unread: (usize, usize),
    /// The cells of a line, one behind the other, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: Read> Lines<R> {
    fn new(packed: R) -> Self {
        Self {
            packed,
            reader: csv_core::Reader::new(),
            block: vec![0; BLOCK],
            unread: (0, 0),
            cells: vec![0; BLOCK],
            ends: vec![0; 64],
        }
    }

    /// Reads the next line. The number of its cells; `None`: there are no more.
    fn next_line(&mut self) -> Result<Option<usize>, FileError> {
        let (mut written, mut cells) = (0, 0);
        loop {
            if self.unread.0 == self.unread.1 {
                let read = self.packed.read(&mut self.block).map_err(unreadable)?;
                self.unread = (0, read);
            }
            let block = self.block.get(self.unread.0..self.unread.1).unwrap_or_default();
            let text = self.cells.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(cells..).unwrap_or_default();
            let (result, taken, given, ended) = self.reader.read_record(block, text, ends);
            self.unread.0 += taken;
            written += given;
            cells += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() < LONGEST_LINE => {
                    self.cells.resize(self.cells.len() * 2, 0);
                }
                ReadRecordResult::OutputFull => return Err(damaged("a line is too long")),
                ReadRecordResult::OutputEndsFull => return Err(damaged("a line has too many cells")),
                ReadRecordResult::Record => return Ok(Some(cells)),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn cell(&self, place: usize) -> &str {
        let begin = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let end = self.ends.get(place).copied().unwrap_or_default();
        self.cells.get(begin..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Counts all lines behind the header. Contacts rise from line to line, so that none is there twice.
    fn count(&mut self) -> Result<Held, FileError> {
        let columns = COLUMNS.split(',').count();
        let header =
            self.next_line()?.map(|cells| (0..cells).map(|place| self.cell(place)).collect::<Vec<_>>().join(","));
        if header.as_deref() != Some(COLUMNS) {
            return Err(damaged("its first line does not name the columns"));
        }
        let (mut counts, mut last) = (Counts::default(), 0);
        while let Some(cells) = self.next_line()? {
            if cells != columns {
                return Err(damaged(format!("the line behind contact {last} has {cells} cells instead of {columns}")));
            }
            let contact: Option<i64> = self.cell(0).parse().ok();
            let state = DeliveryState::from_text(self.cell(2));
            let (Some(contact), Some(state)) = (contact, state) else {
                return Err(damaged(format!("the line behind contact {last} cannot be read")));
            };
            if contact <= last {
                return Err(damaged(format!("contact {contact} stands behind contact {last}")));
            }
            last = contact;
            counts = counts.shifted(state, 1);
        }
        Ok(Held { counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &ArchiveFolder, lines: &[&str]) -> Complete {
        let mut part = folder.begin(CampaignId(7)).unwrap();
        for line in lines {
            part.write(&format!("{line}\r\n")).unwrap();
        }
        part.complete().unwrap()
    }

    #[test]
    fn a_complete_file_is_counted_and_holds_what_was_written() {
        let place = tempfile::tempdir().unwrap();
        let folder = ArchiveFolder::below(place.path());
        let complete = written(
            &folder,
            &["1,1,sent,1,,,,,,,,,", "2,1,failed,3,\"no, \"\"really\"\"\r\nnot\",,,,,,,,", "9,2,sent,1,,,,,,,,,"],
        );
        assert!(complete.name.starts_with("campaign-7-") && complete.name.ends_with(".csv.gz"), "{complete:?}");
        let held = folder.count(&complete.name, &complete.sha256).unwrap();
        assert_eq!((held.counts.sent, held.counts.failed, held.counts.total()), (2, 1, 3));
        assert_eq!(fs::read_dir(place.path().join("archive")).unwrap().count(), 1);
    }

    #[test]
    fn what_was_changed_cut_off_or_removed_is_told() {
        let place = tempfile::tempdir().unwrap();
        let folder = ArchiveFolder::below(place.path());
        let many: Vec<String> = (1..500).map(|id| format!("{id},1,sent,1,,,,{id},,,,,")).collect();
        let complete = written(&folder, &many.iter().map(String::as_str).collect::<Vec<_>>());
        let path = place.path().join("archive").join(&complete.name);
        let whole = fs::read(&path).unwrap();
        for changed in [
            whole[..whole.len() / 2].to_vec(),
            [&whole[..], b"more"].concat(),
            Vec::new(),
            whole.iter().enumerate().map(|(at, byte)| if at == 200 { !byte } else { *byte }).collect(),
        ] {
            fs::write(&path, changed).unwrap();
            let told = folder.count(&complete.name, &complete.sha256);
            assert!(matches!(told, Err(FileError::Damaged(_))), "{told:?}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(folder.count(&complete.name, &complete.sha256), Err(FileError::Missing)));
    }

    #[test]
    fn nobody_is_there_twice_and_every_line_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let folder = ArchiveFolder::below(place.path());
        for lines in [["1,1,sent,1,,,,,,,,,", "1,1,sent,1,,,,,,,,,"], ["1,1,sent,1,,,,,,,,,", "2,1,sent"]] {
            let complete = written(&folder, &lines);
            assert!(matches!(folder.count(&complete.name, &complete.sha256), Err(FileError::Damaged(_))));
        }
    }

    #[test]
    fn a_file_that_is_not_complete_has_no_name_and_goes() {
        let place = tempfile::tempdir().unwrap();
        let folder = ArchiveFolder::below(place.path());
        // As a process that was killed would leave it.
        std::mem::forget(folder.begin(CampaignId(7)).unwrap());
        std::mem::forget(folder.begin(CampaignId(70)).unwrap());
        let names = || fs::read_dir(place.path().join("archive")).unwrap().count();
        assert_eq!(names(), 2);
        drop(folder.begin(CampaignId(7)).unwrap());
        assert_eq!(names(), 1, "that of another campaign stays");
    }
}
