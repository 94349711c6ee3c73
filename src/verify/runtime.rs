//! A thread with a runtime of its own: what is measured and what measures do not wait for one another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The thread. Dropping it ends everything that runs on it, and waits for that.
pub(super) struct Runtime {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Runtime {
    /// # Errors
    /// The system gives no thread, or no runtime.
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Listens on a port of loopback and calls `serve` with each connection, there.
    ///
    /// # Errors
    /// There is no free port.
    pub(super) fn listen<F>(&self, serve: impl Fn(TcpStream) -> F + Send + 'static) -> io::Result<SocketAddr>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Ok(self.listen_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), serve)?.addr)
    }

    /// The same, at this address, until it is closed.
    ///
    /// # Errors
    /// The address is taken.
    pub(super) fn listen_at<F>(
        &self,
        addr: SocketAddr,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> io::Result<Listening>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = bind(addr)?;
        socket.set_nonblocking(true)?;
        let addr = socket.local_addr()?;
        let socket = {
            let _entered = self.runtime.enter();
            tokio::net::TcpListener::from_std(socket)?
        };
        let (stays, closed) = mpsc::channel::<()>();
        let accepting = self.runtime.spawn(async move {
            let _stays = stays;
            loop {
                // A connection that broke before it was accepted is its own trouble.
                let Ok((stream, _)) = socket.accept().await else { continue };
                let _best_effort = stream.set_nodelay(true);
                tokio::spawn(serve(stream));
            }
        });
        Ok(Listening { addr, accepting, closed })
    }
}

/// Binds a port that was seen to be free, or that this process has just given up.
///
/// A program that another thread starts at this moment holds copies of all sockets of this process between `fork` and
/// `exec`, those that are closed here meanwhile as well. So "in use" counts only when it lasts.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    const PATIENCE: Duration = Duration::from_secs(2);
    const STEP: Duration = Duration::from_millis(5);
    let began = Instant::now();
    loop {
        match TcpListener::bind(addr) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && began.elapsed() < PATIENCE => thread::sleep(STEP),
            outcome => return outcome,
        }
    }
}

/// A port that is listened on, also when this value is dropped, until it is closed.
pub(super) struct Listening {
    pub(super) addr: SocketAddr,
    accepting: JoinHandle<()>,
    closed: mpsc::Receiver<()>,
}

impl Listening {
    /// Gives up the port. Connections that were accepted go on.
    pub(super) fn close(self) {
        self.accepting.abort();
        // The other end goes with the task, and the task's socket before it.
        let _gone = self.closed.recv();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Ends a connection with a reset, as a machine that died and came back would.
pub(super) fn reset(stream: &TcpStream) {
    let _best_effort = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::ports::free_port;

    #[test]
    fn a_port_that_is_held_for_a_moment_is_waited_for() {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let held = TcpListener::bind(addr).unwrap();
        let leaves = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        assert_eq!(bind(addr).unwrap().local_addr().unwrap(), addr);
        leaves.join().unwrap();
    }
}
