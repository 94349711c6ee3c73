//! Page lists: `page` and `page_size` for people, `cursor` for walking without gaps, and an anchor that keeps both stable
//! while rows are inserted.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::extract::{Params, bad_parameter};
use super::problem::ApiError;
use crate::store::engine::listing::{Slice, Window};

/// Rows per page unless asked otherwise.
pub const DEFAULT_PAGE_SIZE: i64 = 20;

/// Most rows per page.
pub const MAX_PAGE_SIZE: i64 = 100;

/// The parameters of every list.
pub const PARAMETERS: [&str; 4] = ["page", "page_size", "anchor", "cursor"];

/// The same, for the API's description.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only described; [`Paging::read`] reads them")]
pub(in crate::http) struct ListParams {
    /// From 1.
    page: Option<i64>,
    /// 1 to 100; 20 unless given.
    page_size: Option<i64>,
    /// `pagination.anchor` of the first page: later rows are not seen.
    anchor: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Listing<T> {
    /// Newest first.
    pub data: Vec<T>,
    /// Where this page stands.
    pub pagination: Pagination,
    /// The next page: give it as `cursor`. `null` on the last one.
    pub next_cursor: Option<String>,
}

/// Where a page stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Pagination {
    /// From 1.
    pub page: i64,
    /// Most rows per page.
    pub page_size: i64,
    /// Rows of the whole list.
    pub total_count: i64,
    /// Pages of the whole list.
    pub total_pages: i64,
    /// Give it as `anchor` with the next `page`: rows that were added later then do not appear, and do not move the others.
    pub anchor: i64,
}

/// What a list request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    resource: &'static str,
    filter: String,
    page: i64,
    page_size: i64,
    anchor: Option<i64>,
    before: Option<i64>,
}

impl Paging {
    /// Reads the parameters of a list of `resource`. `filters` names the parameters that select rows: a cursor belongs
    /// to the list it came from.
    ///
    /// # Errors
    /// A number is out of range, or the cursor is not one of this list's.
    pub fn read(params: &Params, resource: &'static str, filters: &[&str]) -> Result<Self, ApiError> {
        let page = params.integer("page", 1..=1_000_000_000)?;
        let page_size = params.integer("page_size", 1..=MAX_PAGE_SIZE)?;
        let anchor = params.integer("anchor", 0..=i64::MAX)?;
        let filter = filter_hash(params, filters);
        let Some(cursor) = params.text("cursor") else {
            let page_size = page_size.unwrap_or(DEFAULT_PAGE_SIZE);
            return Ok(Self { resource, filter, page: page.unwrap_or(1), page_size, anchor, before: None });
        };
        let paging = Self::decode(cursor, resource, filter)?;
        let agrees = |given: Option<i64>, own: i64| given.is_none_or(|given| given == own);
        if page.is_some() || anchor.is_some() || !agrees(page_size, paging.page_size) {
            return Err(invalid("a cursor contains page, page_size and anchor; leave them out"));
        }
        Ok(paging)
    }

    /// The newest rows of a list without filters, as many as one answer has at most.
    #[must_use]
    pub fn newest(resource: &'static str) -> Self {
        let filter = String::new();
        Self { resource, filter, page: 1, page_size: MAX_PAGE_SIZE, anchor: None, before: None }
    }

    /// What the store is asked for.
    #[must_use]
    pub fn window(&self) -> Window {
        let offset = if self.before.is_some() { 0 } else { (self.page - 1).saturating_mul(self.page_size) };
        Window { anchor: self.anchor, before: self.before, offset, limit: self.page_size }
    }

    /// What the store is asked for where the rows are not sorted by their ids: a cursor of [`Self::answer_by_page`] counts them.
    #[must_use]
    pub fn window_by_page(&self) -> Window {
        let offset = (self.page - 1).saturating_mul(self.page_size);
        Window { before: None, offset, ..self.window() }
    }

    /// The answer where the rows are not sorted by their ids.
    pub fn answer_by_page<T>(&self, slice: Slice<T>) -> Listing<T> {
        self.answer(slice, |_| 0)
    }

    /// The answer; `id` is each row's id.
    pub fn answer<T>(&self, slice: Slice<T>, id: impl Fn(&T) -> i64) -> Listing<T> {
        let next = slice.rows.last().filter(|_| slice.more).map(|last| Self {
            page: self.page + 1,
            anchor: Some(slice.anchor),
            before: Some(id(last)),
            ..self.clone()
        });
        Listing {
            data: slice.rows,
            pagination: Pagination {
                page: self.page,
                page_size: self.page_size,
                total_count: slice.total,
                total_pages: (slice.total + self.page_size - 1) / self.page_size,
                anchor: slice.anchor,
            },
            next_cursor: next.map(|next| next.encode()),
        }
    }

    /// `page.page_size.anchor.before.check`, numbers in hex. The check is no secret: an edited cursor would show nothing
    /// that its sender may not see, it would only be a mistake.
    fn encode(&self) -> String {
        let (anchor, before) = (self.anchor.unwrap_or_default(), self.before.unwrap_or_default());
        let numbers = format!("{:x}.{:x}.{anchor:x}.{before:x}", self.page, self.page_size);
        let check = self.check(&numbers);
        format!("{numbers}.{check}")
    }

    fn decode(cursor: &str, resource: &'static str, filter: String) -> Result<Self, ApiError> {
        let refused = || invalid("this cursor is damaged, or belongs to another list or other filters");
        let (numbers, check) = cursor.rsplit_once('.').ok_or_else(refused)?;
        let parsed: Vec<i64> = numbers
            .split('.')
            .map(|n| i64::from_str_radix(n, 16))
            .collect::<Result<_, _>>()
            .map_err(|_bad| refused())?;
        let [page, page_size, anchor, before] = parsed.as_slice() else { return Err(refused()) };
        let paging =
            Self { resource, filter, page: *page, page_size: *page_size, anchor: Some(*anchor), before: Some(*before) };
        if paging.check(numbers) == check { Ok(paging) } else { Err(refused()) }
    }

    fn check(&self, numbers: &str) -> String {
        let digest = Sha256::digest(format!("volley cursor\0{}\0{}\0{numbers}", self.resource, self.filter));
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn filter_hash(params: &Params, filters: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for name in filters {
        let mut texts = params.texts(name).peekable();
        if texts.peek().is_none() {
            hasher.update("-");
        }
        texts.for_each(|text| hasher.update(format!("+{text}")));
        hasher.update([0]);
    }
    format!("{:x}", hasher.finalize())
}

fn invalid(reason: &str) -> ApiError {
    bad_parameter("cursor", "cursor_invalid", reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk() -> Paging {
        Paging {
            resource: "contacts",
            filter: "f".to_owned(),
            page: 2,
            page_size: 20,
            anchor: Some(400),
            before: Some(381),
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursor = walk().encode();
        assert_eq!(Paging::decode(&cursor, "contacts", "f".to_owned()).unwrap(), walk());
    }

    #[test]
    fn a_foreign_an_edited_and_a_truncated_cursor_are_refused() {
        let cursor = walk().encode();
        let edited = cursor.replacen('2', "3", 1);
        for (text, resource, filter) in [
            (cursor.as_str(), "lists", "f"),
            (cursor.as_str(), "contacts", "g"),
            (edited.as_str(), "contacts", "f"),
            (&cursor[..cursor.len() - 1], "contacts", "f"),
            ("", "contacts", "f"),
            ("....", "contacts", "f"),
        ] {
            let error = Paging::decode(text, resource, filter.to_owned()).unwrap_err();
            assert_eq!(error.code(), "cursor_invalid", "{text}");
        }
    }
}
