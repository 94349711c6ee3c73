//! An SMTP server that follows a script and remembers what it heard. One thread per connection, on a free port.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Where a conversation stands when the server is to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Greeting,
    Ehlo,
    Helo,
    /// `AUTH`, and each line that answers a challenge.
    Auth,
    Mail,
    Rcpt,
    Data,
    /// While the content arrives: the answer is given after its first line, before the final dot is read.
    Content,
    /// The reply to the final dot.
    Final,
    Rset,
    Quit,
}

/// What the server does.
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

impl Act {
    fn is_yes(&self) -> bool {
        matches!(self, Self::Say(text) | Self::SayAndCut(text) if text.starts_with(['2', '3']))
    }
}

/// The answer to `EHLO` of a server that offers PIPELINING.
pub(crate) const PIPELINING: &str = "250-scripted\n250-AUTH PLAIN\n250 PIPELINING";

/// One moment of one conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) stage: Stage,
    /// The connection's number, from 0.
    pub(crate) connection: usize,
    /// Messages that this connection has accepted so far.
    pub(crate) accepted: usize,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: String,
    /// As it came, dot-stuffing undone.
    pub(crate) content: String,
}

#[derive(Debug, Default)]
struct Heard {
    /// Every command line, per connection.
    commands: Vec<Vec<String>>,
    taken: Vec<Taken>,
    sockets: Vec<TcpStream>,
}

type Script = dyn Fn(Moment) -> Option<Act> + Send + Sync;

/// The server. Ends with the value.
pub(crate) struct ScriptedSmtp {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    ending: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl ScriptedSmtp {
    /// Starts a server that does what `script` says, and what a relay in good health does where it says `None`.
    pub(crate) fn start(script: impl Fn(Moment) -> Option<Act> + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ending = Arc::new(AtomicBool::new(false));
        let script: Arc<Script> = Arc::new(script);
        let listener = std::thread::spawn({
            let (heard, ending) = (Arc::clone(&heard), Arc::clone(&ending));
            move || {
                for (connection, stream) in socket.incoming().enumerate() {
                    if ending.load(Ordering::SeqCst) {
                        return;
                    }
                    let stream = stream.unwrap();
                    {
                        let mut heard = heard.lock().unwrap();
                        heard.commands.push(Vec::new());
                        heard.sockets.push(stream.try_clone().unwrap());
                    }
                    let mut conversation = Conversation {
                        stream,
                        connection,
                        accepted: 0,
                        script: Arc::clone(&script),
                        heard: Arc::clone(&heard),
                    };
                    std::thread::spawn(move || {
                        // An error is the client's hanging up.
                        let _ = conversation.hold();
                        let _ = conversation.stream.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { address, heard, ending, listener: Some(listener) }
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

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.heard.lock().unwrap().taken.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.heard.lock().unwrap().commands.len()
    }

    /// Command lines of all connections.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.heard.lock().unwrap().commands.concat()
    }

    /// Hangs up on everybody.
    pub(crate) fn cut_all(&self) {
        for socket in self.heard.lock().unwrap().sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for ScriptedSmtp {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        self.cut_all();
    }
}

struct Conversation {
    stream: TcpStream,
    connection: usize,
    accepted: usize,
    script: Arc<Script>,
    heard: Arc<Mutex<Heard>>,
}

impl Conversation {
    fn hold(&mut self) -> std::io::Result<()> {
        let mut reader = BufReader::new(self.stream.try_clone()?);
        self.speak(Stage::Greeting, "220 scripted ESMTP")?;
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let line = read_line(&mut reader)?;
            self.heard.lock().unwrap().commands[self.connection].push(line.clone());
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    self.speak(Stage::Ehlo, "250-scripted\n250-8BITMIME\n250-AUTH PLAIN\n250 ENHANCEDSTATUSCODES")?;
                }
                "HELO" => {
                    self.speak(Stage::Helo, "250 scripted")?;
                }
                "AUTH" => self.log_in(&mut reader)?,
                "MAIL" => {
                    self.speak(Stage::Mail, "250 2.1.0 ok")?;
                    argument.clone_into(&mut from);
                }
                "RCPT" => {
                    self.speak(Stage::Rcpt, "250 2.1.5 ok")?;
                    argument.clone_into(&mut to);
                }
                "DATA" => {
                    if !self.speak(Stage::Data, "354 go on")? {
                        continue;
                    }
                    let content = self.content(&mut reader)?;
                    self.finish(Taken { from: from.clone(), to: to.clone(), content })?;
                }
                "RSET" => {
                    self.speak(Stage::Rset, "250 2.0.0 ok")?;
                }
                "QUIT" => {
                    self.speak(Stage::Quit, "221 2.0.0 bye")?;
                    return Ok(());
                }
                _ => self.say("500 5.5.2 what?")?,
            }
        }
    }

    /// Asks and hears as long as the script says 334.
    fn log_in(&mut self, reader: &mut impl BufRead) -> std::io::Result<()> {
        loop {
            let act = self.act(Stage::Auth, "235 2.7.0 welcome");
            self.perform(&act)?;
            if !matches!(act, Act::Say(text) if text.starts_with("334")) {
                return Ok(());
            }
            let answer = read_line(reader)?;
            self.heard.lock().unwrap().commands[self.connection].push(answer);
        }
    }

    fn content(&mut self, reader: &mut impl BufRead) -> std::io::Result<String> {
        let mut content = String::new();
        let moment = Moment { stage: Stage::Content, connection: self.connection, accepted: self.accepted };
        let mut act = (self.script)(moment);
        loop {
            let line = read_line(reader)?;
            if let Some(act) = act.take() {
                self.perform(&act)?;
            }
            if line == "." {
                return Ok(content);
            }
            content.push_str(line.strip_prefix('.').unwrap_or(&line));
            content.push_str("\r\n");
        }
    }

    /// Answers the final dot. What is taken is remembered before the client hears of it.
    fn finish(&mut self, message: Taken) -> std::io::Result<()> {
        let act = self.act(Stage::Final, "250 2.0.0 Ok: queued as 4XyZ");
        if act.is_yes() {
            self.accepted += 1;
            self.heard.lock().unwrap().taken.push(message);
        }
        self.perform(&act)
    }

    /// Does what the script says, else says `usual`. Whether that was a yes.
    fn speak(&mut self, stage: Stage, usual: &'static str) -> std::io::Result<bool> {
        let act = self.act(stage, usual);
        self.perform(&act)?;
        Ok(act.is_yes())
    }

    fn act(&self, stage: Stage, usual: &'static str) -> Act {
        let moment = Moment { stage, connection: self.connection, accepted: self.accepted };
        (self.script)(moment).unwrap_or(Act::Say(usual))
    }

    fn perform(&mut self, act: &Act) -> std::io::Result<()> {
        match act {
            Act::Say(text) => self.say(text),
            Act::SayAndCut(text) => self.say(text).and(Err(std::io::ErrorKind::ConnectionAborted.into())),
            Act::Cut => Err(std::io::ErrorKind::ConnectionAborted.into()),
            Act::Silence => {
                let mut rest = Vec::new();
                std::io::Read::read_to_end(&mut self.stream, &mut rest)?;
                Err(std::io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{}\r\n", text.replace('\n', "\r\n")).as_bytes())
    }
}

/// A line up to CRLF, and to nothing less: a bare line feed is no line end in SMTP.
fn read_line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8(line).unwrap())
}
