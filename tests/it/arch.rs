//! Rules of the repository, kept by tests.

mod imports;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::imports::{Arrows, Imports, Module, circles, paths_in, without_comments_and_strings};

/// Which rooms a room may import. `app` and `cli` see everything below them.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("store", &["domain", "config"]),
    ("channels", &["domain", "config"]),
    ("journal", &["domain", "config", "store"]),
    ("runtime", &["domain", "config", "store"]),
    ("services", &["domain", "config", "store", "channels", "journal", "runtime"]),
    ("actors", &["domain", "config", "store", "channels", "journal", "runtime", "services"]),
    ("http", &["domain", "config", "store", "channels", "journal", "runtime", "services", "actors"]),
    ("app", &["domain", "config", "store", "channels", "journal", "runtime", "services", "actors", "http"]),
    ("verify", &["domain", "config", "store"]),
    (
        "cli",
        &["domain", "config", "store", "channels", "journal", "runtime", "services", "actors", "http", "app", "verify"],
    ),
];

/// A folder, and which of its neighbours it may import.
type Subject = (&'static str, &'static [&'static str]);

/// The places that have a folder for each subject: which of the others there a subject may import. Files beside the folders
/// belong to the place as a whole, and may import all of them.
const SUBJECTS: &[(&str, &[Subject])] = &[
    (
        "domain",
        &[
            ("access", &[]),
            ("callbacks", &["people"]),
            ("campaigns", &["people", "segments"]),
            ("content", &["people"]),
            ("dispatch", &["campaigns", "content", "people"]),
            ("import", &["people"]),
            ("people", &[]),
            ("preflight", &["content", "dispatch"]),
            ("replicas", &["campaigns", "dispatch"]),
            ("segments", &["people"]),
        ],
    ),
    (
        "store",
        &[
            ("engine", &[]),
            ("access", &["engine"]),
            ("callbacks", &["engine"]),
            (
                "campaigns",
                &["engine", "access", "content", "dispatch", "people", "reactions", "replicas", "reports", "tracking"],
            ),
            ("content", &["engine"]),
            ("deliverability", &["engine"]),
            ("dispatch", &["engine", "campaigns", "deliverability", "people", "replicas", "reports", "segments"]),
            ("events", &["engine"]),
            ("import", &["engine", "people"]),
            ("naming", &["engine"]),
            ("people", &["engine"]),
            ("reactions", &["engine"]),
            ("replicas", &["engine"]),
            ("reports", &["engine", "deliverability", "events"]),
            ("segments", &["engine"]),
            ("tracking", &["engine"]),
        ],
    ),
    (
        "services",
        &[
            ("access", &[]),
            ("callbacks", &["people"]),
            ("campaigns", &["content", "people"]),
            ("content", &["people"]),
            ("events", &["segments"]),
            ("import", &[]),
            ("people", &[]),
            ("reactions", &["segments"]),
            ("replicas", &[]),
            ("segments", &[]),
            ("tracking", &[]),
        ],
    ),
    ("actors", &[("dispatch", &["replicas"]), ("import", &[]), ("replicas", &[])]),
    (
        "http",
        &[
            ("web", &[]),
            ("api", &["web"]),
            ("openapi", &["api", "public", "web"]),
            ("public", &["web"]),
            ("ui", &["web", "api"]),
        ],
    ),
    (
        "http::api",
        &[
            ("access", &[]),
            ("campaigns", &["content", "replicas"]),
            ("content", &[]),
            ("events", &["people"]),
            ("import", &[]),
            ("people", &[]),
            ("replicas", &[]),
            ("segments", &[]),
        ],
    ),
];

const LONGEST_FILE: usize = 500;

/// The longest handler, in lines. A longer one hides a decision, which belongs in a service.
const LONGEST_HANDLER: usize = 30;

/// Handlers that are longer and decide nothing: this one asks every actor for its state.
const LONGER_HANDLERS: &[&str] = &["actor_states"];

#[test]
fn imports_point_one_way() {
    let imports = imports();
    let mut wrong = BTreeSet::new();
    for (from, to) in arrows(&imports.arrows).chain(arrows(&imports.with_tests)) {
        let (room, imported) = (&from[0], &to[0]);
        match MAY_IMPORT.iter().find(|(name, _)| name == room) {
            None => {
                wrong.insert(format!("{} is in no known room", from.join("::")));
            }
            Some((_, allowed)) if room != imported && !allowed.contains(&imported.as_str()) => {
                wrong.insert(format!("{} imports {}, which {room} may not", from.join("::"), to.join("::")));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", lines(wrong));
}

#[test]
fn subjects_import_the_subjects_that_are_named_for_them() {
    let imports = imports();
    let mut wrong = BTreeSet::new();
    for (place, subjects) in SUBJECTS {
        let place: Module = place.split("::").map(str::to_owned).collect();
        let inside = |module: &Module| module.strip_prefix(place.as_slice()).and_then(|inside| inside.first()).cloned();
        // Every folder is a subject.
        let folders = imports.files.keys().filter(|module| module.len() > place.len() + 1).filter_map(inside);
        let unnamed = folders.filter(|folder| !subjects.iter().any(|(name, _)| name == folder));
        wrong.extend(unnamed.map(|folder| format!("{}::{folder} is no known subject", place.join("::"))));
        for (from, to) in arrows(&imports.arrows) {
            let named =
                |module: &Module| inside(module).and_then(|folder| subjects.iter().find(|(name, _)| *name == folder));
            let (Some((subject, allowed)), Some((other, _))) = (named(from), named(to)) else { continue };
            if subject != other && !allowed.contains(other) {
                wrong.insert(format!(
                    "{} imports {}, which {}::{subject} may not",
                    from.join("::"),
                    to.join("::"),
                    place.join("::")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", lines(wrong));
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let found: Vec<String> = circles(&imports().arrows)
        .iter()
        .map(|circle| circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" ⇄ "))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A statement for one database only stands in a file that is called `dialect`, or in a folder of that name.
#[test]
fn only_dialects_ask_which_database_it_is() {
    let asks = |text: &str| {
        let code = without_comments_and_strings(text);
        ["Conn::Pg(", "Conn::Sqlite("].iter().any(|kind| code.contains(kind))
    };
    let wrong: Vec<String> = imports()
        .files
        .iter()
        .filter(|(module, file)| asks(&read(file)) && !module.iter().any(|part| part == "dialect"))
        .map(|(module, _)| module.join("::"))
        .collect();
    assert!(wrong.is_empty(), "these match on the kind of connection: {}", wrong.join(", "));
}

/// A decision is in a service, so that every door can call it. A handler parses, calls and answers.
#[test]
fn handlers_are_short() {
    let mut long = Vec::new();
    let mut all = 0;
    for file in sources("src/http/api") {
        for handler in read(&file).split("#[utoipa::path(").skip(1) {
            let (_, function) = handler.split_once("async fn ").expect("a function below its description");
            let (body, _) = function.split_once("\n}").expect("the end of a function");
            let name = body.split(['(', '<']).next().unwrap_or_default();
            all += 1;
            let lines = body.lines().count() + 1;
            if lines > LONGEST_HANDLER && !LONGER_HANDLERS.contains(&name) {
                long.push(format!("{}: {name} has {lines} lines", file.display()));
            }
        }
    }
    assert!(all > 40, "the handlers were not found: {all}");
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// A page knows nothing that another client could not know: it calls what the handlers of the API call.
#[test]
fn pages_of_operators_never_call_the_store() {
    let imports = imports();
    let is_page = |module: &Module| module.len() > 1 && module[0] == "http" && module[1] == "ui";
    let wrong: BTreeSet<String> = arrows(&imports.arrows)
        .filter(|(from, to)| is_page(from) && to[0] == "store")
        .map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::")))
        .collect();
    assert!(wrong.is_empty(), "{}", lines(wrong));
    let asks = |file: &PathBuf| without_comments_and_strings(&read(file)).contains("store.run(");
    let asking: Vec<PathBuf> = sources("src/http/ui").into_iter().filter(asks).collect();
    assert!(asking.is_empty(), "these ask the store: {asking:?}");
}

/// Rooms cannot be imported upwards, but crates can: a service that names actix would know HTTP or an actor.
#[test]
fn services_know_neither_http_nor_actors() {
    let wrong: Vec<PathBuf> = sources("src/services")
        .into_iter()
        .filter(|file| without_comments_and_strings(&read(file)).contains("actix"))
        .collect();
    assert!(wrong.is_empty(), "these name actix: {wrong:?}");
}

fn imports() -> Imports {
    Imports::read(&root().join("src"), sources("src"))
}

fn arrows(all: &Arrows) -> impl Iterator<Item = (&Module, &Module)> {
    all.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
}

fn lines(wrong: BTreeSet<String>) -> String {
    wrong.into_iter().collect::<Vec<_>>().join("\n")
}

#[test]
fn both_databases_have_the_same_migrations_up_and_down() {
    let names = |backend: &str| -> BTreeSet<String> {
        let folder = root().join("migrations").join(backend);
        let entries = fs::read_dir(&folder).expect("a folder of migrations");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect()
    };
    let postgres = names("postgres");
    assert_eq!(postgres, names("sqlite"));
    for (backend, name) in ["postgres", "sqlite"].into_iter().flat_map(|b| postgres.iter().map(move |n| (b, n))) {
        for direction in ["up.sql", "down.sql"] {
            let file = root().join("migrations").join(backend).join(name).join(direction);
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }
}

#[test]
fn every_file_stays_under_five_hundred_lines() {
    let long: Vec<String> = ["src", "tests", "benches"]
        .into_iter()
        .flat_map(sources)
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_module_is_called_mod() {
    let found: Vec<PathBuf> =
        ["src", "tests", "benches"].into_iter().flat_map(sources).filter(|file| file.ends_with("mod.rs")).collect();
    assert!(found.is_empty(), "use foo.rs beside foo/: {found:?}");
}

#[test]
fn the_architecture_page_names_every_room() {
    let page = read(&root().join("ARCHITECTURE.md"));
    let rooms: BTreeSet<String> = sources("src").iter().filter_map(|file| room_of(file)).collect();
    let unnamed: Vec<&String> = rooms
        .iter()
        .filter(|room| !page.contains(&format!("{room}/")) && !page.contains(&format!("{room}.rs")))
        .collect();
    assert!(unnamed.is_empty(), "ARCHITECTURE.md does not name {unnamed:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()))
}

/// Every Rust file below a folder of the repository.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `src/store.rs` and everything below `src/store/` is the room `store`; `lib.rs` and `main.rs` are the door.
fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&room)).then(|| room.to_owned())
}

#[test]
fn the_reader_of_imports_reads_trees_and_paths_and_no_tests() {
    let paths = paths_in(
        "use crate::{store::{self, a as b}, domain::*}; // crate::cli::x\nlet y = crate::actors::z(\"crate::http\");\n\
         mod tests { use crate::app::App; } use super::w;",
    );
    let named: BTreeSet<String> = paths.iter().map(|path| path.join("::")).collect();
    let expected = ["crate::store", "crate::store::a", "crate::domain", "crate::actors::z", "super::w"];
    assert_eq!(named, expected.map(str::to_owned).into());
}

#[test]
fn the_search_for_circles_finds_one_and_allows_a_module_its_children() {
    let module = |path: &str| -> Module { path.split("::").map(str::to_owned).collect() };
    let arrows: Arrows = [("a", "b::c"), ("b::c", "d"), ("d", "a"), ("e", "e::f"), ("e::f", "e"), ("g", "a")]
        .into_iter()
        .map(|(from, to)| (module(from), [module(to)].into()))
        .collect();
    assert_eq!(circles(&arrows), [vec![module("a"), module("b::c"), module("d")]]);
}
