//! What is refused, and in what words.

use super::*;

const ANCHORS: &[usize] = &[1, 6, 3];

#[track_caller]
fn refuses(spec: &str, classes: usize, outputs: &[OutputTensor<'_>], words: &str) {
    let thresholds = vec![0.5; classes];
    let spec = head(spec);
    let error = decode(&spec, classes, (64, 64), outputs, &identity(), &thresholds)
        .expect_err("must be refused")
        .to_string();
    assert!(error.contains(words), "{error:?} does not say {words:?}");
}

#[test]
fn a_wrong_label_count() {
    let data = [0.1; 18];
    let outputs = [output("o", ANCHORS, &data)];
    refuses(
        "family = 'yolov8'",
        3,
        &outputs,
        "[1, 7, N] or [1, N, 7]; check `labels`",
    );
    refuses(
        "family = 'yolox'",
        2,
        &outputs,
        "expected [1, N, 7]; check `labels`",
    );
}

#[test]
fn rows_that_could_be_end_to_end() {
    let data = [0.1; 60];
    let outputs = [output("o", &[1, 10, 6], &data)];
    refuses("family = 'yolov8'", 2, &outputs, "layout = \"end_to_end\"");
    refuses("family = 'yolov8'", 80, &outputs, "layout = \"end_to_end\"");
}

#[test]
fn logits_taken_for_scores() {
    let mut data = [0.5; 18];
    data[17] = -3.5;
    let outputs = [output("o", ANCHORS, &data)];
    refuses(
        "family = 'yolov8'",
        2,
        &outputs,
        "score -3.5, outside 0..=1; if the model gives logits",
    );
    let logits = head("family = 'yolov8'\nlogits = true");
    assert!(decode(&logits, 2, (64, 64), &outputs, &identity(), &[0.5; 2]).is_ok());
}

/// To drop it would pass a picture that nobody has looked at.
#[test]
fn scores_that_are_no_numbers() {
    let mut data = [0.5; 18];
    data[17] = f32::NAN;
    let outputs = [output("o", ANCHORS, &data)];
    refuses("family = 'yolov8'", 2, &outputs, "arithmetic broke down");
    refuses(
        "family = 'yolov8'\nlogits = true",
        2,
        &outputs,
        "arithmetic broke down",
    );
}

#[test]
fn a_class_beyond_the_labels() {
    let row = [0.0, 0.0, 9.0, 9.0, 0.9, 2.0];
    let outputs = [output("o", &[1, 1, 6], &row)];
    let spec = "family = 'yolov8'\nlayout = 'end_to_end'";
    refuses(spec, 2, &outputs, "class number 2, but there are 2 labels");
}

#[test]
fn names_that_do_not_exist() {
    let data = [0.1; 18];
    let outputs = [output("a", ANCHORS, &data), output("b", ANCHORS, &data)];
    refuses(
        "family = 'yolov8'",
        2,
        &outputs,
        r#"outputs ["a", "b"]; name the one"#,
    );
    refuses(
        "family = 'yolov8'\noutput = 'c'",
        2,
        &outputs,
        "has no output `c`",
    );
}

#[test]
fn a_shape_that_belies_its_length() {
    let outputs = [output("o", ANCHORS, &[0.1; 17])];
    refuses(
        "family = 'yolov8'",
        2,
        &outputs,
        "expected a shape of 17 values",
    );
}

#[test]
fn strides_that_do_not_cover_the_input() {
    let data = [0.1; 7 * 5];
    let outputs = [output("o", &[1, 5, 7], &data)];
    refuses(
        "family = 'yolox'\nstrides = [0]",
        2,
        &outputs,
        "strides [0]",
    );
    refuses(
        "family = 'yolox'\nstrides = [32]",
        2,
        &outputs,
        "64x64 input at strides [32]",
    );
}

#[test]
fn unknown_keys_and_values() {
    for (text, words) in [
        ("family = 'yolov8'\nnms = 0.5", "unknown field `nms`"),
        (
            "family = 'yolo'",
            "unknown variant `yolo`, expected one of `yolox`",
        ),
        ("nms_iou = 0.5", "missing field `family`"),
        ("family = 'detr'", "missing field `layout`"),
        (
            "family = 'yolov8'\nstrides = [8]",
            "unknown field `strides`",
        ),
    ] {
        let error = toml::from_str::<HeadSpec>(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    }
}

#[test]
fn numbers_out_of_range() {
    for (text, words) in [
        ("family = 'yolov8'\nnms_iou = 1.5", "`nms_iou` is 1.5"),
        ("family = 'yolov8'\nnms_iou = nan", "`nms_iou` is NaN"),
        ("family = 'yolov8'\nvote_iou = 1.5", "`vote_iou` is 1.5"),
        ("family = 'ssd'\nmax_detections = 0", "`max_detections`"),
        ("family = 'yolox'\nstrides = [8, 0]", "`strides`"),
    ] {
        let error = head(text).check().unwrap_err().to_string();
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    }
}

#[test]
fn what_lies_outside_the_picture_is_dropped() {
    let mut laid = identity();
    (laid.pad_y, laid.height) = (16.0, 32.0);
    // In the padding above; half in it; on the picture; no area; not finite.
    let rows = [
        [4.0, 2.0, 20.0, 12.0, 0.9, 0.0],
        [4.0, 2.0, 20.0, 26.0, 0.8, 0.0],
        [4.0, 20.0, 20.0, 26.0, 0.7, 0.0],
        [4.0, 20.0, 4.0, 26.0, 0.6, 0.0],
        [4.0, 20.0, f32::NAN, 26.0, 0.6, 0.0],
    ];
    let outputs = [output("o", &[1, 5, 6], rows.as_flattened())];
    let spec = head("family = 'yolov8'\nlayout = 'end_to_end'");
    let found = decode(&spec, 1, (64, 64), &outputs, &laid, &[0.5]).unwrap();
    let tops: Vec<_> = found
        .iter()
        .map(|d| (d.score, d.bbox.y1, d.bbox.y2))
        .collect();
    assert_eq!(tops, [(0.8, 0.0, 10.0), (0.7, 4.0, 10.0)]);
}

#[test]
fn each_class_has_its_own_threshold() {
    let rows = [
        [0.0, 0.0, 9.0, 9.0, 0.5, 0.0],
        [20.0, 0.0, 29.0, 9.0, 0.5, 1.0],
    ];
    let outputs = [output("o", &[1, 2, 6], rows.as_flattened())];
    let spec = head("family = 'yolov8'\nlayout = 'end_to_end'");
    let found = decode(&spec, 2, (64, 64), &outputs, &identity(), &[0.6, 0.5]).unwrap();
    assert_eq!(found.iter().map(|d| d.class).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_batch_is_no_picture() {
    let data = [0.1; 36];
    let outputs = [output("o", &[2, 6, 3], &data)];
    refuses(
        "family = 'yolov8'",
        2,
        &outputs,
        "shape [2, 6, 3], expected [1, rows, columns]",
    );
}

#[test]
fn an_objectness_that_is_no_score() {
    let data = [4.0, 4.0, 4.0, 4.0, 5.0, 0.5, 0.5];
    let outputs = [output("o", &[1, 1, 7], &data)];
    refuses(
        "family = 'yolox'\ndecoded = true",
        2,
        &outputs,
        "score 5, outside 0..=1",
    );
}

#[test]
fn background_and_padding_rows_are_dropped() {
    // An object; background; padding with a class that no model has; the same under threshold.
    let rows = [
        [0.0, 1.0, 0.9, 0.0, 0.0, 0.5, 0.5],
        [0.0, 0.0, 0.9, 0.0, 0.0, 0.5, 0.5],
        [0.0, 99.0, 0.0, 0.0, 0.0, 0.5, 0.5],
        [0.0, 99.0, 0.1, 0.0, 0.0, 0.5, 0.5],
    ];
    let outputs = [output("o", &[1, 1, 4, 7], rows.as_flattened())];
    let spec = head("family = 'ssd'\nlayout = 'rows'");
    let found = decode(&spec, 2, (64, 64), &outputs, &identity(), &[0.5, 0.5]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].class, found[0].score), (0, 0.9));
    // With a threshold of 0 the padding is still no detection, but the fourth row is a wrong list.
    let three = [output("o", &[1, 1, 3, 7], rows[..3].as_flattened())];
    let found = decode(&spec, 2, (64, 64), &three, &identity(), &[0.0, 0.0]).unwrap();
    assert_eq!(found.len(), 1);
    assert!(decode(&spec, 2, (64, 64), &outputs, &identity(), &[0.0, 0.0]).is_err());
}
