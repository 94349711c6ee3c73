//! An SMTP server that plays a script (`volley::verify::provider::script`) and remembers what it heard.

use std::sync::Arc;

use volley::verify::provider::act::{self, Step};
pub(crate) use volley::verify::provider::act::{Moment, Stage};
use volley::verify::provider::server::Server;
use volley::verify::provider::wire::Protocol;

use super::ledger::Ledger;
pub(crate) use super::recorder::Taken;
use super::recorder::{Recorder, script};

/// What the server does, for scripts that are functions.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Says this; lines are separated by `\n`.
    Say(&'static str),
    /// Says this and hangs up.
    SayAndCut(&'static str),
    /// Hangs up.
    Cut,
    /// Says nothing more until the client hangs up.
    Silence,
}

impl From<Act> for act::Act {
    fn from(act: Act) -> Self {
        match act {
            Act::Say(text) => Self::say(text),
            Act::SayAndCut(text) => Self::say(text).then(Step::Cut),
            Act::Cut => Step::Cut.into(),
            Act::Silence => Step::Silent.into(),
        }
    }
}

/// The answer to `EHLO` of a server that offers PIPELINING.
pub(crate) const PIPELINING: &str = "250-scripted\n250-AUTH PLAIN\n250 PIPELINING";

/// The server. Ends with the value.
pub(crate) struct ScriptedSmtp {
    recorder: Arc<Recorder>,
    server: Server,
}

impl ScriptedSmtp {
    /// A server that does what `script` says, and what a relay in good health does where it says `None`.
    pub(crate) fn start(script: impl Fn(Moment<'_>) -> Option<Act> + Send + Sync + 'static) -> Self {
        Self::with((0, 0), move |moment| script(*moment).map(Into::into))
    }

    /// A server that plays this script.
    pub(crate) fn playing(text: &str) -> Self {
        Self::with((0, 0), script(text))
    }

    /// A server whose answer to a message takes between `latency_ms.0` and `latency_ms.1` milliseconds. It offers PIPELINING.
    pub(crate) fn slow(latency_ms: (u64, u64)) -> Self {
        let relay = Self::with(latency_ms, |_| None);
        relay.recorder.offers("250-scripted\n250-PIPELINING\n250 8BITMIME");
        relay
    }

    fn with(latency_ms: (u64, u64), conduct: impl Fn(&Moment<'_>) -> Option<act::Act> + Send + Sync + 'static) -> Self {
        let recorder = Arc::new(Recorder::new(latency_ms, false));
        let server = Server::start(Protocol::Smtp, recorder.clone(), recorder.conduct(conduct)).unwrap();
        Self { recorder, server }
    }

    /// A server that does `act` whenever a conversation comes to `stage`.
    pub(crate) fn at(stage: Stage, act: Act) -> Self {
        Self::start(move |moment| (moment.stage == stage).then(|| act.clone()))
    }

    /// The same, and it offers PIPELINING.
    pub(crate) fn pipelining_at(stage: Stage, act: Act) -> Self {
        Self::start(move |moment| {
            let offer = (moment.stage == Stage::Ehlo).then_some(Act::Say(PIPELINING));
            if moment.stage == stage { Some(act.clone()) } else { offer }
        })
    }

    /// Plays this script from now on. Who waits in silence is hung up on, unanswered and not taken.
    pub(crate) fn play(&self, text: &str) {
        self.server.play(self.recorder.conduct(script(text)));
    }

    /// Takes its time for these recipients' messages: until [`Self::release`].
    pub(crate) fn hold(&self, recipients: &[String]) {
        let rules = recipients.iter().map(|recipient| format!("final to={recipient}: {{hold}}\n"));
        self.play(&rules.collect::<String>());
    }

    /// Takes what it was holding, and holds nothing more.
    pub(crate) fn release(&self) {
        self.play("");
    }

    /// Refuses this recipient permanently.
    pub(crate) fn reject(&self, recipient: &str) {
        self.recorder.reject(recipient);
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.server.addr())
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// Whom it took, and when.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.recorder.ledger
    }

    /// Every message that it took.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.recorder.taken()
    }

    /// How many connections it accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Command lines of all connections.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.recorder.commands()
    }

    /// Hangs up on everybody.
    pub(crate) fn cut_all(&self) {
        self.server.cut_all();
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
