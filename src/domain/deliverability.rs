//! What became of messages by pool, day and domain of the recipients: which domains are counted by themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::reports::ReportKind;
use super::text_enum::text_enum;

/// So many domains of a pool are counted by themselves on one day, all others together.
pub const MOST_DOMAINS: usize = 200;

/// What those others are counted as. No domain is called so: an email address has a domain with a dot.
pub const OTHER: &str = "other";

text_enum! {
    /// What is counted of a message, once for each recipient.
    Counted {
        /// The provider accepted it.
        Sent = "sent",
        /// It was reported as delivered.
        Delivered = "delivered",
        /// It came back for a reason that may pass.
        SoftBounced = "soft_bounced",
        /// It came back for a reason that will not pass.
        HardBounced = "hard_bounced",
        /// The recipient called it spam.
        Complained = "complained",
    }
}

impl Counted {
    /// What a report counts as, if it does.
    #[must_use]
    pub const fn of(kind: ReportKind) -> Option<Self> {
        match kind {
            ReportKind::Delivered => Some(Self::Delivered),
            ReportKind::SoftBounced => Some(Self::SoftBounced),
            ReportKind::HardBounced => Some(Self::HardBounced),
            ReportKind::Complained => Some(Self::Complained),
            ReportKind::Opened(_)
            | ReportKind::Clicked(_)
            | ReportKind::Replied
            | ReportKind::Unsubscribed
            | ReportKind::RejectedLater => None,
        }
    }
}

/// How many messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, utoipa::ToSchema)]
pub struct DomainFigures {
    /// Accepted by the provider.
    pub sent: i64,
    /// Reported as delivered. Not every provider reports it.
    pub delivered: i64,
    /// Came back for a reason that may pass.
    pub soft_bounced: i64,
    /// Came back for a reason that will not pass.
    pub hard_bounced: i64,
    /// Called spam by the recipient.
    pub complained: i64,
}

impl DomainFigures {
    fn total(self) -> i64 {
        self.sent + self.delivered + self.soft_bounced + self.hard_bounced + self.complained
    }

    fn plus(self, more: Self) -> Self {
        Self {
            sent: self.sent + more.sent,
            delivered: self.delivered + more.delivered,
            soft_bounced: self.soft_bounced + more.soft_bounced,
            hard_bounced: self.hard_bounced + more.hard_bounced,
            complained: self.complained + more.complained,
        }
    }
}

/// Where the news of one pool and day count, given the domains that have a row there. A domain gets a row while fewer than
/// [`MOST_DOMAINS`] have one, those with the most news first; it keeps its row, so that all its figures of a day stand in one place.
/// The empty domain is that of channels without domains.
#[must_use]
pub fn place(news: BTreeMap<String, DomainFigures>, known: &BTreeSet<String>) -> BTreeMap<String, DomainFigures> {
    let is_domain = |domain: &str| !domain.is_empty() && domain != OTHER;
    let mut free = MOST_DOMAINS.saturating_sub(known.iter().filter(|domain| is_domain(domain)).count());
    let mut news: Vec<(String, DomainFigures)> = news.into_iter().collect();
    // Stable: among equals, the order of their names decides.
    news.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.total()));
    let mut placed = BTreeMap::<String, DomainFigures>::new();
    for (domain, figures) in news {
        let is_new = is_domain(&domain) && !known.contains(&domain);
        let domain = match is_new {
            true if free == 0 => OTHER.to_owned(),
            true => {
                free -= 1;
                domain
            }
            false => domain,
        };
        let sum = placed.entry(domain).or_default();
        *sum = sum.plus(figures);
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sent: i64) -> DomainFigures {
        DomainFigures { sent, ..DomainFigures::default() }
    }

    fn news(all: &[(&str, i64)]) -> BTreeMap<String, DomainFigures> {
        all.iter().map(|(domain, n)| ((*domain).to_owned(), sent(*n))).collect()
    }

    #[test]
    fn the_largest_domains_get_the_rows_that_are_free_and_keep_them() {
        let mut known: BTreeSet<String> = (0..MOST_DOMAINS - 2).map(|n| format!("d{n}.example")).collect();
        known.extend([OTHER.to_owned(), String::new()]);
        let all = [("a.example", 1), ("b.example", 5), ("c.example", 3), ("d7.example", 1), (OTHER, 2), ("", 9)];
        let placed = place(news(&all), &known);
        let expected = [("", 9), ("b.example", 5), ("c.example", 3), ("d7.example", 1), (OTHER, 3)];
        assert_eq!(placed, news(&expected), "two rows were free");
        known.extend(placed.into_keys());
        let later = place(news(&[("gmail.example", 100_000), ("b.example", 1)]), &known);
        assert_eq!(later, news(&[("b.example", 1), (OTHER, 100_000)]));
    }

    #[test]
    fn however_many_domains_there_are_the_rows_are_bounded() {
        let all: BTreeMap<String, DomainFigures> = (0..5_000).map(|n| (format!("d{n}.example"), sent(1))).collect();
        let placed = place(all, &BTreeSet::new());
        assert_eq!(placed.len(), MOST_DOMAINS + 1);
        assert_eq!(placed[OTHER], sent(4_800));
    }
}
