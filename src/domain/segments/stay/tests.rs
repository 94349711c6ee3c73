//! `advance` called only when something changes or a timer is due, against `advance` and a plain model at every millisecond.

use proptest::prelude::*;

use super::*;

const END: i64 = 200;

fn rules() -> impl Strategy<Value = Rules> {
    let span = |range: std::ops::Range<i64>| proptest::option::of(range.prop_map(Span::from_ms));
    let mark = (any::<bool>(), 1..60_i64).prop_map(|(once, ms)| {
        let span = Span::from_ms(ms);
        if once { Mark::After(span) } else { Mark::Every(span) }
    });
    let limit = prop_oneof![
        Just(EntryLimit::Unlimited),
        Just(EntryLimit::Once),
        (1..60_i64).prop_map(|ms| EntryLimit::OncePer(Span::from_ms(ms))),
    ];
    (span(1..40), span(1..80), proptest::collection::vec(mark, 0..3), limit).prop_map(|(min, max, marks, entries)| {
        Rules {
            min_stay: min,
            max_stay: max.map(|max| max.max(min.unwrap_or(max))),
            marks,
            entries,
            marks_since: UtcInstant(-1),
        }
    })
}

/// When the criteria change their answer, beginning with no, and when the contact is deleted.
fn history() -> impl Strategy<Value = (Vec<i64>, Option<i64>)> {
    let changes = proptest::collection::btree_set(1..END, 0..12).prop_map(|set| set.into_iter().collect());
    (changes, proptest::option::weighted(0.3, 1..END))
}

fn matches(changes: &[i64], now: i64) -> bool {
    changes.iter().filter(|at| **at <= now).count() % 2 == 1
}

/// What is stored after a step.
fn applied(stored: Stored, step: &Step) -> Stored {
    match step.change {
        Change::None => stored,
        Change::Join(row) => Stored { open: Some(row), epochs: row.epoch, ..stored },
        Change::Note(row) => Stored { open: Some(row), ..stored },
        Change::Leave { row, closed, .. } => {
            Stored { open: Some(row).filter(|_| !closed), last_left: row.left_at, ..stored }
        }
        Change::Close(_) => Stored { open: None, ..stored },
    }
}

/// Runs `advance` at these instants and at its own timers, if `timers` says so. `by_time`: the criteria say when they change;
/// else each change is a change of facts.
fn run(rules: &Rules, history: &(Vec<i64>, Option<i64>), every_ms: bool, by_time: bool) -> Vec<Transition> {
    let (changes, deleted) = history;
    let (mut stored, mut all, mut timer) = (Stored::default(), Vec::new(), None::<UtcInstant>);
    for now in 0..END {
        let is_touched = changes.contains(&now) && !by_time || *deleted == Some(now) || now == 0;
        let is_due = timer.is_some_and(|timer| timer.0 <= now);
        if !(every_ms || is_touched || is_due) {
            continue;
        }
        let next = changes.iter().copied().filter(|at| *at > now).min();
        let decision = Decision { matches: matches(changes, now), timer: next.filter(|_| by_time).map(UtcInstant) };
        let living = deleted.is_none_or(|deleted| now < deleted);
        let decision = if living { decision } else { Decision::NO };
        let step = advance(rules, &stored, Seen { living, decision, occasion: Occasion::Live }, UtcInstant(now));
        assert!(step.timer.is_none_or(|timer| timer.0 > now), "a timer lies in the past");
        stored = applied(stored, &step);
        all.extend(step.transitions);
        timer = step.timer;
    }
    all
}

/// The words of the rules, applied at every millisecond. Of a transition: instant, kind, why or which mark, whether reported.
fn model(rules: &Rules, (changes, deleted): &(Vec<i64>, Option<i64>)) -> Vec<(i64, String, bool)> {
    let mut told = Vec::new();
    let (mut entered, mut is_spent, mut entries, mut last_left) = (None::<i64>, false, 0, None::<i64>);
    for now in 0..END {
        if deleted.is_some_and(|deleted| deleted <= now) {
            if entered.take().is_some() {
                told.push((now, "left deleted".to_owned(), true));
            }
            break;
        }
        let taken = matches(changes, now);
        is_spent &= taken;
        if let Some(start) = entered {
            let age = now - start;
            for mark in &rules.marks {
                let (span, is_due) = match mark {
                    Mark::After(span) => (span, age == span.as_ms()),
                    Mark::Every(span) => (span, age > 0 && age % span.as_ms() == 0),
                };
                if is_due {
                    told.push((now, format!("dwelled {mark} {}", age / span.as_ms()), true));
                }
            }
            let reason = if rules.max_stay.is_some_and(|max| age >= max.as_ms()) {
                is_spent = taken;
                Some("left max_dwell")
            } else if !taken && rules.min_stay.is_none_or(|min| age >= min.as_ms()) {
                Some("left criteria")
            } else {
                None
            };
            if let Some(reason) = reason {
                told.push((now, reason.to_owned(), true));
                (entered, last_left) = (None, Some(now));
            }
        } else if taken && !is_spent {
            let emit = match rules.entries {
                EntryLimit::Unlimited => true,
                EntryLimit::Once => entries == 0,
                EntryLimit::OncePer(span) => last_left.is_none_or(|left| now - left >= span.as_ms()),
            };
            entries += 1;
            entered = Some(now);
            told.push((now, "entered".to_owned(), emit));
        }
    }
    told
}

fn in_words(transition: &Transition) -> (i64, String, bool) {
    let mut words = transition.kind.to_string();
    if let Some(reason) = transition.reason {
        words = format!("{words} {reason}");
    }
    if let Some((mark, count)) = transition.mark {
        words = format!("{words} {mark} {count}");
    }
    (transition.at.0, words, transition.emit)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn looks_at_changes_and_timers_see_what_a_look_at_every_millisecond_sees(rules in rules(), history in history()) {
        let expected = model(&rules, &history);
        for (every_ms, by_time) in [(true, false), (false, false), (false, true)] {
            let seen: Vec<_> = run(&rules, &history, every_ms, by_time).iter().map(in_words).collect();
            prop_assert_eq!(&seen, &expected, "every millisecond: {}, by time: {}", every_ms, by_time);
        }
    }

    #[test]
    fn what_is_told_of_is_numbered_once(rules in rules(), history in history()) {
        let seen = run(&rules, &history, false, false);
        let keys: std::collections::BTreeSet<_> =
            seen.iter().map(|transition| (transition.epoch, transition.kind.as_str(), transition.ordinal)).collect();
        prop_assert_eq!(keys.len(), seen.len());
    }
}

fn seen(matches: bool, occasion: Occasion) -> Seen {
    Seen { living: true, decision: Decision::fixed(matches), occasion }
}

#[test]
fn a_backfill_tells_of_no_entry_and_of_no_mark_that_had_passed() {
    let day = 86_400_000;
    let days = |n: i64| Span::from_ms(n * day);
    let marks = vec![Mark::After(days(7)), Mark::After(days(30)), Mark::Every(days(10))];
    let rules = Rules { marks, ..Rules::default() };
    let now = UtcInstant(100 * day);
    let occasion = Occasion::Backfill { since: Some(UtcInstant(75 * day)) };
    let step = advance(&rules, &Stored::default(), seen(true, occasion), now);
    let told: Vec<_> = step.transitions.iter().map(in_words).collect();
    let of = |words: &str| (now.0, words.to_owned(), false);
    assert_eq!(told, [of("entered"), of("dwelled after 7d 1"), of("dwelled every 10d 2")]);
    assert_eq!(step.timer, Some(UtcInstant(105 * day)), "what comes later comes at its time");
    let stored = applied(Stored::default(), &step);
    let step = advance(&rules, &stored, seen(true, Occasion::Live), UtcInstant(105 * day));
    let told: Vec<_> = step.transitions.iter().map(in_words).collect();
    assert_eq!(
        told,
        [(105 * day, "dwelled after 30d 1".to_owned(), true), (105 * day, "dwelled every 10d 3".to_owned(), true)]
    );
}

#[test]
fn a_mark_that_is_added_to_a_segment_tells_nothing_of_old_members() {
    let step = advance(&Rules::default(), &Stored::default(), seen(true, Occasion::Live), UtcInstant(0));
    let stored = applied(Stored::default(), &step);
    let span = |ms| Span::from_ms(ms);
    let marks = vec![Mark::After(span(1_000)), Mark::After(span(6_000))];
    let rules = Rules { marks, marks_since: UtcInstant(5_000), ..Rules::default() };
    let step = advance(&rules, &stored, seen(true, Occasion::Backfill { since: None }), UtcInstant(7_000));
    let told: Vec<_> = step.transitions.iter().map(in_words).collect();
    let of = |words: &str, emit| (7_000, words.to_owned(), emit);
    assert_eq!(told, [of("dwelled after 1s 1", false), of("dwelled after 6s 1", true)]);
}

#[test]
fn marks_that_were_missed_are_told_of_once_with_their_count() {
    let rules = Rules { marks: vec![Mark::Every(Span::from_ms(1_000))], ..Rules::default() };
    let step = advance(&rules, &Stored::default(), seen(true, Occasion::Live), UtcInstant(0));
    let stored = applied(Stored::default(), &step);
    let step = advance(&rules, &stored, seen(true, Occasion::Live), UtcInstant(5_500));
    assert_eq!(
        step.transitions.iter().map(in_words).collect::<Vec<_>>(),
        [(5_500, "dwelled every 1s 5".to_owned(), true)]
    );
    assert_eq!(step.timer, Some(UtcInstant(6_000)));
}

#[test]
fn a_clock_that_is_set_back_makes_no_mark_twice() {
    let rules = Rules { marks: vec![Mark::After(Span::from_ms(1_000))], ..Rules::default() };
    let mut stored = Stored::default();
    let mut marks = 0;
    for now in [0, 1_000, 500, 1_000, 1_500] {
        let step = advance(&rules, &stored, seen(true, Occasion::Live), UtcInstant(now));
        marks += step.transitions.iter().filter(|transition| transition.kind == TransitionKind::Dwelled).count();
        stored = applied(stored, &step);
    }
    assert_eq!(marks, 1);
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_in() {
    let rules = Rules::default();
    let step = advance(&rules, &Stored::default(), seen(true, Occasion::Live), UtcInstant(5_000));
    let stored = applied(Stored::default(), &step);
    let step = advance(&rules, &stored, seen(false, Occasion::Live), UtcInstant(3_000));
    let told: Vec<_> = step.transitions.iter().map(in_words).collect();
    assert_eq!(told, [(3_000, "left criteria".to_owned(), true)]);
    let Change::Leave { row, closed: true, .. } = step.change else { panic!("stays: {:?}", step.change) };
    assert_eq!(row.left_at, Some(UtcInstant(5_000)), "nobody leaves before they came");
}

#[test]
fn rules_that_contradict_themselves_are_refused() {
    let span = |ms| Some(Span::from_ms(ms));
    let field = |rules: Rules| rules.check().map_err(|error| error.field);
    let ok = Rules { min_stay: span(1_000), max_stay: span(2_000), ..Rules::default() };
    assert_eq!(field(ok.clone()), Ok(()));
    assert_eq!(field(Rules { min_stay: span(3_000), ..ok.clone() }), Err("max_dwell".to_owned()));
    assert_eq!(field(Rules { min_stay: span(1), ..ok.clone() }), Err("min_dwell".to_owned()));
    assert_eq!(field(Rules { marks: vec![Mark::Every(Span::from_ms(0))], ..ok.clone() }), Err("dwell".to_owned()));
    let many = vec![Mark::After(Span::from_ms(1_000)); MAX_MARKS + 1];
    assert_eq!(field(Rules { marks: many, ..ok }), Err("dwell".to_owned()));
}
