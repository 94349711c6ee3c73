//! ARCHITECTURE.md stays short, its picture has the numbers of its steps, and it knows every actor.

use std::collections::BTreeSet;

use super::{page, quoted, sources, table};

#[test]
fn the_architecture_page_stays_short() {
    let lines = page("ARCHITECTURE.md").lines().count();
    assert!(lines <= 180, "ARCHITECTURE.md has {lines} lines; what is more belongs into docs/");
}

#[test]
fn the_picture_and_the_steps_of_a_delivery_have_the_same_numbers() {
    let text = page("ARCHITECTURE.md");
    let picture = text.split("```mermaid").nth(1).and_then(|after| after.split("```").next()).expect("a picture");
    let mut drawn = BTreeSet::new();
    for arrow in picture.lines().filter(|line| line.contains("->")) {
        let label = arrow.split('"').nth(1).unwrap_or_else(|| panic!("an arrow without a name: {arrow}"));
        let (number, words) = label.split_once(' ').unwrap_or_else(|| panic!("an arrow without a number: {arrow}"));
        assert!(!words.is_empty(), "{arrow}");
        drawn.insert(number.parse::<usize>().unwrap_or_else(|_| panic!("no number: {arrow}")));
    }
    let starts = |line: &str| line.split_once(". **").and_then(|(number, _)| number.parse::<usize>().ok());
    let steps: Vec<usize> = text.lines().filter_map(starts).collect();
    assert_eq!(steps, (1..=10).collect::<Vec<_>>());
    assert_eq!(drawn, steps.iter().copied().collect());
    let story = text.split("\n1. **").nth(1).and_then(|after| after.split("\n\n").next()).expect("the steps");
    for step in story.split(". **") {
        let links = step.matches("](src/").count();
        assert_eq!(links, 1, "one link a step: {step}");
    }
    let details = page("docs/delivery-protocol.md");
    let told: Vec<usize> =
        details.lines().filter_map(|line| line.strip_prefix("## ")?.split_once(". ")?.0.parse().ok()).collect();
    assert_eq!(told, steps);
}

#[test]
fn the_architecture_page_lists_every_actor_and_no_other() {
    let listed: BTreeSet<String> =
        table(&page("ARCHITECTURE.md"), "actor").iter().flat_map(|row| quoted(&row[0])).collect();
    let starts = sources("src").concat();
    let actors: BTreeSet<String> = starts
        .split("impl Actor for ")
        .skip(1)
        .filter_map(|after| after.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, actors);
}
