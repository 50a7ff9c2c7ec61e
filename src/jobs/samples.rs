//! The sample bank in service: ready to be asked, kept up with what people add and decide.
//!
//! A change of the bank is known to whoever asks next. Samples without an embedding (from review, or of
//! an older embedder) are embedded first; where that takes longer than anybody should wait, the bank is
//! locked, and a thread in the background goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use crate::bank::{Bank, EmbedderId};
use crate::embedding::Embedding;
use crate::evidence::Store;
use crate::id::Id;
use crate::inference::Embed;
use crate::ledger::bank::{self as rows, SampleRow};
use crate::ledger::{self, Ledger};
use crate::pipeline::bank::{Cutter, Taught};
use crate::source::photo::PhotoLimits;

/// Verifies and loads the embedder, or says why it is refused.
pub type LoadEmbedder = Box<dyn Fn() -> Result<Arc<dyn Embed>, String> + Send + Sync>;

/// Samples embedded for each change of the ledger: an interruption costs no more.
const AT_ONCE: i64 = 32;
/// Who asks embeds at most so many samples; more are left to the background.
const MOST_INLINE: i64 = 4096;
/// Longest that anybody waits for samples to be embedded.
const PATIENCE: Duration = Duration::from_secs(60);
/// The background looks at least this often: another process may have changed the bank.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The bank of a data folder. Cheap to clone.
#[derive(Clone)]
pub struct SampleBank(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    store: Arc<Store>,
    folder: PathBuf,
    limits: PhotoLimits,
    load: LoadEmbedder,
    embedder: OnceLock<Result<Arc<dyn Embed>, Arc<str>>>,
    now: RwLock<Option<Arc<Taught>>>,
    /// Held by whoever brings it up to date; samples that cannot be embedded, and why.
    making: Mutex<BTreeMap<Id, String>>,
    wake: Notify,
    /// Rows of samples that are there already were written.
    stale: AtomicBool,
}

/// Why the bank cannot be asked now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unready {
    /// The embedder.
    #[error("the embedder was refused ({0}): put it right and start the service again")]
    Refused(Arc<str>),
    /// Too many samples have no embedding of this embedder yet.
    #[error(
        "the sample bank is being embedded by a new embedder; it is asked again when that is done"
    )]
    Embedding,
    /// The ledger.
    #[error("the ledger cannot be read: {0}")]
    Ledger(Arc<ledger::Error>),
    /// A fault.
    #[error("the sample bank could not be made ready: {0}")]
    Failed(Arc<str>),
}

impl From<ledger::Error> for Unready {
    fn from(error: ledger::Error) -> Self {
        Self::Ledger(Arc::new(error))
    }
}

impl From<tokio::task::JoinError> for Unready {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Failed(error.to_string().into())
    }
}

impl SampleBank {
    /// The bank in `folder`, whose rows are in `ledger`. The embedder is loaded when it is needed first:
    /// whoever has no samples pays nothing.
    pub fn new(
        ledger: Ledger,
        store: Arc<Store>,
        folder: PathBuf,
        limits: PhotoLimits,
        load: LoadEmbedder,
    ) -> Self {
        Self(Arc::new(Inner {
            ledger,
            store,
            folder,
            limits,
            load,
            embedder: OnceLock::new(),
            now: RwLock::default(),
            making: Mutex::default(),
            wake: Notify::new(),
            stale: AtomicBool::new(false),
        }))
    }

    /// The bank as it is; nothing when there never was a sample.
    ///
    /// # Errors
    /// The embedder is refused, or too much has to be embedded first.
    pub async fn now(&self) -> Result<Option<Arc<Taught>>, Unready> {
        self.up_to_date(MOST_INLINE).await
    }

    /// The bank as it was made ready last, by the background or for a photo; nothing when it never was. Waits
    /// for nothing: a camera must not.
    pub fn latest(&self) -> Option<Arc<Taught>> {
        self.fresh(0)
    }

    /// The embedder's name, if it was needed so far.
    pub fn embedder(&self) -> Option<&str> {
        self.0.embedder.get()?.as_ref().ok().map(|e| e.version())
    }

    /// The embedder; it is loaded if it was not needed so far.
    ///
    /// # Errors
    /// It is refused.
    pub async fn embedder_id(&self) -> Result<EmbedderId, Unready> {
        Ok(embedder_id(&*self.load().await?))
    }

    /// Whoever asks next has the bank read anew: samples that were there have got embeddings or photos.
    pub fn look_again(&self) {
        self.0.stale.store(true, Ordering::Release);
        self.wake();
    }

    /// Tells the background that the bank was changed.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Keeps the bank ready, so that nobody has to wait for it. Does not end.
    pub async fn keep_ready(self) {
        loop {
            if let Err(error) = self.up_to_date(i64::MAX).await {
                tracing::error!(%error, "the sample bank is not ready");
            }
            let _ = tokio::time::timeout(LOOK_EVERY, self.0.wake.notified()).await;
        }
    }

    /// The bank, if it is of this version and nothing is known to be missing from it.
    fn current(&self, version: i64) -> Option<Arc<Taught>> {
        let stale = self.0.stale.load(Ordering::Acquire);
        self.fresh(version).filter(|_| !stale)
    }

    fn fresh(&self, version: i64) -> Option<Arc<Taught>> {
        let now = self.0.now.read().unwrap_or_else(PoisonError::into_inner);
        now.clone().filter(|t| t.bank().version() >= version)
    }

    async fn up_to_date(&self, most: i64) -> Result<Option<Arc<Taught>>, Unready> {
        let inner = &self.0;
        let version = rows::version(&mut inner.ledger.read().await?).await?;
        if version == 0 {
            return Ok(None);
        }
        if let Some(taught) = self.current(version) {
            return Ok(Some(taught));
        }
        let embedder = self.load().await?;
        let id = embedder_id(&*embedder);
        let pending = async || {
            let mut db = inner.ledger.read().await?;
            Ok::<_, ledger::Error>(rows::pending(&mut db, &id.version).await?.1)
        };
        let mut failed = match inner.making.try_lock() {
            Ok(failed) => failed,
            // the background is at it, and will be for longer than a photo should wait
            Err(_) if pending().await? > most => return Err(Unready::Embedding),
            Err(_) => match tokio::time::timeout(PATIENCE, inner.making.lock()).await {
                Ok(failed) => failed,
                Err(_) => return Err(Unready::Embedding),
            },
        };
        if let Some(taught) = self.current(version) {
            return Ok(Some(taught));
        }
        // what is written from now on is said again
        inner.stale.store(false, Ordering::Release);
        let pending = pending().await?;
        if pending > most.saturating_add(failed.len() as i64) {
            self.wake();
            return Err(Unready::Embedding);
        }
        embed_missing(
            &inner.ledger,
            &inner.store,
            &embedder,
            &inner.limits,
            &mut failed,
        )
        .await?;
        let known = self.fresh(0).filter(|t| *t.bank().embedder() == id);
        let brought = match known {
            Some(known) => {
                let since = known.bank().version();
                let mut db = inner.ledger.read().await?;
                let changes = rows::changes(&mut db, &id, since).await?;
                drop(db);
                tokio::task::spawn_blocking(move || {
                    let mut bank = brought_up(&known, changes)?;
                    bank.index();
                    Some(known.after(bank))
                })
                .await?
            }
            None => None,
        };
        let taught = match brought {
            Some(taught) => taught,
            None => {
                let mut db = inner.ledger.read().await?;
                let loaded = rows::load_with_index(&mut db, &inner.folder, &id).await?;
                drop(db);
                let mut bank = loaded.0.bank;
                let made = move || {
                    bank.index();
                    Taught::new(bank, embedder)
                };
                tokio::task::spawn_blocking(made).await?
            }
        };
        let taught = Arc::new(taught);
        *inner.now.write().unwrap_or_else(PoisonError::into_inner) = Some(taught.clone());
        Ok(Some(taught))
    }

    /// The embedder, loaded once; once refused it stays refused.
    async fn load(&self) -> Result<Arc<dyn Embed>, Unready> {
        let inner = self.0.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let load = || (inner.load)().map_err(Arc::from);
            inner.embedder.get_or_init(load).clone()
        });
        loaded.await?.map_err(Unready::Refused)
    }
}

/// The bank with what has changed; nothing where that does not come out even: samples that were embedded
/// since without being new.
fn brought_up(known: &Taught, changes: rows::Changes) -> Option<Bank> {
    let mut bank = known.bank().clone();
    for id in changes.gone {
        bank.remove(id);
    }
    for (sample, embedding) in changes.come {
        if !bank.contains(sample.id) {
            bank.insert(sample, &embedding).ok()?;
        }
    }
    bank.set_version(changes.version);
    bank.set_owners(changes.owners);
    (bank.len() == changes.embedded).then_some(bank)
}

/// How the ledger names an embedder.
pub fn embedder_id(embedder: &dyn Embed) -> EmbedderId {
    EmbedderId {
        version: embedder.version().to_owned(),
        dimensions: embedder.dimensions(),
    }
}

/// Embeds the samples that this embedder has not seen, a few for each change of the ledger; how many.
/// Those that cannot be embedded are added to `failed`, and those in it are not tried again.
///
/// # Errors
/// When the ledger cannot be read or written; what was embedded by then is kept.
pub async fn embed_missing(
    ledger: &Ledger,
    store: &Arc<Store>,
    embedder: &Arc<dyn Embed>,
    limits: &PhotoLimits,
    failed: &mut BTreeMap<Id, String>,
) -> ledger::Result<usize> {
    let id = embedder_id(&**embedder);
    let mut done = 0;
    loop {
        let limit = AT_ONCE + failed.len() as i64;
        let mut missing =
            rows::without_embedding(&mut ledger.read().await?, &id.version, limit).await?;
        missing.retain(|row| !failed.contains_key(&row.sample.id));
        if missing.is_empty() {
            return Ok(done);
        }
        let (store, embedder, limits) = (store.clone(), embedder.clone(), limits.clone());
        let told: Vec<Id> = missing.iter().map(|row| row.sample.id).collect();
        let embedded =
            tokio::task::spawn_blocking(move || embed(&store, &*embedder, &limits, &missing)).await;
        let embedded = embedded.unwrap_or_else(|e| {
            let why = e.to_string();
            told.into_iter().map(|id| (id, Err(why.clone()))).collect()
        });
        let mut fresh = Vec::new();
        for (id, result) in embedded {
            match result {
                Ok(embedding) => fresh.push((id, embedding)),
                Err(why) => {
                    tracing::error!(sample = %id, %why, "a sample cannot be embedded");
                    failed.insert(id, why);
                }
            }
        }
        if !fresh.is_empty() {
            let mut tx = ledger.begin(&crate::finding::Actor::Machine).await?;
            rows::embed(&mut tx, &id, &fresh).await?;
            tx.commit().await?;
            done += fresh.len();
        }
    }
}

type Embedded = Vec<(Id, Result<Embedding, String>)>;

/// Each photo is decoded once for all its samples in a row.
fn embed(
    store: &Store,
    embedder: &dyn Embed,
    limits: &PhotoLimits,
    samples: &[SampleRow],
) -> Embedded {
    let mut all = Vec::new();
    for of_photo in samples.chunk_by(|a, b| a.sample.photo_sha256 == b.sample.photo_sha256) {
        match embed_photo(store, embedder, limits, of_photo) {
            Ok(embeddings) => {
                let ids = of_photo.iter().map(|row| row.sample.id);
                all.extend(ids.zip(embeddings.into_iter().map(Ok)));
            }
            Err(why) => all.extend(of_photo.iter().map(|row| (row.sample.id, Err(why.clone())))),
        }
    }
    all
}

fn embed_photo(
    store: &Store,
    embedder: &dyn Embed,
    limits: &PhotoLimits,
    samples: &[SampleRow],
) -> Result<Vec<Embedding>, String> {
    let said = |e: &dyn std::fmt::Display| e.to_string();
    let digest = samples.first().map_or("", |row| &row.sample.photo_sha256);
    let bytes = store
        .read(&digest.parse().map_err(|e| said(&e))?)
        .map_err(|e| said(&e))?;
    let cutter = Cutter::new(&bytes, limits).map_err(|e| said(&e))?;
    let parts: Vec<_> = samples
        .iter()
        .map(|row| (row.sample.area, row.sample.mask.as_ref()))
        .collect();
    cutter.embed_samples(&parts, embedder).map_err(|e| said(&e))
}
