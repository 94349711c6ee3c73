//! A recipient who opens messages and follows their links.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::server::Raw;

/// What a person's browser calls itself.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// The HTML of a message, without quoted-printable.
pub(crate) fn html(message: &str) -> String {
    let (_, html) = message.split_once("Content-Type: text/html").expect("a message with HTML");
    html.replace("=\r\n", "").replace("=3D", "=")
}

/// The paths of links and pixels in a text that lead through Volley, in their order.
pub(crate) fn tracked(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    let path = |(at, _): (usize, &str)| {
        let rest = &text[at..];
        rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].to_owned()
    };
    let mut all: Vec<(usize, &str)> = text.match_indices("/t/c/").chain(text.match_indices("/t/o/")).collect();
    all.sort_unstable();
    all.into_iter().map(path).collect()
}

/// One request of a program that calls itself `agent`.
#[track_caller]
pub(crate) fn ask(port: u16, method: &str, path: &str, agent: &str, headers: &[(&str, &str)]) -> Raw {
    try_ask(port, method, path, agent, headers).expect("an answer")
}

/// As [`ask`], of a server that may not live. `None`: no answer came.
pub(crate) fn try_ask(port: u16, method: &str, path: &str, agent: &str, headers: &[(&str, &str)]) -> Option<Raw> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nUser-Agent: {agent}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = socket.write_all(format!("{request}\r\n").as_bytes());
    Some(Raw::read(socket)).filter(|answer| answer.status != 0)
}

/// Where a link leads for a person.
#[track_caller]
pub(crate) fn follow(port: u16, path: &str) -> String {
    let answer = ask(port, "GET", path, BROWSER, &[]);
    assert_eq!((answer.status, answer.header("cache-control")), (302, Some("no-store")), "{answer:?}");
    location(&answer)
}

/// Where an answer leads. Heads are read in lower case.
pub(crate) fn location(answer: &Raw) -> String {
    answer.header("location").unwrap_or_default().to_owned()
}
