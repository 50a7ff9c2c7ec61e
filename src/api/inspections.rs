//! `/inspections`: planned, notified, on site or remote, feedback, done.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag::{self, created, versioned};
use super::extract::{Json, Path, Query};
use super::idempotency::{self, Once};
use super::paging::{Page, Paging};
use super::problem::Problem;
use super::{sites, time};
use crate::hazard::Answer;
use crate::id::Id;
use crate::ledger::inspections::{
    self, AnsweredItem, Attendee, Given, Inspection, InspectionFilter, InspectionState,
};
use crate::ledger::{Db, enterprises};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(step))
        .routes(routes!(add_attendee))
        .routes(routes!(show_item, answer))
}

/// An inspection within the caller's view.
pub(super) async fn visible(
    db: &mut impl Db,
    caller: &Caller,
    id: Id,
) -> Result<Inspection, Problem> {
    let inspection = inspections::get(db, id).await?;
    caller.sees(inspection.enterprise_id, "inspection")?;
    Ok(inspection)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this enterprise.
    enterprise: Option<Id>,
    /// Only of this site.
    site: Option<Id>,
    /// Only in this state.
    state: Option<InspectionState>,
}

/// Lists inspections
#[utoipa::path(get, path = "/inspections", tag = "inspections", params(Filter, Paging),
    responses((status = 200, body = Page<Inspection>, description = "Inspections"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Inspection>>, Problem> {
    caller.may(Task::Read)?;
    let filter = InspectionFilter {
        scope: caller.scope,
        enterprise_id: filter.enterprise,
        site_id: filter.site,
        state: filter.state,
    };
    let mut db = app.ledger.read().await?;
    Ok(Json(
        inspections::list(&mut db, &filter, &paging.into())
            .await?
            .into(),
    ))
}

/// A new inspection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// What is inspected.
    site: Id,
    /// By which base checklist; the enterprise's overlay is laid over it.
    checklist: Option<Id>,
    /// When: with offset from UTC, or by the clock at the site.
    planned_for: String,
}

/// Plans an inspection
#[utoipa::path(post, path = "/inspections", tag = "inspections", request_body = Plan, params(idempotency::Header),
    responses((status = 201, body = Inspection, description = "Planned"), Problem))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(new): Json<Plan>,
) -> Result<Response, Problem> {
    caller.may(Task::Inspect)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let site = sites::visible(&mut tx, &caller, new.site).await?;
    let at = time::moment(&new.planned_for, &site.tz()?)?;
    let facts = enterprises::get(&mut tx, site.enterprise_id).await?.facts;
    let not_here = app.jobs.facts().not_here(&facts);
    let made = inspections::create(&mut tx, site.id, new.checklist, at, &not_here).await?;
    let answer = versioned(StatusCode::CREATED, made.version, made)?;
    once.commit(tx, answer).await
}

/// An inspection with all that belongs to it.
#[derive(Serialize, ToSchema)]
struct WholeInspection {
    #[serde(flatten)]
    inspection: Inspection,
    /// Who takes part.
    attendees: Vec<Attendee>,
    /// The checklist with its answers. What nobody has seen reads `cannot_determine`.
    items: Vec<AnsweredItem>,
}

/// Shows an inspection
#[utoipa::path(get, path = "/inspections/{id}", tag = "inspections", params(("id" = Id, Path, description = "The inspection")),
    responses((status = 200, body = WholeInspection, description = "The inspection, its attendees and answers"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    let inspection = visible(&mut db, &caller, id).await?;
    let attendees = inspections::attendees(&mut db, id).await?;
    let items = inspections::items(&mut db, id).await?;
    let version = inspection.version;
    let whole = WholeInspection {
        inspection,
        attendees,
        items,
    };
    versioned(StatusCode::OK, version, whole)
}

/// Where an inspection goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct To {
    /// The next state.
    state: InspectionState,
}

/// Takes an inspection to its next state
#[utoipa::path(post, path = "/inspections/{id}/transitions", tag = "inspections", request_body = To,
    params(("id" = Id, Path, description = "The inspection"), etag::IfMatch, idempotency::Header),
    responses((status = 200, body = Inspection, description = "As it is now"), Problem))]
async fn step(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    headers: HeaderMap,
    Json(to): Json<To>,
) -> Result<Response, Problem> {
    caller.may(Task::Inspect)?;
    let version = etag::if_match(&headers)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    visible(&mut tx, &caller, id).await?;
    let inspection = inspections::step(&mut tx, id, Some(version), to.state).await?;
    let answer = versioned(StatusCode::OK, inspection.version, inspection)?;
    once.commit(tx, answer).await
}

/// Adds somebody who takes part
#[utoipa::path(post, path = "/inspections/{id}/attendees", tag = "inspections", request_body = Attendee,
    params(("id" = Id, Path, description = "The inspection"), idempotency::Header),
    responses((status = 201, body = Attendee, description = "Added"), Problem))]
async fn add_attendee(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(attendee): Json<Attendee>,
) -> Result<Response, Problem> {
    caller.may(Task::Inspect)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    visible(&mut tx, &caller, id).await?;
    inspections::add_attendee(&mut tx, id, &attendee).await?;
    once.commit(tx, created(attendee)).await
}

/// A person's answer to an item of the checklist.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GiveAnswer {
    /// One of the four.
    answer: Answer,
    /// What it rests on.
    reason: String,
}

/// Shows an item of the checklist
#[utoipa::path(get, path = "/inspections/{id}/items/{key}", tag = "inspections",
    params(("id" = Id, Path, description = "The inspection"), ("key" = String, Path, description = "The item")),
    responses((status = 200, body = AnsweredItem, description = "The item and its answer"), Problem))]
async fn show_item(
    State(app): State<App>,
    caller: Caller,
    Path((id, key)): Path<(Id, String)>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    let item = inspections::item(&mut db, id, &key).await?;
    versioned(StatusCode::OK, item.version, item)
}

/// Answers an item of the checklist
///
/// A person's answer stands; photos that come later do not change it. If-Match names the version of the
/// item that you have seen: its ETag, or its `version` in the inspection.
#[utoipa::path(put, path = "/inspections/{id}/items/{key}", tag = "inspections", request_body = GiveAnswer,
    params(("id" = Id, Path, description = "The inspection"), ("key" = String, Path, description = "The item"), etag::IfMatch),
    responses((status = 200, body = AnsweredItem, description = "As it is now"), Problem))]
async fn answer(
    State(app): State<App>,
    caller: Caller,
    Path((id, key)): Path<(Id, String)>,
    headers: HeaderMap,
    Json(given): Json<GiveAnswer>,
) -> Result<Response, Problem> {
    caller.may(Task::Inspect)?;
    let given = Given {
        key: &key,
        expected: Some(etag::if_match(&headers)?),
        answer: given.answer,
        reason: &given.reason,
    };
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    visible(&mut tx, &caller, id).await?;
    let item = inspections::answer(&mut tx, id, given).await?;
    tx.commit().await?;
    versioned(StatusCode::OK, item.version, item)
}
