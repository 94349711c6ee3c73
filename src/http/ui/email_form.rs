//! What an email has beside its words, in a form: where answers go, headers, and files. The composer and the form of a template share it.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::HttpRequest;
use actix_web::web::Payload;
use askama::Template;
use serde_json::{Value, json};

use super::form::Form;
use super::header_lines;
use super::upload::Brought;
use super::words::sized;
use crate::domain::content::attachment::AttachedFile;
use crate::domain::content::email_fields::EmailFields;
use crate::domain::ids::FileId;
use crate::domain::shown::shown;
use crate::http::api::content::files::{self, FileFilter};
use crate::http::state::AppState;
use crate::http::web::idempotency::IdempotencyKey;
use crate::http::web::problem::{ApiError, FieldProblem};
use crate::services::By;

/// A file of the form: its id, and the name by which the HTML shows it, as they were typed. Without a name it is attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Used {
    file: String,
    content_id: String,
}

/// What was typed.
#[derive(Debug, Clone, Default)]
pub(super) struct EmailTyped {
    pub(super) reply_to: String,
    /// One in each line.
    pub(super) headers: String,
    files: Vec<Used>,
    /// A file that was chosen on the reader's disk, and has not come with this form.
    unsent: Option<String>,
}

impl EmailTyped {
    /// What a form says. A row that is to be removed, or names no file, is none.
    pub(super) fn of(form: &Form) -> Self {
        let rows = form.all("file").zip(form.all("file_cid")).enumerate();
        let kept = rows.filter(|(place, (file, _))| !file.is_empty() && !form.has("file_gone", &place.to_string()));
        let mut files: Vec<Used> = kept
            .map(|(_, (file, id))| Used { file: file.trim().to_owned(), content_id: id.trim().to_owned() })
            .collect();
        let older = form.value("older_file").trim();
        if !older.is_empty() {
            files.push(Used { file: older.to_owned(), content_id: String::new() });
        }
        Self {
            reply_to: form.value("reply_to").trim().to_owned(),
            headers: form.value("headers").replace("\r\n", "\n"),
            files,
            unsent: form.text("upload").filter(|name| !name.is_empty()).map(str::to_owned),
        }
    }

    /// What is stored.
    pub(super) fn stored(fields: &EmailFields) -> Self {
        let used = fields
            .attachments
            .iter()
            .map(|one| Used { file: one.file_id.to_string(), content_id: one.content_id.clone().unwrap_or_default() });
        Self {
            reply_to: fields.reply_to.clone().unwrap_or_default(),
            headers: header_lines::written(&fields.headers),
            files: used.collect(),
            unsent: None,
        }
    }

    /// The fields of a form that says what is stored.
    pub(super) fn fields(self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("reply_to", self.reply_to), ("headers", self.headers), ("has_files", "yes".to_owned())];
        for Used { file, content_id } in self.files {
            fields.push(("file", file));
            fields.push(("file_cid", content_id));
        }
        fields
    }

    /// Whether it says anything.
    pub(super) fn is_empty(&self) -> bool {
        self.reply_to.is_empty() && self.headers.trim().is_empty() && self.files.is_empty()
    }

    /// The files as the API takes them.
    ///
    /// # Errors
    /// 422 of `attachments`: an id that is no number, or a file that was chosen and has not come.
    pub(super) fn attachments(&self) -> Result<Value, ApiError> {
        if let Some(name) = &self.unsent {
            let reason = format!("“{}” is chosen and not uploaded yet: choose it again, and press Upload", shown(name));
            return Err(ApiError::field("/attachments", "not_uploaded", reason));
        }
        let mut all = Vec::with_capacity(self.files.len());
        for Used { file, content_id } in &self.files {
            let id = file.parse::<i64>().ok().filter(|id| *id >= 1).ok_or_else(|| {
                let reason = format!("“{}” is no id of a file: ids are whole numbers from 1", shown(file));
                ApiError::field("/attachments", "invalid", reason)
            })?;
            all.push(match content_id.as_str() {
                "" => json!({ "file_id": id }),
                content_id => json!({ "file_id": id, "content_id": content_id }),
            });
        }
        Ok(Value::Array(all))
    }

    fn ids(&self) -> BTreeSet<FileId> {
        self.files.iter().filter_map(|one| one.file.parse().ok().map(FileId)).collect()
    }
}

/// The field of the form that a problem of the API is about, and what is wrong with it. `None`: it is about something else.
pub(super) fn said(problem: &FieldProblem) -> Option<(String, String)> {
    let reason = problem.reason.clone();
    let mut steps = problem.field.trim_start_matches('/').splitn(3, '/');
    match (steps.next()?, steps.next()) {
        ("headers", Some(name)) => {
            let name = name.replace("~1", "/").replace("~0", "~");
            Some(("headers".to_owned(), format!("{}: {reason}", shown(&name))))
        }
        ("attachments", Some(place)) => Some((format!("attachments-{place}"), reason)),
        (field @ ("reply_to" | "headers" | "attachments"), None) => Some((field.to_owned(), reason)),
        _ => None,
    }
}

/// A form that has brought a file: the file is stored, and stands in the form. The second value says why it is not. The same form again
/// finds the same file, by its bytes: there is nothing that its key would have to keep.
///
/// # Errors
/// It is no form with a file, or the database failed.
pub(super) async fn brought(
    state: &AppState,
    request: &HttpRequest,
    payload: Payload,
    by: &By,
) -> Result<(Form, Result<files::File, FieldProblem>), ApiError> {
    let mut brought = Brought::to_keep();
    let read = brought.read(state, request, payload).await;
    if !brought.is_whole() {
        // What is missing of a form that broke off is not what somebody has cleared.
        return Err(read.err().unwrap_or(ApiError::BodyTimeout));
    }
    let (mut fields, chosen) = brought.into_parts();
    IdempotencyKey::of_form(request, Form::of(fields.clone()).value("idempotency_key"))?;
    let nothing = || ApiError::field("/attachments", "required", "choose a file first");
    let stored = match (read, chosen) {
        (Err(error), _) => Err(error),
        (Ok(()), None) => Err(nothing()),
        (Ok(()), Some(file)) => files::brought(state, file.name, file.content_type.as_deref(), file.bytes, by).await,
    };
    match stored {
        Ok(file) => {
            // Behind the blank row, whose name for the HTML is this file's.
            let blank = fields.iter().rposition(|(name, value)| name == "file" && value.is_empty());
            match blank.and_then(|at| fields.get_mut(at)) {
                Some((_, value)) => *value = file.id.to_string(),
                None => {
                    fields.push(("file".to_owned(), file.id.to_string()));
                    fields.push(("file_cid".to_owned(), String::new()));
                }
            }
            Ok((Form::of(fields), Ok(file)))
        }
        Err(error) if error.is_refusal() => {
            let problem = error.problem();
            let reason = problem.errors.first().map(|one| one.reason.clone());
            let reason = reason.or(problem.detail).unwrap_or_default();
            Ok((Form::of(fields), Err(FieldProblem::new("/attachments", problem.code, reason))))
        }
        Err(error) => Err(error),
    }
}

/// What an email has beside its words, for people: what it is, and its value.
pub(super) fn extras(
    from: Option<&str>,
    reply_to: Option<&str>,
    headers: &BTreeMap<String, String>,
    files: &[AttachedFile],
) -> Vec<(String, String)> {
    let sender = from.map(|address| ("from".to_owned(), address.to_owned()));
    let answers = reply_to.map(|address| ("replies go to".to_owned(), address.to_owned()));
    let headers = headers.iter().map(|(name, value)| (format!("header {name}"), value.clone()));
    let files = files.iter().map(|file| {
        let how = file.content_id.as_ref().map_or_else(|| "attached".to_owned(), |id| format!("shown as cid:{id}"));
        (how, format!("{} · {}", file.name, sized(file.size)))
    });
    sender.into_iter().chain(answers).chain(headers).chain(files).collect()
}

/// A file in the form.
struct Row {
    file: String,
    name: String,
    /// Its type and size.
    about: String,
    content_id: String,
    wrong: Option<String>,
}

/// The files of a form.
#[derive(Template)]
#[template(path = "ui/files_field.html")]
pub(super) struct FilesView {
    rows: Vec<Row>,
    /// Stored files that can be chosen: id, and name with size.
    stored: Vec<(i64, String)>,
    /// There are files that are older than these.
    has_older: bool,
    /// Where a new file is brought to.
    path: String,
    /// The largest file that is taken, in bytes.
    most: usize,
    /// What is wrong: field and reason.
    wrong: Vec<(String, String)>,
}

impl FilesView {
    fn wrong(&self, field: &str) -> Option<&str> {
        self.wrong.iter().find(|(name, _)| name == field).map(|(_, reason)| reason.as_str())
    }

    /// How large a file may be.
    fn most(&self) -> String {
        sized(i64::try_from(self.most).unwrap_or(i64::MAX))
    }

    /// The files of a form that brings new ones to `path`.
    pub(super) async fn of(
        state: &AppState,
        typed: &EmailTyped,
        path: String,
        problems: &[FieldProblem],
    ) -> Result<Self, ApiError> {
        let found = files::listed(state, FileFilter::newest()).await?;
        let known = files::these(state, typed.ids()).await?;
        let wrong: Vec<_> = problems.iter().filter_map(said).collect();
        let rows = typed.files.iter().enumerate().map(|(place, one)| {
            let field = format!("attachments-{place}");
            let file = one.file.parse().ok().and_then(|id| known.get(&FileId(id)));
            Row {
                file: one.file.clone(),
                name: file.map_or_else(|| format!("file {}", shown(&one.file)), |file| file.name.clone()),
                about: file.map_or_else(
                    || "is not there".to_owned(),
                    |file| format!("{} · {}", file.content_type, sized(file.size)),
                ),
                content_id: one.content_id.clone(),
                wrong: wrong.iter().find(|(name, _)| *name == field).map(|(_, reason)| reason.clone()),
            }
        });
        let has_older = found.next_cursor.is_some();
        let stored = found.data.into_iter().map(|file| (file.id.0, format!("{} · {}", file.name, sized(file.size))));
        let rows = rows.collect();
        Ok(Self { rows, stored: stored.collect(), has_older, path, most: state.settings.http.max_body_bytes, wrong })
    }
}

/// All that an email has beside its words.
#[derive(Template)]
#[template(path = "ui/email_fields.html")]
pub(super) struct EmailView {
    reply_to: String,
    /// Where they go if it is empty.
    fallback: &'static str,
    headers: String,
    /// `None`: the channel has none.
    pub(super) files: Option<FilesView>,
    wrong: Vec<(String, String)>,
    is_empty: bool,
}

impl EmailView {
    /// The part of a form. `path`: where it brings new files to, if its channel has any. `fallback`: where answers go if nothing is said.
    pub(super) async fn of(
        state: &AppState,
        typed: &EmailTyped,
        path: Option<String>,
        fallback: &'static str,
        problems: &[FieldProblem],
    ) -> Result<Self, ApiError> {
        let files = match path {
            Some(path) => Some(FilesView::of(state, typed, path, problems).await?),
            None => None,
        };
        let wrong: Vec<_> = problems.iter().filter_map(said).collect();
        let is_empty = typed.is_empty() && wrong.is_empty();
        let (reply_to, headers) = (typed.reply_to.clone(), typed.headers.clone());
        Ok(Self { reply_to, fallback, headers, files, wrong, is_empty })
    }

    fn wrong(&self, field: &str) -> Option<&str> {
        self.wrong.iter().find(|(name, _)| name == field).map(|(_, reason)| reason.as_str())
    }

    /// Whether there is anything to see in it.
    pub(super) const fn is_open(&self) -> bool {
        !self.is_empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Form {
        Form::of(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn rows_are_files_unless_they_are_removed_or_blank() {
        let typed = EmailTyped::of(&form(&[
            ("reply_to", " help@example.com "),
            ("headers", "X-A: 1\r\nX-B: 2"),
            ("has_files", "yes"),
            ("file", "7"),
            ("file_cid", ""),
            ("file", "8"),
            ("file_cid", "old"),
            ("file_gone", "1"),
            ("file", "9"),
            ("file_cid", " logo "),
            ("file", ""),
            ("file_cid", "none"),
            ("older_file", "3"),
            ("upload", ""),
        ]));
        assert_eq!((typed.reply_to.as_str(), typed.headers.as_str()), ("help@example.com", "X-A: 1\nX-B: 2"));
        let files = json!([{ "file_id": 7 }, { "file_id": 9, "content_id": "logo" }, { "file_id": 3 }]);
        assert_eq!(typed.attachments().unwrap(), files);
    }

    #[test]
    fn what_is_no_id_and_what_has_not_come_is_refused() {
        for (field, value, code) in [("older_file", "seven", "invalid"), ("upload", "prices.pdf", "not_uploaded")] {
            let refused = EmailTyped::of(&form(&[(field, value)])).attachments().unwrap_err().problem();
            assert_eq!((refused.errors[0].field.as_ref(), refused.errors[0].code.as_ref()), ("/attachments", code));
        }
    }

    #[test]
    fn a_problem_leads_to_its_field_and_names_its_header() {
        for (pointer, field, words) in [
            ("/reply_to", "reply_to", "is wrong"),
            ("/headers/X~1A", "headers", "X/A: is wrong"),
            ("/headers", "headers", "is wrong"),
            ("/attachments/2/content_id", "attachments-2", "is wrong"),
            ("/attachments", "attachments", "is wrong"),
        ] {
            let found = said(&FieldProblem::new(pointer, "wrong", "is wrong"));
            assert_eq!(found, Some((field.to_owned(), words.to_owned())), "{pointer}");
        }
        assert_eq!(said(&FieldProblem::new("/subject", "wrong", "is wrong")), None);
    }
}
