//! Non-maximum suppression.
//!
//! The greedy form: boxes are taken best first; a taken box removes every later box that it
//! overlaps by *more* than the threshold (as `torchvision.ops.nms`).

use std::cmp::Ordering;

use crate::detection::Detection;
use crate::geometry::BBox;

/// A total order, best first, that does not depend on the order of arrival:
/// score down, then class, then box up.
pub(crate) fn best_first(a: &Detection, b: &Detection) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then(a.class.cmp(&b.class))
        .then(a.bbox.x1.total_cmp(&b.bbox.x1))
        .then(a.bbox.y1.total_cmp(&b.bbox.y1))
        .then(a.bbox.x2.total_cmp(&b.bbox.x2))
        .then(a.bbox.y2.total_cmp(&b.bbox.y2))
}

/// Keeps the best of each group of overlapping boxes; at most `max` of them, best first.
///
/// `iou` is the overlap (`0..=1`) up to which two boxes may stand side by side. With
/// `per_class`, boxes of different classes never suppress one another. Any coordinate system
/// will do, as long as all boxes share it.
pub fn nms(detections: Vec<Detection>, iou: f32, per_class: bool, max: usize) -> Vec<Detection> {
    let order = keep(&detections, iou, per_class, max);
    order.into_iter().map(|i| detections[i]).collect()
}

/// As [`nms`], and each kept box becomes the mean of the boxes of its class that overlap it by at
/// least `vote_iou`, itself among them, weighted by their scores: box voting, Gidaris and Komodakis,
/// <https://arxiv.org/abs/1505.01749>, section 3. Its score stays.
pub(crate) fn nms_voted(
    mut detections: Vec<Detection>,
    iou: f32,
    per_class: bool,
    max: usize,
    vote_iou: f32,
) -> Vec<Detection> {
    // sums of floats depend on their order
    detections.sort_by(best_first);
    let mean = |kept: &Detection| {
        let (mut sum, mut weight) = ([0.0_f64; 4], 0.0_f64);
        for d in detections.iter().filter(|d| d.class == kept.class) {
            if d.bbox.iou(kept.bbox) < vote_iou {
                continue;
            }
            let score = f64::from(d.score);
            let corners = [d.bbox.x1, d.bbox.y1, d.bbox.x2, d.bbox.y2];
            for (sum, corner) in sum.iter_mut().zip(corners) {
                *sum += score * f64::from(corner);
            }
            weight += score;
        }
        if weight <= 0.0 {
            return *kept; // scores of 0 carry no vote
        }
        let [x1, y1, x2, y2] = sum.map(|s| (s / weight) as f32);
        Detection {
            bbox: BBox::new(x1, y1, x2, y2),
            ..*kept
        }
    };
    let order = keep(&detections, iou, per_class, max);
    order.into_iter().map(|i| mean(&detections[i])).collect()
}

/// As [`nms`], but gives the indices of the survivors, best first.
pub(crate) fn keep(detections: &[Detection], iou: f32, per_class: bool, max: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..detections.len()).collect();
    order.sort_by(|&a, &b| best_first(&detections[a], &detections[b]));

    let mut kept: Vec<usize> = Vec::new();
    for candidate in order {
        if kept.len() == max {
            break;
        }
        let d = &detections[candidate];
        let suppressed = kept.iter().any(|&k| {
            let k = &detections[k];
            (!per_class || k.class == d.class) && k.bbox.iou(d.bbox) > iou
        });
        if !suppressed {
            kept.push(candidate);
        }
    }
    kept
}
