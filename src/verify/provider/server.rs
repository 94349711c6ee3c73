//! What both scripted servers share: a port that can be closed and opened again, and a script that can be replaced while it
//! plays.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::act::{Act, Moment};
use super::wire::{Conduct, Open, OpenOne, Protocol, Shared, Wire, Witness};
use super::{http, smtp};
use crate::verify::ports::free_port;
use crate::verify::runtime::{Listening, Runtime};

/// A server on a thread of its own. Dropping it closes it.
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<Listening>>,
    runtime: Runtime,
}

impl Server {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// The system gives no thread or no port.
    pub fn start(
        protocol: Protocol,
        witness: Arc<dyn Witness>,
        conduct: impl Fn(&Moment<'_>) -> Option<Act> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let runtime = Runtime::start(match protocol {
            Protocol::Smtp => "scripted-smtp",
            Protocol::Http => "scripted-http",
        })?;
        let conduct: Arc<Conduct> = Arc::new(conduct);
        let shared = Arc::new(Shared {
            protocol,
            conduct: watch::channel(conduct).0,
            witness,
            connections: AtomicUsize::new(0),
            open: Open::default(),
            busy: AtomicUsize::new(0),
            flooded: AtomicU64::new(0),
            cuts: watch::channel(0).0,
        });
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let server = Self { addr, shared, listening: Mutex::new(None), runtime };
        server.accept_connections()?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Behaves by another script from now on. Connections that are silent by the old one are cut.
    pub fn play(&self, conduct: impl Fn(&Moment<'_>) -> Option<Act> + Send + Sync + 'static) {
        self.shared.conduct.send_replace(Arc::new(conduct));
    }

    /// Hangs up on everybody; that is done when this comes back.
    pub fn cut_all(&self) {
        let connections = self.connections();
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
        self.shared.open.wait_for_those_before(connections);
    }

    /// Hangs up on everybody and gives up the port: new connections are refused when this comes back.
    pub fn refuse_connections(&self) {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening {
            listening.close();
        }
        self.cut_all();
    }

    /// Accepts connections again.
    ///
    /// # Errors
    /// Another program has taken the port meanwhile.
    pub fn accept_connections(&self) -> io::Result<()> {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if listening.is_none() {
            let shared = Arc::clone(&self.shared);
            *listening = Some(self.runtime.listen_at(self.addr, move |stream| serve(stream, Arc::clone(&shared)))?);
        }
        Ok(())
    }

    /// Connections that were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.open.count()
    }

    /// Bytes of [`super::act::Step::Flood`] that were got rid of before the client had enough.
    #[must_use]
    pub fn flooded_bytes(&self) -> u64 {
        self.shared.flooded.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
    // Ends after the socket, which is declared later.
    let _open = OpenOne::enter(&shared.open, connection);
    shared.witness.connected(connection);
    let (reader, writer) = stream.into_split();
    let mut wire = Wire {
        reader: BufReader::new(reader),
        writer,
        conduct: shared.conduct.subscribe(),
        out: Vec::new(),
        connection,
        accepted: 0,
        shared: &shared,
    };
    let talk = async {
        match shared.protocol {
            Protocol::Smtp => smtp::talk(&mut wire).await,
            Protocol::Http => http::talk(&mut wire).await,
        }
    };
    tokio::select! {
        _gone = talk => {}
        _cut = cuts.changed() => {}
    }
}
