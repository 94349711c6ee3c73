//! `/v1/imports/{id}/rejected.csv`: all rejected rows of an import, to correct them and to upload them again.

use actix_web::{HttpResponse, web};

use crate::domain::export::Format;
use crate::domain::ids::ImportId;
use crate::domain::import::rejected;
use crate::http::state::AppState;
use crate::http::web::csv;
use crate::http::web::extract::{Id, Query};
use crate::http::web::problem::{ApiError, Problem};
use crate::store::import::{imports, rejections};
use crate::store::{Conn, Lane, Store, StoreError};

/// Gives all rejected rows of an import, in the format of its file: as CSV or as JSON lines. The line of each, the columns, codes and reasons of what is wrong, and the row as it was. Corrected, the
/// file can be uploaded again: the first four columns are passed over then. Cells that a spreadsheet would take for formulas, and those
/// that begin with `'`, have a `'` before them, which that upload takes away. While the import is running, these are the rows so far. Seven
/// days after it has ended they are removed, and the answer is 409 `rejected_rows_removed`. The file begins with a byte order mark. Of one
/// import, 64 MiB are kept: where rows are missing, the last line has the code `not_kept` and says how many. In JSON lines, what is wrong stands in
/// the first four members of each object, and a line that is no object in `rejected_text`.
#[utoipa::path(get, path = "/v1/imports/{id}/rejected.csv", operation_id = "rejected_rows", tag = "contacts",
    params(("id" = i64, Path)),
    responses((status = 200, content((String = "text/csv"), (String = "application/x-ndjson"))), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn download(
    state: web::Data<AppState>,
    Id(id): Id<ImportId>,
    _: Query<()>,
) -> Result<HttpResponse, ApiError> {
    let look = move |conn: &mut _| Ok((imports::find(conn, id)?, rejections::header(conn, id)?));
    let (import, header) = state.store.run(Lane::Read, "read an import", look).await?;
    let import = import.ok_or(ApiError::not_found("import", id.0))?;
    if header.is_none() && import.rows_rejected > 0 {
        let detail = "the rejected rows of this import are not kept: an older version imported them, or they were \
                      removed, which is done seven days after an import has ended";
        let detail = detail.to_owned();
        return Err(ApiError::Conflict { code: "rejected_rows_removed", detail, ids: vec![id.0] });
    }
    let (store, format) = (state.store.clone(), import.format);
    let read = move |place| portion(store.clone(), (id, format), place);
    let first = read(Place { after: 0, rows: 0 }).await?;
    let header = match format {
        // With a byte order mark, which an import drops, spreadsheets read UTF-8.
        Format::Csv => format!("\u{feff}{}\r\n", header.unwrap_or_else(|| rejected::header(std::iter::empty()))),
        Format::Jsonl => String::new(),
    };
    Ok(csv::document(&format!("import-{id}-rejected.{format}"), format, header, first, read))
}

/// How far a download is.
#[derive(Clone, Copy)]
struct Place {
    /// The end of the last batch in the file of the import.
    after: i64,
    /// How many rows were given.
    rows: i64,
}

/// The rows of the next batch; behind the last one, how many more rows were rejected than are there.
async fn portion(
    store: Store,
    (id, format): (ImportId, Format),
    place: Place,
) -> Result<csv::Portion<Place>, StoreError> {
    let Place { after, rows } = place;
    let read = move |conn: &mut Conn| {
        conn.snapshot(|conn| match rejections::next(conn, id, after)? {
            Some((after, text)) => {
                let next = Some(Place { after, rows: rows + rejected::count(format, &text) });
                Ok(csv::Portion { text, next })
            }
            None => {
                let all = imports::find(conn, id)?.map_or(0, |import| import.rows_rejected);
                let text = if all > rows { rejected::missing(format, all - rows) } else { String::new() };
                Ok(csv::Portion { text, next: None })
            }
        })
    };
    store.run(Lane::Read, "read rejected rows", read).await
}
