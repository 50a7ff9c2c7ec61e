//! What a watch remembers over a restart, so that one hazard stays one finding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::life::{Life, Sighting, Waiting};
use super::way::Way;
use super::{ClipWatch, Subject};
use crate::confirm::Confirmation;
use crate::geometry::BBox;
use crate::hazard::{Severity, Text};
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

/// After a restart, so long: the program's own absence is not counted.
const AFTER_RESTART_S: f64 = 600.0;

impl ClipWatch<'_> {
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
                suppressed_s: None,
                way: Way::default(),
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

    /// Findings that are open and in sight.
    pub fn in_sight(&self) -> impl Iterator<Item = Remembered> {
        self.lives.iter().filter_map(|((subject, code), life)| {
            let place = match subject {
                Subject::Track(_) => Place::Object,
                Subject::Scene => Place::Scene,
                Subject::Zone(i) => Place::Zone(self.view.zones.get(*i)?.name.clone()),
                Subject::Camera => Place::Camera,
                Subject::Bank => Place::Bank,
            };
            self.remembered(place, code, life)
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

    /// What to remember over a restart.
    pub fn memory(&self) -> Memory {
        let waiting = self.waiting.iter().filter_map(|w| {
            let camera = w.code.starts_with("CAM-");
            let place = if camera { Place::Camera } else { Place::Object };
            self.remembered(place, &w.code, &w.life)
        });
        Memory {
            findings: self.findings,
            open: self.in_sight().chain(waiting).collect(),
            references: self.view.learned(),
        }
    }
}

/// Whether somebody seen at `now` may be who was out of sight since `was`: in the same place, about as
/// tall. Nobody is followed further than that without being seen: where people pass one after another,
/// two findings of one are a nuisance, one finding of two is a hazard not told.
pub(super) fn may_be_the_same(was: BBox, now: BBox) -> bool {
    was.iou(now) >= 0.3 && (0.6..=1.67).contains(&(was.height() / now.height()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_to_the_same_place_may_be_the_same() {
        let was = BBox::from_xywh([100.0, 100.0, 40.0, 100.0]);
        let at = |x: f32, h: f32| BBox::from_xywh([x, 100.0, 0.4 * h, h]);
        assert!(may_be_the_same(was, at(110.0, 100.0)));
        assert!(!may_be_the_same(was, at(180.0, 100.0)));
        assert!(!may_be_the_same(was, at(100.0, 175.0)));
    }
}
