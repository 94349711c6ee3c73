//! Rules of the repository, kept by tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may import. `app` and `cli` see everything below them.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("store", &["domain", "config"]),
    ("channels", &["domain", "config"]),
    ("journal", &["domain", "config", "store", "channels"]),
    ("runtime", &["domain", "config", "store", "channels"]),
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

const LONGEST_FILE: usize = 500;

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        let Some(room) = room_of(&file) else { continue };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{} is in no known room", file.display()));
            continue;
        };
        let text = read(&file);
        for imported in rooms_named_in(&text) {
            if imported != room && !allowed.contains(&imported.as_str()) {
                wrong.push(format!("{} imports {imported}, which {room} may not", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// The rooms that `crate::…` paths name, also in `use crate::{a, b}` groups. Comments do not count.
fn rooms_named_in(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => rooms.extend(first_word(after)),
            Some(group) => rooms.extend(group_members(group).filter_map(|member| first_word(member.trim()))),
        }
    }
    rooms.retain(|word| MAY_IMPORT.iter().any(|(room, _)| room == word));
    rooms
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// The top-level members of a brace group, of which the opening brace is already gone.
fn group_members(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut end = group.len();
    let mut cuts = vec![0];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                end = at;
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => cuts.push(at + 1),
            _ => {}
        }
    }
    cuts.push(end + 1);
    let ranges: Vec<(usize, usize)> = cuts.windows(2).map(|pair| (pair[0], pair[1] - 1)).collect();
    ranges.into_iter().filter_map(move |(from, to)| group.get(from..to.min(group.len())))
}

#[test]
fn the_import_test_reads_groups() {
    let rooms = rooms_named_in("use crate::{store::{a, http}, domain::x}; // crate::cli\nlet y = crate::actors::z;");
    assert_eq!(rooms, ["actors", "domain", "store"].map(str::to_owned).into());
}
