//! Findings of a clip against its annotated hazard episodes: how many were found, how late, in how
//! many pieces, and how often the alarm was false. The format and the rules of counting are told in
//! `datasets/episodes/README.md`.

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clip_findings::{ClipFinding, SeenAt, between};
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
        between(self.boxes.iter().map(|b| (b.t_s, b.bbox)), time_s)
    }

    /// The box in which it is seen largest.
    fn best(&self) -> Option<TimedBox> {
        let area = |b: &TimedBox| b.bbox[2] * b.bbox[3];
        self.boxes
            .iter()
            .copied()
            .max_by(|a, b| area(a).total_cmp(&area(b)))
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

impl From<&ClipFinding> for Found {
    fn from(finding: &ClipFinding) -> Self {
        let seen = finding.seen.iter();
        Self {
            code: finding.code.clone(),
            opened_s: finding.opened_s,
            seen: seen.map(|s| (s.time_s, BBox::from_xywh(s.bbox))).collect(),
        }
    }
}

/// What the truth says of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The first finding of a real hazard.
    Found {
        /// Number of the episode.
        episode: u32,
    },
    /// A further finding of a real hazard.
    Fragment {
        /// Number of the episode.
        episode: u32,
    },
    /// A finding of what the footage does not allow to say.
    Overclaimed {
        /// Number of the episode.
        episode: u32,
    },
    /// A finding of what is in order, or of nothing.
    FalseAlarm {
        /// Number of the episode that is in order.
        episode: Option<u32>,
        /// The annotated look-alike there, if any.
        looks_like: Option<String>,
    },
    /// Where nothing was annotated one by one.
    Ignored,
    /// A kind that nobody annotated in this clip.
    NotJudged,
}

/// What became of an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpisodeResult {
    /// Number within the truth.
    pub episode: u32,
    /// Hazard code.
    pub code: String,
    /// What the footage allows to say.
    pub answer: Answer,
    /// Number of the person, where it is a person's.
    pub person: Option<u32>,
    /// First frame, seconds.
    pub start_s: f64,
    /// Last frame, seconds.
    pub end_s: f64,
    /// Whether its part is at least as high as the limit given.
    pub large_enough: bool,
    /// Seconds from its start to the first finding; null where there is none.
    pub found_after_s: Option<f64>,
    /// Where it is seen largest.
    pub largest: SeenAt,
    /// The annotator's reason.
    pub note: String,
}

/// All that the truth says of a clip's findings.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// One for each judged kind.
    pub kinds: Vec<EpisodeMetrics>,
    /// One for each finding, in their order.
    pub verdicts: Vec<Verdict>,
    /// One for each episode, in their order.
    pub episodes: Vec<EpisodeResult>,
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

    /// Median seconds from the start of a found episode to its first finding.
    pub fn median_delay_s(&self) -> Option<f64> {
        let delays = &self.time_to_detect_s;
        delays.get(delays.len() / 2).copied()
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

/// Holds findings against the truth. `min_part_px` is the least height of a part that the rules
/// judge, pixels of the clip.
pub fn judge(truth: &ClipTruth, found: &[Found], min_part_px: f32) -> Judgement {
    let mut first: Vec<Option<f64>> = vec![None; truth.episodes.len()];
    let mut verdicts = vec![Verdict::NotJudged; found.len()];
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| found[*a].opened_s.total_cmp(&found[*b].opened_s));
    for i in order {
        verdicts[i] = verdict(truth, &found[i], &mut first);
    }
    let results = truth.episodes.iter().zip(&first).map(|(e, first)| {
        let best = e.best();
        EpisodeResult {
            episode: e.id,
            code: e.code.clone(),
            answer: e.answer,
            person: e.person,
            start_s: e.start_s,
            end_s: e.end_s,
            large_enough: e.part_px.is_none_or(|px| px >= min_part_px),
            found_after_s: *first,
            largest: SeenAt {
                time_s: best.map_or(e.start_s, |b| b.t_s),
                bbox: best.map_or([0.0; 4], |b| b.bbox),
            },
            note: e.note.clone(),
        }
    });
    let episodes: Vec<EpisodeResult> = results.collect();
    let judged = truth.judged.iter();
    Judgement {
        kinds: judged
            .map(|j| metrics(truth, &j.code, &episodes, found, &verdicts))
            .collect(),
        verdicts,
        episodes,
    }
}

/// Takes the findings in order of time: `first` holds the delay of each episode found so far.
fn verdict(truth: &ClipTruth, finding: &Found, first: &mut [Option<f64>]) -> Verdict {
    if !truth.judged.iter().any(|j| j.code == finding.code) {
        return Verdict::NotJudged;
    }
    let best = truth
        .episodes
        .iter()
        .enumerate()
        .filter(|(_, e)| e.code == finding.code)
        .map(|(i, e)| (i, overlap(e, finding)))
        .filter(|(_, iou)| *iou >= MEET_IOU)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((i, _)) = best else {
        return match is_ignored(truth, finding) {
            true => Verdict::Ignored,
            false => Verdict::FalseAlarm {
                episode: None,
                looks_like: look_alike(truth, finding),
            },
        };
    };
    let episode = truth.episodes[i].id;
    match truth.episodes[i].answer {
        Answer::NonCompliant if first[i].is_some() => Verdict::Fragment { episode },
        Answer::NonCompliant => {
            first[i] = Some((finding.opened_s - truth.episodes[i].start_s).max(0.0));
            Verdict::Found { episode }
        }
        Answer::CannotDetermine => Verdict::Overclaimed { episode },
        Answer::Compliant | Answer::NotApplicable => Verdict::FalseAlarm {
            episode: Some(episode),
            looks_like: None,
        },
    }
}

fn metrics(
    truth: &ClipTruth,
    code: &str,
    episodes: &[EpisodeResult],
    found: &[Found],
    verdicts: &[Verdict],
) -> EpisodeMetrics {
    let real = || {
        let episodes = episodes.iter().filter(|e| e.code == code);
        episodes.filter(|e| e.answer == Answer::NonCompliant)
    };
    let of_code = || found.iter().zip(verdicts).filter(|(f, _)| f.code == code);
    let count = |is: fn(&Verdict) -> bool| of_code().filter(|(_, v)| is(v)).count();
    let mut time_to_detect_s: Vec<f64> = real().filter_map(|e| e.found_after_s).collect();
    time_to_detect_s.sort_by(f64::total_cmp);
    EpisodeMetrics {
        code: code.to_owned(),
        episodes: real().count(),
        found: time_to_detect_s.len(),
        large_enough: real().filter(|e| e.large_enough).count(),
        found_large_enough: real()
            .filter(|e| e.large_enough && e.found_after_s.is_some())
            .count(),
        fragments: count(|v| matches!(v, Verdict::Fragment { .. })),
        false_alarms: count(|v| matches!(v, Verdict::FalseAlarm { .. })),
        overclaimed: count(|v| matches!(v, Verdict::Overclaimed { .. })),
        time_to_detect_s,
        camera_hours: truth.clip.duration_s / 3600.0,
    }
}

/// The annotated look-alike that a false alarm lies on.
fn look_alike(truth: &ClipTruth, finding: &Found) -> Option<String> {
    let lies_on = |d: &&Distractor| {
        let region = BBox::from_xywh(d.bbox);
        finding.seen.iter().any(|(time_s, bbox)| {
            (d.start_s..=d.end_s).contains(time_s)
                && (bbox.share_inside(region) >= 0.5 || bbox.iou(region) >= MEET_IOU)
        })
    };
    truth
        .distractors
        .iter()
        .find(lies_on)
        .map(|d| d.what.clone())
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
