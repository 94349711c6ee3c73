//! The provider, in a process of its own: answers every request after a while, and writes down when each began, who sent it
//! and for whom it was. Times are those of [`clock`].

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::RangeInclusive;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::listener::Listener;
use crate::support::volley::Pool;

/// Makes this program the provider; its latency in milliseconds follows.
pub(crate) const FLAG: &str = "--provider";

/// The name of the pool in front of it.
pub(crate) const POOL: &str = "bench";

/// The header by which an instance says its number.
const INSTANCE_HEADER: &str = "x-bench-instance";

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"id\":\"message-1\"}";

/// Nothing new for so long, and a wait is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request.
struct Begun {
    /// When its first line had come.
    at: Duration,
    instance: usize,
    contact: i64,
}

/// What was seen since this was last emptied.
#[derive(Default)]
struct Book {
    begun: Vec<Begun>,
    /// When each message was taken, in that order.
    taken: Vec<Duration>,
}

impl Book {
    /// Answers a question of the other process with a number.
    fn answer(&mut self, question: &str) -> u64 {
        let words: Vec<&str> = question.split(' ').collect();
        let time = |word: &str| Duration::from_nanos(word.parse().expect("a time"));
        let by = |number: &str| number.parse::<usize>().expect("an instance's number");
        match words[..] {
            ["forget"] => {
                *self = Self::default();
                0
            }
            ["taken"] => u64::try_from(self.taken.len()).expect("a count"),
            ["taken-at", place] => nanos(self.taken.get(place.parse::<usize>().expect("a place")).copied()),
            ["last-begun"] => nanos(self.begun.iter().map(|begun| begun.at).max()),
            ["begun-by", instance] => {
                let instance = by(instance);
                let count = self.begun.iter().filter(|begun| begun.instance == instance).count();
                u64::try_from(count).expect("a count")
            }
            ["first-of", instance, since, contacts] => {
                let (instance, since, contacts) = (by(instance), time(since), ranges(contacts));
                let is_one = |begun: &&Begun| {
                    begun.instance == instance
                        && begun.at >= since
                        && contacts.iter().any(|range| range.contains(&begun.contact))
                };
                nanos(self.begun.iter().filter(is_one).map(|begun| begun.at).min())
            }
            _ => panic!("no such question: {question}"),
        }
    }
}

/// A time as a number; 0 where there is none.
fn nanos(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| time.as_nanos().try_into().expect("a time within centuries"))
}

/// `1-1000,3001-4000`.
fn ranges(text: &str) -> Vec<RangeInclusive<i64>> {
    let number = |text: &str| text.parse::<i64>().expect("a number");
    let range = |text: &str| text.split_once('-').map(|(first, last)| number(first)..=number(last));
    text.split(',').map(|text| range(text).expect("a range")).collect()
}

/// The other process: says its port, then answers each line until there are no more.
pub(crate) fn serve(latency: Duration) {
    let book = Arc::new(Mutex::new(Book::default()));
    let serving = Arc::clone(&book);
    let listener = Listener::start(move |stream| {
        let _gone = talk(stream, latency, &serving);
    });
    let mut out = io::stdout();
    writeln!(out, "{}", listener.port()).expect("say the port");
    for question in io::stdin().lines().map_while(Result::ok) {
        let answer = open(&book).answer(&question);
        writeln!(out, "{answer}").expect("answer");
    }
}

fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what comes on one connection, until its other side has had enough.
fn talk(mut stream: TcpStream, latency: Duration, book: &Mutex<Book>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut body) = (String::with_capacity(256), Vec::new());
    while next_line(&mut reader, &mut line)? {
        let mut begun = Begun { at: clock::now(), instance: 0, contact: 0 };
        let mut length = 0;
        while next_line(&mut reader, &mut line)? {
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().expect("a length");
            } else if name.eq_ignore_ascii_case("idempotency-key") {
                let contact = value.rsplit(':').next().expect("the last part of a key");
                begun.contact = contact.parse().expect("a contact's id");
            } else if name.eq_ignore_ascii_case(INSTANCE_HEADER) {
                begun.instance = value.parse().expect("a number");
            }
        }
        let until = begun.at + latency;
        open(book).begun.push(begun);
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        if !latency.is_zero() {
            std::thread::sleep(until.saturating_sub(clock::now()));
        }
        {
            let mut book = open(book);
            book.taken.push(clock::now());
        }
        stream.write_all(ANSWER)?;
    }
    Ok(())
}

fn next_line(reader: &mut impl BufRead, line: &mut String) -> io::Result<bool> {
    line.clear();
    Ok(reader.read_line(line)? > 0)
}

/// The provider's process. It ends when this value is dropped, or when this process dies.
pub(crate) struct Provider {
    child: Child,
    ask: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
    port: u64,
}

impl Provider {
    /// A provider that answers after `latency_ms`.
    pub(crate) fn start(latency_ms: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([FLAG, &latency_ms.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the provider");
        let ask = child.stdin.take();
        let hear = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut provider = Self { child, ask, hear, port: 0 };
        provider.port = provider.hear();
        provider
    }

    /// The pool of instance `number` in front of it.
    pub(crate) fn pool(&self, number: usize, concurrency: u32) -> Pool {
        Pool::webhook_at(POOL, self.port.try_into().expect("a port"))
            .set("idempotent", "true")
            .set("concurrency", &concurrency.to_string())
            .set("headers", &format!("{{ {INSTANCE_HEADER} = \"{number}\" }}"))
    }

    /// Begins a new book.
    pub(crate) fn forget(&mut self) {
        self.ask("forget");
    }

    /// When the message was taken that had so many before it.
    pub(crate) fn taken_at(&mut self, place: u32) -> Duration {
        self.time(&format!("taken-at {place}")).expect("so many were taken")
    }

    /// When the last request began.
    pub(crate) fn last_begun(&mut self) -> Option<Duration> {
        self.time("last-begun")
    }

    /// How many requests of an instance have begun.
    pub(crate) fn begun_by(&mut self, instance: usize) -> u64 {
        self.ask(&format!("begun-by {instance}"))
    }

    /// When an instance first sent something after `since` to one of these contacts.
    pub(crate) fn first_of(
        &mut self,
        instance: usize,
        since: Duration,
        contacts: &[RangeInclusive<i64>],
    ) -> Option<Duration> {
        let contacts: Vec<String> = contacts.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
        self.time(&format!("first-of {instance} {} {}", since.as_nanos(), contacts.join(",")))
    }

    /// Waits until that many were taken.
    pub(crate) fn wait_taken(&mut self, count: u32) {
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let taken = self.ask("taken");
            if taken >= u64::from(count) {
                return;
            }
            if taken != last {
                (last, moved) = (taken, Instant::now());
            }
            assert!(moved.elapsed() < PATIENCE, "nothing arrives any more: {taken} of {count}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn time(&mut self, question: &str) -> Option<Duration> {
        Some(self.ask(question)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    fn ask(&mut self, question: &str) -> u64 {
        writeln!(self.ask.as_mut().expect("a pipe"), "{question}").expect("ask the provider");
        self.hear()
    }

    fn hear(&mut self) -> u64 {
        let mut line = String::new();
        self.hear.read_line(&mut line).expect("hear from the provider");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.ask.take());
        let _ended = self.child.wait();
    }
}
