//! `/jobs`: what became of uploads.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::extract::{Json, Path, Query};
use super::paging::{Page, Paging};
use super::problem::Problem;
use crate::id::Id;
use crate::ledger::Db;
use crate::ledger::photos::{PhotoState, TakenBy};
use crate::ledger::uploads::{self, Upload, UploadFilter, UploadedPhoto};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(events))
}

/// Photos that were sent together.
#[derive(Serialize, ToSchema)]
struct JobSummary {
    id: Id,
    /// `working` until every photo is judged or found unreadable, then `done`.
    state: JobState,
    site: Id,
    inspection: Option<Id>,
    /// Photos of this request.
    total: u64,
    /// Those that are judged or unreadable.
    done: u64,
    created_at: String,
}

/// Photos that were sent together, and what became of each.
#[derive(Serialize, ToSchema)]
pub(super) struct Job {
    #[serde(flatten)]
    summary: JobSummary,
    /// In the order sent.
    photos: Vec<JobPhoto>,
}

#[derive(Serialize, ToSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum JobState {
    Working,
    Done,
}

/// One photo of an upload.
#[derive(Serialize, ToSchema)]
struct JobPhoto {
    /// Its id under `/photos`.
    id: Id,
    /// Its name as sent.
    name: String,
    sha256: String,
    state: PhotoState,
    /// Whether it was there before.
    known: bool,
    /// UTC; null when neither the sender nor the photo says.
    taken_at: Option<String>,
    /// Who says so.
    taken_at_source: Option<TakenBy>,
    /// Candidates proposed from it.
    candidates: u64,
}

impl From<Upload> for JobSummary {
    fn from(upload: Upload) -> Self {
        Self {
            state: if upload.done == upload.total {
                JobState::Done
            } else {
                JobState::Working
            },
            total: upload.total,
            done: upload.done,
            id: upload.id,
            site: upload.site_id,
            inspection: upload.inspection_id,
            created_at: upload.created_at.to_string(),
        }
    }
}

impl From<UploadedPhoto> for JobPhoto {
    fn from(p: UploadedPhoto) -> Self {
        Self {
            id: p.photo_id,
            name: p.name,
            sha256: p.sha256,
            state: p.state,
            known: p.known,
            taken_at: p.taken.map(|t| t.at.to_string()),
            taken_at_source: p.taken.map(|t| t.by),
            candidates: p.candidates,
        }
    }
}

impl Job {
    /// As it is now.
    pub(super) async fn load(db: &mut impl Db, id: Id) -> Result<Self, Problem> {
        let upload = uploads::get(db, id).await?;
        Self::of(db, upload).await
    }

    async fn of(db: &mut impl Db, upload: Upload) -> Result<Self, Problem> {
        let photos = uploads::photos(db, upload.id).await?;
        Ok(Self {
            summary: upload.into(),
            photos: photos.into_iter().map(Into::into).collect(),
        })
    }

    pub(super) fn is_done(&self) -> bool {
        self.summary.state == JobState::Done
    }

    pub(super) fn id(&self) -> Id {
        self.summary.id
    }
}

/// The job once it is done, or as it is after `longest`. `listener` is older than the job.
pub(super) async fn wait(
    app: &App,
    mut job: Job,
    mut listener: Receiver<Id>,
    longest: Duration,
) -> Result<Job, Problem> {
    let until = Instant::now() + longest;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if job.is_done() || left.is_zero() {
            return Ok(job);
        }
        news(&mut listener, &job, left).await;
        job = Job::load(&mut app.ledger.read().await?, job.id()).await?;
    }
}

/// Waits until a photo of the job is done, or for a while.
async fn news(listener: &mut Receiver<Id>, job: &Job, longest: Duration) {
    // a photo may be judged by another process, which does not tell
    let until = Instant::now() + longest.min(Duration::from_secs(2));
    loop {
        match tokio::time::timeout_at(until, listener.recv()).await {
            Ok(Ok(id)) if !job.photos.iter().any(|p| p.id == id) => {}
            Ok(Err(RecvError::Closed)) => {
                tokio::time::sleep_until(until).await;
                return;
            }
            Ok(_) | Err(_) => return,
        }
    }
}

/// An upload's own account follows it; others see those of their enterprises.
async fn visible(db: &mut impl Db, caller: &Caller, id: Id) -> Result<Upload, Problem> {
    caller.may(Task::FollowUploads)?;
    let upload = uploads::get(db, id).await?;
    caller.sees(upload.enterprise_id, "job")?;
    if upload.account_id != caller.account_id && !caller.can(Task::Read) {
        return Err(Problem::not_found("job"));
    }
    Ok(upload)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this site.
    site: Option<Id>,
    /// Only of this inspection.
    inspection: Option<Id>,
}

/// Lists jobs
///
/// The newest first: those of the enterprises that the caller sees; for a machine that only sends
/// photos, its own.
#[utoipa::path(get, path = "/jobs", tag = "photos", params(Filter, Paging),
    responses((status = 200, body = Page<JobSummary>, description = "Jobs, without their photos"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<JobSummary>>, Problem> {
    caller.may(Task::FollowUploads)?;
    let filter = UploadFilter {
        account_id: (!caller.can(Task::Read)).then_some(caller.account_id),
        scope: caller.scope,
        site_id: filter.site,
        inspection_id: filter.inspection,
    };
    let mut db = app.ledger.read().await?;
    let jobs = uploads::list(&mut db, &filter, &paging.into()).await?;
    Ok(Json(Page::new(jobs, |upload| Ok(upload.into()))?))
}

/// Shows a job
#[utoipa::path(get, path = "/jobs/{id}", tag = "photos", params(("id" = Id, Path, description = "The job")),
    responses((status = 200, body = Job, description = "The job as it is now"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Job>, Problem> {
    let mut db = app.ledger.read().await?;
    let upload = visible(&mut db, &caller, id).await?;
    Ok(Json(Job::of(&mut db, upload).await?))
}

/// Follows a job
///
/// Server-sent events: `progress` with the job whenever a photo is done, at last `done` with the job.
#[utoipa::path(get, path = "/jobs/{id}/events", tag = "photos", params(("id" = Id, Path, description = "The job")),
    responses((status = 200, body = String, content_type = "text/event-stream", description = "Events"), Problem))]
async fn events(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let listener = app.jobs.listen();
    visible(&mut app.ledger.read().await?, &caller, id).await?;
    let start = Follow {
        app,
        id,
        listener,
        last: None,
    };
    let stream = stream::unfold(Some(start), |follow| async {
        let mut follow = follow?;
        let (event, ended) = follow.next().await?;
        Some((Ok(event), (!ended).then_some(follow)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

struct Follow {
    app: App,
    id: Id,
    listener: Receiver<Id>,
    last: Option<Job>,
}

impl Follow {
    async fn load(&self) -> Result<Job, Problem> {
        Job::load(&mut self.app.ledger.read().await?, self.id).await
    }

    /// The next event, and whether it is the last; nothing when the job cannot be read any more.
    async fn next(&mut self) -> Option<(Event, bool)> {
        loop {
            if let Some(last) = &self.last {
                news(&mut self.listener, last, Duration::from_secs(2)).await;
            }
            let job = self.load().await.ok()?;
            let changed = |last: &Job| last.summary.done != job.summary.done;
            let changed = self.last.as_ref().is_none_or(changed);
            let ended = job.is_done();
            if changed || ended {
                let name = if ended { "done" } else { "progress" };
                let event = Event::default().event(name).json_data(&job).ok()?;
                self.last = Some(job);
                return Some((event, ended));
            }
            self.last = Some(job);
        }
    }
}
