//! How long a delivery waits that was put off without an attempt.

use super::{Limits, Seconds};

/// The longest wait after a refusal that is about the provider for sure.
const LONGEST_STEP_BACK: Seconds = 30.0;

/// From the fourth time on, an unclear answer may be greylisting that wants this long.
const GREYLIST: Seconds = 300.0;

/// How long to wait for the `times`th time (1 for the first); `jitter` from 0.0 to 1.0 spreads it, only upwards.
pub(super) fn wait(limits: &Limits, is_sure: bool, times: u32, jitter: f64) -> Seconds {
    let spread = 1.0 + 0.5 * jitter.clamp(0.0, 1.0);
    let doublings = |most: u32| f64::from(1_u32 << times.saturating_sub(1).min(most));
    if is_sure {
        return (limits.step_back * doublings(5)).min(LONGEST_STEP_BACK) * spread;
    }
    let wait = limits.put_off * doublings(3);
    // Settings that shorten the first wait shorten this one, too.
    let greylist = GREYLIST * limits.put_off / 30.0;
    if times > 3 { wait.max(greylist) * spread } else { wait * spread }
}
