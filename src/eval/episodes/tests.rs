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
        zone: None,
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
    assert_eq!(m.recall().value, Some(1.0));
    // one of one says little
    assert!(m.recall().low.unwrap() < 0.25);
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
    let rate = m.false_alarms_per_hour();
    assert!((rate.value.unwrap() - 60.0).abs() < 1e-6);
    // Garwood's limits for one event, 0.0253 and 5.572, in a minute
    assert!((rate.low.unwrap() - 60.0 * 0.0253).abs() < 0.01, "{rate:?}");
    assert!(
        (rate.high.unwrap() - 60.0 * 5.5716).abs() < 0.01,
        "{rate:?}"
    );
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
    assert_eq!(m.recall(), Interval::NONE);
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

/// A clip with an aisle on the left, blocked from 10 s to 50 s.
fn aisle(zone: &str) -> ClipTruth {
    let text = r#"{"truth": 1,
        "clip": {"file": "a.mp4", "sha256": "00", "width": 640, "height": 480, "fps": 10,
          "frames": 600, "duration_s": 60, "origin": "", "licence": ""},
        "judged": [{"code": "STO-03"}, {"code": "PPE-01"}],
        "zones": [
          {"name": "left", "kind": "aisle", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]],
           "loitering_time": 20},
          {"name": "hall", "kind": "work_area", "polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}],
        "episodes": [
          {"id": 1, "code": "STO-03", "answer": "non_compliant", "start_s": 10, "end_s": 50,
           "zone": "left"},
          {"id": 2, "code": "PPE-01", "answer": "non_compliant", "start_s": 10, "end_s": 50,
           ZONE "boxes": [{"t_s": 10, "bbox": [400, 100, 50, 150]}]}]}"#;
    ClipTruth::parse(&text.replace("ZONE", zone)).unwrap()
}

#[test]
fn what_concerns_a_zone_is_found_by_its_name_wherever_in_it_it_lies() {
    let truth = aisle("");
    let in_zone = |zone: &str, opened_s: f64| Found {
        code: "STO-03".into(),
        opened_s,
        zone: Some(zone.into()),
        seen: vec![(opened_s - 1.0, BBox::from_xywh([5.0, 400.0, 20.0, 20.0]))],
    };
    let m = judged(&truth, &[in_zone("left", 32.0)]);
    assert_eq!((m.found, m.false_alarms), (1, 0));
    assert_eq!(m.time_to_detect_s, [22.0]);
    for wrong in [in_zone("right", 32.0), in_zone("left", 59.0)] {
        let m = judged(&truth, &[wrong]);
        assert_eq!((m.found, m.false_alarms), (0, 1));
    }
    // what was missed is shown by its zone
    let missed = judge(&truth, &[], 16.0).episodes.remove(0);
    assert_eq!(missed.largest.bbox, [0.0, 0.0, 320.0, 480.0]);
}

#[test]
fn without_a_bound_episode_the_whole_picture_is_a_work_area() {
    let names = |truth: &ClipTruth| -> Vec<String> {
        let zones = truth.watch_zones().zones.into_iter();
        zones.map(|z| z.name).collect()
    };
    assert_eq!(names(&aisle("")), ["left", "(whole picture)"]);
    assert_eq!(names(&aisle("\"zone\": \"hall\",")), ["left", "hall"]);
    assert!(truth("").watch_zones().is_empty());
    assert_eq!(aisle("").watch_zones().zones[0].loitering_time, Some(20.0));
}

#[test]
fn one_hazard_of_one_person_is_not_told_twice_at_one_time() {
    let one = |id: u32, person: u32| {
        let whole = walker("non_compliant", 20.0);
        let id = format!("\"id\": {id}, \"person\": {person},");
        whole.replacen("\"id\": 1,", &id, 1)
    };
    truth(&format!("{}, {}", one(1, 1), one(2, 2)));
    let text = r#"{"truth": 1, "clip": {"file": "a", "sha256": "", "width": 640, "height": 480,
        "fps": 10, "frames": 600, "duration_s": 60, "origin": "", "licence": ""},
        "judged": [{"code": "PPE-01"}], "episodes": [EPISODES]}"#;
    let twice = format!("{}, {}", one(1, 1), one(2, 1));
    let error = ClipTruth::parse(&text.replace("EPISODES", &twice)).unwrap_err();
    assert!(error.contains("1 and 2"), "{error}");
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
    assert!(text("\"start_s\": 10", "\"start_s\": -1").contains("times"));
    assert!(text("\"t_s\": 20", "\"t_s\": 10").contains("order"));
    assert!(text("\"t_s\": 20", "\"t_s\": 40").contains("between"));
    assert!(text("\"width\": 640", "\"width\": 0").contains("width"));
    assert!(text("\"duration_s\": 60", "\"duration_s\": 0").contains("duration_s"));
    assert!(text("\"compliant\"", "\"not_applicable\"").contains("leave"));
    assert!(text("\"boxes\": [", "\"boxes\": [], \"x\": [").contains("x"));
}
