//! How the file of an import is read, as it was stored with it, and by what name its list is known there.

use super::imports::ImportRow;
use crate::domain::ids::ListId;
use crate::domain::import::reading::{Mapped, PresetChoice, Reading};
use crate::store::people::topics;
use crate::store::{Conn, StoreError};

impl ImportRow {
    /// How the columns of its file are read.
    ///
    /// # Errors
    /// A query failed, or what is stored is not readable.
    pub fn reading(&self, conn: &mut Conn) -> Result<Reading, StoreError> {
        let corrupt = || StoreError::Corrupt { what: "mapping of an import", detail: self.mapping.clone() };
        let mapping = Mapped::from_stored(&self.mapping).ok_or_else(corrupt)?;
        let preset = self.preset.map_or(PresetChoice::Off, PresetChoice::Named);
        let list = self.list_id.map(|list| exported_as(conn, list)).transpose()?;
        let format = self.format;
        Ok(Reading { format, on_list: self.list_id.is_some(), list, preset, mapping })
    }
}

/// How exports name a list: by its slug, or its id where it has none.
///
/// # Errors
/// The query failed.
pub fn exported_as(conn: &mut Conn, list: ListId) -> Result<String, StoreError> {
    Ok(topics::slug(conn, list)?.unwrap_or_else(|| list.to_string()))
}
