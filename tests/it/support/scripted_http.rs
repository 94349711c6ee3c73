//! An HTTP server that follows a script and remembers what it was asked. One thread per connection, on a free port.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

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

/// What the server does with a request it has read.
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

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

#[derive(Default)]
struct Heard {
    asked: Vec<Asked>,
    sockets: Vec<TcpStream>,
    flooded_bytes: u64,
}

/// The server. Ends with the value.
pub(crate) struct ScriptedHttp {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    ending: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl ScriptedHttp {
    /// Starts a server that answers as `script` says.
    pub(crate) fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
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
                    let mut stream = stream.unwrap();
                    heard.lock().unwrap().sockets.push(stream.try_clone().unwrap());
                    let (script, heard) = (Arc::clone(&script), Arc::clone(&heard));
                    std::thread::spawn(move || {
                        // An error is the client's hanging up, or ours.
                        let _ = serve(&mut stream, connection, &*script, &heard);
                        let _ = stream.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { address, heard, ending, listener: Some(listener) }
    }

    /// A server that always gives this answer.
    pub(crate) fn always(answer: Answer) -> Self {
        Self::start(move |_asked| answer.clone())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/send", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.heard.lock().unwrap().asked.clone()
    }

    /// Bytes of a flood that were got rid of before the client had enough.
    pub(crate) fn flooded_bytes(&self) -> u64 {
        self.heard.lock().unwrap().flooded_bytes
    }
}

impl Drop for ScriptedHttp {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        for socket in self.heard.lock().unwrap().sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

fn serve(stream: &mut TcpStream, connection: usize, script: &Script, heard: &Mutex<Heard>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let asked = read_request(&mut reader, connection)?;
        heard.lock().unwrap().asked.push(asked.clone());
        match script(&asked) {
            Answer::Reply(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
            }
            Answer::Words(words) => stream.write_all(words.as_bytes())?,
            Answer::LastWords(words) => return stream.write_all(words.as_bytes()),
            Answer::Cut => return Ok(()),
            Answer::CutInBody => {
                return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\": \"12");
            }
            Answer::Silence => return stream.read_to_end(&mut Vec::new()).map(drop),
            Answer::Flood(bytes) => {
                stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").as_bytes())?;
                let chunk = vec![b'x'; 64 * 1024];
                while heard.lock().unwrap().flooded_bytes < bytes {
                    stream.write_all(&chunk)?;
                    heard.lock().unwrap().flooded_bytes += 64 * 1024;
                }
            }
        }
    }
}

fn read_request(reader: &mut impl BufRead, connection: usize) -> std::io::Result<Asked> {
    let line = read_line(reader)?;
    let mut headers = BTreeMap::new();
    loop {
        let header = read_line(reader)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Asked { line, headers, body: String::from_utf8(body).unwrap(), connection })
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
