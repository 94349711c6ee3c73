//! What a scripted server of the tests remembers, and what it does beside its script.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use volley::verify::provider::act::{Act, Message, Moment, Request, Stage, Step, Words};
use volley::verify::provider::script::Script;
use volley::verify::provider::wire::Witness;
use volley::verify::rng::Rng;

use super::ledger::Ledger;
use super::scripted_http::Asked;

/// A message that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// The argument of `MAIL`.
    pub(crate) from: String,
    /// The argument of `RCPT`.
    pub(crate) to: String,
    /// As it came, dot-stuffing undone.
    pub(crate) content: String,
}

/// Everything that a server was told.
pub(crate) struct Recorder {
    pub(crate) ledger: Ledger,
    latency_ms: (u64, u64),
    honours_keys: bool,
    rng: Rng,
    rejected: Mutex<HashSet<String>>,
    offer: Mutex<Option<&'static str>>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// Every line of SMTP, per connection.
    commands: Vec<Vec<String>>,
    taken: Vec<Taken>,
    asked: Vec<Asked>,
}

/// A script as a function.
pub(crate) fn script(text: &str) -> impl Fn(&Moment<'_>) -> Option<Act> + Send + Sync + 'static {
    let script = Script::parse(text).unwrap_or_else(|error| panic!("a script that cannot be read: {error}"));
    move |moment| script.act(moment)
}

impl Recorder {
    pub(crate) fn new(latency_ms: (u64, u64), honours_keys: bool) -> Self {
        Self {
            ledger: Ledger::default(),
            latency_ms,
            honours_keys,
            rng: Rng::new(7),
            rejected: Mutex::default(),
            offer: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// What the server does: it refuses who is to be refused, plays its script, and takes its time.
    pub(crate) fn conduct(
        self: &Arc<Self>,
        script: impl Fn(&Moment<'_>) -> Option<Act> + Send + Sync + 'static,
    ) -> impl Fn(&Moment<'_>) -> Option<Act> + Send + Sync + 'static {
        let recorder = Arc::clone(self);
        move |moment| {
            let is_rejected = || lock(&recorder.rejected).contains(moment.recipient);
            if moment.stage == Stage::Rcpt && is_rejected() {
                return Some(Act::say("550 5.1.1 no such mailbox"));
            }
            if moment.stage == Stage::Request && is_rejected() {
                return Some(Act::answer(400, Vec::new(), ""));
            }
            let offer = lock(&recorder.offer).filter(|_| moment.stage == Stage::Ehlo);
            recorder.in_time(moment.stage, script(moment).or_else(|| offer.map(Act::say)))
        }
    }

    /// Half the time is spent before the message counts as taken, half before the sender hears of it.
    fn in_time(&self, stage: Stage, act: Option<Act>) -> Option<Act> {
        let (low, high) = self.latency_ms;
        if high == 0 || !matches!(stage, Stage::Final | Stage::Request) {
            return act;
        }
        let half = Step::Wait(self.rng.millis(low, high) / 2);
        let steps = match act {
            None => vec![half.clone(), Step::Take, half],
            Some(act) => [vec![half], act.steps].concat(),
        };
        Some(Act { steps })
    }

    /// Answers `EHLO` with these lines.
    pub(crate) fn offers(&self, lines: &'static str) {
        *lock(&self.offer) = Some(lines);
    }

    pub(crate) fn reject(&self, recipient: &str) {
        lock(&self.rejected).insert(recipient.to_owned());
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        lock(&self.heard).taken.clone()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        lock(&self.heard).commands.concat()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.heard).asked.clone()
    }
}

impl Witness for Recorder {
    fn connected(&self, connection: usize) {
        let commands = &mut lock(&self.heard).commands;
        commands.resize(commands.len().max(connection + 1), Vec::new());
    }

    fn heard(&self, connection: usize, line: &str) {
        lock(&self.heard).commands[connection].push(line.to_owned());
    }

    fn asked(&self, request: &Request) {
        lock(&self.heard).asked.push(request.into());
    }

    fn begun(&self, at: Instant, _by: &str) {
        self.ledger.begin(at);
    }

    fn answered(&self, words: &Words) {
        if matches!(words, Words::Http { status: 429, .. }) {
            self.ledger.entries().throttled += 1;
        }
    }

    fn taken(&self, message: &Message) {
        let content = String::from_utf8_lossy(&message.content).into_owned();
        if self.honours_keys {
            let key = message.key.clone().expect("the request carries an Idempotency-Key");
            let mut entries = self.ledger.entries();
            if let Some(known) = entries.keys.get(&key) {
                let same = *known == content;
                entries.repeats += 1;
                entries.conflicts += usize::from(!same);
                return;
            }
            entries.keys.insert(key, content.clone());
        }
        self.ledger.accept(&message.recipient, &content);
        let (from, to) = (message.from.clone(), message.to.clone());
        lock(&self.heard).taken.push(Taken { from, to, content });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
