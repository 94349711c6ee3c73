//! How deliveries are handed over: what providers' answers mean, and what follows from them.

pub mod alike;
pub mod answer;
pub mod answers;
pub mod pace;
pub mod retries;
