//! Groups of label names that mean the same thing in different models.

use serde::{Deserialize, Serialize};

use super::Scene;
use crate::detection::{Detection, LabelMap};
use crate::geometry::BBox;
use crate::hazard::Text;

/// Boxes of one group that overlap by this IoU are one object seen under two names, or twice.
const SAME_OBJECT_IOU: f32 = 0.7;

/// Coordinates beyond this (pixels) come from a broken model; areas would overflow.
const MAX_COORDINATE: f32 = 1e7;

/// Label names that stand for one thing, and what to call it in a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Alternatives; any of them will do. Compared without regard to case, `-`, `_` and space.
    pub labels: Vec<String>,
    /// Singular noun in both languages.
    pub name: Text,
}

impl Group {
    /// Whether the model has at least one of the labels.
    pub fn known(&self, labels: &LabelMap) -> bool {
        labels.names().iter().any(|name| self.matches(name))
    }

    /// Whether this label is one of the group's.
    pub fn matches(&self, name: &str) -> bool {
        self.labels.iter().any(|l| key(l) == key(name))
    }

    /// The first label: the group's name among a rule's inputs.
    pub(super) fn noun(&self) -> &str {
        self.labels.first().map_or("?", String::as_str)
    }

    /// Valid detections of this group with at least `min_score`, best first, each object once.
    ///
    /// The order depends on the detections only, not on their order in the scene.
    pub(super) fn find(&self, scene: &Scene<'_>, min_score: f32) -> Vec<Detection> {
        let wanted: Vec<bool> = scene
            .labels
            .names()
            .iter()
            .map(|name| self.matches(name))
            .collect();
        let mut found: Vec<Detection> = scene
            .detections
            .iter()
            .filter(|d| wanted.get(d.class).copied().unwrap_or(false))
            .filter(|d| usable(d.bbox) && d.score.is_finite() && d.score >= min_score)
            .map(|d| Detection {
                score: d.score.min(1.0),
                ..*d
            })
            .collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then(order(a.bbox, b.bbox)));
        let mut kept: Vec<Detection> = Vec::with_capacity(found.len());
        for d in found {
            if kept.iter().all(|k| k.bbox.iou(d.bbox) < SAME_OBJECT_IOU) {
                kept.push(d);
            }
        }
        kept
    }

    pub(super) fn check(&self, field: &str) -> Result<(), (String, String)> {
        if self.labels.is_empty() || self.labels.iter().any(|l| key(l).is_empty()) {
            return Err((
                format!("{field}.labels"),
                "give at least one label name of a model, and no empty one".into(),
            ));
        }
        check_text(&format!("{field}.name"), &self.name)
    }
}

/// Spelling variants of one label name are one label: `NO-Hardhat` is `no_hardhat`.
fn key(name: &str) -> String {
    name.trim()
        .chars()
        .map(|c| {
            if matches!(c, '-' | ' ') {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Whether the groups share a label, which would make one detection mean two things.
pub(super) fn shared_label<'a>(a: &'a Group, b: &Group) -> Option<&'a str> {
    a.labels.iter().find(|l| b.matches(l)).map(String::as_str)
}

/// Refuses a text with an empty language.
pub(super) fn check_text(field: &str, text: &Text) -> Result<(), (String, String)> {
    for (lang, value) in [("en", &text.en), ("zh", &text.zh)] {
        if value.trim().is_empty() {
            return Err((
                format!("{field}.{lang}"),
                "must not be empty; both languages are shown to people".into(),
            ));
        }
    }
    Ok(())
}

/// Refuses a number outside `min..=max`, NaN included.
pub(super) fn check_range(
    field: &str,
    value: f32,
    min: f32,
    max: f32,
) -> Result<(), (String, String)> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err((
            field.into(),
            format!("is {value}; give a number from {min} to {max}"),
        ))
    }
}

/// What a model lacks for a rule: says which classes, in both languages.
pub(super) fn cannot_see(missing: &[&Group]) -> Text {
    let list = |text: fn(&Text) -> &str, open: &str, close: &str, sep: &str| {
        missing
            .iter()
            .map(|g| format!("{}{open}{}{close}", text(&g.name), g.labels.join("/")))
            .collect::<Vec<_>>()
            .join(sep)
    };
    Text::new(
        format!(
            "The model in use cannot see this; it has no class for: {}. Use a model that has.",
            list(|t| &t.en, " (", ")", ", ")
        ),
        format!(
            "当前模型无法识别：{}。请换用具备上述类别的模型。",
            list(|t| &t.zh, "（", "）", "、")
        ),
    )
}

/// A total order of boxes, so that nothing depends on the order of the detections.
pub(super) fn order(a: BBox, b: BBox) -> std::cmp::Ordering {
    a.x1.total_cmp(&b.x1)
        .then(a.y1.total_cmp(&b.y1))
        .then(a.x2.total_cmp(&b.x2))
        .then(a.y2.total_cmp(&b.y2))
}

fn usable(b: BBox) -> bool {
    b.is_valid()
        && [b.x1, b.y1, b.x2, b.y2]
            .iter()
            .all(|v| v.abs() <= MAX_COORDINATE)
}
