use crate::hazard::Answer::{self, CannotDetermine, Compliant, NonCompliant, NotApplicable};
use crate::rules::Evaluation;
use crate::rules::tests::{NANO, Seen, check, look};

/// A standing person of 300 px at `x`: box, and where head, torso and face are.
fn person(x: f32) -> Seen<'static> {
    ("person", 0.9, [x, 100.0, 100.0, 300.0])
}
fn on_head(label: &'static str, score: f32, x: f32) -> Seen<'static> {
    (label, score, [x + 34.0, 100.0, 32.0, 39.0])
}
fn on_torso(label: &'static str, score: f32, x: f32) -> Seen<'static> {
    (label, score, [x + 15.0, 150.0, 70.0, 95.0])
}

#[track_caller]
fn helmet(what: &str, seen: &[Seen<'_>], answer: Answer, n: usize, says: &str) -> Evaluation {
    check(what, "PPE-01", seen, answer, n, says)
}
#[track_caller]
fn vest(what: &str, seen: &[Seen<'_>], answer: Answer, n: usize, says: &str) -> Evaluation {
    check(what, "PPE-02", seen, answer, n, says)
}

#[test]
fn one_person() {
    let p = person(100.0);
    helmet("nobody", &[], NotApplicable, 0, "No person was found");
    helmet(
        "helmet on the head",
        &[p, on_head("helmet", 0.9, 100.0)],
        Compliant,
        0,
        "The only person found has a helmet on.",
    );
    helmet(
        "helmet only, not the face under it",
        &[p, ("helmet", 0.9, [134.0, 98.0, 34.0, 22.0])],
        Compliant,
        0,
        "has a helmet on",
    );
    let e = helmet(
        "bare head",
        &[p, on_head("head", 0.8, 100.0)],
        NonCompliant,
        1,
        "The only person found has no helmet on.",
    );
    let c = &e.candidates[0];
    assert_eq!(c.bbox.to_xywh(), [100.0, 100.0, 100.0, 300.0]);
    assert!((c.score - 0.8).abs() < 1e-6);
    let names: Vec<&str> = c.inputs.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(
        names,
        ["head", "head_height_seen_px", "helmet_overlap", "person"]
    );
    assert_eq!(c.inputs[1].value, Some(39.0));
    assert_eq!(c.inputs[1].limit, Some(16.0));
    assert_eq!(c.rule, "person_item");
    helmet(
        "head not found",
        &[p],
        CannotDetermine,
        0,
        "cannot be judged (head not found",
    );
}

#[test]
fn a_helmet_elsewhere_protects_no_head() {
    let p = person(100.0);
    let head = on_head("head", 0.8, 100.0);
    for (what, place) in [
        ("in the hand", [190.0, 240.0, 35.0, 28.0]),
        ("at the hip", [175.0, 235.0, 30.0, 26.0]),
        ("before the chest", [132.0, 185.0, 36.0, 30.0]),
        ("on a table", [400.0, 300.0, 36.0, 30.0]),
        ("on a shelf beside the head", [230.0, 100.0, 36.0, 30.0]),
    ] {
        let it = ("helmet", 0.95, place);
        helmet(
            what,
            &[p, head, it],
            NonCompliant,
            1,
            "Not counted: 1 x helmet",
        );
        helmet(what, &[p, it], CannotDetermine, 0, "cannot be judged");
    }
    helmet(
        "only a helmet",
        &[("helmet", 0.9, [400.0, 300.0, 36.0, 30.0])],
        CannotDetermine,
        0,
        "no person around",
    );
}

#[test]
fn a_vest_elsewhere_clears_nobody() {
    let (a, b) = (person(100.0), person(160.0));
    vest(
        "worn",
        &[a, on_torso("vest", 0.9, 100.0)],
        Compliant,
        0,
        "a high-visibility vest on",
    );
    vest(
        "on the grass",
        &[
            a,
            on_torso("no_vest", 0.8, 100.0),
            ("vest", 0.9, [140.0, 380.0, 120.0, 50.0]),
        ],
        NonCompliant,
        1,
        "has no ",
    );
    vest(
        "on the grass, torso not seen",
        &[a, ("vest", 0.9, [140.0, 380.0, 120.0, 50.0])],
        CannotDetermine,
        0,
        "cannot be judged",
    );
    vest(
        "on the neighbour",
        &[
            a,
            b,
            on_torso("vest", 0.9, 160.0),
            on_torso("no_vest", 0.7, 100.0),
        ],
        NonCompliant,
        1,
        "1 of 2 persons found has no high-visibility vest on, 1 has a",
    );
    vest(
        "on the neighbour, own torso not seen",
        &[a, b, on_torso("vest", 0.9, 160.0)],
        CannotDetermine,
        0,
        "1 of 2 persons found has a",
    );
    vest(
        "a torso without a person",
        &[on_torso("no_vest", 0.7, 100.0)],
        NonCompliant,
        1,
        "The only person found has no",
    );
}

#[test]
fn overlapping_people_are_told_apart() {
    let e = helmet(
        "two side by side, right one bare",
        &[
            person(100.0),
            person(150.0),
            on_head("helmet", 0.95, 100.0),
            on_head("head", 0.6, 150.0),
        ],
        NonCompliant,
        1,
        "1 of 2 persons found has no helmet on, 1 has a helmet on.",
    );
    assert_eq!(e.candidates[0].bbox.x1, 150.0);
    // A child stands behind the left shoulder: smaller, lower, hardly off the adult's middle.
    let child = ("person", 0.7, [90.0, 180.0, 50.0, 150.0]);
    let child_head = ("head", 0.8, [103.0, 180.0, 24.0, 26.0]);
    let adult = [person(100.0), on_head("helmet", 0.9, 100.0)];
    let e = helmet(
        "bare child behind",
        &[adult[0], adult[1], child, child_head],
        NonCompliant,
        1,
        "1 of 2 persons",
    );
    assert_eq!(e.candidates[0].bbox.x1, 90.0);
    let e = helmet(
        "bare child behind, without a box",
        &[adult[0], adult[1], child_head],
        NonCompliant,
        1,
        "1 of 2 persons",
    );
    assert_eq!(e.candidates[0].bbox.x1, 103.0);
    helmet(
        "the one behind is covered",
        &[
            adult[0],
            adult[1],
            ("person", 0.8, [105.0, 180.0, 80.0, 180.0]),
        ],
        CannotDetermine,
        0,
        "hidden by somebody in front",
    );
    helmet(
        "the upper half of the same person",
        &[
            adult[0],
            adult[1],
            ("person", 0.5, [102.0, 101.0, 96.0, 140.0]),
        ],
        Compliant,
        0,
        "The only person",
    );
}

#[test]
fn what_is_too_small_is_not_judged() {
    let far = ("person", 0.8, [500.0, 500.0, 30.0, 90.0]);
    for label in ["head", "helmet"] {
        helmet(
            "12 px",
            &[far, (label, 0.9, [510.0, 500.0, 10.0, 12.0])],
            CannotDetermine,
            0,
            "head only 12 px high as the model saw it, at least 16 px",
        );
    }
    helmet(
        "12 px alone",
        &[("head", 0.9, [510.0, 500.0, 10.0, 12.0])],
        CannotDetermine,
        0,
        "12 px",
    );
    helmet(
        "16 px",
        &[far, ("head", 0.9, [508.0, 500.0, 14.0, 16.0])],
        NonCompliant,
        1,
        "has no ",
    );
    helmet(
        "no head found",
        &[far],
        CannotDetermine,
        0,
        "would be about 12 px high as the model sees it",
    );
    helmet(
        "cut at the top",
        &[("person", 0.9, [100.0, 0.0, 120.0, 300.0])],
        CannotDetermine,
        0,
        "cut by the edge",
    );
    helmet(
        "two reasons",
        &[
            far,
            ("person", 0.9, [100.0, 0.0, 120.0, 300.0]),
            ("person", 0.9, [700.0, 500.0, 28.0, 84.0]),
        ],
        CannotDetermine,
        0,
        "3 of 3 persons found cannot be judged (2: too far away: the head would be at most about 12 px high as the model sees it, at least 16 px are needed: come nearer or zoom in; photos can be scanned with --tiles auto; 1: cut",
    );
}

#[test]
fn a_head_needs_no_person_box() {
    let e = helmet(
        "head alone",
        &[("head", 0.7, [400.0, 400.0, 40.0, 50.0])],
        NonCompliant,
        1,
        "The only person found has no helmet on. Found by the head alone.",
    );
    assert_eq!(e.candidates[0].bbox.to_xywh(), [400.0, 400.0, 40.0, 50.0]);
    helmet(
        "bare heads and helmets alone",
        &[
            ("head", 0.7, [400.0, 400.0, 40.0, 50.0]),
            ("head", 0.6, [500.0, 400.0, 40.0, 50.0]),
            ("helmet", 0.9, [600.0, 400.0, 40.0, 50.0]),
        ],
        NonCompliant,
        2,
        "2 of 2 persons found have no helmet on. 2 of them found by the head alone. Not counted: 1 x helmet",
    );
}

#[test]
fn two_boxes_on_one_head_are_one_person() {
    let p = person(100.0);
    let again = ("head", 0.5, [140.0, 106.0, 30.0, 36.0]);
    helmet(
        "bare",
        &[p, on_head("head", 0.8, 100.0), again],
        NonCompliant,
        1,
        "The only person",
    );
    helmet(
        "no box",
        &[on_head("head", 0.8, 100.0), again],
        NonCompliant,
        1,
        "The only person",
    );
}

#[test]
fn contradictions() {
    let p = person(100.0);
    helmet(
        "undecided",
        &[
            p,
            on_head("head", 0.7, 100.0),
            on_head("helmet", 0.6, 100.0),
        ],
        CannotDetermine,
        0,
        "the model is undecided: helmet 0.60, bare head 0.70",
    );
    helmet(
        "undecided, helmet drawn without the head",
        &[
            p,
            on_head("head", 0.7, 100.0),
            ("helmet", 0.75, [133.0, 97.0, 34.0, 24.0]),
        ],
        CannotDetermine,
        0,
        "undecided",
    );
    let e = helmet(
        "clearly bare",
        &[
            p,
            on_head("head", 0.8, 100.0),
            on_head("helmet", 0.4, 100.0),
        ],
        NonCompliant,
        1,
        "has no ",
    );
    assert!((e.candidates[0].score - 0.64).abs() < 1e-6);
    assert!(e.candidates[0].text.en.contains("lowered"));
    helmet(
        "clearly worn",
        &[
            p,
            on_head("head", 0.35, 100.0),
            on_head("helmet", 0.9, 100.0),
        ],
        Compliant,
        0,
        "a helmet on",
    );
    helmet(
        "undecided without a person",
        &[on_head("head", 0.7, 100.0), on_head("helmet", 0.6, 100.0)],
        CannotDetermine,
        0,
        "undecided",
    );
}

#[test]
fn postures() {
    let crouching = ("person", 0.9, [100.0, 100.0, 130.0, 150.0]);
    helmet(
        "crouching",
        &[crouching, ("helmet", 0.9, [140.0, 100.0, 45.0, 48.0])],
        Compliant,
        0,
        "has a ",
    );
    let upper_body = ("person", 0.9, [100.0, 100.0, 160.0, 160.0]);
    helmet(
        "cut at the waist",
        &[upper_body, ("head", 0.9, [150.0, 102.0, 60.0, 70.0])],
        NonCompliant,
        1,
        "has no ",
    );
    vest(
        "cut at the waist",
        &[upper_body, ("vest", 0.9, [110.0, 165.0, 140.0, 95.0])],
        Compliant,
        0,
        "has a ",
    );
    let lying = ("person", 0.9, [100.0, 100.0, 300.0, 90.0]);
    for x in [102.0, 360.0] {
        helmet(
            "lying",
            &[lying, ("helmet", 0.9, [x, 120.0, 38.0, 40.0])],
            Compliant,
            0,
            "has a ",
        );
        helmet(
            "lying",
            &[lying, ("head", 0.9, [x, 120.0, 38.0, 40.0])],
            NonCompliant,
            1,
            "The only",
        );
    }
    // Bent forward: the head hangs before the knees, where no posture expects it.
    let bent = ("person", 0.9, [100.0, 100.0, 150.0, 200.0]);
    let e = helmet(
        "bent",
        &[bent, ("head", 0.8, [105.0, 215.0, 40.0, 44.0])],
        NonCompliant,
        1,
        "The only",
    );
    assert_eq!(e.candidates[0].bbox.y2, 300.0);
}

#[test]
fn a_crowd_of_forty() {
    // Four rows of ten; boxes overlap their neighbours by half in both directions.
    let mut seen: Vec<Seen<'_>> = Vec::new();
    let mut bare = Vec::new();
    for row in 0..4_u8 {
        for column in 0..10_u8 {
            let x = 50.0 + 40.0 * f32::from(column) + 13.0 * f32::from(row);
            let y = 100.0 + 90.0 * f32::from(row);
            let is_bare = (row + column) % 4 == 0;
            if is_bare {
                bare.push([x, y]);
            }
            let score = 0.5 + 0.04 * f32::from(column);
            seen.push(("person", score, [x, y, 70.0, 200.0]));
            let label = if is_bare { "head" } else { "helmet" };
            seen.push((label, 0.95 - score / 2.0, [x + 23.0, y + 1.0, 24.0, 27.0]));
        }
    }
    let e = helmet(
        "crowd",
        &seen,
        NonCompliant,
        bare.len(),
        "10 of 40 persons found have no helmet on, 30 have a helmet on.",
    );
    for c in &e.candidates {
        assert!(bare.contains(&[c.bbox.x1, c.bbox.y1]), "{:?}", c.bbox);
    }
}

#[test]
fn where_the_need_is_unknown_only_facts_are_told() {
    let mask = |seen: &[Seen<'_>], says| check("mask", "PPE-03", seen, CannotDetermine, 0, says);
    let p = person(100.0);
    let face = |label| (label, 0.8, [138.0, 114.0, 24.0, 24.0]);
    mask(
        &[p, face("mask")],
        "The only person found has a mask on. Whether",
    );
    mask(
        &[p, face("no_mask")],
        "The only person found has no mask on. Whether",
    );
    check("nobody", "PPE-03", &[], NotApplicable, 0, "No person");
}

#[test]
fn reasons_are_natural_in_chinese() {
    let e = helmet(
        "two people",
        &[person(100.0), person(300.0), on_head("head", 0.8, 100.0)],
        NonCompliant,
        1,
        "1 of 2 persons found has no helmet on, 1 cannot be judged",
    );
    assert_eq!(
        e.answers[0].reason.zh,
        "共发现2人：1人未佩戴安全帽，1人无法判断（未识别到头部，可能背对、被遮挡或漏检）。"
    );
    assert_eq!(
        e.candidates[0].text.zh,
        "该人员疑似未佩戴安全帽：识别到未戴帽的头部（置信度0.80）。"
    );
}

proptest::proptest! {
    /// Boxes are never exact: whatever a detector's usual error does, the head stays on the
    /// person, and a helmet at the hip stays off it.
    #[test]
    fn inexact_boxes_are_matched_all_the_same(
        height in 170.0..700.0_f32,
        slim in 2.2..4.0_f32,
        size in 0.10..0.17_f32,
        dx in -0.25..0.25_f32,
        dy in -0.03..0.03_f32,
        hip in 0.40..0.60_f32,
    ) {
        let width = height / slim;
        let side = size * height;
        let x = 120.0 + width / 2.0 + dx * width - side / 2.0;
        let head = ("head", 0.6, [x, 120.0 + dy * height, side, side]);
        let helmet_there = ("helmet", 0.9, [x, 120.0 + dy * height, side, side]);
        let carried = ("helmet", 0.9, [x, 120.0 + hip * height - side / 2.0, side, side]);
        let p = ("person", 0.9, [120.0, 120.0, width, height]);
        let e = helmet("bare", &[p, head, carried], NonCompliant, 1, "The only person");
        proptest::prop_assert!((e.candidates[0].bbox.height() - height).abs() < 0.1);
        helmet("worn", &[p, helmet_there], Compliant, 0, "The only person");
        helmet("carried", &[p, carried], CannotDetermine, 0, "cannot be judged");
    }
}

#[test]
fn who_is_in_order_is_told_by_the_box_detected() {
    let (a, b, c) = (person(0.0), person(200.0), person(400.0));
    let e = look(
        "PPE-01",
        &NANO,
        &[
            a,
            b,
            c,
            on_head("helmet", 0.9, 0.0),
            on_head("head", 0.9, 200.0),
        ],
    );
    let boxes: Vec<[f32; 4]> = e.in_order.iter().map(|i| i.bbox.to_xywh()).collect();
    assert_eq!(boxes, [a.2], "the third cannot be judged");
    assert_eq!(e.in_order[0].code, "PPE-01");
}

#[test]
fn a_torso_seen_twice_is_one_person() {
    let e = look(
        "PPE-02",
        &NANO,
        &[
            ("person", 0.8, [685.0, 297.0, 52.0, 113.0]),
            ("no_vest", 0.63, [690.0, 303.0, 42.0, 105.0]),
            ("no_vest", 0.44, [699.0, 319.0, 25.0, 38.0]),
        ],
    );
    assert_eq!(e.candidates.len(), 1, "{:?}", e.candidates);
}
