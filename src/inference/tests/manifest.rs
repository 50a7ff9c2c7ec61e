//! What a manifest may say.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    let text = text.replace("SHA256", &"0".repeat(64));
    Manifest::parse(&text, Path::new("models/tiny/model.toml"))
}

#[test]
fn thresholds_in_class_order() {
    let manifest = parse(&format!("{MANIFEST}head = 0.7\n")).unwrap();
    assert_eq!(manifest.class_thresholds(), [0.01, 0.7]);
    let bare = MANIFEST.split("[thresholds]").next().unwrap();
    assert_eq!(parse(bare).unwrap().class_thresholds(), [0.25, 0.25]);
}

/// Replaces `from` in the good manifest and expects words of the refusal.
#[track_caller]
fn refuses(from: &str, to: &str, words: &[&str]) {
    assert!(MANIFEST.contains(from), "{from}");
    let error = parse(&MANIFEST.replace(from, to)).unwrap_err().to_string();
    for words in words.iter().chain(&["models/tiny/model.toml"]) {
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    }
}

#[test]
fn unknown_keys_with_their_line() {
    let at_line_8 = ["line 8", "unknown field `batch`", "models/README.md"];
    refuses("max_batch = 4", "batch = 4", &at_line_8);
    refuses(
        "color = \"bgr\"",
        "colour = \"bgr\"",
        &["line 15", "unknown field `colour`"],
    );
    refuses(
        "family = \"yolov8\"",
        "family = \"yolov8\"\nnms = 0.5",
        &["unknown field `nms`"],
    );
    refuses(
        "family = \"yolov8\"",
        "family = \"yolo\"",
        &["unknown variant `yolo`", "`yolox`"],
    );
}

#[test]
fn missing_keys() {
    refuses(
        "license = \"Apache-2.0\"\n",
        "",
        &["missing field `license`"],
    );
    refuses(
        "resize = \"letterbox_top_left\"\n",
        "",
        &["missing field `resize`"],
    );
    refuses("family = \"yolov8\"\n", "", &["missing field `family`"]);
}

#[test]
fn values_that_cannot_be_used() {
    refuses("\"tiny\"", "\" \"", &["`name` must not be empty"]);
    refuses(
        "\"tiny\"",
        "\"a\\u001b[31m\"",
        &["`name` is", "one plain line"],
    );
    refuses(
        "\"head\"]",
        "\"a\\n\"]",
        &["`labels` holds", "cannot be a class name"],
    );
    let batch = "max_batch = 18014398509481984";
    refuses(
        "max_batch = 4",
        batch,
        &["`max_batch` must lie in 1..=1024"],
    );
    for file in [
        "../other/model.onnx",
        "/etc/passwd",
        "sub/model.onnx",
        "..",
        "",
        "a/",
    ] {
        refuses(
            "model.onnx",
            file,
            &["`file` is", "name of a file in the same folder"],
        );
    }
    refuses("SHA256", "ABC", &["`sha256` must be 64 lower-case"]);
    refuses("[\"helmet\", \"head\"]", "[]", &["`labels` must name"]);
    refuses(
        "\"head\"]",
        "\"helmet\"]",
        &["`labels` holds \"helmet\" twice"],
    );
    refuses("\"head\"]", "\"default\"]", &["`labels` holds \"default\""]);
    refuses("max_batch = 4", "max_batch = 0", &["`max_batch`"]);
    refuses("width = 32", "width = 0", &["`input.width` must lie in"]);
    refuses(
        "height = 32",
        "height = 4000000000",
        &["`input.height` must lie in"],
    );
    refuses("scale = 1.0", "scale = nan", &["`input.scale`"]);
    refuses(
        "scale = 1.0",
        "scale = 1.0\nstd = [1.0, 0.0, 1.0]",
        &["`input.std`"],
    );
    refuses(
        "default = 0.01",
        "default = 1.01",
        &["`thresholds.default` is 1.01"],
    );
    refuses(
        "default = 0.01",
        "default = -inf",
        &["`thresholds.default` is -inf"],
    );
    refuses(
        "default = 0.01",
        "hat = 0.5",
        &["`thresholds.hat` is no label", "\"helmet\""],
    );
    refuses(
        "[thresholds]",
        "nms_iou = 2.0\n[thresholds]",
        &["`head`", "`nms_iou` is 2"],
    );
    refuses(
        "[thresholds]",
        "[golden]\noutput = \"../x\"\n[thresholds]",
        &["`golden.output`"],
    );
    refuses(
        "[thresholds]",
        "[golden]\ntolerance = 0.0\n[thresholds]",
        &["`golden.tolerance`"],
    );
}

#[test]
fn metrics_are_free_form() {
    let manifest = parse(&format!(
        "{MANIFEST}[metrics.helmet]\nap50 = 0.8\nset = \"own\"\n"
    ));
    assert_eq!(
        manifest.unwrap().metrics["helmet"]["set"].as_str(),
        Some("own")
    );
}

#[test]
fn what_is_read_is_what_was_written() {
    let manifest = parse(MANIFEST).unwrap();
    let text = toml::to_string(&manifest).unwrap();
    assert_eq!(parse(&text).unwrap(), manifest);
}

/// Every example in the documentation is a manifest that is accepted.
#[test]
fn the_documented_examples() {
    let text = include_str!("../../../models/README.md");
    let blocks: Vec<_> = text.split("```toml\n").skip(1).collect();
    assert_eq!(blocks.len(), 8);
    for block in blocks {
        let example = block.split("```").next().unwrap();
        if example.contains("kind = \"embedder\"") {
            let manifest = EmbedderManifest::parse(example, Path::new("model.toml"));
            assert_eq!(manifest.unwrap().embedding.dimensions, 256);
            continue;
        }
        let manifest = parse(example).unwrap_or_else(|e| panic!("{e}\n{example}"));
        assert_eq!(manifest.labels.len(), 3);
    }
}

/// The defaults that the documentation states.
#[test]
fn the_documented_defaults() {
    for (short, long) in [
        (
            "family = 'yolox'",
            "strides = [8, 16, 32]\ndecoded = false\nlogits = false\nnms_iou = 0.45\n\
             class_agnostic = false\nmulti_label = false\nmax_detections = 300",
        ),
        (
            "family = 'yolov8'",
            "normalized = false\nlogits = false\nnms_iou = 0.7\nclass_agnostic = false\n\
             multi_label = false\nmax_detections = 300",
        ),
        (
            "family = 'detr'\nlayout = 'postprocessed'",
            "boxes = 'boxes'\nscores = 'scores'\nlabels = 'labels'\nbackground = 'none'\n\
             max_detections = 300",
        ),
        (
            "family = 'ssd'",
            "layout = 'separate'\nnormalized = true\nactivation = 'none'\n\
             background = 'first'\nmulti_label = true\nmax_detections = 300",
        ),
    ] {
        let parse = |text: &str| toml::from_str::<crate::postprocess::HeadSpec>(text).unwrap();
        assert_eq!(parse(short), parse(&format!("{short}\n{long}")));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = parse(&text);
    }

    /// The good manifest with a piece cut out or replaced.
    #[test]
    fn any_damage_is_read_or_refused(
        from in 0..MANIFEST.len(),
        len in 0..40usize,
        patch in "[\\[\\]=\"a-z0-9.\n -]{0,8}",
    ) {
        let mut text = MANIFEST.to_owned();
        text.replace_range(from..(from + len).min(MANIFEST.len()), &patch);
        let _ = parse(&text);
    }
}
