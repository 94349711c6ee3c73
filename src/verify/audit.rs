//! The reckoning: the provider's ledger against Volley's books, recipient by recipient.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VerifyError;
use super::api::Question;
use super::provider::kind::Kind;
use super::provider::ledger::{Ledger, number_in};
use super::stage::{Campaign, Stage};
use crate::domain::dispatch::delivery::DeliveryState;

/// The most recipients that are named for each kind of wrong.
const NAMED: usize = 5;

/// What became of one provider's recipients.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Whose.
    pub provider: Kind,
    /// Everyone: the audience, as it was imported.
    pub recipients: usize,
    /// All recipients in the books of Volley.
    pub counted: usize,
    /// Reported as sent.
    pub sent: usize,
    /// Reported as failed.
    pub failed: usize,
    /// Failed recipients that the provider had refused permanently.
    pub failed_by_refusal: usize,
    /// Reported as skipped.
    pub skipped: usize,
    /// Reported as uncertain.
    pub uncertain: usize,
    /// Uncertain recipients that the provider had accepted.
    pub uncertain_taken: usize,
    /// Taken more than once. Where keys are honoured, a repeated key is not taken again.
    pub twice: usize,
    /// Neither taken nor reported as failed, skipped or uncertain; or reported as sent and not taken.
    pub lost: usize,
    /// Taken, and reported as failed or skipped.
    pub misreported: usize,
    /// Hand-overs that began.
    pub begun: u64,
    /// Whole messages that were left without an answer.
    pub unanswered: usize,
    /// Requests under a key that was taken already.
    pub repeats: u64,
    /// Whatever is wrong, in words.
    pub complaints: Vec<String>,
}

impl Account {
    fn new(provider: Kind, ledger: &Ledger) -> Self {
        let totals = ledger.totals();
        let mut account = Self {
            begun: totals.begun,
            repeats: totals.repeats,
            unanswered: totals.unanswered,
            ..Self::empty(provider, ledger.recipients().len())
        };
        if totals.conflicts > 0 {
            account.complain(format!("{} times one key came with two bodies", totals.conflicts));
        }
        if totals.strangers > 0 {
            account.complain(format!("{} messages to addresses outside the audience", totals.strangers));
        }
        account
    }

    /// An account of that many recipients, before anything is known of them.
    pub(super) fn empty(provider: Kind, recipients: usize) -> Self {
        Self {
            provider,
            recipients,
            counted: 0,
            sent: 0,
            failed: 0,
            failed_by_refusal: 0,
            skipped: 0,
            uncertain: 0,
            uncertain_taken: 0,
            twice: 0,
            lost: 0,
            misreported: 0,
            begun: 0,
            unanswered: 0,
            repeats: 0,
            complaints: Vec::new(),
        }
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(format!("{}: {what}", self.provider.name()));
    }

    /// Judges everyone by what Volley reports; `None` where it reports nothing.
    fn judge(&mut self, ledger: &Ledger, reports: &[Option<Report>]) {
        let mut named: Vec<String> = Vec::new();
        for (recipient, report) in ledger.recipients().zip(reports) {
            let taken = ledger.times_taken(recipient).unwrap_or_default();
            let state = report.as_ref().map(|report| report.state);
            let mut wrong = None;
            self.counted += usize::from(state.is_some());
            match state {
                Some(DeliveryState::Sent) => {
                    self.sent += 1;
                    wrong = (taken == 0).then_some((&mut self.lost, "sent, and never taken"));
                }
                Some(DeliveryState::Uncertain) => {
                    self.uncertain += 1;
                    self.uncertain_taken += usize::from(taken > 0);
                    // Refused under its key after an attempt without an answer: that attempt may have been taken.
                    if self.provider == Kind::Http && !ledger.has_refused(recipient) {
                        let why = report.as_ref().and_then(|report| report.error.as_deref()).unwrap_or("no reason");
                        named.push(format!(
                            "recipient {recipient}: uncertain, though its key makes a repeat harmless: {why}"
                        ));
                    }
                }
                Some(state @ (DeliveryState::Failed | DeliveryState::Skipped)) => {
                    if state == DeliveryState::Failed {
                        self.failed += 1;
                        self.failed_by_refusal += usize::from(ledger.has_refused(recipient));
                    } else {
                        self.skipped += 1;
                    }
                    wrong = (taken > 0).then_some((&mut self.misreported, "taken, and reported otherwise"));
                }
                Some(DeliveryState::Pending | DeliveryState::Sending) | None => {
                    wrong = Some((&mut self.lost, "in no final state"));
                }
            }
            if let Some((count, what)) = wrong {
                *count += 1;
                named.push(format!("recipient {recipient}: {what}"));
            }
            if taken > 1 {
                self.twice += 1;
                named.push(format!("recipient {recipient}: taken {taken} times, reported {state:?}"));
            }
        }
        let more = named.len().saturating_sub(NAMED);
        for what in named.into_iter().take(NAMED) {
            self.complain(what);
        }
        if more > 0 {
            self.complain(format!("and {more} more"));
        }
    }
}

#[derive(Debug, Deserialize)]
struct Deliveries {
    data: Vec<Delivery>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    contact: Contact,
    #[serde(flatten)]
    report: Report,
}

/// What Volley says of one delivery.
#[derive(Debug, Clone, Deserialize)]
struct Report {
    #[serde(rename = "status")]
    state: DeliveryState,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Contact {
    email: Option<String>,
}

/// Holds the books of a campaign against its provider's ledger.
///
/// # Errors
/// The API does not answer, or not as it promises.
pub(super) async fn audit(stage: &Stage, campaign: &Campaign, ledger: &Ledger) -> Result<Account, VerifyError> {
    let mut account = Account::new(campaign.kind, ledger);
    let path = format!("/v1/campaigns/{}/audit", campaign.id);
    let books = stage.fleet.ask(Question::get(&path)).await?;
    if books.get("consistent").and_then(Value::as_bool) != Some(true) {
        account.complain(format!("rows and page counts disagree: {books}"));
    }
    // The audience was counted by what was imported, not by what the books hold.
    for figure in ["total", "page_sizes", "expected"] {
        let found = books.get(figure).and_then(Value::as_u64).and_then(|found| usize::try_from(found).ok());
        if found != Some(campaign.audience) {
            account.complain(format!("{figure} of the audit is not the audience of {}: {books}", campaign.audience));
        }
    }
    let first = ledger.recipients().start;
    let mut reports: Vec<Option<Report>> = vec![None; ledger.recipients().len()];
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/campaigns/{}/deliveries?page_size=100{cursor}", campaign.id);
        let page = stage.fleet.ask(Question::get(&path)).await?;
        let page: Deliveries =
            serde_json::from_value(page).map_err(|error| VerifyError::failed("read deliveries", &error))?;
        for Delivery { contact, report } in page.data {
            let number = contact.email.as_deref().and_then(number_in).and_then(|number| number.checked_sub(first));
            match number.and_then(|number| reports.get_mut(number)) {
                Some(place @ None) => *place = Some(report),
                Some(Some(_)) => account.complain(format!("two deliveries to {:?}", contact.email)),
                None => account.complain(format!("a delivery to an address outside the audience: {:?}", contact.email)),
            }
        }
        let Some(next) = page.next_cursor else { break };
        cursor = format!("&cursor={next}");
    }
    account.judge(ledger, &reports);
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::provider::ledger::Seen;

    fn judged(kind: Kind, taken: &[(usize, u64)], states: &[Option<DeliveryState>]) -> Account {
        let ledger = Ledger::new(1, states.len(), 1);
        for (recipient, key) in taken {
            ledger.take(*recipient, Seen { key: (kind == Kind::Http).then_some(*key), body: 0 });
        }
        let mut account = Account::new(kind, &ledger);
        account.judge(&ledger, &said(states));
        account
    }

    fn said(states: &[Option<DeliveryState>]) -> Vec<Option<Report>> {
        states.iter().map(|state| state.map(|state| Report { state, error: Some("no answer".to_owned()) })).collect()
    }

    const SENT: Option<DeliveryState> = Some(DeliveryState::Sent);
    const FAILED: Option<DeliveryState> = Some(DeliveryState::Failed);
    const UNCERTAIN: Option<DeliveryState> = Some(DeliveryState::Uncertain);

    #[test]
    fn whoever_was_taken_and_sent_or_refused_and_failed_is_well() {
        let account = judged(Kind::Smtp, &[(1, 0), (3, 0)], &[SENT, FAILED, UNCERTAIN, UNCERTAIN]);
        assert_eq!((account.lost, account.twice, account.misreported), (0, 0, 0));
        assert_eq!((account.uncertain, account.uncertain_taken), (2, 1));
        assert!(account.complaints.is_empty());
    }

    #[test]
    fn whoever_is_sent_without_being_taken_or_never_ends_is_lost() {
        let account = judged(Kind::Smtp, &[], &[SENT, Some(DeliveryState::Pending), None]);
        assert_eq!(account.lost, 3);
    }

    #[test]
    fn two_mails_are_twice_and_a_repeated_key_is_not() {
        assert_eq!(judged(Kind::Smtp, &[(1, 0), (1, 0)], &[SENT]).twice, 1);
        assert_eq!(judged(Kind::Http, &[(1, 7), (1, 7)], &[SENT]).twice, 0);
        assert_eq!(judged(Kind::Http, &[(1, 7), (1, 8)], &[SENT]).twice, 1);
    }

    #[test]
    fn taken_and_called_failed_is_a_false_report() {
        assert_eq!(judged(Kind::Smtp, &[(1, 0)], &[FAILED]).misreported, 1);
    }

    #[test]
    fn nothing_stays_uncertain_where_keys_are_honoured() {
        let complaints = judged(Kind::Http, &[(1, 7)], &[UNCERTAIN]).complaints;
        assert_eq!(complaints, ["http: recipient 1: uncertain, though its key makes a repeat harmless: no answer"]);
        let ledger = Ledger::new(1, 1, 1);
        ledger.refuse(1);
        let mut account = Account::new(Kind::Http, &ledger);
        account.judge(&ledger, &said(&[UNCERTAIN]));
        assert!(account.complaints.is_empty(), "an attempt before the refusal may have been taken");
    }
}
