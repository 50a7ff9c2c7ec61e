use crate::hazard::Answer::{self, CannotDetermine, Compliant, NonCompliant, NotApplicable};
use crate::rules::Evaluation;
use crate::rules::tests::{Seen, check};

fn carton(x: f32, y: f32, w: f32, h: f32) -> Seen<'static> {
    ("box", 0.8, [x, y, w, h])
}

/// A column of boxes of 100 x 80 px from y = 800 upwards, each tier at its own x.
fn column(xs: &[f32]) -> Vec<Seen<'static>> {
    xs.iter()
        .enumerate()
        .map(|(i, x)| carton(*x, 720.0 - 80.0 * i as f32, 100.0, 80.0))
        .collect()
}

#[track_caller]
fn stack(what: &str, seen: &[Seen<'_>], answer: Answer, n: usize, says: &str) -> Evaluation {
    check(what, "STO-01", seen, answer, n, says)
}

fn names(e: &Evaluation) -> Vec<&str> {
    e.candidates[0]
        .inputs
        .iter()
        .map(|i| i.name.as_str())
        .collect()
}

#[test]
fn no_stack_no_verdict() {
    stack("nothing", &[], NotApplicable, 0, "No box was found");
    stack(
        "one box",
        &column(&[100.0]),
        CannotDetermine,
        0,
        "Found 1 x box, none seen standing",
    );
    stack(
        "side by side",
        &[
            carton(100.0, 700.0, 100.0, 80.0),
            carton(200.0, 700.0, 100.0, 80.0),
        ],
        CannotDetermine,
        0,
        "Found 2 x box",
    );
    // The one behind stands higher in the picture, but its lower edge shows beside the front one.
    stack(
        "behind",
        &[
            carton(100.0, 700.0, 100.0, 80.0),
            carton(170.0, 660.0, 90.0, 75.0),
        ],
        CannotDetermine,
        0,
        "none seen standing",
    );
    stack(
        "small",
        &[
            carton(100.0, 700.0, 20.0, 20.0),
            carton(100.0, 680.0, 20.0, 20.0),
        ],
        CannotDetermine,
        0,
        "2 of them are too small",
    );
}

#[test]
fn stacks_that_stand() {
    stack(
        "two tiers",
        &column(&[100.0, 104.0]),
        Compliant,
        0,
        "Stacks measured: 1 (up to 2 tiers)",
    );
    stack(
        "three tiers",
        &column(&[100.0, 95.0, 103.0]),
        Compliant,
        0,
        "up to 3 tiers",
    );
    stack(
        "small on the side of a large one",
        &[
            carton(100.0, 700.0, 200.0, 100.0),
            carton(100.0, 640.0, 110.0, 60.0),
        ],
        Compliant,
        0,
        "overhang at most 0 %",
    );
    let mut bricks: Vec<Seen<'_>> = (0..3)
        .map(|i| carton(100.0 + 100.0 * i as f32, 700.0, 100.0, 80.0))
        .collect();
    bricks.extend((0..2).map(|i| carton(150.0 + 100.0 * i as f32, 620.0, 100.0, 80.0)));
    bricks.push(carton(200.0, 540.0, 100.0, 80.0));
    stack("brick bond", &bricks, Compliant, 0, "up to 3 tiers");
    let mut wall = column(&[100.0, 100.0, 100.0]);
    wall.extend(column(&[203.0, 203.0]));
    stack("two columns", &wall, Compliant, 0, "Stacks measured: 2");
}

#[test]
fn stacks_that_do_not() {
    let e = stack(
        "overhang",
        &column(&[100.0, 140.0]),
        NonCompliant,
        1,
        "1 of 1 stacks",
    );
    assert_eq!(names(&e)[..4], ["tiers", "overhang", "tier_drift", "lean"]);
    assert!((e.candidates[0].inputs[1].value.unwrap() - 0.4).abs() < 1e-5);
    assert_eq!(e.candidates[0].bbox.to_xywh(), [100.0, 640.0, 140.0, 160.0]);

    // No single tier is over its limit: only their sum shows.
    let e = stack(
        "leaning",
        &column(&[100.0, 120.0, 140.0]),
        NonCompliant,
        1,
        "1 of 1",
    );
    assert_eq!(names(&e)[..2], ["tiers", "lean"]);

    let e = stack(
        "slender",
        &column(&[100.0; 6]),
        NonCompliant,
        1,
        "too slender",
    );
    assert_eq!(names(&e)[1], "slenderness");

    let e = stack(
        "balanced near an edge",
        &[
            carton(100.0, 700.0, 80.0, 80.0),
            carton(95.0, 620.0, 155.0, 80.0),
        ],
        NonCompliant,
        1,
        "1 of 1",
    );
    assert!(names(&e).contains(&"support_margin"));
    assert!(e.candidates[0].text.en.contains("close to the edge"));

    let mut two = column(&[100.0, 100.0]);
    two.extend(column(&[400.0, 445.0]));
    let e = stack("one of two", &two, NonCompliant, 1, "1 of 2 stacks");
    assert_eq!(e.candidates[0].bbox.x1, 400.0);
}

#[test]
fn a_worse_stack_scores_higher() {
    let score = |dx: f32| {
        stack(
            "overhang",
            &column(&[100.0, 100.0 + dx]),
            NonCompliant,
            1,
            "",
        )
        .candidates[0]
            .score
    };
    assert!(score(27.0) < score(35.0));
    assert!(score(27.0) >= 0.4 && score(35.0) <= 0.8);
}

#[test]
fn a_view_that_deceives_is_not_judged() {
    let doubt = |what, seen: &[Seen<'_>], says| stack(what, seen, CannotDetermine, 0, says);
    doubt(
        "would have fallen",
        &column(&[100.0, 155.0]),
        "view deceives",
    );
    doubt("cut at the side", &column(&[0.0, 30.0]), "cut by the side");
    doubt(
        "small one, perhaps behind",
        &[
            carton(100.0, 700.0, 200.0, 100.0),
            carton(260.0, 660.0, 70.0, 40.0),
        ],
        "very different size",
    );
    let mut heap = column(&[100.0, 130.0]);
    heap.push(carton(160.0, 690.0, 100.0, 80.0));
    doubt("heap", &heap, "cover one another");
    // One stack measured and fine, one not measured: not all is well.
    let mut two = column(&[100.0, 100.0]);
    two.extend(column(&[400.0, 455.0]));
    doubt("one of two", &two, "Stacks measured: 1");
    // One bad, one not measured: the bad one counts.
    let mut two = column(&[100.0, 140.0]);
    two.extend(column(&[400.0, 455.0]));
    stack("one of two", &two, NonCompliant, 1, "not measured: 1");
}
