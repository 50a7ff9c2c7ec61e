//! `/findings`: candidates, what people decide about them, and the way to their closing.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag::{self, versioned};
use super::extract::{Json, Path, Query};
use super::finding_step::StepRequest;
use super::idempotency::{self, Once};
use super::paging::{Page, Paging};
use super::problem::Problem;
use crate::finding::FindingState;
use crate::hazard::Severity;
use crate::id::Id;
use crate::ledger::Db;
use crate::ledger::findings::{self, EvidenceLink, FindingFilter, FindingRow, Occurrence};
use crate::ledger::orders::{self, Order};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(occurrences))
        .routes(routes!(evidence))
        .routes(routes!(show_orders))
        .routes(routes!(transition))
}

/// A finding within the caller's view.
pub(super) async fn visible(
    db: &mut impl Db,
    caller: &Caller,
    id: Id,
) -> Result<FindingRow, Problem> {
    let finding = findings::get(db, id).await?;
    caller.sees(finding.enterprise_id, "finding")?;
    Ok(finding)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this enterprise.
    enterprise: Option<Id>,
    /// Only of this site.
    site: Option<Id>,
    /// Only of this inspection.
    inspection: Option<Id>,
    /// Only in this state.
    state: Option<FindingState>,
    /// Only of this hazard code.
    code: Option<String>,
    /// Only those that people decided to be this severe.
    severity: Option<Severity>,
    /// Only those whose deadline has passed.
    #[serde(default)]
    overdue: bool,
    /// Only recurrences of this finding.
    recurrence_of: Option<Id>,
    /// Only filed at or after this moment, with offset.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only filed before this moment, with offset.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
}

/// Lists findings
///
/// The newest first.
#[utoipa::path(get, path = "/findings", tag = "findings", params(Filter, Paging),
    responses((status = 200, body = Page<FindingRow>, description = "Findings"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<FindingRow>>, Problem> {
    caller.may(Task::Read)?;
    let filter = FindingFilter {
        scope: caller.scope,
        enterprise_id: filter.enterprise,
        site_id: filter.site,
        inspection_id: filter.inspection,
        states: filter.state.into_iter().collect(),
        hazard_code: filter.code,
        severity: filter.severity,
        overdue_at: filter.overdue.then(|| app.ledger.now()),
        from: filter.from,
        before: filter.before,
        recurrence_of: filter.recurrence_of,
    };
    let mut db = app.ledger.read().await?;
    Ok(Json(
        findings::list(&mut db, &filter, &paging.into())
            .await?
            .into(),
    ))
}

/// Shows a finding
#[utoipa::path(get, path = "/findings/{id}", tag = "findings", params(("id" = Id, Path, description = "The finding")),
    responses((status = 200, body = FindingRow, description = "The finding"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let finding = visible(&mut app.ledger.read().await?, &caller, id).await?;
    versioned(StatusCode::OK, finding.version, finding)
}

/// Lists the occurrences of a finding
///
/// Every sighting of the hazard, with what the rule looked at.
#[utoipa::path(get, path = "/findings/{id}/occurrences", tag = "findings",
    params(("id" = Id, Path, description = "The finding"), Paging),
    responses((status = 200, body = Page<Occurrence>, description = "Occurrences"), Problem))]
async fn occurrences(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Occurrence>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    Ok(Json(
        findings::occurrences(&mut db, id, &paging.into())
            .await?
            .into(),
    ))
}

/// Lists the evidence of a finding
///
/// The photos that show the hazard and the proofs that it is gone, with what the checks of a
/// proof found: information for the verifier, never a verdict.
#[utoipa::path(get, path = "/findings/{id}/evidence", tag = "findings", params(("id" = Id, Path, description = "The finding")),
    responses((status = 200, body = Vec<EvidenceLink>, description = "Evidence, oldest first"), Problem))]
async fn evidence(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Vec<EvidenceLink>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    Ok(Json(findings::evidence(&mut db, id).await?))
}

/// Lists the orders of a finding
///
/// One for each order and each return; the last is the one in force.
#[utoipa::path(get, path = "/findings/{id}/orders", tag = "findings", params(("id" = Id, Path, description = "The finding")),
    responses((status = 200, body = Vec<Order>, description = "Orders, oldest first"), Problem))]
async fn show_orders(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<Vec<Order>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    Ok(Json(orders::of_finding(&mut db, id).await?))
}

/// Takes a finding one step further
///
/// If-Match names the version that you have seen: of two people who decide at once, one gets 412.
/// A step that the finding's state or the two-person rule forbids gets 409.
#[utoipa::path(post, path = "/findings/{id}/transitions", tag = "findings", request_body = StepRequest,
    params(("id" = Id, Path, description = "The finding"), etag::IfMatch, idempotency::Header),
    responses((status = 200, body = FindingRow, description = "As it is now"), Problem))]
async fn transition(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    headers: HeaderMap,
    Json(request): Json<StepRequest>,
) -> Result<Response, Problem> {
    caller.may(request.task())?;
    let version = etag::if_match(&headers)?;
    let before = visible(&mut app.ledger.read().await?, &caller, id).await?;
    let (step, checks) = request.prepare(&app, &caller, &before).await?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let finding = findings::step(&mut tx, id, Some(version), &step).await?;
    if let Some(checks) = checks {
        let proof = findings::evidence(&mut tx, id).await?.pop();
        if let Some(proof) = proof {
            findings::set_checks(&mut tx, proof.id, &checks).await?;
        }
    }
    let answer = versioned(StatusCode::OK, finding.version, finding)?;
    once.commit(tx, answer).await
}
