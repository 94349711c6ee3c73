use super::*;
use crate::domain::dispatch::why::facts::Attempt;

fn refused(claim_no: i32, state: DeliveryState) -> Attempt {
    Attempt {
        claim_no,
        state,
        category: Some(ErrorCategory::Refused),
        class: Some(AnswerClass::Recipient),
        reason: Some("452 mailbox full".to_owned()),
        at: UtcInstant(AFTER.0 + i64::from(claim_no)),
    }
}

#[test]
fn each_attempt_that_was_not_accepted_is_told() {
    let mut facts = with(DeliveryState::Sent, |delivery| delivery.claims = 3);
    facts.attempts = vec![refused(1, DeliveryState::Pending), refused(2, DeliveryState::Uncertain)];
    facts.attempts_kept = 2;
    let why = super::why(&facts);
    let told: Vec<_> = why.steps.iter().filter(|step| step.source == "attempt").collect();
    assert_eq!(
        told.iter().map(|step| step.fact.as_str()).collect::<Vec<_>>(),
        [
            "The attempt under claim 1 did not succeed, and was to be repeated: “452 mailbox full”. It is about this recipient.",
            "The attempt under claim 2 ended without a clear answer: “452 mailbox full”. It is about this recipient.",
        ]
    );
    assert_eq!(told[0].at, Some(UtcInstant(AFTER.0 + 1)));
    assert!(why.steps.iter().all(|step| step.source != "none"), "{:?}", why.steps);
}

#[test]
fn claims_without_a_record_are_said_to_have_none() {
    let mut facts = with(DeliveryState::Sent, |delivery| delivery.claims = 3);
    let last = |facts: &Facts| super::why(facts).steps.last().map(|step| (step.source.clone(), step.fact.clone()));
    let said = "Of 2 earlier claims, 2 are not recorded one by one: put off without counting, never begun, or made before Volley recorded attempts.";
    assert_eq!(last(&facts), Some(("none".to_owned(), said.to_owned())));
    facts.attempts = vec![refused(2, DeliveryState::Pending)];
    facts.attempts_kept = 1;
    let said = "Of 2 earlier claims, 1 is not recorded by itself: put off without counting, never begun, or made before Volley recorded attempts.";
    assert_eq!(last(&facts), Some(("none".to_owned(), said.to_owned())));
}

#[test]
fn who_was_tried_very_often_is_told_of_the_newest_attempts() {
    let mut facts = with(DeliveryState::Failed, |delivery| delivery.claims = 60);
    facts.attempts = (11..=60).map(|claim| refused(claim, DeliveryState::Pending)).collect();
    facts.attempts_kept = 60;
    let why = super::why(&facts);
    assert!(why.steps.iter().any(|step| step.fact == "Of 60 recorded attempts, the newest 50 are told here."));
    assert!(why.steps.iter().all(|step| step.source != "none"), "every claim has its row: {:?}", why.steps);
}
