//! `GET /bank/review`: doubles, doubtful labels, coverage, a smaller bank.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::search::not_ready;
use super::{empty, sees_all};
use crate::api::App;
use crate::api::auth::{Caller, Task};
use crate::api::extract::{Json, Query};
use crate::api::problem::{Kind, Problem};
use crate::bank::review::{self, Coreset, Cover, Double, Doubt};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Samples this near to each other count as doubles.
    #[serde(default = "default_double")]
    #[param(minimum = -1, maximum = 1, default = 0.98)]
    double: f32,
    /// Also says which samples a bank of this size would keep, and what that costs in recall.
    #[param(minimum = 1)]
    coreset: Option<usize>,
}

const fn default_double() -> f32 {
    0.98
}

/// How the bank looks to whoever looks after it.
#[derive(Serialize, ToSchema)]
pub(super) struct Review {
    /// Version of the bank.
    bank_version: i64,
    /// What its pictures are embedded by.
    embedder: String,
    /// Samples in it.
    samples: usize,
    /// Pairs that show the same, nearest first; 1000 at most.
    doubles: Vec<Double>,
    /// How many such pairs there are.
    doubles_total: usize,
    /// Samples that look like others than those they are labelled with.
    doubts: Vec<Doubt>,
    /// What there is of each kind.
    coverage: Vec<Cover>,
    /// A smaller bank, if it was asked for.
    coreset: Option<Coreset>,
}

/// Samples at most: each is held against each.
const MOST: usize = 10_000;
/// Doubles that are listed at most.
const MOST_DOUBLES: usize = 1000;

/// Looks after the bank
///
/// Doubles, doubtful labels, how kinds and sites are covered, and what could be left out. Changes nothing.
#[utoipa::path(get, path = "/bank/review", tag = "bank", params(Wanted),
    responses((status = 200, body = Review, description = "What was found"), Problem))]
pub(super) async fn review(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Review>, Problem> {
    caller.may(Task::ReadOriginals)?;
    sees_all(&caller)?;
    if !(-1.0..=1.0).contains(&wanted.double) || wanted.coreset == Some(0) {
        return Err(Problem::invalid(
            "No bank can be reviewed like that.",
            "Give a `double` of -1 to 1 and a `coreset` of at least 1.",
        ));
    }
    let taught = app.jobs.bank().now().await.map_err(not_ready)?;
    let taught = taught.filter(|t| !t.bank().is_empty()).ok_or_else(empty)?;
    if taught.bank().len() > MOST {
        return Err(Problem::new(
            Kind::Conflict,
            format!("The bank has more than {MOST} samples: a review would keep the service busy."),
            "Run `sitewarden bank check` on a copy of the data folder.",
        ));
    }
    let _turn = app
        .drawing
        .acquire()
        .await
        .map_err(|e| Problem::fault(&e))?;
    let looked = tokio::task::spawn_blocking(move || {
        let bank = taught.bank();
        let mut doubles = review::doubles(bank, wanted.double);
        let doubles_total = doubles.len();
        doubles.truncate(MOST_DOUBLES);
        Review {
            bank_version: bank.version(),
            embedder: bank.embedder().version.clone(),
            samples: bank.len(),
            doubles,
            doubles_total,
            doubts: review::doubts(bank, review::NEIGHBOURS),
            coverage: review::coverage(bank),
            coreset: wanted.coreset.map(|size| review::coreset(bank, size)),
        }
    });
    Ok(Json(looked.await.map_err(|e| Problem::fault(&e))?))
}
