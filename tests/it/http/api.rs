//! The door of programs.

mod access;
mod campaigns;
mod content;
mod import;
mod operations;
mod people;
mod replicas;
