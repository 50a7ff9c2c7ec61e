//! `/enterprises`: one company, one file; its responsible persons.

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
use super::problem::Problem;
use crate::id::Id;
use crate::ledger::Scope;
use crate::ledger::enterprises::{self, Enterprise, EnterpriseFilter, NewEnterprise, Person};
use crate::ledger::inspections;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change))
        .routes(routes!(list_persons, add_person))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this industry.
    industry: Option<String>,
    /// Only names that begin so.
    name: Option<String>,
}

/// Lists enterprises
///
/// The newest first.
#[utoipa::path(get, path = "/enterprises", tag = "enterprises", params(Filter, Paging),
    responses((status = 200, body = Page<Enterprise>, description = "Enterprises"), Problem))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Enterprise>>, Problem> {
    caller.may(Task::Read)?;
    let filter = EnterpriseFilter {
        scope: caller.scope,
        industry: filter.industry,
        name_prefix: filter.name,
    };
    let mut db = app.ledger.read().await?;
    Ok(Json(
        enterprises::list(&mut db, &filter, &paging.into())
            .await?
            .into(),
    ))
}

/// A fact that nothing asks for would be believed to have an effect.
fn check_facts(app: &App, new: &NewEnterprise) -> Result<(), Problem> {
    let known = app.jobs.facts();
    let Some(unknown) = known.unknown(&new.facts) else {
        return Ok(());
    };
    let names: Vec<_> = known.names().collect();
    Err(Problem::invalid(
        format!("No hazard kind of the catalogue is about a fact {unknown:?}."),
        format!(
            "Use a hazard code (`sitewarden hazards` lists them) or one of {}.",
            names.join(", ")
        ),
    ))
}

/// Opens the file of an enterprise
///
/// There is one for each credit code (GB 32100-2015).
#[utoipa::path(post, path = "/enterprises", tag = "enterprises", params(idempotency::Header),
    request_body = NewEnterprise,
    responses((status = 201, body = Enterprise, description = "Opened"), Problem))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewEnterprise>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    if caller.scope != Scope::All {
        return Err(Problem::forbidden(
            "This account sees some enterprises only and cannot open the file of another.",
        ));
    }
    check_facts(&app, &new)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let made = enterprises::create(&mut tx, &new).await?;
    let answer = versioned(StatusCode::CREATED, made.version, made)?;
    once.commit(tx, answer).await
}

/// Shows an enterprise
#[utoipa::path(get, path = "/enterprises/{id}", tag = "enterprises",
    params(("id" = Id, Path, description = "The enterprise")),
    responses((status = 200, body = Enterprise, description = "The enterprise"), Problem))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Response, Problem> {
    caller.may(Task::Read)?;
    caller.sees(id, "enterprise")?;
    let found = enterprises::get(&mut app.ledger.read().await?, id).await?;
    versioned(StatusCode::OK, found.version, found)
}

/// Changes an enterprise
///
/// Its credit code stays as it is. Checklists of inspections that are not done follow its facts.
#[utoipa::path(put, path = "/enterprises/{id}", tag = "enterprises", request_body = NewEnterprise,
    params(("id" = Id, Path, description = "The enterprise"), etag::IfMatch),
    responses((status = 200, body = Enterprise, description = "As it is now"), Problem))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    headers: HeaderMap,
    Json(new): Json<NewEnterprise>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    caller.sees(id, "enterprise")?;
    let version = etag::if_match(&headers)?;
    check_facts(&app, &new)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let changed = enterprises::update(&mut tx, id, Some(version), &new).await?;
    let not_here = app.jobs.facts().not_here(&changed.facts);
    inspections::follow_facts(&mut tx, id, &not_here).await?;
    tx.commit().await?;
    versioned(StatusCode::OK, changed.version, changed)
}

/// A responsible person of an enterprise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddPerson {
    /// Name.
    name: String,
    /// What for, for example `safety officer`.
    duty: String,
    /// Telephone.
    phone: Option<String>,
}

/// Lists the responsible persons of an enterprise
#[utoipa::path(get, path = "/enterprises/{id}/persons", tag = "enterprises",
    params(("id" = Id, Path, description = "The enterprise"), Paging),
    responses((status = 200, body = Page<Person>, description = "Persons"), Problem))]
async fn list_persons(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Person>>, Problem> {
    caller.may(Task::Read)?;
    caller.sees(id, "enterprise")?;
    let mut db = app.ledger.read().await?;
    enterprises::get(&mut db, id).await?;
    Ok(Json(
        enterprises::persons(&mut db, id, &paging.into())
            .await?
            .into(),
    ))
}

/// Adds a responsible person
#[utoipa::path(post, path = "/enterprises/{id}/persons", tag = "enterprises", request_body = AddPerson,
    params(("id" = Id, Path, description = "The enterprise"), idempotency::Header),
    responses((status = 201, body = Person, description = "Added"), Problem))]
async fn add_person(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Path(id): Path<Id>,
    Json(new): Json<AddPerson>,
) -> Result<Response, Problem> {
    caller.may(Task::EditRegister)?;
    caller.sees(id, "enterprise")?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let phone = new.phone.as_deref();
    let added = enterprises::add_person(&mut tx, id, &new.name, &new.duty, phone).await?;
    once.commit(tx, created(added)).await
}
