//! Mailbox providers: clients that ask for `POST /u/{token}` (RFC 8058).

use crate::connection::{self, Pace, post};

/// Refuses by every token, over so many connections. How long each took, in milliseconds.
pub(crate) fn refuse(port: u16, tokens: &[String], pace: Pace, connections: usize) -> Vec<f64> {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let request = |token: &String| post(&format!("/u/{token}"), form, "List-Unsubscribe=One-Click");
    let requests: Vec<String> = tokens.iter().map(request).collect();
    connection::send(port, &requests, pace, connections, |status, _| assert_eq!(status, 200))
}
