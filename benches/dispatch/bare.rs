//! The measure: a client loop that does nothing but send.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use lettre::address::Envelope;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::server::Server;
use crate::{Wire, letter, per_second};

const CONNECTIONS: usize = 50;

/// Messages per second of a bare loop over 50 connections, on a thread per core.
pub(crate) fn measure(wire: Wire, recipients: u32) -> f64 {
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let server = Server::start(wire);
    let addr = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let left = Arc::new(AtomicU32::new(recipients));
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let left = Arc::clone(&left);
            let connections = (thread..CONNECTIONS).step_by(threads).count();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, run(wire, addr, connections, left));
            });
        }
    });
    per_second(recipients, began.elapsed())
}

async fn run(wire: Wire, addr: SocketAddr, connections: usize, left: Arc<AtomicU32>) {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("an HTTP client");
    let loops: Vec<_> = (0..connections)
        .map(|_| {
            let (left, client) = (Arc::clone(&left), client.clone());
            tokio::task::spawn_local(async move {
                match wire {
                    Wire::Smtp | Wire::SmtpPlain => mails(addr, &left, short).await,
                    Wire::SmtpLetter => mails(addr, &left, long).await,
                    Wire::Webhook => requests(addr, &client, &left).await,
                }
            })
        })
        .collect();
    for each in loops {
        each.await.expect("a loop that sends");
    }
}

/// The next recipient's number, until there is none.
fn next(left: &AtomicU32) -> Option<u32> {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()
}

async fn mails(addr: SocketAddr, left: &AtomicU32, content: impl Fn(u32) -> String) {
    let stream = TcpStream::connect(addr).await.expect("reach the relay");
    stream.set_nodelay(true).expect("send at once");
    let hello = ClientId::Domain("localhost".to_owned());
    let mut connection =
        AsyncSmtpConnection::connect_with_transport(Box::new(Plain(stream)), &hello).await.expect("a greeting");
    while let Some(number) = next(left) {
        let to = format!("person{number}@example.com");
        let mail = format!(
            "Message-ID: <{number}@example.com>\r\nFrom: Shop <shop@example.com>\r\nTo: {to}\r\n{}",
            content(number)
        );
        let from = "shop@example.com".parse().expect("an address");
        let envelope = Envelope::new(Some(from), vec![to.parse().expect("an address")]).expect("an envelope");
        connection.send(&envelope, mail.as_bytes()).await.expect("the relay takes the mail");
    }
}

/// A line of text, with the headers before it.
fn short(number: u32) -> String {
    format!(
        "Subject: Hello First{number}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nDear First{number}, good \
         news from Town {}.\r\n",
        number % 17
    )
}

/// The letter as the engine sends it, without the encoding: its lines are short enough.
fn long(number: u32) -> String {
    let name = format!("First{number}");
    format!(
        "Subject: {name}, the news of this week\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; \
         boundary=\"=_bare\"\r\n\r\n--=_bare\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n--=_bare\r\nContent-Type: \
         text/html; charset=utf-8\r\n\r\n{}\r\n--=_bare--\r\n",
        letter::text(&name),
        letter::html(&name)
    )
}

async fn requests(addr: SocketAddr, client: &reqwest::Client, left: &AtomicU32) {
    let url = format!("http://{addr}/messages");
    while let Some(number) = next(left) {
        let body = serde_json::json!({
            "campaign_id": 1,
            "contact_id": number,
            "to": format!("person{number}@example.com"),
            "subject": format!("Hello First{number}"),
            "text": format!("Dear First{number}, good news from Town {}.", number % 17),
            "html": null,
        });
        let request = client.post(&url).header("Idempotency-Key", format!("key:{number}")).json(&body);
        let answer = request.send().await.expect("an answer");
        answer.bytes().await.expect("the answer's body");
    }
}

#[derive(Debug)]
struct Plain(TcpStream);

impl AsyncTokioStream for Plain {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

impl AsyncRead for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
