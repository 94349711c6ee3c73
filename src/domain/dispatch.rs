//! How deliveries are handed over: what providers' answers mean, and what follows from them.

pub mod abandoned;
pub mod alike;
pub mod answer;
pub mod answers;
pub mod backoff;
pub mod claim;
pub mod deaths;
pub mod delivery;
pub mod doubt;
pub mod eligibility;
pub mod evidence;
pub mod fingerprint;
pub mod incident;
pub mod lately;
pub mod lease;
pub mod minutes;
pub mod outcome;
pub mod pace;
pub mod page;
pub mod retries;
pub mod settlement;
pub mod speed;
pub mod trouble;
pub mod why;
