//! The public pages as documents.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use askama::Template;

use super::words::{Language, Words};

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// Nothing but our own style sheet, and forms that lead to where the page came from.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page has.
pub(super) struct Head {
    lang: String,
    title: String,
    /// The way from the page's path up to the root of the public pages. Relative, so that it is right below any prefix.
    up: &'static str,
}

impl Head {
    /// The head of a page such as `/u/TOKEN`.
    pub(super) fn new(language: &Language, title: &str) -> Self {
        Self { lang: language.tag.clone(), title: title.to_owned(), up: "../" }
    }
}

/// A page that says something.
#[derive(Template)]
#[template(path = "public/said.html")]
pub(super) struct Said {
    pub(super) head: Head,
    pub(super) lines: Vec<String>,
}

/// A page that asks something.
#[derive(Template)]
#[template(path = "public/asked.html")]
pub(super) struct Asked {
    pub(super) head: Head,
    pub(super) question: String,
    pub(super) quiet: Option<String>,
    pub(super) answers: Vec<Answer>,
}

/// A button.
pub(super) struct Answer {
    pub(super) value: &'static str,
    pub(super) label: String,
    pub(super) is_first: bool,
}

impl Answer {
    pub(super) fn first(value: &'static str, label: &str) -> Self {
        Self { value, label: label.to_owned(), is_first: true }
    }

    pub(super) fn second(value: &'static str, label: &str) -> Self {
        Self { value, label: label.to_owned(), is_first: false }
    }
}

/// What a contact agreed to.
#[derive(Template)]
#[template(path = "public/preferences.html")]
pub(super) struct Preferences<'w> {
    pub(super) head: Head,
    pub(super) words: &'w Words,
    pub(super) note: Option<String>,
    pub(super) lead: String,
    pub(super) has_refused: bool,
    pub(super) topics: Vec<Choice>,
    pub(super) is_tracked: bool,
}

/// A topic to choose.
pub(super) struct Choice {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) is_on: bool,
}

/// Answers with a page, which nobody keeps and which leads nobody elsewhere.
pub(super) fn answer(status: StatusCode, page: &impl Template) -> HttpResponse {
    let (status, document) = match page.render() {
        Ok(document) => (status, document),
        Err(error) => {
            tracing::error!(event = "http.page_failed", error = %error, "a page cannot be written");
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_ROBOTS_TAG, HeaderValue::from_static("noindex, nofollow")));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "60"));
    }
    response.body(document)
}

/// The style sheet of the public pages.
pub(in crate::http) async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_ROBOTS_TAG, HeaderValue::from_static("noindex, nofollow")))
        .body(include_str!("../../../ui/assets/public.css"))
}
