//! A provider of the demo that has bad moments: a gateway on loopback that takes messages over HTTP, and now and then ends the
//! connection instead of answering. Of those messages nobody can know whether they were accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};

use super::hook;
use crate::config::pools::{PoolConfig, ServerConfig, WebhookConfig};
use crate::domain::channel::ChannelKind;

/// Its name in the settings.
pub(super) const NAME: &str = "gateway";

/// How many messages are answered for one that is not.
const ANSWERED: u32 = 60;

/// A gateway. Dropping it ends it.
pub(super) struct Gateway {
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

impl Gateway {
    /// Listens on a free port.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn listen() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free for the demo's gateway")?;
        let port = listener.local_addr()?.port();
        let count = Arc::new(AtomicU32::new(0));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(take(socket, Arc::clone(&count)));
            }
        });
        Ok(Self { port, task })
    }

    /// It as a pool of the settings.
    pub(super) fn pool(&self) -> PoolConfig {
        let server = ServerConfig::at(format!("http://127.0.0.1:{}/messages", self.port));
        let webhook = WebhookConfig { server, keep_alive: false, ..WebhookConfig::default() };
        PoolConfig { name: NAME.to_owned(), channel: ChannelKind::Http, concurrency: 10, ..PoolConfig::bare(webhook) }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads one message, and answers most of them.
async fn take(mut socket: TcpStream, count: Arc<AtomicU32>) {
    if hook::call(&mut socket).await.is_some() && count.fetch_add(1, Ordering::Relaxed) % ANSWERED != ANSWERED / 2 {
        hook::accept(&mut socket).await;
    }
}
