//! `/sites`: where an enterprise works; points and cameras there.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag::{self, created, versioned};
use super::extract::{Json, Path, Query};
use super::idempotency::{self, Once};
use super::paging::{Page, Paging};
use super::problem::{Kind, Problem};
use crate::id::Id;
use crate::ledger::Db;
use crate::ledger::sites::{self, Camera, NewSite, Point, Site};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create))
        .routes(routes!(show, change))
        .routes(routes!(list_points, add_point))
        .routes(routes!(list_cameras, add_camera))
}

/// A site within the caller's view.
pub(super) async fn visible(db: &mut impl Db, caller: &Caller, id: Id) -> Result<Site, Problem> {
    let site = sites::get(db, id).await?;
    caller.sees(site.enterprise_id, "site")?;
    Ok(site)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this enterprise.
    enterprise: Option<Id>,
}

/// Lists sites
#[utoipa::path(get, path = "/sites", tag = "sites", params(Filter, Paging),
    responses((status = 200, body = Page<Site>, description = "Sites"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Site>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    let page = paging.into();
    Ok(Json(
        sites::list(&mut db, &caller.scope, filter.enterprise, &page)
            .await?
            .into(),
    ))
}

/// Adds a site to an enterprise
#[utoipa::path(post, path = "/enterprises/{id}/sites", tag = "sites", request_body = NewSite,
    params(("id" = Id, Path, description = "The enterprise"), idempotency::Header),
    responses((status = 201, body = Site, description = "Added"), Problem))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(new): Json<NewSite>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    caller.sees(id, "enterprise")?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let made = sites::create(&mut tx, id, &new).await?;
    let answer = versioned(StatusCode::CREATED, made.version, made)?;
    once.commit(tx, answer).await
}

/// Shows a site
#[utoipa::path(get, path = "/sites/{id}", tag = "sites", params(("id" = Id, Path, description = "The site")),
    responses((status = 200, body = Site, description = "The site"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    let site = visible(&mut app.ledger.read().await?, &caller, id).await?;
    versioned(StatusCode::OK, site.version, site)
}

/// Changes a site
#[utoipa::path(put, path = "/sites/{id}", tag = "sites", request_body = NewSite,
    params(("id" = Id, Path, description = "The site"), etag::IfMatch),
    responses((status = 200, body = Site, description = "As it is now"), Problem))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    headers: HeaderMap,
    Json(new): Json<NewSite>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    let version = etag::if_match(&headers)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    visible(&mut tx, &caller, id).await?;
    let site = sites::update(&mut tx, id, Some(version), &new).await?;
    tx.commit().await?;
    versioned(StatusCode::OK, site.version, site)
}

/// A point of a site.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddPoint {
    /// Name.
    name: String,
    /// The zone that it lies in: findings of one zone may be one hazard.
    zone: String,
}

/// Lists the points of a site
#[utoipa::path(get, path = "/sites/{id}/points", tag = "sites", params(("id" = Id, Path, description = "The site"), Paging),
    responses((status = 200, body = Page<Point>, description = "Points"), Problem))]
async fn list_points(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Point>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    Ok(Json(
        sites::points(&mut db, id, &paging.into()).await?.into(),
    ))
}

/// Adds a point
#[utoipa::path(post, path = "/sites/{id}/points", tag = "sites", request_body = AddPoint,
    params(("id" = Id, Path, description = "The site"), idempotency::Header),
    responses((status = 201, body = Point, description = "Added"), Problem))]
async fn add_point(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(new): Json<AddPoint>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    visible(&mut tx, &caller, id).await?;
    let added = sites::add_point(&mut tx, id, &new.name, &new.zone).await?;
    once.commit(tx, created(added)).await
}

/// A camera of a site.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddCamera {
    /// Name.
    name: String,
    /// Where it stands.
    point: Option<Id>,
    /// Name of the source in the configuration; never an address.
    source: String,
}

/// Lists the cameras of a site
#[utoipa::path(get, path = "/sites/{id}/cameras", tag = "sites", params(("id" = Id, Path, description = "The site"), Paging),
    responses((status = 200, body = Page<Camera>, description = "Cameras"), Problem))]
async fn list_cameras(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Camera>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    Ok(Json(
        sites::cameras(&mut db, &caller.scope, Some(id), &paging.into())
            .await?
            .into(),
    ))
}

/// Adds a camera
///
/// Sources are for whoever sees all enterprises to give away: who names one gets its pictures.
#[utoipa::path(post, path = "/sites/{id}/cameras", tag = "sites", request_body = AddCamera,
    params(("id" = Id, Path, description = "The site"), idempotency::Header),
    responses((status = 201, body = Camera, description = "Added"), Problem))]
async fn add_camera(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(new): Json<AddCamera>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    if caller.enterprises().is_some() {
        return Err(Problem::new(
            Kind::Forbidden,
            "A camera is added by somebody who sees all enterprises: its source may be another's.",
            "Ask whoever runs the service.",
        ));
    }
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    visible(&mut tx, &caller, id).await?;
    let added = sites::add_camera(&mut tx, id, new.point, &new.name, &new.source).await?;
    let camera = added.id;
    let answer = once.commit(tx, created(added)).await?;
    app.cameras.wake(camera);
    Ok(answer)
}
