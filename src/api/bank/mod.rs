//! `/bank`: the sample bank of known hazards, look-alikes and places as they should be.
//!
//! Samples are parts of originals: whoever may read originals sees them, whoever decides on findings
//! changes them. A caller limited to enterprises sees samples of their sites only.

mod form;
mod lend;
mod look;
mod search;
mod teach;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag;
use super::extract::{Json, Path, Query};
use super::idempotency::{self, Once};
use super::paging::{Page, Paging};
use super::photos;
use super::problem::{Kind, Problem};
use crate::bank::Role;
use crate::id::Id;
use crate::ledger::bank::{self as rows, Change, Cover, Past, SampleFilter, SampleRow};
use crate::ledger::{Db, sites};
use crate::pipeline::bank::Cutter;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(state))
        .routes(routes!(show, remove))
        .routes(routes!(picture))
        .routes(routes!(undo))
        .routes(routes!(changes))
        .routes(routes!(look::review))
        .routes(routes!(lend::export))
}

/// Those that take pictures, whose bodies are larger than others.
pub(super) fn upload_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, teach::add))
        .routes(routes!(search::search))
        .routes(routes!(lend::import))
}

fn empty() -> Problem {
    Problem::new(
        Kind::Conflict,
        "The sample bank is empty.",
        "Add samples at POST /api/v1/bank/samples.",
    )
}

/// The bank is looked at, or lent, as a whole, with samples of all sites.
fn sees_all(caller: &Caller) -> Result<(), Problem> {
    if caller.enterprises().is_none() {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Forbidden,
        "This takes the sample bank as a whole, with the samples of all enterprises.",
        "Ask somebody who is not limited to some of them.",
    ))
}

/// The bank as a whole.
#[derive(Serialize, ToSchema)]
struct Bank {
    /// Every change makes a new one; 0 before the first. A decision names the version that it rests on.
    version: i64,
    /// What pictures are embedded by; null until it was needed.
    embedder: Option<String>,
    /// Samples in all.
    samples: i64,
    /// Samples that the embedder has not seen yet; null while it was not needed.
    to_be_embedded: Option<i64>,
    /// Samples by kind, site and role, of the caller's sites.
    coverage: Vec<Cover>,
}

/// Shows the state of the sample bank
///
/// Its version, and how kinds and sites are covered.
#[utoipa::path(get, path = "/bank", tag = "bank",
    responses((status = 200, body = Bank, description = "The state"), Problem))]
async fn state(State(app): State<App>, caller: Caller) -> Result<Json<Bank>, Problem> {
    caller.may(Task::ReadOriginals)?;
    let embedder = app.jobs.bank().embedder().map(str::to_owned);
    let mut db = app.ledger.read().await?;
    let of = embedder.clone().unwrap_or_default();
    let (samples, pending) = rows::pending(&mut db, &of).await?;
    Ok(Json(Bank {
        version: rows::version(&mut db).await?,
        samples,
        to_be_embedded: embedder.is_some().then_some(pending),
        embedder,
        coverage: rows::coverage(&mut db, &caller.scope).await?,
    }))
}

/// Lists the changes of the sample bank
///
/// The newest first. Each made a version; it can be undone.
#[utoipa::path(get, path = "/bank/changes", tag = "bank", params(Paging),
    responses((status = 200, body = Page<Past>, description = "Changes"), Problem))]
async fn changes(
    State(app): State<App>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Past>>, Problem> {
    caller.may(Task::ReadOriginals)?;
    sees_all(&caller)?;
    let mut db = app.ledger.read().await?;
    Ok(Json(rows::history(&mut db, &paging.into()).await?.into()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this hazard code.
    code: Option<String>,
    /// Only `positive` (confirmed), `negative` (dismissed) or `reference` (a place as it should be).
    role: Option<Role>,
    /// Only of this site.
    site: Option<String>,
    /// Only those that the review of this finding added.
    finding: Option<Id>,
}

/// Lists samples
///
/// Those that count now; the newest first.
#[utoipa::path(get, path = "/bank/samples", tag = "bank", params(Filter, Paging),
    responses((status = 200, body = Page<SampleRow>, description = "Samples"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<SampleRow>>, Problem> {
    caller.may(Task::ReadOriginals)?;
    let filter = SampleFilter {
        scope: caller.scope,
        hazard: filter.code,
        role: filter.role,
        site: filter.site,
        finding_id: filter.finding,
    };
    let mut db = app.ledger.read().await?;
    let page = rows::list(&mut db, &filter, &paging.into()).await?;
    Ok(Json(page.into()))
}

/// A sample within the caller's view.
async fn visible(db: &mut impl Db, caller: &Caller, id: Id) -> Result<SampleRow, Problem> {
    let row = rows::get(db, id).await?;
    match sites::ids_in(db, &caller.scope).await? {
        Some(sites) if !sites.contains(&row.sample.place.site) => Err(Problem::not_found("sample")),
        _ => Ok(row),
    }
}

/// Shows a sample
///
/// Also one that was taken away.
#[utoipa::path(get, path = "/bank/samples/{id}", tag = "bank", params(("id" = Id, Path, description = "The sample")),
    responses((status = 200, body = SampleRow, description = "The sample"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<SampleRow>, Problem> {
    caller.may(Task::ReadOriginals)?;
    let mut db = app.ledger.read().await?;
    Ok(Json(visible(&mut db, &caller, id).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Look {
    /// Longer side at most, pixels; it is never enlarged.
    #[serde(default = "default_size")]
    #[param(minimum = 32, maximum = 1280, default = 512)]
    size: u32,
}

const fn default_size() -> u32 {
    512
}

const SIDES: std::ops::RangeInclusive<u32> = 32..=1280;

/// Cuts a sample out of its photo
///
/// A JPEG of what is embedded: the sample's part of the photo with some surroundings.
#[utoipa::path(get, path = "/bank/samples/{id}/picture", tag = "bank", params(Look, ("id" = Id, Path, description = "The sample")),
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
    caller.may(Task::ReadOriginals)?;
    if !SIDES.contains(&look.size) {
        return Err(Problem::invalid(
            format!("{} is no size of a sample's picture.", look.size),
            format!("Give {} to {} pixels.", SIDES.start(), SIDES.end()),
        ));
    }
    let row = visible(&mut app.ledger.read().await?, &caller, id).await?;
    if !row.photo_kept {
        return Err(Problem::new(
            Kind::Conflict,
            "The photo of this sample is not here: it was lent without pictures.",
            "Ask the office that lent it.",
        ));
    }
    // a sample is never changed
    let tag = etag::of(&format!("{id}-{}", look.size))?;
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let _turn = app
        .drawing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    let bytes = photos::read(&app, &row.sample.photo_sha256).await?;
    let limits = app.photo_limits.clone();
    let jpeg = tokio::task::spawn_blocking(move || {
        let cutter = Cutter::new(&bytes, &limits)?;
        let sample = &row.sample;
        cutter.shown(sample.area, sample.mask.as_ref(), look.size)
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
    ];
    Ok((headers, jpeg).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Why {
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Takes a sample away
///
/// It counts no more; undoing the change brings it back, and all scores with it.
#[utoipa::path(delete, path = "/bank/samples/{id}", tag = "bank", params(Why, ("id" = Id, Path, description = "The sample")),
    responses((status = 200, body = Change, description = "The change"), Problem))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(why): Query<Why>,
) -> Result<Json<Change>, Problem> {
    caller.may(Task::Decide)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    visible(&mut tx, &caller, id).await?;
    let change = rows::remove(&mut tx, &[id], &why.reason).await?;
    tx.commit().await?;
    app.jobs.bank().wake();
    Ok(Json(change))
}

/// Which change is undone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Undo {
    /// The version that it made; the newest of the caller's own that was not undone when absent.
    version: Option<i64>,
}

/// Undoes a change of the sample bank
///
/// What it added goes, what it took away comes back: scores are as they were, to the last bit. That is a
/// new version.
#[utoipa::path(post, path = "/bank/undo", tag = "bank", request_body = Undo, params(idempotency::Header),
    responses((status = 200, body = Change, description = "The change"), Problem))]
async fn undo(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(which): Json<Undo>,
) -> Result<Response, Problem> {
    caller.may(Task::Decide)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let version = match which.version {
        Some(version) => version,
        None => rows::newest_own(&mut tx).await?.ok_or_else(|| {
            Problem::invalid(
                "You have made no change of the sample bank that is left to undo.",
                "Name the version of another's change.",
            )
        })?,
    };
    // a change that touches what the caller may not see is not theirs to undo
    for id in rows::touched(&mut tx, version).await? {
        visible(&mut tx, &caller, id).await?;
    }
    let change = rows::undo(&mut tx, Some(version)).await?;
    let answer = Json(change).into_response();
    let answer = once.commit(tx, answer).await?;
    app.jobs.bank().wake();
    Ok(answer)
}
