//! The pages that list things (metrics, problem codes, tests) list those that exist.

mod answers;
mod architecture;
mod attention;
mod board;
mod logging;
mod places;
mod segments;
mod settings;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A page of the repository.
pub(crate) fn page(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The rows of the first table in `text` whose first column is headed `first`, cell by cell.
pub(crate) fn table(text: &str, first: &str) -> Vec<Vec<String>> {
    let heading = format!("| {first} |");
    let lines = text.lines().skip_while(|line| !line.starts_with(&heading)).skip(2);
    let rows: Vec<Vec<String>> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "there is no table headed {first}");
    rows
}

/// The rows of all tables in `text` whose first column is headed `first`.
fn tables(text: &str, first: &str) -> Vec<Vec<String>> {
    let heading = format!("| {first} |");
    text.split("\n\n").filter(|part| part.starts_with(&heading)).flat_map(|part| table(part, first)).collect()
}

/// All Rust sources below a folder, without their unit tests.
fn sources(folder: &str) -> Vec<String> {
    let without_tests = |text: &String| text.split("\n#[cfg(test)]").next().unwrap_or_default().to_owned();
    texts(folder).iter().map(without_tests).collect()
}

/// All Rust sources below a folder.
pub(crate) fn texts(folder: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(fs::read_to_string(&path).expect("a readable file"));
            }
        }
    }
    texts
}

/// What stands between back quotes.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first text between double quotes.
fn first_literal(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

#[test]
fn every_metric_is_documented_with_its_kind_and_labels_and_no_other() {
    let mut emitted: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for text in sources("src") {
        let calls = [("counter", "counter!("), ("gauge", "gauge!("), ("histogram", "histogram!(")]
            .into_iter()
            .flat_map(|(kind, start)| text.split(start).skip(1).map(move |call| (kind, call)));
        for (kind, call) in calls {
            let call = call.split(';').next().unwrap_or_default();
            let call =
                [".increment", ".set(", ".record("].iter().fold(call, |call, end| call.split(end).next().unwrap());
            let labels = call.split("\" =>").collect::<Vec<_>>();
            let labels = labels[..labels.len() - 1].iter().map(|before| before.rsplit('"').next().unwrap().to_owned());
            let name = first_literal(call).expect("a name").to_owned();
            emitted.insert(name, (kind.to_owned(), labels.collect()));
        }
        // Those that are not counted but measured when somebody asks stand there as they are written.
        for declared in text.split("# TYPE ").skip(1) {
            let mut words = declared.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, kind) = (words.next().unwrap(), words.next().unwrap());
            emitted.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
    }
    let documented: BTreeMap<String, (String, BTreeSet<String>)> = table(&page("docs/metrics.md"), "name")
        .into_iter()
        .map(|row| {
            // Without buckets of its own a histogram is shown as a summary.
            let kind = if row[1] == "summary" { "histogram" } else { row[1].as_str() };
            (row[0].trim_matches('`').to_owned(), (kind.to_owned(), quoted(&row[2])))
        })
        .collect();
    assert_eq!(documented, emitted);
}

#[test]
fn every_problem_code_is_documented_and_no_other() {
    let text = page("docs/api-design.md");
    let anywhere = quoted(&text.replace("```", ""));
    let all = sources("src");
    for row in table(&text, "code") {
        for code in quoted(&row[0]) {
            let stem = ["_not_found", "_taken"].iter().find_map(|end| code.strip_suffix(end)).unwrap_or(&code);
            let known = |word: &str| all.iter().any(|source| source.contains(&format!("\"{word}\"")));
            assert!(known(&code) || known(stem), "{code} is documented, and nothing answers it");
        }
    }
    let is_code = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    for source in ["src/http", "src/actors", "src/services", "src/domain"].into_iter().flat_map(sources) {
        let direct = source.split("code: \"").skip(1).filter_map(|after| after.split('"').next());
        // `field(field, "code", …)` and its like: the first literal behind a comma.
        let calls = ["field(", "FieldProblem::new(", "FieldError::new(", "bad_parameter(", "bad("];
        let second = calls.iter().flat_map(|call| source.split(call).skip(1)).filter_map(|after| {
            let arguments = after.split(';').next()?;
            arguments.split_once(", \"")?.1.split('"').next()
        });
        for code in direct.chain(second).filter(is_code) {
            assert!(anywhere.contains(code), "{code} is not in docs/api-design.md");
        }
    }
}

#[test]
fn the_failure_table_names_tests_that_exist() {
    let all: String = sources("tests/it").into_iter().chain([page("src/journal.rs")]).collect();
    let rows = tables(&page("docs/failures.md"), "what happens");
    assert!(rows.len() > 50, "only {} rows were found", rows.len());
    for row in rows {
        let tests = quoted(row.last().expect("a last column"));
        assert!(!tests.is_empty(), "nothing proves: {}", row[0]);
        for test in tests {
            assert!(all.contains(&format!("fn {test}(")), "there is no test {test}");
        }
    }
}

#[test]
fn the_differences_name_tests_that_exist() {
    let all: String = texts("tests/it").into_iter().chain(texts("src")).collect();
    let rows = tables(&page("docs/differences.md"), "there");
    assert!(rows.len() > 150, "only {} rows were found", rows.len());
    for row in rows {
        let shown = row.last().expect("a last column");
        assert!(!shown.is_empty() || row[1].contains("Not yet"), "nothing shows: {}", row[1]);
        for test in quoted(shown) {
            assert!(all.contains(&format!("fn {test}(")), "there is no test {test}");
        }
    }
}

#[test]
fn alert_rules_ask_for_metrics_that_exist() {
    let known: BTreeSet<String> =
        table(&page("docs/metrics.md"), "name").into_iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let rules = page("docs/alerts.yml");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let asked: BTreeSet<&str> = words.filter(|word| word.starts_with("volley_")).collect();
    assert!(asked.len() > 5, "{asked:?}");
    for metric in asked {
        assert!(known.contains(metric), "there is no metric {metric}");
    }
}
