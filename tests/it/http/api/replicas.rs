//! Pools.

mod paces;
