//! The keys that sign links. The newest signs; the others go on verifying, because a refusal never expires. So no row is ever
//! removed; there are as many as an operator has asked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;

use crate::domain::people::link::{Kid, LinkKey};
use crate::store::engine::schema::link_keys;
use crate::store::{Conn, StoreError, engine};

/// How often another kid is drawn if one is taken: a kid has 24 random bits.
const DRAWS: usize = 8;

/// Every key, the newest first.
///
/// # Errors
/// The query failed, or a stored key is not readable.
pub fn all(conn: &mut Conn) -> Result<Vec<LinkKey>, StoreError> {
    let stored: Vec<(String, String)> = link_keys::table
        .order((link_keys::created_at.desc(), link_keys::kid.desc()))
        .select((link_keys::kid, link_keys::secret))
        .load(conn)
        .map_err(StoreError::query("read the keys of links"))?;
    stored.iter().map(|(kid, secret)| read(kid, secret)).collect()
}

/// The key that signs from now on: the newest, or the first one, which is created. Call it in a write transaction.
///
/// # Errors
/// As [`all`]; or the system's random generator failed.
pub fn newest_or_first(conn: &mut Conn) -> Result<LinkKey, StoreError> {
    match all(conn)?.into_iter().next() {
        Some(key) => Ok(key),
        None => create(conn),
    }
}

/// Creates a key, which is the newest. Call it in a write transaction.
///
/// # Errors
/// As [`newest_or_first`].
pub fn create(conn: &mut Conn) -> Result<LinkKey, StoreError> {
    let known: Vec<String> =
        link_keys::table.select(link_keys::kid).load(conn).map_err(StoreError::query("read the keys of links"))?;
    let mut secret = [0_u8; 32];
    fill(&mut secret)?;
    for _ in 0..DRAWS {
        let mut random = [0_u8; 3];
        fill(&mut random)?;
        let kid = Kid::from_random(random);
        if known.iter().any(|other| other == kid.as_str()) {
            continue;
        }
        let now = engine::now(conn)?;
        // A clock that was set back must not leave an older key the newest.
        let last: Option<crate::domain::instant::UtcInstant> = link_keys::table
            .select(diesel::dsl::max(link_keys::created_at))
            .first(conn)
            .map_err(StoreError::query("read the keys of links"))?;
        let created_at = last.map_or(now, |last| now.max(last.plus_ms(1)));
        diesel::insert_into(link_keys::table)
            .values((
                link_keys::kid.eq(kid.as_str()),
                link_keys::secret.eq(URL_SAFE_NO_PAD.encode(secret)),
                link_keys::created_at.eq(created_at),
            ))
            .execute(conn)
            .map_err(StoreError::query("store a key of links"))?;
        return Ok(LinkKey::new(kid, &secret));
    }
    Err(StoreError::NoRandomness { detail: format!("{DRAWS} names of keys in a row were taken") })
}

fn fill(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::NoRandomness { detail: error.to_string() })
}

/// Says nothing of the secret.
fn read(kid: &str, secret: &str) -> Result<LinkKey, StoreError> {
    let secret = URL_SAFE_NO_PAD.decode(secret).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    match (Kid::parse(kid), secret) {
        (Some(kid), Some(secret)) => Ok(LinkKey::new(kid, &secret)),
        (None, _) | (_, None) => {
            Err(StoreError::Corrupt { what: "key of links", detail: "a key is damaged".to_owned() })
        }
    }
}
