//! Decisions: one in each file, made in one transaction, called by every door: HTTP, the scheduler, the broker.
//!
//! A service takes input that was parsed and checked, and who asks ([`By`]). It commits. Then it enters the new status in the
//! cache, writes a log line, and hints to the actors ([`Hints`]), in this order. It never knows HTTP.
//! Every decision writes its line of the [`audit`] log, in the same transaction.

pub mod access;
pub mod audit;
pub mod blocking;
mod by;
pub mod callbacks;
pub mod campaigns;
pub mod content;
pub mod events;
pub mod gathered;
mod hints;
pub mod import;
pub mod overview;
pub mod people;
pub mod reactions;
pub mod replicas;
pub mod segments;
pub mod tracking;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::by::{Asker, By};
pub use self::hints::Hints;
use crate::channels::Channel;
use crate::config::Settings;
use crate::runtime::status_cache::StatusCache;
use crate::runtime::suspensions::Suspensions;
use crate::store::Store;
use crate::store::people::refusals::RefusalBook;
use crate::store::replicas::kept_paces::Paces;

/// What every decision needs besides its input. One per process.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub store: Store,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Changed before a decision is answered: from then on no hand-over of this instance contradicts it.
    pub status: Arc<StatusCache>,
    /// Changed before the suspension of a pool is answered.
    pub suspensions: Suspensions,
    /// What each pool of this instance sends through, by its name. Tests are sent through it.
    pub channels: Arc<BTreeMap<String, Arc<dyn Channel>>>,
    /// The pace that each pool has found.
    pub paces: Paces,
    /// The links that messages have.
    pub links: people::links::Links,
    /// What proves requests of Amazon.
    pub sns: callbacks::sns::Sns,
    /// Where refusals are filed beside the database.
    pub refusals: RefusalBook,
    /// The preflights of this instance.
    pub preflights: campaigns::preflight::desk::Preflights,
    /// Told after the commit.
    pub hints: Arc<dyn Hints>,
}
