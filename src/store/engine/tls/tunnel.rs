//! A way for libpq through TLS. libpq connects to a socket of this process, and a thread carries what it says, encrypted, to the server.
//!
//! The sockets have abstract names (unix(7)): nothing is left behind by a process that was killed, and no folder has to be
//! writable. Only this process may connect, which the kernel attests.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net as blocking;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::asked::Asked;
use super::handshake::{Place, reach};
use super::limits::Limits;
use super::mechanisms::first_answer;
use super::refusal::Refusal;

/// What the peer of a connection that is over may take for its last words.
const PARTING: Duration = Duration::from_secs(1);

/// How long after a connection could not be accepted, as when the process has no descriptor left, the next one is tried.
const PAUSE: Duration = Duration::from_millis(100);

/// Threads that look names up and read files. More would only wait for the same name server.
const LOOK_UPS: usize = 8;

/// What all connections through a tunnel have in common.
pub(super) struct Manner {
    pub(super) asked: Asked,
    pub(super) limits: Limits,
}

/// The thread and its sockets. The sockets end with the value, and the thread with the last connection after that.
pub(super) struct Tunnel {
    _ends: oneshot::Sender<()>,
    entrances: Vec<Entrance>,
}

/// A socket that leads to one host.
pub(super) struct Entrance {
    /// As libpq takes it for a host.
    pub(super) name: String,
    pub(super) place: Place,
}

impl Tunnel {
    /// Opens a socket for each of `places`, in their order.
    ///
    /// # Errors
    /// The system gives no thread, no socket or no randomness.
    pub(super) fn open(places: &[Place], manner: Arc<Manner>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(LOOK_UPS).build()?;
        let mut entrances = Vec::new();
        let mut listeners = Vec::new();
        for place in places {
            let name = format!("volley-{}", uuid::Uuid::new_v4().simple());
            // The name that libpq makes of its host and port.
            let socket = blocking::SocketAddr::from_abstract_name(format!("{name}/.s.PGSQL.{}", place.port))?;
            let listener = blocking::UnixListener::bind_addr(&socket)?;
            listener.set_nonblocking(true)?;
            let _inside = runtime.enter();
            listeners.push((UnixListener::from_std(listener)?, place.clone()));
            entrances.push(Entrance { name: format!("@{name}"), place: place.clone() });
        }
        let (ends, ended) = oneshot::channel();
        std::thread::Builder::new().name("database-tls".to_owned()).spawn(move || {
            runtime.block_on(async {
                // Each connection holds one end of it.
                let (open, mut over) = mpsc::channel(1);
                let serving: Vec<_> = listeners
                    .into_iter()
                    .map(|(listener, place)| {
                        tokio::spawn(serve(listener, Arc::new(place), Arc::clone(&manner), open.clone()))
                    })
                    .collect();
                drop(open);
                let _dropped = ended.await;
                serving.iter().for_each(JoinHandle::abort);
                let _none_is_left: Option<()> = over.recv().await;
            });
            // A name that is still being looked up keeps nobody waiting.
            runtime.shutdown_background();
        })?;
        Ok(Self { _ends: ends, entrances })
    }

    pub(super) fn entrances(&self) -> &[Entrance] {
        &self.entrances
    }
}

async fn serve(listener: UnixListener, place: Arc<Place>, manner: Arc<Manner>, open: mpsc::Sender<()>) {
    loop {
        match listener.accept().await {
            Ok((local, _)) if is_ours(&local) => {
                let (place, manner, open) = (Arc::clone(&place), Arc::clone(&manner), open.clone());
                tokio::spawn(async move {
                    connect(local, &place, &manner).await;
                    drop(open);
                });
            }
            // Another process: it gets no way to the server.
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
}

fn is_ours(local: &UnixStream) -> bool {
    let process = local.peer_cred().ok().and_then(|peer| peer.pid()).and_then(|pid| u32::try_from(pid).ok());
    process == Some(std::process::id())
}

async fn connect(local: UnixStream, place: &Place, manner: &Manner) {
    match reach(place, &manner.asked, &manner.limits).await {
        Ok(server) => carry(local, server).await,
        Err(refusal) => refuse(local, &refusal).await,
    }
}

/// Carries bytes both ways until one side ends.
async fn carry(mut local: UnixStream, server: TlsStream<TcpStream>) {
    let refused = {
        let (mut from_local, mut to_local) = local.split();
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let up = async {
            let left = copy(&mut from_local, &mut to_server).await;
            if left.is_ok() {
                // libpq has closed the connection.
                let _ = timeout(PARTING, to_server.shutdown()).await;
            } else {
                // The server does not listen any more. It may have said why, which the other half then carries.
                sleep(PARTING).await;
            }
        };
        let down = async {
            // What a server thinks of a client's certificate comes, in TLS 1.3, only after the handshake.
            let first = first_answer(&mut from_server).await?;
            let _ = to_local.write_all(&first).await;
            // From here on an error is the end of the connection, as libpq sees it.
            let _ = copy(&mut from_server, &mut to_local).await;
            Ok::<(), io::Error>(())
        };
        tokio::select! {
            ended = down => ended.err(),
            () = up => None,
        }
    };
    if let Some(error) = refused {
        let words = format!("the server ended the connection after the TLS handshake: {error}");
        refuse(local, &Refusal::insecure(words)).await;
    }
}

/// Tells libpq why there is no connection, as a server would.
async fn refuse(mut local: UnixStream, refusal: &Refusal) {
    // libpq writes first; a socket that is closed with unread bytes reports an error in place of the answer.
    let _ = timeout(PARTING, local.read(&mut [0; 1024])).await;
    let _ = timeout(PARTING, local.write_all(&error_response(refusal))).await;
}

/// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ERRORRESPONSE>
fn error_response(refusal: &Refusal) -> Vec<u8> {
    // No byte of the words may end them.
    let words = refusal.words.replace('\0', " ");
    let fields = format!("SFATAL\0VFATAL\0C{}\0M{words}\0\0", refusal.code);
    let length = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    let mut message = vec![b'E'];
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(fields.as_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpq_is_told_in_an_error_response() {
        let message = error_response(&Refusal::unreachable("no\0way".to_owned()));
        let (head, fields) = message.split_at(5);
        assert_eq!(head, [b'E', 0, 0, 0, u8::try_from(fields.len() + 4).unwrap()]);
        assert_eq!(fields, b"SFATAL\0VFATAL\0C57P03\0Mcannot be reached: no way\0\0");
    }
}
