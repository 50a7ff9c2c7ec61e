use super::*;
use crate::rules::Catalogue;

const LABELS: [&str; 5] = ["person", "helmet", "head", "fire", "smoke"];

fn labels() -> LabelMap {
    LabelMap::new(LABELS)
}

fn rules(codes: &[&str]) -> RuleSet {
    let codes: Vec<String> = codes.iter().map(|c| (*c).to_owned()).collect();
    RuleSet::new(&Catalogue::builtin(), Some(&codes)).unwrap()
}

fn class(name: &str) -> usize {
    LABELS.iter().position(|l| *l == name).unwrap()
}

/// A head box at x, 40 px high.
fn head(x: f32) -> BBox {
    BBox::new(x, 100.0, x + 36.0, 140.0)
}

fn case(truth: &[(&str, BBox)], seen: &[(&str, BBox, f32)]) -> Case {
    let boxes: Vec<(usize, BBox)> = truth.iter().map(|(l, b)| (class(l), *b)).collect();
    Case {
        size: (640, 480),
        seen_scale: 1.0,
        detections: seen
            .iter()
            .map(|&(l, bbox, score)| Detection {
                class: class(l),
                bbox,
                score,
            })
            .collect(),
        truth: truth_of(&rules(&["PPE-01", "FIR-03"]), &labels(), (640, 480), &boxes),
    }
}

fn judged(cases: &[Case]) -> Vec<FindingMetrics> {
    judge(&rules(&["PPE-01", "FIR-03"]), &labels(), &[0.3; 5], cases).metrics
}

fn ppe_01(cases: &[Case]) -> FindingMetrics {
    let all = judged(cases);
    all.into_iter().find(|m| m.code == "PPE-01").unwrap()
}

#[test]
fn labels_give_the_truth_of_the_kinds_that_they_can_judge() {
    let truth = truth_of(
        &rules(&["PPE-01", "PPE-02", "FIR-03"]),
        &labels(),
        (640, 480),
        &[(class("head"), head(10.0)), (class("helmet"), head(300.0))],
    );
    let codes: Vec<&str> = truth.iter().map(|t| t.code.as_str()).collect();
    assert_eq!(codes, ["FIR-03", "PPE-01"], "vests are not labelled");
    assert_eq!(truth[1].hazards.len(), 1);
    assert_eq!(truth[1].hazards[0].place, Place::Box(head(10.0)));
    assert_eq!(truth[1].in_order, 1);
    assert_eq!(truth[1].answer(), Answer::NonCompliant);
    assert_eq!(truth[0].answer(), Answer::NotApplicable);
}

#[test]
fn one_fire_labelled_in_two_boxes_is_one_place() {
    let flames = [
        ("fire", BBox::new(100.0, 100.0, 160.0, 200.0)),
        ("fire", BBox::new(158.0, 110.0, 220.0, 200.0)),
    ];
    let seen = [("fire", BBox::new(100.0, 100.0, 220.0, 200.0), 0.9)];
    let metrics = judged(&[case(&flames, &seen)]);
    let fire = metrics.iter().find(|m| m.code == "FIR-03").unwrap();
    assert_eq!((fire.right, fire.wrong, fire.missed), (1, 0, 0));
}

#[test]
fn found_missed_and_false_findings_are_counted() {
    let m = ppe_01(&[
        case(&[("head", head(10.0))], &[("head", head(12.0), 0.9)]),
        case(&[("head", head(10.0))], &[]),
        case(&[("helmet", head(10.0))], &[("head", head(10.0), 0.8)]),
        case(&[("helmet", head(10.0))], &[("helmet", head(10.0), 0.9)]),
    ]);
    assert_eq!((m.photos, m.hazards), (4, 2));
    assert_eq!((m.right, m.wrong, m.missed), (1, 1, 1));
    assert_eq!(m.precision.value, Some(0.5));
    assert_eq!(m.recall.value, Some(0.5));
    assert_eq!(m.f1.value, Some(0.5));
    assert!(
        m.f1.low < m.f1.value && m.f1.value < m.f1.high,
        "{:?}",
        m.f1
    );
}

#[test]
fn one_hazard_found_twice_is_one_right_and_one_wrong() {
    // so far apart that the rule does not take them for one head, both within the label
    let wide = BBox::new(10.0, 100.0, 90.0, 140.0);
    let m = ppe_01(&[case(
        &[("head", wide)],
        &[("head", head(10.0), 0.9), ("head", head(54.0), 0.8)],
    )]);
    assert_eq!((m.right, m.wrong, m.missed), (1, 1, 0));
}

#[test]
fn a_head_too_small_to_be_judged_is_missed_and_said_to_be_too_small() {
    let small = BBox::new(10.0, 10.0, 20.0, 22.0);
    let m = ppe_01(&[case(&[("head", small)], &[("head", small, 0.9)])]);
    assert_eq!((m.missed, m.missed_too_small), (1, 1));
    assert_eq!(m.answers[0][3], 1, "{:?}", m.answers);
    assert!((m.abstained - 1.0).abs() < 1e-9);
}

#[test]
fn the_curve_trades_coverage_for_risk() {
    let body = BBox::new(0.0, 95.0, 70.0, 300.0);
    // sure and right twice, unsure and wrong once
    let m = ppe_01(&[
        case(&[("head", head(10.0))], &[("head", head(10.0), 0.95)]),
        case(
            &[("helmet", head(10.0))],
            &[("helmet", head(10.0), 0.95), ("person", body, 0.95)],
        ),
        case(&[("helmet", head(10.0))], &[("head", head(10.0), 0.4)]),
    ]);
    let first = m.risk_coverage[0];
    assert!((first.coverage - 1.0).abs() < 1e-9);
    assert!((first.risk.unwrap() - 1.0 / 3.0).abs() < 1e-9);
    let later = m.risk_coverage[CURVE_STEPS / 2];
    assert!(later.coverage < 0.7);
    assert_eq!(later.risk, Some(0.0));
}

#[test]
fn the_same_photos_give_the_same_intervals() {
    let cases = [
        case(&[("head", head(10.0))], &[("head", head(12.0), 0.9)]),
        case(&[("head", head(10.0))], &[]),
    ];
    assert_eq!(judged(&cases), judged(&cases));
}
