use super::*;

fn truth(episodes: &str) -> ClipTruth {
    ClipTruth::parse(&format!(
        r#"{{"truth": 1,
        "clip": {{"file": "a.mp4", "sha256": "00", "width": 640, "height": 480, "fps": 10,
          "frames": 600, "duration_s": 60, "origin": "", "licence": ""}},
        "annotated_by": "", "zones": [], "judged": [{{"code": "PPE-01", "condition": ""}}],
        "people": [], "distractors": [], "notes": "",
        "ignore": [{{"start_s": 0, "end_s": 60, "bbox": [500, 0, 140, 480], "codes": ["PPE-01"],
          "why": ""}}],
        "episodes": [{episodes}]}}"#
    ))
    .unwrap()
}

/// Walks from x = 0 to x = 200 between 10 s and 20 s.
fn walker(answer: &str, part_px: f32) -> String {
    format!(
        r#"{{"id": 1, "code": "PPE-01", "answer": "{answer}", "start_s": 10, "end_s": 20,
        "zone": null, "part_px": {part_px}, "note": "", "boxes": [
          {{"t_s": 10, "bbox": [0, 100, 50, 150]}}, {{"t_s": 20, "bbox": [200, 100, 50, 150]}}]}}"#
    )
}

fn found(opened_s: f64, seen_s: f64, x: f32) -> Found {
    Found {
        code: "PPE-01".into(),
        opened_s,
        seen: vec![(seen_s, BBox::from_xywh([x, 100.0, 50.0, 150.0]))],
    }
}

fn judged(truth: &ClipTruth, found: &[Found]) -> EpisodeMetrics {
    judge(truth, found, 16.0).kinds.remove(0)
}

#[test]
fn a_finding_on_the_way_between_two_boxes_is_found_with_its_delay() {
    let truth = truth(&walker("non_compliant", 20.0));
    let m = judged(&truth, &[found(13.5, 15.0, 100.0)]);
    assert_eq!(
        (m.episodes, m.found, m.false_alarms, m.fragments),
        (1, 1, 0, 0)
    );
    assert_eq!(m.time_to_detect_s, [3.5]);
    assert_eq!(m.recall(), Some(1.0));
}

#[test]
fn a_second_finding_is_a_fragment_and_one_elsewhere_a_false_alarm() {
    let truth = truth(&walker("non_compliant", 20.0));
    let all = [
        found(12.0, 12.0, 40.0),
        found(16.0, 16.0, 120.0),
        found(16.0, 16.0, 320.0),
    ];
    let m = judged(&truth, &all);
    assert_eq!((m.found, m.fragments, m.false_alarms), (1, 1, 1));
    assert!((m.false_alarms_per_hour() - 60.0).abs() < 1e-6);
}

#[test]
fn the_right_place_at_the_wrong_time_is_a_false_alarm() {
    let truth = truth(&walker("non_compliant", 20.0));
    let m = judged(&truth, &[found(31.0, 30.0, 200.0)]);
    assert_eq!((m.found, m.false_alarms), (0, 1));
}

#[test]
fn what_is_in_order_undecidable_or_ignored_is_counted_as_such() {
    let at = [found(15.0, 15.0, 100.0)];
    let m = judged(&truth(&walker("compliant", 20.0)), &at);
    assert_eq!((m.episodes, m.false_alarms, m.overclaimed), (0, 1, 0));
    let m = judged(&truth(&walker("cannot_determine", 20.0)), &at);
    assert_eq!((m.false_alarms, m.overclaimed), (0, 1));
    let m = judged(&truth(""), &[found(15.0, 15.0, 540.0)]);
    assert_eq!(m.false_alarms, 0);
    assert_eq!(m.recall(), None);
}

#[test]
fn what_is_too_small_is_counted_apart() {
    let m = judged(&truth(&walker("non_compliant", 9.0)), &[]);
    assert_eq!((m.episodes, m.large_enough), (1, 0));
}

#[test]
fn clips_add_up() {
    let truth = truth(&walker("non_compliant", 20.0));
    let mut sum = judged(&truth, &[found(13.5, 15.0, 100.0)]);
    sum.add(&judged(&truth, &[]));
    assert_eq!((sum.episodes, sum.found), (2, 1));
    assert!((sum.camera_hours - 120.0 / 3600.0).abs() < 1e-9);
}

#[test]
fn what_is_wrong_is_told_by_its_place() {
    let text = |from: &str, to: &str| {
        let good = format!(
            r#"{{"truth": 1, "clip": {{"file": "a", "sha256": "", "width": 640, "height": 480,
            "fps": 10, "frames": 600, "duration_s": 60, "origin": "", "licence": ""}},
            "annotated_by": "", "zones": [], "judged": [{{"code": "PPE-01", "condition": ""}}],
            "people": [], "distractors": [], "notes": "", "ignore": [],
            "episodes": [{}]}}"#,
            walker("compliant", 20.0)
        );
        assert!(ClipTruth::parse(&good).is_ok());
        assert!(good.contains(from));
        ClipTruth::parse(&good.replace(from, to)).unwrap_err()
    };
    assert!(text("\"truth\": 1", "\"truth\": 2").contains("version 2"));
    assert!(
        text(
            "\"code\": \"PPE-01\", \"answer\"",
            "\"code\": \"X\", \"answer\""
        )
        .contains("judged")
    );
    assert!(text("\"end_s\": 20", "\"end_s\": 90").contains("times"));
    assert!(text("[200, 100", "[600, 100").contains("frame"));
    assert!(text("\"zone\": null", "\"zone\": \"hall\"").contains("zone"));
    assert!(text("\"notes\"", "\"remarks\"").contains("remarks"));
}
