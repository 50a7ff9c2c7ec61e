//! Pictures that are made from originals when they are asked for: whole photos in any size, and pieces of
//! them. Each says what it was made from.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag;
use super::extract::{Path, Query};
use super::problem::{Kind, Problem};
use super::{findings, photos};
use crate::evidence::Digest;
use crate::geometry::BBox;
use crate::hazard::Lang;
use crate::id::Id;
use crate::ledger::findings::{Area, Occurrence};
use crate::ledger::photos::Photo;
use crate::ledger::{self, Page};
use crate::pipeline::picture::{Part, View, view};
use crate::record::PhotoRecord;
use crate::render::{self, AnnotateOptions};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(picture))
        .routes(routes!(candidate))
        .routes(routes!(finding))
}

/// Longer side of a picture, pixels.
const SIDES: std::ops::RangeInclusive<u32> = 32..=8192;
/// What is shown around a piece, as a share of its longer side.
const SURROUNDINGS: f32 = 0.25;
const DERIVED_FROM: HeaderName = HeaderName::from_static("sitewarden-derived-from");

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
    let photo = photos::visible(&app, &caller, id).await?;
    let wanted = Wanted {
        size: look.size,
        part: if look.annotated {
            WantedPart::Annotated(look.lang)
        } else {
            WantedPart::Plain
        },
    };
    draw(&app, &caller, &headers, photo, wanted).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PieceLook {
    /// Longer side at most, pixels; a piece is never enlarged.
    #[serde(default = "default_size")]
    #[param(minimum = 32, maximum = 8192, default = 2048)]
    size: u32,
}

/// Cuts a candidate out of a photo
///
/// A JPEG of the candidate's box and some surroundings, without drawings; made from the original and
/// for the enterprise's view as pictures are.
#[utoipa::path(get, path = "/photos/{id}/candidates/{place}/crop", tag = "photos",
    params(("id" = Id, Path, description = "The photo"),
        ("place" = u32, Path, description = "The candidate's place in `result.candidates`, from 0"), PieceLook),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/jpeg", description = "The piece"),
        (status = 304, description = "The piece of the ETag that was sent"),
        Problem,
    ))]
async fn candidate(
    State(app): State<App>,
    caller: Caller,
    Path((id, place)): Path<(Id, usize)>,
    Query(look): Query<PieceLook>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let photo = photos::visible(&app, &caller, id).await?;
    let candidates = photo.record.as_ref().map(|record| &record.candidates);
    let bbox = match candidates.and_then(|all| all.get(place)) {
        Some(candidate) => BBox::from_xywh(candidate.bbox),
        None if photo.record.is_none() => return Err(not_judged()),
        None => return Err(Problem::not_found("candidate")),
    };
    let wanted = Wanted {
        size: look.size,
        part: WantedPart::Piece(bbox),
    };
    draw(&app, &caller, &headers, photo, wanted).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FindingLook {
    /// Of this occurrence of the finding; else of the newest that has a photo and a place in it.
    occurrence: Option<Id>,
    /// Longer side at most, pixels; a piece is never enlarged.
    #[serde(default = "default_size")]
    #[param(minimum = 32, maximum = 8192, default = 2048)]
    size: u32,
}

/// Cuts a finding out of its photo
///
/// As for a candidate.
#[utoipa::path(get, path = "/findings/{id}/crop", tag = "findings",
    params(("id" = Id, Path, description = "The finding"), FindingLook),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/jpeg", description = "The piece"),
        (status = 304, description = "The piece of the ETag that was sent"),
        Problem,
    ))]
async fn finding(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(look): Query<FindingLook>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    let finding = findings::visible(&mut db, &caller, id).await?;
    let occurrences = match look.occurrence {
        None => {
            let newest = Page {
                cursor: None,
                limit: 200,
            };
            let page = ledger::findings::occurrences(&mut db, id, &newest).await?;
            page.items
        }
        Some(occurrence) => {
            let found = ledger::findings::occurrence(&mut db, occurrence).await?;
            if found.finding_id != id {
                return Err(Problem::not_found("occurrence"));
            }
            vec![found]
        }
    };
    drop(db);
    let shown = |o: Occurrence| o.photo_sha256.zip(o.area);
    let Some((sha256, area)) = occurrences.into_iter().find_map(shown) else {
        return Err(no_piece());
    };
    let photo = app.ledger.photo_of_site(finding.site_id, &sha256).await?;
    let photo = photo.ok_or_else(no_piece)?;
    let record = photo.record.as_ref().ok_or_else(not_judged)?;
    let size = record.width.zip(record.height).ok_or_else(no_piece)?;
    let wanted = Wanted {
        size: look.size,
        part: WantedPart::Piece(in_pixels(area, size)),
    };
    draw(&app, &caller, &headers, photo, wanted).await
}

fn in_pixels(area: Area, (width, height): (u32, u32)) -> BBox {
    let of = |part: f64, whole: u32| (part * f64::from(whole)) as f32;
    BBox::new(
        of(area.x1, width),
        of(area.y1, height),
        of(area.x2, width),
        of(area.y2, height),
    )
}

fn no_piece() -> Problem {
    Problem::new(
        Kind::Conflict,
        "No photo shows where this was seen.",
        "Look at the occurrences of the finding: one with a photo and an area can be cut out.",
    )
}

// faces are found by the detector: before that, nothing leaves
fn not_judged() -> Problem {
    Problem::new(
        Kind::Conflict,
        "The photo is not judged yet.",
        "Follow its job, then ask again.",
    )
}

/// What a caller wants to see of a photo.
#[derive(Debug)]
struct Wanted {
    size: u32,
    part: WantedPart,
}

#[derive(Debug)]
enum WantedPart {
    Plain,
    Annotated(Lang),
    /// This and some surroundings.
    Piece(BBox),
}

impl Wanted {
    fn part<'a>(&self, record: &'a PhotoRecord, signature: &'a str) -> Part<'a> {
        match self.part {
            WantedPart::Plain => Part::Whole(None),
            WantedPart::Annotated(lang) => {
                Part::Whole(Some((record, AnnotateOptions::standalone(lang, signature))))
            }
            WantedPart::Piece(b) => {
                let around = SURROUNDINGS * b.width().max(b.height());
                let (x1, y1, x2, y2) = (b.x1 - around, b.y1 - around, b.x2 + around, b.y2 + around);
                Part::Piece(BBox::new(x1, y1, x2, y2))
            }
        }
    }
}

/// Makes the picture, unless the caller has it.
async fn draw(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    photo: Photo,
    wanted: Wanted,
) -> Result<Response, Problem> {
    if !SIDES.contains(&wanted.size) {
        return Err(Problem::invalid(
            format!("{} is no size of a picture.", wanted.size),
            format!("Give {} to {} pixels.", SIDES.start(), SIDES.end()),
        ));
    }
    let redact = caller.gets_redacted_copies();
    let (Some(record), Some(context)) = (photo.record, photo.decided_by) else {
        return Err(not_judged());
    };
    let program = env!("CARGO_PKG_VERSION");
    let signature = context.model.map_or_else(
        || format!("sitewarden {program}"),
        |model| render::signature(program, &model),
    );
    let sha256 = photo.sha256;
    let made_of = format!("{sha256}-{wanted:?}-{redact}-{signature}");
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
    let bytes = photos::read(app, &sha256).await?;
    let derived =
        HeaderValue::from_str(&format!("sha256={sha256}")).map_err(|e| Problem::fault(&e))?;
    let limits = app.photo_limits.clone();
    let jpeg = tokio::task::spawn_blocking(move || {
        let part = wanted.part(&record, &signature);
        let piece = match part {
            Part::Whole(_) => String::new(),
            Part::Piece(b) => format!(", pixels {b:.0?}", b = [b.x1, b.y1, b.x2, b.y2]),
        };
        let faces = if redact { ", faces hidden" } else { "" };
        let comment = format!("derived from sha256 {sha256} by {signature}{piece}{faces}");
        let hidden = if redact {
            render::faces(&record)
        } else {
            Vec::new()
        };
        let how = View {
            part,
            max_side: wanted.size,
            hidden: &hidden,
            comment: &comment,
        };
        view(&bytes, &limits, &how)
    })
    .await
    .map_err(|e| Problem::fault(&e))?
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
