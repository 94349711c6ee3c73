//! A TCP proxy on loopback whose links can be cut, slowed down and blacked out.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::plan::LinkTrouble;
use super::runtime::{Runtime, reset};

/// How late everything comes on a slow link.
const SLOW: Duration = Duration::from_millis(80);
/// How large the pieces are on a link that slices.
const PIECE: usize = 7;
/// How many pieces one read is cut into, at most; the rest comes in one.
const PIECES: usize = 40;

/// The proxy: a thread of its own for all its links.
pub struct Proxy {
    runtime: Runtime,
}

/// One way through the proxy.
pub struct Link {
    addr: SocketAddr,
    target: Arc<Mutex<String>>,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    toxic: Toxic,
    /// Rises with every cut: connections made before are reset.
    cuts: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Toxic {
    #[default]
    None,
    Refuse,
    BlackHole,
    Slow,
    Sliced,
}

impl Proxy {
    /// Starts the proxy's thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<Self> {
        Ok(Self { runtime: Runtime::start("verify-proxy")? })
    }

    /// Opens a way to `target` (`host:port`).
    ///
    /// # Errors
    /// There is no free port.
    pub fn link(&self, target: &str) -> io::Result<Link> {
        let (state, seen) = watch::channel(State::default());
        let target = Arc::new(Mutex::new(target.to_owned()));
        let aim = Arc::clone(&target);
        let addr = self.runtime.listen(move |client| {
            let target = aim.lock().unwrap_or_else(PoisonError::into_inner).clone();
            forward(client, target, seen.clone())
        })?;
        Ok(Link { addr, target, state })
    }
}

impl Link {
    /// Where the way begins.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Leads new connections elsewhere (`host:port`), as an address does that moves to another server, and resets the old.
    pub fn point_at(&self, target: &str) {
        target.clone_into(&mut self.target.lock().unwrap_or_else(PoisonError::into_inner));
        self.cut();
    }

    /// Resets every connection.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Lets `trouble` begin.
    pub fn begin(&self, trouble: LinkTrouble) {
        self.state.send_modify(|state| {
            let (toxic, cut) = match trouble {
                LinkTrouble::Cut => (Toxic::None, true),
                LinkTrouble::Refuse => (Toxic::Refuse, true),
                LinkTrouble::BlackHole => (Toxic::BlackHole, false),
                LinkTrouble::Slow => (Toxic::Slow, false),
                LinkTrouble::Sliced => (Toxic::Sliced, false),
            };
            state.toxic = toxic;
            state.cuts += u64::from(cut);
        });
    }

    /// Ends it. What a black hole held comes through now, as late packets do.
    pub fn mend(&self) {
        self.state.send_modify(|state| state.toxic = Toxic::None);
    }
}

async fn forward(mut client: TcpStream, target: String, mut state: watch::Receiver<State>) {
    let born = *state.borrow_and_update();
    if born.toxic == Toxic::Refuse {
        reset(&client);
        return;
    }
    // While nothing comes through, no connection does.
    if state.wait_for(|state| state.toxic != Toxic::BlackHole).await.is_err() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    let _best_effort = server.set_nodelay(true);
    let was_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let mut cut = state.clone();
        tokio::select! {
            // Either side hangs up: the other hears of it.
            () = pump(from_client, to_server, state.clone()) => false,
            () = pump(from_server, to_client, state.clone()) => false,
            _ = cut.wait_for(|now| now.cuts != born.cuts) => true,
        }
    };
    if was_cut {
        reset(&client);
        reset(&server);
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut state: watch::Receiver<State>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() || state.wait_for(|state| state.toxic != Toxic::BlackHole).await.is_err() {
            return;
        }
        let toxic = state.borrow().toxic;
        if toxic == Toxic::Slow {
            tokio::time::sleep(SLOW).await;
        }
        let (pieces, rest) =
            if toxic == Toxic::Sliced { bytes.split_at((PIECE * PIECES).min(bytes.len())) } else { (&[][..], bytes) };
        for piece in pieces.chunks(PIECE) {
            if to.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        if to.write_all(rest).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A server that says everything back.
    fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut reader = stream.try_clone().unwrap();
                    let _gone = std::io::copy(&mut reader, &mut stream);
                });
            }
        });
        addr
    }

    fn say(stream: &mut TcpStream, words: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(words)?;
        let mut heard = vec![0; words.len()];
        stream.read_exact(&mut heard)?;
        Ok(heard)
    }

    #[test]
    fn what_goes_in_comes_out_also_in_pieces() {
        let proxy = Proxy::start().unwrap();
        let link = proxy.link(&echo()).unwrap();
        let mut stream = TcpStream::connect(link.addr()).unwrap();
        assert_eq!(say(&mut stream, b"hello").unwrap(), b"hello");
        link.begin(LinkTrouble::Sliced);
        let long: Vec<u8> = (0..1_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        assert_eq!(say(&mut stream, &long).unwrap(), long);
    }

    #[test]
    fn a_cut_link_resets_what_is_open_and_takes_new_connections() {
        let proxy = Proxy::start().unwrap();
        let link = proxy.link(&echo()).unwrap();
        let mut old = TcpStream::connect(link.addr()).unwrap();
        say(&mut old, b"hello").unwrap();
        link.cut();
        assert!(old.read_exact(&mut [0; 1]).is_err());
        assert!(say(&mut TcpStream::connect(link.addr()).unwrap(), b"hello").is_ok());
    }

    #[test]
    fn a_link_that_refuses_takes_nobody_until_it_is_mended() {
        let proxy = Proxy::start().unwrap();
        let link = proxy.link(&echo()).unwrap();
        link.begin(LinkTrouble::Refuse);
        let refused = TcpStream::connect(link.addr()).and_then(|mut stream| say(&mut stream, b"hello"));
        assert!(refused.is_err());
        link.mend();
        assert!(say(&mut TcpStream::connect(link.addr()).unwrap(), b"hello").is_ok());
    }

    #[test]
    fn a_black_hole_gives_back_late_what_it_swallowed() {
        let proxy = Proxy::start().unwrap();
        let link = proxy.link(&echo()).unwrap();
        let mut stream = TcpStream::connect(link.addr()).unwrap();
        say(&mut stream, b"hello").unwrap();
        link.begin(LinkTrouble::BlackHole);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(say(&mut stream, b"again").is_err());
        link.mend();
        stream.set_read_timeout(None).unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"again");
    }
}
