//! The integration tests: one binary, so that it links once and shares one private PostgreSQL and RabbitMQ.
//!
//! `bodies` has snapshots of what clients see, `flows` drives the real program through its API, `faults` breaks things around it while it sends, `arch` checks rules
//! of the repository, `trials` plays relays and gateways of the field, `docs` and `state_machines` that its pages say what the code does, `packaging` that what it is shipped with fits it, `replicas` has several instances
//! share a database and a broker, `ui` opens the pages in a browser. What they need stands in `support`; nothing there touches a server that was already
//! running.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed assumption of a test is a failed test"
)]

mod arch;
mod bodies;
mod channels;
mod cli;
mod config;
mod docs;
mod faults;
mod flows;
mod http;
mod pace;
mod packaging;
mod replicas;
mod state_machines;
mod store;
mod support;
mod trials;
mod ui;
