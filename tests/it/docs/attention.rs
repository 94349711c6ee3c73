//! The codes of a campaign's `attention`: the enum, the table for operators, and what the OpenAPI document says.

use std::collections::BTreeSet;

use volley::runtime::health::AttentionCode;

use super::{page, quoted, table};

fn codes() -> BTreeSet<String> {
    AttentionCode::ALL.iter().map(|code| code.as_str().to_owned()).collect()
}

#[test]
fn operations_say_what_to_do_about_every_code_of_attention() {
    let text = page("docs/operations.md");
    let (_, section) = text.split_once("\n## A campaign does not move: `attention`\n").expect("the section");
    let listed: BTreeSet<String> =
        table(section, "code").iter().filter_map(|row| row[0].split('`').nth(1).map(str::to_owned)).collect();
    assert_eq!(listed, codes());
}

#[test]
fn the_openapi_document_lists_every_code_of_attention() {
    let source = page("src/runtime/health.rs");
    let (_, body) = source.split_once("pub struct Attention {").expect("the struct");
    let (doc, _) = body.split_once("pub code:").expect("its code");
    assert_eq!(quoted(doc), codes());
}
