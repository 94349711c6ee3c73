//! What the calls of the last seconds came to, of all instances together.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Seconds, whole};

/// How many seconds are kept: the second look needs the twelve before a refusal and the five after it.
const KEPT: i64 = 20;

/// The results of one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Second {
    #[serde(rename = "t")]
    at: i64,
    #[serde(rename = "s")]
    started: u32,
    #[serde(rename = "a")]
    accepted: u32,
    #[serde(rename = "r")]
    refused: u32,
    /// The sum of what accepted calls took.
    #[serde(rename = "l")]
    latency: f64,
    /// Accepted and refused by domain, where there is one.
    #[serde(rename = "d")]
    domains: Vec<(u8, u32, u32)>,
}

/// Results by second, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Window(VecDeque<Second>);

/// How many results there were, and how many of them refusals.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Share {
    pub(super) results: u32,
    pub(super) refused: u32,
}

impl Share {
    /// The part that was refused, 0.0 to 1.0; 0.0 of nothing.
    pub(super) fn part(self) -> f64 {
        if self.results == 0 { 0.0 } else { f64::from(self.refused) / f64::from(self.results) }
    }

    /// The part that was refused, less what chance may have added: of ten results two may be refused by accident.
    pub(super) fn surely(self) -> f64 {
        let part = self.part();
        part - 1.3 * (part * (1.0 - part) / f64::from(self.results.max(1))).sqrt()
    }
}

/// How the recipients of one domain fared, and all others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Comparison {
    pub(super) own: Share,
    pub(super) others: Share,
}

/// The second that a time lies in.
pub(super) fn second_of(at: Seconds) -> i64 {
    i64::from(whole(at))
}

impl Window {
    fn at(&mut self, second: i64) -> Option<&mut Second> {
        let newest = self.0.back().map_or(second, |newest| newest.at.max(second));
        while self.0.front().is_some_and(|oldest| oldest.at + KEPT < newest) {
            self.0.pop_front();
        }
        if second + KEPT < newest {
            return None;
        }
        let place = match self.0.binary_search_by_key(&second, |known| known.at) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, Second { at: second, ..Second::default() });
                place
            }
        };
        self.0.get_mut(place)
    }

    pub(super) fn started(&mut self, second: i64, count: u32) {
        if count > 0
            && let Some(known) = self.at(second)
        {
            known.started += count;
        }
    }

    pub(super) fn accepted(&mut self, second: i64, count: u32, latency: f64) {
        if count > 0
            && let Some(known) = self.at(second)
        {
            known.accepted += count;
            known.latency += latency;
        }
    }

    pub(super) fn refused(&mut self, second: i64, domain: Option<u8>) {
        if let Some(known) = self.at(second) {
            known.refused += 1;
        }
        self.of_domain(second, domain, 0, 1);
    }

    pub(super) fn of_domain(&mut self, second: i64, domain: Option<u8>, accepted: u32, refused: u32) {
        let (Some(domain), Some(known)) = (domain, self.at(second)) else { return };
        match known.domains.iter_mut().find(|(known, ..)| *known == domain) {
            Some((_, a, r)) => (*a, *r) = (*a + accepted, *r + refused),
            None => known.domains.push((domain, accepted, refused)),
        }
    }

    /// How `domain` and the others fared from `from` to `to`, going back no further than `most` results.
    pub(super) fn compare(&self, domain: Option<u8>, from: i64, to: i64, most: u32) -> Comparison {
        let mut found = Comparison::default();
        for second in self.0.iter().rev().filter(|second| second.at <= to).take_while(|second| second.at >= from) {
            if found.own.results + found.others.results >= most {
                break;
            }
            let own = domain.and_then(|domain| second.domains.iter().find(|(known, ..)| *known == domain));
            let (accepted, refused) = own.map_or((0, 0), |(_, accepted, refused)| (*accepted, *refused));
            found.own.results += accepted + refused;
            found.own.refused += refused;
            found.others.results += (second.accepted + second.refused).saturating_sub(accepted + refused);
            found.others.refused += second.refused.saturating_sub(refused);
        }
        found
    }

    fn over(&self, now: Seconds, span: Seconds, of: impl Fn(&Second) -> f64) -> f64 {
        let from = second_of(now - span) + 1;
        let Some(first) = self.0.front().map(|oldest| oldest.at.max(from)) else { return 0.0 };
        let sum: f64 = self.0.iter().filter(|second| second.at >= from).map(of).sum();
        let began = f64::from(u32::try_from(first).unwrap_or(0));
        sum / (now - began).max(1.0)
    }

    /// Accepted calls a second over the last `span`.
    pub(super) fn accepted_per_second(&self, now: Seconds, span: Seconds) -> f64 {
        self.over(now, span, |second| f64::from(second.accepted))
    }

    /// Started calls a second over the last `span`, at the most: the newest call of a slow pool may not be told yet, and an
    /// older one may lie just before the first whole second. So one more is counted than was told.
    pub(super) fn started_per_second(&self, now: Seconds, span: Seconds) -> f64 {
        self.over(now, span, |second| f64::from(second.started)) + 1.0 / span.max(1.0)
    }

    /// Results a second over the last `span`.
    pub(super) fn results_per_second(&self, now: Seconds, span: Seconds) -> f64 {
        self.over(now, span, |second| f64::from(second.accepted + second.refused))
    }

    /// How many calls were under way at once, on average, that came to be accepted over the last `span`.
    pub(super) fn accepted_at_once(&self, now: Seconds, span: Seconds) -> f64 {
        self.over(now, span, |second| second.latency)
    }

    /// Whether anything was refused.
    pub(super) fn has_refusals(&self) -> bool {
        self.0.iter().any(|second| second.refused > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_pool_that_begins_as_many_calls_as_it_may_is_seen_to_do_so_at_any_moment() {
        for rate in [0.2, 0.5, 1.0, 2.0, 5.0] {
            for phase in 0..20 {
                let mut window = Window::default();
                let now = 1_000.0 + f64::from(phase) / 20.0;
                // The newest call begins now, and is not told yet.
                for number in 1..100 {
                    window.started(second_of(now - f64::from(number) / rate), 1);
                }
                let span = (3.0 / rate).clamp(3.0, 15.0);
                let seen = window.started_per_second(now, span);
                assert!(seen >= 0.7 * rate, "{seen:.2} of {rate} a second at {now}");
            }
        }
    }
}
