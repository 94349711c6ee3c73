//! The audit log: what every decision leaves behind it.
//!
//! A decision writes its line inside its own transaction, so that there is no change without a line and no line without a
//! change. What changes no row of the database (a test message, the pace of a pool on SQLite, a dead letter) writes its line
//! first: then it says what was asked for.

use serde_json::Value;

use super::{Asker, By};
use crate::domain::access::audit::{Action, Actor, Object};
use crate::domain::ids::ApiKeyId;
use crate::store::access::audit_log::{self, NewEntry};
use crate::store::{Conn, Lane, Store, StoreError};

/// What was done. `before` and `after` have statuses, ids and the names of fields; never a value that a person wrote, but
/// for the [note](crate::domain::note::Note) that says on what evidence deliveries were resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    action: Action,
    object: Object,
    id: Option<String>,
    before: Option<Value>,
    after: Option<Value>,
}

impl Line {
    /// Something was done to this one: by its id, or the name of a pool.
    #[must_use]
    pub fn of(action: Action, object: Object, id: impl ToString) -> Self {
        Self { id: Some(id.to_string()), ..Self::some(action, object) }
    }

    /// Something was done to none in particular.
    #[must_use]
    pub const fn some(action: Action, object: Object) -> Self {
        Self { action, object, id: None, before: None, after: None }
    }

    /// How it was.
    #[must_use]
    pub fn before(self, before: Value) -> Self {
        Self { before: Some(before), ..self }
    }

    /// How it is since.
    #[must_use]
    pub fn after(self, after: Value) -> Self {
        Self { after: Some(after), ..self }
    }
}

/// Writes a line, in the transaction of what it says.
///
/// # Errors
/// The query failed: the decision must fail with it.
pub fn write(conn: &mut Conn, by: &By, line: Line) -> Result<(), StoreError> {
    let (actor, api_key_id) = actor(by);
    let Line { action, object, id, before, after } = line;
    let text = |value: Option<Value>| value.map(|value| value.to_string());
    let entry = NewEntry {
        actor,
        api_key_id,
        ip: by.client.map(|client| client.to_string()),
        action,
        object,
        object_id: id,
        before: text(before),
        after: text(after),
        request_id: by.request_id.clone(),
        session_id: by.session,
    };
    audit_log::append(conn, &entry)
}

/// Writes the line of what is about to be done and changes no row.
///
/// # Errors
/// The database failed: it must not be done.
pub async fn announce(store: &Store, by: &By, line: Line) -> Result<(), StoreError> {
    let by = by.clone();
    store.run(Lane::Control, "write the audit log", move |conn| write(conn, &by, line)).await
}

fn actor(by: &By) -> (Actor, Option<ApiKeyId>) {
    match by.asker {
        Asker::RootKey => (Actor::RootKey, None),
        Asker::ApiKey(id) => (Actor::ApiKey, Some(id)),
        Asker::CommandLine => (Actor::CommandLine, None),
        Asker::Start => (Actor::Start, None),
        Asker::Scheduler => (Actor::Scheduler, None),
        Asker::Recipient => (Actor::Recipient, None),
        Asker::Broker(_) => (Actor::Broker, None),
    }
}
