//! Suppressions from a file, batch by batch.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::json;

use crate::domain::access::audit::{Action, Object};
use crate::domain::ids::ListId;
use crate::domain::import::suppressions::{SuppressionLine, Told, ToldList};
use crate::domain::people::consent::{EVERYTHING, Source};
use crate::domain::people::contact::FieldError;
use crate::domain::people::spelling::composed;
use crate::services::audit::{self, Line};
use crate::services::people::standings::scribe;
use crate::services::people::suppress::{Suppression, set};
use crate::services::{By, Services};
use crate::store::import::imports::{KEPT_REJECTIONS, Rejection};
use crate::store::people::lists::{self, ListKey};
use crate::store::people::topics::{self, Named};
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
        let (all, wrong) = on_lists(conn, told)?;
        // A list that is gone since it was looked up has taken its refusals along.
        set(conn, &scribe, &by, &all)?;
        let line = Line::of(Action::Created, Object::Suppression, "everything").after(json!({ "imported": all.len() }));
        audit::write(conn, &by, line)?;
        Ok::<_, StoreError>((all.len(), wrong))
    };
    let (accepted, wrong) = services.store.transact(Lane::Write, "import suppressions", work).await?;
    rejections.extend(wrong);
    rejections.sort_by_key(|rejection| rejection.line);
    let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    imported.accepted += count(accepted);
    imported.rejected += count(rejections.len());
    let room = KEPT_REJECTIONS.saturating_sub(imported.rejections.len());
    imported.rejections.extend(rejections.into_iter().take(room));
    Ok(())
}

/// What the rows come to, and those that do not name a list well.
fn on_lists(conn: &mut Conn, told: Vec<(u64, Told)>) -> Result<(Vec<Suppression>, Vec<Rejection>), StoreError> {
    let lists = Lists::named_in(conn, &told)?;
    let (mut all, mut wrong) = (Vec::with_capacity(told.len()), Vec::new());
    for (line, Told { target, reason, list, at }) in told {
        match list.map_or(Ok(EVERYTHING), |list| lists.find(&list)) {
            Ok(topic) => all.push(Suppression { target, topic, reason, at }),
            Err(error) => wrong.push(rejection(line, error)),
        }
    }
    Ok((all, wrong))
}

/// The lists that the rows of a file may mean.
struct Lists {
    ids: HashMap<ListKey, ListId>,
    names: HashMap<ListId, Named>,
}

impl Lists {
    fn named_in(conn: &mut Conn, told: &[(u64, Told)]) -> Result<Self, StoreError> {
        let named = || told.iter().filter_map(|(_, told)| told.list.as_ref());
        let keys: HashSet<ListKey> = named().filter_map(|list| ListKey::parse(&list.key)).collect();
        let ids = lists::existing(conn, &keys.into_iter().collect::<Vec<_>>())?;
        let compared: BTreeSet<ListId> =
            if named().any(|list| list.name.is_some()) { ids.values().copied().collect() } else { BTreeSet::new() };
        Ok(Self { ids, names: topics::names(conn, &compared)? })
    }

    /// The list that a row means. A slug such as `list-3`, which was made up, may be another list's in this database.
    fn find(&self, told: &ToldList) -> Result<ListId, FieldError> {
        let id = ListKey::parse(&told.key).and_then(|key| self.ids.get(&key).copied());
        let id = id.ok_or_else(|| FieldError::new("list", "list_not_found", "no list has this id or slug"))?;
        let is_meant = told
            .name
            .as_deref()
            .is_none_or(|name| self.names.get(&id).is_some_and(|here| composed(here.name.trim()) == composed(name)));
        if is_meant {
            Ok(id)
        } else {
            let reason = "the list that has this id or slug here is called something else: correct `list`, or leave \
                          `list_name` out where it is the one that is meant";
            Err(FieldError::new("list_name", "list_name_differs", reason))
        }
    }
}

fn rejection(line: u64, error: FieldError) -> Rejection {
    Rejection { line, column: error.field, code: error.code.into_owned(), reason: error.reason }
}
