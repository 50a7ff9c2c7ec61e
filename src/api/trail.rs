//! `/occurrences`, `/orders`, `/evidence`: what belongs to findings, over all that a caller sees.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::extract::{Json, Query};
use super::paging::{Page, Paging};
use super::problem::Problem;
use crate::id::Id;
use crate::ledger::Read;
use crate::ledger::findings::{self, EvidenceLink, Occurrence, OfFindings};
use crate::ledger::orders::{self, Order};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(occurrences))
        .routes(routes!(all_orders))
        .routes(routes!(evidence))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this enterprise.
    enterprise: Option<Id>,
    /// Only of this site.
    site: Option<Id>,
    /// Only of this finding.
    finding: Option<Id>,
}

impl Filter {
    /// Where to look, and for what within the caller's view.
    async fn open(self, app: &App, caller: Caller) -> Result<(Read, OfFindings), Problem> {
        caller.may(Task::Read)?;
        let of = OfFindings {
            scope: caller.scope,
            enterprise_id: self.enterprise,
            site_id: self.site,
            finding_id: self.finding,
        };
        Ok((app.ledger.read().await?, of))
    }
}

/// Lists occurrences
///
/// Every sighting, with what the rule looked at or the person noted; the newest first.
#[utoipa::path(get, path = "/occurrences", tag = "findings", params(Filter, Paging),
    responses((status = 200, body = Page<Occurrence>, description = "Occurrences"), Problem))]
async fn occurrences(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Occurrence>>, Problem> {
    let (mut db, of) = filter.open(&app, caller).await?;
    let page = findings::all_occurrences(&mut db, &of, &paging.into()).await?;
    Ok(Json(page.into()))
}

/// Lists orders
///
/// The newest first.
#[utoipa::path(get, path = "/orders", tag = "findings", params(Filter, Paging),
    responses((status = 200, body = Page<Order>, description = "Orders"), Problem))]
async fn all_orders(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Order>>, Problem> {
    let (mut db, of) = filter.open(&app, caller).await?;
    let page = orders::list(&mut db, &of, &paging.into()).await?;
    Ok(Json(page.into()))
}

/// Lists evidence
///
/// Photos that show hazards and proofs that they are gone; the newest first.
#[utoipa::path(get, path = "/evidence", tag = "findings", params(Filter, Paging),
    responses((status = 200, body = Page<EvidenceLink>, description = "Evidence"), Problem))]
async fn evidence(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<EvidenceLink>>, Problem> {
    let (mut db, of) = filter.open(&app, caller).await?;
    let page = findings::all_evidence(&mut db, &of, &paging.into()).await?;
    Ok(Json(page.into()))
}
