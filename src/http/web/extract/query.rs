//! Query strings: unknown and repeated parameters are refused, because a misspelt filter would silently select
//! everything.

use std::future::{Ready, ready};
use std::ops::RangeInclusive;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::domain::day::UtcDay;
use crate::domain::instant::UtcInstant;
use crate::domain::shown::shown;
use crate::http::web::problem::{ApiError, FieldProblem};

/// Parameters that a route takes.
pub trait FromQuery: Sized {
    /// The names it knows.
    const NAMES: &'static [&'static str];

    /// Those of them that may be given more than once.
    const REPEATED: &'static [&'static str] = &[];

    /// Reads them.
    ///
    /// # Errors
    /// A value is not what the parameter takes.
    fn from_params(params: &Params) -> Result<Self, ApiError>;
}

/// No parameter at all.
impl FromQuery for () {
    const NAMES: &'static [&'static str] = &[];

    fn from_params(_: &Params) -> Result<Self, ApiError> {
        Ok(())
    }
}

/// The query string as a `T`. `Query<()>` refuses every parameter.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: FromQuery> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let params = Params::parse_repeated(request.query_string(), T::NAMES, T::REPEATED);
        ready(params.and_then(|params| T::from_params(&params)).map(Self))
    }
}

/// The parameters of one request, each at most once but those that may be repeated.
#[derive(Debug, Clone)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters of a query string.
    ///
    /// # Errors
    /// One is not known, is there twice, or cannot be read.
    pub fn parse(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        Self::parse_repeated(query, known, &[])
    }

    /// The parameters of a query string, of which some may be there more than once.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_repeated(query: &str, known: &[&str], repeated: &[&str]) -> Result<Self, ApiError> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name.contains('\u{fffd}') || value.contains(['\u{fffd}', '\0']) {
                return Err(bad(&shown(&name), "encoding", "not valid UTF-8, or contains NUL".to_owned()));
            }
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(bad(&shown(&name), "unknown_parameter", format!("this route takes: {known}")));
            }
            if !repeated.contains(&name.as_ref()) && params.iter().any(|(seen, _)| *seen == name) {
                return Err(bad(&name, "parameter_repeated", "give this parameter once".to_owned()));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(params))
    }

    /// Those that say something: a form of a browser sends its empty fields, too.
    #[must_use]
    pub fn given(&self) -> Self {
        Self(self.0.iter().filter(|(_, value)| !value.trim().is_empty()).cloned().collect())
    }

    /// With a value for a parameter that is not given.
    #[must_use]
    pub fn or(&self, name: &str, value: &str) -> Self {
        let mut params = self.clone();
        if params.text(name).is_none() {
            params.0.push((name.to_owned(), value.to_owned()));
        }
        params
    }

    /// All of them, as a query.
    #[must_use]
    pub fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The parameters without this one, as a query.
    #[must_use]
    pub fn without(&self, name: &str) -> String {
        self.without_all(&[name])
    }

    /// The parameters without these, as a query.
    #[must_use]
    pub fn without_all(&self, names: &[&str]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(seen, _)| !names.contains(&seen.as_str())));
        query.finish()
    }

    /// The text of a parameter.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(seen, _)| seen == name).map(|(_, value)| value.as_str())
    }

    /// Every text of a parameter that may be repeated.
    pub fn texts<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(seen, _)| seen == name).map(|(_, value)| value.as_str())
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// 400 `out_of_range`, naming the range.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|n| range.contains(n) && !text.starts_with('+'));
        number.map(Some).ok_or_else(|| {
            let reason = format!("\"{}\" is not a whole number from {} to {}", shown(text), range.start(), range.end());
            bad(name, "out_of_range", reason)
        })
    }

    /// A text of at most so many characters.
    ///
    /// # Errors
    /// 400 `too_long`.
    pub fn short(&self, name: &str, most: usize) -> Result<Option<String>, ApiError> {
        match self.text(name) {
            Some(text) if text.chars().count() > most => {
                Err(bad(name, "too_long", format!("has more than {most} characters")))
            }
            text => Ok(text.map(ToOwned::to_owned)),
        }
    }

    /// A time in RFC 3339.
    ///
    /// # Errors
    /// 400 `invalid`.
    pub fn instant(&self, name: &str) -> Result<Option<UtcInstant>, ApiError> {
        let parsed = self.text(name).map(UtcInstant::parse).transpose();
        parsed.map_err(|error| bad(name, "invalid", error.to_string()))
    }

    /// A day such as `2026-03-01`.
    ///
    /// # Errors
    /// 400 `invalid`.
    pub fn day(&self, name: &str) -> Result<Option<UtcDay>, ApiError> {
        let parsed = self.text(name).map(UtcDay::parse).transpose();
        parsed.map_err(|error| bad(name, "invalid", error.to_string()))
    }

    /// One of a closed set of words, such as a status.
    ///
    /// # Errors
    /// 400 `not_allowed`, naming the words.
    pub fn choice<T: Copy + std::fmt::Display>(&self, name: &str, all: &[T]) -> Result<Option<T>, ApiError> {
        self.text(name).map(|text| chosen(name, text, all)).transpose()
    }

    /// Several of a closed set of words, under any of these names of one parameter.
    ///
    /// # Errors
    /// As [`Self::choice`].
    pub fn choices<T: Copy + std::fmt::Display>(&self, names: &[&str], all: &[T]) -> Result<Vec<T>, ApiError> {
        let given = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()));
        given.map(|(name, text)| chosen(name, text, all)).collect()
    }
}

fn chosen<T: Copy + std::fmt::Display>(name: &str, text: &str, all: &[T]) -> Result<T, ApiError> {
    all.iter().copied().find(|choice| choice.to_string() == text).ok_or_else(|| {
        let allowed = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        bad(name, "not_allowed", format!("\"{}\" is none of: {allowed}", shown(text)))
    })
}

pub(in crate::http) fn bad(name: &str, code: &'static str, reason: String) -> ApiError {
    ApiError::BadParameter(FieldProblem::new(name, code, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(result: Result<Params, ApiError>) -> String {
        result.unwrap_err().code().into_owned()
    }

    #[test]
    fn an_unknown_a_repeated_and_an_unreadable_parameter_are_refused() {
        assert_eq!(code_of(Params::parse("pgae=2", &["page"])), "unknown_parameter");
        assert_eq!(code_of(Params::parse("page=1&page=2", &["page"])), "parameter_repeated");
        assert_eq!(code_of(Params::parse("search=%00", &["search"])), "encoding");
        assert_eq!(code_of(Params::parse("search=%ff", &["search"])), "encoding");
    }

    #[test]
    fn numbers_outside_their_range_are_refused_with_the_range() {
        for text in ["0", "-1", "1e9", "abc", "", "101", "+5", "9223372036854775808"] {
            let params = Params(vec![("page_size".to_owned(), text.to_owned())]);
            let error = params.integer("page_size", 1..=100).unwrap_err();
            assert!(error.to_string().contains("from 1 to 100"), "{text}: {error}");
        }
    }
}
