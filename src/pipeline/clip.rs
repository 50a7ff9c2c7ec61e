//! A clip or camera, frame by frame: detect, track, apply the rules, confirm. One finding for each
//! real hazard, not one for each frame.

mod answers;
mod bank;
mod event;
mod life;
mod memory;
mod view;
mod way;

use std::collections::BTreeMap;

use image::RgbImage;

use self::answers::Answers;
pub use self::bank::BankNow;
use self::bank::ViewBank;
pub use self::event::{BankSaid, EventKind, FindingEvent, KindAnswer};
use self::life::{Found, Life, Waiting};
pub use self::memory::{Memory, Place, Remembered};
use self::view::{On, View};
use crate::attention::{self, Attention};
use crate::confirm::{ConfirmConfig, Witness};
use crate::detection::Detection;
use crate::geometry::BBox;
use crate::hazard::{Severity, Text};
use crate::health::{Ailment, Health};
use crate::motion::Glance;
use crate::pipeline::photo::{JudgeError, PhotoPipeline, Scratch, Watched};
use crate::record::DetectionRecord;
use crate::rules::Scene;
use crate::tiling::Tiles;
use crate::tracking::look::Look;
use crate::tracking::{self, TrackId, Tracker, TrackerConfig};
use crate::zone::{Moment, ZoneError, Zones};

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// One object that is followed.
    Track(TrackId),
    /// The picture as a whole: flame or smoke, which have no lasting shape.
    Scene,
    /// A zone, by its place in the list.
    Zone(usize),
    /// The camera itself.
    Camera,
    /// What the sample bank has found in the view, by itself.
    Bank,
}

/// One frame of a fixed view.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'p> {
    /// Media time, seconds.
    pub time_s: f64,
    /// Local time, for schedules.
    pub moment: Option<Moment>,
    /// Perhaps made smaller.
    pub picture: &'p RgbImage,
    /// Size before that, pixels.
    pub size: (u32, u32),
    /// Where something has moved since the model looked last; nothing: what it saw then still holds.
    pub moving: Option<&'p [BBox]>,
}

/// A camera that did not see in so many of the looks says nothing of what is in order.
const BLIND: f64 = 0.05;
/// How fast what is known of a look follows what is seen, a frame.
const FOLLOW: f32 = 0.2;

/// Watches one clip or camera.
pub struct ClipWatch<'a> {
    pipeline: &'a PhotoPipeline<'a>,
    confirm: ConfirmConfig,
    tracker: Tracker,
    lives: BTreeMap<(Subject, String), Life>,
    waiting: Vec<Waiting>,
    looks: BTreeMap<TrackId, Look>,
    kinds: BTreeMap<String, (Text, Severity)>,
    findings: u64,
    scratch: Scratch,
    view: View,
    /// Where the model looks; nothing: at whole frames only.
    attention: Option<Attention>,
    /// And whether the source is live.
    health: Option<(Health, bool)>,
    bank: Option<ViewBank<'a>>,
    last: Option<Watched>,
    /// What was seen last in each part of the frame, best first.
    known: Vec<Detection>,
    answers: Answers,
    /// Of the last frame, pixels.
    size: (u32, u32),
    until: Option<jiff::Timestamp>,
    until_name: Option<String>,
}

impl<'a> ClipWatch<'a> {
    /// A watch that has seen nothing.
    pub fn new(
        pipeline: &'a PhotoPipeline<'a>,
        tracker: TrackerConfig,
        confirm: ConfirmConfig,
    ) -> Self {
        let kinds = pipeline.rules().kinds().iter();
        let names = kinds.map(|k| (k.code.clone(), (k.name.clone(), k.severity)));
        let ailments = Ailment::ALL.map(|a| (a.code().to_owned(), (a.name(), Severity::General)));
        Self {
            pipeline,
            confirm,
            tracker: Tracker::new(tracker),
            lives: BTreeMap::new(),
            waiting: Vec::new(),
            looks: BTreeMap::new(),
            kinds: names.chain(ailments).collect(),
            findings: 0,
            scratch: Scratch::default(),
            view: View::default(),
            attention: None,
            health: None,
            bank: None,
            last: None,
            known: Vec::new(),
            answers: Answers::default(),
            size: (1, 1),
            until: None,
            until_name: None,
        }
    }

    /// With zones. Without, the whole picture is one work area.
    ///
    /// # Errors
    /// When the ground's four points do not span it.
    pub fn with_zones(mut self, zones: Zones) -> Result<Self, ZoneError> {
        self.view = View::new(zones)?;
        Ok(self)
    }

    /// With looks at parts of frames, too, where that shows more.
    #[must_use]
    pub fn with_parts(mut self) -> Self {
        // tiles look at all parts of each frame
        let tiles = self.pipeline.settings().tiles;
        self.attention = (tiles == Tiles::Off).then(Attention::default);
        self
    }

    /// A picture of the whole view in which this zone is clean.
    pub fn set_reference(&mut self, zone: &str, clean: &RgbImage) {
        if let Some(i) = self.view.zones.iter().position(|z| z.name == zone) {
            self.view.set_reference(i, clean);
        }
    }

    /// With findings about the camera itself. `live`: a camera, not a file.
    pub fn with_health(mut self, live: bool) -> Self {
        self.health = Some((Health::default(), live));
        self
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
        let shot = Shot {
            time_s,
            moment: None,
            picture,
            size: picture.dimensions(),
            moving: Some(&[]),
        };
        self.shot(shot, None)
    }

    /// Takes a frame; `glance` of the same picture, where the camera's own health is watched.
    ///
    /// # Errors
    /// When the model fails.
    pub fn shot(
        &mut self,
        shot: Shot<'_>,
        glance: Option<&Glance>,
    ) -> Result<Vec<FindingEvent>, JudgeError> {
        // of a part alone nothing holds for the rest of the frame
        let holds = |last: &mut Watched| shot.moving.is_none() && last.part.is_none();
        let watched = match self.last.take_if(holds) {
            Some(same) => same,
            None => {
                let part = self.part(&shot);
                self.pipeline
                    .reduced_frame(shot.picture, shot.size, part, &mut self.scratch)?
            }
        };
        self.see(&watched);
        let mut events = self.take(&shot, &watched);
        self.last = Some(watched);
        if let (Some(glance), Some((health, live))) = (glance, &mut self.health) {
            let turns = health.look(shot.time_s, glance, *live);
            for (ailment, turn) in turns {
                events.extend(self.ailing(shot.time_s, shot.size, ailment, turn));
            }
        }
        Ok(events)
    }

    /// No picture has come for `age_s` seconds.
    pub fn silence(&mut self, time_s: f64, age_s: f64, size: (u32, u32)) -> Vec<FindingEvent> {
        let turn = self
            .health
            .as_mut()
            .and_then(|(health, _)| health.silence(time_s, age_s));
        let event = turn.and_then(|(ailment, turn)| self.ailing(time_s, size, ailment, turn));
        event.into_iter().collect()
    }

    /// The end of the clip: what is open ends.
    pub fn finish(mut self, time_s: f64) -> Vec<FindingEvent> {
        let lives = std::mem::take(&mut self.lives);
        let waiting = std::mem::take(&mut self.waiting);
        let out_of_sight = waiting
            .iter()
            .filter_map(|w| self.ended(time_s, None, &w.code, &w.life));
        let in_sight = lives
            .iter()
            .filter_map(|((subject, code), life)| self.ended(time_s, Some(*subject), code, life));
        out_of_sight.chain(in_sight).collect()
    }

    /// What the model saw last, with the scores that it takes to be sure.
    pub fn detections(&self) -> Vec<DetectionRecord> {
        let known = self.known.iter();
        known.map(|d| self.pipeline.detection_record(d)).collect()
    }

    /// Of each kind of hazard, the answer for all that was watched. `missed`: why not all of it could be seen.
    pub fn answers(&self, missed: Option<&Text>) -> Vec<KindAnswer> {
        let kinds = self.pipeline.rules().kinds().iter();
        let by_bank = |code: &str| self.bank.as_ref().is_some_and(|bank| bank.looks_for(code));
        let blind = self.health.as_ref().map_or(0.0, |(h, _)| h.blind_share());
        let blind = (blind >= BLIND).then(|| {
            let percent = 100.0 * blind;
            Text::new(
                format!(
                    "The camera was dark, covered or turned away in {percent:.0} % of the looks: what was there then is \
                     not known."
                ),
                format!("有{percent:.0}%的画面过暗、被遮挡或镜头移位，期间情况未知。"),
            )
        });
        let missed = missed.or(blind.as_ref());
        let lang = self.pipeline.settings().lang;
        self.answers.all(kinds, &self.view, by_bank, missed, lang)
    }

    /// The part of the frame that the model looks at; nothing: all of it.
    fn part(&self, shot: &Shot<'_>) -> Option<BBox> {
        let shrunk = shot.size.0 as f32 / shot.picture.width().max(1) as f32;
        let frame = attention::Frame {
            time_s: shot.time_s,
            size: shot.size,
            finest: self.pipeline.input_side() as f32 * shrunk,
            moving: shot.moving?,
        };
        let attention = self.attention.as_ref()?;
        attention.next(&frame, self.tracker.tracks())
    }

    fn see(&mut self, watched: &Watched) {
        let part = watched.part;
        self.known
            .retain(|d| part.is_some_and(|part| !part.contains(d.bbox.center())));
        self.known.extend(&watched.sure);
        self.known.sort_by(|a, b| b.score.total_cmp(&a.score));
    }

    fn take(&mut self, shot: &Shot<'_>, watched: &Watched) -> Vec<FindingEvent> {
        let (time_s, size) = (shot.time_s, shot.size);
        self.size = size;
        let sightings = self
            .tracker
            .update_part(time_s, size, watched.part, &watched.detections);
        if let Some(attention) = &mut self.attention {
            attention.looked(time_s, size, watched.part, self.tracker.tracks());
        }
        self.view
            .follow(time_s, &sightings, &watched.detections, size);
        self.look_at(shot, &sightings, &watched.detections);
        for ((subject, _), life) in &mut self.lives {
            let of = |s: &&tracking::Sighting| *subject == Subject::Track(s.track);
            if let Some(seen) = sightings.iter().find(of) {
                life.seen = Some(watched.detections[seen.detection].bbox);
            }
        }
        let track_of = |bbox: BBox| {
            let seen = sightings
                .iter()
                .find(|s| watched.detections[s.detection].bbox == bbox);
            seen.map(|s| s.track)
        };
        let mut witnesses: Witnesses = BTreeMap::new();
        for fine in &watched.evaluation.in_order {
            let judged = self.view.is_work_area(fine.bbox, size, shot.moment);
            if let Some(track) = track_of(fine.bbox).filter(|_| judged) {
                let key = (Subject::Track(track), fine.code.clone());
                witnesses.insert(key, (Witness::InOrder, None, None));
            }
        }
        for ((subject, code), life) in &self.lives {
            let looked_at = |part| life.last.is_some_and(|last| last.bbox.is_inside(part));
            if *subject == Subject::Scene && watched.part.is_none_or(looked_at) {
                witnesses.insert((*subject, code.clone()), (Witness::InOrder, None, None));
            }
        }
        for candidate in watched.evaluation.candidates.iter().rev() {
            let worn = candidate.rule == "person_item";
            if worn && !self.view.is_work_area(candidate.bbox, size, shot.moment) {
                continue;
            }
            let subject = track_of(candidate.bbox).map_or_else(
                || (candidate.rule == "presence").then_some(Subject::Scene),
                |track| Some(Subject::Track(track)),
            );
            // flame and smoke are of the scene even where a track was made of them
            let subject = subject.map(|s| {
                if candidate.rule == "presence" {
                    Subject::Scene
                } else {
                    s
                }
            });
            // somebody who is not followed yet is seen again in the next frame
            let Some(subject) = subject else { continue };
            let found = Found {
                bbox: candidate.bbox,
                text: None,
            };
            witnesses.insert(
                (subject, candidate.code.clone()),
                (Witness::Hazard(candidate.score), Some(found), None),
            );
        }
        let scene = Scene {
            width: size.0,
            height: size.1,
            detections: &watched.sure,
            labels: self.pipeline.labels(),
            seen_scale: watched.seen_scale,
        };
        let rules = self.pipeline.rules();
        let said = self.view.judge(
            rules,
            &scene,
            shot.picture,
            time_s,
            shot.moment,
            shot.moving.is_none(),
            watched.part.is_none(),
            &track_of,
        );
        for say in said {
            let subject = match say.on {
                On::Zone(i) => Subject::Zone(i),
                On::Object(bbox) => match track_of(bbox) {
                    Some(track) => Subject::Track(track),
                    None => continue,
                },
            };
            let found = say.find.map(|f| Found {
                bbox: f.bbox,
                text: Some(f.text),
            });
            witnesses.insert((subject, say.code), (say.witness, found, say.confirm));
        }
        for said in &watched.evaluation.answers {
            self.answers.frame(said);
        }
        let mut events = Vec::new();
        for ((subject, code), (witness, found, confirm)) in witnesses {
            let zone = match subject {
                Subject::Zone(i) => Some(i),
                _ => None,
            };
            self.answers.witness(&code, witness, zone);
            let confirm = confirm.unwrap_or_else(|| self.confirm_of(&code));
            events.extend(self.witness(shot, subject, code, witness, found, &confirm));
        }
        events.extend(self.look_over(shot));
        events.extend(self.leave(time_s));
        events
    }

    /// What those who are followed look like, where nobody stands before them.
    fn look_at(
        &mut self,
        shot: &Shot<'_>,
        sightings: &[tracking::Sighting],
        detections: &[Detection],
    ) {
        let scale = shot.picture.width() as f32 / shot.size.0.max(1) as f32;
        for seen in sightings {
            let it = &detections[seen.detection];
            let alone = sightings.iter().all(|o| {
                let other = &detections[o.detection];
                o.track == seen.track || other.class != it.class || it.bbox.iou(other.bbox) < 0.05
            });
            let small = BBox::new(
                it.bbox.x1 * scale,
                it.bbox.y1 * scale,
                it.bbox.x2 * scale,
                it.bbox.y2 * scale,
            );
            let Some(look) = alone.then(|| Look::of(shot.picture, small)).flatten() else {
                continue;
            };
            match self.looks.get_mut(&seen.track) {
                Some(known) => known.follow(&look, FOLLOW),
                None => {
                    self.looks.insert(seen.track, look);
                }
            }
        }
        let tracks = self.tracker.tracks();
        self.looks
            .retain(|id, _| tracks.iter().any(|t| t.id == *id));
    }

    /// When frames of this kind of hazard add up to a finding.
    fn confirm_of(&self, code: &str) -> ConfirmConfig {
        let kind = self
            .pipeline
            .rules()
            .kinds()
            .iter()
            .find(|k| k.code == code);
        kind.and_then(|k| k.confirm.clone())
            .unwrap_or_else(|| self.confirm.clone())
    }
}

/// At most one for each subject and kind: the best hazard, else that all is in order.
type Witnesses = BTreeMap<(Subject, String), (Witness, Option<Found>, Option<ConfirmConfig>)>;
