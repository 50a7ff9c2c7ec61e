//! What people see of a camera that is watched: its status, the latest picture, its events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use image::RgbImage;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{broadcast, watch};

use super::lock;
use crate::hazard::Lang;
use crate::id::Id;
use crate::pipeline::clip::Remembered;
use crate::pipeline::photo::JudgeError;
use crate::pipeline::picture::frame_view;
use crate::record::{CandidateRecord, DetectionRecord, PhotoRecord, ScanDocument, Why};
use crate::render::{self, AnnotateOptions};
use crate::source::camera::{self, LiveFrame, State, Status};

/// An event of a camera, for whoever listens.
#[derive(Debug, Clone, Serialize)]
pub struct CameraEvent {
    /// Of which.
    pub camera: Id,
    /// `alarm`, `finding`, `suppressed` or `status`.
    #[serde(skip)]
    pub name: &'static str,
    /// When, UTC.
    pub at: String,
    /// The turn of a finding, or the status.
    #[serde(flatten)]
    pub what: Value,
}

/// What is known of one camera.
pub struct View {
    /// What decides, for the signature of pictures.
    document: ScanDocument,
    camera: Id,
    live: Mutex<Option<Arc<camera::Camera>>>,
    /// Why it is not watched at all.
    trouble: Mutex<Option<String>>,
    latest: watch::Sender<Option<Arc<Seen>>>,
    events: broadcast::Sender<CameraEvent>,
    again: AtomicBool,
    retired: AtomicBool,
}

impl View {
    pub(super) fn new(
        document: ScanDocument,
        camera: Id,
        events: broadcast::Sender<CameraEvent>,
    ) -> Self {
        Self {
            document,
            camera,
            live: Mutex::default(),
            trouble: Mutex::default(),
            latest: watch::Sender::new(None),
            events,
            again: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        }
    }

    /// How the camera is doing.
    pub fn status(&self) -> Status {
        if let Some(reason) = &*lock(&self.trouble) {
            return Status {
                state: State::Failed,
                reason: reason.clone(),
                ..Status::unopened()
            };
        }
        match &*lock(&self.live) {
            Some(live) => live.status(),
            None => Status::unopened(),
        }
    }

    /// The latest picture that was looked at, and those to come.
    pub fn latest(&self) -> watch::Receiver<Option<Arc<Seen>>> {
        self.latest.subscribe()
    }

    /// Events of all cameras from now on. A listener that lags misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<CameraEvent> {
        self.events.subscribe()
    }

    /// Program and model, for pictures.
    pub fn signature(&self) -> String {
        render::signature(&self.document.sitewarden, &self.document.model)
    }

    pub(super) fn opened(&self, live: Option<Arc<camera::Camera>>) {
        *lock(&self.trouble) = None;
        *lock(&self.live) = live;
    }

    pub(super) fn failed(&self, reason: String) {
        *lock(&self.live) = None;
        *lock(&self.trouble) = Some(reason);
    }

    pub(super) fn show(&self, seen: Arc<Seen>) {
        self.latest.send_replace(Some(seen));
    }

    pub(super) fn tell(&self, name: &'static str, what: &impl Serialize) {
        let event = CameraEvent {
            camera: self.camera,
            name,
            at: Timestamp::now().to_string(),
            what: serde_json::to_value(what).unwrap_or_default(),
        };
        // nobody may be listening
        let _ = self.events.send(event);
    }

    /// The watch ends for good.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// The watch begins anew with what is configured by then.
    pub(super) fn begin_again(&self) {
        self.again.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_to_begin_again(&self) -> bool {
        self.again.load(Ordering::Relaxed)
    }

    pub(super) fn begins(&self) {
        self.again.store(false, Ordering::Relaxed);
    }
}

/// How a picture is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Longer side at most, pixels.
    pub max_side: u32,
    /// Whether boxes are drawn.
    pub annotated: bool,
    /// Whether faces are made unrecognisable.
    pub redacted: bool,
    /// Language of what is drawn.
    pub lang: Lang,
}

/// A picture that was looked at. What is drawn of it is drawn once, however many people watch.
pub struct Seen {
    /// When it came.
    pub at: Timestamp,
    picture: RgbImage,
    record: PhotoRecord,
    drawn: Mutex<Vec<(Look, Arc<[u8]>)>>,
}

impl Seen {
    pub(super) fn new(
        frame: LiveFrame,
        detections: Vec<DetectionRecord>,
        open: impl Iterator<Item = Remembered>,
    ) -> Self {
        let (width, height) = frame.size;
        let candidates = open.map(|open| CandidateRecord {
            code: open.code,
            name: open.name,
            severity: open.severity,
            score: open.score,
            bbox: open.bbox,
            why: Why {
                rule: "watch".into(),
                inputs: Vec::new(),
                text: String::new(),
                samples: Vec::new(),
            },
            references: Vec::new(),
        });
        let record = PhotoRecord {
            path: String::new(),
            sha256: None,
            width: Some(width),
            height: Some(height),
            detections,
            answers: Vec::new(),
            candidates: candidates.collect(),
            suppressed: Vec::new(),
            error: None,
            note: None,
        };
        Self {
            at: Timestamp::try_from(frame.wall).unwrap_or_else(|_| Timestamp::now()),
            picture: frame.picture,
            record,
            drawn: Mutex::default(),
        }
    }

    pub(super) fn picture(&self) -> &RgbImage {
        &self.picture
    }

    /// Size that boxes are in, pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        self.record.width.zip(self.record.height).unwrap_or((1, 1))
    }

    /// The picture for a person, as JPEG.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn jpeg(&self, look: Look) -> Result<Arc<[u8]>, JudgeError> {
        // held while it is drawn: others that want the same wait for it
        let mut drawn = lock(&self.drawn);
        if let Some((_, jpeg)) = drawn.iter().find(|(of, _)| *of == look) {
            return Ok(jpeg.clone());
        }
        let options = AnnotateOptions {
            lang: look.lang,
            signature: "",
            detections: true,
            legend: false,
            footer: false,
        };
        let options = look.annotated.then_some(options);
        let jpeg: Arc<[u8]> = frame_view(
            &self.picture,
            &self.record,
            look.max_side,
            options.as_ref(),
            look.redacted,
        )?
        .into();
        drawn.push((look, jpeg.clone()));
        Ok(jpeg)
    }
}
