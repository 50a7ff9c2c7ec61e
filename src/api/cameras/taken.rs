//! Pictures that are sent to a camera, and those of it that are pinned into an inspection.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use image::ImageFormat;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{drawn, no_picture_yet, watched};
use crate::api::auth::{Caller, Task};
use crate::api::extract::{Json, Path, Query};
use crate::api::idempotency::{self, Once};
use crate::api::job_view::Job;
use crate::api::problem::{Kind, Problem};
use crate::api::{App, inspections, time, upload};
use crate::cameras::{Look, PushError};
use crate::evidence::EvidenceError;
use crate::hazard::Lang;
use crate::id::Id;
use crate::ledger::sites;
use crate::ledger::uploads::{self, NewPhoto, NewUpload};
use crate::source::photo::Photo;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Sent {
    /// When the picture was taken, with its offset from UTC; else now.
    #[param(value_type = Option<String>, format = DateTime)]
    taken_at: Option<Timestamp>,
}

/// Sends a picture
///
/// For a camera whose pictures are sent to the service. They are followed as those of a stream are; they are
/// taken in the order of their times.
#[utoipa::path(post, path = "/cameras/{id}/frames", tag = "cameras", params(Sent, ("id" = Id, Path, description = "The camera")),
    request_body(content = Vec<u8>, content_type = "image/*", description = "JPEG, PNG, WebP, BMP, TIFF or GIF"),
    responses((status = 202, description = "It waits to be looked at"), Problem))]
pub(super) async fn push(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(sent): Query<Sent>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    caller.may(Task::Upload)?;
    let (camera, _) = watched(&app, &caller, id).await?;
    let now = app.ledger.now();
    let taken_at = sent.taken_at.unwrap_or(now);
    if taken_at > now + AHEAD {
        return Err(Problem::invalid(
            "The picture's time is yet to come.",
            "Set the sender's clock, or leave `taken_at` out.",
        ));
    }
    let cameras = app.cameras.clone();
    let limits = app.photo_limits.clone();
    tokio::task::spawn_blocking(move || {
        // what is no picture is told to whoever sends it, not to a log
        Photo::open(&body, &limits).map_err(|e| {
            Problem::invalid(format!("{e}."), "Send a whole picture, for example a JPEG.")
        })?;
        let format = image::guess_format(&body).unwrap_or(ImageFormat::Jpeg);
        let ending = format.extensions_str().first().unwrap_or(&"jpg");
        cameras
            .push(&camera, ending, &body, taken_at)
            .map_err(not_taken)
    })
    .await
    .map_err(|e| Problem::fault(&e))??;
    Ok(StatusCode::ACCEPTED)
}

/// Senders' clocks are at most so far ahead.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

fn not_taken(error: PushError) -> Problem {
    match error {
        PushError::NotPushed => Problem::new(
            Kind::Conflict,
            "This camera's pictures are not sent to the service.",
            "Ask whoever runs the service to set `pushed = true` for its source.",
        ),
        PushError::Full => Problem::too_many(
            "As many pictures of this camera wait as the service takes.",
            Duration::from_secs(2),
        ),
        PushError::Io(e) if e.kind() == std::io::ErrorKind::StorageFull => {
            upload::not_kept(EvidenceError::Full)
        }
        PushError::Io(e) => Problem::fault(&e),
    }
}

/// A live picture for an inspection.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    /// The inspection that it becomes part of; of the camera's site.
    inspection: Id,
}

/// Pins the live picture into an inspection
///
/// Keeps the latest picture as a photo of the inspection, which is judged as any other. The job tells the digest
/// of what is kept.
#[utoipa::path(post, path = "/cameras/{id}/pins", tag = "cameras", request_body = Pin,
    params(("id" = Id, Path, description = "The camera"), idempotency::Header),
    responses((status = 202, body = Job, description = "Kept; it waits to be judged"), Problem))]
pub(super) async fn pin(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(pin): Json<Pin>,
) -> Result<Response, Problem> {
    caller.may(Task::Inspect)?;
    let (camera, view) = watched(&app, &caller, id).await?;
    let seen = view.latest().borrow().clone().ok_or_else(no_picture_yet)?;
    let taken_at = seen.at;
    let site = {
        let mut db = app.ledger.read().await?;
        let inspection = inspections::visible(&mut db, &caller, pin.inspection).await?;
        if inspection.site_id != camera.site_id {
            return Err(Problem::not_found("inspection of the camera's site"));
        }
        sites::get(&mut db, camera.site_id).await?
    };
    let as_it_came = Look {
        max_side: u32::from(u16::MAX),
        annotated: false,
        redacted: false,
        lang: Lang::En,
    };
    let jpeg = drawn(&app, seen, as_it_came).await?;
    let store = app.store.clone();
    let stored = tokio::task::spawn_blocking(move || store.put(&jpeg))
        .await
        .map_err(|e| Problem::fault(&e))?
        .map_err(upload::not_kept)?;
    let upload = NewUpload {
        account_id: caller.account_id,
        camera_id: Some(camera.id),
        enterprise_id: site.enterprise_id,
        site_id: site.id,
        inspection_id: Some(pin.inspection),
        taken_at: Some(taken_at),
        photos: vec![NewPhoto {
            name: format!("{} {}", camera.name, time::local(taken_at, &site.tz()?)),
            sha256: stored.digest.to_string(),
            bytes: stored.bytes,
            taken: None,
        }],
    };
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let accepted = uploads::accept(&mut tx, &upload).await?;
    let job = Job::load(&mut tx, accepted.upload).await?;
    let answer = (StatusCode::ACCEPTED, Json(&job)).into_response();
    let answer = once.commit(tx, answer).await?;
    app.jobs.wake();
    Ok(answer)
}
