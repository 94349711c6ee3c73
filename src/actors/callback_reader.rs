//! The reader of callbacks: what providers report is stored by the door, and read here.

use std::time::Duration;

use actix::prelude::*;
use serde::Serialize;

use crate::services::callbacks::read_callbacks::{AT_ONCE, CallbackBook};

/// How often it looks for callbacks, whether or not it was woken.
const TICK: Duration = Duration::from_secs(1);

/// The actor.
pub struct CallbackReader {
    book: CallbackBook,
    reading: bool,
    /// Whether it was woken while it was reading.
    again: bool,
    /// Whether the database did not answer the last time.
    failing: bool,
    read: u64,
}

/// There may be callbacks. A hint: a lost one costs a tick.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// Reports what it has done.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "CallbackReaderState")]
pub struct GetState;

/// What the reader of callbacks has done.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CallbackReaderState {
    /// Callbacks taken since the start.
    pub read: u64,
    /// Whether it is reading just now.
    pub reading: bool,
}

impl CallbackReader {
    /// A reader of this book.
    #[must_use]
    pub const fn new(book: CallbackBook) -> Self {
        Self { book, reading: false, again: false, failing: false, read: 0 }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.reading {
            self.again = true;
            return;
        }
        (self.reading, self.again) = (true, false);
        let book = self.book.clone();
        let work = async move { book.read_due().await };
        ctx.spawn(work.into_actor(self).map(|result, reader, ctx| {
            reader.reading = false;
            let taken = match result {
                Ok(taken) => {
                    reader.failing = false;
                    taken
                }
                Err(error) => {
                    if !reader.failing {
                        tracing::warn!(event = "callbacks.unread", error = %error, "callbacks cannot be read now; it is tried again");
                    }
                    (reader.failing, reader.again) = (true, false);
                    0
                }
            };
            reader.read += u64::try_from(taken).unwrap_or_default();
            if reader.again || i64::try_from(taken).is_ok_and(|taken| taken >= AT_ONCE) {
                reader.look(ctx);
            }
        }));
    }
}

impl Actor for CallbackReader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(TICK, |reader, ctx| {
            if !reader.reading {
                reader.look(ctx);
            }
        });
    }
}

impl Handler<Wake> for CallbackReader {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<GetState> for CallbackReader {
    type Result = MessageResult<GetState>;

    fn handle(&mut self, _: GetState, _: &mut Self::Context) -> Self::Result {
        MessageResult(CallbackReaderState { read: self.read, reading: self.reading })
    }
}
