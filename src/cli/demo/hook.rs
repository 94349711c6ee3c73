//! What the demo's segments call: a receiver of webhooks on loopback, which takes each call and remembers it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::config::targets::TargetConfig;

/// Its name in the settings.
pub(super) const NAME: &str = "hook";

/// The longest call that it reads, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// A receiver. Dropping it ends it.
pub(super) struct Hook {
    port: u16,
    taken: Arc<Mutex<Vec<Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Hook {
    /// Listens on a free port.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free for the demo's webhook")?;
        let port = listener.local_addr()?.port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(take(socket, Arc::clone(&kept)));
            }
        });
        Ok(Self { port, taken, task })
    }

    /// It as a target of the settings.
    pub(super) fn target(&self) -> TargetConfig {
        // It has no secret worth keeping: whatever is told stays on this machine.
        TargetConfig::at(NAME, &format!("http://127.0.0.1:{}/", self.port), "whsec_dGhlIGRlbW8gaGFzIG5vIHNlY3JldA==")
    }

    /// What it was told of this type, such as `segment.entered`.
    pub(super) fn taken(&self, kind: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|told| told.get("type").is_some_and(|told| told == kind)).cloned().collect()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one call and answers it. Whatever is no call is answered with nothing.
async fn take(mut socket: TcpStream, taken: Arc<Mutex<Vec<Value>>>) {
    if let Some(told) = call(&mut socket).await {
        taken.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        accept(&mut socket).await;
    }
}

/// Reads the JSON of one call. `None`: what came is no call.
pub(super) async fn call(socket: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    while bytes.len() < MOST_BYTES {
        match socket.read_buf(&mut bytes).await {
            Ok(read) if read > 0 => {}
            _ => return None,
        }
        if let Some(told) = body(&bytes) {
            return Some(told);
        }
    }
    None
}

/// Answers a call: it was taken.
pub(super) async fn accept(socket: &mut TcpStream) {
    // If the answer is lost, the caller decides what that means.
    let _ = socket.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
}

/// The JSON behind the head, once it is whole.
fn body(bytes: &[u8]) -> Option<Value> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    serde_json::from_slice(bytes.get(end + 4..)?).ok()
}
