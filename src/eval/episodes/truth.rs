//! The format of annotated clips: `datasets/episodes/README.md` tells it.

use serde::Deserialize;

use crate::eval::clip_findings::between;
use crate::geometry::BBox;
use crate::hazard::Answer;
use crate::zone::{GroundPoints, Zone, ZoneKind, Zones};

/// Version of the format.
const VERSION: u32 = 1;

/// The truth about one clip.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipTruth {
    /// Version of the format: 1.
    pub truth: u32,
    /// Which clip.
    pub clip: ClipAbout,
    /// Who and how.
    #[serde(default)]
    pub annotated_by: String,
    /// Parts of the view, with all that a file of zones may say of them.
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// Four known points on the ground.
    #[serde(default)]
    pub ground: Option<GroundPoints>,
    /// The codes that were looked for from the first frame to the last.
    pub judged: Vec<Judged>,
    /// One for each appearance.
    #[serde(default)]
    pub people: Vec<Person>,
    /// Ordered by their start.
    pub episodes: Vec<Episode>,
    /// What must not lead to a finding.
    #[serde(default)]
    pub distractors: Vec<Distractor>,
    /// Where people were not annotated one by one.
    #[serde(default)]
    pub ignore: Vec<Ignored>,
    /// Free text.
    #[serde(default)]
    pub notes: String,
}

/// A clip, known by its digest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipAbout {
    /// File name.
    pub file: String,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Frame width, pixels.
    pub width: u32,
    /// Frame height, pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: f64,
    /// Frames that decode.
    pub frames: u32,
    /// Length, seconds.
    pub duration_s: f64,
    /// Where it comes from.
    pub origin: String,
    /// Its licence.
    pub licence: String,
}

/// A code that was looked for over the whole clip.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Hazard code.
    pub code: String,
    /// What was taken for granted.
    #[serde(default)]
    pub condition: String,
}

/// One appearance of a person.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Number within the file.
    pub person: u32,
    /// What they look like.
    pub what: String,
}

/// One real hazard, or its proven absence.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// Number within the file.
    pub id: u32,
    /// Hazard code.
    pub code: String,
    /// What the whole footage of the episode allows to say.
    pub answer: Answer,
    /// First frame, seconds.
    pub start_s: f64,
    /// Last frame, seconds.
    pub end_s: f64,
    /// Name of the zone, if it holds there only.
    #[serde(default)]
    pub zone: Option<String>,
    /// Number in `people`.
    #[serde(default)]
    pub person: Option<u32>,
    /// Height of the part at its best, pixels.
    #[serde(default)]
    pub part_px: Option<f32>,
    /// Where it is, in order of time; without any it is its zone.
    #[serde(default)]
    pub boxes: Vec<TimedBox>,
    /// The reason for the answer.
    #[serde(default)]
    pub note: String,
}

/// A box at a time.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedBox {
    /// Media time, seconds.
    pub t_s: f64,
    /// `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
}

/// A look-alike.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distractor {
    /// From, seconds.
    pub start_s: f64,
    /// To, seconds.
    pub end_s: f64,
    /// Where, `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
    /// What it is.
    pub what: String,
}

/// A region that counts neither way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignored {
    /// From, seconds.
    pub start_s: f64,
    /// To, seconds.
    pub end_s: f64,
    /// Where, `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
    /// For these codes.
    pub codes: Vec<String>,
    /// Why.
    pub why: String,
}

impl ClipTruth {
    /// Reads the truth about a clip.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(json: &str) -> Result<Self, String> {
        let truth: Self = serde_json::from_str(json).map_err(|e| e.to_string())?;
        if truth.truth != VERSION {
            return Err(format!(
                "its format is version {}; this program reads version {VERSION}",
                truth.truth
            ));
        }
        if let Some(fault) = truth.clip.fault() {
            return Err(format!("clip: {fault}"));
        }
        if truth.judged.is_empty() {
            return Err("`judged` is empty; name the codes that were looked for".into());
        }
        truth.zones().check().map_err(|e| e.to_string())?;
        let mut ids = std::collections::HashSet::new();
        for e in &truth.episodes {
            if !ids.insert(e.id) {
                return Err(format!("episode {}: there are two of this id", e.id));
            }
            if let Some(fault) = truth.fault(e) {
                return Err(format!("episode {}: {fault}", e.id));
            }
            if let Some(other) = truth.episodes.iter().find(|o| e.is_again(o)) {
                return Err(format!(
                    "episodes {} and {}: one hazard of one person at the same time; make one of them",
                    other.id, e.id
                ));
            }
        }
        let distractors = truth
            .distractors
            .iter()
            .map(|d| (d.start_s, d.end_s, d.bbox));
        let ignored = truth.ignore.iter().map(|i| (i.start_s, i.end_s, i.bbox));
        for (what, (start_s, end_s, bbox)) in distractors
            .map(|d| ("distractors", d))
            .chain(ignored.map(|i| ("ignore", i)))
        {
            if !truth.clip.holds_times(start_s, end_s) || !truth.clip.holds(bbox) {
                return Err(format!(
                    "{what}: the one from {start_s} to {end_s} s is not within the clip and its frame"
                ));
            }
        }
        Ok(truth)
    }

    fn fault(&self, e: &Episode) -> Option<String> {
        if !self.judged.iter().any(|j| j.code == e.code) {
            return Some(format!(
                "its code {} is not among the judged ones; list it there",
                e.code
            ));
        }
        if e.answer == Answer::NotApplicable {
            return Some("`not_applicable` is no answer here; leave the episode out".into());
        }
        if !self.clip.holds_times(e.start_s, e.end_s) {
            return Some(format!(
                "its times are not within the clip, 0 to {} s",
                self.clip.duration_s
            ));
        }
        if e.boxes.is_empty() && e.zone.is_none() {
            return Some("give `boxes`, or the `zone` that it fills".into());
        }
        if !e.boxes.is_sorted_by(|a, b| a.t_s < b.t_s) {
            return Some("give boxes in order of time, no two at one time".into());
        }
        // times are given to about a tenth of a second
        let during = |t: f64| (e.start_s - 0.5..=e.end_s + 0.5).contains(&t);
        if !e.boxes.iter().all(|b| during(b.t_s)) {
            return Some("a box is not between its start and its end".into());
        }
        if !e.boxes.iter().all(|b| self.clip.holds(b.bbox)) {
            return Some("a box is not within the frame".into());
        }
        if e.part_px.is_some_and(|px| !(px > 0.0 && px.is_finite())) {
            return Some("`part_px` must be a height in pixels, above 0".into());
        }
        let zone = e.zone.as_ref();
        zone.filter(|z| !self.zones.iter().any(|t| t.name == **z))
            .map(|z| format!("its zone {z:?} is not listed in `zones`"))
    }

    /// The box around an episode's zone, pixels.
    pub(super) fn zone_bbox(&self, e: &Episode) -> [f32; 4] {
        let named = |z: &&Zone| e.zone.as_ref().is_some_and(|name| z.name == *name);
        let size = (self.clip.width, self.clip.height);
        let zone = self.zones.iter().find(named);
        zone.map_or([0.0; 4], |z| z.bbox(size).to_xywh())
    }

    fn zones(&self) -> Zones {
        Zones {
            zones: self.zones.clone(),
            ground: self.ground.clone(),
        }
    }

    /// The zones to watch the clip with. Where no episode is bound to a work area, protective
    /// equipment was annotated wherever people are: the whole picture is one, too.
    pub fn watch_zones(&self) -> Zones {
        let mut zones = self.zones();
        let work_area = |z: &Zone| z.kind == ZoneKind::WorkArea;
        let bound = self
            .episodes
            .iter()
            .filter_map(|e| e.zone.as_ref())
            .any(|name| {
                let mut areas = zones.zones.iter().filter(|z| work_area(z));
                areas.any(|z| z.name == *name)
            });
        if !bound && !zones.zones.is_empty() {
            zones.zones.retain(|z| !work_area(z));
            zones.zones.push(Zone::whole(ZoneKind::WorkArea));
        }
        zones
    }
}

impl ClipAbout {
    fn fault(&self) -> Option<&'static str> {
        if self.width == 0 || self.height == 0 {
            return Some("`width` and `height` must be those of a frame, pixels");
        }
        let positive = |v: f64| v > 0.0 && v.is_finite();
        (!positive(self.fps) || !positive(self.duration_s))
            .then_some("`fps` and `duration_s` must be above 0")
    }

    fn holds_times(&self, start_s: f64, end_s: f64) -> bool {
        0.0 <= start_s && start_s <= end_s && end_s <= self.duration_s
    }

    fn holds(&self, [x, y, w, h]: [f32; 4]) -> bool {
        let (width, height) = (self.width as f32, self.height as f32);
        x >= 0.0 && y >= 0.0 && w >= 1.0 && h >= 1.0 && x + w <= width && y + h <= height
    }
}

impl Episode {
    /// Whether an earlier one tells the same: one of the two could never be found.
    fn is_again(&self, other: &Self) -> bool {
        other.id < self.id
            && self.code == other.code
            && self.person.is_some()
            && self.person == other.person
            && self.start_s < other.end_s
            && other.start_s < self.end_s
    }

    /// Where it is at a time, between two boxes on the straight line; `None` outside.
    pub(super) fn at(&self, time_s: f64) -> Option<BBox> {
        let (first, last) = (self.boxes.first()?, self.boxes.last()?);
        if time_s < first.t_s.min(self.start_s) || time_s > last.t_s.max(self.end_s) {
            return None;
        }
        between(self.boxes.iter().map(|b| (b.t_s, b.bbox)), time_s)
    }

    /// The box in which it is seen largest.
    pub(super) fn best(&self) -> Option<TimedBox> {
        let area = |b: &TimedBox| b.bbox[2] * b.bbox[3];
        self.boxes
            .iter()
            .copied()
            .max_by(|a, b| area(a).total_cmp(&area(b)))
    }
}
