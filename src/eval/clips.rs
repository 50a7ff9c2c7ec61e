//! The report of a benchmark of clips: `report.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Interval;
use super::clip_changes::ClipSide;
use super::clip_findings::ClipFinding;
use super::episodes::{ClipTruth, EpisodeMetrics, EpisodeResult, Found, Verdict, judge};
use super::report::Machine;
use crate::zone::Zones;

/// What came of all clips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden bench of clips")]
pub struct ClipsReport {
    /// Version of the program.
    pub sitewarden: String,
    /// When it was made.
    pub created: String,
    /// What decided.
    pub subject: ClipSide,
    /// Where it ran.
    pub machine: Machine,
    /// One for each clip, in the order given.
    pub clips: Vec<ClipReport>,
    /// All clips together, by hazard kind.
    pub total: Vec<KindTotal>,
}

/// One kind of hazard over all clips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindTotal {
    /// What was counted.
    #[serde(flatten)]
    pub counts: EpisodeMetrics,
    /// Share of the real hazards that were found, with the interval of Wilson (95 %).
    pub recall: Interval,
    /// The same of those that are large enough.
    pub recall_large_enough: Interval,
    /// False alarms for each hour of one camera, with the exact Poisson interval (95 %).
    pub false_alarms_per_hour: Interval,
    /// Median seconds from the start of a found episode to its first finding.
    pub median_delay_s: Option<f64>,
}

/// One clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClipReport {
    /// File name.
    pub file: String,
    /// SHA-256 of the clip.
    pub sha256: String,
    /// Length, seconds.
    pub duration_s: f64,
    /// The zones that it was watched with.
    pub zones: Zones,
    /// By hazard kind.
    pub kinds: Vec<EpisodeMetrics>,
    /// What became of each annotated episode.
    pub episodes: Vec<EpisodeResult>,
    /// Everything that was told.
    pub findings: Vec<JudgedFinding>,
}

/// A finding and what the truth says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JudgedFinding {
    /// What the truth says.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The finding.
    pub finding: ClipFinding,
}

impl ClipsReport {
    /// Judges a clip and adds it. `min_part_px` as for [`judge`].
    pub fn add(&mut self, truth: &ClipTruth, findings: Vec<ClipFinding>, min_part_px: f32) {
        let found: Vec<Found> = findings.iter().map(Found::from).collect();
        let judgement = judge(truth, &found, min_part_px);
        for kind in &judgement.kinds {
            let known = self.total.iter().position(|t| t.counts.code == kind.code);
            let counts = match known {
                Some(at) => {
                    let mut counts = self.total.remove(at).counts;
                    counts.add(kind);
                    counts
                }
                None => kind.clone(),
            };
            self.total.push(KindTotal {
                recall: counts.recall(),
                recall_large_enough: counts.recall_large_enough(),
                false_alarms_per_hour: counts.false_alarms_per_hour(),
                median_delay_s: counts.median_delay_s(),
                counts,
            });
        }
        self.total.sort_by(|a, b| a.counts.code.cmp(&b.counts.code));
        let judged = judgement.verdicts.into_iter().zip(findings);
        self.clips.push(ClipReport {
            file: truth.clip.file.clone(),
            sha256: truth.clip.sha256.clone(),
            duration_s: truth.clip.duration_s,
            zones: truth.watch_zones(),
            kinds: judgement.kinds,
            episodes: judgement.episodes,
            findings: judged
                .map(|(verdict, finding)| JudgedFinding { verdict, finding })
                .collect(),
        });
    }

    /// Hours of all clips.
    pub fn camera_hours(&self) -> f64 {
        self.clips.iter().map(|c| c.duration_s).sum::<f64>() / 3600.0
    }
}
