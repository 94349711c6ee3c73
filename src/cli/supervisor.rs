//! What `volley serve` tells the program that started it, such as systemd with `Type=notify`: over the socket that NOTIFY_SOCKET
//! names. Without that variable nothing is told.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use sd_notify::NotifyState;

/// The process starts. It may wait for its database, migrate it, and read the journals of earlier runs.
pub(super) fn tell_starting() {
    tell(&[NotifyState::Status("starting: prepares the database and recovers what an earlier run left")]);
}

/// The instance takes requests at `addr`.
pub(super) fn tell_ready(addr: std::net::SocketAddr) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("takes requests on {addr}"))]);
}

/// The instance takes no more requests and finishes what is in flight.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: finishes the hand-overs that are running")]);
}

/// A supervisor that cannot be reached decides by itself what to do about that.
#[allow(clippy::disallowed_methods, reason = "no setting: the supervisor sets it")]
fn tell(state: &[NotifyState<'_>]) {
    let socket = std::env::var_os("NOTIFY_SOCKET");
    let told = match socket.as_deref().and_then(|name| name.as_bytes().strip_prefix(b"@")) {
        Some(name) => tell_abstract(name, state),
        None => sd_notify::notify(state),
    };
    if let Err(error) = told {
        tracing::warn!(event = "supervisor.unreachable", error = %error, "the socket that NOTIFY_SOCKET names takes no message");
    }
}

/// Tells a socket that has a name and no file: systemd writes the zero byte before the name as `@`. `sd_notify` takes it for a file.
fn tell_abstract(name: &[u8], state: &[NotifyState<'_>]) -> std::io::Result<()> {
    let message: String = state.iter().map(|one| format!("{one}\n")).collect();
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    socket.send(message.as_bytes()).map(drop)
}
