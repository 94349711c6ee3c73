//! Receiving sides that take everything at once and only count. They do as little as they can: the scripted servers of the
//! tests would be measured beside the engine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::listener::Listener;

/// An SMTP relay or an HTTP provider. Dropping it closes it.
pub(crate) struct Sink {
    listener: Listener,
    taken: Arc<AtomicU64>,
}

impl Sink {
    /// A relay, which may offer PIPELINING.
    pub(crate) fn smtp(pipelining: bool) -> Self {
        Self::start(move |stream, taken| drop(talk_smtp(&stream, pipelining, taken)))
    }

    /// An HTTP provider.
    pub(crate) fn http() -> Self {
        Self::start(|stream, taken| drop(talk_http(&stream, taken)))
    }

    fn start(serve: impl Fn(TcpStream, &AtomicU64) + Send + Sync + 'static) -> Self {
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        Self { listener: Listener::start(move |stream| serve(stream, &counter)), taken }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.listener.port()
    }

    /// How many messages it took.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Answers, together with the answers to whatever came in the same packet (RFC 2920), until the client hangs up.
fn talk_smtp(mut stream: &TcpStream, pipelining: bool, taken: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut replies = b"220 sink ESMTP\r\n".to_vec();
    let mut line = Vec::with_capacity(1024);
    let mut in_content = false;
    loop {
        if reader.buffer().is_empty() && !replies.is_empty() {
            stream.write_all(&replies)?;
            replies.clear();
        }
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let reply: &[u8] = match (in_content, line.get(..4).unwrap_or_default()) {
            (true, _) if line == b".\r\n" => {
                in_content = false;
                taken.fetch_add(1, Ordering::Relaxed);
                b"250 2.0.0 queued\r\n"
            }
            (true, _) => b"",
            (false, b"EHLO") if pipelining => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            (false, b"EHLO") => b"250-sink\r\n250 8BITMIME\r\n",
            (false, b"DATA") => {
                in_content = true;
                b"354 go ahead\r\n"
            }
            (false, b"QUIT") => return stream.write_all(b"221 bye\r\n"),
            (false, _) => b"250 ok\r\n",
        };
        replies.extend_from_slice(reply);
    }
}

fn talk_http(mut stream: &TcpStream, taken: &AtomicU64) -> std::io::Result<()> {
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"id\":\"message-1\"}";
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut body) = (String::with_capacity(256), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a request says how long its body is");
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        taken.fetch_add(1, Ordering::Relaxed);
        stream.write_all(ANSWER)?;
    }
}
