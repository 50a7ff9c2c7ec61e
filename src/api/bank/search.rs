//! `POST /bank/search`: what is like this picture, and what the bank says of it.

use std::time::Duration;

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::form::{Form, too_small};
use crate::api::App;
use crate::api::auth::{Caller, Task};
use crate::api::extract::{Json, Query};
use crate::api::problem::{Kind, Problem};
use crate::bank::{BankError, Calibration, Neighbour, Role, Ruling, Sample, Verdict};
use crate::evidence::Digest;
use crate::hazard::Lang;
use crate::id::Id;
use crate::jobs::samples::Unready;
use crate::ledger::sites;
use crate::pipeline::bank::{Cutter, Taught, check_part, search as search_by};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many of the nearest positives, and of the nearest negatives.
    #[serde(default = "default_nearest")]
    #[param(minimum = 1, maximum = 50, default = 5)]
    nearest: usize,
    /// Language of the reasons.
    #[serde(default)]
    #[param(value_type = String)]
    lang: Lang,
}

const fn default_nearest() -> usize {
    5
}

/// The form of a search. The text fields come before the photo.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "describes the form, which is read as it streams in"
)]
struct SearchForm {
    /// The site of the photo: decides which look-alikes count.
    #[schema(value_type = Option<Id>)]
    site: Option<String>,
    /// The camera of the photo.
    #[schema(value_type = Option<Id>)]
    camera: Option<String>,
    /// The part that is meant, `x1,y1,x2,y2` in fractions of width and height; the whole when absent.
    area: Option<String>,
    /// Instead of an area the outline of what is meant, `x,y,x,y,x,y…` in fractions.
    mask: Option<String>,
    /// The photo. It is not kept.
    #[schema(value_type = String, format = Binary)]
    photo: Vec<u8>,
}

const KNOWN: &[&str] = &["site", "camera", "area", "mask"];

/// What a search found.
#[derive(Serialize, ToSchema)]
pub(super) struct Found {
    /// Version of the bank that was asked.
    bank_version: i64,
    /// What pictures are embedded by.
    embedder: String,
    /// Samples that were asked.
    samples: usize,
    /// Of the photo that was sent.
    photo_sha256: String,
    /// The nearest confirmed samples, nearest first.
    positives: Vec<Near>,
    /// The nearest dismissed samples.
    negatives: Vec<Near>,
    /// What the bank says of each kind that it can confirm.
    decisions: Vec<Decision>,
}

/// A sample, and how near it is.
#[derive(Serialize, ToSchema)]
struct Near {
    #[serde(flatten)]
    neighbour: Neighbour,
    /// Address of its picture.
    picture: String,
}

impl From<Neighbour> for Near {
    fn from(neighbour: Neighbour) -> Self {
        Self {
            picture: format!("/api/v1/bank/samples/{}/picture", neighbour.sample.id),
            neighbour,
        }
    }
}

/// What the bank says of one kind.
#[derive(Serialize, ToSchema)]
struct Decision {
    /// Hazard code.
    code: String,
    /// `confirm`, `suppress` or `unknown`.
    ruling: Ruling,
    /// Why, for a lay person.
    text: String,
    /// Similarity of the vote that decides.
    score: Option<f32>,
    /// The score that would have to be passed.
    threshold: Option<f32>,
    /// At most this probable for a picture without the hazard (confirm), or for a true one (suppress).
    p_value: Option<f64>,
    /// What the decision is held against.
    calibration: Calibration,
}

/// Searches by picture
///
/// The nearest samples and, for each kind, whether the bank confirms it, suppresses it or cannot say.
#[utoipa::path(post, path = "/bank/search", tag = "bank", params(Wanted),
    request_body(content = SearchForm, content_type = "multipart/form-data"),
    responses((status = 200, body = Found, description = "What was found"), Problem))]
pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Json<Found>, Problem> {
    caller.may(Task::ReadOriginals)?;
    if !(1..=50).contains(&wanted.nearest) {
        return Err(Problem::invalid(
            format!("{} nearest are none that can be had.", wanted.nearest),
            "Give 1 to 50.",
        ));
    }
    let (fields, bytes) = Form::of(request).await?.first(&app, KNOWN).await?;
    let area = fields.part()?;
    let place = fields.place(&app, &caller).await?;
    let sites = sites::ids_in(&mut app.ledger.read().await?, &caller.scope).await?;
    let taught = app.jobs.bank().now().await.map_err(not_ready)?;
    let taught = taught
        .filter(|t| !t.bank().is_empty())
        .ok_or_else(super::empty)?;
    let limits = app.photo_limits.clone();
    let _turn = app
        .drawing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    let found = tokio::task::spawn_blocking(move || {
        let cutter = Cutter::new(&bytes, &limits).map_err(|e| {
            Problem::invalid(
                format!("The photo cannot be searched by: {e}."),
                "Send a sound copy of it.",
            )
        })?;
        check_part(area, cutter.size()).map_err(|e| too_small(&e))?;
        let matcher = taught.matcher(place);
        let searched = search_by(
            &matcher,
            &cutter,
            (area, fields.mask.as_ref()),
            taught.embedder(),
        )
        .map_err(|e| Problem::fault(&e))?;
        let may_see = |s: &Sample| sites.as_ref().is_none_or(|all| all.contains(&s.place.site));
        let nearest = |role: Role| {
            let found = taught
                .bank()
                .nearest(&searched.probe, wanted.nearest, Some(role), may_see);
            found.map(|all| all.into_iter().map(Near::from).collect())
        };
        let decisions = searched.verdicts.into_iter();
        let decisions =
            decisions.map(|(code, verdict, c)| Decision::new(code, &verdict, c, wanted.lang));
        let answer = (|| {
            Ok::<_, BankError>(Found {
                bank_version: taught.bank().version(),
                embedder: told(&taught),
                samples: taught.bank().len(),
                photo_sha256: Digest::of(&bytes).to_string(),
                positives: nearest(Role::Positive)?,
                negatives: nearest(Role::Negative)?,
                decisions: decisions.collect(),
            })
        })();
        answer.map_err(|e| Problem::fault(&e))
    })
    .await
    .map_err(|e| Problem::fault(&e))??;
    Ok(Json(found))
}

fn told(taught: &Taught) -> String {
    taught.bank().embedder().version.clone()
}

impl Decision {
    fn new(code: &str, verdict: &Verdict, calibration: Calibration, lang: Lang) -> Self {
        Self {
            code: code.to_owned(),
            ruling: verdict.ruling,
            text: verdict.reason.text().get(lang).to_owned(),
            score: verdict.score,
            threshold: verdict.threshold,
            p_value: verdict.p_value,
            calibration,
        }
    }
}

pub(super) fn not_ready(unready: Unready) -> Problem {
    match unready {
        Unready::Ledger(error) => Problem::fault(&error),
        Unready::Embedding => Problem::new(
            Kind::NotReady,
            "The samples are being embedded.",
            "Wait as long as Retry-After says, then search again.",
        )
        .retry_after(Duration::from_secs(30)),
        refused => {
            tracing::error!(error = %refused, "the sample bank cannot be asked");
            Problem::new(
                Kind::NotReady,
                "The embedder was refused, so the sample bank cannot be asked.",
                "Ask whoever runs the service: its log says why.",
            )
            .retry_after(Duration::from_secs(60))
        }
    }
}
