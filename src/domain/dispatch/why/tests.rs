mod attempts;
mod stuck;
use super::answer::{WhyAct, WhyState};
use super::facts::{Against, By, Campaign, Clause, Delivery, Facts, Heard, OnList, Packing, Page, Person, Suspension};
use super::*;
use crate::domain::campaigns::{CampaignOutcome, CampaignStatus};
use crate::domain::channel::ChannelKind;
use crate::domain::content::category::Category;
use crate::domain::dispatch::answer::AnswerClass;
use crate::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use crate::domain::dispatch::eligibility::Held;
use crate::domain::ids::{CampaignId, ContactId, EventId, InstanceId, ListId, PageId, SegmentId};
use crate::domain::instant::UtcInstant;
use crate::domain::people::standing::Standing;
use crate::domain::reports::{Reader, ReportKind};

const NOW: UtcInstant = UtcInstant(1_000_000);
const LAUNCH: UtcInstant = UtcInstant(500_000);
const BEFORE: UtcInstant = UtcInstant(400_000);
const AFTER: UtcInstant = UtcInstant(600_000);

fn on(standing: Standing, at: UtcInstant) -> Option<OnList> {
    Some(OnList { standing, status_at: Some(at), created_at: BEFORE })
}

fn list(id: i64, standing: Option<OnList>) -> By {
    By::List { id: ListId(id), name: Some("Customers".to_owned()), default_opt_in: false, standing }
}

fn names(by: By) -> Clause {
    Clause { excludes: false, by }
}

fn leaves_out(by: By) -> Clause {
    Clause { excludes: true, by }
}

/// A campaign that is being sent to list 1, and contact 7, who is subscribed to it and not packed yet.
fn facts() -> Facts {
    Facts {
        now: NOW,
        contact: Person {
            id: ContactId(7),
            created_at: Some(BEFORE),
            deleted_at: None,
            introduced_at: Some(BEFORE),
            address: Ok("ann@example.com".to_owned()),
        },
        campaign: Campaign {
            id: CampaignId(3),
            status: CampaignStatus::Sending,
            channel: ChannelKind::Email,
            category: Category::Marketing,
            pool: Some("main".to_owned()),
            outcome: None,
            launch_error: None,
            scheduled_at: None,
            launched_at: Some(LAUNCH),
            ended_at: None,
            decided_at: None,
            paused_for: None,
            suspension: None,
            trouble: None,
        },
        clauses: vec![names(list(1, on(Standing::Subscribed, BEFORE)))],
        packing: Some(Packing { cursor: ContactId(2), last: ContactId(90), is_done: false }),
        page: None,
        delivery: None,
        attempts: Vec::new(),
        attempts_kept: 0,
        against: Against {
            may_send: Ok(()),
            held: Held::default(),
            source: None,
            topics: vec![(ListId(1), Some(Standing::Subscribed))],
        },
        reports: Vec::new(),
    }
}

fn with(state: DeliveryState, change: impl FnOnce(&mut Delivery)) -> Facts {
    let mut delivery = Delivery {
        state,
        attempts: 0,
        put_offs: 0,
        claims: 0,
        ambiguous: false,
        reason: None,
        category: None,
        class: None,
        provider_id: None,
        due_at: UtcInstant(0),
        claimed_at: None,
        settled_at: None,
    };
    change(&mut delivery);
    let page = Page { id: PageId(212), seq: 4, owner: None, lease_until: None };
    Facts { delivery: Some(delivery), page: Some(page), ..facts() }
}

fn failed(category: Option<ErrorCategory>, class: Option<AnswerClass>, reason: &str) -> Facts {
    with(DeliveryState::Failed, |delivery| {
        (delivery.category, delivery.class, delivery.reason) = (category, class, Some(reason.to_owned()));
    })
}

fn skipped(reason: SkipReason) -> Facts {
    with(DeliveryState::Skipped, |delivery| delivery.reason = Some(reason.as_str().to_owned()))
}

#[track_caller]
fn assert_says(facts: &Facts, place: WhyState, verdict: &str) -> Why {
    let why = why(facts);
    assert_eq!((why.place, why.verdict.as_str()), (place, verdict));
    for step in &why.steps {
        assert!(!step.fact.is_empty() && !step.source.is_empty(), "{step:?}");
        assert!(step.fact.ends_with('.') && !step.fact.ends_with(".."), "a sentence: {step:?}");
    }
    why
}

/// The facts that a verdict rests on.
fn decisive(why: &Why) -> Vec<(&str, &str)> {
    let steps = why.steps.iter().filter(|step| step.decides);
    steps.map(|step| (step.fact.as_str(), step.source.as_str())).collect()
}

fn acts(why: &Why) -> Vec<WhyAct> {
    why.can.iter().map(|way| way.act).collect()
}

#[test]
fn who_got_the_message_is_told_from_the_list_to_the_providers_id() {
    let facts = with(DeliveryState::Sent, |delivery| {
        (delivery.claims, delivery.attempts) = (1, 1);
        (delivery.claimed_at, delivery.settled_at) = (Some(AFTER), Some(NOW));
        delivery.provider_id = Some("m-1".to_owned());
    });
    let why = assert_says(&facts, WhyState::Sent, "Sent: the provider took the message.");
    let told: Vec<(&str, &str, Option<UtcInstant>)> =
        why.steps.iter().map(|step| (step.fact.as_str(), step.source.as_str(), step.at)).collect();
    assert_eq!(
        told,
        [
            ("Named by list 1 (Customers): subscribed.", "list 1", Some(BEFORE)),
            ("The contact has an address for channel email.", "contact 7", None),
            ("Nothing is held against the address.", "suppression", None),
            ("Subscribed to the topic.", "list 1", None),
            ("The campaign was launched.", "campaign 3", Some(LAUNCH)),
            ("Packed on page 4 of the campaign.", "page 212", None),
            ("Claimed for a hand-over once.", "delivery", Some(AFTER)),
            ("1 attempt has counted.", "delivery", None),
            ("The provider took it, as its message m-1.", "delivery", Some(NOW)),
        ]
    );
    assert_eq!(acts(&why), []);
}

#[test]
fn what_was_reported_afterwards_is_part_of_the_verdict() {
    for (kind, after) in [
        (ReportKind::HardBounced, "it came back as a hard bounce"),
        (ReportKind::SoftBounced, "it came back as a soft bounce"),
        (ReportKind::Complained, "the recipient called it spam"),
        (ReportKind::Opened(Reader::Person), "it was opened"),
        (ReportKind::Opened(Reader::Machine), "a machine loaded it"),
        (ReportKind::Clicked(Reader::Person), "a link of it was followed"),
        (ReportKind::Delivered, "it was reported as delivered"),
    ] {
        let heard = Heard { kind, event: Some((EventId(9), AFTER)), link: None };
        let facts = Facts { reports: vec![heard], ..with(DeliveryState::Sent, |_| {}) };
        let why = assert_says(&facts, WhyState::Sent, &format!("Sent: the provider took the message; {after}."));
        let step = why.steps.last().unwrap();
        assert_eq!((step.source.as_str(), step.at), ("event 9", Some(AFTER)));
    }
    let clicked = Heard { kind: ReportKind::Clicked(Reader::Person), event: None, link: Some(2) };
    let facts = Facts { reports: vec![clicked], ..with(DeliveryState::Sent, |_| {}) };
    let why = why(&facts);
    assert_eq!(why.steps.last().unwrap().fact, "A link of it was followed: link 2.");
    assert_eq!(why.steps.last().unwrap().source, "delivery", "the bit is there, and no event is kept");
}

#[test]
fn every_report_has_its_place_among_those_that_are_told() {
    for kind in ReportKind::ALL {
        assert_eq!(ORDER.iter().filter(|told| **told == kind).count(), 1, "{kind:?}");
    }
}

#[test]
fn a_failure_says_whose_trouble_it_was_and_quotes_the_last_words() {
    use AnswerClass as C;
    use ErrorCategory as E;
    for (category, class, says) in [
        (E::Refused, Some(C::Address), "Not sent: the provider says that the address does not exist (“550 no”)."),
        (E::Refused, Some(C::Recipient), "Not sent: the provider refused this recipient (“550 no”)."),
        (E::Refused, None, "Not sent: the provider refused it (“550 no”)."),
        (E::Policy, Some(C::Policy), "Not sent: a policy of the provider or the receiving side refused it (“550 no”)."),
        (E::Render, None, "Not sent: the message could not be made for this contact (“550 no”)."),
        (E::Resolved, None, "Not sent, as an operator has noted: it had been uncertain."),
    ] {
        assert_says(&failed(Some(category), class, "550 no"), WhyState::Failed, says);
    }
    for category in ErrorCategory::ALL {
        let why = why(&failed(Some(*category), None, "x"));
        assert!(why.verdict.starts_with("Not sent"), "{category}: {}", why.verdict);
        assert!(!decisive(&why).is_empty(), "{category}");
    }
    let late = failed(None, None, "not_accepted");
    assert_says(
        &late,
        WhyState::Failed,
        "Not sent: the provider is known not to have taken it, too late for another attempt.",
    );
    let long = failed(Some(E::Network), None, &"long ".repeat(100));
    assert!(why(&long).verdict.chars().count() < 250, "it is still a sentence");
}

#[test]
fn failed_ones_can_be_tried_again_once_nothing_more_goes_out() {
    let mut facts = failed(Some(ErrorCategory::Refused), Some(AnswerClass::Address), "550 no such user");
    assert_eq!(acts(&why(&facts)), [WhyAct::ChangeContact], "while it is sent, its failures are not final");
    facts.campaign.status = CampaignStatus::Sent;
    assert_eq!(acts(&why(&facts)), [WhyAct::ChangeContact, WhyAct::Retry]);
    facts.campaign.status = CampaignStatus::Stopped;
    facts.delivery.as_mut().unwrap().class = None;
    assert_eq!(acts(&why(&facts)), [], "a stop is final");
}

#[test]
fn every_reason_to_skip_is_said_in_words_and_points_to_what_holds_now() {
    for reason in SkipReason::ALL {
        let why = why(&skipped(*reason));
        assert_eq!(why.place, WhyState::Skipped);
        assert!(why.verdict.starts_with("Not sent: ") && !why.verdict.contains('_'), "{}", why.verdict);
        assert!(
            decisive(&why).iter().any(|(fact, source)| fact.starts_with("It was skipped: ") && *source == "delivery")
        );
    }
    let held = Held { bounced_at: Some(BEFORE), ..Held::default() };
    let mut facts = skipped(SkipReason::Suppressed);
    facts.against = Against {
        may_send: Err(SkipReason::Suppressed),
        held,
        source: Some("pool: main".to_owned()),
        ..facts.against.clone()
    };
    let bounced = why(&facts);
    let fact = "A message came back because the address does not exist, so it gets nothing more (pool: main).";
    assert!(decisive(&bounced).contains(&(fact, "suppression")), "{:?}", bounced.steps);
    assert!(!decisive(&bounced).iter().any(|(_, source)| *source == "list 1"), "the topic has nothing to do with it");
    assert_eq!(acts(&bounced), [WhyAct::Lift]);
    assert_eq!(bounced.can[0].body, Some(serde_json::json!({ "address": "ann@example.com", "reason": "bounced" })));

    let mut facts = skipped(SkipReason::NoAddress);
    facts.contact.address = Err(SkipReason::NoAddress);
    let unreachable = why(&facts);
    assert_eq!(decisive(&unreachable)[0], ("The contact has no address for channel email.", "contact 7"));
    assert_eq!(acts(&unreachable), [WhyAct::ChangeContact]);

    let mut facts = skipped(SkipReason::NotSubscribed);
    facts.against.may_send = Err(SkipReason::NotSubscribed);
    facts.against.topics = vec![(ListId(5), None)];
    let unknown = why(&facts);
    assert!(decisive(&unknown).contains(&("No standing on the topic.", "list 5")));
    assert_eq!(unknown.can[0].path, "/v1/lists/5/subscribe");
}

#[test]
fn a_stop_that_came_first_is_the_reason() {
    let mut facts = skipped(SkipReason::Stopped);
    facts.campaign.status = CampaignStatus::Stopped;
    facts.campaign.decided_at = Some(AFTER);
    let why = assert_says(&facts, WhyState::Skipped, "Not sent: the campaign was stopped first.");
    assert_eq!(decisive(&why)[0], ("The campaign was stopped.", "campaign decision"));
    assert_eq!(acts(&why), []);
}

#[test]
fn uncertain_says_that_asking_again_could_send_twice_and_can_be_resolved() {
    let facts = with(DeliveryState::Uncertain, |delivery| {
        (delivery.claims, delivery.ambiguous) = (1, true);
        delivery.reason = Some("the connection was cut after the content had left".to_owned());
        delivery.category = Some(ErrorCategory::Network);
    });
    let why = assert_says(
        &facts,
        WhyState::Uncertain,
        "Unknown whether it arrived: a hand-over began, and no clear answer came (“the connection was cut after the content had \
         left”). Asking again could send it twice.",
    );
    assert_eq!(acts(&why), [WhyAct::ResolveSent, WhyAct::ResolveFailed, WhyAct::ResolvePending]);
    assert!(why.can.iter().all(|way| way.path == "/v1/campaigns/3/deliveries/resolve"));
    assert_eq!(decisive(&why).len(), 2, "{:?}", why.steps);
    let mut stopped = facts;
    stopped.campaign.status = CampaignStatus::Stopped;
    assert_eq!(acts(&super::why(&stopped)), [WhyAct::ResolveSent, WhyAct::ResolveFailed]);
    let refused = with(DeliveryState::Uncertain, |delivery| {
        (delivery.ambiguous, delivery.reason) = (true, Some("unsubscribed".to_owned()));
    });
    assert_says(
        &refused,
        WhyState::Uncertain,
        "Unknown whether it arrived: an attempt went unanswered, and it is not repeated because the person has refused messages of \
         this kind.",
    );
}

#[test]
fn who_waits_is_told_what_for() {
    let pending = |change: fn(&mut Facts)| {
        let mut facts = with(DeliveryState::Pending, |_| {});
        change(&mut facts);
        facts
    };
    assert_says(&pending(|_| {}), WhyState::Pending, "Not sent yet: it waits for its turn.");
    let later = pending(|facts| {
        let delivery = facts.delivery.as_mut().unwrap();
        (delivery.due_at, delivery.attempts, delivery.claims) = (UtcInstant(2_000_000), 1, 1);
        delivery.reason = Some("451 later".to_owned());
    });
    let why = assert_says(&later, WhyState::Pending, "Not sent yet: it waits for another try (“451 later”).");
    assert_eq!(decisive(&why), [("It is not tried again before 1970-01-01T00:33:20.000Z.", "delivery")]);
    let paused = pending(|facts| {
        (facts.campaign.status, facts.campaign.decided_at) = (CampaignStatus::Paused, Some(AFTER));
    });
    let why = assert_says(&paused, WhyState::Pending, "Not sent yet: the campaign is paused.");
    assert_eq!(decisive(&why), [("The campaign was paused.", "campaign decision")]);
    assert_eq!(acts(&why), [WhyAct::Resume]);
    let suspended = pending(|facts| {
        facts.campaign.suspension = Some(Suspension { at: AFTER, until: None, reason: Some("it moves".to_owned()) });
    });
    let why = assert_says(&suspended, WhyState::Pending, "Not sent yet: the pool main is suspended.");
    assert_eq!(decisive(&why), [("An operator has suspended the pool main: it moves.", "pool main")]);
    assert_eq!(why.can[0].path, "/v1/pools/main/resume");
    let kept_back = pending(|facts| {
        facts.against.may_send = Err(SkipReason::Unsubscribed);
        facts.against.held.unsubscribed_at = Some(AFTER);
    });
    let why = assert_says(
        &kept_back,
        WhyState::Pending,
        "Not sent yet, and it will not be, as things are: the person has refused messages of this kind.",
    );
    assert_eq!(decisive(&why), [("The person has refused all messages that need consent.", "suppression")]);
    let stopped = pending(|facts| facts.campaign.status = CampaignStatus::Stopped);
    assert_says(
        &stopped,
        WhyState::Pending,
        "Not sent: the campaign was stopped, and this delivery is about to be skipped.",
    );
}

#[test]
fn a_hand_over_under_way_says_who_does_it_and_whether_that_one_is_heard_of() {
    let mut facts = with(DeliveryState::Sending, |delivery| (delivery.claims, delivery.claimed_at) = (1, Some(AFTER)));
    let page = facts.page.as_mut().unwrap();
    (page.owner, page.lease_until) = (Some((InstanceId(4), "b".to_owned())), Some(UtcInstant(1_000_001)));
    let why =
        assert_says(&facts, WhyState::Sending, "Being handed over now: it is claimed, and no outcome is recorded yet.");
    assert!(why.steps.iter().any(|step| step.fact == "Instance 4 on b holds its page." && step.source == "page 212"));
    facts.now = UtcInstant(1_000_002);
    assert_says(
        &facts,
        WhyState::Sending,
        "Was being handed over when its sender fell silent: whether it left is about to be found out.",
    );
}

#[test]
fn who_is_named_and_has_no_delivery_is_told_how_far_the_campaign_is() {
    let why = assert_says(&facts(), WhyState::NotPacked, "Not reached yet: this part of the audience is not packed.");
    let packed = "The audience is packed up to contact 2, and goes up to contact 90.";
    assert_eq!(decisive(&why), [(packed, "packing of campaign 3")]);
    let mut paused = facts();
    paused.campaign.status = CampaignStatus::Paused;
    paused.campaign.paused_for = Some("too many messages bounced".to_owned());
    let why = assert_says(
        &paused,
        WhyState::NotPacked,
        "Not reached yet: the campaign is paused, and this part of its audience is not packed.",
    );
    assert!(decisive(&why).iter().any(|(fact, _)| fact.ends_with("by Volley itself: too many messages bounced.")));
    assert_eq!(acts(&why), [WhyAct::Resume]);
    let mut stopped = facts();
    stopped.campaign.status = CampaignStatus::Stopped;
    let verdict = "Never reached: the campaign was stopped before this part of its audience was packed.";
    assert_says(&stopped, WhyState::NotPacked, verdict);

    let unlaunched = |status, outcome| {
        let mut facts = facts();
        (facts.campaign.status, facts.campaign.launched_at, facts.packing) = (status, None, None);
        facts.campaign.outcome = outcome;
        facts
    };
    let draft = unlaunched(CampaignStatus::Draft, None);
    let why = assert_says(&draft, WhyState::NotLaunched, "Not sent yet: the campaign is a draft.");
    assert_eq!((decisive(&why), acts(&why)), (vec![("The campaign is a draft.", "campaign 3")], vec![WhyAct::Launch]));
    let scheduled = unlaunched(CampaignStatus::Scheduled, None);
    assert_says(&scheduled, WhyState::NotLaunched, "Not sent yet: the campaign launches by itself at its time.");
    let impossible = unlaunched(CampaignStatus::Failed, Some(CampaignOutcome::LaunchFailed));
    let verdict = "Not sent: the time of the campaign came, and it could not be launched.";
    assert_eq!(acts(&assert_says(&impossible, WhyState::NotLaunched, verdict)), []);
}

#[test]
fn who_is_named_only_since_was_not_in_it() {
    let mut passed = facts();
    passed.packing = Some(Packing { cursor: ContactId(50), last: ContactId(90), is_done: false });
    let verdict = "Not in it: the audience would name this contact now, and did not when this part of it was packed.";
    assert_says(&passed, WhyState::Missed, verdict);
    let mut newer = facts();
    newer.clauses = vec![names(By::All)];
    newer.packing = Some(Packing { cursor: ContactId(2), last: ContactId(6), is_done: false });
    assert_says(&newer, WhyState::Missed, "Never meant: the contact was created after the launch.");
}

#[test]
fn each_clause_that_leaves_somebody_out_is_named() {
    for (by, fact, source) in [
        (list(3, on(Standing::Subscribed, BEFORE)), "list 3 (Customers): on the list.", "list 3"),
        (
            list(3, on(Standing::Unsubscribed, BEFORE)),
            "list 3 (Customers): who left the list stays left out.",
            "list 3",
        ),
        (By::Tag { name: "vip".to_owned(), since: Some(AFTER) }, "the tag vip.", "tag vip"),
        (By::Segment { id: SegmentId(2), since: Some(AFTER) }, "segment 2: a member.", "segment 2"),
        (
            By::Filter { sentence: "plan is \"pro\"".to_owned(), takes: true },
            "the filter: plan is \"pro\".",
            "audience",
        ),
    ] {
        let mut facts = facts();
        facts.clauses.push(leaves_out(by));
        let why = assert_says(&facts, WhyState::LeftOut, &format!("Left out by {fact}"));
        assert_eq!(decisive(&why), [(format!("Left out by {fact}").as_str(), source)]);
    }
    for (state, is_out) in [
        (Some(DeliveryState::Sent), true),
        (Some(DeliveryState::Uncertain), true),
        (Some(DeliveryState::Pending), true),
        (Some(DeliveryState::Failed), false),
        (None, false),
    ] {
        let mut facts = facts();
        facts.clauses.push(leaves_out(By::Campaign { id: CampaignId(2), state }));
        assert_eq!(why(&facts).place == WhyState::LeftOut, is_out, "{state:?}");
    }
}

#[test]
fn who_was_never_meant_is_told_by_which_clause() {
    for (by, fact) in [
        (list(1, None), "list 1 (Customers): not on it."),
        (list(1, on(Standing::Subscribed, AFTER)), "list 1 (Customers): subscribed only after the launch."),
        (list(1, on(Standing::Unsubscribed, BEFORE)), "list 1 (Customers): unsubscribed."),
        (list(1, on(Standing::Unconfirmed, BEFORE)), "list 1 (Customers): not confirmed yet."),
        (
            list(1, on(Standing::Moved, BEFORE)),
            "list 1 (Customers): another contact of the same person has the subscription.",
        ),
        (By::Tag { name: "vip".to_owned(), since: None }, "the tag vip: does not have it."),
        (By::Segment { id: SegmentId(2), since: Some(AFTER) }, "segment 2: became a member only after the launch."),
    ] {
        let facts = Facts { clauses: vec![names(by)], ..facts() };
        let why = assert_says(&facts, WhyState::NotNamed, &format!("Never meant: not named by {fact}"));
        assert_eq!(decisive(&why).len(), 1, "{:?}", why.steps);
    }
    let none = Facts { clauses: Vec::new(), ..facts() };
    assert_says(&none, WhyState::NotNamed, "Not meant: the campaign has no audience yet.");
    let several = Facts { clauses: vec![names(list(1, None)), names(By::Ids { is_among: false })], ..facts() };
    let why = assert_says(&several, WhyState::NotNamed, "Never meant: no part of the audience names this contact.");
    assert_eq!(decisive(&why).len(), 2);
}

#[test]
fn an_audience_names_by_the_launch_and_leaves_out_by_now() {
    let named = |by: By| !matches!(why(&Facts { clauses: vec![names(by)], ..facts() }).place, WhyState::NotNamed);
    assert!(named(list(1, on(Standing::Moved, AFTER))), "whose standing moved since stays meant");
    let default = |standing| By::List { id: ListId(1), name: None, default_opt_in: true, standing };
    assert!(named(default(None)) && named(default(on(Standing::Unconfirmed, BEFORE))));
    assert!(!named(default(on(Standing::Unsubscribed, BEFORE))));
    let mut deleted = facts();
    (deleted.contact.deleted_at, deleted.contact.address) = (Some(AFTER), Err(SkipReason::ContactDeleted));
    let verdict = "Never meant: the contact was deleted, and the audience does not name it by its id.";
    assert_says(&deleted, WhyState::NotNamed, verdict);
    deleted.clauses = vec![names(By::Ids { is_among: true })];
    assert_eq!(why(&deleted).place, WhyState::NotPacked, "who is named one by one stays in the books");
}

#[test]
fn which_part_of_the_audience_meant_a_contact_is_not_recorded() {
    let facts = Facts { clauses: vec![names(list(1, None))], ..with(DeliveryState::Sent, |_| {}) };
    let left = super::why(&facts);
    let fact =
        "No part of the audience names this contact now. One did when its page was packed; which one is not recorded.";
    assert!(left.steps.iter().any(|step| step.fact == fact && step.source == "none"), "{:?}", left.steps);
}
