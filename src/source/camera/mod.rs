//! Live sources: cameras over RTSP and HTTP, and folders that fill with pictures. Each has a
//! supervisor that opens it again whatever happens, and a plain status.

mod address;
mod child;
mod damage;
mod folder;
mod queue;
mod ring;
mod status;
mod supervisor;
mod time;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use image::RgbImage;

pub use address::{Address, AddressError, Place};
pub use ring::{
    ClipPart, EvidenceError, RingOptions, cut_file, picture_of_file, remove_left_rings,
};
pub use status::{State, Status};

use queue::Queue;
use ring::Ring;
use status::Known;
use time::MediaTime;

use super::photo::PhotoLimits;

/// How RTSP brings the video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Over the control connection: through every firewall.
    #[default]
    Tcp,
    /// By packets of its own.
    Udp,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Whether all frames are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Key frames only: nothing happens.
    Idle,
    /// All frames.
    Active,
}

/// How a live source is taken in.
#[derive(Debug, Clone)]
pub struct CameraOptions {
    /// Pictures a second, at most.
    pub fps: f64,
    /// Longer side of the pictures, pixels: made smaller by ffmpeg.
    pub max_side: u32,
    /// The same while key frames only are decoded: they are for seeing that something moves.
    pub idle_side: u32,
    /// For RTSP.
    pub transport: Transport,
    /// ffmpeg's name of a hardware decoder, for example `vaapi` or `cuda`.
    pub hwaccel: Option<String>,
    /// Limit on a picture's pixels.
    pub max_pixels: u64,
    /// No picture for so long is a stall.
    pub stall: Duration,
    /// Least wait before it is opened again.
    pub back_off: Duration,
    /// The mode that it begins in.
    pub mode: Mode,
    /// Keep the last seconds as they came, for clips.
    pub ring: Option<RingOptions>,
    /// Pictures of a folder are removed once they were read: it is a queue of our own.
    pub consume: bool,
    /// Pictures of a folder up to this time and, of that time, this name were looked at before.
    pub after: Option<(SystemTime, String)>,
}

impl Default for CameraOptions {
    fn default() -> Self {
        Self {
            fps: 5.0,
            max_side: 640,
            idle_side: 640,
            transport: Transport::Tcp,
            hwaccel: None,
            max_pixels: PhotoLimits::default().max_pixels,
            stall: Duration::from_secs(10),
            back_off: Duration::from_secs(1),
            mode: Mode::Active,
            ring: None,
            consume: false,
            after: None,
        }
    }
}

/// One picture of a live source.
#[derive(Debug, Clone)]
pub struct LiveFrame {
    /// Media time: seconds since the source was first opened. Never backwards.
    pub time_s: f64,
    /// When it came, by this machine's clock, which may have been set since the last one.
    pub wall: SystemTime,
    /// Made smaller.
    pub picture: RgbImage,
    /// Size before that, pixels.
    pub size: (u32, u32),
    /// Name of its file, in a folder.
    pub name: Option<String>,
}

/// A live source.
pub struct Camera {
    shared: Arc<Shared>,
    is_stream: bool,
    supervisor: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Queue<LiveFrame>,
    known: Mutex<Known>,
    time: Mutex<MediaTime>,
    wanted: Mutex<Mode>,
    ring: Mutex<Ring>,
    stop: AtomicBool,
}

impl Camera {
    /// Opens a stream or a folder; a video file is played over and over at its own speed. Whatever is wrong with it is told by its status.
    pub fn open(address: Address, options: CameraOptions) -> Self {
        let shared = Arc::new(Shared {
            queue: Queue::new(),
            known: Mutex::new(Known::new()),
            time: Mutex::new(MediaTime::new(Instant::now())),
            wanted: Mutex::new(options.mode),
            ring: Mutex::new(Ring::default()),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let is_stream = !matches!(address.place, Place::Folder(_));
        let supervisor = std::thread::spawn(move || {
            match address.place.clone() {
                Place::Folder(folder) => folder::watch(&folder, &options, &of_thread),
                _ => supervisor::run(&address, &options, &of_thread),
            }
            of_thread.queue.close();
        });
        Self {
            shared,
            is_stream,
            supervisor: Some(supervisor),
        }
    }

    /// The next picture, waited for at most so long. The oldest that waits comes first.
    pub fn next(&self, timeout: Duration) -> Option<LiveFrame> {
        self.shared.queue.pop(timeout)
    }

    /// Media time now, for what happens without a picture.
    pub fn now_s(&self) -> f64 {
        lock(&self.shared.time).at(Instant::now())
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        lock(&self.shared.known).report(self.shared.queue.dropped())
    }

    /// Wishes for another mode. A stream goes on in the old one until pictures of the new one come.
    pub fn set_mode(&self, mode: Mode) {
        *lock(&self.shared.wanted) = mode;
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.shared.queue.is_over()
    }

    /// What is kept of the stream from `from_s` to `to_s` (media time), as far as it is there.
    pub fn kept(&self, around_s: f64, from_s: f64, to_s: f64) -> Option<ClipPart> {
        lock(&self.shared.ring).part(around_s, from_s, to_s)
    }

    /// Whether pictures should come all the time; a folder may rest.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether it keeps its last seconds at all.
    pub fn keeps(&self) -> bool {
        !lock(&self.shared.ring).is_empty()
    }

    /// Ends it. Also done by dropping it.
    pub fn close(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.queue.close();
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn set_state(&self, state: State, reason: impl Into<String>) {
        let mut known = lock(&self.known);
        known.state = state;
        known.reason = reason.into();
    }

    /// Waits, but not when it is to stop.
    fn sleep(&self, how_long: Duration) {
        let until = Instant::now() + how_long;
        while !self.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    fn took(&self, frame_size: (u32, u32)) {
        let mut known = lock(&self.known);
        known.state = State::Live;
        known.reason.clear();
        known.last = Some(Instant::now());
        known.frames += 1;
        known.size = Some(frame_size);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a path looks like a picture.
fn is_picture(path: &Path) -> bool {
    super::discover::has_photo_ending(path)
}
