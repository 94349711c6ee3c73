//! Raw SQL that is prepared once per connection. diesel's own `sql_query` is never cached: each run would parse and plan
//! anew, which on the hot path costs more than the statement.

use std::borrow::Cow;

use diesel::RunQueryDsl;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// A statement in pieces: text, value, text … Placeholders are written by the backend, so that the same pieces serve
/// `$1` and `?`.
pub(in crate::store) struct Sql<T> {
    tail: T,
}

/// Starts a statement. Text that is put together at run time belongs to a handful of statements at most: each stays
/// prepared on every connection.
pub(in crate::store) fn sql(text: impl Into<Cow<'static, str>>) -> Sql<Text> {
    Sql { tail: Text(text.into()) }
}

/// Text of a statement.
pub(in crate::store) struct Text(Cow<'static, str>);

/// A value, after what came before it and before more text.
pub(in crate::store) struct Bound<Head, ST, V> {
    head: Head,
    value: V,
    text: Cow<'static, str>,
    sql_type: std::marker::PhantomData<ST>,
}

impl<T> Sql<T> {
    /// Adds a value and the text behind it.
    pub(in crate::store) fn bind<ST, V>(self, value: V, text: impl Into<Cow<'static, str>>) -> Sql<Bound<T, ST, V>> {
        Sql { tail: Bound { head: self.tail, value, text: text.into(), sql_type: std::marker::PhantomData } }
    }

    /// Adds values of one type, each behind its own text and in front of a comma, and the text behind them all.
    pub(in crate::store) fn bind_each<ST, V>(
        self,
        values: impl IntoIterator<Item = (impl Into<Cow<'static, str>>, V)>,
        text: impl Into<Cow<'static, str>>,
    ) -> Sql<Each<T, ST, V>> {
        let values = values.into_iter().map(|(before, value)| (before.into(), value)).collect();
        Sql { tail: Each { head: self.tail, values, text: text.into(), sql_type: std::marker::PhantomData } }
    }
}

/// A statement that is put together at run time, all of whose values are of one type: text, value, text … For those of which
/// the number of values differs.
#[derive(Default)]
pub(in crate::store) struct Pieces<V> {
    values: Vec<(String, V)>,
    text: String,
    is_once: bool,
}

impl<V> Pieces<V> {
    /// Adds text.
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value behind the text so far.
    pub(in crate::store) fn bind(&mut self, value: V) -> &mut Self {
        self.values.push((std::mem::take(&mut self.text), value));
        self
    }

    /// Adds text in front of all that there is.
    pub(in crate::store) fn before(mut self, text: &str) -> Self {
        let first = self.values.first_mut().map_or(&mut self.text, |(first, _)| first);
        first.insert_str(0, text);
        self
    }

    /// Says that this text hardly comes again: it does not stay prepared, so that connections do not gather such texts.
    pub(in crate::store) fn once(&mut self) -> &mut Self {
        self.is_once = true;
        self
    }

    /// The whole statement, whose rows are read by position, as of these types.
    pub(in crate::store) fn query<ST, Row>(self) -> Sql<Typed<Pieced<ST, V>, Row>> {
        let pieced = Pieced { pieces: self, sql_type: std::marker::PhantomData };
        Sql { tail: Typed { statement: pieced, row: std::marker::PhantomData } }
    }
}

/// [`Pieces`] with the type of their values.
pub(in crate::store) struct Pieced<ST, V> {
    pieces: Pieces<V>,
    sql_type: std::marker::PhantomData<ST>,
}

/// A statement whose rows are read by position: by name, each column of each row would be looked for.
pub(in crate::store) struct Typed<T, Row> {
    statement: T,
    row: std::marker::PhantomData<Row>,
}

/// Values in a row, after what came before them and before more text.
pub(in crate::store) struct Each<Head, ST, V> {
    head: Head,
    values: Vec<(Cow<'static, str>, V)>,
    text: Cow<'static, str>,
    sql_type: std::marker::PhantomData<ST>,
}

/// A piece that can write itself.
pub(in crate::store) trait Piece<DB: Backend> {
    fn write<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>;
}

impl<DB: Backend> Piece<DB> for Text {
    fn write<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(&self.0);
        Ok(())
    }
}

impl<DB, Head, ST, V> Piece<DB> for Bound<Head, ST, V>
where
    DB: Backend + HasSqlType<ST>,
    Head: Piece<DB>,
    V: ToSql<ST, DB>,
{
    fn write<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.head.write(out)?;
        out.push_bind_param::<ST, V>(&self.value)?;
        out.push_sql(&self.text);
        Ok(())
    }
}

impl<DB, Head, ST, V> Piece<DB> for Each<Head, ST, V>
where
    DB: Backend + HasSqlType<ST>,
    Head: Piece<DB>,
    V: ToSql<ST, DB>,
{
    fn write<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.head.write(out)?;
        for (before, value) in &self.values {
            out.push_sql(before);
            out.push_bind_param::<ST, V>(value)?;
            out.push_sql(", ");
        }
        out.push_sql(&self.text);
        Ok(())
    }
}

impl<DB, ST, V> Piece<DB> for Pieced<ST, V>
where
    DB: Backend + HasSqlType<ST>,
    V: ToSql<ST, DB>,
{
    fn write<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.pieces.is_once {
            out.unsafe_to_cache_prepared();
        }
        for (before, value) in &self.pieces.values {
            out.push_sql(before);
            out.push_bind_param::<ST, V>(value)?;
        }
        out.push_sql(&self.pieces.text);
        Ok(())
    }
}

impl<DB: Backend, T: Piece<DB>, Row> Piece<DB> for Typed<T, Row> {
    fn write<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.statement.write(out)
    }
}

impl<DB: Backend, T: Piece<DB>> QueryFragment<DB> for Sql<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.tail.write(&mut out)
    }
}

impl<T> QueryId for Sql<T> {
    type QueryId = ();
    // Cached by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// What a statement's rows are read as.
pub(in crate::store) trait Rows {
    type SqlType;
}

impl Rows for Text {
    type SqlType = Untyped;
}

impl<Head, ST, V> Rows for Bound<Head, ST, V> {
    type SqlType = Untyped;
}

impl<Head, ST, V> Rows for Each<Head, ST, V> {
    type SqlType = Untyped;
}

impl<T, Row> Rows for Typed<T, Row> {
    type SqlType = Row;
}

impl<T: Rows> Query for Sql<T> {
    type SqlType = T::SqlType;
}

impl<T, C> RunQueryDsl<C> for Sql<T> {}
