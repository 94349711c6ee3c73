//! The door of programs.

mod access;
mod campaigns;
mod content;
mod deliverability;
mod events;
mod import;
mod operations;
mod people;
mod replicas;
