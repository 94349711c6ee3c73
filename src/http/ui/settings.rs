//! `/ui/settings`: what is in force on the instance that answers, and what set it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Section, page};
use crate::http::api::settings::{self, Setting};
use crate::http::state::AppState;
use crate::http::web::extract::Query;
use crate::http::web::problem::ApiError;

/// A setting: its name in its section, its value, and what set it.
struct Row {
    name: String,
    value: String,
    set_by: String,
    /// Whether somebody has set it: it is not a default.
    is_own: bool,
}

/// A section.
struct Part {
    name: String,
    /// What it is called by people, where that is not its name: the name of a pool.
    title: String,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "ui/settings.html")]
struct SettingsPage {
    frame: Frame,
    instance: i64,
    parts: Vec<Part>,
}

/// Settings by section. A section of the pool `main` is called `pools: main`.
fn parts(all: Vec<Setting>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for Setting { key, value, set_by } in all {
        let (section, name) = key.split_once('.').unwrap_or(("", key.as_str()));
        let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let is_own = set_by != "the defaults" && !set_by.ends_with("compiled in");
        let row = Row { name: name.to_owned(), value, set_by, is_own };
        match parts.last_mut().filter(|part| part.name == section) {
            Some(part) => part.rows.push(row),
            None => {
                let title = if section.is_empty() { "without a section" } else { section };
                parts.push(Part { name: section.to_owned(), title: title.to_owned(), rows: vec![row] });
            }
        }
    }
    for part in &mut parts {
        let Some((array, _)) = part.name.split_once('[') else { continue };
        if let Some(named) = part.rows.iter().find(|row| row.name == "name") {
            part.title = format!("{array}: {}", named.value);
        }
    }
    parts
}

/// Shows the settings in force.
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    frame: Frame,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let found = settings::read(&state)?;
    let frame = frame.titled("Settings").same_as("GET /v1/settings", "volley config");
    let shown = SettingsPage {
        frame: Frame { section: Some(Section::System), ..frame },
        instance: found.instance_id.0,
        parts: parts(found.data),
    };
    page(StatusCode::OK, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_in_their_sections_and_a_pool_is_called_by_its_name() {
        let setting = |key: &str, value: serde_json::Value, set_by: &str| Setting {
            key: key.to_owned(),
            value,
            set_by: set_by.to_owned(),
        };
        let parts = parts(vec![
            setting("http.addr", "127.0.0.1:9".into(), "--addr"),
            setting("http.max_body_bytes", 7.into(), "config/default.toml, compiled in"),
            setting("pools[0].callbacks.secret", "***".into(), "VOLLEY_POOLS"),
            setting("pools[0].name", "main".into(), "VOLLEY_POOLS"),
        ]);
        let titles: Vec<&str> = parts.iter().map(|part| part.title.as_str()).collect();
        assert_eq!(titles, ["http", "pools: main"]);
        let own: Vec<bool> = parts[0].rows.iter().map(|row| row.is_own).collect();
        assert_eq!((own, parts[0].rows[1].value.as_str()), (vec![true, false], "7"));
        assert_eq!(parts[1].rows[0].name, "callbacks.secret");
    }
}
