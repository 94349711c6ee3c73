//! Suppressions from a file, batch by batch.

use std::collections::HashSet;

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::import::suppressions::{SuppressionLine, Told};
use crate::domain::people::consent::{EVERYTHING, Source};
use crate::domain::people::contact::FieldError;
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::people::suppress::{Suppression, set};
use crate::services::{By, Services};
use crate::store::import::imports::{KEPT_REJECTIONS, Rejection};
use crate::store::people::lists::{self, ListKey};
use crate::store::{Conn, Lane, StoreError};

/// What came of the file so far.
#[derive(Debug, Default)]
pub struct Imported {
    /// Rows that were stored.
    pub accepted: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Why, of the first hundred.
    pub rejections: Vec<Rejection>,
}

/// Stores a batch in one transaction, and counts it. A batch that comes a second time changes nothing more.
///
/// # Errors
/// The database failed; nothing of the batch is stored then.
pub async fn import_suppressions(
    services: &Services,
    lines: Vec<SuppressionLine>,
    imported: &mut Imported,
    by: &By,
) -> Result<(), StoreError> {
    let (mut told, mut rejections) = (Vec::with_capacity(lines.len()), Vec::new());
    for SuppressionLine { line, result } in lines {
        match result {
            Ok(row) => told.push((line, row)),
            Err(error) => rejections.push(rejection(line, error)),
        }
    }
    let (scribe, by) = (scribe(services, by, Source::IMPORT), by.clone());
    let work = move |conn: &mut Conn| {
        let (all, unknown) = on_lists(conn, told)?;
        // A list that is gone since it was looked up has taken its refusals along.
        set(conn, &scribe, &by, &all)?;
        let line = Line::of(Action::Created, Object::Suppression, "everything").after(json!({ "imported": all.len() }));
        audit::write(conn, &by, line)?;
        Ok::<_, StoreError>((all.len(), unknown))
    };
    let (accepted, unknown) = services.store.transact(Lane::Write, "import suppressions", work).await?;
    rejections.extend(unknown);
    rejections.sort_by_key(|rejection| rejection.line);
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    imported.accepted += count(accepted);
    imported.rejected += count(rejections.len());
    let room = KEPT_REJECTIONS.saturating_sub(imported.rejections.len());
    imported.rejections.extend(rejections.into_iter().take(room));
    Ok(())
}

/// What the rows come to, and those that name a list which is not there.
fn on_lists(conn: &mut Conn, told: Vec<(u64, Told)>) -> Result<(Vec<Suppression>, Vec<Rejection>), StoreError> {
    let named: HashSet<ListKey> = told.iter().filter_map(|(_, told)| ListKey::parse(told.list.as_deref()?)).collect();
    let known = lists::existing(conn, &named.into_iter().collect::<Vec<_>>())?;
    let (mut all, mut unknown) = (Vec::with_capacity(told.len()), Vec::new());
    for (line, Told { target, reason, list, at }) in told {
        let topic = match &list {
            None => Some(EVERYTHING),
            Some(text) => ListKey::parse(text).and_then(|key| known.get(&key).copied()),
        };
        match topic {
            Some(topic) => all.push(Suppression { target, topic, reason, at }),
            None => {
                unknown.push(rejection(line, FieldError::new("list", "list_not_found", "no list has this id or slug")));
            }
        }
    }
    Ok((all, unknown))
}

fn rejection(line: u64, error: FieldError) -> Rejection {
    Rejection { line, column: error.field, code: error.code.into_owned(), reason: error.reason }
}
