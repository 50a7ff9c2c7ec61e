//! What a watch tells, on the thread that watches: to listeners at once, to the ledger through a short queue. Keeping
//! a picture and judging it takes longer than the queue of frames is long, so it must not be done here.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};

use jiff::Timestamp;

use super::view::{Seen, View};
use crate::hazard::Severity;
use crate::ledger::sites::Camera;
use crate::pipeline::camera::Told;
use crate::pipeline::clip::{ClipWatch, EventKind, FindingEvent, Memory};
use crate::pipeline::evidence::Written;
use crate::source::camera::State;

/// What waits to be filed, at most. With more the watch waits too: frames may be lost, findings not.
const WAITING: usize = 32;

/// What is to be filed, in this order.
pub(super) enum ToFile {
    /// The turns of one moment.
    Moment(Box<Turns>),
    /// The evidence of a finding.
    Evidence(Written),
}

/// All that one moment brings.
pub(super) struct Turns {
    pub(super) events: Vec<FindingEvent>,
    pub(super) at: Timestamp,
    /// The picture, if the moment had one.
    pub(super) seen: Option<Arc<Seen>>,
    /// What the watch remembers after it.
    pub(super) memory: Memory,
}

/// Its own error says why.
#[derive(Debug, thiserror::Error)]
#[error("whoever files has ended")]
pub(super) struct NobodyFiles;

impl<T> From<SendError<T>> for NobodyFiles {
    fn from(_: SendError<T>) -> Self {
        Self
    }
}

pub(super) struct Teller<'a> {
    camera: &'a Camera,
    view: &'a View,
    files: SyncSender<ToFile>,
    /// Turns of this moment.
    pending: Vec<FindingEvent>,
}

impl<'a> Teller<'a> {
    /// With what its filer is to take from.
    pub(super) fn new(camera: &'a Camera, view: &'a View) -> (Self, Receiver<ToFile>) {
        let (files, to_file) = sync_channel(WAITING);
        let teller = Self {
            camera,
            view,
            files,
            pending: Vec::new(),
        };
        (teller, to_file)
    }

    pub(super) fn told(&mut self, told: Told, watch: &ClipWatch<'_>) -> Result<(), NobodyFiles> {
        match told {
            Told::Status(status) => {
                let (name, state) = (&self.camera.name, status.state.as_str());
                let id = self.camera.id;
                match status.state {
                    State::Connecting | State::Live | State::Ended => {
                        tracing::info!(camera = %id, name, state, "camera");
                    }
                    _ => {
                        tracing::warn!(camera = %id, name, state, reason = status.reason, "camera")
                    }
                }
                self.view.tell("status", &status);
            }
            Told::Finding(mut event) => {
                for sample in event.bank.iter_mut().flat_map(|said| &mut said.samples) {
                    sample.hide_elsewhere(&self.camera.site_id.to_string());
                }
                // an alarm does not wait for the disk
                let alarm = event.severity == Severity::Alarm && event.event == EventKind::Opened;
                let name = match event.event {
                    EventKind::Suppressed => "suppressed",
                    _ if alarm => "alarm",
                    _ => "finding",
                };
                self.view.tell(name, &event);
                self.pending.push(event);
            }
            Told::Evidence(written) => self.files.send(ToFile::Evidence(written))?,
            Told::Moment(frame) => {
                let seen = frame
                    .map(|frame| Arc::new(Seen::new(frame, watch.detections(), watch.in_sight())));
                if let Some(seen) = &seen {
                    self.view.show(seen.clone());
                }
                if !self.pending.is_empty() {
                    let turns = Turns {
                        events: std::mem::take(&mut self.pending),
                        at: seen.as_ref().map_or_else(Timestamp::now, |seen| seen.at),
                        seen,
                        memory: watch.memory(),
                    };
                    self.files.send(ToFile::Moment(Box::new(turns)))?;
                }
            }
        }
        Ok(())
    }
}
