//! The rules as a whole: answers, candidates, and properties that hold for any scene.

use proptest::prelude::*;

use super::*;
use crate::geometry::BBox;

/// Classes of the default model.
pub(super) const NANO: [&str; 14] = [
    "person",
    "helmet",
    "head",
    "vest",
    "no_vest",
    "mask",
    "no_mask",
    "cone",
    "machinery",
    "vehicle",
    "forklift",
    "fire",
    "smoke",
    "box",
];

/// What was seen: class name, score, `[x, y, width, height]`.
pub(super) type Seen<'a> = (&'a str, f32, [f32; 4]);

/// Evaluates one picture of 1000 x 1000 pixels by the built-in catalogue.
pub(super) fn look(code: &str, labels: &[&str], seen: &[Seen<'_>]) -> Evaluation {
    let map = LabelMap::new(labels.iter().copied());
    let detections: Vec<Detection> = seen
        .iter()
        .map(|(name, score, xywh)| Detection {
            class: map.index(name).expect("a class of the model"),
            score: *score,
            bbox: BBox::from_xywh(*xywh),
        })
        .collect();
    let rules = RuleSet::new(&Catalogue::builtin(), None).unwrap();
    let scene = Scene {
        width: 1000,
        height: 1000,
        detections: &detections,
        labels: &map,
        seen_scale: 1.0,
    };
    let mut all = evaluate(&rules, &scene, None);
    all.answers.retain(|a| a.code == code);
    all.candidates.retain(|c| c.code == code);
    all
}

#[test]
fn a_mask_is_missed_only_where_it_was_asked_for() {
    let labels = LabelMap::new(NANO);
    let seen = [
        (0, [300.0, 100.0, 200.0, 600.0]),
        (6, [360.0, 130.0, 60.0, 50.0]),
    ];
    let detections = seen.map(|(class, xywh)| Detection {
        class,
        score: 0.9,
        bbox: BBox::from_xywh(xywh),
    });
    let scene = Scene {
        width: 1000,
        height: 1000,
        detections: &detections,
        labels: &labels,
        seen_scale: 1.0,
    };
    for (codes, expected) in [
        (None, Answer::CannotDetermine),
        (Some(["PPE-03".to_owned()]), Answer::NonCompliant),
    ] {
        let rules = RuleSet::new(&Catalogue::builtin(), codes.as_ref().map(|c| &c[..])).unwrap();
        let evaluation = evaluate(&rules, &scene, None);
        let answer = evaluation.answers.iter().find(|a| a.code == "PPE-03");
        assert_eq!(answer.map(|a| a.answer), Some(expected));
    }
}

/// Asserts the answer of one kind, the number of candidates, and a piece of the English reason.
#[track_caller]
pub(super) fn check(
    what: &str,
    code: &str,
    seen: &[Seen<'_>],
    answer: Answer,
    candidates: usize,
    says: &str,
) -> Evaluation {
    let e = look(code, &NANO, seen);
    let reason = &e.answers[0].reason;
    assert_eq!(e.answers[0].answer, answer, "{what}: {}", reason.en);
    assert_eq!(e.candidates.len(), candidates, "{what}: {}", reason.en);
    assert!(reason.en.contains(says), "{what}: {}", reason.en);
    assert!(!reason.zh.is_empty(), "{what}");
    e
}

fn rules(codes: Option<&[&str]>) -> Result<RuleSet, CatalogueError> {
    let codes: Option<Vec<String>> = codes.map(|c| c.iter().map(|s| (*s).to_owned()).collect());
    RuleSet::new(&Catalogue::builtin(), codes.as_deref())
}

#[test]
fn every_kind_answers_on_an_empty_scene() {
    let labels = LabelMap::new(NANO);
    let scene = Scene {
        width: 640,
        height: 480,
        detections: &[],
        labels: &labels,
        seen_scale: 1.0,
    };
    let all = rules(None).unwrap();
    let e = evaluate(&all, &scene, None);
    assert_eq!(e.answers.len(), 30);
    assert!(e.candidates.is_empty());
    for (answer, kind) in e.answers.iter().zip(all.kinds()) {
        assert_eq!(answer.code, kind.code);
        assert!(answer.reason.en.len() > 30, "{}", answer.code);
        assert!(answer.reason.zh.chars().count() > 12, "{}", answer.code);
        assert_ne!(answer.answer, Answer::Compliant, "{}", answer.code);
        assert_ne!(answer.answer, Answer::NonCompliant, "{}", answer.code);
    }
}

#[test]
fn a_model_without_the_classes_cannot_judge() {
    let coco = ["person", "car", "truck"];
    let person = ("person", 0.9, [100.0, 100.0, 100.0, 300.0]);
    for (code, named) in [
        ("PPE-01", "helmet (helmet/"),
        ("PPE-01", "bare head (head/"),
        ("PPE-02", "high-visibility vest"),
        ("FIR-03", "smoke"),
        ("STO-01", "box"),
    ] {
        let e = look(code, &coco, &[person]);
        assert_eq!(e.answers[0].answer, Answer::CannotDetermine, "{code}");
        let reason = &e.answers[0].reason.en;
        assert!(
            reason.contains("no class for") && reason.contains(named),
            "{reason}"
        );
    }
    // It knows cars, but a fork lift may be there all the same.
    let e = look("EQP-04", &coco, &[person]);
    assert_eq!(e.answers[0].answer, Answer::CannotDetermine);
    assert!(e.answers[0].reason.en.contains("forklift"));
    // Vehicles have several names: this one can.
    let e = look(
        "EQP-04",
        &coco,
        &[person, ("car", 0.9, [250.0, 200.0, 400.0, 200.0])],
    );
    assert!(e.answers[0].reason.en.contains("from the nearest vehicle"));
}

#[test]
fn label_names_are_compared_without_case_and_dashes() {
    let other = ["Person", "Hardhat", "NO-Hardhat"];
    let e = look(
        "PPE-01",
        &other,
        &[
            ("Person", 0.9, [100.0, 100.0, 100.0, 300.0]),
            ("NO-Hardhat", 0.9, [134.0, 100.0, 32.0, 39.0]),
        ],
    );
    assert_eq!(e.answers[0].answer, Answer::NonCompliant);
}

#[test]
fn codes_are_filtered_in_the_order_of_the_catalogue() {
    let set = rules(Some(&["ppe-01", "FIR-03", "PPE-01"])).unwrap();
    let codes: Vec<&str> = set.kinds().iter().map(|k| k.code.as_str()).collect();
    assert_eq!(codes, ["FIR-03", "PPE-01"]);
    let error = rules(Some(&["PPE-1"])).unwrap_err().to_string();
    assert!(
        error.contains("PPE-1:") && error.contains("PPE-01"),
        "{error}"
    );
    let error = rules(Some(&["helmets"])).unwrap_err().to_string();
    assert!(error.contains("no such code"), "{error}");
}

#[test]
fn candidates_come_best_first_and_cite_what_is_in_force() {
    let labels = LabelMap::new(NANO);
    let detections = [
        (2, 0.6, [134.0, 100.0, 32.0, 39.0]),
        (2, 0.9, [434.0, 100.0, 32.0, 39.0]),
        (11, 0.7, [700.0, 700.0, 100.0, 100.0]),
    ]
    .map(|(class, score, xywh)| Detection {
        class,
        score,
        bbox: BBox::from_xywh(xywh),
    });
    let scene = Scene {
        width: 1000,
        height: 1000,
        detections: &detections,
        labels: &labels,
        seen_scale: 1.0,
    };
    let set = rules(None).unwrap();
    let e = evaluate(&set, &scene, Some("2026-01-01"));
    let scores: Vec<f32> = e.candidates.iter().map(|c| c.score).collect();
    assert_eq!(scores, [0.9, 0.7, 0.6]);
    assert_eq!(e.candidates[1].severity, crate::hazard::Severity::Alarm);
    assert!(!e.candidates[0].references.is_empty());
    // Before the amended law came into force its article numbers were others.
    let early = evaluate(&set, &scene, Some("2020-06-01"));
    let cites = |e: &Evaluation| {
        e.candidates[0]
            .references
            .iter()
            .any(|r| r.text.contains("Art. 57"))
    };
    assert!(cites(&e) && !cites(&early));
}

fn any_box() -> impl Strategy<Value = BBox> {
    // Quarter pixels: sums and differences stay exact in f32, so equality may be asked for.
    let side = |max: i32| (0..max).prop_map(|v| v as f32 / 4.0);
    // At least 600 px from the edges, where a moved box is still not cut.
    (side(4000), side(4000), side(2000), side(2000))
        .prop_map(|(x, y, w, h)| BBox::new(x, y, x + w, y + h).translate(600.0, 600.0))
}

fn any_detections() -> impl Strategy<Value = Vec<Detection>> {
    let one =
        (0..NANO.len() + 1, 0..=20_u8, any_box()).prop_map(|(class, score, bbox)| Detection {
            class,
            score: f32::from(score) / 20.0,
            bbox,
        });
    proptest::collection::vec(one, 0..40)
}

/// Numbers that a broken model may give.
fn broken() -> impl Strategy<Value = f32> {
    prop_oneof![
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(f32::NEG_INFINITY),
        Just(f32::MAX),
        Just(f32::MIN_POSITIVE),
        Just(-0.0),
        Just(9.9e6),
        -2000.0..2000.0_f32,
    ]
}

fn all_answers(detections: &[Detection]) -> Evaluation {
    let labels = LabelMap::new(NANO);
    let scene = Scene {
        width: 3000,
        height: 3000,
        detections,
        labels: &labels,
        seen_scale: 1.0,
    };
    thread_local!(static ALL: RuleSet = rules(None).unwrap());
    ALL.with(|all| evaluate(all, &scene, None))
}

fn consistent(e: &Evaluation) -> Result<(), TestCaseError> {
    prop_assert_eq!(e.answers.len(), 30);
    for a in &e.answers {
        let has = e.candidates.iter().any(|c| c.code == a.code);
        prop_assert_eq!(a.answer == Answer::NonCompliant, has, "{}", &a.code);
        prop_assert!(!a.reason.en.is_empty() && !a.reason.zh.is_empty());
    }
    for c in &e.candidates {
        prop_assert!((0.0..=1.0).contains(&c.score), "{} {}", &c.code, c.score);
        prop_assert!(c.bbox.is_valid());
    }
    prop_assert!(e.candidates.is_sorted_by(|a, b| a.score >= b.score));
    Ok(())
}

proptest! {
    #[test]
    fn the_order_of_detections_changes_nothing(
        (before, after) in any_detections()
            .prop_flat_map(|d| (Just(d.clone()), Just(d).prop_shuffle())),
    ) {
        let e = all_answers(&before);
        consistent(&e)?;
        prop_assert_eq!(e, all_answers(&after));
    }

    #[test]
    fn moving_everything_changes_no_answer(
        detections in any_detections(),
        dx in -500..500_i16,
        dy in -500..500_i16,
    ) {
        let moved: Vec<Detection> = detections
            .iter()
            .map(|d| Detection { bbox: d.bbox.translate(dx.into(), dy.into()), ..*d })
            .collect();
        let answers = |e: Evaluation| -> Vec<Answer> { e.answers.iter().map(|a| a.answer).collect() };
        prop_assert_eq!(answers(all_answers(&detections)), answers(all_answers(&moved)));
    }

    #[test]
    fn broken_boxes_do_no_harm(
        boxes in proptest::collection::vec(
            (0..20_usize, broken(), broken(), broken(), broken(), broken()), 0..30),
        more in any_detections(),
    ) {
        let mut detections: Vec<Detection> = boxes
            .into_iter()
            .map(|(class, score, x1, y1, x2, y2)| Detection {
                class, score, bbox: BBox::new(x1, y1, x2, y2),
            })
            .collect();
        detections.extend(more);
        consistent(&all_answers(&detections))?;
    }
}
