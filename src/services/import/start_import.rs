//! The import of an uploaded file.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::export::Format;
use crate::domain::ids::ListId;
use crate::domain::import::looking::ColumnFate;
use crate::domain::import::presets::Preset;
use crate::domain::import::reading::Mapped;
use crate::services::audit::{self, Line};
use crate::services::{By, Services};
use crate::store::engine::idempotency::{Answer, Key};
use crate::store::import::imports::{self, ImportConsent, ImportRow, NewFile, Submitted, Target};
use crate::store::{Conn, Lane, StoreError};

/// What is imported, and where it goes.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The name of the file in the folder of imports. It is complete.
    pub file: String,
    /// The encoding that the file came in.
    pub encoding: String,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// How the file is written.
    pub format: Format,
    /// The list whose members the contacts become.
    pub target: Target,
    /// What is said of everybody's consent.
    pub consent: ImportConsent,
    /// The tool whose export the file is taken for.
    pub preset: Option<Preset>,
    /// What columns are, as far as that was said.
    pub mapping: Vec<Mapped>,
    /// What all columns become.
    pub columns: Vec<ColumnFate>,
}

/// What a door answers.
#[derive(Debug)]
pub enum Begun {
    /// The import is stored, and its file is in use.
    Now(Answer),
    /// The same import was stored before under the same key. This file is not needed.
    Before(Answer),
}

/// Why nothing is imported.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// There is no such list.
    #[error("there is no list {0}")]
    NoList(ListId),
    /// The database failed, or another list has the name of the new one ([`StoreError::Taken`]).
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores an import, and in the same transaction the `answer` under the key of its request. Then `let_go` leaves the file to
/// the importer, which is woken after it.
///
/// # Errors
/// [`StartError`]; nothing is stored then.
pub async fn start_import(
    services: &Services,
    NewImport { file, encoding, bytes, format, target, consent, preset, mapping, columns }: NewImport,
    key: Option<Key>,
    answer: impl FnOnce(ImportRow) -> Result<Answer, StoreError> + Send + 'static,
    let_go: impl FnOnce(),
    by: &By,
) -> Result<Begun, StartError> {
    let by = by.clone();
    let submit = move |conn: &mut Conn| {
        let mut stored = None;
        let answer = |row: ImportRow| {
            stored = Some((row.id, row.list_id));
            answer(row)
        };
        let file = NewFile { name: &file, encoding: &encoding, bytes, format, columns: &columns };
        let submitted = imports::submit(conn, &file, &target, &consent, (preset, &mapping), key.as_ref(), answer)?;
        if let Some((id, list)) = stored {
            if let (Target::NewList(_), Some(list)) = (&target, list) {
                audit::write(conn, &by, Line::of(Action::Created, Object::List, list))?;
            }
            let line = Line::of(Action::Created, Object::Import, id);
            audit::write(conn, &by, line.after(json!({
                "list_id": list, "confirmed": consent.confirmed, "resubscribe": consent.resubscribe_reason.is_some(),
            })))?;
        }
        Ok::<_, StoreError>(submitted)
    };
    match services.store.transact(Lane::Write, "store an import", submit).await? {
        Submitted::Stored(answer) => {
            let_go();
            services.hints.import_stored();
            Ok(Begun::Now(answer))
        }
        Submitted::Before(answer) => Ok(Begun::Before(answer)),
        Submitted::KeyReused => Err(StartError::KeyReused),
        Submitted::NoList(list) => Err(StartError::NoList(list)),
    }
}
