//! How deliveries are handed over: what providers' answers mean, and what follows from them.

pub mod answer;
pub mod pace;
pub mod retries;
