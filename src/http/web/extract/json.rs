//! JSON bodies: one media type, a cap, no duplicate keys, no unknown fields, no coercion.

use std::collections::HashSet;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_path_to_error::Segment;
use sha2::{Digest, Sha256};

use crate::domain::shown::shown;
use crate::http::state::AppState;
use crate::http::web::problem::{ApiError, FieldProblem};

/// How long a body may be silent.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a JSON body may take altogether.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON object in the body. A POST without any counts as `{}`.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bare = *request.method() == Method::POST && is_bare(request);
        let body = read(request, payload);
        Box::pin(async move { parse(&if bare { EMPTY } else { body.await? }).map(Self) })
    }
}

/// A JSON object in the body, and a hash that says whether another request asks for the same: for routes that take an
/// `Idempotency-Key`. No body at all counts as `{}`.
#[derive(Debug, Clone)]
pub struct Hashed<T> {
    /// The body.
    pub body: T,
    /// SHA-256 over path and body, in hex.
    pub hash: String,
}

impl<T: DeserializeOwned + 'static> FromRequest for Hashed<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mut hasher = Sha256::new_with_prefix(request.path());
        let bare = is_bare(request);
        let body = read(request, payload);
        Box::pin(async move {
            let bytes = if bare { EMPTY } else { body.await? };
            hasher.update([0]);
            hasher.update(&bytes);
            Ok(Self { body: parse(&bytes)?, hash: format!("{:x}", hasher.finalize()) })
        })
    }
}

/// What no body counts as.
const EMPTY: Bytes = Bytes::from_static(b"{}");

/// Whether a request has no body at all. Many clients name a type all the same.
fn is_bare(request: &HttpRequest) -> bool {
    !request.headers().contains_key(header::TRANSFER_ENCODING)
        && request.headers().get(header::CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// For PATCH bodies: tells `null` (clear) from absent (leave).
///
/// # Errors
/// The value is neither `null` nor a `T`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn read(request: &HttpRequest, payload: &mut Payload) -> impl Future<Output = Result<Bytes, ApiError>> + 'static {
    let checked = check_headers(request);
    let payload = payload.take();
    async move { gather(payload, checked?).await }
}

/// A whole body of at most `limit` bytes.
///
/// # Errors
/// It is longer, does not arrive in time, or breaks off.
pub(in crate::http) async fn gather(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = Vec::new();
    let all = async {
        while let Some(chunk) = next_chunk(&mut payload).await? {
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    tokio::time::timeout(BODY_TIMEOUT, all).await.unwrap_or(Err(ApiError::BodyTimeout))?;
    Ok(Bytes::from(body))
}

/// The next piece of a body; `None` at its end.
///
/// # Errors
/// The client is silent for too long, or the connection broke in the middle of the body.
pub(in crate::http) async fn next_chunk(payload: &mut Payload) -> Result<Option<Bytes>, ApiError> {
    match in_time(payload.next()).await? {
        None => Ok(None),
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(error)) => {
            Err(ApiError::Malformed { code: "body_incomplete", detail: format!("the body ended early: {error}") })
        }
    }
}

/// Waits for the next piece of a body.
///
/// # Errors
/// The client is silent for too long.
pub(in crate::http) async fn in_time<T>(piece: impl Future<Output = T>) -> Result<T, ApiError> {
    tokio::time::timeout(CHUNK_TIMEOUT, piece).await.map_or(Err(ApiError::BodyTimeout), Ok)
}

fn too_large(limit: usize) -> ApiError {
    ApiError::TooLarge { limit: u64::try_from(limit).unwrap_or(u64::MAX) }
}

/// Checks what can be checked before the body arrives; returns its cap in bytes.
fn check_headers(request: &HttpRequest) -> Result<usize, ApiError> {
    let limit = AppState::of(request)?.settings.http.max_body_bytes;
    let mut types = request.headers().get_all(header::CONTENT_TYPE);
    let media_type = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default(),
        _ => "",
    };
    if !is_json(media_type) {
        return Err(ApiError::UnsupportedMediaType("send one Content-Type: application/json"));
    }
    refuse_content_encoding(request)?;
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limit) {
        return Err(too_large(limit));
    }
    Ok(limit)
}

/// Compressed bodies are refused: a small one can unpack to anything.
pub(in crate::http) fn refuse_content_encoding(request: &HttpRequest) -> Result<(), ApiError> {
    match request.headers().get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(ApiError::UnsupportedMediaType("send the body without Content-Encoding"))
        }
        _ => Ok(()),
    }
}

fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| {
            parameter.eq_ignore_ascii_case("charset=utf-8") || parameter.eq_ignore_ascii_case("charset=\"utf-8\"")
        })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    check_syntax(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| ApiError::Invalid(vec![field_problem(error.path(), error.inner())]))
}

/// Reads a part of a body that was kept as it came: what is wrong with it is wrong with this part alone. `at` is the pointer to it.
///
/// # Errors
/// 422 that names the field.
pub(in crate::http) fn read_part<T: DeserializeOwned>(part: serde_json::Value, at: &str) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(part).map_err(|error| {
        let problem = field_problem(error.path(), error.inner());
        ApiError::Invalid(vec![FieldProblem { field: format!("{at}{}", problem.field), ..problem }])
    })
}

/// The whole text must be one JSON object without duplicate keys, in UTF-8, no deeper than 128.
fn check_syntax(bytes: &[u8]) -> Result<(), ApiError> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let detail = format!("the body is not UTF-8: byte {}", error.valid_up_to());
        return Err(ApiError::Malformed { code: "encoding", detail });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let result = Strict { top: true }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    result.map_err(|error| {
        let message = error.to_string();
        if message.starts_with("number out of range") {
            return ApiError::field("", "out_of_range", message);
        }
        // serde_json's words for a surrogate without its other half.
        let surrogate = ["surrogate", "unicode code point", "end of hex escape"].iter().any(|m| message.contains(m));
        let code = if surrogate { "encoding" } else { "json_malformed" };
        ApiError::Malformed { code, detail: format!("the body is not a JSON object: {message}") }
    })
}

/// Walks any JSON value and refuses duplicate keys, which parsers disagree about.
struct Strict {
    top: bool,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.top { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Strict { top: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value_seed(Strict { top: false })?;
            if seen.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate key \"{}\"", shown(&key))));
            }
            seen.insert(key);
        }
        Ok(())
    }
}

fn field_problem(path: &serde_path_to_error::Path, error: &serde_json::Error) -> FieldProblem {
    let message = error.to_string();
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
    let mut field = pointer(path);
    // serde names the field in back quotes.
    let quoted = reason.split('`').nth(1).unwrap_or_default();
    let code = if reason.starts_with("unknown field") {
        if !field.ends_with(&format!("/{}", escaped(quoted))) {
            field = format!("{field}/{}", escaped(quoted));
        }
        "unknown_field"
    } else if reason.starts_with("missing field") {
        field = format!("{field}/{}", escaped(quoted));
        "required"
    } else if reason.starts_with("invalid type") {
        "wrong_type"
    } else if reason.starts_with("unknown variant") {
        "not_allowed"
    } else {
        "invalid"
    };
    FieldProblem::new(field, code, reason.chars().take(400).collect::<String>())
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => pointer.push_str(&format!("/{}", escaped(key))),
            Segment::Unknown => {}
        }
    }
    pointer
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only parsed")]
    struct Body {
        name: String,
        #[serde(default)]
        age: Option<i64>,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only parsed")]
    struct Inner {
        n: i64,
    }

    fn refused(body: &[u8]) -> (u16, String, String) {
        let error = parse::<Body>(body).unwrap_err();
        let problem = error.problem();
        let field = problem.errors.first().map(|e| e.field.clone()).unwrap_or_default();
        (problem.status, problem.code.into_owned(), field)
    }

    #[test]
    fn what_is_not_one_object_is_malformed() {
        for body in
            [&b""[..], b"null", b"[]", b"{\"a\":1,}", b"{\"a\":NaN}", b"{/**/}", b"{} {}", b"{\"a\":", b"\"x\"", b"1"]
        {
            let (status, code, _) = refused(body);
            assert_eq!((status, code.as_str()), (400, "json_malformed"), "{}", String::from_utf8_lossy(body));
        }
        assert!(parse::<Body>(b"{\"a\":1,}").unwrap_err().to_string().contains("line 1 column"));
    }

    #[test]
    fn a_duplicate_key_is_refused_at_any_depth() {
        assert_eq!(refused(br#"{"name":"a","name":"b"}"#).1, "json_malformed");
        assert_eq!(refused(br#"{"name":"a","inner":[{"n":1,"n":2}]}"#).0, 400);
    }

    #[test]
    fn a_deep_body_is_refused_without_deep_recursion() {
        assert_eq!(refused("[".repeat(10_000).as_bytes()).0, 400);
        assert_eq!(refused(format!("{{\"name\":{}", "[".repeat(10_000)).as_bytes()).0, 400);
    }

    #[test]
    fn bad_text_is_named_as_such() {
        assert_eq!(refused(b"{\"name\":\"\xff\"}").1, "encoding");
        assert_eq!(refused(b"{\"name\":\"\xc0\xaf\"}").1, "encoding");
        assert_eq!(refused(br#"{"name":"\ud800"}"#).1, "encoding");
    }

    #[test]
    fn a_wrong_field_is_named_by_its_pointer() {
        assert_eq!(refused(br#"{"name":5}"#), (422, "wrong_type".to_owned(), "/name".to_owned()));
        assert_eq!(refused(br#"{"name":"x","age":"5"}"#), (422, "wrong_type".to_owned(), "/age".to_owned()));
        assert_eq!(refused(br#"{"name":"x","age":0.1}"#).1, "wrong_type");
        assert_eq!(refused(br#"{"name":"x","age":-0}"#).1, "wrong_type");
        assert_eq!(refused(br#"{"name":"x","age":1e400}"#).0, 422);
        assert_eq!(refused(b"{}"), (422, "required".to_owned(), "/name".to_owned()));
        assert_eq!(
            refused(br#"{"name":"x","is_admin":true}"#),
            (422, "unknown_field".to_owned(), "/is_admin".to_owned())
        );
        assert_eq!(
            refused(br#"{"name":"x","inner":[{"n":1},{"n":1,"m":2}]}"#),
            (422, "unknown_field".to_owned(), "/inner/1/m".to_owned())
        );
    }

    #[test]
    fn only_json_in_utf_8_is_taken() {
        assert!(is_json("application/json"));
        assert!(is_json("Application/JSON; charset=UTF-8"));
        for other in
            ["", "text/plain", "application/json; charset=latin1", "application/jsonx", "application/json, text/csv"]
        {
            assert!(!is_json(other), "{other}");
        }
    }
}
