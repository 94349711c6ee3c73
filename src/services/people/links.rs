//! Links in messages: made for one recipient, and opened again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::domain::content::template::Provided;
use crate::domain::ids::{CampaignId, ContactId, ListId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::consent::addresses_of;
use crate::domain::people::link::tracked::{Claimed, Tracked, Tracker};
use crate::domain::people::link::{Kid, Link, LinkKey, Token};
use crate::store::people::link_keys;
use crate::store::people::standings::{self, KnownContact};
use crate::store::{Conn, Lane, Store, StoreError, engine};

/// How long an unknown kid is not looked up again: forged tokens must not keep the database busy.
const LOOKED_UP_EVERY: Duration = Duration::from_secs(1);

/// The keys of links as this process knows them, and where links lead.
#[derive(Clone)]
pub struct Links {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    base: Option<Arc<str>>,
    known: Mutex<Known>,
    /// Held while keys are read, so that the others wait for the answer instead of asking as well.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<Kid, LinkKey>,
    newest: Option<LinkKey>,
    read_at: Option<Instant>,
}

impl Known {
    fn take_in(&mut self, keys: Vec<LinkKey>) {
        self.newest = keys.first().cloned();
        // Added, not replaced: a database that went back in time may lack a key whose links people have.
        self.keys.extend(keys.into_iter().map(|key| (key.kid(), key)));
    }
}

impl Links {
    /// Links that begin with `base`, which has no slash at its end. `None`: links cannot be made, only opened.
    #[must_use]
    pub fn new(store: Store, base: Option<String>) -> Self {
        let inner =
            Inner { store, base: base.map(Arc::from), known: Mutex::default(), reading: tokio::sync::Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// What links begin with.
    #[must_use]
    pub fn base(&self) -> Option<&Arc<str>> {
        self.inner.base.as_ref()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link that a token is. `None`: it was never signed here. Only a kid that is unknown asks the database, and at most
    /// once in a second.
    ///
    /// # Errors
    /// The kid is unknown, and the database does not answer.
    pub async fn open(&self, text: &str) -> Result<Option<(Link, Kid)>, StoreError> {
        let Some(token) = Token::parse(text) else { return Ok(None) };
        let key = self.key(token.kid()).await?;
        Ok(key.and_then(|key| key.open(&token)).map(|link| (link, token.kid())))
    }

    /// As [`Self::open`], of a token that stands in an address.
    ///
    /// # Errors
    /// The kid is unknown, and the database does not answer.
    pub async fn open_in_address(&self, text: &str) -> Result<Option<Link>, StoreError> {
        for token in Token::parse_in_address(text) {
            let key = self.key(token.kid()).await?;
            if let Some(link) = key.and_then(|key| key.open(&token)) {
                return Ok(Some(link));
            }
        }
        Ok(None)
    }

    /// What a request to a tracked link asks for, and where a click leads. `None`: it was never signed here. As [`Self::open`] it asks
    /// the database only for a kid that is unknown.
    ///
    /// # Errors
    /// The kid is unknown, and the database does not answer.
    pub async fn open_tracked(
        &self,
        token: &str,
        target: Option<&str>,
    ) -> Result<Option<(Tracked, String)>, StoreError> {
        let Some(claimed) = Claimed::parse(token, target) else { return Ok(None) };
        let key = self.key(claimed.token().kid()).await?;
        Ok(key.and_then(|key| key.open_tracked(claimed)))
    }

    /// The key of this name.
    ///
    /// # Errors
    /// It is unknown, and the database does not answer.
    pub async fn key(&self, kid: Kid) -> Result<Option<LinkKey>, StoreError> {
        let asked_at = Instant::now();
        if let Some(key) = self.known().keys.get(&kid).cloned() {
            return Ok(Some(key));
        }
        let _reading = self.inner.reading.lock().await;
        {
            let known = self.known();
            let key = known.keys.get(&kid).cloned();
            let is_fresh = known.read_at.is_some_and(|at| at >= asked_at || at.elapsed() < LOOKED_UP_EVERY);
            if key.is_some() || is_fresh {
                return Ok(key);
            }
        }
        self.read().await?;
        Ok(self.known().keys.get(&kid).cloned())
    }

    /// Reads all keys, and creates the first one if there is none. Called at the start, so that tokens can be opened while the
    /// database is away.
    ///
    /// # Errors
    /// The database failed.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let read = |conn: &mut Conn| link_keys::newest_or_first(conn).and_then(|_| link_keys::all(conn));
        let keys = self.inner.store.transact(Lane::Control, "prepare the keys of links", read).await?;
        self.known().take_in(keys);
        Ok(())
    }

    /// Reads all keys. A failure counts as a look, too: a database that is away is not asked for every forged token.
    async fn read(&self) -> Result<(), StoreError> {
        self.known().read_at = Some(Instant::now());
        let keys = self.inner.store.run(Lane::LookUp, "read the keys of links", link_keys::all).await?;
        self.known().take_in(keys);
        Ok(())
    }

    /// Reads all keys again, so that the key of a rotation elsewhere is known before its first link is opened.
    ///
    /// # Errors
    /// The database failed.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _reading = self.inner.reading.lock().await;
        self.read().await
    }

    /// What a preview shows for the values that Volley brings: links that lead nowhere.
    #[must_use]
    pub fn sample(&self, settings: &Settings) -> Provided {
        Provided {
            unsubscribe_url: self.base().map(|base| format!("{base}/u/{SAMPLE}")),
            preferences_url: self.base().map(|base| format!("{base}/preferences/{SAMPLE}")),
            postal_address: settings.email.postal_address.clone(),
            ..Provided::default()
        }
    }

    /// The addresses that confirm the subscriptions of these contacts to `list`, each at its email address or phone; valid for
    /// seven days from now. None for contacts that are gone, and none at all where nobody has said where links lead
    /// (`links.public_url`).
    ///
    /// # Errors
    /// The database failed.
    pub async fn confirm_urls(
        &self,
        list: ListId,
        contacts: Vec<ContactId>,
    ) -> Result<HashMap<ContactId, String>, StoreError> {
        let Some(base) = self.base().filter(|_| !contacts.is_empty()) else { return Ok(HashMap::new()) };
        let read = move |conn: &mut Conn| Ok((engine::now(conn)?, standings::look(conn, &contacts)?));
        let (now, known) = self.inner.store.run(Lane::Read, "read whose subscriptions wait", read).await?;
        let newest = self.known().newest.clone();
        let key = match newest {
            Some(key) => key,
            None => {
                self.inner.store.transact(Lane::Control, "find the key of links", link_keys::newest_or_first).await?
            }
        };
        let url = |contact: KnownContact| {
            let (_, address) = addresses_of(&contact.keys).into_iter().next().filter(|_| !contact.is_deleted)?;
            let token = key.sign(&Link::confirm(list, contact.id, key.mark(&address), now));
            Some((contact.id, format!("{base}/confirm/{token}")))
        };
        Ok(known.into_iter().filter_map(url).collect())
    }
}

/// What stands for a recipient's token in a preview, which must not let anybody refuse in the recipient's name.
const SAMPLE: &str = "preview";

/// The links of one campaign's messages. The same recipient gets the same links, however often a message is made: the key is
/// the campaign's own, and ends count from its launch.
#[derive(Debug, Clone)]
pub struct CampaignLinks {
    base: Arc<str>,
    key: LinkKey,
    campaign: CampaignId,
    launched_at: UtcInstant,
}

impl CampaignLinks {
    /// The links of a campaign that was launched then, under its key.
    #[must_use]
    pub fn new(base: Arc<str>, key: LinkKey, campaign: CampaignId, launched_at: UtcInstant) -> Self {
        Self { base, key, campaign, launched_at }
    }

    /// The host of the links; `localhost` for an address of IPv6, whose brackets fit in no identifier.
    #[must_use]
    pub fn host(&self) -> String {
        let url = url::Url::parse(&self.base).ok();
        let host = url.as_ref().and_then(url::Url::host_str).filter(|host| !host.starts_with('['));
        host.unwrap_or("localhost").to_owned()
    }

    /// Signs what is tracked in the message of `contact`.
    #[must_use]
    pub fn tracker(&self, contact: ContactId) -> Tracker {
        Tracker::new(Arc::clone(&self.base), self.key.clone(), self.campaign, contact)
    }

    /// What links begin with.
    #[must_use]
    pub fn base(&self) -> Arc<str> {
        Arc::clone(&self.base)
    }

    /// Where `contact` refuses the campaign's topics.
    #[must_use]
    pub fn unsubscribe(&self, contact: ContactId) -> String {
        let token = self.key.sign(&Link::Unsubscribe { campaign: self.campaign, contact });
        format!("{}/u/{token}", self.base)
    }

    /// Where `contact` sees and changes what it agreed to.
    #[must_use]
    pub fn preferences(&self, contact: ContactId) -> String {
        let token = self.key.sign(&Link::preferences(self.campaign, contact, self.launched_at));
        format!("{}/preferences/{token}", self.base)
    }
}
