//! `/cameras`: how each is doing, what it sees now, its zones, pictures sent to it, and live pictures
//! that become part of an inspection.

mod taken;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag::{self, versioned};
use super::extract::{Json, Path, Query};
use super::paging::{Page, Paging};
use super::problem::{Kind, Problem};
use crate::cameras::{Look, Seen, View};
use crate::hazard::Lang;
use crate::id::Id;
use crate::ledger::camera_watch;
use crate::ledger::sites::{self, Camera};
use crate::source::camera::Status;
use crate::zone::Zones;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, retire))
        .routes(routes!(snapshot))
        .routes(routes!(live))
        .routes(routes!(events))
        .routes(routes!(zones, draw_zones))
        .routes(routes!(taken::pin))
}

/// Takes bodies as large as photos.
pub(super) fn push_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(taken::push))
}

/// A camera within the caller's view.
async fn visible(app: &App, caller: &Caller, id: Id) -> Result<Camera, Problem> {
    let mut db = app.ledger.read().await?;
    let camera = sites::camera(&mut db, id).await?;
    let site = sites::get(&mut db, camera.site_id).await?;
    caller.sees(site.enterprise_id, "camera")?;
    Ok(camera)
}

/// What is seen of a camera that is watched.
async fn watched(app: &App, caller: &Caller, id: Id) -> Result<(Camera, Arc<View>), Problem> {
    let camera = visible(app, caller, id).await?;
    match app.cameras.view(camera.id) {
        Some(view) => Ok((camera, view)),
        None => Err(Problem::new(
            Kind::Conflict,
            "The camera is not watched.",
            if camera.retired_at.is_some() {
                "It is retired; what it has seen is in its findings."
            } else if app.cameras.knows(&camera) {
                "Wait until the service is ready: see /readyz."
            } else {
                "Ask whoever runs the service to name its source in the configuration."
            },
        )),
    }
}

/// A camera and how it is doing.
#[derive(Serialize, ToSchema)]
struct Doing {
    #[serde(flatten)]
    camera: Camera,
    /// Whether the configuration names its source.
    configured: bool,
    /// Null while it is not watched.
    status: Option<Status>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this site.
    site: Option<Id>,
}

/// Lists cameras
///
/// Of all sites, the newest first, with how they are doing.
#[utoipa::path(get, path = "/cameras", tag = "cameras", params(Filter, Paging),
    responses((status = 200, body = Page<Doing>, description = "Cameras"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Doing>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    let page = sites::cameras(&mut db, &caller.scope, filter.site, &paging.into()).await?;
    let seen = Page::new(page, |camera| Ok(Doing::of(&app, camera)))?;
    Ok(Json(seen))
}

/// Retires a camera
///
/// It is watched no more, and its source is free for another one; what it has seen stays.
#[utoipa::path(delete, path = "/cameras/{id}", tag = "cameras", params(("id" = Id, Path, description = "The camera")),
    responses((status = 200, body = Camera, description = "Retired"), Problem))]
async fn retire(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Camera>, Problem> {
    caller.may(Task::EditRegister)?;
    visible(&app, &caller, id).await?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let camera = sites::retire_camera(&mut tx, id).await?;
    tx.commit().await?;
    app.cameras.retire(id);
    Ok(Json(camera))
}

impl Doing {
    fn of(app: &App, camera: Camera) -> Self {
        let is_retired = camera.retired_at.is_some();
        Self {
            configured: app.cameras.knows(&camera) && !is_retired,
            status: app.cameras.view(camera.id).map(|view| view.status()),
            camera,
        }
    }
}

/// Shows a camera
///
/// With its status: `connecting`, `live`, `stalled`, `unauthorised`, `unreachable`, `unreadable`, `failed` or
/// `ended`, why and what to do, and the age of its last picture.
#[utoipa::path(get, path = "/cameras/{id}", tag = "cameras", params(("id" = Id, Path, description = "The camera")),
    responses((status = 200, body = Doing, description = "The camera"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Doing>, Problem> {
    caller.may(Task::Read)?;
    let camera = visible(&app, &caller, id).await?;
    Ok(Json(Doing::of(&app, camera)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Showing {
    /// Longer side at most, pixels.
    #[serde(default = "default_size")]
    #[param(minimum = 32, maximum = 4096, default = 1280)]
    size: u32,
    /// Whether open findings and what the model saw are drawn.
    #[serde(default = "default_annotated")]
    #[param(default = true)]
    annotated: bool,
    /// Language of what is drawn.
    #[serde(default)]
    #[param(value_type = String)]
    lang: Lang,
    /// Pictures a second at most; only of the live view.
    #[serde(default = "default_fps")]
    #[param(minimum = 0.1, maximum = 10, default = 2)]
    fps: f32,
}

const fn default_size() -> u32 {
    1280
}

const fn default_annotated() -> bool {
    true
}

const fn default_fps() -> f32 {
    2.0
}

impl Showing {
    fn look(&self, caller: &Caller) -> Result<Look, Problem> {
        if !(32..=4096).contains(&self.size) || !(0.1..=10.0).contains(&self.fps) {
            return Err(Problem::invalid(
                "There is no such live picture.",
                "Give a size of 32 to 4096 pixels, and 0.1 to 10 pictures a second.",
            ));
        }
        Ok(Look {
            max_side: self.size,
            annotated: self.annotated,
            redacted: caller.gets_redacted_copies(),
            lang: self.lang,
        })
    }
}

async fn drawn(app: &App, seen: Arc<Seen>, look: Look) -> Result<Bytes, Problem> {
    let _turn = app
        .drawing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    let jpeg = tokio::task::spawn_blocking(move || seen.jpeg(look))
        .await
        .map_err(|e| Problem::fault(&e))?
        .map_err(|e| Problem::fault(&e))?;
    Ok(Bytes::from_owner(jpeg))
}

fn no_picture_yet() -> Problem {
    Problem::new(
        Kind::Conflict,
        "No picture has come from the camera yet.",
        "See its status, and ask again in a few seconds.",
    )
    .retry_after(Duration::from_secs(2))
}

/// Gives the latest picture
///
/// A JPEG of the latest picture that was looked at, made smaller where the camera's are large. The header
/// `Last-Modified` tells when it came. For the enterprise's view, faces are made unrecognisable.
#[utoipa::path(get, path = "/cameras/{id}/snapshot", tag = "cameras", params(Showing, ("id" = Id, Path, description = "The camera")),
    responses((status = 200, body = Vec<u8>, content_type = "image/jpeg", description = "The picture"), Problem))]
async fn snapshot(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(showing): Query<Showing>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let look = showing.look(&caller)?;
    let (_, view) = watched(&app, &caller, id).await?;
    let seen = view.latest().borrow().clone().ok_or_else(no_picture_yet)?;
    let at = jiff::fmt::rfc2822::to_string(&seen.at.to_zoned(jiff::tz::TimeZone::UTC));
    let at = HeaderValue::from_str(&at.unwrap_or_default()).map_err(|e| Problem::fault(&e))?;
    let jpeg = drawn(&app, seen, look).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::LAST_MODIFIED, at),
    ];
    Ok((headers, jpeg).into_response())
}

const BOUNDARY: &str = "sitewarden-frame";

/// Shows the camera live
///
/// Pictures as they are looked at, as `multipart/x-mixed-replace`: an `img` of a page shows it. Each picture is
/// drawn once, however many people watch; who is too slow misses some.
#[utoipa::path(get, path = "/cameras/{id}/live", tag = "cameras", params(Showing, ("id" = Id, Path, description = "The camera")),
    responses((status = 200, body = Vec<u8>, content_type = "multipart/x-mixed-replace", description = "Pictures"), Problem))]
async fn live(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(showing): Query<Showing>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let look = showing.look(&caller)?;
    let (_, view) = watched(&app, &caller, id).await?;
    let least = Duration::from_secs_f32(1.0 / showing.fps);
    let start = (app, view.latest(), true);
    let parts = stream::unfold(start, move |(app, mut latest, first)| async move {
        if !first {
            tokio::time::sleep(least).await;
            latest.changed().await.ok()?;
        }
        let seen = loop {
            if let Some(seen) = latest.borrow_and_update().clone() {
                break seen;
            }
            latest.changed().await.ok()?;
        };
        let jpeg = drawn(&app, seen, look).await.ok()?;
        let head = format!(
            "--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
            jpeg.len()
        );
        let part = [Bytes::from(head), jpeg, Bytes::from_static(b"\r\n")];
        Some((stream::iter(part), (app, latest, false)))
    });
    let body = Body::from_stream(parts.flatten().map(Ok::<_, Infallible>));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_str(&format!("multipart/x-mixed-replace; boundary={BOUNDARY}"))
                .map_err(|e| Problem::fault(&e))?,
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

/// Follows a camera
///
/// Server-sent events: `status` when the camera is in another state, `finding` for each turn of a finding, `suppressed`
/// for what looks like what people have dismissed, `alarm` at once when flame or smoke is confirmed.
#[utoipa::path(get, path = "/cameras/{id}/events", tag = "cameras", params(("id" = Id, Path, description = "The camera")),
    responses((status = 200, body = String, content_type = "text/event-stream", description = "Events"), Problem))]
async fn events(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.may(Task::Read)?;
    let events = watched(&app, &caller, id).await?.1.events();
    let stream = stream::unfold(events, move |mut events| async move {
        loop {
            match events.recv().await {
                Ok(event) if event.camera != id => {}
                Ok(event) => {
                    let sent = Event::default().event(event.name).json_data(&event).ok()?;
                    return Some((Ok(sent), events));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Shows the zones
///
/// Those drawn over the API; before any are, an empty list with version 0: then those of the configuration
/// hold.
#[utoipa::path(get, path = "/cameras/{id}/zones", tag = "cameras", params(("id" = Id, Path, description = "The camera")),
    responses((status = 200, body = Zones, description = "The zones"), Problem))]
async fn zones(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let camera = visible(&app, &caller, id).await?;
    let mut db = app.ledger.read().await?;
    let drawn = camera_watch::zones::<Zones>(&mut db, camera.id).await?;
    // where nobody has drawn any, those of the configuration hold
    let (zones, version) = match drawn {
        Some(drawn) => (drawn.zones, drawn.version),
        None => (app.cameras.configured_zones(&camera), 0),
    };
    versioned(StatusCode::OK, version, zones)
}

/// Draws the zones
///
/// They replace those of the configuration; the camera is watched with them at once. Clean references are
/// learned from the view: no file can be named here.
#[utoipa::path(put, path = "/cameras/{id}/zones", tag = "cameras", request_body = Zones,
    params(("id" = Id, Path, description = "The camera"), etag::IfMatch),
    responses((status = 200, body = Zones, description = "As they are now"), Problem))]
async fn draw_zones(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    headers: HeaderMap,
    Json(zones): Json<Zones>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    let version = etag::if_match(&headers)?;
    let camera = visible(&app, &caller, id).await?;
    let next = "Correct it and send the zones again.";
    zones
        .check()
        .and_then(|()| app.jobs.check_zones(&zones))
        .map_err(|e| Problem::invalid(format!("The zones are refused: {e}."), next))?;
    if zones.zones.iter().any(|zone| zone.reference.is_some()) {
        return Err(Problem::invalid(
            "A zone names a file as its reference.",
            "Leave `reference` out: the clean view is learned.",
        ));
    }
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let version = camera_watch::draw_zones(&mut tx, &camera, version, &zones).await?;
    tx.commit().await?;
    app.cameras.wake(camera.id);
    versioned(StatusCode::OK, version, zones)
}
