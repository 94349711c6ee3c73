//! `/v1/files`: what emails have attached or show in their HTML.

use std::collections::{BTreeSet, HashMap};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::content::attachment::{AttachedFile, AttachmentUse, check_name, media_type};
use crate::domain::ids::FileId;
use crate::domain::instant::UtcInstant;
use crate::http::state::AppState;
use crate::http::web::extract::{FromQuery, Id, Params, Query, gather};
use crate::http::web::paging::{ListParams, Listing, Paging};
use crate::http::web::problem::{ApiError, Problem};
use crate::services::By;
use crate::services::content::files::{DeleteFileError, add_file, delete_file, described};
use crate::store::Lane;
use crate::store::content::files::{self, FileRow};

/// A file.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct File {
    pub(in crate::http) id: FileId,
    pub(in crate::http) name: String,
    /// Its media type: `application/pdf`.
    pub(in crate::http) content_type: String,
    /// In bytes.
    pub(in crate::http) size: i64,
    /// SHA-256 of its bytes, in hex.
    pub(in crate::http) sha256: String,
    pub(in crate::http) created_at: UtcInstant,
}

impl From<FileRow> for File {
    fn from(row: FileRow) -> Self {
        let FileRow { id, name, content_type, size, sha256, created_at } = row;
        Self { id, name, content_type, size, sha256, created_at }
    }
}

/// What a file is called.
#[derive(Debug)]
pub(in crate::http) struct Named(String);

impl FromQuery for Named {
    const NAMES: &'static [&'static str] = &["name"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let name = params.text("name").unwrap_or_default().trim().to_owned();
        check_name(&name).map_err(|reason| ApiError::field("name", "file_name", reason))?;
        Ok(Self(name))
    }
}

#[derive(Debug)]
pub(in crate::http) struct FileFilter(Paging);

impl FileFilter {
    /// The newest ones, as many as one answer has at most.
    pub(in crate::http) fn newest() -> Self {
        Self(Paging::newest("files"))
    }
}

impl FromQuery for FileFilter {
    const NAMES: &'static [&'static str] = &["page", "page_size", "anchor", "cursor"];

    fn from_params(params: &Params) -> Result<Self, ApiError> {
        Paging::read(params, "files", &[]).map(Self)
    }
}

/// Stores a file: the body is the file, and `Content-Type` says what it is. The same file again is the one that is there. A file has at most
/// `http.max_body_bytes`.
#[utoipa::path(post, path = "/v1/files", tag = "files", params(("name" = String, Query)),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 201, body = File), (status = 200, body = File), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn upload(
    state: web::Data<AppState>,
    request: HttpRequest,
    Query(Named(name)): Query<Named>,
    by: By,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(media_type);
    let kind = kind.ok_or(ApiError::UnsupportedMediaType(
        "Content-Type must be that of the file, such as application/pdf or image/png",
    ))?;
    let bytes = gather(payload.into_inner(), state.services.settings.http.max_body_bytes).await?;
    if bytes.is_empty() {
        return Err(ApiError::field("", "required", "the file is empty"));
    }
    let (row, is_new) = add_file(&state.services, name, kind, bytes.to_vec(), &by).await?;
    let file = File::from(row);
    Ok(match is_new {
        true => HttpResponse::Created().insert_header(("Location", format!("/v1/files/{}", file.id))).json(file),
        false => HttpResponse::Ok().json(file),
    })
}

/// Lists files, newest first.
#[utoipa::path(get, path = "/v1/files", tag = "files", params(ListParams),
    responses((status = 200, body = Listing<File>), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn list(
    state: web::Data<AppState>,
    Query(filter): Query<FileFilter>,
) -> Result<web::Json<Listing<File>>, ApiError> {
    Ok(web::Json(listed(&state, filter).await?))
}

/// A part of the files.
pub(in crate::http) async fn listed(
    state: &AppState,
    FileFilter(paging): FileFilter,
) -> Result<Listing<File>, ApiError> {
    let window = paging.window();
    let slice = state.store.run(Lane::Read, "list files", move |conn| files::list(conn, window)).await?;
    Ok(paging.answer(slice.map(File::from), |file| file.id.0))
}

/// Those of these files that are there.
pub(in crate::http) async fn these(state: &AppState, ids: BTreeSet<FileId>) -> Result<HashMap<FileId, File>, ApiError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<FileId> = ids.into_iter().collect();
    let found = state.store.run(Lane::LookUp, "read files", move |conn| files::find(conn, &ids)).await?;
    Ok(found.into_iter().map(|(id, row)| (id, row.into())).collect())
}

/// The files of an email, for people.
pub(in crate::http) async fn of_email(
    state: &AppState,
    uses: Vec<AttachmentUse>,
) -> Result<Vec<AttachedFile>, ApiError> {
    if uses.is_empty() {
        return Ok(Vec::new());
    }
    Ok(state.store.run(Lane::LookUp, "read the files of an email", move |conn| described(conn, &uses)).await?)
}

/// Stores a file that a form has brought. `kind`: its media type, as the browser says it.
pub(in crate::http) async fn brought(
    state: &AppState,
    name: String,
    kind: Option<&str>,
    bytes: Vec<u8>,
    by: &By,
) -> Result<File, ApiError> {
    check_name(&name).map_err(|reason| ApiError::field("/attachments", "file_name", format!("its name {reason}")))?;
    if bytes.is_empty() {
        return Err(ApiError::field("/attachments", "required", "the file is empty"));
    }
    let kind = kind.and_then(media_type).unwrap_or_else(|| "application/octet-stream".to_owned());
    let (row, _) = add_file(&state.services, name, kind, bytes, by).await?;
    Ok(row.into())
}

/// Shows a file without its bytes.
#[utoipa::path(get, path = "/v1/files/{id}", tag = "files", params(("id" = i64, Path)),
    responses((status = 200, body = File), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn show(
    state: web::Data<AppState>,
    Id(id): Id<FileId>,
    _: Query<()>,
) -> Result<web::Json<File>, ApiError> {
    let found = state.store.run(Lane::Read, "read a file", move |conn| files::find(conn, &[id])).await?;
    let row = found.into_values().next().ok_or(ApiError::not_found("file", id.0))?;
    Ok(web::Json(row.into()))
}

/// Deletes a file. Refused while a template that is there has it in one of its versions, or a campaign.
#[utoipa::path(delete, path = "/v1/files/{id}", tag = "files", params(("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem)))]
pub(in crate::http) async fn delete(
    state: web::Data<AppState>,
    Id(id): Id<FileId>,
    _: Query<()>,
    by: By,
) -> Result<HttpResponse, ApiError> {
    match delete_file(&state.services, id, &by).await {
        Ok(()) => Ok(HttpResponse::NoContent().finish()),
        Err(DeleteFileError::NotFound(id)) => Err(ApiError::not_found("file", id.0)),
        Err(error @ DeleteFileError::InUse(_)) => {
            Err(ApiError::Conflict { code: "file_in_use", detail: error.to_string(), ids: vec![id.0] })
        }
        Err(DeleteFileError::Store(error)) => Err(error.into()),
    }
}
