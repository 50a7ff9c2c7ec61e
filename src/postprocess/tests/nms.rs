//! Properties of suppression, and of the way there and back through a letterbox.

use proptest::prelude::*;

use super::*;
use crate::geometry::BBox;
use crate::postprocess::nms::nms_voted;

/// Coarse numbers, so that ties of score and identical boxes happen.
fn detection() -> impl Strategy<Value = Detection> {
    (0..3usize, 0..20u8, 0..12u8, 0..12u8, 1..8u8, 1..8u8).prop_map(|(class, s, x, y, w, h)| {
        let [x, y, w, h] = [x, y, w, h].map(|v| f32::from(v) * 3.0);
        Detection {
            class,
            score: f32::from(s) / 20.0,
            bbox: BBox::new(x, y, x + w, y + h),
        }
    })
}

fn detections() -> impl Strategy<Value = Vec<Detection>> {
    proptest::collection::vec(detection(), 0..40)
}

/// The definition, word by word: a box stays if no better box that stays overlaps it too much.
fn naive(mut all: Vec<Detection>, iou: f32, per_class: bool) -> Vec<Detection> {
    all.sort_by(super::super::nms::best_first);
    let mut stays = vec![true; all.len()];
    for i in 0..all.len() {
        for j in 0..i {
            let rivals = !per_class || all[i].class == all[j].class;
            if stays[j] && rivals && all[j].bbox.iou(all[i].bbox) > iou {
                stays[i] = false;
            }
        }
    }
    let kept = all.iter().zip(&stays).filter(|(_, s)| **s);
    kept.map(|(d, _)| *d).collect()
}

/// An overlap of exactly the threshold may stand, as in `torchvision.ops.nms`.
#[test]
fn an_overlap_of_the_threshold_stands() {
    let at = |x: f32, score: f32| Detection {
        class: 0,
        score,
        bbox: BBox::new(x, 0.0, x + 3.0, 1.0),
    };
    let pair = vec![at(0.0, 0.9), at(1.0, 0.8)];
    assert_eq!(pair[0].bbox.iou(pair[1].bbox), 0.5);
    assert_eq!(nms(pair.clone(), 0.5, true, 9).len(), 2);
    assert_eq!(nms(pair, 0.499, true, 9).len(), 1);
}

/// The bound on candidates cuts the worst, not the last.
#[test]
fn the_best_of_very_many_are_kept() {
    let count = 40_000u16;
    let rows: Vec<[f32; 5]> = (0..count)
        .map(|i| [0.5, 0.5, 0.1, 0.1, f32::from(i + 1) / f32::from(count)])
        .collect();
    let shape = [1, rows.len(), 5];
    let outputs = [output("o", &shape, rows.as_flattened())];
    let spec = head("family = 'detr'\nlayout = 'joined'\nmax_detections = 100000");
    let found = decode(&spec, 1, (64, 64), &outputs, &identity(), &[0.0]).unwrap();
    assert_eq!(found.len(), 30_000);
    assert_eq!(found[0].score, 1.0);
    assert_eq!(found[29_999].score, 10_001.0 / 40_000.0);
}

proptest! {
    #[test]
    fn equals_the_definition(all in detections(), iou in 0.0..1.0f32, per_class: bool) {
        prop_assert_eq!(nms(all.clone(), iou, per_class, usize::MAX), naive(all, iou, per_class));
    }

    #[test]
    fn twice_is_once(all in detections(), iou in 0.0..1.0f32, per_class: bool) {
        let once = nms(all, iou, per_class, usize::MAX);
        prop_assert_eq!(nms(once.clone(), iou, per_class, usize::MAX), once);
    }

    #[test]
    fn survivors_stand_apart(all in detections(), iou in 0.0..1.0f32, per_class: bool) {
        let kept = nms(all, iou, per_class, usize::MAX);
        for (i, a) in kept.iter().enumerate() {
            for b in &kept[..i] {
                prop_assert!((per_class && a.class != b.class) || a.bbox.iou(b.bbox) <= iou);
            }
        }
    }

    #[test]
    fn the_best_survives(all in detections(), iou in 0.0..1.0f32, per_class: bool) {
        let best = all.iter().copied().min_by(super::super::nms::best_first);
        prop_assert_eq!(nms(all, iou, per_class, usize::MAX).first().copied(), best);
    }

    #[test]
    fn order_of_arrival_does_not_matter(
        (all, shuffled) in detections().prop_flat_map(|all| {
            (Just(all.clone()), Just(all).prop_shuffle())
        }),
        iou in 0.0..1.0f32,
        per_class: bool,
    ) {
        prop_assert_eq!(
            nms(all, iou, per_class, usize::MAX),
            nms(shuffled, iou, per_class, usize::MAX)
        );
    }

    #[test]
    fn max_takes_the_first(all in detections(), iou in 0.0..1.0f32, max in 0..10usize) {
        let mut kept = nms(all.clone(), iou, true, usize::MAX);
        kept.truncate(max);
        prop_assert_eq!(nms(all, iou, true, max), kept);
    }

    #[test]
    fn letterbox_there_and_back(
        scale in (0.05..4.0f32, 0.05..4.0f32),
        pad in (0.0..200.0f32, 0.0..200.0f32),
        origin in (0.0..3000.0f32, 0.0..3000.0f32),
        size in (16.0..4000.0f32, 16.0..4000.0f32),
        corners in (0.0..1.0f32, 0.0..1.0f32, 0.0..1.0f32, 0.0..1.0f32),
    ) {
        let laid = Letterbox {
            scale_x: scale.0,
            scale_y: scale.1,
            pad_x: pad.0,
            pad_y: pad.1,
            origin_x: origin.0,
            origin_y: origin.1,
            width: size.0,
            height: size.1,
        };
        let (a, b, c, d) = corners;
        let inside = BBox::new(
            origin.0 + a.min(c) * size.0,
            origin.1 + b.min(d) * size.1,
            origin.0 + a.max(c) * size.0,
            origin.1 + b.max(d) * size.1,
        );
        let back = laid.inverse(laid.forward(inside));
        for (v, w) in [
            (back.x1, inside.x1), (back.y1, inside.y1), (back.x2, inside.x2), (back.y2, inside.y2),
        ] {
            // 24 bits over at most 4000 px and a padding of 200 px at scale 0.05.
            prop_assert!((v - w).abs() < 0.02, "{back:?} {inside:?}");
        }
    }
}

#[test]
fn boxes_vote_on_where_the_kept_one_lies() {
    let at = |x1: f32, score: f32, class: usize| Detection {
        class,
        score,
        bbox: BBox::new(x1, 0.0, x1 + 100.0, 100.0),
    };
    let all = vec![
        at(0.0, 0.6, 0),
        at(8.0, 0.2, 0),   // IoU 0.85: votes
        at(20.0, 0.59, 0), // IoU 0.67: suppressed, but too far off to vote
        at(0.5, 0.9, 1),   // another class
    ];
    let kept = nms_voted(all.clone(), 0.65, true, 10, 0.75);
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0], all[3]);
    assert_eq!(kept[1].score, 0.6);
    let x1 = (0.6 * 0.0 + 0.2 * 8.0) / 0.8;
    assert!((kept[1].bbox.x1 - x1).abs() < 1e-5, "{:?}", kept[1].bbox);
    assert!((kept[1].bbox.x2 - x1 - 100.0).abs() < 1e-4);
    // whatever order they come in
    let turned = all.into_iter().rev().collect();
    assert_eq!(nms_voted(turned, 0.65, true, 10, 0.75), kept);
}
