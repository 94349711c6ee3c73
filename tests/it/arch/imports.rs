//! What each source file names: a small reader of `use` trees and paths, enough to draw the arrows between files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module's path inside the crate, such as `["store", "people", "contacts"]`.
pub(super) type Module = Vec<String>;

/// What each module names.
pub(super) type Arrows = BTreeMap<Module, BTreeSet<Module>>;

/// Every file of `src` as a module, and the modules that it names.
pub(super) struct Imports {
    /// Files by module.
    pub(super) files: BTreeMap<Module, PathBuf>,
    /// The files that a file names outside its tests, itself excluded.
    pub(super) arrows: Arrows,
    /// The files that a file names from the crate's root, in its tests too.
    pub(super) with_tests: Arrows,
}

impl Imports {
    /// Reads every file below `src`.
    pub(super) fn read(src: &Path, files: Vec<PathBuf>) -> Self {
        let files: BTreeMap<Module, PathBuf> =
            files.into_iter().filter_map(|file| Some((module_of(src, &file)?, file))).collect();
        let (mut arrows, mut with_tests) = (Arrows::new(), Arrows::new());
        for (module, file) in &files {
            let text = std::fs::read_to_string(file).expect("a source file");
            let named = |paths: Vec<Vec<String>>| -> BTreeSet<Module> {
                let paths = paths.into_iter().filter_map(|path| absolute(module, &path, &files));
                paths.filter_map(|path| file_of(&path, &files)).filter(|named| named != module).collect()
            };
            arrows.insert(module.clone(), named(paths_in(&text)));
            with_tests.insert(module.clone(), named(crate_paths_in(&text)));
        }
        Self { files, arrows, with_tests }
    }
}

/// `lib.rs` and `main.rs` are no rooms.
fn module_of(src: &Path, file: &Path) -> Option<Module> {
    let inside = file.strip_prefix(src).ok()?.with_extension("");
    let parts: Module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    (!matches!(parts.first().map(String::as_str), Some("lib" | "main"))).then_some(parts)
}

/// The file that a path lies in: the longest beginning of it that is one.
fn file_of(path: &[String], files: &BTreeMap<Module, PathBuf>) -> Option<Module> {
    (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|module| files.contains_key(module))
}

/// A path as it is seen from the crate. `None`: it is another crate's.
fn absolute(module: &[String], path: &[String], files: &BTreeMap<Module, PathBuf>) -> Option<Module> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => Some([&module[..module.len().saturating_sub(ups)], &path[ups..]].concat()),
        child => {
            let own = [module, &[child.to_owned()]].concat();
            files.contains_key(&own).then(|| [module, path].concat())
        }
    }
}

/// Every path in a file's code: the leaves of its `use` trees, and what it names in passing. Comments, strings and the
/// modules inside the file (its tests) do not count.
pub(super) fn paths_in(text: &str) -> Vec<Vec<String>> {
    paths(&without_inner_modules(&without_comments_and_strings(text)))
}

/// Every path that begins at the crate's root, in the modules inside the file too.
fn crate_paths_in(text: &str) -> Vec<Vec<String>> {
    let mut found = paths(&without_comments_and_strings(text));
    found.retain(|path| path.first().is_some_and(|first| first == "crate"));
    found
}

fn paths(code: &str) -> Vec<Vec<String>> {
    let (mut paths, mut rest) = (Vec::new(), code);
    while let Some(at) = find_word(rest, "use") {
        paths.extend(plain_paths(&rest[..at]));
        let (tree, after) = rest[at + 3..].split_once(';').unwrap_or((&rest[at + 3..], ""));
        leaves(tree.trim(), &[], &mut paths);
        rest = after;
    }
    paths.extend(plain_paths(rest));
    paths
}

/// The leaves of a `use` tree.
fn leaves(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    if let Some(open) = tree.find('{') {
        let prefix = [before, &segments(&tree[..open])].concat();
        let inner = tree[open + 1..].strip_suffix('}').unwrap_or(&tree[open + 1..]);
        for part in split_at_commas(inner) {
            leaves(part.trim(), &prefix, found);
        }
        return;
    }
    let name = tree.split(" as ").next().unwrap_or_default();
    let path: Vec<String> = [before, &segments(name)].concat();
    let path = if path.last().is_some_and(|last| last == "self" || last == "*") {
        path[..path.len() - 1].to_vec()
    } else {
        path
    };
    if !path.is_empty() {
        found.push(path);
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn split_at_commas(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[from..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Paths with at least two parts, outside `use`.
fn plain_paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for token in code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        let path = segments(token);
        if token.contains("::") && path.len() > 1 && !token.starts_with("::") {
            paths.push(path);
        }
    }
    paths
}

/// Where a word begins that stands alone.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        !text[..*at].chars().next_back().is_some_and(is_part)
            && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The code with comments and the insides of strings and of quoted characters blanked.
pub(super) fn without_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut at) = (String::with_capacity(text.len()), 0);
    while at < chars.len() {
        let rest = &chars[at..];
        let hashes = rest.iter().skip(1).take_while(|c| **c == '#').count();
        match rest {
            ['/', '/', ..] => at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['r', ..] if rest.get(1 + hashes) == Some(&'"') && !ends_in_word(&code) => {
                let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let inside: String = rest[2 + hashes..].iter().collect();
                let length = inside.find(&end).map_or(inside.chars().count(), |at| inside[..at].chars().count());
                code.push_str("\"\"");
                at += 2 + hashes + length + 1 + hashes;
            }
            ['"', ..] => {
                let mut length = 1;
                while length < rest.len() && rest[length] != '"' {
                    length += if rest[length] == '\\' { 2 } else { 1 };
                }
                code.push_str("\"\"");
                at += length + 1;
            }
            ['\'', '\\', ..] => {
                let length = rest.iter().skip(3).position(|c| *c == '\'').unwrap_or(0);
                at += length + 4;
            }
            ['\'', _, '\'', ..] => at += 3,
            [c, ..] => {
                code.push(*c);
                at += 1;
            }
            [] => break,
        }
    }
    code
}

fn ends_in_word(code: &str) -> bool {
    code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The code without `mod name { … }`.
fn without_inner_modules(code: &str) -> String {
    let (mut kept, mut rest) = (String::new(), code);
    while let Some(at) = find_word(rest, "mod") {
        let after = rest[at + 3..].trim_start();
        let name = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').count();
        let Some(body) = after[name..].trim_start().strip_prefix('{') else {
            kept.push_str(&rest[..at + 3]);
            rest = &rest[at + 3..];
            continue;
        };
        kept.push_str(&rest[..at]);
        let mut depth = 1_usize;
        let end = body.char_indices().find(|(_, c)| {
            depth = match c {
                '{' => depth + 1,
                '}' => depth - 1,
                _ => depth,
            };
            depth == 0
        });
        rest = end.map_or("", |(end, _)| &body[end + 1..]);
    }
    kept.push_str(rest);
    kept
}

/// The circles among `arrows`: sets of modules each of which reaches all others. An arrow between a module and one inside it
/// does not count.
pub(super) fn circles(arrows: &Arrows) -> Vec<Vec<Module>> {
    let counts = |from: &Module, to: &Module| !from.starts_with(to) && !to.starts_with(from);
    let reach = |start: &Module| -> BTreeSet<Module> {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(at) = todo.pop() {
            for next in arrows.get(&at).into_iter().flatten().filter(|next| counts(&at, next)) {
                if seen.insert(next.clone()) {
                    todo.push(next.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = arrows.keys().map(|module| (module, reach(module))).collect();
    let mut found: Vec<Vec<Module>> = Vec::new();
    for (module, others) in &reached {
        if !others.contains(*module) || found.iter().any(|circle| circle.contains(module)) {
            continue;
        }
        let back = |other: &&Module| reached.get(*other).is_some_and(|reached| reached.contains(*module));
        found.push(others.iter().filter(back).cloned().collect());
    }
    found
}
