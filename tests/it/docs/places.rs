//! Links lead somewhere, and the files and functions that pages name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{page, quoted, sources};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, by its path from the root. The records of decisions name what there was when they were written.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).into();
    for entry in fs::read_dir(root().join("docs")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        if name.ends_with(".md") {
            pages.push(format!("docs/{name}"));
        }
    }
    pages
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let mut wrong = Vec::new();
    for name in pages() {
        let text = page(&name);
        let folder = root().join(&name).parent().map(Path::to_owned).unwrap_or_default();
        for target in text.split("](").skip(1).filter_map(|after| after.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, heading) =
                target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
            let path = if file.is_empty() { root().join(&name) } else { folder.join(file) };
            if !path.exists() {
                wrong.push(format!("{name}: there is no {target}"));
            } else if let Some(heading) = heading {
                let there = fs::read_to_string(&path).unwrap_or_default();
                let mut headings = there.lines().filter_map(|line| line.strip_prefix('#'));
                if !headings.any(|line| anchor(line.trim_start_matches('#').trim_start()) == heading) {
                    wrong.push(format!("{name}: there is no heading {target}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every Rust file, as its path from the root.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches"].iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(root()).expect("a file of the repository");
                found.push(inside.to_str().expect("a plain name").to_owned());
            }
        }
    }
    found
}

#[test]
fn every_source_file_that_a_page_names_exists() {
    let files = files();
    let mut wrong = Vec::new();
    for name in pages() {
        let text = page(&name).replace("```", "");
        for word in quoted(&text) {
            let is_file = word.ends_with(".rs") && !word.contains([' ', '<', '*', '{']);
            let ends_so = |file: &String| *file == word || file.ends_with(&format!("/{word}"));
            if is_file && !files.iter().any(ends_so) {
                wrong.push(format!("{name}: there is no {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_name_on_the_page_of_the_delivery_protocol_stands_in_the_code() {
    let split = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    let code = split(&sources("src").concat());
    let mut wrong = Vec::new();
    for quote in quoted(&page("docs/delivery-protocol.md")) {
        let is_path = quote.contains('/') || quote.ends_with(".rs");
        wrong.extend(split(&quote).into_iter().filter(|word| !is_path && !code.contains(word)));
    }
    assert!(wrong.is_empty(), "docs/delivery-protocol.md names what is not in the code: {}", wrong.join(", "));
}
