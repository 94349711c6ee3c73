//! What the page of a list was asked for, and the links that lead on from it.

use super::downloads::Downloads;
use super::words::curl;
use crate::http::web::extract::{FromQuery, Params};
use crate::http::web::paging::PARAMETERS;
use crate::http::web::problem::ApiError;

/// Rows of one page, unless the address says otherwise.
const ON_A_PAGE: &str = "50";

/// Which part of a list: as the API takes it, and a form's empty fields do not count.
pub(in crate::http) struct Asked<T> {
    which: T,
    params: Params,
}

impl<T: FromQuery> FromQuery for Asked<T> {
    const NAMES: &'static [&'static str] = T::NAMES;

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let params = params.given();
        Ok(Self { which: T::from_params(&params.or("page_size", ON_A_PAGE))?, params })
    }
}

/// Where the same list is for programs, and its other pages.
pub(super) struct Ways {
    /// `GET /v1/…`.
    pub(super) json: String,
    /// The same as a command.
    pub(super) command: String,
    /// The first page, where this is another one.
    pub(super) first: Option<String>,
    /// The page behind this one.
    pub(super) next: Option<String>,
}

impl<T> Asked<T> {
    /// What the API is asked, and the rest.
    pub(super) fn split(self) -> (T, Asked<()>) {
        (self.which, Asked { which: (), params: self.params })
    }

    /// What was asked of a field; empty where nothing was.
    pub(super) fn text(&self, name: &str) -> String {
        self.params.text(name).unwrap_or_default().to_owned()
    }

    /// Whether one of these fields was asked for something.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.params.text(name).is_some())
    }

    /// The files at `base` with everything that the page is a part of.
    pub(super) fn downloads(&self, base: &str) -> Downloads {
        Downloads::new(base, &self.params.without_all(&PARAMETERS))
    }

    /// The ways from the page at `base`, which shows the list at `api`.
    pub(super) fn ways(&self, base: &str, api: &str, cursor: Option<&str>) -> Ways {
        let rest = self.params.without("cursor");
        let to = |query: &str| if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") };
        let behind = |cursor: &str| format!("{base}?{rest}{}cursor={cursor}", if rest.is_empty() { "" } else { "&" });
        let api = format!("{api}?{}", self.params.or("page_size", ON_A_PAGE).query());
        Ways {
            json: format!("GET {api}"),
            command: curl("GET", &format!("'{api}'"), None),
            first: self.params.text("cursor").map(|_| to(&rest)),
            next: cursor.map(behind),
        }
    }
}
