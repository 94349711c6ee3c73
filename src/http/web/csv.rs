//! Documents that are streamed as they are read: CSV, with cells that a spreadsheet takes as they are meant, and JSON lines.

use std::error::Error;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use futures_util::stream;

use crate::domain::export::Format;
pub(in crate::http) use crate::domain::spreadsheet::cell;

/// Some rows of a document.
pub(in crate::http) struct Portion<K> {
    /// Whole lines.
    pub(in crate::http) text: String,
    /// Behind which row the document goes on. `None`: it ends here.
    pub(in crate::http) next: Option<K>,
}

/// A document as a file of this name, read portion by portion: two of them are in memory at most. The first one was read before the
/// answer begins, so that an error is still a problem document then. An error later on cuts the answer off, which a client
/// notices.
pub(in crate::http) fn download<K, F, E>(
    file: &str,
    header: &str,
    first: Portion<K>,
    read: impl Fn(K) -> F + 'static,
) -> HttpResponse
where
    K: 'static,
    F: Future<Output = Result<Portion<K>, E>> + 'static,
    E: Into<Box<dyn Error>> + 'static,
{
    document(file, Format::Csv, format!("{header}\r\n"), first, read)
}

/// [`download`], in any format, with what stands before the rows.
pub(in crate::http) fn document<K, F, E>(
    file: &str,
    format: Format,
    header: String,
    first: Portion<K>,
    read: impl Fn(K) -> F + 'static,
) -> HttpResponse
where
    K: 'static,
    F: Future<Output = Result<Portion<K>, E>> + 'static,
    E: Into<Box<dyn Error>> + 'static,
{
    let rows = stream::try_unfold((Some(first), read), |(portion, read)| async move {
        let Some(Portion { text, next }) = portion else { return Ok(None) };
        let next = match next {
            Some(next) => Some(read(next).await?),
            None => None,
        };
        Ok::<_, E>(Some((Bytes::from(text), (next, read))))
    });
    let all = futures_util::StreamExt::chain(stream::iter([Ok(Bytes::from(header))]), rows);
    // An empty chunk would end the answer.
    let all = futures_util::TryStreamExt::try_filter(all, |chunk| std::future::ready(!chunk.is_empty()));
    HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header(("Content-Disposition", format!("attachment; filename=\"{file}\"")))
        .streaming(all)
}
