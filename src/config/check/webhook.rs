//! Settings of an HTTP API that contradict themselves.

use reqwest::header::{HeaderName, HeaderValue};

use super::{Check, ensure};
use crate::config::pools::PoolConfig;

impl PoolConfig {
    pub(super) fn check_webhook(&self, at: &dyn Fn(&str) -> String) -> Check {
        /// Written by Volley or by the protocol; a second one would contradict the first.
        const RESERVED: &[&str] = &["idempotency-key", "x-volley-attempt", "content-length", "transfer-encoding"];
        let url = self.address(at, &["http", "https"], "give http://HOST/PATH or https://HOST/PATH")?;
        self.check_encrypted(at, url.scheme() == "https")?;
        let method = self.method.as_deref().unwrap_or("POST");
        ensure(
            matches!(method, "POST" | "PUT" | "PATCH"),
            &at("method"),
            format!("{method:?} is none of POST, PUT, PATCH"),
        )?;
        for (name, value) in &self.headers {
            let key = at(&format!("headers.{name}"));
            ensure(HeaderName::from_bytes(name.as_bytes()).is_ok(), &key, "not a header name")?;
            ensure(HeaderValue::from_str(value.expose()).is_ok(), &key, "must be visible ASCII on one line")?;
            ensure(!RESERVED.contains(&name.to_ascii_lowercase().as_str()), &key, "is written by Volley itself")?;
        }
        let pointer = self.provider_id_pointer.as_deref().unwrap_or_default();
        ensure(
            pointer.is_empty() || pointer.starts_with('/'),
            &at("provider_id_pointer"),
            format!("{pointer:?} is not a JSON pointer such as /message/id"),
        )
    }
}
