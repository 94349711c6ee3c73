//! Clients that send requests over connections which they keep (HTTP/1.1, RFC 9112).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::figures::number;

/// One connection.
struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("reach the instance");
        stream.set_nodelay(true).expect("send at once");
        Self { stream: BufReader::new(stream), line: String::new(), body: Vec::new() }
    }

    /// Sends a request, and reads the whole answer: its status and its body.
    fn ask(&mut self, request: &str) -> (u16, &[u8]) {
        self.stream.get_mut().write_all(request.as_bytes()).expect("ask");
        self.read_line();
        let status = self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut length = 0;
        loop {
            self.read_line();
            match self.line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().expect("a length");
                }
                Some(_) => {}
                None => break,
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).expect("the body");
        (status, &self.body)
    }

    fn read_line(&mut self) {
        self.line.clear();
        assert!(self.stream.read_line(&mut self.line).expect("an answer") > 0, "the connection was closed");
    }
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection as fast as it is answered.
    Flat,
    /// Each request at its own moment, so many a second.
    PerSecond(u32),
}

/// A request with a body.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Sends all requests over so many connections, and lets `check` look at the status and the body of each answer. How long each took, from its moment to the end
/// of its answer, in milliseconds.
pub(crate) fn send(
    port: u16,
    requests: &[String],
    pace: Pace,
    connections: usize,
    check: impl Fn(u16, &[u8]) + Copy + Send,
) -> Vec<f64> {
    let began = Instant::now();
    let one = move |first: usize| {
        let mut connection = Connection::new(port);
        let mine = requests.iter().enumerate().skip(first).step_by(connections);
        mine.map(|(n, request)| {
            let due = match pace {
                Pace::Flat => Instant::now(),
                Pace::PerSecond(rate) => began + Duration::from_secs_f64(number(n) / f64::from(rate)),
            };
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let (status, body) = connection.ask(request);
            check(status, body);
            due.elapsed().as_secs_f64() * 1e3
        })
        .collect::<Vec<f64>>()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..connections).map(|first| scope.spawn(move || one(first))).collect();
        all.into_iter().flat_map(|each| each.join().expect("a client")).collect()
    })
}
