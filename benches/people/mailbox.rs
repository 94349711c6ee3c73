//! Mailbox providers: clients that ask for `POST /u/{token}` over connections which they keep (RFC 8058).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::figures::number;

const BODY: &str = "List-Unsubscribe=One-Click";

/// One connection.
struct Mailbox {
    stream: BufReader<TcpStream>,
    line: String,
    page: Vec<u8>,
}

impl Mailbox {
    fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("reach the instance");
        stream.set_nodelay(true).expect("send at once");
        Self { stream: BufReader::new(stream), line: String::new(), page: Vec::new() }
    }

    /// Refuses, and reads the whole answer.
    fn refuse(&mut self, token: &str) {
        let request = format!(
            "POST /u/{token} HTTP/1.1\r\nHost: mail.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("ask");
        self.read_line();
        assert!(self.line.starts_with("HTTP/1.1 200"), "{}", self.line);
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
        self.page.resize(length, 0);
        self.stream.read_exact(&mut self.page).expect("the page");
    }

    fn read_line(&mut self) {
        self.line.clear();
        let read = self.stream.read_line(&mut self.line).expect("an answer");
        assert!(read > 0, "the connection was closed");
    }
}

/// Refuses by every token, over so many connections, each refusal at its own moment of `per_second`; without a rate, each
/// connection as fast as it is answered. How long each took from its moment to the end of its answer, in milliseconds.
pub(crate) fn refuse(port: u16, tokens: &[String], per_second: Option<u32>, connections: usize) -> Vec<f64> {
    let began = Instant::now();
    let one = move |first: usize| {
        let mut mailbox = Mailbox::new(port);
        let mine = tokens.iter().enumerate().skip(first).step_by(connections);
        mine.map(|(n, token)| {
            let due = per_second
                .map_or_else(Instant::now, |rate| began + Duration::from_secs_f64(number(n) / f64::from(rate)));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            mailbox.refuse(token);
            due.elapsed().as_secs_f64() * 1e3
        })
        .collect::<Vec<f64>>()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..connections).map(|first| scope.spawn(move || one(first))).collect();
        all.into_iter().flat_map(|each| each.join().expect("a mailbox provider")).collect()
    })
}
