//! Photos that wait to be judged: rows of the ledger, worked off by a pool of threads.
//!
//! A photo is claimed by one worker, judged, and its record, its candidates and the end of its
//! claim go into the ledger in one transaction: whatever happens to the process, a photo that was
//! accepted has its effect once. What a dead process had claimed is claimed again at the next start.

mod judge;
pub mod lending;
pub mod originals;
mod received;
pub mod samples;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast};

pub use judge::{Bench, Judge, Readiness};

use crate::evidence::{Digest, Store};
use crate::id::Id;
use crate::ledger::Ledger;
use crate::rules::{Facts, HazardKind, RuleSet};
use crate::zone::{ZoneError, Zones};
use received::Received;
use samples::SampleBank;

/// Milliseconds that the stages of one photo took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StageTimes {
    /// Reading the original and checking its digest.
    pub read_ms: f64,
    /// From the file's bytes to pixels.
    pub decode_ms: f64,
    /// From pixels to the model's input.
    pub preprocess_ms: f64,
    /// The model.
    pub inference_ms: f64,
    /// From raw outputs to detections.
    pub postprocess_ms: f64,
    /// Asking the sample bank, where there is one.
    pub bank_ms: f64,
    /// Filing the candidates.
    pub file_ms: f64,
}

/// Is told of every photo that was worked on.
pub trait Observer: Send + Sync {
    /// `outcome` is `judged`, or `unreadable`.
    fn judged(&self, outcome: &'static str, took: StageTimes);
}

/// The workers' pool.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    store: Arc<Store>,
    rules: Arc<RuleSet>,
    bank: SampleBank,
    bench: Bench,
    received: Received,
    observer: Arc<dyn Observer>,
    /// There is new work.
    wake: Notify,
    /// Ids of photos that are done.
    done: broadcast::Sender<Id>,
    stopping: AtomicBool,
}

/// Threads that work.
pub struct Workers {
    jobs: Jobs,
    threads: Vec<JoinHandle<()>>,
}

impl Jobs {
    /// A pool without workers, which accepts photos.
    pub fn new(
        ledger: Ledger,
        store: Arc<Store>,
        rules: Arc<RuleSet>,
        bank: SampleBank,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self(Arc::new(Inner {
            ledger,
            store,
            rules,
            bank,
            observer,
            bench: Bench::default(),
            received: Received::default(),
            wake: Notify::new(),
            done: broadcast::Sender::new(1024),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Whether photos can be judged.
    pub fn readiness(&self) -> Readiness {
        self.0.bench.now()
    }

    /// The hazard kind of this code in the catalogue in force, whether or not there is a model.
    pub fn kind(&self, code: &str) -> Option<&HazardKind> {
        self.0.rules.kinds().iter().find(|kind| kind.code == code)
    }

    /// Refuses zones in which something is looked for that the catalogue in force does not have.
    ///
    /// # Errors
    /// With the zone, the field, and what there is.
    pub fn check_zones(&self, zones: &Zones) -> Result<(), ZoneError> {
        let judge = self.judge();
        let pipeline = judge.as_ref().map(|judge| judge.pipeline());
        let labels = pipeline.as_ref().map(|pipeline| pipeline.labels());
        self.0.rules.check_zones(zones, labels)
    }

    /// The facts of an enterprise that the catalogue in force knows.
    pub fn facts(&self) -> &Facts {
        self.0.rules.facts()
    }

    /// The sample bank that photos are held against.
    pub fn bank(&self) -> &SampleBank {
        &self.0.bank
    }

    /// The judge, once there is one.
    pub fn judge(&self) -> Option<Arc<Judge>> {
        self.0.bench.judge()
    }

    /// Tells the workers that photos were accepted.
    pub fn wake(&self) {
        self.0.wake.notify_waiters();
    }

    /// An original that was just stored under this digest and will be judged soon.
    pub fn received(&self, digest: Digest, original: Vec<u8>) {
        self.0.received.keep(Instant::now(), digest, original);
    }

    /// The ids of photos as they are done. A listener that lags misses some and must look.
    pub fn listen(&self) -> broadcast::Receiver<Id> {
        self.0.done.subscribe()
    }

    /// No model: nothing is judged, and whoever asks is told why.
    pub fn refuse(&self, reason: &str) {
        self.0.bench.set(Readiness::Refused(reason.into()));
    }

    /// Starts to work with this judge, as many photos at once as it takes. To be called within the
    /// runtime.
    pub fn start(&self, judge: Judge) -> Workers {
        let judge = Arc::new(judge);
        let runtime = tokio::runtime::Handle::current();
        // one more than can be judged at once: while one waits for the ledger, another judges
        let threads = (0..=judge.parallelism())
            .map(|_| {
                let (jobs, judge, runtime) = (self.clone(), judge.clone(), runtime.clone());
                std::thread::spawn(move || worker::work(&jobs.0, &judge, &runtime))
            })
            .collect();
        self.0.bench.set(Readiness::Ready(judge));
        Workers {
            jobs: self.clone(),
            threads,
        }
    }
}

impl Workers {
    /// Lets every worker finish the photo in hand. Blocks: not for the runtime's threads.
    pub fn stop(self) {
        self.jobs.0.stopping.store(true, Ordering::Relaxed);
        self.jobs.wake();
        for thread in self.threads {
            // a worker that panicked has said so
            let _ = thread.join();
        }
    }
}

/// Workers look for work at least this often: another process may have accepted it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
