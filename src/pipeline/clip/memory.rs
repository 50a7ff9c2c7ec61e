//! What a watch remembers over a restart, so that one hazard stays one finding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::life::{Life, Sighting, Waiting};
use super::way::Way;
use super::{ClipWatch, Subject};
use crate::confirm::Confirmation;
use crate::geometry::BBox;
use crate::hazard::{Severity, Text};
use crate::pipeline::evidence::Best;
use crate::reference::Patch;

/// What is remembered of one source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Number of the last finding.
    pub findings: u64,
    /// Findings that are open.
    pub open: Vec<Remembered>,
    /// How zones look when clean, as far as it was learned.
    pub references: BTreeMap<String, Patch>,
    /// Of a folder: the time of the last picture that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<jiff::Timestamp>,
    /// And its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_name: Option<String>,
}

impl Memory {
    /// Up to which picture of a folder was looked at.
    pub fn looked(&self) -> Option<(std::time::SystemTime, String)> {
        let until = std::time::SystemTime::from(self.until?);
        Some((until, self.until_name.clone().unwrap_or_default()))
    }
}

/// An open finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// Its number.
    pub finding: u64,
    /// Hazard code.
    pub code: String,
    /// Name of the kind.
    pub name: Text,
    /// Suggested severity.
    pub severity: Severity,
    /// What it is about.
    pub place: Place,
    /// Its best score.
    pub score: f32,
    /// Where, `[x, y, width, height]` in pixels.
    pub bbox: [f32; 4],
    /// How many times it was seen again after it was out of sight.
    pub occurrences: u64,
}

/// What a finding is about, by what outlives a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The zone of this name.
    Zone(String),
    /// Somebody or something that was where the box is.
    Object,
    /// The picture as a whole.
    Scene,
    /// The camera itself.
    Camera,
    /// What the sample bank has found in the view.
    Bank,
}

/// A hazard that was seen so long ago still shows, seconds: not every look can judge it.
const JUST_NOW_S: f64 = 2.0;
/// After a restart, so long: the program's own absence is not counted.
const AFTER_RESTART_S: f64 = 600.0;

impl ClipWatch<'_> {
    /// Goes on where an earlier watch of the same source has stopped.
    pub fn recall(&mut self, memory: Memory) {
        self.findings = self.findings.max(memory.findings);
        self.until = memory.until.map(|until| until.min(jiff::Timestamp::now()));
        self.until_name = memory.until_name;
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
                seen: None,
                text: None,
                occurrences: open.occurrences,
                suppressed_s: None,
                way: Way::default(),
                look: None,
            };
            let zone = |name: &str| self.view.zones.iter().position(|z| z.name == name);
            let subject = match &open.place {
                Place::Zone(name) => zone(name).map(Subject::Zone),
                Place::Scene => Some(Subject::Scene),
                Place::Bank => Some(Subject::Bank),
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

    /// The pictures of a folder were looked at up to this one's time.
    pub(in crate::pipeline) fn looked_until(
        &mut self,
        wall: std::time::SystemTime,
        name: Option<&str>,
    ) {
        if let Ok(wall) = jiff::Timestamp::try_from(wall)
            && self.until.is_none_or(|until| wall >= until)
        {
            self.until = Some(wall);
            self.until_name = name.map(str::to_owned);
        }
    }

    /// Findings that are open, as far as they show in the last frame: whoever has gone is not drawn where they were.
    pub fn in_sight(&self) -> impl Iterator<Item = Remembered> {
        let tracks = self.tracker.tracks();
        self.followed().filter_map(move |(subject, life, open)| {
            let Subject::Track(id) = subject else {
                return Some(open);
            };
            let track = tracks.iter().find(|t| t.id == id && !t.is_lost())?;
            let last = life.last?;
            (track.last_s - last.time_s <= JUST_NOW_S).then_some(open)
        })
    }

    /// Findings that are open and whose subject is followed.
    fn followed(&self) -> impl Iterator<Item = (Subject, &Life, Remembered)> {
        self.lives.iter().filter_map(|((subject, code), life)| {
            let place = match subject {
                Subject::Track(_) => Place::Object,
                Subject::Scene => Place::Scene,
                Subject::Zone(i) => Place::Zone(self.view.zones.get(*i)?.name.clone()),
                Subject::Camera => Place::Camera,
                Subject::Bank => Place::Bank,
            };
            Some((*subject, life, self.remembered(place, code, life)?))
        })
    }

    fn remembered(&self, place: Place, code: &str, life: &Life) -> Option<Remembered> {
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
    }

    /// The best frame so far of a finding that is open.
    pub(in crate::pipeline) fn best_of(&self, finding: u64) -> Option<Best> {
        let waiting = self.waiting.iter().map(|w| &w.life);
        let mut lives = self.lives.values().chain(waiting);
        let best = lives.find(|life| life.open == Some(finding))?.best?;
        Some(Best {
            time_s: best.time_s,
            score: best.score,
            bbox: best.bbox.to_xywh(),
        })
    }

    /// What to remember over a restart.
    pub fn memory(&self) -> Memory {
        let waiting = self.waiting.iter().filter_map(|w| {
            let camera = w.code.starts_with("CAM-");
            let place = if camera { Place::Camera } else { Place::Object };
            self.remembered(place, &w.code, &w.life)
        });
        Memory {
            findings: self.findings,
            open: self
                .followed()
                .map(|(.., open)| open)
                .chain(waiting)
                .collect(),
            references: self.view.learned(),
            until: self.until,
            until_name: self.until_name.clone(),
        }
    }
}

/// How far somebody walks, in their own heights: a box's own error, and a second's way.
const AT_ONCE: f32 = 0.5;
const A_SECOND: f32 = 0.9;

/// Whether somebody seen at `now` may be who was out of sight since `was`: in the same place, about as
/// tall. Nobody is followed further than that without being seen: where people pass one after another,
/// two findings of one are a nuisance, one finding of two is a hazard not told.
pub(super) fn may_be_the_same(was: BBox, now: BBox) -> bool {
    was.iou(now) >= 0.3 && (0.6..=1.67).contains(&(was.height() / now.height()))
}

/// Two who are no more unlike may be one. On `vtest.avi` the same people after 3 to 5 s: 0.025 to 0.046, others
/// who could be meant: from 0.116.
const ALIKE: f32 = 0.06;
/// The next must be so many times as unlike.
const CLEARLY: f32 = 2.0;

/// Whether somebody seen at `was` can have walked to `now`, and is about as tall.
pub(super) fn can_have_walked(was: Sighting, now: Sighting) -> bool {
    let (a, b) = (was.bbox.bottom_center(), now.bbox.bottom_center());
    let height = was.bbox.height().max(now.bbox.height());
    let way = (a.0 - b.0).hypot(a.1 - b.1) / height.max(1.0);
    let passed_s = (now.time_s - was.time_s) as f32;
    let heights = was.bbox.height() / now.bbox.height().max(1.0);
    way <= AT_ONCE + A_SECOND * passed_s && (0.67..=1.5).contains(&heights)
}

/// Of all with how unlike they are, the one who may be meant and nobody else.
pub(super) fn clearly_alike<T>(all: impl Iterator<Item = (T, f32)>) -> Option<T> {
    let mut all: Vec<(T, f32)> = all.collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    let best = all.first().map(|(_, unlike)| *unlike)?;
    let alone = all.get(1).is_none_or(|next| next.1 > CLEARLY * best);
    (best <= ALIKE && alone).then(|| all.swap_remove(0).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_walked_on_is_alike_and_the_only_one() {
        let at = |time_s: f64, x: f32, height: f32| Sighting {
            time_s,
            score: 0.9,
            bbox: BBox::from_xywh([x, 100.0, 0.4 * height, height]),
        };
        let was = at(10.0, 100.0, 100.0);
        assert!(can_have_walked(was, at(12.0, 300.0, 100.0)));
        assert!(!can_have_walked(was, at(12.0, 400.0, 100.0)), "too fast");
        assert!(!can_have_walked(was, at(12.0, 100.0, 170.0)), "too tall");

        let meant = |unlike: &[f32]| clearly_alike(unlike.iter().copied().enumerate());
        assert_eq!(meant(&[0.3, 0.03, 0.12]), Some(1));
        assert_eq!(meant(&[0.3, 0.12]), None, "not alike");
        assert_eq!(meant(&[0.03, 0.05]), None, "two are");
        assert_eq!(meant(&[]), None);
    }

    #[test]
    fn who_comes_back_to_the_same_place_may_be_the_same() {
        let was = BBox::from_xywh([100.0, 100.0, 40.0, 100.0]);
        let at = |x: f32, h: f32| BBox::from_xywh([x, 100.0, 0.4 * h, h]);
        assert!(may_be_the_same(was, at(110.0, 100.0)));
        assert!(!may_be_the_same(was, at(180.0, 100.0)));
        assert!(!may_be_the_same(was, at(100.0, 175.0)));
    }
}
