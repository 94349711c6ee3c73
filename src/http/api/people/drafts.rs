//! A contact as bodies describe one.

use serde_json::{Map, Value};

use crate::domain::people::contact::{BuiltIn, ContactDraft};
use crate::http::web::problem::{ApiError, FieldProblem};

/// Gathers a draft and everything that is wrong with it.
#[derive(Default)]
pub(in crate::http::api) struct DraftReader {
    pub(in crate::http::api) draft: ContactDraft,
    pub(in crate::http::api) errors: Vec<FieldProblem>,
}

impl DraftReader {
    /// Reads a field. Blank text is no value.
    pub(in crate::http::api) fn field(&mut self, field: BuiltIn, raw: Option<&str>) {
        if let Some(Err(error)) = raw.map(|raw| self.draft.set(field, raw)) {
            self.errors.push(FieldProblem::new(format!("/{field}", field = field.as_str()), error.code, error.reason));
        }
    }

    /// Reads attributes.
    pub(in crate::http::api) fn attributes(&mut self, attributes: Option<Map<String, Value>>) {
        for (name, value) in attributes.into_iter().flatten() {
            if let Err(error) = self.draft.set_attribute(&name, value) {
                let name = name.replace('~', "~0").replace('/', "~1");
                self.errors.push(FieldProblem::new(format!("/attributes/{name}"), error.code, error.reason));
            }
        }
    }

    /// The draft, if nothing was wrong.
    ///
    /// # Errors
    /// 422 that names every field.
    pub(in crate::http::api) fn finish(self) -> Result<ContactDraft, ApiError> {
        if self.errors.is_empty() { Ok(self.draft) } else { Err(ApiError::Invalid(self.errors)) }
    }
}
