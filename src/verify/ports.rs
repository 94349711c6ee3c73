//! Free ports that stay free: below the range from which the system gives ports to outgoing connections, so that a
//! server which is away for a moment finds its port again.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on loopback that nobody listens on, never given out twice by this process.
#[must_use]
pub fn free_port() -> u16 {
    const LOWEST: u16 = 15_000;
    const SPAN: u16 = 15_000;
    let offset = u16::try_from(std::process::id() * 97 % u32::from(SPAN)).unwrap_or_default();
    loop {
        let port = LOWEST + offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % SPAN;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
