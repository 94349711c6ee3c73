//! Whether a template or a campaign may have a content.

use std::collections::BTreeSet;

use crate::domain::channel::ChannelKind;
use crate::domain::content::check::{self, PartProblem};
use crate::domain::content::literal::check_literal;
use crate::domain::content::template::Content;
use crate::domain::people::contact::FieldError;
use crate::services::blocking::{Interrupted, blocking};
use crate::store::people::attributes;
use crate::store::{Lane, MayBeStoreError, Store, StoreError};

/// Why content is refused.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// What is wrong with which part.
    #[error("the content has {} problems", .0.len())]
    Parts(Vec<PartProblem>),
    /// What is wrong with what its emails have beside it, or with the texts that are to stay as they are.
    #[error("the fields of the email have {} problems", .0.len())]
    Email(Vec<FieldError>),
    /// The check was interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeStoreError for ContentError {
    fn into_store_error(self) -> Result<StoreError, Self> {
        match self {
            Self::Store(error) => Ok(error),
            refused @ (Self::Parts(_) | Self::Email(_) | Self::Interrupted(_)) => Err(refused),
        }
    }
}

/// Checks content for a channel, against the attributes that contacts have and these other names. Returns it with the line ends of word
/// processors as line breaks.
///
/// # Errors
/// [`ContentError`].
pub async fn check(
    store: &Store,
    channel: ChannelKind,
    content: Content,
    others: BTreeSet<String>,
) -> Result<Content, ContentError> {
    let mut known = store.run(Lane::Read, "read attribute names", attributes::known).await?;
    known.extend(others);
    let content = content.tidied();
    compile(channel, content.clone(), known, check::check).await?;
    Ok(content)
}

/// A check of the domain: content for a channel, and the names of the attributes that contacts have.
pub(in crate::services) type Check<T> = fn(ChannelKind, &Content, &BTreeSet<String>) -> Result<T, Vec<PartProblem>>;

/// Runs a check of the domain on a thread of its own: a large content keeps it busy.
pub(in crate::services) async fn compile<T: Send + 'static>(
    channel: ChannelKind,
    content: Content,
    known: BTreeSet<String>,
    check: Check<T>,
) -> Result<T, ContentError> {
    check_literal(&content.literal).map_err(ContentError::Email)?;
    blocking("check content", move || check(channel, &content, &known)).await?.map_err(ContentError::Parts)
}
