//! What a change would have told otherwise of a clip: the findings of two runs held against each
//! other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::NotCompared;
use super::clip_findings::ClipFinding;
use crate::confirm::ConfirmConfig;
use crate::record::{ModelRecord, SettingsRecord};
use crate::tracking::TrackerConfig;
use crate::zone::Zones;

/// Findings of one kind are the same one at this mean IoU over the moments that both were seen.
const SAME_IOU: f32 = 0.3;
/// A finding told this much earlier or later is a change, seconds.
const MOVED_S: f64 = 0.5;

/// A replay of clips as it is written and read: `sitewarden replay --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden replay of clips")]
pub struct ClipReplayDocument {
    /// Version of the program that replayed.
    pub sitewarden: String,
    /// The recorded run.
    pub was: ClipSide,
    /// What was tried on the same clips.
    pub now: ClipSide,
    /// Clips compared.
    pub compared: usize,
    /// Clips that could not be compared, with the reason.
    pub not_compared: Vec<NotCompared>,
    /// Clips with at least one finding that would change, in the order of the run.
    pub clips: Vec<ClipChanges>,
    /// All compared clips, by hazard kind.
    pub summary: Vec<FindingCount>,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClipSide {
    /// The model.
    pub model: ModelRecord,
    /// The settings.
    pub settings: SettingsRecord,
    /// Frames looked at for each second.
    pub fps: f64,
    /// How objects were followed.
    pub tracker: TrackerConfig,
    /// When a hazard counted as confirmed.
    pub confirm: ConfirmConfig,
    /// The zones that were drawn.
    #[serde(default, skip_serializing_if = "Zones::is_empty")]
    pub zones: Zones,
    /// Whether the model looked at parts of frames, too; not so in runs that were recorded before there was this.
    #[serde(default)]
    pub parts: bool,
}

/// The findings of one clip that would change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClipChanges {
    /// As in the run.
    pub path: String,
    /// Digest of the clip.
    pub sha256: String,
    /// Findings that there would be, and were not.
    pub appeared: Vec<ClipFinding>,
    /// Findings that there were, and would not be.
    pub gone: Vec<ClipFinding>,
    /// Findings that stay, but are told at another time or end in another way.
    pub moved: Vec<MovedFinding>,
}

/// A finding that stays, but not as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MovedFinding {
    /// In the run.
    pub was: ClipFinding,
    /// Now.
    pub now: ClipFinding,
}

/// How many findings of a kind there were, and how many of them would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingCount {
    /// Hazard code.
    pub code: String,
    /// Findings in the run.
    pub was: usize,
    /// Findings now.
    pub now: usize,
    /// Those that there were not.
    pub appeared: usize,
    /// Those that there would not be.
    pub gone: usize,
    /// Those told at another time or ended in another way.
    pub moved: usize,
}

/// The differences between the findings of two runs over one clip. Scores and boxes may move
/// without a finding changing.
pub fn clip_changes(
    path: &str,
    sha256: &str,
    was: &[ClipFinding],
    now: &[ClipFinding],
) -> ClipChanges {
    let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
    for (i, a) in was.iter().enumerate() {
        for (j, b) in now.iter().enumerate() {
            let likeness = a.likeness(b);
            if likeness >= SAME_IOU {
                pairs.push((likeness, i, j));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let (mut was_left, mut now_left) = (vec![true; was.len()], vec![true; now.len()]);
    let mut moved = Vec::new();
    for (_, i, j) in pairs {
        if !(was_left[i] && now_left[j]) {
            continue;
        }
        (was_left[i], now_left[j]) = (false, false);
        let (a, b) = (&was[i], &now[j]);
        if (a.opened_s - b.opened_s).abs() > MOVED_S || a.cleared != b.cleared {
            moved.push(MovedFinding {
                was: a.clone(),
                now: b.clone(),
            });
        }
    }
    moved.sort_by_key(|m| m.was.finding);
    let left = |of: &[ClipFinding], left: &[bool]| {
        let kept = of.iter().zip(left).filter(|(_, left)| **left);
        kept.map(|(f, _)| f.clone()).collect()
    };
    ClipChanges {
        path: path.to_owned(),
        sha256: sha256.to_owned(),
        appeared: left(now, &now_left),
        gone: left(was, &was_left),
        moved,
    }
}

impl ClipChanges {
    /// Whether every finding stands.
    pub fn is_empty(&self) -> bool {
        self.appeared.is_empty() && self.gone.is_empty() && self.moved.is_empty()
    }
}

/// Adds one clip to the counts, which stay in the order of their codes.
pub fn count(
    counts: &mut Vec<FindingCount>,
    was: &[ClipFinding],
    now: &[ClipFinding],
    changes: &ClipChanges,
) {
    let mut of = |code: &str, add: fn(&mut FindingCount)| {
        let at = counts.binary_search_by(|c| c.code.as_str().cmp(code));
        let at = at.unwrap_or_else(|at| {
            counts.insert(
                at,
                FindingCount {
                    code: code.to_owned(),
                    ..FindingCount::default()
                },
            );
            at
        });
        add(&mut counts[at]);
    };
    was.iter().for_each(|f| of(&f.code, |c| c.was += 1));
    now.iter().for_each(|f| of(&f.code, |c| c.now += 1));
    let ClipChanges {
        appeared,
        gone,
        moved,
        ..
    } = changes;
    appeared
        .iter()
        .for_each(|f| of(&f.code, |c| c.appeared += 1));
    gone.iter().for_each(|f| of(&f.code, |c| c.gone += 1));
    moved.iter().for_each(|m| of(&m.was.code, |c| c.moved += 1));
}

#[cfg(test)]
mod tests {
    use super::super::clip_findings::tests::walking;
    use super::*;

    #[test]
    fn the_same_findings_stand() {
        let all = [walking("X", 0.0, 10.0, 0.0), walking("Y", 3.0, 9.0, 50.0)];
        let changes = clip_changes("a", "00", &all, &all);
        assert!(changes.is_empty(), "{changes:?}");
        let mut counts = Vec::new();
        count(&mut counts, &all, &all, &changes);
        assert_eq!(counts.len(), 2);
        assert_eq!((counts[0].was, counts[0].now, counts[0].gone), (1, 1, 0));
    }

    #[test]
    fn a_finding_told_later_has_moved_and_is_neither_gone_nor_new() {
        let was = [walking("X", 0.0, 10.0, 0.0)];
        let now = [walking("X", 2.0, 10.0, 20.0)];
        let changes = clip_changes("a", "00", &was, &now);
        assert_eq!((changes.appeared.len(), changes.gone.len()), (0, 0));
        assert_eq!(changes.moved.len(), 1);
    }

    #[test]
    fn one_that_breaks_in_two_keeps_its_better_half_and_the_other_is_new() {
        let was = [walking("X", 0.0, 10.0, 0.0)];
        let now = [
            walking("X", 0.0, 5.0, 0.0),
            walking("X", 6.0, 10.0, 60.0),
            walking("Z", 6.0, 10.0, 60.0),
        ];
        let changes = clip_changes("a", "00", &was, &now);
        assert_eq!((changes.appeared.len(), changes.gone.len()), (2, 0));
        let mut counts = Vec::new();
        count(&mut counts, &was, &now, &changes);
        let codes: Vec<_> = counts
            .iter()
            .map(|c| (c.code.as_str(), c.was, c.now, c.appeared))
            .collect();
        assert_eq!(codes, [("X", 1, 2, 1), ("Z", 0, 1, 1)]);
    }
}
