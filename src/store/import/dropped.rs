//! Cells of imported rows that nothing was made of: the first of them are kept with the reason.

use super::batch::{Batch, KEPT_REJECTIONS, Rejection};
use crate::domain::people::contact::{BuiltIn, FieldError};
use crate::store::StoreError;
use crate::store::people::contacts::{Applied, IgnoredKey};

fn corrupt(source: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: "dropped cells of an import", detail: source.to_string() }
}

/// Reads what is kept.
pub(super) fn read(kept: &str) -> Result<Vec<Rejection>, StoreError> {
    serde_json::from_str(kept).map_err(|source| corrupt(&source))
}

/// What is kept, together with what a batch drops. `None`: it drops nothing.
pub(super) fn with(kept: &str, applied: &Applied, batch: &Batch) -> Result<Option<String>, StoreError> {
    if batch.dropped_cells == 0 && applied.ignored.is_empty() {
        return Ok(None);
    }
    let mut all = read(kept)?;
    let ignored = applied.ignored.iter().filter_map(|(index, key)| {
        let line = *batch.lines.get(*index)?;
        Some(Rejection::of(line, of_another(key, &batch.key_headers, &batch.lines)))
    });
    let mut new: Vec<Rejection> = batch.dropped.iter().cloned().chain(ignored).collect();
    new.sort_by_key(|one| one.line);
    new.truncate(KEPT_REJECTIONS.saturating_sub(all.len()));
    all.extend(new);
    serde_json::to_string(&all).map(Some).map_err(|source| corrupt(&source))
}

/// Why a key is not taken over that another contact has. `headers`: what the file calls the keys, the strongest first; `lines`: those of
/// the drafts.
#[must_use]
pub fn of_another(key: &IgnoredKey, headers: &[String; 3], lines: &[u64]) -> FieldError {
    let [external_id, email, phone] = headers;
    let header = match key.field {
        BuiltIn::ExternalId => external_id,
        BuiltIn::Email => email,
        BuiltIn::Phone => phone,
        // No keys.
        BuiltIn::FirstName | BuiltIn::LastName | BuiltIn::Timezone | BuiltIn::Locale => key.field.as_str(),
    };
    let line = key.made_by.and_then(|index| lines.get(index));
    let line = line.map(|line| format!(", of line {line}")).unwrap_or_default();
    // One that an import would make has no id yet.
    let holder = if key.holder.0 == 0 { String::new() } else { format!(", {}", key.holder) };
    let why = format!("belongs to another contact{holder}{line}: this one came in without it");
    FieldError::new(header, "key_taken", why)
}
