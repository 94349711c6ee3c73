//! Which preflights run on this instance, and their last results. In memory only: a result has personal data, and is old soon.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::domain::ids::CampaignId;
use crate::domain::preflight::{Progress, Report};

/// Most preflights at once on one instance.
const MOST_AT_ONCE: usize = 2;

/// How many results are kept, and for how long.
const MOST_KEPT: usize = 20;
const KEPT_FOR: Duration = Duration::from_secs(3_600);

/// The preflights of one instance.
#[derive(Clone, Default)]
pub struct Preflights(Arc<Mutex<Desk>>);

#[derive(Default)]
struct Desk {
    running: BTreeMap<CampaignId, watch::Receiver<Progress>>,
    /// The newest last.
    kept: VecDeque<(CampaignId, Instant, Arc<Report>)>,
}

/// Why a preflight does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// One of this campaign runs.
    #[error("a preflight of this campaign is under way on this instance")]
    ThisCampaign,
    /// As many as may run do.
    #[error("{MOST_AT_ONCE} preflights are under way on this instance, which is the most at once")]
    Others,
}

/// The right to run a preflight of one campaign; it ends when it is dropped.
pub struct Turn {
    desk: Preflights,
    campaign: CampaignId,
    progress: watch::Sender<Progress>,
}

impl Preflights {
    /// Takes the turn of a campaign.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn begin(&self, campaign: CampaignId) -> Result<Turn, Busy> {
        let mut desk = self.lock();
        if desk.running.contains_key(&campaign) {
            return Err(Busy::ThisCampaign);
        }
        if desk.running.len() >= MOST_AT_ONCE {
            return Err(Busy::Others);
        }
        let (progress, heard) = watch::channel(Progress::default());
        desk.running.insert(campaign, heard);
        Ok(Turn { desk: self.clone(), campaign, progress })
    }

    /// How far the preflight of a campaign is, if one runs.
    #[must_use]
    pub fn progress(&self, campaign: CampaignId) -> Option<Progress> {
        self.lock().running.get(&campaign).map(|heard| *heard.borrow())
    }

    /// The last result of a campaign, if it is kept.
    #[must_use]
    pub fn last(&self, campaign: CampaignId) -> Option<Arc<Report>> {
        let mut desk = self.lock();
        desk.kept.retain(|(_, at, _)| at.elapsed() < KEPT_FOR);
        desk.kept.iter().find(|(of, _, _)| *of == campaign).map(|(_, _, report)| Arc::clone(report))
    }

    fn keep(&self, campaign: CampaignId, report: Arc<Report>) {
        let mut desk = self.lock();
        desk.kept.retain(|(of, at, _)| *of != campaign && at.elapsed() < KEPT_FOR);
        if desk.kept.len() >= MOST_KEPT {
            desk.kept.pop_front();
        }
        desk.kept.push_back((campaign, Instant::now(), report));
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Tells how far it is.
    pub fn tell(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }

    /// Hears how far it is.
    #[must_use]
    pub fn listen(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Keeps the result for those who look at it later.
    pub fn keep(&self, report: Arc<Report>) {
        self.desk.keep(self.campaign, report);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.desk.lock().running.remove(&self.campaign);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_for_each_campaign_and_two_at_once() {
        let desk = Preflights::default();
        let first = desk.begin(CampaignId(1)).ok().unwrap();
        assert_eq!(desk.begin(CampaignId(1)).err(), Some(Busy::ThisCampaign));
        let second = desk.begin(CampaignId(2)).ok().unwrap();
        assert_eq!(desk.begin(CampaignId(3)).err(), Some(Busy::Others));
        second.tell(Progress { looked_at: 7, thousandths: 500 });
        assert_eq!(desk.progress(CampaignId(2)).unwrap().looked_at, 7);
        drop(first);
        assert!(desk.begin(CampaignId(3)).is_ok());
        assert_eq!(desk.progress(CampaignId(1)), None);
    }
}
