//! For whoever watches the service: is it alive, can it work, how does it do.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::App;
use super::auth::{Caller, Task};
use super::extract::Json;
use super::problem::{Kind, Problem};
use crate::jobs::Readiness;

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    model: String,
    version: String,
}

/// `GET /readyz`: photos can be judged and filed. Why not is for the log, not for everybody.
pub(super) async fn ready(State(app): State<App>) -> Result<Response, Problem> {
    let not_ready = |detail, next| Err(Problem::new(Kind::NotReady, detail, next));
    let judge = match app.jobs.readiness() {
        Readiness::Ready(judge) => judge,
        Readiness::Loading => {
            return not_ready("The model is being checked.", "Ask again in a few seconds.");
        }
        Readiness::Refused(_) => {
            return not_ready(
                "The model was refused.",
                "Read the service's log: it says which check failed and what to do.",
            );
        }
    };
    app.ledger.photos_waiting().await.map_err(|error| {
        tracing::error!(%error, "the ledger does not answer");
        Problem::new(
            Kind::NotReady,
            "The ledger does not answer.",
            "Read the service's log.",
        )
    })?;
    let model = judge.document().model;
    let ready = Ready {
        ready: true,
        model: model.name,
        version: model.version,
    };
    Ok(Json(ready).into_response())
}

/// `GET /metrics`: in the Prometheus text format.
pub(super) async fn metrics(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    caller.may(Task::Monitor)?;
    app.metrics.queue_depth(app.ledger.photos_waiting().await?);
    let text = app.metrics.text().map_err(|e| Problem::fault(&e))?;
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
