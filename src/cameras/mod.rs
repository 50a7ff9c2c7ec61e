//! The cameras of the service. Each that the ledger has and the configuration knows is watched on a
//! thread of its own, with the model's sessions shared among all, and files into the ledger.

mod filing;
pub mod mqtt;
mod telling;
mod view;
mod watcher;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};

pub use view::{CameraEvent, Look, Seen, View};

use crate::evidence::Store;
use crate::id::Id;
use crate::jobs::Judge;
use crate::jobs::samples::SampleBank;
use crate::ledger::sites::{self, Camera};
use crate::ledger::{Error, Ledger};
use crate::pipeline::clip_file::WatchConfig;
use crate::source::camera::{Address, CameraOptions};
use crate::zone::Zones;

/// A source that the configuration knows.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where its pictures come from; `None`: they are sent to the service.
    pub address: Option<Address>,
    /// How they are taken in.
    pub options: CameraOptions,
    /// How they are watched.
    pub watch: WatchConfig,
    /// Whether key frames will do while nothing moves.
    pub idle: bool,
}

/// All cameras.
#[derive(Clone)]
pub struct Cameras(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    store: Arc<Store>,
    setups: BTreeMap<String, Setup>,
    bank: SampleBank,
    /// Pictures on their way, and the last seconds of each camera: nothing that must be kept.
    spool: PathBuf,
    events: broadcast::Sender<CameraEvent>,
    views: Mutex<BTreeMap<Id, Arc<View>>>,
    retired: Mutex<HashSet<Id>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// A camera was added.
    wake: Notify,
    stopping: AtomicBool,
}

/// Cameras that decode all frames at once when the service starts, for each core; the next ones have their turn
/// so much later, seconds.
const AWAKE_EACH: usize = 2;
const TURN_S: f64 = 25.0;
/// How often the ledger is asked for new cameras.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Events that wait for a slow listener; it misses older ones.
const EVENTS: usize = 256;
/// Pictures that were sent and wait; more are refused.
const MAX_PUSHED: usize = 100;

/// Ending of those that have not come whole.
const PART: &str = ".part";

/// Why a picture that was sent is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The camera's pictures come from elsewhere, or it is not watched.
    #[error("pictures are not sent to this camera")]
    NotPushed,
    /// Too many wait.
    #[error("too many pictures wait")]
    Full,
    /// The disk.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Cameras {
    /// Cameras that are not watched yet.
    pub fn new(
        ledger: Ledger,
        store: Arc<Store>,
        data: &Path,
        setups: BTreeMap<String, Setup>,
        bank: SampleBank,
    ) -> Self {
        Self(Arc::new(Inner {
            ledger,
            store,
            setups,
            bank,
            spool: data.join("cameras"),
            events: broadcast::Sender::new(EVENTS),
            views: Mutex::default(),
            retired: Mutex::default(),
            threads: Mutex::default(),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Watches with this judge, until [`Self::stop`]: cameras that are there, and those added later.
    pub async fn run(&self, judge: Arc<Judge>) {
        if self.0.setups.is_empty() {
            return;
        }
        let mut is_first = true;
        while !self.0.stopping() {
            let woken = self.0.wake.notified();
            match self.all().await {
                Ok(cameras) => {
                    if std::mem::take(&mut is_first) {
                        self.0.remove_left(&cameras);
                    }
                    for camera in cameras {
                        self.begin(camera, &judge);
                    }
                }
                Err(error) => tracing::error!(%error, "the cameras could not be listed"),
            }
            let _ = tokio::time::timeout(LOOK_EVERY, woken).await;
        }
    }

    async fn all(&self) -> Result<Vec<Camera>, Error> {
        sites::all_cameras(&mut self.0.ledger.read().await?).await
    }

    fn begin(&self, camera: Camera, judge: &Arc<Judge>) {
        let Some(setup) = self.0.setups.get(&camera.source) else {
            return;
        };
        let mut views = lock(&self.0.views);
        let known = views.contains_key(&camera.id);
        // it may have been retired since it was listed
        if known || lock(&self.0.retired).contains(&camera.id) || self.0.stopping() {
            return;
        }
        let view = Arc::new(View::new(
            judge.document(),
            camera.id,
            self.0.events.clone(),
        ));
        // all at once would be more than the processors can do
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let awake_s = (views.len() / (AWAKE_EACH * cores)) as f64 * TURN_S;
        views.insert(camera.id, view.clone());
        drop(views);
        let (cameras, setup, judge) = (self.clone(), setup.clone(), judge.clone());
        let runtime = Handle::current();
        let thread = std::thread::spawn(move || {
            watcher::watch(
                &cameras.0, &runtime, &judge, &camera, &setup, &view, awake_s,
            );
        });
        lock(&self.0.threads).push(thread);
    }

    /// A camera was added, or its zones were drawn anew.
    pub fn wake(&self, camera: Id) {
        if let Some(view) = self.view(camera) {
            view.begin_again();
        }
        self.0.wake.notify_waiters();
    }

    /// A camera was retired: its watch ends.
    pub fn retire(&self, camera: Id) {
        let mut views = lock(&self.0.views);
        lock(&self.0.retired).insert(camera);
        if let Some(view) = views.remove(&camera) {
            view.retire();
        }
    }

    /// What is known of a camera that is watched.
    pub fn view(&self, camera: Id) -> Option<Arc<View>> {
        lock(&self.0.views).get(&camera).cloned()
    }

    /// Events of all cameras from now on.
    pub fn events(&self) -> broadcast::Receiver<CameraEvent> {
        self.0.events.subscribe()
    }

    /// Whether the configuration knows the source of a camera.
    pub fn knows(&self, camera: &Camera) -> bool {
        self.0.setups.contains_key(&camera.source)
    }

    /// The zones that the configuration gives a camera, without the names of files.
    pub fn configured_zones(&self, camera: &Camera) -> Zones {
        let setup = self.0.setups.get(&camera.source);
        let mut zones = setup
            .map(|setup| setup.watch.zones.clone())
            .unwrap_or_default();
        for zone in &mut zones.zones {
            zone.reference = None;
        }
        zones
    }

    /// Takes a picture that was sent. `ending` is that of its format; `taken_at` its time.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn push(
        &self,
        camera: &Camera,
        ending: &str,
        bytes: &[u8],
        taken_at: jiff::Timestamp,
    ) -> Result<(), PushError> {
        let setup = self.0.setups.get(&camera.source);
        if setup.is_none_or(|setup| setup.address.is_some()) {
            return Err(PushError::NotPushed);
        }
        let folder = self.0.pushed(camera.id);
        std::fs::create_dir_all(&folder)?;
        let waits = |entry: &std::io::Result<std::fs::DirEntry>| {
            let name = entry.as_ref().map(std::fs::DirEntry::file_name);
            name.is_ok_and(|name| !name.to_string_lossy().ends_with(PART))
        };
        if std::fs::read_dir(&folder)?.filter(waits).count() >= MAX_PUSHED {
            return Err(PushError::Full);
        }
        let name = self.0.ledger.new_id();
        // gone with its handle if it does not get its name
        let mut part = tempfile::Builder::new().suffix(PART).tempfile_in(&folder)?;
        std::io::Write::write_all(&mut part, bytes)?;
        // pictures of a folder are taken in the order of their times
        part.as_file().set_modified(taken_at.into())?;
        let named = part.persist(folder.join(format!("{name}.{ending}")));
        named.map_err(|e| e.error)?;
        Ok(())
    }

    /// Ends every watch; what is open is remembered. Blocks.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.wake.notify_waiters();
        for thread in std::mem::take(&mut *lock(&self.0.threads)) {
            if thread.join().is_err() {
                tracing::error!("the watch of a camera ended with a panic");
            }
        }
    }
}

impl Inner {
    /// What cameras have left that were retired: nobody will look at it.
    fn remove_left(&self, cameras: &[Camera]) {
        let known = |name: &str| cameras.iter().any(|c| c.id.to_string() == name);
        let entries = std::fs::read_dir(&self.spool)
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_camera = name.parse::<Id>().is_ok() && !known(&name);
            if is_camera && let Err(error) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!(camera = %name, %error, "what a retired camera left is not removed");
            }
        }
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Where pictures wait that are sent to a camera.
    fn pushed(&self, camera: Id) -> PathBuf {
        self.spool.join(camera.to_string()).join("pushed")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
