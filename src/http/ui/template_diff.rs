//! `/ui/templates/{id}/compare`: what differs between two versions, line by line.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use similar::{ChangeTag, TextDiff};

use super::frame::{Frame, Section, page};
use super::words::{When, curl};
use crate::domain::ids::TemplateId;
use crate::http::api::content::templates;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, bad_parameter};
use crate::http::web::problem::ApiError;

/// Lines around a change that are shown with it.
const AROUND: usize = 3;

/// After so long a comparison says what it has found, though it may not be the shortest.
const PATIENCE: Duration = Duration::from_millis(200);

/// The versions that are compared.
pub(in crate::http) struct Pair {
    from: i64,
    to: i64,
}

impl FromQuery for Pair {
    const NAMES: &'static [&'static str] = &["from", "to"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let version = |name| {
            let missing = || bad_parameter(name, "required", "name the version to compare".to_owned());
            params.integer(name, 1..=i64::MAX)?.ok_or_else(missing)
        };
        Ok(Self { from: version("from")?, to: version("to")? })
    }
}

/// A line of a comparison.
struct DiffLine {
    /// `added`, `removed`, `same`, or `gap` where lines that are the same are left out.
    kind: &'static str,
    /// `+`, `−` or nothing: a colour alone says it to some only.
    sign: &'static str,
    /// Its number in the older version, and in the newer one.
    numbers: (Option<usize>, Option<usize>),
    text: String,
}

/// A part of the content in both versions.
struct DiffPart {
    title: &'static str,
    lines: Vec<DiffLine>,
}

/// What differs between two texts. Nothing: they are the same.
fn differing(title: &'static str, old: &str, new: &str) -> Option<DiffPart> {
    if old == new {
        return None;
    }
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        if !lines.is_empty() {
            lines.push(DiffLine { kind: "gap", sign: "", numbers: (None, None), text: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (kind, sign) = match change.tag() {
                ChangeTag::Equal => ("kept", ""),
                ChangeTag::Delete => ("removed", "−"),
                ChangeTag::Insert => ("added", "+"),
            };
            let number = |index: Option<usize>| index.map(|index| index + 1);
            let numbers = (number(change.old_index()), number(change.new_index()));
            let text = change.value().trim_end_matches(['\n', '\r']).to_owned();
            lines.push(DiffLine { kind, sign, numbers, text });
        }
    }
    Some(DiffPart { title, lines })
}

#[derive(Template)]
#[template(path = "ui/template_diff.html")]
struct DiffPage {
    frame: Frame,
    id: i64,
    name: String,
    /// The two versions, and when they were written.
    from: (i64, When),
    to: (i64, When),
    parts: Vec<DiffPart>,
}

/// Compares two versions.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    Id(id): Id<TemplateId>,
    Query(Pair { from, to }): Query<Pair>,
) -> Result<HttpResponse, ApiError> {
    let old = templates::one(&state, id, Some(from)).await?;
    let new = templates::one(&state, id, Some(to)).await?;
    let (name, old, new) = (new.name, old.content, new.content);
    let versions = [&old, &new].map(|one| (one.version, When::of(one.version_created_at)));
    let compare = move || {
        let html = |html: &Option<String>| html.clone().unwrap_or_default();
        let parts = [
            differing("Subject", &old.subject, &new.subject),
            differing("Text", &old.body_text, &new.body_text),
            differing("HTML", &html(&old.body_html), &html(&new.body_html)),
            differing("Sent as written", &old.literal.join("\n"), &new.literal.join("\n")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>()
    };
    let parts = web::block(compare)
        .await
        .map_err(|source| ApiError::Unexpected { action: "compare two versions", source: Box::new(source) })?;
    let path = format!("/v1/templates/{id}/versions");
    let frame = frame.titled(&format!("{name}: version {from} and {to}"));
    let frame = frame.same_as(&format!("GET {path}"), &curl("GET", &path, None));
    let up = Some(format!("/ui/templates/{id}"));
    let [from, to] = versions;
    let frame = Frame { section: Some(Section::Templates), up, ..frame };
    page(StatusCode::OK, &DiffPage { frame, id: id.0, name, from, to, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_has_what_changed_with_a_few_lines_around_it() {
        let old: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 2\n", "line two\n").replace("line 20\n", "");
        let part = differing("Text", &old, &new).unwrap();
        let changed: Vec<_> =
            part.lines.iter().filter(|line| line.kind != "kept").map(|line| (line.kind, line.text.as_str())).collect();
        assert_eq!(changed, [("removed", "line 2"), ("added", "line two"), ("gap", ""), ("removed", "line 20")]);
        assert_eq!(part.lines.len(), 6 + 1 + 7, "three lines around each, where there are as many");
        let removed = part.lines.iter().find(|line| line.text == "line 20").unwrap();
        assert_eq!((removed.sign, removed.numbers), ("−", (Some(20), None)));
        assert!(differing("Text", &old, &old).is_none());
    }
}
