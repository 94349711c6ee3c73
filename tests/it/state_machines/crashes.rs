//! Random crashes between any two effects: nobody is lost, nobody is messaged twice, and the books tell the truth.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use volley::domain::dispatch::answer::{AnswerClass, Refusal};
use volley::domain::dispatch::delivery::{DeliveryState, ErrorCategory};
use volley::domain::dispatch::outcome::Outcome;
use volley::domain::dispatch::trouble::Trouble;

use super::model::{Left, Reply, World};

/// One effect, or one fault.
#[derive(Debug, Clone)]
enum Step {
    Tick(i64),
    Lease,
    Renew,
    Claim {
        most: usize,
        answered: bool,
    },
    Begin(usize),
    Send(usize),
    Reply(usize, Reply),
    /// All of one hand-over, from the lease to the record.
    HandOver(Reply),
    FlushJournal,
    Record {
        times: usize,
    },
    Settle,
    Kill,
    Start(Left),
    StandStill,
    OthersEnd {
        takes_it_for_dead: bool,
    },
    FillDisk(bool),
    ChangeContact(usize),
    Resolve(usize, DeliveryState),
}

pub(super) fn trouble() -> Trouble {
    Trouble::new(ErrorCategory::Network, "trouble")
}

fn reply() -> impl Strategy<Value = Reply> {
    let accepted = Outcome::Accepted { provider_id: None };
    let refused = |class, permanent, wait| {
        Outcome::Refused(Refusal { class, permanent, wait, signature: String::new(), trouble: trouble() })
    };
    let not = |says| Just(Reply { takes: false, says });
    prop_oneof![
        4 => Just(Reply { takes: true, says: accepted }),
        2 => Just(Reply { takes: true, says: Outcome::Unknown(trouble()) }),
        2 => not(Outcome::Unknown(trouble())),
        2 => not(refused(AnswerClass::Recipient, true, None)),
        2 => not(refused(AnswerClass::Recipient, false, None)),
        1 => not(refused(AnswerClass::RelayRate, false, Some(Duration::from_secs(3)))),
        1 => not(refused(AnswerClass::RelayOutage, false, None)),
    ]
}

fn left() -> impl Strategy<Value = Left> {
    prop_oneof![4 => Just(Left::Everything), 2 => (0_usize..6).prop_map(Left::AnotherBoot), 1 => Just(Left::Nothing)]
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0_usize..8;
    let word = prop_oneof![Just(DeliveryState::Sent), Just(DeliveryState::Failed)];
    prop_oneof![
        4 => prop_oneof![8 => 1_i64..400, 4 => 400_i64..4_000, 1 => 8_000_i64..30_000].prop_map(Step::Tick),
        4 => Just(Step::Lease),
        1 => Just(Step::Renew),
        6 => (1_usize..4, prop::bool::weighted(0.9)).prop_map(|(most, answered)| Step::Claim { most, answered }),
        8 => which.clone().prop_map(Step::Begin),
        8 => which.clone().prop_map(Step::Send),
        8 => (which.clone(), reply()).prop_map(|(n, reply)| Step::Reply(n, reply)),
        8 => reply().prop_map(Step::HandOver),
        1 => Just(Step::FlushJournal),
        5 => (1_usize..3).prop_map(|times| Step::Record { times }),
        3 => Just(Step::Settle),
        2 => Just(Step::Kill),
        6 => left().prop_map(Step::Start),
        1 => Just(Step::StandStill),
        1 => any::<bool>().prop_map(|takes_it_for_dead| Step::OthersEnd { takes_it_for_dead }),
        1 => any::<bool>().prop_map(Step::FillDisk),
        1 => which.clone().prop_map(Step::ChangeContact),
        1 => (which, word).prop_map(|(n, word)| Step::Resolve(n, word)),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Tick(ms) => world.tick(*ms),
        Step::Lease => world.lease(),
        Step::Renew => world.renew(),
        Step::Claim { most, answered } => world.claim(*most, *answered),
        Step::Begin(n) => world.begin(*n),
        Step::Send(n) => world.send(*n),
        Step::Reply(n, reply) => world.reply(*n, reply),
        Step::HandOver(reply) => {
            world.lease();
            world.claim(1, true);
            world.begin(0);
            world.send(0);
            world.reply(0, reply);
            world.record(1);
        }
        Step::FlushJournal => world.flush_journal(),
        Step::Record { times } => world.record(*times),
        Step::Settle => world.settle_page(),
        Step::Kill => world.kill(),
        Step::Start(left) => world.start(*left),
        Step::StandStill => world.stand_still(),
        Step::OthersEnd { takes_it_for_dead } => world.others_end(*takes_it_for_dead),
        Step::FillDisk(full) => world.fill_disk(*full),
        Step::ChangeContact(n) => world.change_contact(*n),
        Step::Resolve(n, state) => world.resolve(*n, *state),
    }
    world.complete();
    world.check();
}

/// Everything works from now on: the campaign comes to its end.
fn finish(world: &mut World) {
    let takes = Reply { takes: true, says: Outcome::Accepted { provider_id: None } };
    let mut calm = vec![Step::FillDisk(false), Step::Start(Left::Everything), Step::Tick(700)];
    calm.extend([Step::OthersEnd { takes_it_for_dead: false }, Step::Renew, Step::Lease]);
    calm.push(Step::Claim { most: PEOPLE, answered: true });
    for effect in [Step::Begin(0), Step::Send(0), Step::Reply(0, takes)] {
        calm.extend(vec![effect; PEOPLE]);
    }
    calm.extend([Step::Record { times: 1 }, Step::Settle]);
    for _ in 0..200 {
        calm.iter().for_each(|step| take(world, step));
        if world.closed {
            return;
        }
    }
    panic!("the campaign never ends: {:?}", world.rows);
}

const PEOPLE: usize = 3;

fn survives(keyed: bool, steps: &[Step]) {
    let mut world = World::new(PEOPLE, keyed);
    for step in [&[Step::Start(Left::Everything), Step::Lease], steps].concat() {
        take(&mut world, &step);
    }
    finish(&mut world);
    for row in world.rows.iter().filter(|row| row.accepted.is_empty() && !row.resolved) {
        assert!(matches!(row.state, DeliveryState::Uncertain | DeliveryState::Failed), "lost without a word: {row:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_crashes_a_provider_without_keys_is_given_nobody_twice(steps in vec(step(), 0..160)) {
        survives(false, &steps);
    }

    #[test]
    fn whatever_crashes_a_provider_that_honours_keys_takes_nobody_twice(steps in vec(step(), 0..160)) {
        survives(true, &steps);
    }
}
