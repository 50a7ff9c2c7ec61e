//! `/checklists`: what an inspection looks at, and what an enterprise changes about it.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Task};
use super::etag::created;
use super::extract::{Json, Path, Query};
use super::idempotency::{self, Once};
use super::paging::{Page, Paging};
use super::problem::Problem;
use crate::id::Id;
use crate::ledger::checklists::{self, Checklist, Item};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(lay_over))
}

/// A new checklist.
#[derive(Deserialize, ToSchema)]
struct NewChecklist {
    /// Name.
    name: String,
    /// In order. Items with a hazard code are filled in from photos.
    items: Vec<Item>,
}

/// A checklist with its items.
#[derive(Serialize, ToSchema)]
struct WholeChecklist {
    #[serde(flatten)]
    checklist: Checklist,
    /// As they are in force.
    items: Vec<Item>,
}

/// Lists base checklists
#[utoipa::path(get, path = "/checklists", tag = "checklists", params(Paging),
    responses((status = 200, body = Page<Checklist>, description = "Base checklists"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Checklist>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    Ok(Json(
        checklists::bases(&mut db, &paging.into()).await?.into(),
    ))
}

/// Makes a base checklist
#[utoipa::path(post, path = "/checklists", tag = "checklists", request_body = NewChecklist, params(idempotency::Header),
    responses((status = 201, body = WholeChecklist, description = "Made"), Problem))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewChecklist>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let checklist = checklists::create_base(&mut tx, &new.name, &new.items).await?;
    let items = checklists::items(&mut tx, checklist.id).await?;
    once.commit(tx, created(WholeChecklist { checklist, items }))
        .await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct For {
    /// As it is in force for this enterprise.
    enterprise: Option<Id>,
}

/// Shows a checklist
#[utoipa::path(get, path = "/checklists/{id}", tag = "checklists", params(("id" = Id, Path, description = "The checklist"), For),
    responses((status = 200, body = WholeChecklist, description = "The checklist and its items"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(of): Query<For>,
) -> Result<Json<WholeChecklist>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    let checklist = checklists::get(&mut db, id).await?;
    if let Some(owner) = checklist.enterprise_id {
        caller.sees(owner, "checklist")?;
    }
    let items = match of.enterprise {
        None => checklists::items(&mut db, id).await?,
        Some(enterprise) => {
            caller.sees(enterprise, "enterprise")?;
            checklists::effective(&mut db, enterprise, id).await?
        }
    };
    Ok(Json(WholeChecklist { checklist, items }))
}

/// What an enterprise changes about a base checklist.
#[derive(Deserialize, ToSchema)]
struct Overlay {
    /// The enterprise.
    enterprise: Id,
    /// An item with the key of one of the base takes its place, or takes it away (`removed`).
    items: Vec<Item>,
}

/// Lays an enterprise's items over a base checklist
#[utoipa::path(post, path = "/checklists/{id}/overlays", tag = "checklists", request_body = Overlay,
    params(("id" = Id, Path, description = "The base checklist"), idempotency::Header),
    responses((status = 201, body = WholeChecklist, description = "The overlay, and the items in force with it"), Problem))]
async fn lay_over(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(new): Json<Overlay>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    caller.sees(new.enterprise, "enterprise")?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let checklist = checklists::create_overlay(&mut tx, new.enterprise, id, &new.items).await?;
    let items = checklists::effective(&mut tx, new.enterprise, id).await?;
    once.commit(tx, created(WholeChecklist { checklist, items }))
        .await
}
