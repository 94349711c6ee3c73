//! What journals say. It is read back when a lease that has lost its owner is resolved.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::kept::{kept_numbers, kept_path};
use super::{numbers, segment_path};
use crate::domain::dispatch::abandoned::Evidence;
use crate::domain::dispatch::claim::ClaimKey;
use crate::domain::dispatch::evidence::{Begun, Known};
use crate::domain::dispatch::lease::{Lease, LeaseToken};
use crate::domain::dispatch::settlement::Verdict;
use crate::domain::ids::{CampaignId, ContactId, InstanceId, PageId};

/// What journals say of claims.
#[derive(Debug, Default)]
pub struct JournalContents {
    /// `None`: begun, with no outcome.
    lines: HashMap<ClaimKey, Option<Verdict>>,
    /// Whose journals these are and from which boot, with the numbers of the files that are still there.
    writers: BTreeMap<(InstanceId, String), BTreeSet<u64>>,
    /// Leases, with the number of the file that names them.
    leases: Vec<(Lease, u64)>,
}

impl JournalContents {
    /// Reads what former incarnations left unrecorded in a slot's folder, and says which files that is.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of_folder(folder: &Path) -> io::Result<(Self, Vec<u64>)> {
        let mut journals = Self::default();
        let mut files = Vec::new();
        for number in numbers(folder)? {
            journals.read(&segment_path(folder, number), number)?;
            files.push(number);
        }
        Ok((journals, files))
    }

    /// Reads the files that were put aside as well.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of_everything(folder: &Path) -> io::Result<Self> {
        let mut journals = Self::default();
        for number in kept_numbers(folder)? {
            journals.read(&kept_path(folder, number), number)?;
        }
        for number in numbers(folder)? {
            journals.read(&segment_path(folder, number), number)?;
        }
        Ok(journals)
    }

    /// Every claim that began, by campaign and contact, oldest first.
    #[must_use]
    pub fn by_campaign(&self) -> BTreeMap<CampaignId, Known> {
        let mut all = BTreeMap::<CampaignId, Known>::new();
        for (key, verdict) in &self.lines {
            let claims = all.entry(key.campaign).or_default().entry(key.contact).or_default();
            claims.push(Begun { key: *key, verdict: verdict.clone() });
        }
        for claims in all.values_mut().flat_map(BTreeMap::values_mut) {
            claims.sort_unstable_by_key(|begun| begun.key.claim_no);
        }
        all
    }

    pub(super) fn read(&mut self, path: &Path, number: u64) -> io::Result<()> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(());
            }
            if let Some(content) = std::str::from_utf8(&bytes).ok().and_then(checked) {
                self.note(content, number);
            }
        }
    }

    fn note(&mut self, content: &str, number: u64) {
        let mut words = content.splitn(6, ' ');
        match words.next() {
            Some("H") => {
                if let (Some(Ok(id)), Some(boot)) = (words.next().map(str::parse), words.next()) {
                    self.writers.entry((InstanceId(id), boot.to_owned())).or_default().insert(number);
                }
            }
            Some("L") => self.leases.extend(lease(&mut words).map(|lease| (lease, number))),
            Some("B") => {
                if let Some(key) = key(&mut words) {
                    self.lines.entry(key).or_insert(None);
                }
            }
            Some("O") => {
                if let Some(key) = key(&mut words) {
                    let verdict = words.next().and_then(|json| serde_json::from_str(json).ok());
                    self.lines.insert(key, verdict);
                }
            }
            _ => {}
        }
    }

    /// Whether these files are the word of `instance`, from the machine's present boot.
    #[must_use]
    pub fn is_valid_for(&self, instance: InstanceId, boot_id: &str) -> bool {
        self.writers.contains_key(&(instance, boot_id.to_owned()))
    }

    /// What is known of a claim on a delivery that is still `sending`, given files that are valid for its owner: a file
    /// stays for as long as something in it is not recorded.
    #[must_use]
    pub fn evidence(&self, key: ClaimKey) -> Evidence {
        match self.lines.get(&key) {
            None => Evidence::NotBegun,
            Some(None) => Evidence::Ambiguous,
            Some(Some(verdict)) => Evidence::Ended(verdict.clone()),
        }
    }

    /// Every outcome that was written down: it is true whichever incarnation wrote it, and whenever.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(ClaimKey, Verdict)> {
        let ended = |(key, line): (&ClaimKey, &Option<Verdict>)| line.clone().map(|verdict| (*key, verdict));
        self.lines.iter().filter_map(ended).collect()
    }

    /// Whether a begin-line of this claim is here.
    #[must_use]
    pub fn has_begun(&self, key: ClaimKey) -> bool {
        self.lines.contains_key(&key)
    }

    /// Leases of which every claim that began has its line here: written in the machine's present boot, in files of which
    /// none has gone since. Of a delivery that is `uncertain` already, a missing line proves something only under these,
    /// because the file with its line may have gone when that was recorded.
    #[must_use]
    pub fn whole_leases(&self, boot_id: &str) -> Vec<Lease> {
        let mut whole = Vec::new();
        for files in self.writers.iter().filter(|((_, boot), _)| boot == boot_id).map(|(_, files)| files) {
            let Some(last) = files.last() else { continue };
            let unbroken = files.iter().rev().zip((0..=*last).rev()).take_while(|(file, expected)| *file == expected);
            let first = unbroken.last().map_or(last, |(file, _)| file);
            whole.extend(self.leases.iter().filter(|(_, at)| (first..=last).contains(&at)).map(|(lease, _)| *lease));
        }
        whole
    }
}

fn key<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<ClaimKey> {
    Some(ClaimKey {
        campaign: CampaignId(words.next()?.parse().ok()?),
        contact: ContactId(words.next()?.parse().ok()?),
        claim_no: words.next()?.parse().ok()?,
        token: LeaseToken(words.next()?.parse().ok()?),
    })
}

fn lease<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Lease> {
    Some(Lease {
        campaign: CampaignId(words.next()?.parse().ok()?),
        page: PageId(words.next()?.parse().ok()?),
        token: LeaseToken(words.next()?.parse().ok()?),
    })
}

fn checked(line: &str) -> Option<&str> {
    let (sum, content) = line.strip_suffix('\n')?.split_once(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (sum == crc32fast::hash(content.as_bytes())).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_testimony(lines: &[(u64, &str)]) -> JournalContents {
        let mut journals = JournalContents::default();
        lines.iter().for_each(|(number, line)| journals.note(line, *number));
        journals
    }

    #[test]
    fn a_lease_is_whole_while_no_file_since_it_has_gone() {
        let lines = [(1, "H 3 boot"), (1, "L 7 1 11"), (2, "H 3 boot"), (2, "L 7 2 22"), (3, "H 3 boot")];
        let tokens = |journals: JournalContents, boot| {
            journals.whole_leases(boot).into_iter().map(|lease| lease.token.0).collect::<Vec<i64>>()
        };
        assert_eq!(tokens(a_testimony(&lines), "boot"), [11, 22]);
        assert!(tokens(a_testimony(&lines), "another boot").is_empty());
        let gap = [lines[0], lines[1], lines[4], (3, "L 7 3 33")];
        assert_eq!(tokens(a_testimony(&gap), "boot"), [33]);
    }

    #[test]
    fn outcomes_count_whoever_wrote_them() {
        let line = r#"O 7 1 1 99 {"state":"sent","counted":true}"#;
        let outcomes = a_testimony(&[(1, "H 3 long-ago"), (1, line)]).outcomes();
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].0.contact, ContactId(1));
    }
}
