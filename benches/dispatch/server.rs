//! The receiving side, in a process of its own, so that its CPU time is nobody else's.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Wire;
use crate::sinks::Sink;

/// The other process: says its port, then answers each line with the number of messages taken so far.
pub(crate) fn serve(wire: Wire) {
    let sink = match wire {
        Wire::Smtp | Wire::SmtpPlain | Wire::SmtpLetter => Sink::smtp(wire != Wire::SmtpPlain),
        Wire::Webhook => Sink::http(),
    };
    answer(sink.port(), || sink.taken());
}

fn answer(port: u16, taken: impl Fn() -> u64) {
    let mut out = std::io::stdout();
    writeln!(out, "{port}").expect("say the port");
    for _asked in std::io::stdin().lines().map_while(Result::ok) {
        writeln!(out, "{}", taken()).expect("say the count");
    }
}

/// A receiving process. It ends when this value is dropped, or when this process dies.
pub(crate) struct Server {
    child: Child,
    ask: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
    port: u64,
}

impl Server {
    pub(crate) fn start(wire: Wire) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--server", wire.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the receiving process");
        let ask = child.stdin.take();
        let hear = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut server = Self { child, ask, hear, port: 0 };
        server.port = server.hear();
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.try_into().expect("a port")
    }

    /// How many messages were taken so far.
    pub(crate) fn taken(&mut self) -> u64 {
        writeln!(self.ask.as_mut().expect("a pipe"), "?").expect("ask for the count");
        self.hear()
    }

    /// Waits until that many were taken, looking every `pause`; answers when.
    pub(crate) fn wait_taken(&mut self, count: u64, pause: Duration) -> Instant {
        let mut last = (0, Instant::now());
        loop {
            let taken = self.taken();
            if taken >= count {
                return Instant::now();
            }
            if taken != last.0 {
                last = (taken, Instant::now());
            }
            assert!(last.1.elapsed() < Duration::from_secs(60), "nothing arrives any more: {taken} of {count}");
            std::thread::sleep(pause);
        }
    }

    fn hear(&mut self) -> u64 {
        let mut line = String::new();
        self.hear.read_line(&mut line).expect("hear from the receiving process");
        line.trim().parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.ask.take());
        let _ended = self.child.wait();
    }
}
