//! Findings of a clip against its annotated hazard episodes: how many were found, how late, in how
//! many pieces, and how often the alarm was false. The format and the rules of counting are told in
//! `datasets/episodes/README.md`.

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::geometry::BBox;
use crate::hazard::Answer;

/// Version of the format.
const VERSION: u32 = 1;
/// A finding and an episode are the same place at this IoU.
const MEET_IOU: f32 = 0.3;
/// A finding this long after an episode ended still belongs to it: confirmation takes time, seconds.
const LATE_S: f64 = 2.0;

/// The truth about one clip.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipTruth {
    /// Version of the format: 1.
    pub truth: u32,
    /// Which clip.
    pub clip: ClipAbout,
    /// Who and how.
    pub annotated_by: String,
    /// Plausible zones.
    pub zones: Vec<TruthZone>,
    /// The codes that were looked for from the first frame to the last.
    pub judged: Vec<Judged>,
    /// One for each appearance.
    pub people: Vec<Person>,
    /// Ordered by their start.
    pub episodes: Vec<Episode>,
    /// What must not lead to a finding.
    pub distractors: Vec<Distractor>,
    /// Where people were not annotated one by one.
    pub ignore: Vec<Ignored>,
    /// Free text.
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

/// A zone, polygon in shares of the frame.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthZone {
    /// Its name.
    pub name: String,
    /// `work_area`, `exit`, `aisle`, …
    pub kind: String,
    /// Corners, `0..=1` of width and height.
    pub polygon: Vec<[f64; 2]>,
}

/// A code that was looked for over the whole clip.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Hazard code.
    pub code: String,
    /// What was taken for granted.
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
    pub zone: Option<String>,
    /// Number in `people`.
    #[serde(default)]
    pub person: Option<u32>,
    /// Height of the part at its best, pixels.
    #[serde(default)]
    pub part_px: Option<f32>,
    /// Where it is, in order of time.
    pub boxes: Vec<TimedBox>,
    /// The reason for the answer.
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
        let clip = &truth.clip;
        let inside = |[x, y, w, h]: [f32; 4]| {
            let (width, height) = (clip.width as f32, clip.height as f32);
            x >= 0.0 && y >= 0.0 && w >= 1.0 && h >= 1.0 && x + w <= width && y + h <= height
        };
        for e in &truth.episodes {
            let at = |what: &str| format!("episode {}: {what}", e.id);
            if !truth.judged.iter().any(|j| j.code == e.code) {
                return Err(at("its code is not among the judged ones"));
            }
            if !(0.0 <= e.start_s && e.start_s <= e.end_s && e.end_s <= clip.duration_s) {
                return Err(at("its times are not within the clip"));
            }
            if e.boxes.is_empty() || !e.boxes.is_sorted_by(|a, b| a.t_s <= b.t_s) {
                return Err(at("give boxes in order of time"));
            }
            if !e.boxes.iter().all(|b| inside(b.bbox)) {
                return Err(at("a box is not within the frame"));
            }
            if e.zone
                .as_ref()
                .is_some_and(|z| !truth.zones.iter().any(|t| t.name == *z))
            {
                return Err(at("its zone is not listed"));
            }
        }
        Ok(truth)
    }
}

impl Episode {
    /// Where it is at a time, between two boxes on the straight line; `None` outside.
    fn at(&self, time_s: f64) -> Option<BBox> {
        let (first, last) = (self.boxes.first()?, self.boxes.last()?);
        if time_s < first.t_s.min(self.start_s) || time_s > last.t_s.max(self.end_s) {
            return None;
        }
        let after = self.boxes.iter().find(|b| b.t_s >= time_s).unwrap_or(last);
        let before = self
            .boxes
            .iter()
            .rev()
            .find(|b| b.t_s <= time_s)
            .unwrap_or(first);
        let span = after.t_s - before.t_s;
        let share = if span > 0.0 {
            (time_s - before.t_s) / span
        } else {
            0.0
        } as f32;
        let mixed = |i: usize| before.bbox[i] + (after.bbox[i] - before.bbox[i]) * share;
        Some(BBox::from_xywh([mixed(0), mixed(1), mixed(2), mixed(3)]))
    }
}

/// A finding of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Hazard code.
    pub code: String,
    /// When it was told, seconds.
    pub opened_s: f64,
    /// Places where it was seen: media time in seconds and box. At least one.
    pub seen: Vec<(f64, BBox)>,
}

/// How the findings of one kind fit the episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpisodeMetrics {
    /// Hazard code.
    pub code: String,
    /// Real hazards.
    pub episodes: usize,
    /// Of those, found.
    pub found: usize,
    /// Real hazards whose part is at least as high as the limit given; the others no program with
    /// that limit can find.
    pub large_enough: usize,
    /// Of those, found.
    pub found_large_enough: usize,
    /// Findings beyond the first of each found episode.
    pub fragments: usize,
    /// Findings of what is in order, or of nothing.
    pub false_alarms: usize,
    /// Findings of what the footage does not allow to say.
    pub overclaimed: usize,
    /// Seconds from the start of each found episode to its first finding, rising.
    pub time_to_detect_s: Vec<f64>,
    /// Hours watched.
    pub camera_hours: f64,
}

impl EpisodeMetrics {
    /// Share of the real hazards that were found.
    pub fn recall(&self) -> Option<f64> {
        (self.episodes > 0).then(|| self.found as f64 / self.episodes as f64)
    }

    /// False alarms for each hour of one camera.
    pub fn false_alarms_per_hour(&self) -> f64 {
        self.false_alarms as f64 / self.camera_hours
    }

    /// Adds the figures of another clip.
    pub fn add(&mut self, other: &Self) {
        self.episodes += other.episodes;
        self.found += other.found;
        self.large_enough += other.large_enough;
        self.found_large_enough += other.found_large_enough;
        self.fragments += other.fragments;
        self.false_alarms += other.false_alarms;
        self.overclaimed += other.overclaimed;
        self.camera_hours += other.camera_hours;
        self.time_to_detect_s.extend(&other.time_to_detect_s);
        self.time_to_detect_s.sort_by(f64::total_cmp);
    }
}

/// Holds findings against the truth, code by code. `min_part_px` is the least height of a part that
/// the rules judge, pixels of the clip.
pub fn judge(truth: &ClipTruth, found: &[Found], min_part_px: f32) -> Vec<EpisodeMetrics> {
    truth
        .judged
        .iter()
        .map(|j| judge_code(truth, &j.code, found, min_part_px))
        .collect()
}

fn judge_code(truth: &ClipTruth, code: &str, found: &[Found], min_part_px: f32) -> EpisodeMetrics {
    let episodes: Vec<&Episode> = truth.episodes.iter().filter(|e| e.code == code).collect();
    let mut first: Vec<Option<f64>> = vec![None; episodes.len()];
    let (mut fragments, mut false_alarms, mut overclaimed) = (0, 0, 0);
    let mut mine: Vec<&Found> = found.iter().filter(|f| f.code == code).collect();
    mine.sort_by(|a, b| a.opened_s.total_cmp(&b.opened_s));
    for finding in mine {
        let best = episodes
            .iter()
            .enumerate()
            .map(|(i, e)| (i, overlap(e, finding)))
            .filter(|(_, iou)| *iou >= MEET_IOU)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        match best.map(|(i, _)| (i, episodes[i].answer)) {
            Some((i, Answer::NonCompliant)) => match first[i] {
                Some(_) => fragments += 1,
                None => first[i] = Some((finding.opened_s - episodes[i].start_s).max(0.0)),
            },
            Some((_, Answer::CannotDetermine)) => overclaimed += 1,
            Some(_) => false_alarms += 1,
            None if is_ignored(truth, finding) => {}
            None => false_alarms += 1,
        }
    }
    let real = |e: &&Episode| e.answer == Answer::NonCompliant;
    let large = |e: &Episode| e.part_px.is_none_or(|px| px >= min_part_px);
    let both = || episodes.iter().zip(&first).filter(|(e, _)| real(e));
    let mut time_to_detect_s: Vec<f64> = first.iter().flatten().copied().collect();
    time_to_detect_s.sort_by(f64::total_cmp);
    EpisodeMetrics {
        code: code.to_owned(),
        episodes: both().count(),
        found: both().filter(|(_, f)| f.is_some()).count(),
        large_enough: both().filter(|(e, _)| large(e)).count(),
        found_large_enough: both().filter(|(e, f)| large(e) && f.is_some()).count(),
        fragments,
        false_alarms,
        overclaimed,
        time_to_detect_s,
        camera_hours: truth.clip.duration_s / 3600.0,
    }
}

/// The best IoU at any moment of the finding within the episode.
fn overlap(episode: &Episode, finding: &Found) -> f32 {
    if finding.opened_s > episode.end_s + LATE_S {
        return 0.0;
    }
    let ious = finding.seen.iter().filter_map(|(time_s, bbox)| {
        let at = episode.at(*time_s)?;
        Some(at.iou(*bbox))
    });
    ious.fold(0.0, f32::max)
}

fn is_ignored(truth: &ClipTruth, finding: &Found) -> bool {
    truth.ignore.iter().any(|i| {
        let region = BBox::from_xywh(i.bbox);
        i.codes.contains(&finding.code)
            && finding.seen.iter().any(|(time_s, bbox)| {
                (i.start_s..=i.end_s).contains(time_s) && bbox.share_inside(region) >= 0.5
            })
    })
}
