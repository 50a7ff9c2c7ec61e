//! What a watch remembers over a restart, so that one hazard stays one finding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
}

/// Whether somebody seen at `now` may be who was last seen at `was`, `gap_s` seconds before: not
/// further off than they can have walked, and about as tall.
pub(super) fn may_be_the_same(was: BBox, now: BBox, gap_s: f64) -> bool {
    if was.iou(now) >= 0.3 {
        return true;
    }
    let ((x1, y1), (x2, y2)) = (was.center(), now.center());
    let (h1, h2) = (was.height(), now.height());
    // a person walks about their own height in a second and a quarter
    let reach = h1.max(h2) * (0.5 + 0.8 * gap_s as f32).min(2.5);
    (x1 - x2).hypot(y1 - y2) <= reach && (0.6..=1.67).contains(&(h1 / h2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_walks_out_of_sight_may_come_back_near_by() {
        let was = BBox::from_xywh([100.0, 100.0, 40.0, 100.0]);
        let at = |x: f32, h: f32| BBox::from_xywh([x, 100.0, 0.4 * h, h]);
        assert!(may_be_the_same(was, at(180.0, 100.0), 1.0));
        assert!(!may_be_the_same(was, at(400.0, 100.0), 1.0));
        assert!(!may_be_the_same(was, at(600.0, 100.0), 60.0));
        assert!(!may_be_the_same(was, at(160.0, 200.0), 1.0));
    }
}
