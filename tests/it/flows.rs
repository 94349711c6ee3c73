//! The real program, driven through its API against real SMTP and HTTP servers.

mod audiences;
mod campaigns;
mod launches;
mod unrenderable;
