//! A callback comes in: verified, then stored, then answered.

use metrics::counter;

use super::hear::{Message, hear_once};
use super::sns::NotProved;
use crate::channels::fetch::NotFetched;
use crate::config::pools::CallbackConfig;
use crate::domain::callbacks::sns::Proved;
use crate::domain::callbacks::{Format, Incoming, Received, Said, Unverified, inbound, mail, short_key};
use crate::domain::instant::UtcInstant;
use crate::services::Services;
use crate::store::callbacks::{self, NewCallback};
use crate::store::{Conn, Lane, StoreError};

/// Why a callback was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotReceived {
    /// It does not come from the provider, or not now.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// The pool takes mail that comes back, and this is none.
    #[error("it is no mail")]
    NoMail,
    /// The provider has to be asked for it, and does not answer.
    #[error("Amazon cannot be asked: {0}")]
    Unreachable(NotFetched),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NotProved> for NotReceived {
    fn from(error: NotProved) -> Self {
        match error {
            NotProved::Unverified(error) => Self::Unverified(error),
            NotProved::Unreachable { why, .. } => Self::Unreachable(why),
        }
    }
}

/// What became of a callback that comes from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is stored, and will be read. A message that somebody sent has had its effect already.
    Stored,
    /// It is a repetition, and has no second effect.
    Repeated,
    /// The provider asked whether it may send here, and was told that it may.
    Confirmed,
    /// The provider says that it sends here no more.
    Ended,
}

/// The settings of callbacks of a pool. `None`: there is no such pool, or nothing to verify them by.
#[must_use]
pub fn door<'a>(services: &'a Services, pool: &str) -> Option<&'a CallbackConfig> {
    let pool = services.settings.pools.iter().find(|other| other.name == pool)?;
    pool.callbacks.as_ref().filter(|callbacks| callbacks.is_open())
}

/// Verifies what the head of a request says by itself, before its body is read.
///
/// # Errors
/// [`Unverified`].
pub fn greet(door: &CallbackConfig, head: &Incoming<'_>) -> Result<(), Unverified> {
    door.format.verify_head(head, &door.secrets()).inspect_err(|_unverified| count(door, "unverified"))
}

fn count(door: &CallbackConfig, result: &'static str) {
    counter!("volley_callbacks_total", "format" => door.format.as_str(), "result" => result).increment(1);
}

/// Verifies a callback and stores it.
///
/// # Errors
/// [`NotReceived`]; nothing is stored then.
pub async fn receive(
    services: &Services,
    pool: &str,
    door: &CallbackConfig,
    content_type: &str,
    incoming: &Incoming<'_>,
) -> Result<Receipt, NotReceived> {
    let received = verify_and_store(services, pool, door, content_type, incoming).await;
    let result = match &received {
        Ok(Receipt::Stored) => "stored",
        Ok(Receipt::Repeated) => "repeated",
        Ok(Receipt::Confirmed) => "confirmed",
        Ok(Receipt::Ended) => "ended",
        Err(NotReceived::Unverified(_)) => "unverified",
        Err(NotReceived::NoMail) => "refused",
        Err(NotReceived::Unreachable(_)) => "unreachable",
        Err(NotReceived::Store(_)) => "failed",
    };
    count(door, result);
    received
}

async fn verify_and_store(
    services: &Services,
    pool: &str,
    door: &CallbackConfig,
    content_type: &str,
    incoming: &Incoming<'_>,
) -> Result<Receipt, NotReceived> {
    let key = if door.format == Format::Ses {
        match services.sns.prove(incoming, &door.topics).await.inspect_err(|error| say(pool, error))? {
            Proved::Notification(id) => short_key(&id),
            Proved::Subscription { topic, url } => return confirm(services, pool, &topic, &url).await,
            Proved::Unsubscribed(topic) => {
                tracing::warn!(
                    event = "callbacks.ended",
                    pool,
                    topic,
                    "Amazon says that a topic of the pool sends no more callbacks; if it should, subscribe the address again"
                );
                return Ok(Receipt::Ended);
            }
        }
    } else {
        door.format.verify(incoming, &door.secrets())?
    };
    if door.format == Format::Mail && !mail::is_message(content_type) {
        return Err(NotReceived::NoMail);
    }
    let callback = NewCallback {
        pool: pool.to_owned(),
        format: door.format,
        content_type: content_type.to_owned(),
        key,
        body: door.format.stored(incoming.body),
    };
    if let Some(message) = message(services, &callback, incoming.now) {
        match hear_once(&services.store, &services.refusals, message, None).await {
            Ok(true) => return Ok(Receipt::Stored),
            Ok(false) => return Ok(Receipt::Repeated),
            Err(error) if error.is_outage() => return Err(error.into()),
            // Others were moving the same rows: a reader tries again.
            Err(_) => {}
        }
    }
    let store = move |conn: &mut Conn| callbacks::store(conn, &callback);
    let is_new = services.store.transact::<_, StoreError>(Lane::Write, "store a callback", store).await?;
    Ok(if is_new { Receipt::Stored } else { Receipt::Repeated })
}

/// The message that somebody sent, if that is what came. What is not understood is stored, and fails where operators see it.
fn message(services: &Services, callback: &NewCallback, now: UtcInstant) -> Option<Message> {
    // Most callbacks are reports: none of them is read twice.
    if callback.format != Format::StandardWebhooks || !callback.body.contains(inbound::TYPE) {
        return None;
    }
    let NewCallback { pool, content_type, body, key, .. } = callback;
    let Said::Message(inbound) = callback.format.read(&Received { content_type, body, key }).ok()? else { return None };
    let by = services.settings.pools.iter().find(|other| other.name == *pool).map(|pool| pool.channel);
    Message::new(pool, by, inbound, &services.settings.inbound.words(), now).ok()
}

/// A request that is not verified is counted; the log says when that is nobody's fault who sent it.
fn say(pool: &str, error: &NotProved) {
    if let NotProved::Unreachable { topic, why } = error {
        tracing::warn!(
            event = "callbacks.unproved",
            pool,
            topic,
            error = %why,
            "Amazon's certificate cannot be fetched; its callback was not taken, and comes again for a while"
        );
    }
}

/// Lets a topic of the pool send here.
async fn confirm(services: &Services, pool: &str, topic: &str, url: &str) -> Result<Receipt, NotReceived> {
    match services.sns.confirm(url).await {
        Ok(()) => {
            tracing::info!(
                event = "callbacks.confirmed",
                pool,
                topic,
                "a topic of the pool sends its callbacks here from now on"
            );
            Ok(Receipt::Confirmed)
        }
        Err(error) => {
            tracing::warn!(
                event = "callbacks.unconfirmed",
                pool,
                topic,
                error = %error,
                "Amazon did not take the confirmation of a topic; it asks again for a while"
            );
            Err(NotReceived::Unreachable(error))
        }
    }
}
