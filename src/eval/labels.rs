//! Ground truth and predictions as an evaluation takes them.
//!
//! Boxes are COCO's `[x, y, width, height]` in double precision, exactly as the file has them,
//! and no [`crate::geometry::BBox`]: figures must agree with pycocotools to the last digit.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Labelled photos of one split.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroundTruth {
    /// In the file's order.
    pub photos: Vec<LabelledPhoto>,
    /// In the file's order.
    pub boxes: Vec<LabelledBox>,
    /// The classes that the set labels.
    pub classes: Vec<LabelledClass>,
}

/// One photo of a labelled set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledPhoto {
    /// The set's own id.
    pub id: u64,
    /// Path below the folder of photos, as the set writes it.
    pub file: String,
    /// Width that the set declares, pixels; 0 where it does not say.
    pub width: u32,
    /// Height that the set declares, pixels; 0 where it does not say.
    pub height: u32,
}

/// One labelled object.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledBox {
    /// The set's own id.
    pub id: u64,
    /// [`LabelledPhoto::id`].
    pub photo: u64,
    /// [`LabelledClass::id`].
    pub class: u64,
    /// `[x, y, width, height]`, pixels. Not checked when read: may hold NaN.
    pub bbox: [f64; 4],
    /// Square pixels; decides small, medium, large. COCO's is that of the outline, not the box.
    pub area: f64,
    /// A region with many objects (COCO `iscrowd`) or too hard to count (VOC `difficult`):
    /// neither a miss nor a false alarm.
    pub crowd: bool,
}

/// A class of a labelled set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledClass {
    /// The set's own id.
    pub id: u64,
    /// The set's own name.
    pub name: String,
}

/// One predicted object, a row of COCO's results format.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// [`LabelledPhoto::id`].
    #[serde(rename = "image_id")]
    pub photo: u64,
    /// [`LabelledClass::id`].
    #[serde(rename = "category_id")]
    pub class: u64,
    /// `[x, y, width, height]`, pixels of the upright photo.
    pub bbox: [f64; 4],
    /// Confidence, `0..=1`.
    pub score: f64,
}

impl GroundTruth {
    /// Photos by id; the last one where ids are not unique.
    pub fn photos_by_id(&self) -> HashMap<u64, &LabelledPhoto> {
        self.photos.iter().map(|p| (p.id, p)).collect()
    }
}

/// Area shared by two `[x, y, width, height]` boxes over that of both, `0..=1`.
pub(crate) fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let w = (a[0] + a[2]).min(b[0] + b[2]) - a[0].max(b[0]);
    let h = (a[1] + a[3]).min(b[1] + b[3]) - a[1].max(b[1]);
    let shared = w.max(0.0) * h.max(0.0);
    let union = a[2] * a[3] + b[2] * b[3] - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}
