//! Lists for people: newest first, cut into pages, and stable while rows are inserted.

/// Which part of a list is wanted. Lists are ordered by id, highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows with a higher id came later than the walk began and are not seen. `None`: the walk begins now.
    pub anchor: Option<i64>,
    /// Only rows with a lower id than this: where a cursor stopped.
    pub before: Option<i64>,
    /// Rows to pass over, behind `before`.
    pub offset: i64,
    /// Most rows to return.
    pub limit: i64,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Slice<T> {
    /// The rows, highest id first.
    pub rows: Vec<T>,
    /// How many rows the whole list has, up to the anchor.
    pub total: i64,
    /// The highest id that this walk sees.
    pub anchor: i64,
    /// Whether rows follow.
    pub more: bool,
}

impl Window {
    /// How many rows to query: one more than asked for tells whether more follow.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        self.limit.saturating_add(1)
    }

    /// Rows fetched by [`Window::fetch`], as a slice.
    #[must_use]
    pub fn slice<T>(&self, mut rows: Vec<T>, total: i64, anchor: i64) -> Slice<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        Slice { rows, total, anchor, more }
    }
}

impl<T> Slice<T> {
    /// The same slice of something made of each row.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Slice<U> {
        Slice {
            rows: self.rows.into_iter().map(each).collect(),
            total: self.total,
            anchor: self.anchor,
            more: self.more,
        }
    }

    /// The same slice of something made of each row, where that can fail.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn try_map<U, E>(self, each: impl FnMut(T) -> Result<U, E>) -> Result<Slice<U>, E> {
        let rows = self.rows.into_iter().map(each).collect::<Result<_, E>>()?;
        Ok(Slice { rows, total: self.total, anchor: self.anchor, more: self.more })
    }
}
