//! A clip or camera, frame by frame: detect, track, apply the rules, confirm. One finding for each
//! real hazard, not one for each frame.

mod memory;
mod view;

use std::collections::BTreeMap;

use image::RgbImage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::memory::{Memory, Place, Remembered};
use self::view::{On, View, with_reason};
use crate::confirm::{ConfirmConfig, Confirmation, Turn, Witness};
use crate::eval::clip_findings::SeenAt;
use crate::geometry::BBox;
use crate::hazard::{Answer, Lang, Severity, Text};
use crate::health::{Ailment, Health};
use crate::motion::Glance;
use crate::pipeline::photo::{JudgeError, PhotoPipeline, Scratch, Watched};
use crate::rules::Scene;
use crate::tracking::{TrackId, Tracker, TrackerConfig};
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
}

/// One kind of hazard on one subject.
#[derive(Debug, Default, Clone)]
struct Life {
    confirmation: Confirmation,
    /// Number of the open finding.
    open: Option<u64>,
    /// Where it was seen last, and the best sighting since it opened.
    last: Option<Sighting>,
    best: Option<Sighting>,
    /// What the rule said when it was seen last.
    text: Option<Text>,
    occurrences: u64,
    /// The way since it opened.
    way: Way,
}

/// Where something was seen over time, in a bounded number of sightings at even distances.
#[derive(Debug, Default, Clone)]
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

/// An open finding on an object that is out of sight. Whoever comes back to its place takes it up.
#[derive(Debug, Clone)]
struct Waiting {
    code: String,
    life: Life,
    until_s: f64,
}

/// An object out of sight is waited for this long, seconds: behind a pillar, or a track that broke.
const COMES_BACK_S: f64 = 10.0;
/// After a restart, so long: the program's own absence is not counted.
const AFTER_RESTART_S: f64 = 600.0;

/// A turn in the life of a finding, one line of `sitewarden watch --format jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden watch")]
pub struct FindingEvent {
    /// What happened.
    pub event: EventKind,
    /// Number of the finding within the clip, from 1.
    pub finding: u64,
    /// Hazard code; `CAM-…` for the camera itself.
    pub code: String,
    /// Name of the kind, both languages.
    pub name: Text,
    /// Suggested severity.
    pub severity: Severity,
    /// Media time, seconds.
    pub time_s: f64,
    /// The object that is followed; null for what concerns a zone or the whole picture.
    pub track: Option<TrackId>,
    /// The zone, for what concerns one.
    pub zone: Option<String>,
    /// The best frame so far: media time, seconds.
    pub best_time_s: f64,
    /// Confidence in the best frame, 0 to 1.
    pub score: f32,
    /// Where, in the best frame: `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
    /// How many times it was seen again after it was out of sight.
    pub occurrences: u64,
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
    /// The same hazard is seen again after it was out of sight, or after a restart.
    Seen,
    /// The hazard was seen to be gone: a suggestion to close, for a person to decide.
    Cleared,
    /// The object left the picture, or the clip ended, with the hazard as it was.
    Ended,
}

/// The answer of one kind of hazard for all that was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindAnswer {
    /// Hazard code.
    pub code: String,
    /// `non_compliant` where a finding opened; otherwise the gravest answer of any frame.
    pub answer: Answer,
    /// Of that frame; for `non_compliant`, see the findings.
    pub reason: String,
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
    /// Nothing has moved since the last frame: what the model saw then still holds.
    pub quiet: bool,
}

/// Watches one clip or camera.
pub struct ClipWatch<'a> {
    pipeline: &'a PhotoPipeline<'a>,
    confirm: ConfirmConfig,
    tracker: Tracker,
    lives: BTreeMap<(Subject, String), Life>,
    waiting: Vec<Waiting>,
    kinds: BTreeMap<String, (Text, Severity)>,
    findings: u64,
    scratch: Scratch,
    view: View,
    /// And whether the source is live.
    health: Option<(Health, bool)>,
    last: Option<Watched>,
    answers: BTreeMap<String, (Answer, Text)>,
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
            kinds: names.chain(ailments).collect(),
            findings: 0,
            scratch: Scratch::default(),
            view: View::default(),
            health: None,
            last: None,
            answers: BTreeMap::new(),
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

    /// Goes on where an earlier watch of the same source has stopped.
    pub fn recall(&mut self, memory: Memory) {
        self.findings = self.findings.max(memory.findings);
        self.view.recall(memory.references);
        for open in memory.open {
            self.kinds
                .entry(open.code.clone())
                .or_insert((open.name, open.severity));
            let sighting = Sighting {
                time_s: 0.0,
                score: open.score,
                bbox: BBox::from_xywh(open.bbox),
            };
            let life = Life {
                confirmation: Confirmation::opened(),
                open: Some(open.finding),
                last: Some(sighting),
                best: Some(sighting),
                text: None,
                occurrences: open.occurrences,
                way: Way::default(),
            };
            let zone = |name: &str| self.view.zones.iter().position(|z| z.name == name);
            let subject = match &open.place {
                Place::Zone(name) => zone(name).map(Subject::Zone),
                Place::Scene => Some(Subject::Scene),
                // its ailments are told again by their own confirmation
                Place::Camera | Place::Object => None,
            };
            match subject {
                Some(subject) => {
                    self.lives.insert((subject, open.code), life);
                }
                None => self.waiting.push(Waiting {
                    code: open.code,
                    life,
                    until_s: AFTER_RESTART_S,
                }),
            }
        }
    }

    /// What to remember over a restart.
    pub fn memory(&self) -> Memory {
        let of = |place: Place, code: &str, life: &Life| {
            let (name, severity) = self.kind(code);
            let best = life.last.or(life.best)?;
            Some(Remembered {
                finding: life.open?,
                code: code.to_owned(),
                name,
                severity,
                place,
                score: best.score,
                bbox: best.bbox.to_xywh(),
                occurrences: life.occurrences,
            })
        };
        let lives = self.lives.iter().filter_map(|((subject, code), life)| {
            let place = match subject {
                Subject::Track(_) => Place::Object,
                Subject::Scene => Place::Scene,
                Subject::Zone(i) => Place::Zone(self.view.zones.get(*i)?.name.clone()),
                Subject::Camera => Place::Camera,
            };
            of(place, code, life)
        });
        let waiting = self.waiting.iter().filter_map(|w| {
            let camera = w.code.starts_with("CAM-");
            of(
                if camera { Place::Camera } else { Place::Object },
                &w.code,
                &w.life,
            )
        });
        Memory {
            findings: self.findings,
            open: lives.chain(waiting).collect(),
            references: self.view.learned(),
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
        let shot = Shot {
            time_s,
            moment: None,
            picture,
            size: picture.dimensions(),
            quiet: false,
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
        let watched = match self.last.take_if(|_| shot.quiet) {
            Some(same) => same,
            None => self
                .pipeline
                .reduced_frame(shot.picture, shot.size, &mut self.scratch)?,
        };
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

    /// Of each kind of hazard, the answer for all that was watched.
    pub fn answers(&self) -> Vec<KindAnswer> {
        let lang = self.pipeline.settings().lang;
        let told = |(code, (answer, reason)): (&String, &(Answer, Text))| KindAnswer {
            code: code.clone(),
            answer: *answer,
            reason: reason.get(lang).to_owned(),
        };
        self.answers.iter().map(told).collect()
    }

    fn take(&mut self, shot: &Shot<'_>, watched: &Watched) -> Vec<FindingEvent> {
        let (time_s, size) = (shot.time_s, shot.size);
        let sightings = self.tracker.update(time_s, &watched.detections);
        self.view
            .follow(time_s, &sightings, &watched.detections, size);
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
        for (subject, code) in self.lives.keys().filter(|(s, _)| *s == Subject::Scene) {
            witnesses.insert((*subject, code.clone()), (Witness::InOrder, None, None));
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
            shot.quiet,
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
        self.answer(watched);
        let mut events = Vec::new();
        for ((subject, code), (witness, found, confirm)) in witnesses {
            let confirm = confirm.unwrap_or_else(|| self.confirm_of(&code));
            events.extend(self.witness(time_s, subject, code, witness, found, &confirm));
        }
        events.extend(self.part(time_s));
        events
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

    /// Those whose tracks are over are waited for; those who were waited for long enough are over.
    fn part(&mut self, time_s: f64) -> Vec<FindingEvent> {
        let tracks: Vec<TrackId> = self.tracker.tracks().iter().map(|t| t.id).collect();
        let gone = |subject: &Subject| matches!(subject, Subject::Track(t) if !tracks.contains(t));
        let (over, lives): (BTreeMap<_, _>, _) = std::mem::take(&mut self.lives)
            .into_iter()
            .partition(|((subject, _), _)| gone(subject));
        self.lives = lives;
        let left = over.into_iter().filter(|(_, life)| life.open.is_some());
        self.waiting.extend(left.map(|((_, code), life)| Waiting {
            code,
            life,
            until_s: time_s + COMES_BACK_S,
        }));
        let (over, waiting): (Vec<_>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| w.until_s < time_s);
        self.waiting = waiting;
        over.iter()
            .filter_map(|w| self.ended(time_s, None, &w.code, &w.life))
            .collect()
    }

    fn witness(
        &mut self,
        time_s: f64,
        subject: Subject,
        code: String,
        witness: Witness,
        found: Option<Found>,
        confirm: &ConfirmConfig,
    ) -> Option<FindingEvent> {
        let life = self.lives.entry((subject, code.clone())).or_default();
        if let (Witness::Hazard(score), Some(found)) = (witness, found) {
            let sighting = Sighting {
                time_s,
                score,
                bbox: found.bbox,
            };
            life.last = Some(sighting);
            life.text = found.text;
            if life.best.is_none_or(|b| score > b.score) {
                life.best = Some(sighting);
            }
            if life.open.is_some() {
                life.way.add(time_s, found.bbox);
            }
        }
        let turn = life.confirmation.witness(confirm, time_s, witness)?;
        let (opened, evidence) = match &turn {
            Turn::Opened(evidence) => (true, evidence),
            Turn::Cleared(evidence) => (false, evidence),
        };
        let said = life.text.clone().filter(|_| opened);
        let reason = with_reason(said.as_ref(), evidence.reason(confirm, opened));
        self.turned(time_s, subject, &code, opened, &reason)
    }

    fn ailing(
        &mut self,
        time_s: f64,
        (w, h): (u32, u32),
        ailment: Ailment,
        turn: Turn,
    ) -> Option<FindingEvent> {
        let code = ailment.code();
        let life = self
            .lives
            .entry((Subject::Camera, code.to_owned()))
            .or_default();
        let sighting = Sighting {
            time_s,
            score: 1.0,
            bbox: BBox::new(0.0, 0.0, w as f32, h as f32),
        };
        let opened = matches!(turn, Turn::Opened(_));
        if opened {
            (life.last, life.best) = (Some(sighting), Some(sighting));
        }
        let reason = if opened {
            ailment.name()
        } else {
            Text::new("It sees again as it should.", "画面已恢复正常。")
        };
        self.turned(time_s, Subject::Camera, code, opened, &reason)
    }

    /// Opens a finding, or takes up one that was waited for, or clears one.
    fn turned(
        &mut self,
        time_s: f64,
        subject: Subject,
        code: &str,
        opened: bool,
        reason: &Text,
    ) -> Option<FindingEvent> {
        let reason = reason.get(self.pipeline.settings().lang).to_owned();
        let key = (subject, code.to_owned());
        if !opened {
            let life = self.lives.get_mut(&key)?;
            let (finding, best) = (life.open.take()?, life.best.take()?);
            let occurrences = std::mem::take(&mut life.occurrences);
            let seen = std::mem::take(&mut life.way).seen;
            let told = (finding, best, occurrences);
            let (kind, subject) = (EventKind::Cleared, Some(subject));
            let event = self.event(kind, told, subject, code, time_s, reason);
            return Some(FindingEvent { seen, ..event });
        }
        let earlier = self.earlier(&key);
        let findings = &mut self.findings;
        let life = self.lives.get_mut(&key)?;
        let kind = match earlier {
            Some(earlier) => {
                life.open = earlier.open;
                life.occurrences = earlier.occurrences + 1;
                life.best = [earlier.best, life.last]
                    .into_iter()
                    .flatten()
                    .max_by(|a, b| a.score.total_cmp(&b.score));
                life.way = earlier.way;
                EventKind::Seen
            }
            None => {
                *findings += 1;
                life.open = Some(*findings);
                life.best = life.last;
                life.way = Way::default();
                EventKind::Opened
            }
        };
        if let Some(last) = life.last {
            life.way.add(last.time_s, last.bbox);
        }
        let told = (life.open?, life.best?, life.occurrences);
        if let Some((answer, _)) = self.answers.get_mut(code) {
            *answer = Answer::NonCompliant;
        }
        Some(self.event(kind, told, Some(subject), code, time_s, reason))
    }

    /// The finding that what is seen now goes on with, if it was waited for.
    fn earlier(&mut self, (subject, code): &(Subject, String)) -> Option<Life> {
        let now = self.lives.get(&(*subject, code.clone()))?.last?;
        let fits = |w: &Waiting| {
            let was = w.life.last.or(w.life.best);
            match subject {
                Subject::Track(_) => {
                    was.is_some_and(|b| memory::may_be_the_same(b.bbox, now.bbox))
                }
                _ => true,
            }
        };
        let at = self
            .waiting
            .iter()
            .position(|w| w.code == *code && fits(w))?;
        Some(self.waiting.swap_remove(at).life)
    }

    fn answer(&mut self, watched: &Watched) {
        let rank = |a: Answer| match a {
            Answer::NonCompliant => 0,
            Answer::CannotDetermine => 1,
            Answer::Compliant => 2,
            Answer::NotApplicable => 3,
        };
        let kinds = self.pipeline.rules().kinds().iter();
        // what a photo alone never settles has no answer of single frames
        let judged = kinds.map(|k| !k.rules.is_empty());
        let said = watched.evaluation.answers.iter().zip(judged);
        for said in said.filter_map(|(said, judged)| judged.then_some(said)) {
            // one frame accuses nobody: until a finding opens, it is open
            let answer = match said.answer {
                Answer::NonCompliant => Answer::CannotDetermine,
                other => other,
            };
            let kept = self.answers.get(&said.code).map(|(a, _)| rank(*a));
            if kept.is_none_or(|kept| rank(answer) < kept) {
                let told = (answer, said.reason.clone());
                self.answers.insert(said.code.clone(), told);
            }
        }
    }

    fn ended(
        &self,
        time_s: f64,
        subject: Option<Subject>,
        code: &str,
        life: &Life,
    ) -> Option<FindingEvent> {
        let reason = match self.pipeline.settings().lang {
            Lang::En => "It was not seen to be cleared: it left the picture, or the video ended.",
            Lang::Zh => "未见其消除：目标离开画面或视频结束。",
        };
        let told = (life.open?, life.best?, life.occurrences);
        let reason = reason.to_owned();
        let event = self.event(EventKind::Ended, told, subject, code, time_s, reason);
        let seen = life.way.seen.clone();
        Some(FindingEvent { seen, ..event })
    }

    fn kind(&self, code: &str) -> (Text, Severity) {
        let kind = self.kinds.get(code).cloned();
        kind.unwrap_or_else(|| (Text::new(code, code), Severity::General))
    }

    fn event(
        &self,
        event: EventKind,
        (finding, best, occurrences): (u64, Sighting, u64),
        subject: Option<Subject>,
        code: &str,
        time_s: f64,
        reason: String,
    ) -> FindingEvent {
        let (name, severity) = self.kind(code);
        let (track, zone) = match subject {
            Some(Subject::Track(track)) => (Some(track), None),
            Some(Subject::Zone(i)) => (None, self.view.zones.get(i).map(|z| z.name.clone())),
            _ => (None, None),
        };
        FindingEvent {
            event,
            finding,
            code: code.to_owned(),
            name,
            severity,
            time_s,
            track,
            zone,
            best_time_s: best.time_s,
            score: best.score,
            bbox: best.bbox.to_xywh(),
            occurrences,
            reason,
            seen: Vec::new(),
        }
    }
}

/// Where a frame shows a hazard, and what its rule says.
struct Found {
    bbox: BBox,
    text: Option<Text>,
}

/// At most one for each subject and kind: the best hazard, else that all is in order.
type Witnesses = BTreeMap<(Subject, String), (Witness, Option<Found>, Option<ConfirmConfig>)>;

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
