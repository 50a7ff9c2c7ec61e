use super::*;
use crate::detection::{Detection, LabelMap};
use crate::eval::findings::{Case, FindingMetrics, judge};
use crate::rules::Catalogue;

const GOOD: &str = r#"{"truth": 1,
    "judged": [{"code": "FIR-03"}, {"code": "PPE-01", "condition": "a site"}],
    "photos": [{"file": "a.jpg"}, {"file": "b.jpg"}, {"file": "c.jpg"}, {"file": "d.jpg"}],
    "zones": [{"name": "left", "kind": "work_area",
      "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}],
    "episodes": [
      {"photo": "a.jpg", "code": "FIR-03", "bbox": [100, 100, 50, 80]},
      {"photo": "b.jpg", "code": "FIR-03", "zone": "left"},
      {"photo": "c.jpg", "code": "FIR-03", "answer": "cannot_determine", "note": "glare"},
      {"photo": "d.jpg", "code": "PPE-01", "answer": "non_compliant", "part_px": 9,
       "bbox": [10, 10, 60, 200]}
    ]}"#;

fn rules() -> RuleSet {
    let codes = ["FIR-03".to_owned(), "PPE-01".to_owned()];
    RuleSet::new(&Catalogue::builtin(), Some(&codes)).unwrap()
}

/// The findings of photos a to d, in each of which the detector sees one flame or nothing.
fn judged(flames: [Option<[f32; 4]>; 4]) -> (FindingMetrics, FindingMetrics) {
    let truth = PhotoTruth::parse(GOOD).unwrap();
    let rules = rules();
    let known = truth.by_photo(&rules);
    let cases: Vec<Case> = truth
        .photos
        .iter()
        .zip(flames)
        .map(|(photo, flame)| Case {
            size: (640, 480),
            seen_scale: 1.0,
            detections: flame
                .into_iter()
                .map(|bbox| Detection {
                    class: 0,
                    bbox: BBox::from_xywh(bbox),
                    score: 0.9,
                })
                .collect(),
            truth: known[&*photo.file].clone(),
        })
        .collect();
    let labels = LabelMap::new(["fire", "head", "helmet", "person"]);
    let mut metrics = judge(&rules, &labels, &[0.3; 4], &cases).metrics;
    let second = metrics.remove(1);
    (metrics.remove(0), second)
}

#[test]
fn a_box_a_zone_or_nothing_says_where_it_must_be_found() {
    let there = [100.0, 100.0, 50.0, 80.0];
    let right_half = [500.0, 100.0, 50.0, 80.0];
    let (fire, helmets) = judged([Some(there), Some(there), Some(there), None]);
    assert_eq!(
        (fire.right, fire.wrong, fire.missed, fire.overclaimed),
        (2, 0, 0, 1)
    );
    assert_eq!((fire.photos, fire.hazards), (4, 2));
    // the photo that does not allow to say: it was wrong to be sure
    assert_eq!(fire.answers[3], [1, 0, 0, 0]);
    assert_eq!((helmets.hazards, helmets.missed_too_small), (1, 1));

    let (fire, _) = judged([Some(right_half), Some(right_half), None, Some(there)]);
    assert_eq!((fire.right, fire.wrong, fire.missed), (0, 3, 2));
    assert_eq!(fire.answers[3], [0, 0, 0, 1], "it was right to abstain");
}

#[test]
fn what_is_wrong_is_told_by_its_place() {
    let refused = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        PhotoTruth::parse(&GOOD.replacen(from, to, 1)).unwrap_err()
    };
    for (from, to, says) in [
        ("\"truth\": 1", "\"truth\": 2", "version 2"),
        ("\"file\": \"b.jpg\"", "\"file\": \"a.jpg\"", "twice"),
        ("\"photo\": \"b.jpg\"", "\"photo\": \"x.jpg\"", "episode 2"),
        ("{\"code\": \"FIR-03\"}", "{\"code\": \"FIR-01\"}", "judged"),
        ("\"zone\": \"left\"", "\"zone\": \"right\"", "\"right\""),
        ("[100, 100, 50, 80]", "[100, 100, -50, 80]", "width"),
        ("[100, 100, 50, 80]", "[100, 100, 1e99, 80]", "out of range"),
        ("\"part_px\": 9", "\"part_px\": -9", "part_px"),
        (
            "cannot_determine",
            "not_applicable",
            "leave the episode out",
        ),
        ("[0.5, 0], [0.5, 1]", "[320, 0], [320, 480]", "0 to 1"),
        ("\"note\"", "\"remark\"", "remark"),
        ("\"non_compliant\"", "\"bad\"", "bad"),
    ] {
        let error = refused(from, to);
        assert!(error.contains(says), "{from} -> {to}: {error}");
    }
}
