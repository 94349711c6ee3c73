use super::*;
use crate::domain::dispatch::why::facts::Trouble;

#[test]
fn who_waits_for_a_campaign_that_cannot_go_on_reads_so_in_the_verdict() {
    let mut facts = with(DeliveryState::Pending, |_| {});
    facts.campaign.trouble = Some(Trouble { detail: "no instance has the pool main.".to_owned(), at: Some(AFTER) });
    let verdict = "Not sent yet: the campaign cannot go on: no instance has the pool main.";
    let why = assert_says(&facts, WhyState::Pending, verdict);
    assert_eq!(decisive(&why), [("The campaign cannot go on: no instance has the pool main.", "instance")]);
}
