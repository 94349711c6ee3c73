//! A program that tells of events, over connections which it keeps.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::support::volley::ROOT_KEY;

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

    /// Sends a request, and reads the whole answer.
    fn post(&mut self, path: &str, body: &str) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ROOT_KEY}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).expect("ask");
        self.read_line();
        assert!(self.line.starts_with("HTTP/1.1 20"), "{}", self.line);
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
        self.stream.read_exact(&mut self.body).expect("the answer");
        assert!(!self.body.windows(9).any(|part| part == b"\"problem\""), "an event was refused");
    }

    fn read_line(&mut self) {
        self.line.clear();
        assert!(self.stream.read_line(&mut self.line).expect("an answer") > 0, "the connection was closed");
    }
}

/// Sends all bodies, each connection as fast as it is answered. How long each request took, in milliseconds.
pub(crate) fn send(port: u16, path: &str, bodies: &[String], connections: usize) -> Vec<f64> {
    let one = move |first: usize| {
        let mut connection = Connection::new(port);
        let mine = bodies.iter().skip(first).step_by(connections);
        mine.map(|body| {
            let began = Instant::now();
            connection.post(path, body);
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect::<Vec<f64>>()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..connections).map(|first| scope.spawn(move || one(first))).collect();
        all.into_iter().flat_map(|each| each.join().expect("a program")).collect()
    })
}
