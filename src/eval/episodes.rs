//! Findings of a clip against its annotated hazard episodes: how many were found, how late, in how
//! many pieces, and how often the alarm was false. The format and the rules of counting are told in
//! `datasets/episodes/README.md`.

#[cfg(test)]
mod tests;
mod truth;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::truth::{
    ClipAbout, ClipTruth, Distractor, Episode, Ignored, Judged, Person, TimedBox,
};
use super::Interval;
use super::clip_findings::{ClipFinding, SeenAt};
use crate::geometry::BBox;
use crate::hazard::Answer;

/// A finding and an episode are the same place at this IoU.
const MEET_IOU: f32 = 0.3;
/// A finding this long after an episode ended still belongs to it: confirmation takes time, seconds.
const LATE_S: f64 = 2.0;

/// A finding of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Hazard code.
    pub code: String,
    /// When it was told, seconds.
    pub opened_s: f64,
    /// The zone, for what concerns one.
    pub zone: Option<String>,
    /// Places where it was seen: media time in seconds and box. At least one.
    pub seen: Vec<(f64, BBox)>,
}

impl From<&ClipFinding> for Found {
    fn from(finding: &ClipFinding) -> Self {
        let seen = finding.seen.iter();
        Self {
            code: finding.code.clone(),
            opened_s: finding.opened_s,
            zone: finding.zone.clone(),
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
    pub fn recall(&self) -> Interval {
        Interval::share(self.found, self.episodes)
    }

    /// The same of those that are large enough.
    pub fn recall_large_enough(&self) -> Interval {
        Interval::share(self.found_large_enough, self.large_enough)
    }

    /// False alarms for each hour of one camera.
    pub fn false_alarms_per_hour(&self) -> Interval {
        Interval::rate(self.false_alarms, self.camera_hours)
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
                bbox: best.map_or_else(|| truth.zone_bbox(e), |b| b.bbox),
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

/// How well a finding and an episode are one: the best IoU at any moment of the finding within the
/// episode; 1 where both are of one zone, which is judged as a whole.
fn overlap(episode: &Episode, finding: &Found) -> f32 {
    if finding.opened_s > episode.end_s + LATE_S {
        return 0.0;
    }
    if let (Some(theirs), Some(ours)) = (&episode.zone, &finding.zone) {
        let during = |(t, _): &(f64, BBox)| (episode.start_s..=episode.end_s).contains(t);
        let one = theirs == ours && finding.seen.iter().any(during);
        return if one { 1.0 } else { 0.0 };
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
