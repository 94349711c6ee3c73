//! docs/state-machines.md draws what the code does; and what the code does, it does whatever crashes.

mod crashes;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use volley::domain::campaigns::{CampaignEvent, CampaignStatus};
use volley::domain::dispatch::delivery::DeliveryState;
use volley::domain::dispatch::page::PageState;

use crate::docs::{page, table};

/// A part of the page, under its heading.
fn section(heading: &str) -> String {
    let text = page("docs/state-machines.md");
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect("the heading");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The first three columns of the table under a heading.
fn arrows(heading: &str) -> Vec<[String; 3]> {
    let rows = table(&section(heading), "from").into_iter();
    rows.map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]).collect()
}

/// The arrows of the picture under a heading, one for each event that is written at one. `[*]` is new.
fn picture(heading: &str) -> Vec<[String; 3]> {
    let section = section(heading);
    let picture = section.split("```mermaid\nstateDiagram-v2\n").nth(1).expect("a picture");
    let mut arrows = Vec::new();
    for line in picture.lines().take_while(|line| !line.starts_with("```")) {
        let named = line.split_once(": ").and_then(|(arrow, events)| Some((arrow.trim().split_once(" --> ")?, events)));
        let ((from, to), events) = named.unwrap_or_else(|| panic!("{heading}: an arrow without a name: {line}"));
        let from = if from == "[*]" { "new" } else { from };
        arrows.extend(events.split(", ").map(|event| [from, event, to].map(str::to_owned)));
    }
    arrows
}

#[test]
fn the_campaigns_picture_is_what_the_code_does() {
    let mut drawn = BTreeMap::new();
    for [from, event, to] in picture("Campaign") {
        if from == "new" {
            assert_eq!(event, "create");
            assert!(CampaignStatus::from_text(&to).is_some(), "{to} is no status");
            continue;
        }
        assert!(CampaignStatus::from_text(&from).is_some(), "{from} is no status");
        assert!(CampaignEvent::from_text(&event).is_some(), "{event} is no event");
        assert!(drawn.insert((from.clone(), event.clone()), to).is_none(), "{from} and {event} stand there twice");
    }
    for from in CampaignStatus::ALL {
        for event in CampaignEvent::ALL {
            let pair = (from.to_string(), event.to_string());
            let done = from.next(*event).ok().map(|to| to.to_string());
            assert_eq!(drawn.get(&pair), done.as_ref(), "{pair:?}");
        }
    }
}

#[test]
fn the_other_tables_name_states_that_exist_and_reach_all_of_them() {
    let pages: Vec<&str> = PageState::ALL.iter().map(|state| state.as_str()).collect();
    let deliveries: Vec<&str> = DeliveryState::ALL.iter().map(|state| state.as_str()).collect();
    for (heading, states) in [("Page", pages), ("Delivery", deliveries)] {
        let arrows = arrows(heading);
        for [from, event, to] in &arrows {
            assert!(from == "new" || states.contains(&from.as_str()), "{heading}: {from} is no state");
            assert!(states.contains(&to.as_str()), "{heading}: {to} is no state");
            assert!(!event.is_empty(), "{heading}: an arrow from {from} to {to} has no name");
        }
        for state in states {
            assert!(arrows.iter().any(|[_, _, to]| to == state), "{heading}: nothing leads to {state}");
        }
    }
}

#[test]
fn the_pictures_of_pages_and_deliveries_have_the_arrows_of_the_tables() {
    for heading in ["Page", "Delivery"] {
        let (drawn, listed) = (picture(heading), arrows(heading));
        assert_eq!(drawn.len(), listed.len(), "{heading}: an arrow stands there twice");
        assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), listed.into_iter().collect(), "{heading}");
    }
}
