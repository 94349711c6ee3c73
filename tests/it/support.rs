//! What the tests stand on: databases of their own, the program itself, its API, and providers that remember everything.

pub(crate) mod api;
pub(crate) mod browser;
pub(crate) mod database;
pub(crate) mod described;
pub(crate) mod dns;
pub(crate) mod fleet;
pub(crate) mod http2;
pub(crate) mod ledger;
pub(crate) mod migrated;
pub(crate) mod people;
pub(crate) mod postgres;
pub(crate) mod provider;
pub(crate) mod python;
pub(crate) mod rabbitmq;
pub(crate) mod reader;
pub(crate) mod recorder;
pub(crate) mod server;
pub(crate) mod stage;
pub(crate) mod tls_front;
pub(crate) mod tmpfs;
pub(crate) mod turns;
pub(crate) mod volley;
pub(crate) mod waiting;
pub(crate) mod watch;
pub(crate) mod webdriver;

pub(crate) use database::{Database, both_backends};
pub(crate) mod scripted_http;
pub(crate) mod scripted_smtp;
