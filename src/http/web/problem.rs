//! Errors as clients see them: RFC 9457 problem documents, and the one map from error to status.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use serde::Serialize;

use super::rate_limit;
use crate::domain::access::Scope;
use crate::domain::access::limit::Standing;
use crate::domain::people::contact::FieldError;
use crate::domain::shown::shown;
use crate::store::{MayBeStoreError, StoreError};

/// The media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// Stable, for machines: `contact_not_found`.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// This occurrence, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The ids that the problem is about: what is missing, or what is in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<i64>,
    /// Names this request in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldProblem {
    /// A JSON pointer (RFC 6901) into the body, or the name of a parameter or header.
    pub field: String,
    /// Stable, for machines: `email_invalid`.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// For people: what was received, what is allowed.
    pub reason: String,
}

impl FieldProblem {
    /// A problem of one field.
    pub fn new(field: impl Into<String>, code: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), code: code.into(), reason: reason.into() }
    }
}

impl From<FieldError> for FieldProblem {
    fn from(FieldError { field, code, reason }: FieldError) -> Self {
        Self { field, code, reason }
    }
}

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request itself cannot be read.
    #[error("{detail}")]
    Malformed {
        /// `json_malformed`, `id_malformed`, …
        code: &'static str,
        /// What and where.
        detail: String,
    },
    /// 400: a parameter or header is wrong.
    #[error("{}: {}", .0.field, .0.reason)]
    BadParameter(FieldProblem),
    /// 401: no key, or none that is valid.
    #[error("a valid API key is required")]
    Unauthorized,
    /// 401: a callback that does not come from the provider, or not now. Nobody learns which.
    #[error("the request is not signed with the pool's secret, or its signature is too old")]
    Unsigned,
    /// 403: the key is valid and does not allow this.
    #[error("{what} needs a key with the scope {asked}; this key has {own}")]
    InsufficientScope {
        /// The field that asks for it; `this`: the route.
        what: &'static str,
        /// What it asks for.
        asked: Scope,
        /// What the key has.
        own: Scope,
    },
    /// 403: the key allows the route, and not what the body asks for.
    #[error("{detail}")]
    Forbidden {
        /// `key_exceeds_maker`, …
        code: &'static str,
        /// What is not allowed.
        detail: String,
    },
    /// 404: this instance serves nothing but its health.
    #[error("this instance only sends, and serves /healthz, /readyz and /metrics: ask one whose role is all or api")]
    SenderOnly,
    /// 404: these do not exist.
    #[error("no such {}: {}", what.replace('_', " "), join(.ids))]
    NotFound {
        /// The kind of thing: `contact`.
        what: &'static str,
        /// Which ones.
        ids: Vec<i64>,
    },
    /// 404: what goes by a name does not exist.
    #[error("no such {}: {}", what.replace('_', " "), shown(.name))]
    NoSuch {
        /// The kind of thing: `pool`.
        what: &'static str,
        /// Which one.
        name: String,
    },
    /// 404: what fields of the body name does not exist.
    #[error("{}", summary(.errors))]
    Missing {
        /// The kind of thing: `list`.
        what: &'static str,
        /// Which fields, and what they name.
        errors: Vec<FieldProblem>,
        /// Those of them that were named by an id.
        ids: Vec<i64>,
    },
    /// 408: the body did not arrive in time.
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    /// 409: the request contradicts what is stored.
    #[error("{detail}")]
    Conflict {
        /// `contact_conflict`, `invalid_transition`, …
        code: &'static str,
        /// What is in the way.
        detail: String,
        /// The rows that are in the way.
        ids: Vec<i64>,
    },
    /// 413: the body is larger than the setting allows.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The cap, in bytes.
        limit: u64,
    },
    /// 414: the target of the request line is too long.
    #[error("the request's target is longer than {limit} bytes")]
    TargetTooLong {
        /// The cap, in bytes.
        limit: usize,
    },
    /// 429: the caller has asked too often.
    #[error("{0}")]
    TooManyRequests(Standing),
    /// 431: the headers together are too large.
    #[error("the request's headers are larger than {limit} bytes")]
    HeadersTooLarge {
        /// The cap, in bytes.
        limit: usize,
    },
    /// 415: another media type or encoding is needed.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    /// 422: readable, and wrong.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldProblem>),
    /// The store failed; 503 when waiting may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// 503: something other than the database, which may work again later.
    #[error("{detail}")]
    Unavailable {
        /// `disk_full`, `shutting_down`, …
        code: &'static str,
        /// What cannot be done now.
        detail: String,
    },
    /// 500.
    #[error("cannot {action}")]
    Unexpected {
        /// What was tried.
        action: &'static str,
        /// Why it failed; for the log only.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn join(ids: &[i64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn summary(errors: &[FieldProblem]) -> String {
    errors.first().map_or_else(String::new, |first| match first.field.as_str() {
        // It is about the whole body.
        "" => first.reason.clone(),
        field => format!("{field}: {}", first.reason),
    })
}

/// What the store's errors come to.
enum StoreAnswer {
    Conflict,
    Away(&'static str),
    Broken,
}

fn store_answer(error: &StoreError) -> StoreAnswer {
    match error {
        StoreError::Taken { .. } | StoreError::Stale { .. } => StoreAnswer::Conflict,
        StoreError::DiskFull { .. } => StoreAnswer::Away("disk_full"),
        StoreError::Unavailable { .. } | StoreError::Unanswered { .. } | StoreError::Closed => {
            StoreAnswer::Away("database_unavailable")
        }
        StoreError::Query { source: DieselError::DatabaseError(kind, _), .. } if !is_broken_rule(kind) => {
            StoreAnswer::Away("database_unavailable")
        }
        StoreError::Query { .. }
        | StoreError::BadUrl
        | StoreError::Unusable(_)
        | StoreError::Folder { .. }
        | StoreError::UnsafeDurability { .. }
        | StoreError::Migration { .. }
        | StoreError::Corrupt { .. }
        | StoreError::NoRandomness { .. }
        | StoreError::Panicked { .. } => StoreAnswer::Broken,
    }
}

/// Whether the database is well and refused what it was asked: a mistake of ours, which another try does not fix.
fn is_broken_rule(kind: &DatabaseErrorKind) -> bool {
    use DatabaseErrorKind as Kind;
    matches!(kind, Kind::UniqueViolation | Kind::ForeignKeyViolation | Kind::CheckViolation | Kind::NotNullViolation)
}

impl MayBeStoreError for ApiError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        if let Self::Store(error) = self { Ok(error) } else { Err(self) }
    }
}

impl ApiError {
    /// One field of the body is wrong.
    pub fn field(field: impl Into<String>, code: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::new(field, code, reason)])
    }

    /// The same, where the fields that it names are those of a part of the body. `at` is the pointer to that part.
    #[must_use]
    pub fn below(mut self, at: &str) -> Self {
        if let Self::Invalid(errors) | Self::Missing { errors, .. } = &mut self {
            errors.iter_mut().for_each(|error| error.field.insert_str(0, at));
        }
        self
    }

    /// One thing is missing.
    pub fn not_found(what: &'static str, id: i64) -> Self {
        Self::NotFound { what, ids: vec![id] }
    }

    /// What goes by a name is missing.
    pub fn no_such(what: &'static str, name: &str) -> Self {
        Self::NoSuch { what, name: name.to_owned() }
    }

    /// Whether what was asked for is wrong, and not the instance: another try changes nothing.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.status_code().is_client_error()
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Malformed { code, .. }
            | Self::Forbidden { code, .. }
            | Self::Conflict { code, .. }
            | Self::Unavailable { code, .. } => Cow::Borrowed(code),
            Self::InsufficientScope { .. } => Cow::Borrowed("insufficient_scope"),
            Self::TooManyRequests(_) => Cow::Borrowed("rate_limited"),
            Self::BadParameter(problem) => problem.code.clone(),
            Self::SenderOnly => Cow::Borrowed("sender_only"),
            Self::Unauthorized => Cow::Borrowed("unauthorized"),
            Self::Unsigned => Cow::Borrowed("callback_unverified"),
            Self::NotFound { what, .. } | Self::NoSuch { what, .. } | Self::Missing { what, .. } => {
                Cow::Owned(format!("{what}_not_found"))
            }
            Self::BodyTimeout => Cow::Borrowed("body_timeout"),
            Self::TooLarge { .. } => Cow::Borrowed("body_too_large"),
            Self::TargetTooLong { .. } => Cow::Borrowed("target_too_long"),
            Self::HeadersTooLarge { .. } => Cow::Borrowed("headers_too_large"),
            Self::UnsupportedMediaType(_) => Cow::Borrowed("unsupported_media_type"),
            // Errors of one kind name themselves; several kinds share a name.
            Self::Invalid(errors) => match errors.split_first() {
                Some((first, rest)) if rest.iter().all(|other| other.code == first.code) => first.code.clone(),
                _ => Cow::Borrowed("validation_failed"),
            },
            Self::Store(StoreError::Taken { field, .. }) => Cow::Owned(format!("{field}_taken")),
            Self::Store(error) => match store_answer(error) {
                StoreAnswer::Conflict => Cow::Borrowed("changed_meanwhile"),
                StoreAnswer::Away(code) => Cow::Borrowed(code),
                StoreAnswer::Broken => Cow::Borrowed("internal_error"),
            },
            Self::Unexpected { .. } => Cow::Borrowed("internal_error"),
        }
    }

    /// The document, without a request id.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let status = self.status_code();
        let mut problem = Problem::of(status, self.code());
        problem.detail = match self {
            Self::Store(StoreError::Taken { .. } | StoreError::Stale { .. }) => Some(self.to_string()),
            // What the database said is for the log.
            Self::Store(error) => match store_answer(error) {
                StoreAnswer::Away("disk_full") => Some("the disk of the database is full".to_owned()),
                StoreAnswer::Away(_) => Some("the database cannot be reached; try again".to_owned()),
                StoreAnswer::Conflict | StoreAnswer::Broken => None,
            },
            Self::Unexpected { .. } => None,
            Self::Malformed { .. }
            | Self::BadParameter(_)
            | Self::SenderOnly
            | Self::Unauthorized
            | Self::Unsigned
            | Self::InsufficientScope { .. }
            | Self::Forbidden { .. }
            | Self::TooManyRequests(_)
            | Self::NotFound { .. }
            | Self::NoSuch { .. }
            | Self::Missing { .. }
            | Self::BodyTimeout
            | Self::Conflict { .. }
            | Self::TooLarge { .. }
            | Self::TargetTooLong { .. }
            | Self::HeadersTooLarge { .. }
            | Self::UnsupportedMediaType(_)
            | Self::Invalid(_)
            | Self::Unavailable { .. } => Some(self.to_string()),
        };
        match self {
            Self::Invalid(errors) => problem.errors.clone_from(errors),
            Self::BadParameter(error) => problem.errors.push(error.clone()),
            Self::Missing { errors, ids, .. } => {
                problem.errors.clone_from(errors);
                problem.ids.clone_from(ids);
            }
            Self::NotFound { ids, .. } | Self::Conflict { ids, .. } => problem.ids.clone_from(ids),
            Self::Store(StoreError::Taken { by, .. }) => problem.ids.extend(by),
            Self::Malformed { .. }
            | Self::NoSuch { .. }
            | Self::SenderOnly
            | Self::Unauthorized
            | Self::Unsigned
            | Self::InsufficientScope { .. }
            | Self::Forbidden { .. }
            | Self::TooManyRequests(_)
            | Self::BodyTimeout
            | Self::TooLarge { .. }
            | Self::TargetTooLong { .. }
            | Self::HeadersTooLarge { .. }
            | Self::UnsupportedMediaType(_)
            | Self::Store(_)
            | Self::Unavailable { .. }
            | Self::Unexpected { .. } => {}
        }
        problem
    }
}

impl Problem {
    /// A bare document.
    #[must_use]
    pub fn of(status: StatusCode, code: Cow<'static, str>) -> Self {
        Self {
            kind: format!("/problems/{code}"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            status: status.as_u16(),
            code,
            detail: None,
            errors: Vec::new(),
            ids: Vec::new(),
            request_id: None,
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed { .. } | Self::BadParameter(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope { .. } | Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound { .. } | Self::NoSuch { .. } | Self::Missing { .. } | Self::SenderOnly => {
                StatusCode::NOT_FOUND
            }
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Store(error) => match store_answer(error) {
                StoreAnswer::Conflict => StatusCode::CONFLICT,
                StoreAnswer::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
                StoreAnswer::Broken => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unexpected { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The document; `http::edge` adds the request id.
    fn error_response(&self) -> HttpResponse {
        let problem = self.problem();
        let status = self.status_code();
        let mut response = HttpResponse::build(status).content_type(PROBLEM_JSON).json(&problem);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            let is_callback = matches!(self, Self::Unsigned);
            let challenge = if is_callback { "Signature realm=\"callbacks\"" } else { "Bearer realm=\"volley\"" };
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::TooManyRequests(standing) = self {
            rate_limit::enter(standing, response.headers_mut());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(standing.seconds().max(1)));
        }
        if let Self::InsufficientScope { asked, .. } = self {
            // RFC 6750, section 3.1.
            let challenge = format!("Bearer realm=\"volley\", error=\"insufficient_scope\", scope=\"{asked}\"");
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
        }
        response.extensions_mut().insert(problem);
        response
    }
}
