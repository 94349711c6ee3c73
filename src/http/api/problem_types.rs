//! `/problems/{code}`: where the `type` of a problem leads. The words are those of docs/api-design.md.

use actix_web::{HttpResponse, web};

use crate::http::web::extract::Query;
use crate::http::web::problem::{ApiError, Problem};

/// The page with a table of all codes.
const PAGE: &str = include_str!("../../../docs/api-design.md");

/// Explains a problem's code: its status and what it means, as text. It needs no key.
#[utoipa::path(get, path = "/problems/{code}", tag = "operations", security(()), params(("code" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(code: web::Path<String>, _: Query<()>) -> Result<HttpResponse, ApiError> {
    Ok(match explained(&code) {
        Some(text) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text),
        None => HttpResponse::NotFound().finish(),
    })
}

/// What the table says of a code.
fn explained(code: &str) -> Option<String> {
    let quoted = format!("`{code}`");
    let mut rows = PAGE.lines().filter_map(row);
    let (first, status, text) = rows.find(|(first, _, _)| first.contains(&quoted)).or_else(|| {
        let mut rows = PAGE.lines().filter_map(row);
        rows.find(|(_, _, text)| text.contains(&quoted))
    })?;
    let about = if first.contains(&quoted) { String::new() } else { format!("of the same kind as {first}: ") };
    Some(format!("{code}\nHTTP {status}\n\n{about}{text}\n").replace('`', ""))
}

/// Code, status and meaning, where a line of the page is a row of the table.
fn row(line: &str) -> Option<(&str, &str, &str)> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.splitn(3, " | ");
    let (code, status, text) = (cells.next()?, cells.next()?, cells.next()?);
    let is_status = status.split(", ").all(|one| one.len() == 3 && one.starts_with(['4', '5']));
    (code.starts_with('`') && is_status).then_some((code, status, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_explained_by_their_row_or_by_one_that_names_them() {
        assert!(
            explained("database_unavailable").unwrap().starts_with("database_unavailable\nHTTP 503\n\nthe database")
        );
        let named = explained("contact_not_found").unwrap();
        assert!(named.contains("of the same kind as campaign_not_found: also contact_not_found"), "{named}");
        for unknown in ["", "`", "no_such_code", "202", "campaign"] {
            assert_eq!(explained(unknown), None, "{unknown}");
        }
    }
}
