//! `/audit` and `/statistics`: what happened, and how it adds up; dismissals, which are part of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::extract::{Json, Path, Query};
use super::idempotency::{self, Once};
use super::paging::{Page, Paging};
use super::problem::Problem;
use super::sites;
use crate::id::Id;
use crate::ledger::events::{self, Event, EventFilter};
use crate::ledger::findings::{self, Dismissal};
use crate::ledger::statistics::{self, Statistics, StatisticsFilter};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(audit))
        .routes(routes!(sums))
        .routes(routes!(dismissals))
        .routes(routes!(revoke))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only what happened to this finding, inspection, site, …
    entity: Option<Id>,
    /// Only this kind of event, for example `finding.step`.
    kind: Option<String>,
}

/// Reads the audit log
///
/// Every change, who made it and when; the newest first. It is never altered.
#[utoipa::path(get, path = "/audit", tag = "audit", params(Filter, Paging),
    responses((status = 200, body = Page<Event>, description = "Events"), Problem))]
async fn audit(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Event>>, Problem> {
    caller.may(Task::ReadAudit)?;
    let filter = EventFilter {
        scope: caller.scope,
        entity_id: filter.entity,
        kind: filter.kind,
    };
    let mut db = app.ledger.read().await?;
    Ok(Json(
        events::list(&mut db, &filter, &paging.into()).await?.into(),
    ))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Over {
    /// Only of this enterprise.
    enterprise: Option<Id>,
    /// Only findings filed on or after this day, UTC.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Date>,
    /// Only findings filed on or before this day, UTC.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Date>,
}

/// Counts findings
#[utoipa::path(get, path = "/statistics", tag = "audit", params(Over),
    responses((status = 200, body = Statistics, description = "Counts"), Problem))]
async fn sums(
    State(app): State<App>,
    caller: Caller,
    Query(over): Query<Over>,
) -> Result<Json<Statistics>, Problem> {
    caller.may(Task::Read)?;
    let filter = StatisticsFilter {
        scope: caller.scope,
        enterprise_id: over.enterprise,
        from: over.from,
        to: over.to,
    };
    let mut db = app.ledger.read().await?;
    Ok(Json(
        statistics::statistics(&mut db, &filter, app.ledger.now()).await?,
    ))
}

/// Lists the dismissals of a site
///
/// What people have rejected there: the same is not proposed again.
#[utoipa::path(get, path = "/sites/{id}/dismissals", tag = "audit", params(("id" = Id, Path, description = "The site"), Paging),
    responses((status = 200, body = Page<Dismissal>, description = "Dismissals"), Problem))]
async fn dismissals(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Dismissal>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    sites::visible(&mut db, &caller, id).await?;
    Ok(Json(
        findings::dismissals(&mut db, id, &paging.into())
            .await?
            .into(),
    ))
}

/// Takes a dismissal back
///
/// The same is proposed again from now on.
#[utoipa::path(post, path = "/sites/{id}/dismissals/{dismissal}/revoke", tag = "audit",
    params(("id" = Id, Path, description = "The site"), ("dismissal" = Id, Path, description = "The dismissal"), idempotency::Header),
    responses((status = 204, description = "Taken back"), Problem))]
async fn revoke(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path((id, dismissal)): Path<(Id, Id)>,
) -> Result<Response, Problem> {
    caller.may(Task::Decide)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let site = sites::visible(&mut tx, &caller, id).await?;
    if findings::dismissal(&mut tx, dismissal).await?.site_id != site.id {
        return Err(Problem::not_found("dismissal"));
    }
    findings::revoke(&mut tx, dismissal).await?;
    once.commit(tx, StatusCode::NO_CONTENT.into_response())
        .await
}
