//! `/findings`: candidates, what people decide about them, and the way to their closing.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
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
use super::{inspections, sites};
use crate::finding::FindingState;
use crate::hazard::Severity;
use crate::id::Id;
use crate::ledger::Db;
use crate::ledger::findings::{
    self, Area, EvidenceLink, EvidenceRole, Filed, FindingFilter, FindingRow, NewEvidence,
    Occurrence, OfFindings, Sighting,
};
use crate::ledger::orders::{self, Order};
use crate::ledger::photos::Photo;
use crate::rules::HazardKind;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, note))
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
    /// Only those that this camera has seen first.
    camera: Option<Id>,
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
        camera_id: filter.camera,
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

/// A hazard that a person has seen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFinding {
    /// Where.
    site: Id,
    /// In which inspection.
    inspection: Option<Id>,
    /// The kind, by its hazard code.
    code: String,
    /// In which zone of the site; empty when zones are not told apart.
    #[serde(default)]
    zone: String,
    /// A photo of the site that shows it.
    photo: Option<Id>,
    /// Where in the photo. In the place of an open finding of the kind, it is one more occurrence of
    /// that.
    area: Option<Area>,
    /// What was seen, up to 2000 characters.
    note: String,
}

/// Longest note, characters.
const MAX_NOTE_CHARS: usize = 2000;

/// Files a finding by hand
///
/// It is a candidate as one of the machine's is, and goes the same way. Where there is a sample bank, a
/// finding with a photo and an area in it teaches the kind at once; rejecting it takes that back.
#[utoipa::path(post, path = "/findings", tag = "findings", request_body = NewFinding, params(idempotency::Header),
    responses(
        (status = 201, body = FindingRow, description = "Filed"),
        (status = 200, body = FindingRow, description = "The open finding of which this is one more occurrence"),
        Problem,
    ))]
async fn note(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewFinding>,
) -> Result<Response, Problem> {
    caller.may(Task::Inspect)?;
    if new.note.trim().is_empty() || new.note.chars().count() > MAX_NOTE_CHARS {
        return Err(Problem::invalid(
            "The note is empty or too long.",
            format!("Say in 1 to {MAX_NOTE_CHARS} characters what was seen."),
        ));
    }
    let kind = app.kind(&new.code)?;
    if new.area.is_some() && new.photo.is_none() {
        return Err(Problem::invalid(
            "An area is part of a photo, and there is none.",
            "Name the photo, or leave the area out.",
        ));
    }
    let photo = match new.photo {
        None => None,
        Some(id) => Some(photo_of(&app, &caller, id, new.site).await?),
    };
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let site = sites::visible(&mut tx, &caller, new.site).await?;
    if let Some(id) = new.inspection {
        inspections::visible(&mut tx, &caller, id).await?;
    }
    let taken_at = photo.as_ref().and_then(|p| p.taken).map(|t| t.at);
    let seen_at = taken_at.unwrap_or(tx.now());
    let day = site.tz()?.to_datetime(seen_at).date().to_string();
    let seen = Sighting {
        source_key: format!("person:{}", tx.new_id()),
        site_id: site.id,
        zone: new.zone,
        camera_id: None,
        inspection_id: new.inspection,
        hazard_code: kind.code.clone(),
        suggested: kind.severity,
        score: None,
        area: new.area,
        look: None,
        photo_sha256: photo.as_ref().map(|p| p.sha256.clone()),
        seen_at,
        of_watch: None,
        why: json!({
            "note": new.note, "name": kind.name, "references": kind.citations(Some(&day)),
        }),
        context: None,
    };
    let (status, id) = match findings::file(&mut tx, &seen, &|_, _| false).await? {
        Filed::New { finding_id } => (StatusCode::CREATED, finding_id),
        Filed::Appended { finding_id } => (StatusCode::OK, finding_id),
        // a person's sighting has a key of its own, and is never kept out
        other => return Err(Problem::fault(&format!("a note was filed as {other:?}"))),
    };
    if let Some(photo) = photo {
        let shows = NewEvidence {
            sha256: photo.sha256,
            role: EvidenceRole::Origin,
            taken_at,
            checks: serde_json::Value::Null,
        };
        findings::link(&mut tx, id, &shows).await?;
    }
    let finding = findings::get(&mut tx, id).await?;
    let answer = versioned(status, finding.version, finding)?;
    let answer = once.commit(tx, answer).await?;
    app.jobs.bank().wake();
    Ok(answer)
}

impl App {
    /// The hazard kind of this code.
    pub(super) fn kind(&self, code: &str) -> Result<&HazardKind, Problem> {
        self.jobs.kind(code).ok_or_else(|| {
            Problem::invalid(
                format!("There is no hazard kind {code:?} in the catalogue."),
                "`sitewarden hazards` lists the codes, for example PPE-01.",
            )
        })
    }
}

/// A photo within the caller's view, of this site.
pub(super) async fn photo_of(
    app: &App,
    caller: &Caller,
    id: Id,
    site: Id,
) -> Result<Photo, Problem> {
    let photo = app.ledger.photo(id).await?;
    caller.sees(photo.enterprise_id, "photo")?;
    if photo.site_id != site {
        return Err(Problem::invalid(
            "The photo is one of another site.",
            "Upload a photo of the finding's site and name that.",
        ));
    }
    Ok(photo)
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
#[utoipa::path(get, path = "/findings/{id}/evidence", tag = "findings",
    params(("id" = Id, Path, description = "The finding"), Paging),
    responses((status = 200, body = Page<EvidenceLink>, description = "Evidence, newest first"), Problem))]
async fn evidence(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<EvidenceLink>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    Ok(Json(
        findings::all_evidence(&mut db, &OfFindings::one(id), &paging.into())
            .await?
            .into(),
    ))
}

/// Lists the orders of a finding
///
/// One for each order and each return; the first is the one in force.
#[utoipa::path(get, path = "/findings/{id}/orders", tag = "findings",
    params(("id" = Id, Path, description = "The finding"), Paging),
    responses((status = 200, body = Page<Order>, description = "Orders, newest first"), Problem))]
async fn show_orders(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Id>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Order>>, Problem> {
    caller.may(Task::Read)?;
    let mut db = app.ledger.read().await?;
    visible(&mut db, &caller, id).await?;
    Ok(Json(
        orders::list(&mut db, &OfFindings::one(id), &paging.into())
            .await?
            .into(),
    ))
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
    let answer = once.commit(tx, answer).await?;
    // confirming and rejecting teaches
    app.jobs.bank().wake();
    Ok(answer)
}
