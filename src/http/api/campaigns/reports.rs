//! What was reported of a campaign's messages, as clients read it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::reports::{Reader, ReportFigure, ReportFigures, ReportKind, rate};

/// What providers and tracked links have reported of the campaign's messages. A recipient counts once for each kind of report.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct CampaignReports {
    /// In the mailbox, or on the telephone. Not every provider reports it.
    delivered: ReportFigure,
    /// Came back for a reason that may pass.
    soft_bounced: ReportFigure,
    /// Came back for a reason that will not pass.
    hard_bounced: ReportFigure,
    /// Not accepted by the provider, as it said only later.
    rejected_later: ReportFigure,
    /// Called spam.
    complained: ReportFigure,
    /// Opened by people.
    opened: ReportFigure,
    /// A link was followed by people.
    clicked: ReportFigure,
    /// Answered.
    replied: ReportFigure,
    /// Unsubscribed by the message.
    unsubscribed: ReportFigure,
    machine: MachineReports,
    rates: ReportRates,
}

/// Opens and clicks by machines: scanners, robots, proxies and programs that load everything in advance. They are in no other figure
/// and in no rate.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct MachineReports {
    opened: ReportFigure,
    clicked: ReportFigure,
}

/// Shares from 0 to 1: `of_sent` of the messages that were sent, `of_delivered` of those that were reported as delivered. Null while
/// there are none.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct ReportRates {
    /// Of the messages that the provider accepted.
    of_sent: Option<RatesOfSent>,
    /// Of the messages that were reported as delivered.
    of_delivered: Option<RatesOfDelivered>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct RatesOfSent {
    delivered: f64,
    soft_bounced: f64,
    hard_bounced: f64,
    complained: f64,
    opened: f64,
    clicked: f64,
    replied: f64,
    unsubscribed: f64,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct RatesOfDelivered {
    complained: f64,
    opened: f64,
    clicked: f64,
    replied: f64,
    unsubscribed: f64,
}

impl CampaignReports {
    /// Of a campaign of which so many messages were accepted.
    pub(super) fn new(figures: &ReportFigures, sent: i64) -> Self {
        let of = |kind| figures.get(&kind).copied().unwrap_or_default();
        let mut reports = Self {
            delivered: of(ReportKind::Delivered),
            soft_bounced: of(ReportKind::SoftBounced),
            hard_bounced: of(ReportKind::HardBounced),
            rejected_later: of(ReportKind::RejectedLater),
            complained: of(ReportKind::Complained),
            opened: of(ReportKind::Opened(Reader::Person)),
            clicked: of(ReportKind::Clicked(Reader::Person)),
            replied: of(ReportKind::Replied),
            unsubscribed: of(ReportKind::Unsubscribed),
            machine: MachineReports {
                opened: of(ReportKind::Opened(Reader::Machine)),
                clicked: of(ReportKind::Clicked(Reader::Machine)),
            },
            rates: ReportRates { of_sent: None, of_delivered: None },
        };
        reports.rates = ReportRates { of_sent: reports.of_sent(sent), of_delivered: reports.of_delivered() };
        reports
    }

    fn of_sent(&self, sent: i64) -> Option<RatesOfSent> {
        let part = |figure: ReportFigure| rate(figure.recipients, sent);
        Some(RatesOfSent {
            delivered: part(self.delivered)?,
            soft_bounced: part(self.soft_bounced)?,
            hard_bounced: part(self.hard_bounced)?,
            complained: part(self.complained)?,
            opened: part(self.opened)?,
            clicked: part(self.clicked)?,
            replied: part(self.replied)?,
            unsubscribed: part(self.unsubscribed)?,
        })
    }

    fn of_delivered(&self) -> Option<RatesOfDelivered> {
        let part = |figure: ReportFigure| rate(figure.recipients, self.delivered.recipients);
        Some(RatesOfDelivered {
            complained: part(self.complained)?,
            opened: part(self.opened)?,
            clicked: part(self.clicked)?,
            replied: part(self.replied)?,
            unsubscribed: part(self.unsubscribed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn machines_stand_apart_and_rates_name_what_they_are_parts_of() {
        let figure = |recipients, total| ReportFigure { recipients, total };
        let figures = ReportFigures::from([
            (ReportKind::Delivered, figure(8, 8)),
            (ReportKind::Opened(Reader::Person), figure(4, 9)),
            (ReportKind::Opened(Reader::Machine), figure(7, 20)),
        ]);
        let shown = serde_json::to_value(CampaignReports::new(&figures, 10)).unwrap();
        assert_eq!(shown["opened"], json!({ "recipients": 4, "total": 9 }));
        assert_eq!(shown["machine"]["opened"], json!({ "recipients": 7, "total": 20 }));
        assert_eq!(shown["clicked"], json!({ "recipients": 0, "total": 0 }));
        assert_eq!(shown["rates"]["of_sent"]["delivered"], 0.8);
        assert_eq!(shown["rates"]["of_sent"]["opened"], 0.4);
        assert_eq!(shown["rates"]["of_delivered"]["opened"], 0.5);
    }

    #[test]
    fn where_no_delivery_is_reported_there_is_no_rate_of_it() {
        let figures = ReportFigures::from([(ReportKind::HardBounced, ReportFigure { recipients: 1, total: 1 })]);
        let shown = serde_json::to_value(CampaignReports::new(&figures, 0)).unwrap();
        assert_eq!(shown["rates"], json!({ "of_sent": null, "of_delivered": null }));
    }
}
