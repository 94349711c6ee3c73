//! Segments: what touches contacts, and what evaluates them, while others write.

mod interleavings;
mod members;
mod stress;
mod touches;
mod world;
