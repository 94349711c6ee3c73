//! The real program, driven through its API against real SMTP and HTTP servers.

mod audiences;
mod campaigns;
mod http2;
mod launches;
mod links;
mod traces;
mod tracking;
mod unrenderable;
