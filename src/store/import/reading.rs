//! How the file of an import is read, as it was stored with it.

use super::imports::ImportRow;
use crate::domain::import::reading::{Mapped, PresetChoice, Reading};
use crate::store::StoreError;

impl ImportRow {
    /// How the columns of its file are read.
    ///
    /// # Errors
    /// What is stored is not readable.
    pub fn reading(&self) -> Result<Reading, StoreError> {
        let corrupt = || StoreError::Corrupt { what: "mapping of an import", detail: self.mapping.clone() };
        let mapping = Mapped::from_stored(&self.mapping).ok_or_else(corrupt)?;
        let preset = self.preset.map_or(PresetChoice::Off, PresetChoice::Named);
        Ok(Reading { on_list: self.list_id.is_some(), preset, mapping })
    }
}
