//! A clip or camera, frame by frame: detect, track, apply the rules, confirm. One finding for each
//! real hazard, not one for each frame.

use std::collections::BTreeMap;

use image::RgbImage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::confirm::{ConfirmConfig, Confirmation, Evidence, Turn, Witness};
use crate::eval::clip_findings::SeenAt;
use crate::geometry::BBox;
use crate::hazard::{Candidate, Lang, Severity, Text};
use crate::pipeline::photo::{JudgeError, PhotoPipeline, Scratch, Watched};
use crate::tracking::{TrackId, Tracker, TrackerConfig};

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// One object that is followed.
    Track(TrackId),
    /// The picture as a whole: flame or smoke, which have no lasting shape.
    Scene,
}

/// One kind of hazard on one subject.
#[derive(Debug, Default)]
struct Life {
    confirmation: Confirmation,
    /// Number of the open finding.
    open: Option<u64>,
    /// Where it was seen last, and the best sighting since it opened.
    last: Option<Sighting>,
    best: Option<Sighting>,
    /// The way since it opened.
    way: Way,
}

/// Where something was seen over time, in a bounded number of sightings at even distances.
#[derive(Debug, Default)]
struct Way {
    seen: Vec<SeenAt>,
    /// Least distance of two sightings, seconds.
    step_s: f64,
}

/// Most sightings that are kept of a finding.
const MAX_SEEN: usize = 64;
/// Sightings are kept at this distance until there are too many, seconds.
const SEEN_STEP_S: f64 = 1.0;

impl Way {
    fn add(&mut self, time_s: f64, bbox: BBox) {
        let step = self.step_s.max(SEEN_STEP_S);
        // a hair less: media times are no round numbers
        let near = |last: &SeenAt| time_s - last.time_s < step - 1e-6;
        if self.seen.last().is_some_and(near) {
            return;
        }
        if self.seen.len() == MAX_SEEN {
            let mut index = 0;
            self.seen.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.step_s = 2.0 * step;
        }
        let bbox = bbox.to_xywh();
        self.seen.push(SeenAt { time_s, bbox });
    }
}

/// A frame in which a hazard was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sighting {
    time_s: f64,
    score: f32,
    bbox: BBox,
}

/// A turn in the life of a finding, one line of `sitewarden watch --format jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden watch")]
pub struct FindingEvent {
    /// What happened.
    pub event: EventKind,
    /// Number of the finding within the clip, from 1.
    pub finding: u64,
    /// Hazard code.
    pub code: String,
    /// Name of the kind, both languages.
    pub name: Text,
    /// Suggested severity.
    pub severity: Severity,
    /// Media time, seconds.
    pub time_s: f64,
    /// The object that is followed; null for what concerns the whole picture.
    pub track: Option<TrackId>,
    /// The best frame so far: media time, seconds.
    pub best_time_s: f64,
    /// Confidence in the best frame, 0 to 1.
    pub score: f32,
    /// Where, in the best frame: `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
    /// Why, for a lay person, in the language asked for.
    pub reason: String,
    /// When it is over: where it was seen, in order of time, a second apart or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<SeenAt>,
}

/// What happened to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The hazard is confirmed.
    Opened,
    /// The hazard was seen to be gone: a suggestion to close, for a person to decide.
    Cleared,
    /// The object left the picture, or the clip ended, with the hazard as it was.
    Ended,
}

/// Watches one clip.
pub struct ClipWatch<'a> {
    pipeline: &'a PhotoPipeline<'a>,
    confirm: ConfirmConfig,
    tracker: Tracker,
    lives: BTreeMap<(Subject, String), Life>,
    kinds: BTreeMap<String, (Text, Severity)>,
    findings: u64,
    scratch: Scratch,
}

impl<'a> ClipWatch<'a> {
    /// A watch that has seen nothing.
    pub fn new(
        pipeline: &'a PhotoPipeline<'a>,
        tracker: TrackerConfig,
        confirm: ConfirmConfig,
    ) -> Self {
        Self {
            pipeline,
            confirm,
            tracker: Tracker::new(tracker),
            lives: BTreeMap::new(),
            kinds: BTreeMap::new(),
            findings: 0,
            scratch: Scratch::default(),
        }
    }

    /// Takes the frame at `time_s` (media time, seconds).
    ///
    /// # Errors
    /// When the model fails.
    pub fn frame(
        &mut self,
        time_s: f64,
        picture: &RgbImage,
    ) -> Result<Vec<FindingEvent>, JudgeError> {
        let watched = self.pipeline.frame(picture, &mut self.scratch)?;
        Ok(self.take(time_s, &watched))
    }

    /// The end of the clip: what is open ends.
    pub fn finish(mut self, time_s: f64) -> Vec<FindingEvent> {
        let lives = std::mem::take(&mut self.lives);
        self.end(time_s, lives)
    }

    fn take(&mut self, time_s: f64, watched: &Watched) -> Vec<FindingEvent> {
        let sightings = self.tracker.update(time_s, &watched.detections);
        let track_of = |bbox: BBox| {
            let seen = sightings
                .iter()
                .find(|s| watched.detections[s.detection].bbox == bbox);
            seen.map(|s| s.track)
        };
        // at most one witness for each subject and kind: the best hazard, else that all is in order
        let mut witnesses: BTreeMap<(Subject, String), (Witness, Option<BBox>)> = BTreeMap::new();
        for fine in &watched.evaluation.in_order {
            if let Some(track) = track_of(fine.bbox) {
                let key = (Subject::Track(track), fine.code.clone());
                witnesses.insert(key, (Witness::InOrder, None));
            }
        }
        for (subject, code) in self.lives.keys().filter(|(s, _)| *s == Subject::Scene) {
            witnesses.insert((*subject, code.clone()), (Witness::InOrder, None));
        }
        for candidate in watched.evaluation.candidates.iter().rev() {
            let subject = track_of(candidate.bbox).map_or_else(
                || (candidate.rule == "presence").then_some(Subject::Scene),
                |track| Some(Subject::Track(track)),
            );
            // somebody who is not followed yet is seen again in the next frame
            let Some(subject) = subject else { continue };
            self.name(candidate);
            witnesses.insert(
                (subject, candidate.code.clone()),
                (Witness::Hazard(candidate.score), Some(candidate.bbox)),
            );
        }
        let mut events = Vec::new();
        for ((subject, code), (witness, bbox)) in witnesses {
            events.extend(self.witness(time_s, subject, code, witness, bbox));
        }
        let tracks: Vec<TrackId> = self.tracker.tracks().iter().map(|t| t.id).collect();
        let gone = |subject: &Subject| matches!(subject, Subject::Track(t) if !tracks.contains(t));
        let (over, lives) = std::mem::take(&mut self.lives)
            .into_iter()
            .partition(|((subject, _), _)| gone(subject));
        self.lives = lives;
        events.extend(self.end(time_s, over));
        events
    }

    fn name(&mut self, candidate: &Candidate) {
        if !self.kinds.contains_key(&candidate.code) {
            let kind = (candidate.name.clone(), candidate.severity);
            self.kinds.insert(candidate.code.clone(), kind);
        }
    }

    fn witness(
        &mut self,
        time_s: f64,
        subject: Subject,
        code: String,
        witness: Witness,
        bbox: Option<BBox>,
    ) -> Option<FindingEvent> {
        let life = self.lives.entry((subject, code.clone())).or_default();
        if let (Witness::Hazard(score), Some(bbox)) = (witness, bbox) {
            let sighting = Sighting {
                time_s,
                score,
                bbox,
            };
            life.last = Some(sighting);
            if life.best.is_none_or(|b| score > b.score) {
                life.best = Some(sighting);
            }
            if life.open.is_some() {
                life.way.add(time_s, bbox);
            }
        }
        let turn = life.confirmation.witness(&self.confirm, time_s, witness)?;
        let (kind, evidence) = match turn {
            Turn::Opened(evidence) => {
                self.findings += 1;
                life.open = Some(self.findings);
                life.best = life.last;
                life.way = Way::default();
                if let Some(last) = life.last {
                    life.way.add(last.time_s, last.bbox);
                }
                (EventKind::Opened, evidence)
            }
            Turn::Cleared(evidence) => (EventKind::Cleared, evidence),
        };
        let (finding, best) = (life.open?, life.best?);
        let mut seen = Vec::new();
        if kind == EventKind::Cleared {
            (life.open, life.best) = (None, None);
            seen = std::mem::take(&mut life.way).seen;
        }
        let reason = self.reason(&evidence, kind);
        let event = self.event(kind, finding, subject, &code, time_s, best, reason);
        Some(FindingEvent { seen, ..event })
    }

    fn reason(&self, evidence: &Evidence, kind: EventKind) -> String {
        let reason = evidence.reason(&self.confirm, kind == EventKind::Opened);
        reason.get(self.pipeline.settings().lang).to_owned()
    }

    fn end(&self, time_s: f64, lives: BTreeMap<(Subject, String), Life>) -> Vec<FindingEvent> {
        let reason = match self.pipeline.settings().lang {
            Lang::En => "It was not seen to be cleared: it left the picture, or the video ended.",
            Lang::Zh => "未见其消除：目标离开画面或视频结束。",
        };
        lives
            .into_iter()
            .filter_map(|((subject, code), life)| {
                let (finding, best) = (life.open?, life.best?);
                let event = self.event(
                    EventKind::Ended,
                    finding,
                    subject,
                    &code,
                    time_s,
                    best,
                    reason.to_owned(),
                );
                let seen = life.way.seen;
                Some(FindingEvent { seen, ..event })
            })
            .collect()
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one record, named at its making"
    )]
    fn event(
        &self,
        event: EventKind,
        finding: u64,
        subject: Subject,
        code: &str,
        time_s: f64,
        best: Sighting,
        reason: String,
    ) -> FindingEvent {
        let (name, severity) = self
            .kinds
            .get(code)
            .cloned()
            .unwrap_or_else(|| (Text::new(code, code), Severity::General));
        FindingEvent {
            event,
            finding,
            code: code.to_owned(),
            name,
            severity,
            time_s,
            track: match subject {
                Subject::Track(track) => Some(track),
                Subject::Scene => None,
            },
            best_time_s: best.time_s,
            score: best.score,
            bbox: best.bbox.to_xywh(),
            reason,
            seen: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_of_hours_is_kept_in_a_bounded_number_of_sightings() {
        let mut way = Way::default();
        for frame in 0..50_000 {
            let time_s = f64::from(frame) / 5.0;
            way.add(time_s, BBox::from_xywh([time_s as f32, 0.0, 1.0, 1.0]));
        }
        assert!((MAX_SEEN / 2..=MAX_SEEN).contains(&way.seen.len()));
        assert_eq!(way.seen[0].time_s, 0.0);
        let steps = way.seen.windows(2).map(|w| w[1].time_s - w[0].time_s);
        let steps: Vec<f64> = steps.collect();
        assert!(
            steps.iter().all(|s| (s - steps[0]).abs() < 1e-6),
            "{steps:?}"
        );
    }
}
