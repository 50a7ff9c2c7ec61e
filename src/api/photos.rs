//! `/photos`: what was seen in a photo, and the original.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag;
use super::extract::{Json, Path, Query};
use super::paging::{Page, Paging};
use super::problem::Problem;
use super::time;
use crate::evidence::Digest;
use crate::id::Id;
use crate::ledger::events::Context;
use crate::ledger::photos::{self, PhotoFilter, PhotoState, TakenBy};
use crate::record::PhotoRecord;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(original))
}

/// A photo of a site.
#[derive(Serialize, ToSchema)]
struct Photo {
    id: Id,
    site: Id,
    inspection: Option<Id>,
    /// Name as sent.
    name: String,
    /// Of the original as received.
    sha256: String,
    /// Length of the original.
    bytes: u64,
    state: PhotoState,
    /// UTC.
    received_at: String,
    /// UTC; null when neither the sender nor the photo says.
    taken_at: Option<String>,
    /// Who says so: nobody has checked it.
    taken_at_source: Option<TakenBy>,
    /// By the clock at the site.
    taken_at_local: Option<String>,
    /// What was seen; null until it is judged.
    result: Option<PhotoRecord>,
    /// The model, rules and thresholds that it was judged by.
    decided_by: Option<Context>,
}

impl Photo {
    fn new(photo: photos::Photo) -> Result<Self, Problem> {
        let zone = time::zone(&photo.time_zone)?;
        Ok(Self {
            id: photo.id,
            site: photo.site_id,
            inspection: photo.inspection_id,
            name: photo.name,
            sha256: photo.sha256,
            bytes: photo.bytes,
            state: photo.state,
            received_at: photo.received_at.to_string(),
            taken_at: photo.taken.map(|t| t.at.to_string()),
            taken_at_source: photo.taken.map(|t| t.by),
            taken_at_local: photo.taken.map(|t| time::local(t.at, &zone)),
            result: photo.record,
            decided_by: photo.decided_by,
        })
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only photos of this site.
    site: Option<Id>,
    /// Only photos of this inspection.
    inspection: Option<Id>,
}

/// Lists photos
///
/// The latest first.
#[utoipa::path(get, path = "/photos", tag = "photos", params(Filter, Paging),
    responses((status = 200, body = Page<Photo>, description = "Photos"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Photo>>, Problem> {
    caller.may(Task::Read)?;
    let filter = PhotoFilter {
        scope: caller.scope.clone(),
        site_id: filter.site,
        inspection_id: filter.inspection,
    };
    let photos = app.ledger.photos(&filter, &paging.into()).await?;
    Ok(Json(Page::new(photos, Photo::new)?))
}

/// A photo within the caller's view.
pub(super) async fn visible(app: &App, caller: &Caller, id: Id) -> Result<photos::Photo, Problem> {
    let photo = app.ledger.photo(id).await?;
    caller.sees(photo.enterprise_id, "photo")?;
    let own = photo.account_id == caller.account_id && caller.can(Task::FollowUploads);
    if own || caller.can(Task::Read) {
        Ok(photo)
    } else {
        Err(Problem::not_found("photo"))
    }
}

/// Shows a photo
#[utoipa::path(get, path = "/photos/{id}", tag = "photos", params(("id" = Id, Path, description = "The photo")),
    responses((status = 200, body = Photo, description = "The photo and what was seen"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Photo>, Problem> {
    Ok(Json(Photo::new(visible(&app, &caller, id).await?)?))
}

/// Gives the original
///
/// As received, with all its metadata; checked against its digest on the way. Not for the
/// enterprise's view.
#[utoipa::path(get, path = "/photos/{id}/original", tag = "photos", params(("id" = Id, Path, description = "The photo")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream", description = "The bytes as received"), Problem))]
async fn original(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::ReadOriginals)?;
    let photo = visible(&app, &caller, id).await?;
    as_kept(&app, &photo.sha256).await
}

/// An original to be saved: never shown in the page's own name, since it may be anything.
pub(super) async fn as_kept(app: &App, sha256: &str) -> Result<Response, Problem> {
    let bytes = read(app, sha256).await?;
    let (kind, ending) =
        if bytes.get(4..8) == Some(b"ftyp") && !crate::source::heic::is_heic(&bytes) {
            ("video/mp4", "mp4")
        } else {
            match image::guess_format(&bytes) {
                Ok(format) => {
                    let ending = format.extensions_str().first().copied();
                    (format.to_mime_type(), ending.unwrap_or("bin"))
                }
                Err(_) => ("application/octet-stream", "bin"),
            }
        };
    let name = format!("attachment; filename=\"{}.{ending}\"", &sha256[..16]);
    let name = HeaderValue::from_str(&name).map_err(|e| Problem::fault(&e))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, name),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::ETAG, etag::of(sha256)?),
    ];
    Ok((headers, bytes).into_response())
}

/// An original, checked against its digest.
pub(super) async fn read(app: &App, sha256: &str) -> Result<Vec<u8>, Problem> {
    let digest: Digest = sha256.parse().map_err(|e| Problem::fault(&e))?;
    let store = app.store.clone();
    tokio::task::spawn_blocking(move || store.read(&digest))
        .await
        .map_err(|e| Problem::fault(&e))?
        .map_err(super::upload::not_kept)
}
