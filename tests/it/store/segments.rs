//! Segments: what touches contacts, and what evaluates them, while others write.

mod calls;
mod interleavings;
mod looks;
mod members;
mod reaction_order;
mod reactions;
mod stress;
mod touches;
mod world;
