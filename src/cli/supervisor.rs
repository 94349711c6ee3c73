//! What `volley serve` tells the program that started it, such as systemd with `Type=notify`: over the socket that NOTIFY_SOCKET
//! names. Without that variable nothing is told.

use std::net::SocketAddr;

use sd_notify::NotifyState;

/// The process starts. It may wait for its database, migrate it, and read the journals of earlier runs.
pub(super) fn tell_starting() {
    tell(&[NotifyState::Status("starting: prepares the database and recovers what an earlier run left")]);
}

/// The instance takes requests at `addr`.
pub(super) fn tell_ready(addr: SocketAddr) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("takes requests on {addr}"))]);
}

/// The instance takes no more requests and finishes what is in flight.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: finishes the hand-overs that are running")]);
}

/// A supervisor that cannot be reached decides by itself what to do about that.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(event = "supervisor.unreachable", error = %error, "the socket that NOTIFY_SOCKET names takes no message");
    }
}
