//! Contacts, what they refuse, and the keys of links.

mod contacts;
mod known;
mod link_keys;
mod refusals;
mod statements;
mod takeovers;

use volley::store::Store;

use crate::support::Database;
use crate::support::server::settings;

async fn open(db: &Database) -> Store {
    let store = Store::open(&settings(db).database).unwrap();
    store.migrate().await.unwrap();
    store
}
