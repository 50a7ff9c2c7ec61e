//! Evaluation and comparison on small scenes whose figures can be counted by hand.

use std::collections::HashMap;

use super::*;

fn truth(boxes: &[(u64, u64, [f64; 4])]) -> GroundTruth {
    let photos = boxes.iter().map(|b| b.0).max().unwrap_or(0);
    GroundTruth {
        photos: (1..=photos)
            .map(|id| LabelledPhoto {
                id,
                file: format!("{id}.jpg"),
                width: 640,
                height: 480,
            })
            .collect(),
        boxes: boxes
            .iter()
            .zip(0..)
            .map(|(&(photo, class, bbox), id)| LabelledBox {
                id,
                photo,
                class,
                bbox,
                area: bbox[2] * bbox[3],
                crowd: false,
            })
            .collect(),
        classes: [(1, "head"), (2, "helmet")]
            .map(|(id, name)| LabelledClass {
                id,
                name: name.to_owned(),
            })
            .to_vec(),
    }
}

fn plan(truth: &GroundTruth) -> ClassPlan {
    ClassPlan::new(&truth.classes, &ClassMap::default(), &[], None).unwrap()
}

fn seen(photo: u64, class: u64, bbox: [f64; 4], score: f64) -> Prediction {
    Prediction {
        photo,
        class,
        bbox,
        score,
    }
}

const A: [f64; 4] = [10.0, 10.0, 100.0, 100.0];
const B: [f64; 4] = [300.0, 200.0, 50.0, 40.0];

#[test]
fn perfect_predictions_are_perfect_and_none_are_zero() {
    let truth = truth(&[(1, 1, A), (1, 2, B), (2, 1, B)]);
    let plan = plan(&truth);
    let perfect: Vec<Prediction> = truth
        .boxes
        .iter()
        .map(|b| seen(b.photo, b.class, b.bbox, 0.9))
        .collect();
    let evaluation = Evaluation::new(&truth, &plan, &perfect).unwrap();
    let summary = evaluation.summary();
    assert_eq!(summary.len(), 12);
    // 1 up to the last digit: a mean of 2020 ones, each divided by 1 + epsilon
    assert!((summary["AP"].unwrap() - 1.0).abs() < 1e-12);
    // no box is smaller than 32 x 32
    assert_eq!(summary["APs"], None);
    let nothing = Evaluation::new(&truth, &plan, &[]).unwrap();
    assert_eq!(nothing.summary()["AP50"], Some(0.0));
    assert!(
        nothing
            .per_class(&truth)
            .iter()
            .all(|c| c.best_f1.is_none())
    );
}

#[test]
fn the_operating_point_counts_what_reaches_its_threshold() {
    let truth = truth(&[(1, 1, A), (1, 2, B), (2, 1, B), (2, 1, A)]);
    let plan = plan(&truth);
    let predictions = [
        seen(1, 1, A, 0.9),
        // the helmet is taken for a head
        seen(1, 1, B, 0.8),
        // below the threshold
        seen(2, 1, B, 0.2),
        // on background
        seen(2, 2, [500.0, 10.0, 30.0, 30.0], 0.7),
    ];
    let evaluation = Evaluation::new(&truth, &plan, &predictions).unwrap();
    let mut metrics = evaluation.per_class(&truth);
    let thresholds = HashMap::from([(1, 0.5), (2, 0.5)]);
    let operating = operate(&truth, &plan, &predictions, &thresholds, &mut metrics).unwrap();
    let head = metrics[0].operating.clone().unwrap();
    assert_eq!((head.found, head.false_alarms, head.missed), (1, 1, 2));
    assert_eq!((head.precision, head.recall), (Some(0.5), Some(1.0 / 3.0)));
    let helmet = metrics[1].operating.clone().unwrap();
    assert_eq!(
        (helmet.found, helmet.false_alarms, helmet.missed),
        (0, 1, 1)
    );
    // rows are the truth: head, helmet, nothing
    assert_eq!(operating.confusion.cells, [[1, 0, 2], [1, 0, 0], [0, 1, 0]]);
    let misses: Vec<(&str, &str)> = operating
        .misses
        .iter()
        .map(|m| (&*m.class, &*m.photo))
        .collect();
    assert_eq!(
        misses,
        [("head", "2.jpg"), ("helmet", "1.jpg"), ("head", "2.jpg")]
    );
    let nearest = operating.misses[1].nearest.clone().unwrap();
    assert_eq!((&*nearest.class, nearest.iou), ("head", 1.0));
    assert_eq!(operating.false_alarms[1].nearest, None);
}

/// 60 photos with one head each; `right` of them are found.
fn found(right: u64) -> (GroundTruth, Vec<Prediction>) {
    let boxes: Vec<(u64, u64, [f64; 4])> = (1..=60).map(|photo| (photo, 1, A)).collect();
    let predictions = (1..=60).map(|photo| {
        let bbox = if photo <= right { A } else { B };
        seen(photo, 1, bbox, 0.5 + photo as f64 / 1000.0)
    });
    (truth(&boxes), predictions.collect())
}

#[test]
fn the_same_predictions_show_no_difference() {
    let (truth, predictions) = found(40);
    let plan = plan(&truth);
    let evaluation = || Evaluation::new(&truth, &plan, &predictions).unwrap();
    let comparison = compare(&evaluation(), &evaluation());
    for d in &comparison.differences {
        assert_eq!(d.verdict, Verdict::NoDifferenceShown, "{d:?}");
        assert!(
            d.class.as_deref() == Some("helmet") || d.interval == Some([0.0, 0.0]),
            "{d:?}"
        );
    }
    // helmets are not labelled at all: nothing can be said of them
    assert_eq!(comparison.differences[4].interval, None);
}

#[test]
fn a_large_difference_is_shown_and_a_small_one_is_not() {
    let side = |right| {
        let (truth, predictions) = found(right);
        let plan = plan(&truth);
        Evaluation::new(&truth, &plan, &predictions).unwrap()
    };
    let verdict = |a, b| compare(&side(a), &side(b)).differences[1].clone();
    assert_eq!(verdict(20, 55).verdict, Verdict::BBetter);
    assert_eq!(verdict(55, 20).verdict, Verdict::ABetter);
    let close = verdict(40, 41);
    assert!(close.difference.unwrap() > 0.0);
    assert_eq!(close.verdict, Verdict::NoDifferenceShown);
}

#[test]
fn a_figure_without_a_draw_is_cocos_own() {
    let (truth, predictions) = found(33);
    let plan = plan(&truth);
    let evaluation = Evaluation::new(&truth, &plan, &predictions).unwrap();
    let ap = evaluation.per_class(&truth)[0].ap.unwrap();
    let comparison = compare(&evaluation, &evaluation);
    assert!((comparison.differences[2].a.unwrap() - ap).abs() < 1e-12);
}
