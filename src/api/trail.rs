//! `/occurrences`, `/orders`, `/evidence`: what belongs to findings, over all that a caller sees.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::extract::{Json, Path, Query};
use super::paging::{Page, Paging};
use super::problem::Problem;
use super::{findings as of_findings, photos};
use crate::id::Id;
use crate::ledger::Read;
use crate::ledger::findings::{self, EvidenceLink, Occurrence, OfFindings};
use crate::ledger::orders::{self, Order};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(occurrences))
        .routes(routes!(all_orders))
        .routes(routes!(evidence))
        .routes(routes!(original))
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

/// Gives a piece of evidence
///
/// The original as received or recorded: a photo, or the clip of a camera (H.264 in MP4). Checked against
/// its digest on the way. Not for the enterprise's view.
#[utoipa::path(get, path = "/evidence/{id}/original", tag = "findings", params(("id" = Id, Path, description = "The evidence")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream", description = "The bytes as kept"), Problem))]
async fn original(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::ReadOriginals)?;
    let mut db = app.ledger.read().await?;
    let link = findings::evidence_link(&mut db, id).await?;
    of_findings::visible(&mut db, &caller, link.finding_id)
        .await
        .map_err(|_| Problem::not_found("evidence"))?;
    drop(db);
    photos::as_kept(&app, &link.sha256).await
}
