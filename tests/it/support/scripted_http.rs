//! An HTTP server that plays a script (`volley::verify::provider::script`) and remembers what it was asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use volley::verify::provider::act::{self, Moment, Request, Step};
use volley::verify::provider::server::Server;
use volley::verify::provider::wire::Protocol;

use super::ledger::Ledger;
use super::recorder::{Recorder, script};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `POST /path HTTP/1.1`
    pub(crate) line: String,
    /// By lower-case name.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// The connection's number, from 0.
    pub(crate) connection: usize,
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        Self {
            line: request.line.clone(),
            headers: request.headers.iter().cloned().collect(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            connection: request.connection,
        }
    }
}

/// What the server does with a request it has read, for scripts that are functions.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Status, further header lines, body.
    Reply(u16, Vec<(&'static str, String)>, String),
    /// These bytes as they are.
    Words(&'static str),
    /// These bytes as they are, and hangs up.
    LastWords(&'static str),
    /// Hangs up.
    Cut,
    /// A 200 that promises 1000 bytes, gives ten and hangs up.
    CutInBody,
    /// Says nothing until the client hangs up.
    Silence,
    /// A 200 that promises this many bytes and gives them until the client has had enough.
    Flood(u64),
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self::Reply(status, Vec::new(), String::new())
    }

    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::Reply(status, vec![("Content-Type", "application/json".to_owned())], body.to_owned())
    }

    pub(crate) fn with_header(status: u16, name: &'static str, value: &str) -> Self {
        Self::Reply(status, vec![(name, value.to_owned())], String::new())
    }
}

impl From<Answer> for act::Act {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Reply(status, headers, body) => {
                let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
                Self::answer(status, headers.collect(), &body)
            }
            Answer::Words(words) => Self::bytes(words.as_bytes()),
            Answer::LastWords(words) => Self::bytes(words.as_bytes()).then(Step::Cut),
            Answer::Cut => Step::Cut.into(),
            Answer::CutInBody => {
                Self::bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\": \"12").then(Step::Cut)
            }
            Answer::Silence => Step::Silent.into(),
            Answer::Flood(bytes) => Step::Flood(bytes).into(),
        }
    }
}

/// Whether a repeated `Idempotency-Key` is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// A repeated key is answered as before and counts as no other acceptance.
    Honoured,
    /// Every request counts.
    Ignored,
}

/// The server. Ends with the value.
pub(crate) struct ScriptedHttp {
    recorder: Arc<Recorder>,
    server: Server,
}

impl ScriptedHttp {
    /// A server that answers as `script` says.
    pub(crate) fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::with((0, 0), Keys::Ignored, move |moment| match (moment.stage, moment.request) {
            (act::Stage::Request, Some(request)) => Some(script(&request.into()).into()),
            _ => None,
        })
    }

    /// A server that plays this script.
    pub(crate) fn playing(text: &str) -> Self {
        Self::with((0, 0), Keys::Ignored, script(text))
    }

    /// A server whose answer takes between `latency_ms.0` and `latency_ms.1` milliseconds.
    pub(crate) fn slow(latency_ms: (u64, u64), keys: Keys) -> Self {
        Self::with(latency_ms, keys, |_| None)
    }

    fn with(
        latency_ms: (u64, u64),
        keys: Keys,
        conduct: impl Fn(&Moment<'_>) -> Option<act::Act> + Send + Sync + 'static,
    ) -> Self {
        let recorder = Arc::new(Recorder::new(latency_ms, keys == Keys::Honoured));
        let server = Server::start(Protocol::Http, recorder.clone(), recorder.conduct(conduct)).unwrap();
        Self { recorder, server }
    }

    /// A server that always gives this answer.
    pub(crate) fn always(answer: Answer) -> Self {
        Self::start(move |_asked| answer.clone())
    }

    /// Plays this script from now on. Who waits in silence is hung up on, unanswered and not taken.
    pub(crate) fn play(&self, text: &str) {
        self.server.play(self.recorder.conduct(script(text)));
    }

    /// Refuses this recipient for good.
    pub(crate) fn reject(&self, recipient: &str) {
        self.recorder.reject(recipient);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/send", self.server.addr())
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// Whom it took, and when.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.recorder.ledger
    }

    /// Every whole request.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.recorder.asked()
    }

    /// Bytes of a flood that were got rid of before the client had enough.
    pub(crate) fn flooded_bytes(&self) -> u64 {
        self.server.flooded_bytes()
    }

    /// Hangs up on everybody and refuses new connections.
    pub(crate) fn refuse_connections(&self) {
        self.server.refuse_connections();
    }

    /// Takes connections again.
    pub(crate) fn accept_connections(&self) {
        self.server.accept_connections().unwrap();
    }
}
