//! What is known of the hazards in a photo.

use crate::detection::{Detection, LabelMap};
use crate::geometry::BBox;
use crate::hazard::Answer;
use crate::rules::{self, Group, PhotoRule, RuleSet, Scene};
use crate::zone::Zone;

/// A candidate meets a hazard of the truth when the smaller of the two boxes lies in the other by
/// this share of its area: a candidate without a person is the head alone, and labels draw heads
/// tighter or wider.
const MEET: f32 = 0.5;

/// What is known about one kind of hazard in one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Hazard code.
    pub code: String,
    /// Each hazard.
    pub hazards: Vec<Hazard>,
    /// Number of items that are as they should be.
    pub in_order: usize,
    /// Where the photo does not allow to say.
    pub undecidable: Vec<Place>,
    /// A part lower than this as the model sees it is not judged by the rule, pixels; 0 if the
    /// rule has no such limit.
    pub min_part_px: f32,
}

/// One hazard.
#[derive(Debug, Clone, PartialEq)]
pub struct Hazard {
    /// Where it is.
    pub place: Place,
    /// Height of the part that the rule judges (a head), pixels of the photo, where known.
    pub part_px: Option<f32>,
}

/// Where something is in a photo, as precisely as is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In this box, pixels of the upright photo.
    Box(BBox),
    /// Somewhere in this zone.
    Zone(Zone),
    /// Somewhere.
    Anywhere,
}

impl Place {
    /// How well a candidate meets this; `None` where it does not. It rests on `part`, and the
    /// `whole` of it stands in a zone or not.
    pub(super) fn meets(&self, part: BBox, whole: BBox, size: (u32, u32)) -> Option<f32> {
        match self {
            Self::Box(b) => {
                let share = b.share_inside(part).max(part.share_inside(*b));
                (share >= MEET).then(|| b.iou(part))
            }
            Self::Zone(zone) => zone.holds(whole, size).then_some(0.0),
            Self::Anywhere => Some(0.0),
        }
    }

    /// The smallest box around it, pixels of a photo of this size.
    pub(super) fn bbox(&self, size: (u32, u32)) -> BBox {
        match self {
            Self::Box(b) => *b,
            Self::Zone(zone) => zone.bbox(size),
            Self::Anywhere => BBox::new(0.0, 0.0, size.0 as f32, size.1 as f32),
        }
    }
}

impl Truth {
    /// The answer that somebody who knows all of it gives.
    pub fn answer(&self) -> Answer {
        match (self.hazards.is_empty(), self.undecidable.is_empty()) {
            (false, _) => Answer::NonCompliant,
            (true, false) => Answer::CannotDetermine,
            (true, true) if self.in_order > 0 => Answer::Compliant,
            (true, true) => Answer::NotApplicable,
        }
    }
}

/// The least height of a part that a kind's rules judge, pixels as the model sees it; 0 where they
/// have no such limit.
pub fn min_part_px<'r>(rules: impl IntoIterator<Item = &'r PhotoRule>) -> f32 {
    let parts = rules.into_iter().map(|r| match r {
        PhotoRule::PersonItem(r) => r.min_part_px,
        _ => 0.0,
    });
    parts.fold(0.0, f32::max)
}

/// The kinds that the labels of a set can judge, with their truth in one photo. `boxes` are its
/// labelled boxes, by class of `labels`.
pub fn truth_of(
    rules: &RuleSet,
    labels: &LabelMap,
    size: (u32, u32),
    boxes: &[(usize, BBox)],
) -> Vec<Truth> {
    let of = |group: &Group| -> Vec<BBox> {
        boxes
            .iter()
            .filter(|(class, _)| group.matches(labels.name(*class)))
            .map(|(_, bbox)| *bbox)
            .collect()
    };
    // what the rules would say of a detector that sees exactly the labels
    let detections: Vec<Detection> = boxes
        .iter()
        .map(|&(class, bbox)| Detection {
            class,
            bbox,
            score: 1.0,
        })
        .collect();
    let scene = Scene {
        width: size.0,
        height: size.1,
        detections: &detections,
        labels,
        seen_scale: 1.0,
    };
    let seen = rules::evaluate(rules, &scene, None).candidates;
    let truth = |code: &str, rule: &PhotoRule| match rule {
        PhotoRule::PersonItem(r) if r.bare.known(labels) && r.item.known(labels) => {
            Some((of(&r.bare), of(&r.item).len(), r.min_part_px))
        }
        PhotoRule::Presence(r) if r.objects.iter().any(|o| o.object.known(labels)) => {
            let places = seen.iter().filter(|c| c.code == code).map(|c| c.bbox);
            Some((places.collect(), 0, 0.0))
        }
        _ => None,
    };
    let hazard = |bbox: BBox| Hazard {
        place: Place::Box(bbox),
        part_px: Some(bbox.height()),
    };
    rules
        .kinds()
        .iter()
        .filter_map(|kind| {
            let mut truths = kind.rules.iter().filter_map(|r| truth(&kind.code, r));
            let (hazards, in_order, min_part_px) = truths.next()?;
            Some(Truth {
                code: kind.code.clone(),
                hazards: hazards.into_iter().map(hazard).collect(),
                in_order,
                undecidable: Vec::new(),
                min_part_px,
            })
        })
        .collect()
}
