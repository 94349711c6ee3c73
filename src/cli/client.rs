//! A client of the REST API, as a stranger could write it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::stream;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use url::Url;

use crate::config::secret::Secret;
use crate::domain::callbacks::mail::MEDIA_TYPE;

/// How long an answer is waited for. Launching a campaign pins its audience, which takes a moment on a big table.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const UPLOAD_CHUNK_BYTES: usize = 64 << 10;

/// Why a request brought no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(
        "cannot reach {address} ({reason}); is `volley serve` running there? --server or VOLLEY_CLI__SERVER names another \
         address"
    )]
    Unreachable { address: String, reason: String },
    #[error("{0}")]
    Refused(Problem),
    #[error("{address} does not answer like Volley ({reason}); check --server")]
    Foreign { address: String, reason: String },
}

/// A problem document (RFC 9457), or what can be said without one.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) fields: Vec<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.detail)?;
        for field in &self.fields {
            write!(f, "; {field}")?;
        }
        write!(f, " ({} {})", self.status.as_u16(), self.code)?;
        if self.code == "unauthorized" {
            write!(f, "; set VOLLEY_CLI__KEY to an API key (`volley key create NAME --scope SCOPE` makes one)")?;
        }
        Ok(())
    }
}

impl Problem {
    fn read(status: StatusCode, body: &Value) -> Self {
        let text = |value: &Value, names: &[&str]| {
            names.iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let detail = match text(body, &["detail", "title"]) {
            detail if detail.is_empty() => status.canonical_reason().unwrap_or("refused").to_owned(),
            detail => detail,
        };
        let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
        let fields = errors
            .map(|error| {
                let place = text(error, &["field", "pointer", "parameter", "column"]);
                let reason = text(error, &["detail", "message", "reason"]);
                if place.is_empty() { reason } else { format!("{place}: {reason}") }
            })
            .filter(|field| !field.is_empty() && !detail.contains(field.as_str()))
            .collect();
        Self { status, code: text(body, &["code"]), detail, fields }
    }
}

/// One instance's API.
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<Secret>,
}

/// A document that comes piece by piece.
pub(crate) struct Chunks<'c> {
    client: &'c Client,
    response: Response,
}

impl Chunks<'_> {
    /// The next piece. `None`: it has ended.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`].
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let chunk = self.response.chunk().await.map_err(|error| self.client.unreachable(&error))?;
        Ok(chunk.map(|chunk| chunk.to_vec()))
    }
}

impl Client {
    /// A client of the instance at `server`. Connects when first used.
    ///
    /// # Errors
    /// `server` is no address, or TLS cannot be set up.
    pub(crate) fn new(server: &str, key: Option<Secret>) -> anyhow::Result<Self> {
        let mut base = Url::parse(server).with_context(|| format!("{server:?} is not an address"))?;
        // So that `join` keeps a path under which a proxy serves Volley.
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let http =
            builder(&base).connect_timeout(Duration::from_secs(5)).build().context("cannot set up the HTTP client")?;
        Ok(Self { http, base, key })
    }

    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ClientError> {
        self.answer(self.request(Method::GET, path)?.query(query).timeout(ANSWER_TIMEOUT)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.answer(self.request(Method::POST, path)?.json(body).timeout(ANSWER_TIMEOUT)).await
    }

    /// Hands over a mail that came back, with user and password.
    pub(crate) async fn post_mail(&self, path: &str, secret: &Secret, mail: Vec<u8>) -> Result<Value, ClientError> {
        let (user, password) = secret.expose().split_once(':').unwrap_or_default();
        let request = self.request(Method::POST, path)?.basic_auth(user, Some(password));
        self.answer(request.header(CONTENT_TYPE, MEDIA_TYPE).body(mail).timeout(ANSWER_TIMEOUT)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.answer(self.request(Method::DELETE, path)?.json(body).timeout(ANSWER_TIMEOUT)).await
    }

    /// Writes a document as it arrives: it is never held in memory.
    ///
    /// # Errors
    /// [`ClientError`], or it cannot be written.
    pub(crate) async fn download(
        &self,
        path: &str,
        query: &[(&str, &str)],
        to: &mut impl std::io::Write,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::GET, path)?.query(query);
        let mut response = self.begun(request).await?;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            to.write_all(&chunk)?;
        }
        to.flush().map_err(Into::into)
    }

    /// A document that goes on, from behind the event with this id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
        last_id: Option<&str>,
    ) -> Result<Chunks<'_>, ClientError> {
        let mut request = self.request(Method::GET, path)?.query(query).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        Ok(Chunks { client: self, response: self.begun(request).await? })
    }

    /// A successful answer whose body is still to come.
    async fn begun(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let problem = serde_json::from_slice(&body).map(|body| Problem::read(status, &body));
        Err(match problem {
            Ok(problem) => ClientError::Refused(problem),
            Err(_) => self.foreign(&format!("HTTP {}", status.as_u16())),
        })
    }

    /// A POST that is answered line by line, each of them JSON. A line with a `problem` ends it.
    pub(crate) async fn post_lines(
        &self,
        path: &str,
        body: &Value,
        mut on_line: impl FnMut(&Value),
    ) -> Result<(), ClientError> {
        let request = self.request(Method::POST, path)?.header(ACCEPT, "application/x-ndjson").json(body);
        let mut response = self.begun(request).await?;
        let mut rest = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            rest.extend_from_slice(&chunk);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let line: Value = serde_json::from_slice(&line).map_err(|error| self.foreign(&error.to_string()))?;
                if let Some(problem) = line.get("problem") {
                    let status =
                        problem.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
                    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or_default();
                    return Err(ClientError::Refused(Problem::read(status, problem)));
                }
                on_line(&line);
            }
        }
        Ok(())
    }

    /// As [`Client::post`], under a fresh `Idempotency-Key`.
    pub(crate) async fn post_once(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let key = uuid::Uuid::new_v4().to_string();
        let request = self.request(Method::POST, path)?.header("Idempotency-Key", key);
        self.answer(request.json(body).timeout(ANSWER_TIMEOUT)).await
    }

    /// Sends a file as it is read: it is never held in memory. `sent` counts its bytes.
    ///
    /// # Errors
    /// The file cannot be opened, or [`ClientError`].
    pub(crate) async fn upload(
        &self,
        path: &str,
        query: &[(&str, &str)],
        file: &Path,
        sent: Arc<AtomicU64>,
    ) -> anyhow::Result<Value> {
        let unreadable = || format!("cannot read {}", file.display());
        let source = tokio::fs::File::open(file).await.with_context(unreadable)?;
        let about = source.metadata().await.with_context(unreadable)?;
        anyhow::ensure!(about.is_file(), "{} is not a file", file.display());
        let chunks = stream::try_unfold((source, sent), |(mut source, sent)| async move {
            let mut chunk = Vec::with_capacity(UPLOAD_CHUNK_BYTES);
            let read = source.read_buf(&mut chunk).await?;
            sent.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
            Ok::<_, std::io::Error>((read > 0).then_some((chunk, (source, sent))))
        });
        self.upload_body(path, query, reqwest::Body::wrap_stream(chunks)).await.map_err(Into::into)
    }

    /// Sends a document: CSV, or JSON lines where the query says so.
    pub(crate) async fn upload_body(
        &self,
        path: &str,
        query: &[(&str, &str)],
        document: impl Into<reqwest::Body>,
    ) -> Result<Value, ClientError> {
        let is_lines = query.contains(&("format", "jsonl"));
        let kind = if is_lines { "application/x-ndjson" } else { "text/csv" };
        let request = self.request(Method::POST, path)?.query(query).header(CONTENT_TYPE, kind);
        self.answer(request.body(document)).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, ClientError> {
        let url = self.base.join(path).map_err(|error| self.foreign(&error.to_string()))?;
        let request = self.http.request(method, url);
        Ok(match &self.key {
            Some(key) => request.header(AUTHORIZATION, format!("Bearer {}", key.expose())),
            None => request,
        })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(value) if status.is_success() => Ok(value),
            Err(_) if status.is_success() && body.is_empty() => Ok(Value::Null),
            Ok(value) if value.get("code").is_some() => Err(ClientError::Refused(Problem::read(status, &value))),
            Ok(_) | Err(_) => Err(self.foreign(&format!("HTTP {}", status.as_u16()))),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { address: self.address(), reason: reason(error) }
    }

    fn foreign(&self, reason: &str) -> ClientError {
        ClientError::Foreign { address: self.address(), reason: reason.to_owned() }
    }

    fn address(&self) -> String {
        crate::config::redact::redact_url(self.base.as_str()).trim_end_matches('/').to_owned()
    }
}

/// What every client of an instance at `url` is built with.
pub(crate) fn builder(url: &Url) -> ClientBuilder {
    // Fails when one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("volley/", env!("CARGO_PKG_VERSION")));
    // Without TLS nobody asks for certificates, and a small image may have none: reqwest would refuse to start.
    if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder }
}

/// Why a request was not answered.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    // The innermost cause names the trouble ("connection refused"); those above it only wrap it.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The number at `pointer` (RFC 6901), where the API always gives one.
pub(crate) fn number(value: &Value, pointer: &str) -> anyhow::Result<i64> {
    value.pointer(pointer).and_then(Value::as_i64).with_context(|| format!("the answer has no number at {pointer}"))
}

/// The text at `pointer`; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_one_line_with_its_fields_and_code() {
        let body = serde_json::json!({
            "type": "/problems/invalid", "title": "Invalid", "status": 422, "code": "invalid",
            "detail": "the campaign cannot be sent", "errors": [{"field": "/audience", "detail": "name one"}],
        });
        let problem = Problem::read(StatusCode::UNPROCESSABLE_ENTITY, &body);
        assert_eq!(problem.to_string(), "the campaign cannot be sent; /audience: name one (422 invalid)");
    }

    #[actix::test]
    async fn a_server_that_is_not_there_is_named() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{unused}"), None).unwrap();
        let error = client.get("v1/campaigns", &[]).await.unwrap_err().to_string();
        assert!(error.contains(&unused.to_string()) && error.contains("volley serve"), "{error}");
    }
}
