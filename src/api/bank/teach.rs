//! `POST /bank/samples`: pictures become samples.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::ToSchema;

use super::form::{Form, too_small};
use crate::api::App;
use crate::api::auth::{Caller, Task};
use crate::api::etag::created;
use crate::api::idempotency::{self, Once};
use crate::api::problem::{Kind, Problem};
use crate::api::upload;
use crate::bank::{Grid, Role, Scope};
use crate::evidence::Digest;
use crate::geometry::BBox;
use crate::id::Id;
use crate::ledger::bank::{self as rows, Change, NewSample};
use crate::pipeline::bank::{Cutter, check_part, fractions};

/// The form of new samples. The text fields come before the photos.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "describes the form, which is read as it streams in"
)]
struct SampleForm {
    /// `positive` (a hazard), `negative` (looks like one and is none) or `reference` (a place as it
    /// should be).
    role: String,
    /// Hazard code. May be left out for a reference of all kinds.
    code: Option<String>,
    /// Where a negative counts: `everywhere`, `site` or `camera`; a reference: `everywhere` or `site`. Of callers
    /// who are limited to enterprises: `site` or `camera`.
    scope: Option<String>,
    /// The site of the photos. May be left out by whoever sees all enterprises.
    #[schema(value_type = Option<Id>)]
    site: Option<String>,
    /// The camera of the photos.
    #[schema(value_type = Option<Id>)]
    camera: Option<String>,
    /// The part that is meant, `x1,y1,x2,y2` in fractions of width and height; the whole when absent. Of a
    /// reference without one, each part that photos are looked at in becomes a sample.
    area: Option<String>,
    /// Instead of an area the outline of what is meant, `x,y,x,y,x,y` and so on in fractions: what lies outside it
    /// does not count.
    mask: Option<String>,
    /// One part for each photo.
    #[schema(value_type = Vec<String>, format = Binary)]
    photo: Vec<Vec<u8>>,
}

const KNOWN: &[&str] = &["role", "code", "scope", "site", "camera", "area", "mask"];

/// Adds samples
///
/// Of all photos or none; what is there already is not added again. The next photo that is judged, and the
/// next search, know them.
#[utoipa::path(post, path = "/bank/samples", tag = "bank", params(idempotency::Header),
    request_body(content = SampleForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Change, description = "Added: the change"), Problem))]
pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Task::Decide)?;
    let name = idempotency::name_of(&headers)?;
    let place = app.upload_place()?;
    let mut form = Form::of(request).await?;
    let (fields, mut bytes) = form.first(&app, KNOWN).await?;
    let role = fields.role.ok_or_else(|| {
        Problem::invalid(
            "The role is missing.",
            "Put the field `role` (positive, negative or reference) before the photo.",
        )
    })?;
    let template = NewSample {
        role,
        hazard: match &fields.code {
            None => None,
            Some(code) => Some(app.kind(code)?.code.clone()),
        },
        scope: scope(&caller, role, fields.scope)?,
        place: fields.place(&app, &caller).await?,
        photo_sha256: String::new(),
        photo_kept: true,
        area: fields.part()?,
        mask: fields.mask.clone(),
        origin: "api".to_owned(),
        finding_id: None,
        embedding: None,
    };
    // the ledger would refuse it as well, but only when all photos are kept
    rows::check(&NewSample {
        photo_sha256: Digest::of(&[]).to_string(),
        ..template.clone()
    })?;
    let windows = role == Role::Reference && fields.area.is_none() && fields.mask.is_none();
    let mut new = Vec::new();
    let mut photos = 0;
    loop {
        photos += 1;
        let most = app.config.max_photos_per_upload;
        if photos > most {
            return Err(Problem::invalid(
                format!("More than {most} photos at once."),
                "Send them in several requests.",
            ));
        }
        new.extend(samples(&app, &template, windows, bytes).await?);
        match form.next(&app).await? {
            Some(next) => bytes = next,
            None => break,
        }
    }
    drop(place);
    let once = Once::new(&caller, name, fingerprint(&new));
    if let Some(answer) = once.before(&app).await? {
        return Ok(answer);
    }
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let change = rows::add(&mut tx, &new).await?;
    let answer = once.commit(tx, created(change)).await?;
    app.jobs.bank().wake();
    Ok(answer)
}

/// Where a sample counts. What callers who are limited to enterprises call clean or no hazard says nothing of
/// others' sites.
fn scope(caller: &Caller, role: Role, asked: Option<Scope>) -> Result<Scope, Problem> {
    let limited = caller.enterprises().is_some() && role != Role::Positive;
    match asked {
        Some(Scope::Everywhere) if limited => Err(Problem::new(
            Kind::Forbidden,
            "What counts everywhere would count at the sites of other enterprises.",
            "Leave `scope` out, or send `site`.",
        )),
        None if limited => Ok(Scope::Site),
        asked => Ok(asked.unwrap_or_default()),
    }
}

/// The same form has the same one, whatever its boundary was.
fn fingerprint(new: &[NewSample]) -> String {
    Digest::of(format!("bank {new:?}").as_bytes()).to_string()
}

/// The samples of one photo, whose original is durable when this returns.
async fn samples(
    app: &App,
    template: &NewSample,
    windows: bool,
    bytes: Vec<u8>,
) -> Result<Vec<NewSample>, Problem> {
    let (store, limits) = (app.store.clone(), app.photo_limits.clone());
    let area = template.area;
    let kept = tokio::task::spawn_blocking(move || {
        // a sample that cannot be decoded, or shows nothing, would say nothing
        let size = Cutter::new(&bytes, &limits).map(|cutter| cutter.size());
        size.map(|size| (size, check_part(area, size).map(|()| store.put(&bytes))))
    })
    .await
    .map_err(|e| Problem::fault(&e))?;
    let (size, stored) = kept.map_err(|e| {
        Problem::invalid(
            format!("A photo cannot be a sample: {e}."),
            "Send a sound copy of it.",
        )
    })?;
    let stored = stored
        .map_err(|e| too_small(&e))?
        .map_err(upload::not_kept)?;
    app.metrics.uploaded(stored.bytes);
    let areas: Vec<[f64; 4]> = if windows {
        let regions: Vec<BBox> = Grid::default().regions(size);
        regions.into_iter().map(|r| fractions(r, size)).collect()
    } else {
        vec![template.area]
    };
    Ok(areas
        .into_iter()
        .map(|area| NewSample {
            photo_sha256: stored.digest.to_string(),
            area,
            ..template.clone()
        })
        .collect())
}
