//! Stores the rows of uploaded files, one file after the other.
//!
//! A blocking thread parses while the batch before is written. Rows and progress commit together, so that an import
//! which was interrupted goes on behind its last batch and creates nobody twice.

pub mod files;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use serde::Serialize;
use tokio::sync::mpsc;

use self::files::{ImportFolder, OpenError};
use crate::domain::ids::ImportId;
use crate::domain::import::reading::Reading;
use crate::domain::import::rejected;
use crate::domain::import::{ImportError, ImportReader, ResumePoint, Row};
use crate::domain::people::consent::{Act, Said, Source};
use crate::services::people::import_refusals::{WrongRow, keep_refusals};
use crate::store::import::imports::{self, Batch, ImportRow, Rejection};
use crate::store::people::consent::Scribe;
use crate::store::people::refusals::RefusalBook;
use crate::store::{Conn, Lane, Store, StoreError, Target, engine};

/// How often unfinished imports are looked for without being told.
const TICK: Duration = Duration::from_secs(2);

/// Rows per transaction on PostgreSQL.
const PG_BATCH: usize = 2_000;

/// Rows per transaction on SQLite, where it keeps every other writer waiting.
const SQLITE_BATCH: usize = 500;

/// Bytes of the file per transaction at most, give or take a row: rows may be long, memory is not.
const BATCH_BYTES: u64 = 4 << 20;

/// Batches parsed ahead of the writer.
const AHEAD: usize = 2;

/// How long another instance's import may stand still before this one says that its file is lost.
const LOST_AFTER: Duration = Duration::from_secs(600);

/// Stores uploaded contacts. One per instance.
pub struct Importer {
    store: Store,
    folder: ImportFolder,
    refusals: RefusalBook,
    is_busy: bool,
    progress: Arc<Progress>,
}

/// What the work under way tells the actor.
#[derive(Debug, Default)]
struct Progress {
    /// The import, or 0.
    import: AtomicI64,
    rows: AtomicI64,
}

/// Looks for imports that wait. A hint: the import is stored already, a lost message costs one tick.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Look;

/// Asks what the importer is at.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "ImporterState")]
pub struct GetState;

/// The state of the importer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ImporterState {
    /// The import whose rows are being stored.
    pub importing: Option<ImportId>,
    /// Rows stored or refused since the start.
    pub rows: i64,
}

impl Importer {
    /// An importer of the uploads in `folder`, which files the refusals that it reads in `refusals`.
    #[must_use]
    pub fn new(store: Store, folder: ImportFolder, refusals: RefusalBook) -> Self {
        Self { store, folder, refusals, is_busy: false, progress: Arc::default() }
    }
}

impl Actor for Importer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Hints only: one in the box is as good as many.
        context.set_mailbox_capacity(4);
        let (store, folder) = (self.store.clone(), self.folder.clone());
        let sweep = async move {
            if let Err(error) = sweep(&store, &folder).await {
                tracing::warn!(event = "import.sweep_failed", error = %error, "old uploaded files cannot be removed");
            }
        };
        context.wait(sweep.into_actor(self));
        context.run_interval(TICK, |importer, context| importer.look(context));
        context.notify(Look);
    }
}

impl Handler<Look> for Importer {
    type Result = ();

    fn handle(&mut self, _: Look, context: &mut Self::Context) {
        self.look(context);
    }
}

impl Handler<GetState> for Importer {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        let import = self.progress.import.load(Ordering::Relaxed);
        MessageResult(ImporterState {
            importing: Some(ImportId(import)).filter(|id| id.0 != 0),
            rows: self.progress.rows.load(Ordering::Relaxed),
        })
    }
}

impl Importer {
    fn look(&mut self, context: &mut Context<Self>) {
        if self.is_busy {
            return;
        }
        self.is_busy = true;
        let work = Work {
            store: self.store.clone(),
            folder: self.folder.clone(),
            scribe: Scribe { act: Arc::new(Act::of(Source::IMPORT)), book: self.refusals.clone() },
            progress: Arc::clone(&self.progress),
        };
        let done = work.all().into_actor(self).map(|result, importer, _| {
            importer.is_busy = false;
            importer.progress.import.store(0, Ordering::Relaxed);
            if let Err(error) = result {
                tracing::warn!(
                    event = "import.waiting",
                    error = %error,
                    "imports cannot continue without the database; they are tried again"
                );
            }
        });
        context.spawn(done);
    }
}

/// Removes uploads that no import needs: those of a process that died before it had stored the import.
async fn sweep(store: &Store, folder: &ImportFolder) -> Result<(), StoreError> {
    for (name, lock) in folder.idle() {
        let file = name.clone();
        let is_needed = store
            .run(Lane::Read, "look for the import of a file", move |conn| imports::needs_file(conn, &file))
            .await?;
        if !is_needed {
            folder.remove(&name);
        }
        drop(lock);
    }
    Ok(())
}

/// Why an import stopped.
enum Stop {
    /// The import has failed, and is not tried again.
    Failed(String),
    /// For now: the database is away, or another importer has the file.
    Later(StoreError),
}

impl Stop {
    fn of(error: StoreError) -> Self {
        let is_for_now = error.is_transient() || matches!(error, StoreError::Stale { .. });
        if is_for_now { Self::Later(error) } else { Self::Failed(describe(&error)) }
    }
}

struct Work {
    store: Store,
    folder: ImportFolder,
    scribe: Scribe,
    progress: Arc<Progress>,
}

impl Work {
    /// Works through what is unfinished.
    async fn all(self) -> Result<(), StoreError> {
        let unfinished = self.store.run(Lane::Read, "look for unfinished imports", imports::unfinished).await?;
        for import in unfinished {
            let (id, name) = (import.id, import.file.clone());
            let failure = match self.folder.open(&name) {
                Err(OpenError::Locked) => continue,
                Err(OpenError::Gone) if !self.is_lost(&import).await? => continue,
                Err(error) => Some(describe(&error)),
                Ok(file) => match self.import(import, file).await {
                    Ok(()) => None,
                    Err(Stop::Failed(reason)) => Some(reason),
                    Err(Stop::Later(StoreError::Stale { .. })) => continue,
                    Err(Stop::Later(error)) => return Err(error),
                },
            };
            match &failure {
                None => tracing::info!(event = "import.completed", import.id = %id, "the import is complete"),
                Some(reason) => {
                    tracing::warn!(event = "import.failed", import.id = %id, reason, "the import has failed")
                }
            }
            let end = move |conn: &mut _| imports::finish(conn, id, failure.as_deref());
            self.store.run(Lane::Write, "end an import", end).await?;
            self.folder.remove(&name);
        }
        Ok(())
    }

    /// Whether a file that is not here is nowhere: with one instance at once, with several after a while.
    async fn is_lost(&self, import: &ImportRow) -> Result<bool, StoreError> {
        if matches!(self.store.target(), Target::Sqlite(_)) {
            return Ok(true);
        }
        let now = self.store.run(Lane::Read, "read the clock", engine::now).await?;
        Ok(now > import.updated_at.plus(LOST_AFTER))
    }

    /// Stores what is left of one file.
    async fn import(&self, import: ImportRow, file: File) -> Result<(), Stop> {
        let id = import.id;
        self.progress.import.store(id.0, Ordering::Relaxed);
        let rows = match self.store.target() {
            Target::Pg(_) => PG_BATCH,
            Target::Sqlite(_) => SQLITE_BATCH,
        };
        let (sender, mut batches) = mpsc::channel(AHEAD);
        let list = import.list_id;
        let asked = import.clone();
        let reading = move |conn: &mut Conn| asked.reading(conn);
        let reading = self.store.run(Lane::Read, "read how a file is read", reading).await.map_err(Stop::of)?;
        let scribe = import.scribe(&self.scribe);
        let parser = tokio::task::spawn_blocking(move || parse(file, import.resume_point(), &reading, rows, &sender));
        while let Some(parsed) = batches.recv().await {
            let stored = match parsed {
                Parsed::Header(names, header) => {
                    let begin = move |conn: &mut Conn| imports::begin(conn, id, &names, &header);
                    self.store.run(Lane::Write, "begin an import", begin).await
                }
                Parsed::Rows(batch, wrong) => {
                    let rows = batch.lines.len() + batch.rejected_rows;
                    self.progress.rows.fetch_add(i64::try_from(rows).unwrap_or(i64::MAX), Ordering::Relaxed);
                    let scribe = scribe.clone();
                    let store = move |conn: &mut _| {
                        let keep =
                            |conn: &mut _, applied: &_| keep_refusals(conn, &scribe, list, (&batch, &wrong), applied);
                        imports::store_batch(conn, &scribe, id, &batch, &keep)
                    };
                    self.store.run(Lane::Write, "store imported contacts", store).await
                }
            };
            stored.map_err(Stop::of)?;
        }
        match parser.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Stop::Failed(format!("{}: {}", error.code(), describe(&error)))),
            Err(_panic) => Err(Stop::Failed("the file could not be read".to_owned())),
        }
    }
}

/// An error and its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

enum Parsed {
    /// The attribute names of the header, and the header of the rejected rows.
    Header(Vec<String>, String),
    /// Rows, and what wrong ones among them refuse.
    Rows(Batch, Vec<WrongRow>),
}

/// Parses the file into batches. Ends early when nobody takes them any more.
fn parse(
    file: File,
    mut from: Option<ResumePoint>,
    reading: &Reading,
    rows: usize,
    sender: &mpsc::Sender<Parsed>,
) -> Result<(), ImportError> {
    let mut reader = ImportReader::open(file, from, reading)?;
    let names = reader.attributes().map(ToOwned::to_owned).collect();
    let key_headers = Arc::new(reader.key_headers());
    if sender.blocking_send(Parsed::Header(names, reader.rejected_header())).is_err() {
        return Ok(());
    }
    loop {
        let mut batch = Gathered::default();
        let end = loop {
            match reader.next_row() {
                Ok(Some(row)) => batch.add(row),
                Ok(None) => break Some(Ok(())),
                // The rows before it are good.
                Err(error) => break Some(Err(error)),
            }
            if batch.rows >= rows || batch.bytes(from) >= BATCH_BYTES {
                break None;
            }
        };
        let wrong = std::mem::take(&mut batch.wrong);
        if let Some(batch) = batch.finish(from, Arc::clone(&key_headers)) {
            from = Some(batch.to);
            if sender.blocking_send(Parsed::Rows(batch, wrong)).is_err() {
                return Ok(());
            }
        }
        if let Some(end) = end {
            return end;
        }
    }
}

/// A batch that is being gathered.
#[derive(Default)]
struct Gathered {
    rows: usize,
    to: Option<ResumePoint>,
    lines: Vec<u64>,
    drafts: Vec<crate::domain::people::contact::ContactDraft>,
    said: Vec<Said>,
    rejected_rows: usize,
    rejections: Vec<Rejection>,
    rejected: String,
    suppressed_rows: usize,
    dropped_cells: usize,
    dropped: Vec<Rejection>,
    wrong: Vec<WrongRow>,
}

impl Gathered {
    fn add(&mut self, row: Row) {
        self.rows += 1;
        self.to = Some(row.end);
        self.suppressed_rows += usize::from(!row.said.suppressed.is_empty());
        match row.result {
            Ok(draft) => {
                self.lines.push(row.line);
                self.drafts.push(draft);
                self.said.push(row.said);
                self.dropped_cells += row.dropped.len();
                // Of more cells than this, the import itself names no reasons.
                let named = imports::KEPT_REJECTIONS.saturating_sub(self.dropped.len());
                self.dropped.extend(row.dropped.into_iter().take(named).map(|why| Rejection::of(row.line, why)));
            }
            Err(errors) => {
                self.rejected_rows += 1;
                if !row.refused.is_empty() {
                    self.wrong.push(WrongRow { keys: row.refused, said: row.said });
                }
                self.rejected.push_str(&rejected::line(row.line, &errors, &row.cells));
                // Of more rows than this, the import itself names no errors.
                if self.rejected_rows <= imports::KEPT_REJECTIONS {
                    self.rejections.extend(errors.into_iter().map(|error| Rejection::of(row.line, error)));
                }
            }
        }
    }

    /// How much of the file it holds.
    fn bytes(&self, from: Option<ResumePoint>) -> u64 {
        self.to.map_or(0, |to| to.byte.saturating_sub(from.map_or(0, |from| from.byte)))
    }

    fn finish(self, from: Option<ResumePoint>, key_headers: Arc<[String; 3]>) -> Option<Batch> {
        Some(Batch {
            from,
            to: self.to?,
            lines: self.lines,
            drafts: self.drafts,
            said: self.said,
            rejected_rows: self.rejected_rows,
            rejections: self.rejections,
            rejected: self.rejected,
            suppressed_rows: self.suppressed_rows,
            dropped_cells: self.dropped_cells,
            dropped: self.dropped,
            key_headers,
        })
    }
}
