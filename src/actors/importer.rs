//! Stores the rows of uploaded CSV files.

use actix::Message;

/// Looks for imports that wait. A hint: the import is stored already, a lost message costs one tick.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Look;
