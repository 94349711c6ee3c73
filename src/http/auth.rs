//! Who may call: Bearer API keys (RFC 6750).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderMap};
use subtle::ConstantTimeEq;

use super::web::problem::ApiError;
use crate::config::Auth as Settings;
use crate::domain::access::Rights;
use crate::domain::ids::ApiKeyId;
use crate::domain::instant::UtcInstant;
use crate::store::access::api_keys;
use crate::store::{Lane, Store, engine};

/// How long a key that was found valid is believed without asking the database again: the bound within which a
/// revocation on another instance takes effect here.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// Most keys remembered.
const REMEMBERED: usize = 1000;

/// Who called; in the extensions of an authenticated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The root key of the settings.
    Root,
    /// A stored key, and what it allows.
    Key(ApiKeyId, Rights),
}

impl Caller {
    /// What the caller may do.
    #[must_use]
    pub const fn rights(self) -> Rights {
        match self {
            Self::Root => Rights::ALL,
            Self::Key(_, rights) => rights,
        }
    }
}

/// Decides who may call.
pub struct Auth {
    root_hash: Option<String>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// Rises with every revocation: what was looked up before one is not remembered after it.
    epoch: u64,
    valid: HashMap<String, Known>,
    /// Hashes of sessions that were found valid.
    sessions: HashSet<String>,
}

/// A key that was found valid.
#[derive(Clone, Copy)]
struct Known {
    id: ApiKeyId,
    rights: Rights,
    /// Until when that is believed.
    until: Instant,
}

impl Auth {
    /// Authentication by the settings' root key and by stored keys.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let root_hash = settings.root_key.as_ref().map(|key| api_keys::hash(key.expose()));
        Self { root_hash, remembered: Mutex::default() }
    }

    /// Believes no key any more without asking the database. After a revocation: the key stops working here at once.
    pub fn forget(&self) {
        let mut remembered = self.lock();
        remembered.epoch += 1;
        let now = Instant::now();
        remembered.valid.values_mut().for_each(|known| known.until = now);
    }

    /// Who sends these headers. `count` counts a request without a key that is known to be valid, before the database is
    /// asked: it may refuse.
    pub(super) async fn caller(
        &self,
        store: &Store,
        headers: &HeaderMap,
        count: impl Fn() -> Result<(), ApiError>,
    ) -> Result<Caller, ApiError> {
        let Some(key) = bearer(headers) else { return Err(count().err().unwrap_or(ApiError::Unauthorized)) };
        self.holder(store, key, count).await
    }

    /// Whose key this is. As [`Auth::caller`] otherwise.
    pub(super) async fn holder(
        &self,
        store: &Store,
        key: &str,
        count: impl Fn() -> Result<(), ApiError>,
    ) -> Result<Caller, ApiError> {
        let hash = api_keys::hash(key);
        if self.root_hash.as_ref().is_some_and(|root| same(root, &hash)) {
            return Ok(Caller::Root);
        }
        let (epoch, known) = self.look_up(&hash);
        match known {
            Some(known) if Instant::now() < known.until => return Ok(Caller::Key(known.id, known.rights)),
            // It was valid a while ago, or before a revocation of some key.
            Some(_) => {}
            None => count()?,
        }
        if !api_keys::is_well_formed(key) {
            return Err(ApiError::Unauthorized);
        }
        let wanted = hash.clone();
        // Before the question: an answer that took long is believed for less.
        let asked = Instant::now();
        let found = store
            .run(Lane::LookUp, "look up an API key", move |conn| {
                let now = engine::now(conn)?;
                let found = api_keys::find_valid(conn, &wanted, now)?;
                Ok(found.filter(|(_, stored)| same(stored, &wanted)).map(|(row, _)| (row, now)))
            })
            .await?;
        let Some((row, now)) = found else {
            self.lock().valid.remove(&hash);
            return Err(ApiError::Unauthorized);
        };
        let (id, rights) = (row.id, row.rights());
        self.remember(epoch, hash, Known { id, rights, until: asked + believed_for(rights, now) });
        if api_keys::is_touch_due(&row, now) {
            let store = store.clone();
            // Nobody waits for it: a use that goes unrecorded harms nobody.
            actix_web::rt::spawn(async move {
                if let Err(error) =
                    store.run(Lane::Write, "record the use of an API key", move |conn| api_keys::touch(conn, id)).await
                {
                    tracing::debug!(
                        event = "key.use_unrecorded",
                        %error,
                        "the last use of an API key cannot be stored"
                    );
                }
            });
        }
        Ok(Caller::Key(id, rights))
    }

    /// The hash under which a session is stored that was opened with a stored key, or with the root key. Another root key in the
    /// settings makes another hash: it ends the sessions that were opened with the one before.
    pub(super) fn session_hash(&self, secret: &str, holder: Caller) -> Option<String> {
        match (holder, &self.root_hash) {
            (Caller::Key(..), _) => Some(api_keys::hash(secret)),
            (Caller::Root, Some(root)) => Some(api_keys::hash(&format!("{root} {secret}"))),
            (Caller::Root, None) => None,
        }
    }

    /// The hash of a session of the root key with this secret.
    pub(super) fn root_session_hash(&self, secret: &str) -> Option<String> {
        self.session_hash(secret, Caller::Root)
    }

    /// Whether a session with this hash was valid before: the database is asked for it without counting.
    pub(super) fn knows_session(&self, hash: &str) -> bool {
        self.lock().sessions.contains(hash)
    }

    /// Notes whether a session was found valid.
    pub(super) fn note_session(&self, hash: String, is_valid: bool) {
        let mut remembered = self.lock();
        if !is_valid {
            remembered.sessions.remove(&hash);
            return;
        }
        if remembered.sessions.len() >= REMEMBERED {
            remembered.sessions.clear();
        }
        remembered.sessions.insert(hash);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_up(&self, hash: &str) -> (u64, Option<Known>) {
        let remembered = self.lock();
        (remembered.epoch, remembered.valid.get(hash).copied())
    }

    fn remember(&self, epoch: u64, hash: String, known: Known) {
        let mut remembered = self.lock();
        if remembered.epoch != epoch {
            return;
        }
        if remembered.valid.len() >= REMEMBERED {
            remembered.valid.clear();
        }
        remembered.valid.insert(hash, known);
    }
}

/// How long a key is believed that was valid at `now`: never beyond its end.
fn believed_for(rights: Rights, now: UtcInstant) -> Duration {
    let left = rights.expires_at.map(|end| Duration::from_millis(u64::try_from(end.0 - now.0).unwrap_or(0)));
    left.map_or(BELIEVED_FOR, |left| left.min(BELIEVED_FOR))
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// The token of the only `Authorization` header, when its scheme is Bearer.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION);
    let (only, None) = (all.next()?, all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Scope;

    #[test]
    fn a_key_is_believed_for_a_second_and_never_beyond_its_end() {
        let until = |end: Option<i64>| Rights { scope: Scope::Read, expires_at: end.map(UtcInstant) };
        let now = UtcInstant(10_000);
        for (end, ms) in
            [(None, 1_000), (Some(60_000), 1_000), (Some(10_250), 250), (Some(10_000), 0), (Some(9_000), 0)]
        {
            assert_eq!(believed_for(until(end), now), Duration::from_millis(ms), "{end:?}");
        }
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn exactly_one_bearer_header_is_read() {
        assert_eq!(bearer(&headers(&["Bearer abc"])), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer abc"])), Some("abc"));
        for other in [&["Bearer"][..], &["Bearer "], &["Basic abc"], &["abc"], &[], &["Bearer a", "Bearer a"]] {
            assert_eq!(bearer(&headers(other)), None, "{other:?}");
        }
    }
}
