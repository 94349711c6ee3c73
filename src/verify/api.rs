//! A client of one instance's REST API, as a stranger could write it.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use super::VerifyError;

/// How long an answer is waited for. An instance that is cut off from its database answers nothing for a while.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long an upload may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// The client.
#[derive(Debug)]
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
    authorization: String,
}

/// What an instance said, if it said anything.
#[derive(Debug)]
pub(super) enum Answer {
    /// 2xx.
    Done(Value),
    /// Another status, with the problem's detail. 503 asks to try again.
    Refused(u16, String),
    /// Nothing came.
    Away(String),
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<(&'static str, Vec<u8>)>,
}

impl<'a> Question<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    /// What is asked while things break does no more when it is asked again.
    pub(super) fn post(path: &'a str, body: &Value) -> Self {
        Self { method: Method::POST, path, body: Some(("application/json", body.to_string().into_bytes())) }
    }

    pub(super) fn upload(path: &'a str, csv: String) -> Self {
        Self { method: Method::POST, path, body: Some(("text/csv", csv.into_bytes())) }
    }
}

impl Api {
    /// A client of the instance at `addr`.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub(super) fn new(addr: SocketAddr, key: &str) -> Result<Self, VerifyError> {
        // Fails when one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(TIMEOUT)
            .build()
            .map_err(|error| VerifyError::failed("set up the HTTP client", &error))?;
        Ok(Self { http, base: format!("http://{addr}"), authorization: format!("Bearer {key}") })
    }

    /// Asks once.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Answer {
        let url = format!("{}{}", self.base, question.path);
        let mut request = self.http.request(question.method.clone(), url).header(AUTHORIZATION, &self.authorization);
        let is_upload = matches!(question.body, Some(("text/csv", _)));
        request = request.timeout(if is_upload { UPLOAD_TIMEOUT } else { TIMEOUT });
        if let Some((kind, body)) = &question.body {
            request = request.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        let read = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.bytes().await?))
        };
        let (status, bytes) = match read.await {
            Ok(answer) => answer,
            Err(error) => return Answer::Away(innermost(&error)),
        };
        let value = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        if (200..300).contains(&status) { Answer::Done(value) } else { Answer::Refused(status, detail(&value)) }
    }
}

/// The innermost cause names the trouble ("connection refused"); those above it only wrap it.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn detail(problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", text("code"), text("detail")).trim().to_owned()
}
