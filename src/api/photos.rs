//! `/photos`: what was seen in a photo, and pictures of it.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
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
use super::problem::{Kind, Problem};
use super::time;
use crate::evidence::Digest;
use crate::hazard::Lang;
use crate::id::Id;
use crate::ledger::events::Context;
use crate::ledger::photos::{self, PhotoFilter, PhotoState, TakenBy};
use crate::pipeline::picture::{View, view};
use crate::record::PhotoRecord;
use crate::render::{self, AnnotateOptions};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(original))
        .routes(routes!(picture))
}

/// Longer side of a picture, pixels.
const SIDES: std::ops::RangeInclusive<u32> = 32..=8192;

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

async fn visible(app: &App, caller: &Caller, id: Id) -> Result<photos::Photo, Problem> {
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
    let bytes = read(&app, &photo.sha256).await?;
    let headers = [
        // never shown in the page's own name: it may be anything
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment"),
        ),
        (header::ETAG, etag::of(&photo.sha256)?),
    ];
    Ok((headers, bytes).into_response())
}

async fn read(app: &App, sha256: &str) -> Result<Vec<u8>, Problem> {
    let digest: Digest = sha256.parse().map_err(|e| Problem::fault(&e))?;
    let store = app.store.clone();
    tokio::task::spawn_blocking(move || store.read(&digest))
        .await
        .map_err(|e| Problem::fault(&e))?
        .map_err(super::upload::not_kept)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Look {
    /// Longer side at most, pixels, before the legend is added.
    #[serde(default = "default_size")]
    #[param(minimum = 32, maximum = 8192, default = 2048)]
    size: u32,
    /// Whether boxes, names and reasons are drawn.
    #[serde(default = "default_annotated")]
    #[param(default = true)]
    annotated: bool,
    /// Language of names and reasons.
    #[serde(default)]
    #[param(value_type = String)]
    lang: Lang,
}

const fn default_size() -> u32 {
    2048
}

const fn default_annotated() -> bool {
    true
}

const DERIVED_FROM: HeaderName = HeaderName::from_static("sitewarden-derived-from");

/// Draws a picture of a photo
///
/// A JPEG in any size, made from the original whose digest the header `Sitewarden-Derived-From` and
/// a comment inside the file give. It holds none of the original's metadata. For the enterprise's
/// view, faces are made unrecognisable.
#[utoipa::path(get, path = "/photos/{id}/picture", tag = "photos", params(Look, ("id" = Id, Path, description = "The photo")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/jpeg", description = "The picture"),
        (status = 304, description = "The picture of the ETag that was sent"),
        Problem,
    ))]
async fn picture(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(look): Query<Look>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !SIDES.contains(&look.size) {
        return Err(Problem::invalid(
            format!("{} is no size of a picture.", look.size),
            format!("Give {} to {} pixels.", SIDES.start(), SIDES.end()),
        ));
    }
    let photo = visible(&app, &caller, id).await?;
    let redact = caller.gets_redacted_copies();
    let (Some(record), Some(context)) = (photo.record, photo.decided_by) else {
        // faces are found by the detector: before that, nothing leaves
        return Err(Problem::new(
            Kind::Conflict,
            "The photo is not judged yet.",
            "Follow its job, then ask again.",
        ));
    };
    let program = env!("CARGO_PKG_VERSION");
    let signature = context.model.map_or_else(
        || format!("sitewarden {program}"),
        |model| render::signature(program, &model),
    );
    let made_of = format!(
        "{}-{}-{}-{:?}-{redact}-{signature}",
        photo.sha256, look.size, look.annotated, look.lang
    );
    let tag = etag::of(&Digest::of(made_of.as_bytes()).to_string())?;
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    if let Some(error) = &record.error {
        return Err(Problem::new(
            Kind::Conflict,
            format!("The photo cannot be shown: {error}."),
            "Upload a sound copy.",
        ));
    }
    let _turn = app
        .drawing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    let bytes = read(&app, &photo.sha256).await?;
    let limits = app.photo_limits.clone();
    let sha256 = photo.sha256.clone();
    let jpeg = tokio::task::spawn_blocking(move || {
        let hidden = if redact { ", faces hidden" } else { "" };
        let comment = format!("derived from sha256 {sha256} by {signature}{hidden}");
        let how = View {
            max_side: look.size,
            annotate: look
                .annotated
                .then(|| AnnotateOptions::standalone(look.lang, &signature)),
            redact,
            comment: &comment,
        };
        view(&bytes, &limits, &record, &how)
    })
    .await
    .map_err(|e| Problem::fault(&e))?
    .map_err(|e| Problem::fault(&e))?;
    let derived = HeaderValue::from_str(&format!("sha256={}", photo.sha256))
        .map_err(|e| Problem::fault(&e))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
        (header::ETAG, tag),
        (DERIVED_FROM, derived),
    ];
    Ok((headers, jpeg).into_response())
}
