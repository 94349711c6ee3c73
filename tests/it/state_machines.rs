//! docs/state-machines.md draws what the code does; and what the code does, it does whatever crashes.

mod crashes;
mod model;

use std::collections::BTreeMap;

use volley::domain::campaigns::{CampaignEvent, CampaignStatus};
use volley::domain::dispatch::delivery::DeliveryState;
use volley::domain::dispatch::page::PageState;

use crate::docs::{page, table};

/// The first three columns of the table under a heading.
fn arrows(heading: &str) -> Vec<[String; 3]> {
    let text = page("docs/state-machines.md");
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect("the heading");
    table(section, "from").into_iter().map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]).collect()
}

#[test]
fn the_campaigns_table_is_what_the_code_does() {
    let mut drawn = BTreeMap::new();
    for [from, event, to] in arrows("Campaign") {
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
