//! The board for Grafana asks for metrics and labels that exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{page, quoted, table};

/// Labels that every series has, or every histogram and summary.
const EVERYWHERE: &[&str] = &["job", "instance", "le", "quantile"];

/// The metrics of the page, with their labels. Histograms are asked by the names of their parts, too.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let rows = table(&page("docs/metrics.md"), "name");
    let named = rows.iter().flat_map(|row| {
        let parts: &[&str] = if row[1] == "histogram" { &["", "_bucket", "_sum", "_count"] } else { &[""] };
        parts.iter().map(|part| (format!("{}{part}", row[0].trim_matches('`')), quoted(&row[2])))
    });
    named.collect()
}

fn panels(board: &Value) -> Vec<&Value> {
    board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

/// The words of an expression that may be names of metrics or labels.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

#[test]
fn the_board_asks_for_metrics_and_labels_that_exist() {
    let known = known();
    let board: Value = serde_json::from_str(&page("packaging/grafana/volley.json")).unwrap();
    let mut asked = BTreeSet::new();
    for panel in panels(&board) {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let names: Vec<&str> =
                words(expression).filter(|word| word.starts_with("volley_") || word.starts_with("process_")).collect();
            let mut labels: BTreeSet<&str> = EVERYWHERE.iter().copied().collect();
            for name in &names {
                let of = known.get(*name).unwrap_or_else(|| panic!("{title}: there is no metric {name}"));
                labels.extend(of.iter().map(String::as_str));
            }
            asked.extend(names.iter().map(|name| name.trim_end_matches("_bucket").to_owned()));
            // What stands before `=` in braces, and in `by (…)`; and what a legend shows of it.
            let matched = expression.split(['{', ',']).filter_map(|part| part.split_once('=')).map(|(label, _)| label);
            let grouped = expression.split("by (").skip(1).filter_map(|after| after.split(')').next());
            let shown = target["legendFormat"].as_str().unwrap().split("{{").skip(1);
            let shown = shown.filter_map(|after| after.split("}}").next());
            let used = matched.chain(grouped).chain(shown).flat_map(words);
            for label in used {
                assert!(labels.contains(label), "{title}: no metric of it has the label {label}");
            }
        }
    }
    let shown: BTreeSet<String> = table(&page("docs/metrics.md"), "name")
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .filter(|name| !asked.contains(name))
        .collect();
    assert_eq!(shown, BTreeSet::new(), "the board does not show them");
}

#[test]
fn the_boards_panels_have_ids_of_their_own_and_do_not_cover_one_another() {
    let board: Value = serde_json::from_str(&page("packaging/grafana/volley.json")).unwrap();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().unwrap());
        assert!(x + w <= 24, "{title} does not fit");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{title} covers another panel");
        }
    }
    let variables: BTreeSet<&str> =
        board["templating"]["list"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    for panel in panels(&board) {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        for target in panel["targets"].as_array().unwrap() {
            for variable in target["expr"].as_str().unwrap().split('$').skip(1).filter_map(|after| words(after).next())
            {
                assert!(variables.contains(variable) || variable == "__rate_interval", "there is no ${variable}");
            }
        }
    }
}
