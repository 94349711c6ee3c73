//! Which history of the database this process works with.
//!
//! A standby that is promoted begins a new timeline of PostgreSQL. If it lacked its primary's last commits, the database has
//! gone back in time: claims and outcomes that were acknowledged are missing, and the people they are about would be handed
//! over again. So every new connection says which history it sees. From the first one that sees another than the accepted
//! one, nothing but the comparison with the journal is served, until that has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Bool};

/// A history of a PostgreSQL cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// The cluster's system identifier: `initdb` draws it, and copies keep it.
    pub system: i64,
    /// The timeline: it rises with every promotion and every recovery to a point in time.
    pub timeline: i64,
}

impl std::fmt::Display for Lineage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.system.cast_unsigned(), self.timeline)
    }
}

/// What is known of the database's history, shared by all connections of a store.
#[derive(Debug, Default)]
pub struct History {
    state: Mutex<State>,
    is_unsettled: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    accepted: Option<Lineage>,
    /// What the newest connection saw, where that is another one.
    found: Option<Lineage>,
}

/// Who asks for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum For {
    /// Everybody else.
    Work,
    /// The comparison with the journal.
    Settling,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a new connection sees. The first one is believed.
    pub(in crate::store) fn see(&self, lineage: Lineage) {
        let mut state = self.lock();
        match state.accepted {
            None => state.accepted = Some(lineage),
            Some(accepted) if accepted == lineage && state.found.is_none() => {}
            Some(_) => {
                state.found = Some(lineage);
                self.is_unsettled.store(true, Ordering::Release);
            }
        }
    }

    /// Whether the database has another history than the accepted one. Nothing may be handed over then.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.is_unsettled.load(Ordering::Acquire)
    }

    /// The history that is worked with, once a connection has been made.
    #[must_use]
    pub fn accepted(&self) -> Option<Lineage> {
        self.lock().accepted
    }

    /// The other history that was found, until it is accepted.
    #[must_use]
    pub fn found(&self) -> Option<Lineage> {
        self.lock().found
    }

    /// Goes on with a history that was found, now that the journal has been compared with it. `false`: yet another one was
    /// found meanwhile.
    pub fn accept(&self, lineage: Lineage) -> bool {
        let mut state = self.lock();
        if state.found != Some(lineage) {
            return false;
        }
        *state = State { accepted: Some(lineage), found: None };
        self.is_unsettled.store(false, Ordering::Release);
        true
    }

    /// Whether a connection that sees this history may be used. One whose history is not known, as on a server that does not
    /// tell it, always may.
    pub(in crate::store) fn serves(&self, lineage: Option<Lineage>, work: For) -> bool {
        let state = self.lock();
        match (lineage, work) {
            (None, _) => true,
            (Some(seen), For::Work) => state.found.is_none() && state.accepted.is_none_or(|accepted| accepted == seen),
            (Some(seen), For::Settling) => state.found.or(state.accepted).is_none_or(|wanted| wanted == seen),
        }
    }
}

#[derive(QueryableByName)]
struct Standing {
    #[diesel(sql_type = Bool)]
    in_recovery: bool,
    #[diesel(sql_type = BigInt)]
    system: i64,
    #[diesel(sql_type = BigInt)]
    timeline: i64,
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Server {
    /// It takes writes, in this history where it tells.
    Primary(Option<Lineage>),
    /// It replays another one's history and takes no writes.
    Standby,
}

/// Asks a server which history it is in.
///
/// # Errors
/// The connection is broken.
pub(in crate::store) fn ask(conn: &mut PgConnection) -> QueryResult<Server> {
    // The first eight digits of the name of the file that is written are the timeline. A standby writes none.
    let standing: QueryResult<Standing> = diesel::sql_query(
        "SELECT pg_is_in_recovery() AS in_recovery, c.system_identifier AS system, CASE WHEN pg_is_in_recovery() THEN 0 \
         ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::BIT(32)::BIGINT END AS timeline \
         FROM pg_control_system() AS c",
    )
    .get_result(conn);
    match standing {
        Ok(Standing { in_recovery: true, .. }) => Ok(Server::Standby),
        Ok(Standing { system, timeline, .. }) => Ok(Server::Primary(Some(Lineage { system, timeline }))),
        // Some hosted servers have no such functions, or keep them from their users.
        Err(DieselError::DatabaseError(kind, detail))
            if !matches!(kind, diesel::result::DatabaseErrorKind::ClosedConnection) =>
        {
            tracing::debug!(
                event = "database.timeline_unknown",
                error = detail.message(),
                "the database server does not say its timeline"
            );
            Ok(Server::Primary(None))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Lineage = Lineage { system: 1, timeline: 1 };
    const NEW: Lineage = Lineage { system: 1, timeline: 2 };

    #[test]
    fn a_new_timeline_serves_nothing_but_its_settling_until_that_has_ended() {
        let history = History::default();
        history.see(OLD);
        assert!(history.serves(Some(OLD), For::Work) && !history.is_unsettled());
        history.see(NEW);
        assert!(history.is_unsettled());
        for seen in [OLD, NEW] {
            assert!(!history.serves(Some(seen), For::Work), "{seen}");
        }
        assert!(history.serves(Some(NEW), For::Settling) && !history.serves(Some(OLD), For::Settling));
        assert!(history.accept(NEW));
        assert!(history.serves(Some(NEW), For::Work) && !history.serves(Some(OLD), For::Work));
        assert!(!history.is_unsettled());
    }

    #[test]
    fn what_the_newest_connection_sees_is_what_is_settled() {
        let history = History::default();
        history.see(OLD);
        history.see(NEW);
        // Back again: the other server was a mistake.
        history.see(OLD);
        assert!(!history.accept(NEW), "that is not what is there any more");
        assert!(history.is_unsettled() && history.accept(OLD));
    }

    #[test]
    fn a_server_that_does_not_tell_its_history_is_used_as_it_is() {
        let history = History::default();
        history.see(OLD);
        assert!(history.serves(None, For::Work));
    }
}
