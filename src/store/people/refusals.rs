//! Refusals, filed beside the database: what is left of them when the database is restored from a backup that is older.
//!
//! A file for each run of a process that has refusals to file, below `data_dir/refusals/`: one JSON object a line. Nothing removes
//! lines: 200 bytes for each refusal, a few hundred megabytes for a million of them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::domain::channel::ChannelKind;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Reason;
use crate::store::engine::private_files;

/// A refusal as it is filed. Holds personal data: never logged, hence no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// Random; the consent log has it, too.
    pub id: String,
    /// When it was said.
    pub at: UtcInstant,
    /// Who refused; none: an address without a contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// What was refused; none: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListId>,
    /// How.
    pub reason: Reason,
    /// The addresses that it is about.
    pub addresses: Vec<(ChannelKind, String)>,
    /// Where it came from.
    pub source: String,
    /// The campaign whose message led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
}

/// Where refusals are filed. The default files nothing.
#[derive(Clone, Default)]
pub struct RefusalBook {
    folder: Option<Arc<Folder>>,
}

struct Folder {
    path: PathBuf,
    /// Made with the first refusal.
    file: Mutex<Option<File>>,
}

impl RefusalBook {
    /// Files refusals below the settings' `data_dir`.
    #[must_use]
    pub fn below(data_dir: &Path) -> Self {
        let folder = Folder { path: data_dir.join("refusals"), file: Mutex::new(None) };
        Self { folder: Some(Arc::new(folder)) }
    }

    /// Writes refusals and waits until they are on the disk.
    pub(super) fn file(&self, refusals: &[Filed]) {
        let Some(folder) = self.folder.as_deref().filter(|_| !refusals.is_empty()) else { return };
        if let Err(error) = folder.write(refusals) {
            tracing::error!(
                event = "consent.refusal_unfiled",
                refusals = refusals.len(),
                %error,
                "refusals are stored in the database but cannot be written to data_dir/refusals: a restored backup would lose them"
            );
        }
    }

    /// Reads everything that was filed here, file by file, in portions.
    ///
    /// # Errors
    /// A file cannot be read, or `each` failed.
    pub async fn read<E: From<io::Error>>(
        &self,
        mut each: impl AsyncFnMut(Vec<Filed>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for path in folder.files()? {
            let mut portion = Vec::with_capacity(PORTION);
            let mut unreadable = 0_u64;
            for line in BufReader::new(File::open(&path)?).split(b'\n') {
                let line = line?;
                match serde_json::from_slice(&line) {
                    Ok(filed) => portion.push(filed),
                    Err(_) if line.trim_ascii().is_empty() => {}
                    // The process died in the middle of it, before the refusal was answered; or the file was damaged.
                    Err(_) => unreadable += 1,
                }
                if portion.len() >= PORTION {
                    each(std::mem::take(&mut portion)).await?;
                }
            }
            if !portion.is_empty() {
                each(portion).await?;
            }
            if unreadable > 0 {
                tracing::warn!(
                    event = "consent.refusals_unreadable",
                    file = %path.display(),
                    lines = unreadable,
                    "lines of filed refusals cannot be read; one at the end of a file is what a crash leaves"
                );
            }
        }
        Ok(())
    }
}

/// How many refusals are looked at together.
const PORTION: usize = 500;

impl Folder {
    fn write(&self, refusals: &[Filed]) -> io::Result<()> {
        let mut text = Vec::with_capacity(refusals.len() * 256);
        for refusal in refusals {
            serde_json::to_writer(&mut text, refusal)?;
            text.push(b'\n');
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = match file.take() {
            Some(open) => open,
            None => self.create()?,
        };
        // After a failure the next one begins a new file: nobody knows how this one ends.
        open.write_all(&text)?;
        open.sync_data()?;
        *file = Some(open);
        Ok(())
    }

    fn create(&self) -> io::Result<File> {
        private_files::make_folder(&self.path)?;
        let path = self.path.join(uuid::Uuid::new_v4().to_string()).with_extension("jsonl");
        let file = private_files::options().create_new(true).append(true).open(path)?;
        // The name, too, outlasts a power cut.
        File::open(&self.path)?.sync_all()?;
        Ok(file)
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn filed(id: &str) -> Filed {
        Filed {
            id: id.to_owned(),
            at: UtcInstant(1_000),
            contact: Some(ContactId(7)),
            list: None,
            reason: Reason::Unsubscribed,
            addresses: vec![(ChannelKind::Email, "ann@example.com".to_owned())],
            source: "one_click".to_owned(),
            campaign: None,
        }
    }

    async fn ids(book: &RefusalBook) -> Vec<String> {
        let mut ids = Vec::new();
        let read: io::Result<()> = book
            .read(async |portion| {
                ids.extend(portion.into_iter().map(|filed| filed.id));
                Ok(())
            })
            .await;
        read.unwrap();
        ids
    }

    #[actix::test]
    async fn what_was_filed_is_read_again_by_the_next_run_and_a_torn_line_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ids(&RefusalBook::below(folder.path())).await.is_empty());
        RefusalBook::below(folder.path()).file(&[filed("a"), filed("b")]);
        let second = RefusalBook::below(folder.path());
        second.file(&[filed("c")]);
        let torn = std::fs::read_dir(folder.path().join("refusals")).unwrap().next().unwrap().unwrap().path();
        OpenOptions::new().append(true).open(torn).unwrap().write_all(br#"{"id":"d","at":"#).unwrap();
        for file in std::fs::read_dir(folder.path().join("refusals")).unwrap() {
            let mode = std::os::unix::fs::PermissionsExt::mode(&file.unwrap().metadata().unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600, "nobody else reads who has refused");
        }
        let mut found = ids(&RefusalBook::below(folder.path())).await;
        found.sort();
        assert_eq!(found, ["a", "b", "c"]);
        assert!(ids(&RefusalBook::default()).await.is_empty());
    }
}
