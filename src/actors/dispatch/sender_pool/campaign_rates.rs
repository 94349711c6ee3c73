//! The rates of the campaigns whose pages a pool holds: operators may change them at any moment.

use std::time::{Duration, Instant};

use actix::prelude::*;

use super::SenderPool;
use super::rate::Rate;
use crate::domain::ids::CampaignId;
use crate::store::{Lane, campaigns};

/// How long after a look at the rates the next one is: a change is in force everywhere within a second.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl SenderPool {
    /// Hands over a campaign's messages at this rate from now on, in hand-overs per second of all instances; 0 is no limit. A rate that
    /// stays the same keeps its tokens.
    pub(super) fn follow_rate(&mut self, campaign: CampaignId, rate: f64) {
        let known = self.admission.rates.get(&campaign).map_or(0.0, Rate::per_second);
        // Both are the same number of one column.
        if known.to_bits() == rate.max(0.0).to_bits() {
            return;
        }
        if rate <= 0.0 {
            self.admission.rates.remove(&campaign);
            return;
        }
        let shared = !self.deps.store.has_one_writer();
        let scope = format!("campaign:{campaign}");
        self.admission.rates.insert(campaign, Rate::new(scope, rate, rate / 10.0, shared, Instant::now()));
    }

    /// Looks again and again at the rates of the campaigns whose pages are held.
    pub(super) fn look_at_rates(&mut self, ctx: &mut Context<Self>) {
        let held = self.holdings.campaigns();
        if held.is_empty() {
            ctx.run_later(LOOK_AGAIN, Self::look_at_rates);
            return;
        }
        let (store, held) = (self.deps.store.clone(), held.into_iter().collect());
        let work = async move {
            store.run(Lane::Read, "look at the rates of campaigns", move |conn| campaigns::rates(conn, held)).await
        };
        ctx.spawn(work.into_actor(self).map(|result, pool, ctx| {
            match result {
                Ok(rates) => {
                    rates.into_iter().for_each(|(campaign, rate)| pool.follow_rate(campaign, rate));
                    pool.pump(ctx);
                }
                Err(error) => pool.store_failed(&error),
            }
            ctx.run_later(LOOK_AGAIN, Self::look_at_rates);
        }));
    }
}
