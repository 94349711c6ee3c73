//! People, their lists and their refusals, as the tests of the store ask for them.

use std::path::Path;

use volley::domain::channel::ChannelKind;
use volley::domain::ids::{ContactId, ListId};
use volley::domain::people::consent::{EVERYTHING, Said, Source};
use volley::domain::people::contact::{ContactDraft, Fields};
use volley::domain::people::standing::{Grounds, Standing};
use volley::services::By;
use volley::services::people::standings::{Refusal, RefusalScope, Refused, Subscribed, refuse, subscribe};
use volley::store::people::consent::{Ledger, Scribe};
use volley::store::people::contacts::{self, ContactChange, Joining, Upserted};
use volley::store::people::lists::{self, NewList};
use volley::store::people::refusals::RefusalBook;
use volley::store::people::standings::of_contacts;
use volley::store::people::suppressions::{self, SuppressionRow};
use volley::store::{Conn, Lane, Store, StoreError, engine};

use crate::support::Database;
use crate::support::database::number;
use crate::support::server::settings;

/// A store, and what the tests ask of it.
pub(super) struct People {
    pub(super) store: Store,
    pub(super) book: RefusalBook,
}

pub(super) fn draft(external_id: &str, email: &str) -> ContactDraft {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let fields = Fields { external_id: some(external_id), email: some(email), ..Fields::default() };
    ContactDraft { fields, ..ContactDraft::default() }
}

pub(super) fn api() -> Scribe {
    Scribe::of(Source::API)
}

pub(super) fn refusal(contact: Option<ContactId>, scope: RefusalScope) -> Refusal {
    Refusal { contact, address: None, scope, source: Source::ONE_CLICK, campaign: None, at: None, client: None }
}

impl People {
    pub(super) async fn of(db: &Database) -> Self {
        let store = Store::open(&settings(db).database).unwrap();
        store.migrate().await.unwrap();
        Self { store, book: RefusalBook::default() }
    }

    pub(super) async fn filing(db: &Database, data_dir: &Path) -> Self {
        Self { book: RefusalBook::below(data_dir), ..Self::of(db).await }
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.transact(Lane::Write, "test", work).await.unwrap()
    }

    /// Work that begins transactions of its own.
    pub(super) async fn bare<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.run(Lane::Write, "test", work).await.unwrap()
    }

    pub(super) async fn list(&self, new: NewList) -> ListId {
        self.bare(move |conn| lists::create(conn, &new)).await.list.id
    }

    pub(super) async fn contact(&self, external_id: &'static str, email: &'static str) -> ContactId {
        let upsert =
            move |conn: &mut Conn| contacts::upsert(conn, &api(), &draft(external_id, email), &Joining::NOTHING);
        match self.bare(upsert).await {
            Upserted::Created(row, _) | Upserted::Updated(row) => row.id,
            Upserted::Conflict(ids) => panic!("a conflict with {ids:?}"),
        }
    }

    pub(super) async fn subscribe(&self, contact: ContactId, list: ListId, grounds: Grounds) -> Subscribed {
        let source = if grounds == Grounds::OwnAct { Source::CONFIRMATION } else { Source::API };
        self.run(move |conn| subscribe(conn, &Scribe::of(source), list, &[contact], grounds, None)).await
    }

    pub(super) async fn refuse(&self, refusal: Refusal) -> Refused {
        let book = self.book.clone();
        let mut all = self.run(move |conn| refuse(conn, &book, &By::start(), &[refusal])).await;
        all.remove(0)
    }

    pub(super) async fn unsubscribe(&self, contact: ContactId, list: ListId) {
        self.refuse(refusal(Some(contact), RefusalScope::Topics(vec![list]))).await;
    }

    pub(super) async fn standing(&self, contact: ContactId, list: ListId) -> Option<Standing> {
        let all = self.run(move |conn| of_contacts(conn, &[contact])).await;
        all.into_iter().find(|(on, ..)| *on == list).map(|(.., standing)| standing)
    }

    pub(super) async fn suppressed(&self, email: &'static str) -> Vec<SuppressionRow> {
        let addresses = [(ChannelKind::Email, email.to_owned())];
        self.run(move |conn| suppressions::of_addresses(conn, &addresses)).await
    }

    pub(super) async fn refuses_everything(&self, email: &'static str) -> bool {
        let rows = self.suppressed(email).await;
        rows.iter()
            .any(|row| row.topic == EVERYTHING && row.channel == ChannelKind::Email && row.unsubscribed_at.is_some())
    }

    /// As an import does: everybody in `emails` is on the list, or stands as it is said.
    pub(super) async fn import(&self, emails: &[&str], list: ListId, said: Option<Standing>) {
        let drafts: Vec<ContactDraft> = emails.iter().map(|email| draft("", email)).collect();
        self.run(move |conn| {
            let said: Vec<Said> = drafts.iter().map(|_| Said { standing: said, ..Said::default() }).collect();
            let scribe = Scribe::of(Source::IMPORT);
            let mut ledger = Ledger::new(&scribe);
            let joining = Joining { list: Some(list), said: &said, ..Joining::NOTHING };
            let now = engine::now(conn)?;
            contacts::apply(conn, &mut ledger, &drafts, &joining, now)?;
            ledger.close(conn)
        })
        .await;
    }

    pub(super) async fn find(&self, email: &'static str) -> ContactId {
        self.contact("", email).await
    }

    pub(super) async fn change_email(&self, contact: ContactId, email: &str, is_confirmed: bool) {
        let change = ContactChange { set: draft("", email), is_confirmed, ..ContactChange::default() };
        self.bare(move |conn| contacts::change(conn, &api(), contact, &change).map(drop)).await;
    }

    pub(super) async fn number(&self, query: &'static str) -> i64 {
        self.run(move |conn| Ok(number(conn, query))).await
    }
}
