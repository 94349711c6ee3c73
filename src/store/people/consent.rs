//! The log of consent, and what a transaction adds to it.
//!
//! Append-only: nothing changes a line or removes one. It grows with what people decide, not with what is sent.

use std::sync::Arc;

use super::consent_line::Line;
use super::refusals::{Filed, RefusalBook};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::ContactId;
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::{Act, EVERYTHING, Reason, Source};
use crate::domain::people::standing::Standing;
use crate::store::people::dialect;
use crate::store::{Conn, StoreError, engine};

/// From how long on the log says that something waited to be stored, in milliseconds.
const WAITED_MS: i64 = 5_000;

fn said_at(at: UtcInstant) -> String {
    format!("said at {at}")
}

/// Who writes, and where refusals are filed beside the database.
#[derive(Clone)]
pub struct Scribe {
    /// What all changes have in common, where they do not say otherwise.
    pub act: Arc<Act>,
    /// Where refusals are filed.
    pub book: RefusalBook,
}

impl Scribe {
    /// A scribe that files nothing beside the database.
    #[must_use]
    pub fn of(source: Source) -> Self {
        Self { act: Arc::new(Act::of(source)), book: RefusalBook::default() }
    }
}

/// What one transaction changes of consent. [`Ledger::close`] stores it, last in the transaction.
pub struct Ledger<'a> {
    scribe: &'a Scribe,
    now: Option<UtcInstant>,
    lines: Vec<Line>,
    refusals: Vec<Filed>,
}

impl<'a> Ledger<'a> {
    /// Begins.
    #[must_use]
    pub const fn new(scribe: &'a Scribe) -> Self {
        Self { scribe, now: None, lines: Vec::new(), refusals: Vec::new() }
    }

    /// Where the changes come from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.scribe.act.source
    }

    /// The database's clock, as it was when it was first asked for.
    pub(in crate::store) fn now(&mut self, conn: &mut Conn) -> Result<UtcInstant, StoreError> {
        match self.now {
            Some(now) => Ok(now),
            None => {
                let now = engine::now(conn)?;
                self.now = Some(now);
                Ok(now)
            }
        }
    }

    /// The clock was read anew.
    pub(in crate::store) fn goes_by(&mut self, now: UtcInstant) -> UtcInstant {
        *self.now.insert(now)
    }

    /// A line without a change.
    pub(in crate::store) fn line(&self, act: Option<&Arc<Act>>) -> Line {
        let act = Arc::clone(act.unwrap_or(&self.scribe.act));
        Line {
            contact: None,
            list: None,
            channel: None,
            before: None,
            after: None,
            source: act.source.clone(),
            note: act.note.clone(),
            act,
            refusal_id: None,
            address: None,
        }
    }

    /// Notes the change of a suppression.
    pub(in crate::store) fn suppression(&mut self, mut line: Line) {
        if !line.source.is_own_act() {
            line.address = None;
        }
        self.lines.push(line);
    }

    /// Notes another standing.
    pub(in crate::store) fn standing(&mut self, before: Option<Standing>, after: Option<Standing>, mut line: Line) {
        line.before = before.map(Standing::as_str);
        line.after = after.map(Standing::as_str);
        if !line.source.is_own_act() {
            line.address = None;
        }
        self.lines.push(line);
    }

    /// Notes a refusal: its line in the log has an id, by which it is filed beside the database.
    pub(in crate::store) fn refusal(&mut self, mut line: Line, reason: Reason, addresses: &[(ChannelKind, String)]) {
        let id = uuid::Uuid::new_v4().to_string();
        self.refusals.push(Filed {
            id: id.clone(),
            at: line.act.at.unwrap_or_default(),
            contact: line.contact,
            list: line.list.filter(|list| *list != EVERYTHING),
            reason,
            addresses: addresses.to_vec(),
            source: line.source.as_str().to_owned(),
            campaign: line.act.campaign,
        });
        line.refusal_id = Some(id);
        line.after = Some(reason.as_str());
        if !line.source.is_own_act() {
            line.address = None;
        }
        self.lines.push(line);
    }

    /// Notes that somebody refuses everything.
    pub fn refuse_everything(
        &mut self,
        act: &Arc<Act>,
        contact: Option<ContactId>,
        addresses: &[(ChannelKind, String)],
    ) {
        let address = addresses.first().map(|(_, address)| address.clone());
        let line = Line { contact, address, ..self.line(Some(act)) };
        self.refusal(line, Reason::Unsubscribed, addresses);
    }

    /// Notes that a filed refusal is in the database again.
    pub fn restored(&mut self, filed: &Filed) {
        let line = self.line(None);
        self.lines.push(Line {
            contact: filed.contact,
            list: filed.list,
            after: Some(filed.reason.as_str()),
            refusal_id: Some(filed.id.clone()),
            ..line
        });
    }

    /// Stores the log. Refusals are filed and on the disk before the transaction commits; where the disk refuses, the database has
    /// them all the same, and the log says so.
    ///
    /// # Errors
    /// A query failed.
    pub fn close(mut self, conn: &mut Conn) -> Result<(), StoreError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let now = self.now(conn)?;
        for line in &mut self.lines {
            line.note = line.note.take().or_else(|| line.act.at.filter(|at| at.plus_ms(WAITED_MS) < now).map(said_at));
        }
        for refusal in &mut self.refusals {
            refusal.at = if refusal.at == UtcInstant(0) { now } else { refusal.at.min(now) };
        }
        for chunk in self.lines.chunks(5_000) {
            dialect::consent::insert(conn, chunk, now)?;
        }
        self.scribe.book.file(&self.refusals);
        Ok(())
    }
}

/// Those of `ids` that the log has.
///
/// # Errors
/// The query failed.
pub fn known_refusals(conn: &mut Conn, ids: &[&str]) -> Result<Vec<String>, StoreError> {
    dialect::consent::known_refusals(conn, ids)
}
