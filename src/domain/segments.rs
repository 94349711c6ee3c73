//! Segments: which contacts a rule takes, how long the answer holds, and what a change of it means.
//!
//! The database gives the facts of a contact, and [`decide`](decide::decide) answers from them. The same function decides for
//! members, counts, audiences and explanations, so that they cannot differ.
//!
//! - [`Criteria`]: a rule, read from JSON.
//! - [`Question`](question::Question): what some rules ask of a contact. [`Facts`](question::Facts): the answers of one contact.
//! - [`Decision`](decide::Decision): whether a rule takes the contact, and when time alone may change that.
//! - [`Topic`](topic::Topic): which changes concern a rule.
//! - [`advance`](stay::advance): what a decision means for a contact that is a member, or is none.
//! - [`Reaction`](reaction::Reaction): what is done when a contact enters, leaves, or is still there.

pub mod comparison;
pub mod criteria;
pub mod decide;
pub mod decision;
pub mod dependencies;
pub mod estimate;
pub mod event_clause;
pub mod explain;
pub mod field;
pub mod moment;
pub mod names;
pub mod outline;
mod place;
pub mod question;
pub mod reaction;
mod read;
mod read_clause;
mod sentence;
pub mod share;
pub mod standing;
pub mod stay;
pub mod topic;
pub mod tree;

pub use criteria::Criteria;
