//! Pools and instances.

mod checks;
mod instances;
mod paces;
