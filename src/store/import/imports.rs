//! Imports of files: what was uploaded, how far it is stored, and what was refused.

use std::sync::Arc;

use diesel::prelude::*;

use crate::domain::export::Format;
use crate::domain::ids::{ContactId, ImportId, ListId};
use crate::domain::import::ResumePoint;
use crate::domain::import::looking::ColumnFate;
use crate::domain::import::presets::Preset;
use crate::domain::import::reading::Mapped;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::Act;
use crate::domain::people::contact::ContactDraft;
use crate::domain::people::standing::{Grounds, Standing};
use crate::store::engine;
use crate::store::engine::idempotency::{self, Answer, Key, Recall};
use crate::store::engine::listing::{Slice, Window};
use crate::store::engine::schema::imports;
use crate::store::engine::touches;
use crate::store::people::consent::{Ledger, Scribe};
use crate::store::people::contacts::{self, Applied, Fate, Joining, Noted, Several};
use crate::store::people::{attributes, tags};
use crate::store::{Conn, StoreError};

pub use super::batch::{Batch, KEPT_REJECTIONS, Rejection};
pub use super::dropped::of_another;
pub use super::status::ImportStatus;
use super::target::grounds;
pub use super::target::{ImportConsent, Target};
use super::{dropped, rejections};

/// An import as stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = imports)]
pub struct ImportRow {
    /// Its id.
    pub id: ImportId,
    /// Where it stands.
    pub status: ImportStatus,
    /// The list whose members the contacts become.
    pub list_id: Option<ListId>,
    /// The name of the file in the folder of imports.
    pub file: String,
    /// Everything before this byte is dealt with.
    pub byte_offset: i64,
    /// The line there.
    pub line: i64,
    /// Rows dealt with: the sum of the next three.
    pub rows_read: i64,
    /// Rows that made a new contact.
    pub rows_created: i64,
    /// Rows that meant a contact who was there, changed or not; since an earlier row of the same file, too.
    pub rows_updated: i64,
    /// Rows that were refused.
    pub rows_rejected: i64,
    /// The first refusals, as JSON; see [`ImportRow::rejected`].
    rejected: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was uploaded.
    pub created_at: UtcInstant,
    /// When it advanced last.
    pub updated_at: UtcInstant,
    /// Whether the people have confirmed their consent.
    pub confirmed: bool,
    /// Why refusals are overridden. None: they stay.
    pub resubscribe_reason: Option<String>,
    /// Contacts that had refused and are subscribed again.
    pub resubscribed: i64,
    /// Rows of contacts that have refused and stay unsubscribed.
    pub stay_refused: i64,
    /// Cells of rows that came in that nothing was made of.
    pub dropped_cells: i64,
    /// The first of them, as JSON; see [`ImportRow::dropped`].
    dropped: String,
    /// The encoding that the file came in. None: an earlier version took it.
    pub encoding: Option<String>,
    /// The tool whose export the file is taken for.
    pub preset: Option<Preset>,
    /// What columns are, as far as that was said; see [`ImportRow::reading`].
    pub(super) mapping: String,
    /// Rows that say that an address is not written to any more, whatever lists it is on.
    pub rows_suppressed: i64,
    /// The length of the file, in bytes. None: an earlier version took it.
    pub bytes: Option<i64>,
    /// How the file is written.
    pub format: Format,
    /// What its first columns became, as JSON; see [`ImportRow::columns`].
    file_columns: Option<String>,
}

/// How many columns of a file are kept.
pub const KEPT_COLUMNS: usize = 200;

/// A file that was uploaded.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// Its name in the folder of imports.
    pub name: &'a str,
    /// The encoding that it came in.
    pub encoding: &'a str,
    /// Its length, in bytes.
    pub bytes: u64,
    /// How it is written.
    pub format: Format,
    /// What its columns become.
    pub columns: &'a [ColumnFate],
}

impl ImportRow {
    /// What was refused: every error of the first [`KEPT_REJECTIONS`] rejected rows.
    ///
    /// # Errors
    /// What is stored is not readable.
    pub fn rejected(&self) -> Result<Vec<Rejection>, StoreError> {
        serde_json::from_str(&self.rejected)
            .map_err(|source| StoreError::Corrupt { what: "rejected rows of an import", detail: source.to_string() })
    }

    /// The first [`KEPT_REJECTIONS`] cells that nothing was made of.
    ///
    /// # Errors
    /// What is stored is not readable.
    pub fn dropped(&self) -> Result<Vec<Rejection>, StoreError> {
        dropped::read(&self.dropped)
    }

    /// What the first [`KEPT_COLUMNS`] columns of the file became. `None`: an earlier version took it.
    ///
    /// # Errors
    /// What is stored is not readable.
    pub fn columns(&self) -> Result<Option<Vec<ColumnFate>>, StoreError> {
        self.file_columns
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|source| StoreError::Corrupt { what: "columns of an import", detail: source.to_string() })
    }

    /// What the consent of its contacts rests on.
    fn grounds(&self) -> Grounds {
        grounds(self.confirmed, self.resubscribe_reason.is_some())
    }

    /// A scribe that gives the reason of this import.
    #[must_use]
    pub fn scribe(&self, scribe: &Scribe) -> Scribe {
        let act = Act { note: self.resubscribe_reason.clone(), ..Act::clone(&scribe.act) };
        Scribe { act: Arc::new(act), book: scribe.book.clone() }
    }

    /// Where to go on; `None` before the first row.
    #[must_use]
    pub fn resume_point(&self) -> Option<ResumePoint> {
        let byte = u64::try_from(self.byte_offset).ok().filter(|byte| *byte > 0)?;
        Some(ResumePoint { byte, line: u64::try_from(self.line).unwrap_or(1) })
    }
}

/// What became of an upload.
pub enum Submitted {
    /// Stored: the importer will take it up.
    Stored(Answer),
    /// The same upload was stored before, under the same key.
    Before(Answer),
    /// The key was used for another upload.
    KeyReused,
    /// There is no such list.
    NoList(ListId),
}

/// Stores an upload together with the answer to it. The `preset` is the one that the file is read by; none: by the names of its columns.
///
/// # Errors
/// [`StoreError::Taken`] when a list has the name of the new one. A query failed, or `answer` did.
pub fn submit(
    conn: &mut Conn,
    file: &NewFile<'_>,
    target: &Target,
    consent: &ImportConsent,
    (preset, mapping): (Option<Preset>, &[Mapped]),
    key: Option<&Key>,
    answer: impl FnOnce(ImportRow) -> Result<Answer, StoreError>,
) -> Result<Submitted, StoreError> {
    conn.write(|conn| {
        match key.map(|key| idempotency::recall(conn, key)).transpose()? {
            Some(Recall::Answered(answer)) => return Ok(Submitted::Before(answer)),
            Some(Recall::Reused | Recall::UnderWay) => return Ok(Submitted::KeyReused),
            Some(Recall::New) | None => {}
        }
        let now = engine::now(conn)?;
        let list = match target.list(conn)? {
            Ok(list) => list,
            Err(missing) => return Ok(Submitted::NoList(missing)),
        };
        let row: ImportRow = diesel::insert_into(imports::table)
            .values((
                imports::status.eq(ImportStatus::Pending),
                imports::list_id.eq(list),
                imports::file.eq(file.name),
                imports::encoding.eq(file.encoding),
                imports::format.eq(file.format),
                imports::bytes.eq(i64::try_from(file.bytes).unwrap_or(i64::MAX)),
                imports::file_columns
                    .eq(serde_json::json!(file.columns.get(..KEPT_COLUMNS).unwrap_or(file.columns)).to_string()),
                imports::confirmed.eq(consent.confirmed),
                imports::resubscribe_reason.eq(&consent.resubscribe_reason),
                imports::preset.eq(preset),
                imports::mapping.eq(Mapped::stored(mapping)),
                imports::created_at.eq(now),
                imports::updated_at.eq(now),
            ))
            .returning(imports::all_columns)
            .get_result(conn)
            .map_err(StoreError::query("store an import"))?;
        let answer = answer(row)?;
        if let Some(key) = key {
            idempotency::remember(conn, key, &answer)?;
        }
        Ok(Submitted::Stored(answer))
    })
}

/// An import.
///
/// # Errors
/// The query failed.
pub fn find(conn: &mut Conn, id: ImportId) -> Result<Option<ImportRow>, StoreError> {
    imports::table
        .find(id)
        .select(ImportRow::as_select())
        .first(conn)
        .optional()
        .map_err(StoreError::query("read an import"))
}

/// Imports, newest first.
///
/// # Errors
/// A query failed.
pub fn list(conn: &mut Conn, window: Window) -> Result<Slice<ImportRow>, StoreError> {
    conn.snapshot(|conn| {
        let anchor = match window.anchor {
            Some(anchor) => anchor,
            None => imports::table
                .select(diesel::dsl::max(imports::id))
                .first::<Option<i64>>(conn)
                .map_err(StoreError::query("list imports"))?
                .unwrap_or_default(),
        };
        let total = imports::table
            .filter(imports::id.le(anchor))
            .count()
            .get_result(conn)
            .map_err(StoreError::query("count imports"))?;
        let rows = imports::table
            .filter(imports::id.le(anchor).and(imports::id.lt(window.before.unwrap_or(i64::MAX))))
            .order(imports::id.desc())
            .offset(window.offset)
            .limit(window.fetch())
            .select(ImportRow::as_select())
            .load(conn)
            .map_err(StoreError::query("list imports"))?;
        Ok(window.slice(rows, total, anchor))
    })
}

/// Those of these imports that there are, oldest first.
///
/// # Errors
/// The query failed.
pub fn these(conn: &mut Conn, ids: &[ImportId]) -> Result<Vec<ImportRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    imports::table
        .filter(imports::id.eq_any(ids.to_vec()))
        .order(imports::id)
        .select(ImportRow::as_select())
        .load(conn)
        .map_err(StoreError::query("read imports"))
}

/// Imports that are not at their end, oldest first.
///
/// # Errors
/// The query failed.
pub fn unfinished(conn: &mut Conn) -> Result<Vec<ImportRow>, StoreError> {
    imports::table
        .filter(imports::status.eq(ImportStatus::Pending).or(imports::status.eq(ImportStatus::Running)))
        .order(imports::id)
        .select(ImportRow::as_select())
        .load(conn)
        .map_err(StoreError::query("look for unfinished imports"))
}

/// Marks an import as running, keeps the `header` of its rejected rows, and the attribute names of its header: a
/// template may ask for them even where every cell is empty.
///
/// # Errors
/// A query failed.
pub fn begin(conn: &mut Conn, id: ImportId, attribute_names: &[String], header: &str) -> Result<(), StoreError> {
    conn.write(|conn| {
        let now = engine::now(conn)?;
        diesel::update(imports::table.filter(imports::id.eq(id).and(imports::status.eq(ImportStatus::Pending))))
            .set((imports::status.eq(ImportStatus::Running), imports::updated_at.eq(now)))
            .execute(conn)
            .map_err(StoreError::query("begin an import"))?;
        rejections::keep_header(conn, id, header)?;
        attributes::record(conn, attribute_names.iter(), now)
    })
}

/// What else the transaction of a batch stores, behind its rows.
pub type Also<'a> = &'a dyn Fn(&mut Conn, &Applied) -> Result<(), StoreError>;

/// Stores a batch, what `also` adds to it, and the import's progress in one transaction: a batch that comes a second time changes
/// nothing.
///
/// # Errors
/// [`StoreError::Stale`] when the import does not stand where the batch begins: another importer has the file, or the
/// transaction before was committed without an answer. Or a query failed.
pub fn store_batch(
    conn: &mut Conn,
    scribe: &Scribe,
    id: ImportId,
    batch: &Batch,
    also: Also<'_>,
) -> Result<(), StoreError> {
    let mut result = conn.write(|conn| store_batch_by(conn, scribe, id, batch, contacts::apply, also));
    // Keys that move between contacts within a batch, or that somebody else stored meanwhile.
    for _ in 0..3 {
        match &result {
            Err(error) if error.is_unique_violation() => {
                result = conn.write(|conn| store_batch_by(conn, scribe, id, batch, contacts::apply_one_by_one, also));
            }
            Ok(()) | Err(_) => break,
        }
    }
    result
}

/// From how many rows on an import has its contacts evaluated for segments together when it is over, and not as they come: what else
/// happens meanwhile does not wait behind them.
const TOUCHED_ONE_BY_ONE: i64 = 10_000;

/// How the drafts of a batch are stored: all at once, or one by one.
type Apply = fn(&mut Conn, &mut Ledger<'_>, &[ContactDraft], &Joining<'_>, UtcInstant) -> Result<Applied, StoreError>;

fn store_batch_by(
    conn: &mut Conn,
    scribe: &Scribe,
    id: ImportId,
    batch: &Batch,
    apply: Apply,
    also: Also<'_>,
) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let Some(mut row) = find(conn, id)? else { return Err(StoreError::Stale { what: "the import" }) };
    if row.status != ImportStatus::Running || row.resume_point() != batch.from {
        return Err(StoreError::Stale { what: "the import" });
    }
    let byte_offset = row.byte_offset;
    let mut ledger = Ledger::new(scribe);
    let noted = if row.rows_read >= TOUCHED_ONE_BY_ONE { Noted::Elsewhere } else { Noted::Each };
    let (list, grounds, several) = (row.list_id, row.grounds(), Several::StrongestDecides);
    let joining = Joining { list, grounds, said: &batch.said, noted, several };
    let applied = apply(conn, &mut ledger, &batch.drafts, &joining, now)?;
    ledger.close(conn)?;
    if noted == Noted::Elsewhere
        && let (Some(first), Some(last)) = (applied.ids.iter().min(), applied.ids.iter().max())
    {
        touches::widen_stretch(conn, id, *first, *last)?;
    }
    also(conn, &applied)?;
    let said = applied.contacts.iter().zip(&batch.said);
    let wanted: Vec<(ContactId, &str)> =
        said.flat_map(|(contact, said)| said.tags.iter().map(move |tag| (*contact, tag.as_str()))).collect();
    let made = applied.contacts.iter().zip(&applied.fates).filter(|(_, fate)| **fate == Fate::Created);
    tags::add_besides(conn, &wanted, &made.map(|(contact, _)| *contact).collect())?;
    row.count(&applied, batch)?;
    rejections::keep(conn, id, row.byte_offset, &batch.rejected)?;
    let changed = diesel::update(imports::table.filter(
        imports::id.eq(id).and(imports::status.eq(ImportStatus::Running)).and(imports::byte_offset.eq(byte_offset)),
    ))
    .set((
        imports::byte_offset.eq(row.byte_offset),
        imports::line.eq(row.line),
        imports::rows_read.eq(row.rows_read),
        imports::rows_created.eq(row.rows_created),
        imports::rows_updated.eq(row.rows_updated),
        imports::rows_rejected.eq(row.rows_rejected),
        imports::rejected.eq(row.rejected),
        imports::resubscribed.eq(row.resubscribed),
        imports::stay_refused.eq(row.stay_refused),
        imports::dropped_cells.eq(row.dropped_cells),
        imports::dropped.eq(row.dropped),
        imports::rows_suppressed.eq(row.rows_suppressed),
        imports::updated_at.eq(now),
    ))
    .execute(conn)
    .map_err(StoreError::query("store the progress of an import"))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Stale { what: "the import" }) }
}

impl ImportRow {
    /// Adds a batch to the counts.
    fn count(&mut self, applied: &Applied, batch: &Batch) -> Result<(), StoreError> {
        let created = as_count(applied.fates.iter().filter(|fate| **fate == Fate::Created).count());
        let (updated, rejected) = (as_count(applied.fates.len()) - created, as_count(batch.rejected_rows));
        for outcome in &applied.standings {
            let is_back = outcome.before == Some(Standing::Unsubscribed) && outcome.after == Some(Standing::Subscribed);
            self.resubscribed += i64::from(is_back);
            self.stay_refused += i64::from(outcome.stays_refused);
        }
        if !batch.rejections.is_empty() {
            self.keep(&batch.rejections)?;
        }
        if let Some(dropped) = dropped::with(&self.dropped, applied, batch)? {
            self.dropped = dropped;
            self.dropped_cells += as_count(batch.dropped_cells + applied.ignored.len());
        }
        self.rows_read += created + updated + rejected;
        self.rows_created += created;
        self.rows_updated += updated;
        self.rows_rejected += rejected;
        self.rows_suppressed += as_count(batch.suppressed_rows);
        self.byte_offset = i64::try_from(batch.to.byte).unwrap_or(i64::MAX);
        self.line = i64::try_from(batch.to.line).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Keeps the errors of the first hundred rejected rows.
    fn keep(&mut self, new: &[Rejection]) -> Result<(), StoreError> {
        let mut kept = self.rejected()?;
        let mut lines: std::collections::BTreeSet<u64> = kept.iter().map(|rejection| rejection.line).collect();
        for rejection in new {
            if lines.len() < KEPT_REJECTIONS || lines.contains(&rejection.line) {
                lines.insert(rejection.line);
                kept.push(rejection.clone());
            }
        }
        self.rejected = serde_json::to_string(&kept)
            .map_err(|source| StoreError::Corrupt { what: "rejected rows of an import", detail: source.to_string() })?;
        Ok(())
    }
}

fn as_count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Ends an import: completed, or failed with the reason.
///
/// # Errors
/// The query failed.
pub fn finish(conn: &mut Conn, id: ImportId, failure: Option<&str>) -> Result<(), StoreError> {
    let now = engine::now(conn)?;
    let status = if failure.is_some() { ImportStatus::Failed } else { ImportStatus::Completed };
    let unfinished = imports::status.eq(ImportStatus::Pending).or(imports::status.eq(ImportStatus::Running));
    conn.write(|conn| {
        diesel::update(imports::table.filter(imports::id.eq(id).and(unfinished)))
            .set((imports::status.eq(status), imports::error.eq(failure), imports::updated_at.eq(now)))
            .execute(conn)
            .map_err(StoreError::query("end an import"))?;
        touches::close_stretch(conn, id)
    })
}

/// Whether an unfinished import needs this file.
///
/// # Errors
/// The query failed.
pub fn needs_file(conn: &mut Conn, file: &str) -> Result<bool, StoreError> {
    Ok(unfinished(conn)?.iter().any(|row| row.file == file))
}
