//! Suppressions from a file, batch by batch.

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::import::suppressions::SuppressionLine;
use crate::domain::people::consent::{EVERYTHING, Source};
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::people::suppress::{Suppression, set};
use crate::services::{By, Services};
use crate::store::import::imports::{KEPT_REJECTIONS, Rejection};
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
    let mut all = Vec::with_capacity(lines.len());
    for SuppressionLine { line, result } in lines {
        match result {
            Ok((target, reason)) => all.push(Suppression { target, topic: EVERYTHING, reason }),
            Err(error) => {
                imported.rejected += 1;
                if imported.rejections.len() < KEPT_REJECTIONS {
                    imported.rejections.push(Rejection {
                        line,
                        column: error.field,
                        code: error.code.into_owned(),
                        reason: error.reason,
                    });
                }
            }
        }
    }
    let accepted = u64::try_from(all.len()).unwrap_or(u64::MAX);
    let (scribe, by) = (scribe(services, by, Source::IMPORT), by.clone());
    let work = move |conn: &mut Conn| {
        set(conn, &scribe, &by, &all)?;
        let line = Line::of(Action::Created, Object::Suppression, "everything").after(json!({ "imported": all.len() }));
        audit::write(conn, &by, line)
    };
    services.store.transact(Lane::Write, "import suppressions", work).await?;
    imported.accepted += accepted;
    Ok(())
}
