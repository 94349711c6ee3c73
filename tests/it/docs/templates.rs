//! Every example in docs/templates.md is rendered, or refused, as the page says.

use std::collections::BTreeSet;

use serde_json::Value;
use volley::domain::channel::ChannelKind;
use volley::domain::content::check::check;
use volley::domain::content::props::Props;
use volley::domain::content::template::{Content, Provided};
use volley::domain::people::contact::{BuiltIn, Profile};

use super::{page, tables};

/// The contact of the page.
fn ann(page: &str) -> Profile {
    let json = page.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("a contact");
    let json: Value = serde_json::from_str(json).expect("JSON");
    let mut profile = Profile::default();
    for (name, value) in json.as_object().unwrap() {
        match BuiltIn::from_name(name) {
            Some(field) => *profile.fields.get_mut(field) = Some(value.as_str().unwrap().to_owned()),
            None => profile.attributes = value.as_object().unwrap().clone().into_iter().collect(),
        }
    }
    profile
}

/// The campaign's own values of the page.
fn props(page: &str) -> Props {
    let section = page.split("\n## Values of a campaign\n").nth(1).expect("a section");
    let json = section.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("a campaign");
    let campaign: Value = serde_json::from_str(json).expect("JSON");
    Props::new(serde_json::from_value(campaign["props"].clone()).expect("values")).expect("values that are allowed")
}

/// What a cell of a table shows as code.
fn code(cell: &str) -> String {
    cell.split('`').nth(1).unwrap_or_else(|| panic!("no code in {cell}")).replace("\\|", "|")
}

fn text(source: String) -> Content {
    Content { text: source, ..Content::default() }
}

#[test]
fn every_example_of_a_template_gives_what_the_page_says() {
    let page = page("docs/templates.md");
    let ann = ann(&page);
    let mut known: BTreeSet<String> = ann.attributes.keys().cloned().collect();
    known.insert("title".to_owned());
    let props = props(&page);
    known.extend(props.names());
    let provided = Provided { props, ..Provided::default() };
    let rows = tables(&page, "you write");
    assert!(rows.len() > 20, "{}", rows.len());
    for row in rows {
        let [source, expected] = row.as_slice() else { panic!("{row:?}") };
        let compiled =
            check(ChannelKind::Sms, &text(code(source)), &known).unwrap_or_else(|why| panic!("{source}: {why:?}"));
        let message = compiled.render_for(&ann, &provided, None).unwrap();
        assert_eq!(message.text, code(expected), "{source}");
    }
}

#[test]
fn every_example_of_what_is_refused_is_refused_with_what_the_page_tells_to_write() {
    let page = page("docs/templates.md");
    let known: BTreeSet<String> = ann(&page).attributes.keys().cloned().collect();
    let rows = tables(&page, "refused");
    assert!(rows.len() > 15, "{}", rows.len());
    for row in rows {
        let [source, instead] = row.as_slice() else { panic!("{row:?}") };
        let problems = check(ChannelKind::Sms, &text(code(source)), &known).expect_err(source);
        let problem = &problems[0];
        assert_eq!(problem.code, "placeholder_malformed", "{source}: {}", problem.reason);
        let instead = code(instead);
        let instead = if instead.starts_with("{%") { "{% if" } else { instead.as_str() };
        assert!(problem.reason.contains(&format!("Write {instead}")), "{source}: {}", problem.reason);
    }
}
