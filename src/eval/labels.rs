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

/// Most predictions of a class in one photo that COCO's figures count.
const MOST_COUNTED: usize = 100;

/// Keeps the surest 100 of each class in each photo, the first ones among equals, in their order:
/// the ones that COCO counts. The rest would cost the error types time and memory without end. Says
/// how many went.
pub fn keep_counted(predictions: &mut Vec<Prediction>) -> usize {
    let mut cells: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    for (i, p) in predictions.iter().enumerate() {
        cells.entry((p.photo, p.class)).or_default().push(i);
    }
    let mut kept = vec![true; predictions.len()];
    for cell in cells.values_mut().filter(|c| c.len() > MOST_COUNTED) {
        cell.sort_by(|&a, &b| predictions[b].score.total_cmp(&predictions[a].score));
        for &i in &cell[MOST_COUNTED..] {
            kept[i] = false;
        }
    }
    let all = predictions.len();
    let mut kept = kept.into_iter();
    predictions.retain(|_| kept.next() == Some(true));
    all - predictions.len()
}

/// Area shared by two `[x, y, width, height]` boxes over that of both, `0..=1`.
pub(crate) fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let w = (a[0] + a[2]).min(b[0] + b[2]) - a[0].max(b[0]);
    let h = (a[1] + a[3]).min(b[1] + b[3]) - a[1].max(b[1]);
    let shared = w.max(0.0) * h.max(0.0);
    let union = a[2] * a[3] + b[2] * b[3] - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_hundred_of_a_class_and_photo_stay_in_their_order() {
        let one = |class: u64, i: u32| Prediction {
            photo: 1,
            class,
            bbox: [f64::from(i), 0.0, 1.0, 1.0],
            score: f64::from(i / 2) / 1000.0,
        };
        let mut predictions: Vec<Prediction> = (0..203).map(|i| one(1, i)).collect();
        predictions.extend((0..50).map(|i| one(2, i)));
        // two share each score: of 102 and 103 the first one stays
        let expected: Vec<Prediction> = predictions
            .iter()
            .filter(|p| p.class == 2 || p.bbox[0] == 102.0 || p.bbox[0] > 103.0)
            .copied()
            .collect();
        assert_eq!(expected.len(), 150);
        assert_eq!(keep_counted(&mut predictions), 103);
        assert_eq!(predictions, expected);
    }
}
