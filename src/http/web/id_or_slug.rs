//! What names something in a body: a number is its id, a text its slug.

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};

use crate::domain::people::slug;
use crate::domain::shown::shown;
use crate::http::web::problem::{ApiError, FieldProblem};

/// An id or a slug.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::http) enum IdOrSlug {
    /// An id, which may be that of nothing.
    Id(i64),
    /// A slug, as slugs are written.
    Slug(String),
}

impl IdOrSlug {
    /// Reads one. `what` is named in the error: `list`.
    ///
    /// # Errors
    /// It is neither a number nor written as slugs are.
    pub(in crate::http) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        what: &'static str,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOf { what })
    }

    /// How it is described.
    pub(in crate::http) fn schema(description: &str) -> RefOr<Schema> {
        let id =
            ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        let slug = ObjectBuilder::new().schema_type(Type::String);
        OneOfBuilder::new().item(id).item(slug).description(Some(description)).into()
    }
}

struct OneOf {
    what: &'static str,
}

impl Visitor<'_> for OneOf {
    type Value = IdOrSlug;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the id of a {}, a number, or its slug", self.what)
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<IdOrSlug, E> {
        Ok(IdOrSlug::Id(id))
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<IdOrSlug, E> {
        i64::try_from(id)
            .map_err(|_too_large| E::invalid_value(Unexpected::Unsigned(id), &self))
            .and_then(|id| self.visit_i64(id))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<IdOrSlug, E> {
        match slug::check(text) {
            Ok(()) => Ok(IdOrSlug::Slug(text.to_owned())),
            Err(_no_slug) => Err(E::invalid_value(Unexpected::Str(&shown(text)), &self)),
        }
    }
}

/// Fields of a body that name what is not there.
#[derive(Debug)]
pub(in crate::http) struct Missing {
    what: &'static str,
    code: &'static str,
    errors: Vec<FieldProblem>,
    ids: Vec<i64>,
}

impl Missing {
    /// Of a kind of thing, such as `list`, with the code of its errors.
    pub(in crate::http) const fn of(what: &'static str, code: &'static str) -> Self {
        Self { what, code, errors: Vec::new(), ids: Vec::new() }
    }

    /// The field at `pointer` names something that is not there.
    pub(in crate::http) fn note(&mut self, pointer: impl Into<String>, name: &IdOrSlug) {
        let reason = match name {
            IdOrSlug::Id(id) => {
                self.ids.push(*id);
                format!("there is no {} {id}", self.what)
            }
            IdOrSlug::Slug(slug) => format!("no {} has the slug {slug}", self.what),
        };
        self.errors.push(FieldProblem::new(pointer, self.code, reason));
    }

    /// Nothing was missing.
    ///
    /// # Errors
    /// 404 that names every field.
    pub(in crate::http) fn finish(self) -> Result<(), ApiError> {
        let Self { what, errors, ids, .. } = self;
        if errors.is_empty() { Ok(()) } else { Err(ApiError::Missing { what, errors, ids }) }
    }
}
