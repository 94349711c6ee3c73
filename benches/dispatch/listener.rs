//! A TCP server with a thread per connection that can be closed, which refuses connections, and opened again.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use volley::verify::ports::free_port;

type Serve = dyn Fn(TcpStream) + Send + Sync;

/// The server. Dropping it closes it.
pub(crate) struct Listener {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    open: AtomicBool,
    connections: Mutex<(u64, HashMap<u64, TcpStream>)>,
    serve: Box<Serve>,
}

impl Listener {
    /// Listens on a free port of loopback; `serve` is called with each connection, on a thread of its own.
    pub(crate) fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let shared = Shared { open: AtomicBool::new(false), connections: Mutex::default(), serve: Box::new(serve) };
        let listener = Self { addr, shared: Arc::new(shared), accepting: Mutex::new(None) };
        listener.open();
        listener
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Accepts connections (again).
    pub(crate) fn open(&self) {
        if self.shared.open.swap(true, Ordering::SeqCst) {
            return;
        }
        let socket = TcpListener::bind(self.addr).expect("the port is still free");
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::spawn(move || accept(&socket, &shared));
        *self.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn close(&self) {
        if !self.shared.open.swap(false, Ordering::SeqCst) {
            return;
        }
        // Wakes the accepting thread, which then finds itself closed and gives up the port.
        let _woken = TcpStream::connect(self.addr);
        if let Some(thread) = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ended = thread.join();
        }
        self.cut();
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        for stream in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).1.values() {
            let _already_gone = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(socket: &TcpListener, shared: &Arc<Shared>) {
    for stream in socket.incoming() {
        if !shared.open.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _best_effort = stream.set_nodelay(true);
        let Ok(handle) = stream.try_clone() else { continue };
        let id = {
            let mut connections = shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.0 += 1;
            let id = connections.0;
            connections.1.insert(id, handle);
            id
        };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            (shared.serve)(stream);
            if let Some(stream) = shared.connections.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&id) {
                let _already_gone = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}
