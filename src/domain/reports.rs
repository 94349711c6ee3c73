//! Reports: what a provider or a tracked link says about one delivery after its hand-over.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ids::CampaignId;

/// Who opened a message, or followed a link of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reader {
    /// The recipient.
    Person,
    /// A scanner, a robot, a proxy or a mail program that loads everything in advance. It never counts as the recipient.
    Machine,
}

/// What a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReportKind {
    /// The message is in the recipient's mailbox, or on the telephone.
    Delivered,
    /// It came back for a reason that may pass.
    SoftBounced,
    /// It came back for a reason that will not pass.
    HardBounced,
    /// The recipient called it spam.
    Complained,
    /// It was opened.
    Opened(Reader),
    /// A link of it was followed.
    Clicked(Reader),
    /// The recipient answered it.
    Replied,
    /// The recipient unsubscribed by it.
    Unsubscribed,
    /// The provider did not take it, and says so only now.
    RejectedLater,
}

impl ReportKind {
    /// Every kind, by the number of its bit.
    pub const ALL: [Self; 11] = [
        Self::Delivered,
        Self::SoftBounced,
        Self::HardBounced,
        Self::Complained,
        Self::Opened(Reader::Person),
        Self::Opened(Reader::Machine),
        Self::Clicked(Reader::Person),
        Self::Clicked(Reader::Machine),
        Self::Replied,
        Self::Unsubscribed,
        Self::RejectedLater,
    ];

    /// Its bit in [`Reported`]. The table of deliveries holds these bits: none of them ever changes its meaning.
    const fn bit(self) -> i32 {
        match self {
            Self::Delivered => 1,
            Self::SoftBounced => 1 << 1,
            Self::HardBounced => 1 << 2,
            Self::Complained => 1 << 3,
            Self::Opened(Reader::Person) => 1 << 4,
            Self::Opened(Reader::Machine) => 1 << 5,
            Self::Clicked(Reader::Person) => 1 << 6,
            Self::Clicked(Reader::Machine) => 1 << 7,
            Self::Replied => 1 << 8,
            Self::Unsubscribed => 1 << 9,
            Self::RejectedLater => 1 << 10,
        }
    }

    /// The name of the event that the contact gets. `None`: a delivery is nothing that the contact did.
    #[must_use]
    pub const fn event(self) -> Option<&'static str> {
        match self {
            Self::Delivered => None,
            Self::SoftBounced => Some("message.soft_bounced"),
            Self::HardBounced => Some("message.hard_bounced"),
            Self::Complained => Some("message.complained"),
            Self::Opened(_) => Some("message.opened"),
            Self::Clicked(_) => Some("message.clicked"),
            Self::Replied => Some("message.replied"),
            Self::Unsubscribed => Some("message.unsubscribed"),
            Self::RejectedLater => Some("message.rejected_later"),
        }
    }

    /// What it is called in the header of an export, and in an archive. Opens and clicks by machines have names of their own.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::SoftBounced => "soft_bounced",
            Self::HardBounced => "hard_bounced",
            Self::Complained => "complained",
            Self::Opened(Reader::Person) => "opened",
            Self::Opened(Reader::Machine) => "machine_opened",
            Self::Clicked(Reader::Person) => "clicked",
            Self::Clicked(Reader::Machine) => "machine_clicked",
            Self::Replied => "replied",
            Self::Unsubscribed => "unsubscribed",
            Self::RejectedLater => "rejected_later",
        }
    }

    /// Who opened or clicked, where this is such a report.
    #[must_use]
    pub const fn reader(self) -> Option<Reader> {
        match self {
            Self::Opened(reader) | Self::Clicked(reader) => Some(reader),
            Self::Delivered
            | Self::SoftBounced
            | Self::HardBounced
            | Self::Complained
            | Self::Replied
            | Self::Unsubscribed
            | Self::RejectedLater => None,
        }
    }

    /// Whether it proves that the provider accepted the message. Only such a message can bounce, be opened or be complained of.
    #[must_use]
    pub const fn proves_acceptance(self) -> bool {
        match self {
            Self::RejectedLater => false,
            Self::Delivered
            | Self::SoftBounced
            | Self::HardBounced
            | Self::Complained
            | Self::Opened(_)
            | Self::Clicked(_)
            | Self::Replied
            | Self::Unsubscribed => true,
        }
    }

    /// The properties of its event, as a JSON object: `campaign_id`, for opens and clicks `machine`, and the details that its
    /// source gives.
    #[must_use]
    pub fn properties(self, campaign: CampaignId, details: &Map<String, Value>) -> String {
        let mut properties = details.clone();
        properties.insert("campaign_id".to_owned(), campaign.0.into());
        if let Some(reader) = self.reader() {
            properties.insert("machine".to_owned(), (reader == Reader::Machine).into());
        }
        Value::Object(properties).to_string()
    }
}

/// Which kinds of reports there were of a delivery: a bit for each kind, as stored. Bits of a newer version stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, diesel_derive_newtype::DieselNewType)]
pub struct Reported(i32);

impl Reported {
    /// Nothing was reported.
    pub const NONE: Self = Self(0);

    /// Whether there was such a report.
    #[must_use]
    pub const fn has(self, kind: ReportKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// With such a report.
    #[must_use]
    pub const fn with(self, kind: ReportKind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// Those of them that prove that the provider accepted the message.
    #[must_use]
    pub fn accepting() -> Self {
        ReportKind::ALL.into_iter().filter(|kind| kind.proves_acceptance()).fold(Self::default(), Self::with)
    }

    /// Whether one of them proves that the provider accepted the message.
    #[must_use]
    pub fn proves_acceptance(self) -> bool {
        self.0 & Self::accepting().0 != 0
    }

    /// The bits as a number, for SQL.
    #[must_use]
    pub const fn bits(self) -> i32 {
        self.0
    }
}

/// How often something was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, utoipa::ToSchema)]
pub struct ReportFigure {
    /// For how many recipients.
    pub recipients: i64,
    /// How often in all: a recipient may open a message twice.
    pub total: i64,
}

/// What was reported of a page or a campaign. A kind that is missing was never reported.
pub type ReportFigures = BTreeMap<ReportKind, ReportFigure>;

/// The part of a whole as a number from 0 to 1, to four digits. `None`: there is no whole. More than the whole counts as the whole:
/// a report may come before the outcome of its hand-over is recorded.
#[must_use]
pub fn rate(part: i64, whole: i64) -> Option<f64> {
    const STEPS: i64 = 10_000;
    if whole <= 0 {
        return None;
    }
    let steps = (part.clamp(0, whole).saturating_mul(STEPS).saturating_add(whole / 2)) / whole;
    i32::try_from(steps).ok().map(|steps| f64::from(steps) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_bit_of_its_own() {
        let mut seen = Reported::default();
        for kind in ReportKind::ALL {
            assert!(!seen.has(kind), "{kind:?}");
            seen = seen.with(kind);
            assert!(seen.has(kind), "{kind:?}");
        }
        assert_eq!(ReportKind::ALL.iter().copied().collect::<BTreeSet<_>>().len(), ReportKind::ALL.len());
        assert_eq!(seen.0, 0b111_1111_1111);
    }

    #[test]
    fn the_open_of_a_machine_is_not_that_of_a_person() {
        let scanned = Reported::default().with(ReportKind::Opened(Reader::Machine));
        assert!(!scanned.has(ReportKind::Opened(Reader::Person)));
        assert!(!scanned.has(ReportKind::Clicked(Reader::Machine)));
    }

    #[test]
    fn only_a_late_rejection_does_not_prove_that_the_message_was_accepted() {
        for kind in ReportKind::ALL {
            let proves = Reported::default().with(kind).proves_acceptance();
            assert_eq!(proves, kind != ReportKind::RejectedLater, "{kind:?}");
        }
        assert!(!Reported::default().proves_acceptance());
    }

    #[test]
    fn events_have_names_that_only_volley_gives_and_say_who_opened() {
        let named = ReportKind::ALL.into_iter().filter_map(ReportKind::event);
        assert!(named.clone().all(|name| name.starts_with("message.")));
        assert_eq!(named.count(), 10, "a delivery is no event");
        let details = Map::from_iter([("link".to_owned(), 2.into()), ("campaign_id".to_owned(), 9.into())]);
        let clicked = ReportKind::Clicked(Reader::Machine).properties(CampaignId(7), &details);
        assert_eq!(clicked, r#"{"campaign_id":7,"link":2,"machine":true}"#);
        assert_eq!(ReportKind::Replied.properties(CampaignId(7), &Map::new()), r#"{"campaign_id":7}"#);
    }

    #[test]
    fn a_rate_is_at_most_one_and_there_is_none_of_nothing() {
        assert_eq!(rate(1, 3), Some(0.3333));
        assert_eq!(rate(2, 3), Some(0.6667));
        assert_eq!(rate(0, 3), Some(0.0));
        assert_eq!(rate(4, 3), Some(1.0));
        assert_eq!(rate(1, 0), None);
    }
}
