//! A thread with a runtime of its own: what is measured and what measures do not wait for one another.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The thread. Dropping it ends everything that runs on it, and waits for that.
pub(super) struct Lab {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// # Errors
    /// The system gives no thread, or no runtime.
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs `task` there.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Listens on a port of loopback and calls `serve` with each connection, there.
    ///
    /// # Errors
    /// There is no free port.
    pub(super) fn listen<F>(&self, serve: impl Fn(TcpStream) -> F + Send + 'static) -> io::Result<SocketAddr>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let addr = socket.local_addr()?;
        let socket = {
            let _entered = self.runtime.enter();
            tokio::net::TcpListener::from_std(socket)?
        };
        self.spawn(async move {
            loop {
                // A connection that broke before it was accepted is its own trouble.
                let Ok((stream, _)) = socket.accept().await else { continue };
                let _best_effort = stream.set_nodelay(true);
                tokio::spawn(serve(stream));
            }
        });
        Ok(addr)
    }
}

impl Drop for Lab {
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
