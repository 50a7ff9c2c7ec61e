//! From what a watch tells to the ledger: findings, their pictures, and what the watch remembers, in
//! one change for each moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::runtime::Handle;

use super::Inner;
use super::telling::{ToFile, Turns};
use super::view::Seen;
use super::watcher::Trouble;
use crate::evidence::EvidenceError;
use crate::finding::Actor;
use crate::geometry::BBox;
use crate::id::Id;
use crate::jobs::Judge;
use crate::ledger::camera_watch::{self, Frame};
use crate::ledger::enterprises;
use crate::ledger::findings::{self, Area, EvidenceRole, Filed, NewEvidence, Sighting};
use crate::ledger::sites::{self, Camera};
use crate::ledger::{Error, Result};
use crate::pipeline::clip::{ClipWatch, EventKind, FindingEvent};
use crate::pipeline::evidence::Written;
use crate::pipeline::photo::{PhotoPipeline, Scratch, encode_jpeg};
use crate::record::{CandidateRecord, Why};

/// Between attempts to write.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Filer<'a> {
    inner: &'a Inner,
    runtime: &'a Handle,
    judge: &'a Judge,
    pipeline: &'a PhotoPipeline<'a>,
    camera: &'a Camera,
    /// That the camera stands in, for what concerns no drawn zone.
    zone: String,
    epoch: Id,
    /// Of the evidence.
    folder: PathBuf,
    scratch: Scratch,
    /// Findings whose evidence is still to come, with the size of the pictures they are told in.
    opened: BTreeMap<u64, (FindingEvent, (u32, u32), Timestamp)>,
}

impl<'a> Filer<'a> {
    #[allow(
        clippy::too_many_arguments,
        reason = "made in one place, of what is at hand there"
    )]
    pub(super) fn new(
        inner: &'a Inner,
        runtime: &'a Handle,
        judge: &'a Judge,
        pipeline: &'a PhotoPipeline<'a>,
        camera: &'a Camera,
        zone: String,
        epoch: Id,
        folder: PathBuf,
    ) -> Self {
        Self {
            inner,
            runtime,
            judge,
            pipeline,
            camera,
            zone,
            epoch,
            folder,
            scratch: Scratch::default(),
            opened: BTreeMap::new(),
        }
    }

    /// Files what comes, until nothing more does.
    pub(super) fn file_all(
        &mut self,
        to_file: &Receiver<ToFile>,
    ) -> std::result::Result<(), Trouble> {
        for what in to_file {
            match what {
                ToFile::Moment(turns) => self.moment(&turns)?,
                ToFile::Evidence(written) => self.evidence(&written)?,
            }
        }
        Ok(())
    }

    /// At the end of a watch.
    pub(super) fn remember(&mut self, watch: &ClipWatch<'_>) -> Result<()> {
        let memory = watch.memory();
        self.runtime.block_on(async {
            let mut tx = self.inner.ledger.begin(&Actor::Machine).await?;
            camera_watch::remember(&mut tx, self.camera.id, self.epoch, &memory).await?;
            tx.commit().await
        })
    }

    /// Files the turns of a moment, with its picture where something opens or is seen again.
    fn moment(&mut self, turns: &Turns) -> std::result::Result<(), Trouble> {
        let Turns {
            events, at, seen, ..
        } = turns;
        let seen = seen.as_deref();
        // what is suppressed is not filed, but whoever looks for it finds its picture
        let shown: Vec<&FindingEvent> = events
            .iter()
            .filter(|e| is_sighting(e) || e.event == EventKind::Suppressed)
            .collect();
        let size = seen.map_or((1, 1), Seen::size);
        let picture = match seen {
            Some(seen) if !shown.is_empty() => {
                let jpeg = encode_jpeg(seen.picture()).ok();
                let shown = shown.iter().map(|e| (*e, size));
                jpeg.and_then(|jpeg: Vec<u8>| self.kept(&jpeg, *at, shown))
            }
            _ => None,
        };
        for event in events.iter().filter(|e| e.event == EventKind::Opened) {
            self.opened
                .insert(event.finding, (event.clone(), size, *at));
        }
        let filing = Filing {
            turns,
            size,
            picture: picture.as_ref(),
        };
        self.insist(async |filer: &Self| filer.file(&filing).await)
    }

    /// Makes a picture durable and judges it: what is on it besides the finding decides which faces
    /// are hidden. `None` when it cannot be kept: the finding is filed all the same.
    fn kept<'e>(
        &mut self,
        jpeg: &[u8],
        taken_at: Timestamp,
        events: impl Iterator<Item = (&'e FindingEvent, (u32, u32))>,
    ) -> Option<Frame> {
        let stored = match self.inner.store.put(jpeg) {
            Ok(stored) => stored,
            Err(error) => {
                let full = matches!(error, EvidenceError::Full);
                tracing::error!(camera = %self.camera.id, %error, full, "a picture is not kept");
                return None;
            }
        };
        let name = format!("{} {taken_at}", self.camera.name);
        let sha256 = stored.digest.to_string();
        let (mut record, trace) =
            self.pipeline
                .record_and_trace(name, jpeg, sha256, &mut self.scratch);
        let to = record.width.zip(record.height).unwrap_or((1, 1));
        let on = Some(taken_at.to_string());
        let mut bank = None;
        let told: Vec<(EventKind, CandidateRecord)> = events
            .map(|(event, from)| {
                bank = bank
                    .take()
                    .or_else(|| event.bank.as_ref().map(|b| b.asked.clone()));
                let candidate = CandidateRecord {
                    code: event.code.clone(),
                    name: event.name.clone(),
                    severity: event.severity,
                    score: event.score,
                    bbox: scaled(event.bbox, from, to),
                    why: why(event),
                    references: self.citations(&event.code, on.as_deref()),
                };
                (event.event, candidate)
            })
            .collect();
        let (suppressed, candidates): (Vec<_>, Vec<_>) = told
            .into_iter()
            .partition(|(event, _)| *event == EventKind::Suppressed);
        record.candidates = candidates.into_iter().map(|(_, c)| c).collect();
        record.suppressed = suppressed.into_iter().map(|(_, c)| c).collect();
        Some(Frame {
            bytes: stored.bytes,
            taken_at,
            record,
            decided_by: self.judge.context(bank),
            fingerprint: trace.and_then(|t| t.fingerprint),
        })
    }

    fn citations(&self, code: &str, on: Option<&str>) -> Vec<crate::hazard::Citation> {
        let kinds = self.pipeline.rules().kinds();
        let kind = kinds.iter().find(|kind| kind.code == code);
        kind.map(|kind| kind.citations(on)).unwrap_or_default()
    }

    /// Begin of the keys of this watch, and of those of one finding.
    fn keys(&self, finding: u64) -> (String, String) {
        let watch = format!("camera:{}:{}:", self.camera.id, self.epoch);
        let of = format!("{watch}{finding}:");
        (watch, of)
    }

    /// Told twice, it is filed once.
    fn key(&self, finding: u64, occurrence: u64) -> String {
        format!("{}{occurrence}", self.keys(finding).1)
    }

    async fn file(&self, filing: &Filing<'_>) -> Result<()> {
        let mut tx = self.inner.ledger.begin(&Actor::Machine).await?;
        let site = sites::get(&mut tx, self.camera.site_id).await?;
        let facts = enterprises::get(&mut tx, site.enterprise_id).await?.facts;
        let day = site.tz()?.to_datetime(filing.turns.at).date().to_string();
        let not_here = self.pipeline.rules().facts().not_here(&facts);
        let can_occur = |e: &&FindingEvent| !not_here.contains(&e.code);
        let mut is_kept = false;
        for event in filing.turns.events.iter().filter(can_occur) {
            if event.event == EventKind::Cleared {
                findings::clear(&mut tx, &self.key(event.finding, 0), filing.turns.at).await?;
            }
            let suppressed = event.event == EventKind::Suppressed;
            if !is_sighting(event) && !suppressed {
                continue;
            }
            if let Some(frame) = filing.picture.filter(|_| !is_kept) {
                camera_watch::keep_frame(&mut tx, self.camera, None, frame).await?;
                is_kept = true;
            }
            if suppressed {
                continue;
            }
            let sha256 = filing.picture.and_then(|p| p.record.sha256.clone());
            let (width, height) = filing.size;
            let seen = Sighting {
                source_key: self.key(event.finding, event.occurrences),
                site_id: site.id,
                // of a person the work area is told, and the place goes by the camera
                zone: event
                    .zone
                    .clone()
                    .filter(|_| event.track.is_none())
                    .unwrap_or_else(|| self.zone.clone()),
                camera_id: Some(self.camera.id),
                inspection_id: None,
                hazard_code: event.code.clone(),
                suggested: event.severity,
                score: Some(f64::from(event.score)),
                area: Area::of(BBox::from_xywh(event.bbox), width, height).ok(),
                look: None,
                photo_sha256: sha256.clone(),
                seen_at: filing.turns.at,
                // the watch has told it from all others of its own
                of_watch: event.track.map(|_| self.keys(event.finding)),
                why: json!({
                    "why": why(event),
                    "name": event.name,
                    "references": self.citations(&event.code, Some(&day)),
                }),
                context: Some(
                    self.judge
                        .context(event.bank.as_ref().map(|b| b.asked.clone())),
                ),
            };
            let filed = findings::file(&mut tx, &seen, &|_, _| false).await?;
            if let (Filed::New { finding_id }, Some(sha256)) = (filed, sha256) {
                let origin = evidence(sha256, EvidenceRole::Origin, filing.turns.at);
                findings::link(&mut tx, finding_id, &origin).await?;
            }
        }
        camera_watch::remember(&mut tx, self.camera.id, self.epoch, &filing.turns.memory).await?;
        tx.commit().await
    }

    /// Files the best picture and the clip of a finding.
    fn evidence(&mut self, written: &Written) -> std::result::Result<(), Trouble> {
        let opened = self.opened.remove(&written.finding);
        let key = self.key(written.finding, 0);
        if let Some(error) = &written.error {
            tracing::warn!(camera = %self.camera.id, error, "evidence is not whole");
        }
        let read = |name: &Option<String>| {
            let path = self.folder.join(name.as_ref()?);
            let bytes = std::fs::read(&path).ok();
            let _ = std::fs::remove_file(path);
            bytes
        };
        let (picture, clip) = (read(&written.picture), read(&written.clip));
        let opened_at = opened.as_ref().map(|(.., at)| *at);
        let taken_at = opened_at.unwrap_or_else(Timestamp::now);
        let picture = picture
            .zip(opened)
            .and_then(|(jpeg, (mut event, size, at))| {
                // the best frame, which may be another one than that of the opening
                let later_s = written
                    .best_time_s
                    .map_or(0.0, |best_s| best_s - event.time_s);
                let at = at
                    .checked_add(SignedDuration::from_millis((1000.0 * later_s) as i64))
                    .unwrap_or(at);
                event.bbox = written.bbox.unwrap_or(event.bbox);
                event.score = written.score.unwrap_or(event.score);
                self.kept(&jpeg, at, std::iter::once((&event, size)))
            });
        let clip = clip.and_then(|clip| match self.inner.store.put(&clip) {
            Ok(stored) => Some(stored.digest.to_string()),
            Err(error) => {
                tracing::error!(camera = %self.camera.id, %error, "a clip is not kept");
                None
            }
        });
        self.insist(async |filer: &Self| {
            let mut tx = filer.inner.ledger.begin(&Actor::Machine).await?;
            let Some(finding) = findings::filed_as(&mut tx, &key).await? else {
                return Ok(()); // kept out, or a kind that cannot occur here
            };
            if let Some(frame) = &picture {
                camera_watch::keep_frame(&mut tx, filer.camera, None, frame).await?;
                let sha256 = frame.record.sha256.clone().unwrap_or_default();
                let link = evidence(sha256, EvidenceRole::Origin, frame.taken_at);
                findings::link(&mut tx, finding, &link).await?;
            }
            if let Some(sha256) = &clip {
                let link = evidence(sha256.clone(), EvidenceRole::Attachment, taken_at);
                findings::link(&mut tx, finding, &link).await?;
            }
            tx.commit().await
        })
    }

    /// Tries until it is written or the service ends.
    fn insist(&self, write: impl AsyncFn(&Self) -> Result<()>) -> std::result::Result<(), Trouble> {
        loop {
            match self.runtime.block_on(write(self)) {
                Ok(()) => return Ok(()),
                // trying again would change nothing: the others must not wait for it
                Err(
                    error @ (Error::Invalid { .. } | Error::NotFound { .. } | Error::Corrupt(_)),
                ) => {
                    tracing::error!(camera = %self.camera.id, %error, "what was seen does not fit the ledger");
                    return Ok(());
                }
                Err(error) if self.inner.stopping() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(camera = %self.camera.id, %error, "what was seen could not be written; trying again");
                    std::thread::sleep(RETRY);
                }
            }
        }
    }
}

/// All that one moment brings, and its picture.
struct Filing<'e> {
    turns: &'e Turns,
    /// Of the picture that boxes are in, pixels.
    size: (u32, u32),
    picture: Option<&'e Frame>,
}

/// A box of one size of picture in another size of it.
fn scaled(bbox: [f32; 4], from: (u32, u32), to: (u32, u32)) -> [f32; 4] {
    let sx = to.0 as f32 / from.0.max(1) as f32;
    let sy = to.1 as f32 / from.1.max(1) as f32;
    let b = BBox::from_xywh(bbox);
    BBox::new(b.x1 * sx, b.y1 * sy, b.x2 * sx, b.y2 * sy).to_xywh()
}

fn is_sighting(event: &FindingEvent) -> bool {
    matches!(event.event, EventKind::Opened | EventKind::Seen)
}

fn why(event: &FindingEvent) -> Why {
    Why {
        rule: "watch".into(),
        inputs: Vec::new(),
        text: event.reason.clone(),
        samples: event.bank.iter().flat_map(|b| b.samples.clone()).collect(),
    }
}

fn evidence(sha256: String, role: EvidenceRole, taken_at: Timestamp) -> NewEvidence {
    NewEvidence {
        sha256,
        role,
        taken_at: Some(taken_at),
        checks: serde_json::Value::Null,
    }
}
