//! `POST /photos`: photos in, a job out.

use std::time::Duration;

use axum::extract::multipart::{Field, Multipart, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Task};
use super::extract::{Json, Query};
use super::idempotency::{self, Once};
use super::job_view::Job;
use super::problem::{Kind, Problem};
use super::{App, inspections, sites, time};
use crate::evidence::EvidenceError;
use crate::id::Id;
use crate::jobs::Readiness;
use crate::ledger::queue;
use crate::ledger::uploads::{self, NewPhoto, NewUpload};
use crate::pipeline::picture::camera_time;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// Longest a caller may wait for the result, seconds.
const MAX_WAIT_S: u32 = 300;
/// Longest text field of the form, bytes.
const MAX_FIELD_BYTES: usize = 1024;
/// Longest name of a photo that is kept, characters.
const MAX_NAME_CHARS: usize = 200;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wait {
    /// Wait up to so many seconds (300 at most) for the result instead of answering at once.
    #[serde(default)]
    #[param(maximum = 300)]
    wait: u32,
}

/// The form of an upload. The text fields come before the photos.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "describes the form, which is read as it streams in"
)]
struct UploadForm {
    /// The site that the photos show.
    #[schema(value_type = Id)]
    site: String,
    /// The inspection that they belong to.
    #[schema(value_type = Option<Id>)]
    inspection: Option<String>,
    /// When they were taken: with offset from UTC, or by the clock at the site. Else each photo is
    /// asked (EXIF).
    taken_at: Option<String>,
    /// One part for each photo: JPEG, PNG, WebP, BMP, TIFF, GIF or HEIC.
    #[schema(value_type = Vec<String>, format = Binary)]
    photo: Vec<Vec<u8>>,
}

/// Uploads photos
///
/// Answers at once with a job, or with its end within `wait` seconds. A photo that is there already
/// is the same photo: it is not judged again. Either all photos of a request are accepted or none. `taken_at_source` tells who says when a
/// photo was taken.
#[utoipa::path(post, path = "/photos", tag = "photos", params(Wait, idempotency::Header),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = Job, description = "All photos are judged"),
        (status = 202, body = Job, description = "Accepted: the job goes on"),
        Problem,
    ))]
async fn upload(
    State(app): State<App>,
    caller: Caller,
    Query(wait): Query<Wait>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Task::Upload)?;
    let name = idempotency::name_of(&headers)?;
    let place = app.upload_place()?;
    // what was accepted before is answered again, however much waits
    let account = caller.account_id.to_string();
    let before = match &name {
        Some(name) => app.ledger.kept_answer(&account, name).await?,
        None => None,
    };
    if before.is_none() {
        app.check_queue().await?;
    }
    let multipart = Multipart::from_request(request, &())
        .await
        .map_err(no_form)?;
    let received = receive(&app, &caller, multipart).await?;
    drop(place);

    let once = Once::new(&caller, name, fingerprint(&received)?);
    if let Some(answer) = once.before(&app).await? {
        return Ok(answer);
    }
    let listener = app.jobs.listen();
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let accepted = uploads::accept(&mut tx, &received).await?;
    // all of them or none: counted when nobody else can add any
    if accepted.new > 0 && queue::waiting(&mut tx).await? > app.config.max_queue {
        return Err(queue_is_full());
    }
    let job = Job::load(&mut tx, accepted.upload).await?;
    let answer = once.commit(tx, answer(&job)?).await?;
    if idempotency::is_replay(&answer) {
        return Ok(answer);
    }
    app.jobs.wake();
    let longest = Duration::from_secs(u64::from(wait.wait.min(MAX_WAIT_S)));
    if longest.is_zero() || job.is_done() {
        return Ok(answer);
    }
    let job = super::job_view::wait(&app, job, listener, longest).await?;
    once.answered(&app, self::answer(&job)?).await
}

fn answer(job: &Job) -> Result<Response, Problem> {
    let status = if job.is_done() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let at = HeaderValue::from_str(&format!("/api/v1/jobs/{}", job.id()))
        .map_err(|e| Problem::fault(&e))?;
    Ok((status, [(header::LOCATION, at)], Json(job)).into_response())
}

fn queue_is_full() -> Problem {
    Problem::too_many(
        "As many photos wait to be judged as the service takes.",
        Duration::from_secs(10),
    )
}

impl App {
    /// Refuses new photos while too many wait, or while none can be judged at all.
    async fn check_queue(&self) -> Result<(), Problem> {
        if let Readiness::Refused(_) = self.jobs.readiness() {
            return Err(Problem::new(
                Kind::NotReady,
                "The model was refused, so no photo can be judged.",
                "Ask whoever runs the service: its log says why.",
            )
            .retry_after(Duration::from_secs(60)));
        }
        let depth = self.ledger.photos_waiting().await?;
        self.metrics.queue_depth(depth);
        if depth >= self.config.max_queue {
            return Err(queue_is_full());
        }
        Ok(())
    }
}

/// The same upload has the same one, whatever the boundary of its form was.
fn fingerprint(upload: &NewUpload) -> Result<String, Problem> {
    let text = serde_json::to_string(upload).map_err(|e| Problem::fault(&e))?;
    Ok(crate::evidence::Digest::of(text.as_bytes()).to_string())
}

/// Reads the form as it streams in; each photo is durable before the next is read.
async fn receive(
    app: &App,
    caller: &Caller,
    mut multipart: Multipart,
) -> Result<NewUpload, Problem> {
    let mut form = Form::default();
    let mut upload: Option<(NewUpload, TimeZone)> = None;
    // more than may wait would never be accepted
    let max_queue = usize::try_from(app.config.max_queue).unwrap_or(usize::MAX);
    let most = app.config.max_photos_per_upload.min(max_queue);
    while let Some(field) = multipart.next_field().await.map_err(broken_form)? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "photo" {
            let (upload, zone) = match &mut upload {
                Some(begun) => begun,
                None => upload.insert(form.begin(app, caller).await?),
            };
            if upload.photos.len() == most {
                return Err(Problem::new(
                    Kind::TooLarge,
                    format!("More than {most} photos at once."),
                    "Send them in several requests.",
                ));
            }
            let zone = upload.taken_at.is_none().then_some(&*zone);
            upload.photos.push(keep(app, field, zone).await?);
        } else if upload.is_some() {
            return Err(Problem::invalid(
                format!("The field {name:?} comes after a photo."),
                "Put site, inspection and taken_at before the first photo.",
            ));
        } else {
            form.set(&name, text(field).await?)?;
        }
    }
    upload.map(|(upload, _)| upload).ok_or_else(|| {
        Problem::invalid(
            "There is no photo in the form.",
            "Add at least one part called `photo` with a file.",
        )
    })
}

/// The text fields of the form.
#[derive(Default)]
struct Form {
    site: Option<String>,
    inspection: Option<String>,
    taken_at: Option<String>,
}

impl Form {
    fn set(&mut self, name: &str, value: String) -> Result<(), Problem> {
        let slot = match name {
            "site" => &mut self.site,
            "inspection" => &mut self.inspection,
            "taken_at" => &mut self.taken_at,
            _ => {
                return Err(Problem::invalid(
                    format!("The form has no field {name:?}."),
                    "Use site, inspection, taken_at and photo.",
                ));
            }
        };
        if slot.replace(value).is_some() {
            return Err(Problem::invalid(
                format!("The field {name:?} comes twice."),
                "Send it once.",
            ));
        }
        Ok(())
    }

    /// Before anything is kept: is there such a site, and may the caller send photos of it?
    async fn begin(&self, app: &App, caller: &Caller) -> Result<(NewUpload, TimeZone), Problem> {
        let text = self.site.as_ref().ok_or_else(|| {
            Problem::invalid(
                "The site is missing.",
                "Put the field `site` with a site's id before the first photo.",
            )
        })?;
        let id = text.parse().map_err(|_| Problem::not_found("site"))?;
        let mut db = app.ledger.read().await?;
        let site = sites::visible(&mut db, caller, id).await?;
        let inspection_id: Option<Id> = match &self.inspection {
            None => None,
            Some(text) => {
                let missing = || Problem::not_found("inspection of this site");
                let id = text.parse().map_err(|_| missing())?;
                let inspection = inspections::visible(&mut db, caller, id).await?;
                if inspection.site_id != site.id {
                    return Err(missing());
                }
                Some(id)
            }
        };
        let zone = site.tz()?;
        let taken_at: Option<Timestamp> = self
            .taken_at
            .as_deref()
            .map(|text| time::moment(text, &zone))
            .transpose()?;
        let upload = NewUpload {
            account_id: caller.account_id,
            camera_id: None,
            enterprise_id: site.enterprise_id,
            site_id: site.id,
            inspection_id,
            taken_at,
            photos: Vec::new(),
        };
        Ok((upload, zone))
    }
}

pub(super) async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken_form)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FIELD_BYTES {
            return Err(Problem::new(
                Kind::TooLarge,
                "A text field of the form is too long.",
                "Photos go into parts called `photo`.",
            ));
        }
    }
    String::from_utf8(bytes).map_err(|_| {
        Problem::new(
            Kind::Malformed,
            "A text field of the form is no UTF-8.",
            "Send it as UTF-8.",
        )
    })
}

/// Receives one photo; its name and what it is.
pub(super) async fn receive_photo(
    app: &App,
    mut field: Field<'_>,
) -> Result<(String, Vec<u8>), Problem> {
    let name: String = field
        .file_name()
        .unwrap_or("photo")
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME_CHARS)
        .collect();
    let limit = app.photo_limits.max_file_bytes;
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken_form)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > limit {
            return Err(Problem::new(
                Kind::TooLarge,
                format!("The photo {name:?} is larger than {limit} bytes."),
                "Send a smaller copy, or raise limits.max_file_bytes in the configuration.",
            ));
        }
    }
    if bytes.is_empty() {
        return Err(Problem::invalid(
            format!("The photo {name:?} is empty."),
            "Copy or send it again.",
        ));
    }
    Ok((name, bytes))
}

/// Receives one photo and makes it durable. Unless the sender has said when it was taken, the photo
/// is asked: `zone` is that of the clock at the site.
async fn keep(app: &App, field: Field<'_>, zone: Option<&TimeZone>) -> Result<NewPhoto, Problem> {
    let (name, bytes) = receive_photo(app, field).await?;
    let (store, jobs, asked) = (app.store.clone(), app.jobs.clone(), zone.is_some());
    let (stored, said) = tokio::task::spawn_blocking(move || {
        let said = if asked { camera_time(&bytes) } else { None };
        let stored = store.put(&bytes)?;
        if stored.new {
            jobs.received(stored.digest, bytes);
        }
        Ok((stored, said))
    })
    .await
    .map_err(|e| Problem::fault(&e))?
    .map_err(not_kept)?;
    app.metrics.uploaded(stored.bytes);
    Ok(NewPhoto {
        name,
        sha256: stored.digest.to_string(),
        bytes: stored.bytes,
        taken: said
            .zip(zone)
            .and_then(|(said, zone)| time::by_camera(said, zone, app.ledger.now())),
    })
}

pub(super) fn not_kept(error: EvidenceError) -> Problem {
    match error {
        EvidenceError::Full => Problem::new(
            Kind::DiskFull,
            "The disk of the service is full. What was accepted earlier is kept.",
            "Ask whoever runs the service to make room, then send the request again.",
        ),
        other => Problem::fault(&other),
    }
}

pub(super) fn no_form(rejection: MultipartRejection) -> Problem {
    Problem::new(
        Kind::WrongMediaType,
        rejection.body_text(),
        "Send the photos as multipart/form-data, for example with curl -F.",
    )
}

pub(super) fn broken_form(error: MultipartError) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            Kind::TooLarge,
            "The upload is larger than the service takes at once.",
            "Send the photos in several requests.",
        );
    }
    Problem::new(
        Kind::Malformed,
        "The form broke off or is damaged.",
        "Send it again.",
    )
}
