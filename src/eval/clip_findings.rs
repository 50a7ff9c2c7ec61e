//! A finding in a clip, from its opening to its end: what episodes and replays judge.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::geometry::BBox;
use crate::hazard::{Severity, Text};

/// Media times this near are one moment, seconds: a time that was written and read may have lost
/// its last digit.
const SAME_S: f64 = 1e-3;

/// A box at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SeenAt {
    /// Media time, seconds.
    pub time_s: f64,
    /// `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
}

/// A finding of the program in a clip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClipFinding {
    /// Number within the clip, from 1.
    pub finding: u64,
    /// Hazard code.
    pub code: String,
    /// Name of the kind, both languages.
    pub name: Text,
    /// Suggested severity.
    pub severity: Severity,
    /// The zone, for what concerns one.
    #[serde(default)]
    pub zone: Option<String>,
    /// When it was told, media time, seconds.
    pub opened_s: f64,
    /// When it was cleared or ended, seconds.
    pub until_s: f64,
    /// Whether it was seen to be gone.
    pub cleared: bool,
    /// The best frame, seconds.
    pub best_time_s: f64,
    /// Confidence in the best frame, 0 to 1.
    pub score: f32,
    /// Where, in the best frame: `[x, y, width, height]`, pixels.
    pub bbox: [f32; 4],
    /// Why it was opened.
    pub reason: String,
    /// Where it was seen, in order of time. At least one.
    pub seen: Vec<SeenAt>,
}

impl ClipFinding {
    /// Where it is at a time, between two sightings on the straight line; `None` outside.
    pub fn at(&self, time_s: f64) -> Option<BBox> {
        let (first, last) = (self.seen.first()?, self.seen.last()?);
        if time_s < first.time_s - SAME_S || time_s > last.time_s + SAME_S {
            return None;
        }
        between(self.seen.iter().map(|s| (s.time_s, s.bbox)), time_s)
    }

    /// How well two findings are one: the mean IoU at the moments at which both were seen, 0 where
    /// there are none or the kinds differ.
    pub fn likeness(&self, other: &Self) -> f32 {
        if self.code != other.code {
            return 0.0;
        }
        let times = self.seen.iter().chain(&other.seen).map(|s| s.time_s);
        let ious: Vec<f32> = times
            .filter_map(|t| Some(self.at(t)?.iou(other.at(t)?)))
            .collect();
        match ious.len() {
            0 => 0.0,
            n => ious.iter().sum::<f32>() / n as f32,
        }
    }
}

/// The box at a time on the straight line between the neighbours of `boxes`, which rise in time;
/// before the first and after the last it stands still.
pub(super) fn between(
    boxes: impl DoubleEndedIterator<Item = (f64, [f32; 4])> + Clone,
    time_s: f64,
) -> Option<BBox> {
    let after = boxes.clone().find(|(t, _)| *t >= time_s);
    let before = boxes.rev().find(|(t, _)| *t <= time_s);
    let (before, after) = (before.or(after)?, after.or(before)?);
    let span = after.0 - before.0;
    let share = match span > 0.0 {
        true => ((time_s - before.0) / span) as f32,
        false => 0.0,
    };
    let mixed = |i: usize| before.1[i] + (after.1[i] - before.1[i]) * share;
    Some(BBox::from_xywh([mixed(0), mixed(1), mixed(2), mixed(3)]))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Walks to the right at 10 px a second from `x` at `from_s`.
    pub(in crate::eval) fn walking(code: &str, from_s: f64, until_s: f64, x: f32) -> ClipFinding {
        let at = |time_s: f64| SeenAt {
            time_s,
            bbox: [x + 10.0 * (time_s - from_s) as f32, 0.0, 20.0, 40.0],
        };
        ClipFinding {
            finding: 1,
            code: code.into(),
            name: Text::new(code, code),
            severity: Severity::General,
            zone: None,
            opened_s: from_s + 1.0,
            until_s,
            cleared: false,
            best_time_s: from_s,
            score: 0.5,
            bbox: at(from_s).bbox,
            reason: String::new(),
            seen: vec![at(from_s), at(until_s)],
        }
    }

    #[test]
    fn two_walks_of_one_person_are_one_finding_though_their_best_frames_differ() {
        let (a, b) = (walking("X", 0.0, 10.0, 0.0), walking("X", 4.0, 12.0, 40.0));
        assert!(a.likeness(&b) > 0.99, "{}", a.likeness(&b));
        assert!((b.likeness(&a) - a.likeness(&b)).abs() < 1e-6);
    }

    #[test]
    fn another_kind_place_or_time_is_another_finding() {
        let a = walking("X", 0.0, 10.0, 0.0);
        assert_eq!(a.likeness(&walking("Y", 0.0, 10.0, 0.0)), 0.0);
        assert_eq!(a.likeness(&walking("X", 0.0, 10.0, 60.0)), 0.0);
        assert_eq!(a.likeness(&walking("X", 11.0, 20.0, 110.0)), 0.0);
    }
}
