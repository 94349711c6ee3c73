//! What can go wrong in the store.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database URL has another scheme than `sqlite://PATH` or `postgres://…`.
    #[error("the database url must begin with sqlite:// (and name a file) or postgres://")]
    BadUrl,
    /// The database URL asks for a connection to PostgreSQL that cannot be made.
    #[error("the database url cannot be used: {0}")]
    Unusable(#[from] super::tls::Unusable),
    /// The folder for the SQLite file cannot be made.
    #[error("cannot create the folder of the database file")]
    Folder {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// PostgreSQL is set up to lose acknowledged commits.
    #[error(
        "{setting} is off on this server: acknowledged commits could be lost, and people messaged twice; turn it on"
    )]
    UnsafeDurability {
        /// The setting's name.
        setting: &'static str,
    },
    /// A migration failed.
    #[error("cannot migrate: {detail}")]
    Migration {
        /// What the database said.
        detail: String,
    },
    /// No connection could be had in time.
    #[error("cannot {action}: no database connection ({detail})")]
    Unavailable {
        /// What was asked for.
        action: &'static str,
        /// What the driver said.
        detail: String,
    },
    /// The database did not answer in time; whatever was asked for may happen all the same.
    #[error("cannot {action}: the database has not answered for {seconds} s")]
    Unanswered {
        /// What was asked for.
        action: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The disk (or the file size limit) of the embedded database is full.
    #[error("cannot {action}: the disk is full")]
    DiskFull {
        /// What was asked for.
        action: &'static str,
    },
    /// A query failed.
    #[error("cannot {action}")]
    Query {
        /// What was asked for.
        action: &'static str,
        /// What the database said.
        #[source]
        source: DieselError,
    },
    /// Something stored is not what this version can read.
    #[error("stored {what} is not readable: {detail}")]
    Corrupt {
        /// Which column.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// A value must be unique, and another row has it.
    #[error("{field} is taken")]
    Taken {
        /// The field.
        field: &'static str,
        /// The row that has it, where known.
        by: Option<i64>,
    },
    /// A row that was to be changed is not in the state that the change starts from.
    #[error("{what} changed meanwhile")]
    Stale {
        /// What changed.
        what: &'static str,
    },
    /// The system's random generator failed.
    #[error("no randomness for a token or a key: {detail}")]
    NoRandomness {
        /// What the system said.
        detail: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The closure panicked.
    #[error("{action} panicked")]
    Panicked {
        /// What was asked for.
        action: &'static str,
        /// The panic.
        #[source]
        source: tokio::task::JoinError,
    },
}

/// An error of a transaction: the store's own, or why what was asked for is refused.
pub trait MayBeStoreError: From<StoreError> + Send + 'static {
    /// The store's own error, if it is one.
    ///
    /// # Errors
    /// It is a refusal, which is given back as it was.
    fn into_store_error(self) -> Result<StoreError, Self>;
}

impl MayBeStoreError for StoreError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        Ok(self)
    }
}

impl StoreError {
    /// Turns a diesel error into a store error, by what was asked for: `.map_err(StoreError::query("claim a page"))`.
    pub fn query(action: &'static str) -> impl FnOnce(DieselError) -> Self {
        move |source| {
            let full = matches!(&source, DieselError::DatabaseError(_, info) if says_disk_full(info.message()));
            if full { Self::DiskFull { action } } else { Self::Query { action, source } }
        }
    }

    pub(in crate::store) fn unavailable(action: &'static str, source: &r2d2::Error) -> Self {
        Self::Unavailable { action, detail: source.to_string() }
    }

    /// Whether another row has a value that must be unique.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        use diesel::result::DatabaseErrorKind::UniqueViolation;
        matches!(self, Self::Query { source: DieselError::DatabaseError(UniqueViolation, _), .. })
    }

    /// Whether the transaction failed because of another one, and may go well when that is over: PostgreSQL found that both waited
    /// for each other (40P01) or one waited too long (55P03), or a row changed meanwhile.
    #[must_use]
    pub fn is_contention(&self) -> bool {
        match self {
            Self::Query { source: DieselError::DatabaseError(kind, info), .. } => {
                matches!(kind, DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure)
                    || ["deadlock detected", "due to lock timeout"].iter().any(|said| info.message().contains(said))
            }
            Self::Stale { .. } => true,
            Self::BadUrl
            | Self::Unusable(_)
            | Self::Folder { .. }
            | Self::UnsafeDurability { .. }
            | Self::Migration { .. }
            | Self::Unavailable { .. }
            | Self::Unanswered { .. }
            | Self::DiskFull { .. }
            | Self::Query { .. }
            | Self::Corrupt { .. }
            | Self::Taken { .. }
            | Self::NoRandomness { .. }
            | Self::Closed
            | Self::Panicked { .. } => false,
        }
    }

    /// Whether the next transaction would fail as well, whatever it is about: there is no connection, no answer, or no room.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unanswered { .. } | Self::DiskFull { .. } | Self::Closed)
    }

    /// Whether the database is away, or this connection to it is gone.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        // A full disk and a failed migration drop their connection, too, and say nothing about the others.
        self.taints_connection() && !matches!(self, Self::DiskFull { .. } | Self::Migration { .. })
    }

    /// Whether waiting may help: the database is away, busy or full. Everything that drives deliveries tries again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unanswered { .. } | Self::DiskFull { .. } | Self::Query { .. } => true,
            Self::BadUrl
            | Self::Unusable(_)
            | Self::Folder { .. }
            | Self::UnsafeDurability { .. }
            | Self::Migration { .. }
            | Self::Corrupt { .. }
            | Self::Taken { .. }
            | Self::Stale { .. }
            | Self::NoRandomness { .. }
            | Self::Closed
            | Self::Panicked { .. } => false,
        }
    }

    /// Whether the connection may be dead and must not go back to its pool.
    pub(in crate::store) fn taints_connection(&self) -> bool {
        match self {
            Self::Query { source, .. } => super::dialect::conn::taints_connection(source),
            Self::Unavailable { .. } | Self::Unanswered { .. } | Self::DiskFull { .. } | Self::Migration { .. } => true,
            Self::BadUrl
            | Self::Unusable(_)
            | Self::Folder { .. }
            | Self::UnsafeDurability { .. }
            | Self::Corrupt { .. }
            | Self::Taken { .. }
            | Self::Stale { .. }
            | Self::NoRandomness { .. }
            | Self::Closed
            | Self::Panicked { .. } => false,
        }
    }
}

/// SQLite: "database or disk is full" (SQLITE_FULL), "disk I/O error" (SQLITE_IOERR, what a failed write to the
/// write-ahead log comes out as). PostgreSQL: "No space left on device" (53100).
fn says_disk_full(message: &str) -> bool {
    message.contains("disk is full")
        || message.contains("disk I/O error")
        || message.contains("No space left on device")
}
