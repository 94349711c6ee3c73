//! Segments: criteria as clients name them, counted before they are saved, kept up to date, and explained.
//!
//! [`keep_up`] turns what has changed, and what is due, into members and transitions; [`build`] evaluates everybody where a rule is new.
//! Both evaluate by [`evaluate`], and nothing else writes who is a member of a segment with criteria.

pub mod build;
pub mod change_segment;
pub mod create_segment;
pub mod definition;
pub mod delete_segment;
pub mod estimate;
pub mod evaluate;
pub mod explain_member;
pub mod keep_up;
pub mod live;
pub mod longest_window;
pub mod named;
mod react;
pub mod reactions;
pub mod recompute;
pub mod worker;
