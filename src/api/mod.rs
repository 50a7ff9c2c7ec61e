//! The HTTP API: one file for each resource. Everything under `/api/v1` needs a key or a session.

mod accounts;
mod audit;
pub(crate) mod auth;
mod bank;
mod cameras;
mod checklists;
mod config;
mod docs;
mod enterprises;
mod etag;
mod extract;
mod finding_step;
mod findings;
mod gate;
mod health;
mod idempotency;
mod inspections;
mod job_view;
pub mod listen;
mod metrics;
mod paging;
mod photos;
mod pictures;
mod problem;
mod proof;
mod rate;
mod schema;
mod sites;
mod time;
mod trail;
mod upload;

use std::num::NonZero;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::routing::get;
use axum::{Extension, Router, middleware};
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa_axum::router::OpenApiRouter;

pub use auth::Role;
pub use config::ServeConfig;
pub use metrics::Metrics;

use crate::cameras::Cameras;
use crate::evidence::Store;
use crate::jobs::{Jobs, Judge};
use crate::ledger::Ledger;
use crate::source::photo::PhotoLimits;
use auth::secret::{KEY_PREFIX, Secret};
pub use problem::Problem;
use rate::Rates;

/// Everything that the routes work with. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    ledger: Ledger,
    store: Arc<Store>,
    jobs: Jobs,
    cameras: Cameras,
    metrics: Arc<Metrics>,
    config: ServeConfig,
    photo_limits: PhotoLimits,
    secure_cookies: bool,
    /// Of every caller.
    rates: Rates,
    /// Of addresses that send unknown keys.
    strangers: Rates,
    /// Of logins and addresses that try passwords.
    sign_ins: Rates,
    /// Uploads received at once.
    uploads: Semaphore,
    /// Pictures drawn at once.
    drawing: Semaphore,
    /// Passwords hashed at once.
    hashing: Semaphore,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Puts the service together.
    pub fn new(
        ledger: Ledger,
        store: Arc<Store>,
        jobs: Jobs,
        cameras: Cameras,
        metrics: Arc<Metrics>,
        config: ServeConfig,
        photo_limits: PhotoLimits,
    ) -> Self {
        let secure_cookies = config.secure_cookies.unwrap_or(true);
        let ten = NonZero::<u32>::MIN.saturating_add(9);
        Self(Arc::new(Parts {
            rates: Rates::new(config.requests_per_second, config.request_burst),
            strangers: Rates::one_every(Duration::from_secs(1), ten.saturating_add(10)),
            sign_ins: Rates::one_every(Duration::from_secs(10), ten),
            uploads: Semaphore::new(config.max_uploads.max(1)),
            drawing: Semaphore::new(2),
            hashing: Semaphore::new(1),
            ledger,
            store,
            jobs,
            cameras,
            metrics,
            config,
            photo_limits,
            secure_cookies,
        }))
    }

    /// Held while an upload is received: so many at once, and no more.
    fn upload_place(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.uploads.try_acquire().map_err(|_| {
            Problem::too_many(
                "The service receives as many uploads as it can.",
                Duration::from_secs(2),
            )
        })
    }

    /// At the first start, makes the account `admin` and gives its key, which is stored nowhere.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn first_key(&self) -> Result<Option<String>, Problem> {
        if !self.ledger.has_no_account().await? {
            return Ok(None);
        }
        let key = Secret::random(KEY_PREFIX)?;
        self.ledger.create_first_account(&key.digest()).await?;
        Ok(Some(key.expose().to_owned()))
    }

    /// Before the workers start: what a dead process left is taken up again. Gives the number of
    /// photos.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn begin_work(&self, judge: &Judge) -> Result<u64, Problem> {
        self.metrics.model(&judge.document().model);
        Ok(self.ledger.recover_photos(&judge.context(None)).await?)
    }

    /// The routes.
    pub fn router(&self) -> Router {
        let (api, document) = self.api().split_for_parts();
        let document = schema::document(&document).unwrap_or_else(|e| {
            tracing::error!(error = %e, "the description of the API cannot be written");
            "{}".to_owned()
        });
        let watch = Router::new()
            .route("/metrics", get(health::metrics))
            .layer(middleware::from_fn_with_state(self.clone(), auth::require));
        Router::new()
            .merge(api)
            .merge(watch)
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .route("/docs", get(docs::page))
            .fallback(no_such_address)
            .method_not_allowed_fallback(wrong_method)
            .layer(Extension(docs::Document(document.into())))
            .layer(middleware::from_fn_with_state(
                self.clone(),
                gate::outermost,
            ))
            .with_state(self.clone())
    }

    fn api(&self) -> OpenApiRouter<Self> {
        let known = OpenApiRouter::new()
            .merge(auth::session::routes())
            .merge(accounts::routes())
            .merge(enterprises::routes())
            .merge(sites::routes())
            .merge(cameras::routes())
            .merge(checklists::routes())
            .merge(inspections::routes())
            .merge(findings::routes())
            .merge(trail::routes())
            .merge(audit::routes())
            .merge(photos::routes())
            .merge(pictures::routes())
            .merge(bank::routes())
            .merge(job_view::routes())
            .route("/openapi.json", get(docs::openapi))
            .layer(DefaultBodyLimit::max(idempotency::MAX_BODY))
            .merge(
                upload::routes()
                    .merge(cameras::push_routes())
                    .merge(bank::upload_routes())
                    .layer(DefaultBodyLimit::max(self.config.max_upload_bytes)),
            );
        let parameters = Arc::new(gate::Parameters::of(known.get_openapi()));
        let known = known
            .layer(middleware::from_fn_with_state(parameters, gate::parameters))
            // an unknown address tells nothing to whoever is not known
            .fallback(no_such_address)
            .layer(middleware::from_fn_with_state(
                self.clone(),
                idempotency::layer,
            ))
            .layer(middleware::from_fn_with_state(self.clone(), gate::rate))
            .layer(middleware::from_fn_with_state(self.clone(), auth::require));
        let open = auth::session::open_routes().layer(DefaultBodyLimit::max(16 << 10));
        OpenApiRouter::with_openapi(docs::heading()).nest("/api/v1", known.merge(open))
    }
}

async fn no_such_address() -> Problem {
    Problem::not_found("address")
}

/// Of an address that takes other methods. It tells nothing to whoever is not known.
async fn wrong_method(State(app): State<App>, request: Request) -> Problem {
    if let Err(problem) = auth::known(&app, &request).await {
        return problem;
    }
    Problem::new(
        problem::Kind::MethodNotAllowed,
        "This address does not take this method.",
        "See /docs for the methods of each address.",
    )
}
