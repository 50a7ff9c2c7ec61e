//! Counters and times in the Prometheus text format. Labels are kinds of things, never ids.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::jobs::{Observer, StageTimes};
use crate::record::ModelRecord;

/// Everything that is counted.
pub struct Metrics {
    registry: std::sync::RwLock<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    refusals: Family<ReasonLabels, Counter>,
    stages: Family<StageLabels, Histogram>,
    photos: Family<OutcomeLabels, Counter>,
    queue: Gauge<i64, std::sync::atomic::AtomicI64>,
    ready: Gauge<i64, std::sync::atomic::AtomicI64>,
    uploaded_bytes: Counter<u64, AtomicU64>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// From a millisecond to half a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("sitewarden").into(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            refusals: Family::default(),
            stages: Family::new_with_constructor(seconds),
            photos: Family::default(),
            queue: Gauge::default(),
            ready: Gauge::default(),
            uploaded_bytes: Counter::default(),
        };
        metrics.edit(|r| {
            r.register(
                "http_requests",
                "Requests answered",
                metrics.requests.clone(),
            );
            r.register_with_unit(
                "http_request_duration",
                "Time until the head of the answer",
                Unit::Seconds,
                metrics.request_seconds.clone(),
            );
            r.register(
                "refusals",
                "Requests refused, by the kind of problem",
                metrics.refusals.clone(),
            );
            r.register_with_unit(
                "stage_duration",
                "Time that one photo spent in a stage",
                Unit::Seconds,
                metrics.stages.clone(),
            );
            r.register(
                "photos",
                "Photos worked on, by outcome",
                metrics.photos.clone(),
            );
            r.register(
                "queue_depth",
                "Photos accepted and not yet judged",
                metrics.queue.clone(),
            );
            r.register(
                "ready",
                "1 when photos can be judged",
                metrics.ready.clone(),
            );
            r.register_with_unit(
                "uploaded",
                "Photos received",
                Unit::Bytes,
                metrics.uploaded_bytes.clone(),
            );
        });
        metrics
    }
}

impl Metrics {
    fn edit(&self, work: impl FnOnce(&mut Registry)) {
        let mut registry = self
            .registry
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut registry);
    }

    /// The text that a Prometheus server reads.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let registry = self
            .registry
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    pub(super) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.request_seconds
            .get_or_create(&RouteLabels {
                route: route.clone(),
            })
            .observe(took.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels {
                method: method.to_owned(),
                route,
                status,
            })
            .inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(super) fn uploaded(&self, bytes: u64) {
        self.uploaded_bytes.inc_by(bytes);
    }

    pub(super) fn queue_depth(&self, photos: u64) {
        self.queue.set(i64::try_from(photos).unwrap_or(i64::MAX));
    }

    /// Tells the model once it is verified.
    pub(super) fn model(&self, model: &ModelRecord) {
        self.ready.set(1);
        self.edit(|r| {
            r.register(
                "model",
                "The model that judges",
                Info::new(vec![
                    ("name", model.name.clone()),
                    ("version", model.version.clone()),
                    ("sha256", model.sha256.clone()),
                ]),
            );
        });
    }
}

impl Observer for Metrics {
    fn judged(&self, outcome: &'static str, took: StageTimes) {
        self.photos.get_or_create(&OutcomeLabels { outcome }).inc();
        let stages = [
            ("decode", took.decode_ms),
            ("preprocess", took.preprocess_ms),
            ("inference", took.inference_ms),
            ("postprocess", took.postprocess_ms),
            ("bank", took.bank_ms),
            ("file", took.file_ms),
        ];
        for (stage, ms) in stages {
            self.stages
                .get_or_create(&StageLabels { stage })
                .observe(ms / 1e3);
        }
    }
}
