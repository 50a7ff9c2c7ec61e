//! A model is refused rather than trusted.

use super::*;

const BATCH_1: &[u8] = include_bytes!("../../../tests/data/models/yolov8_batch_1.onnx");
const CLASSIFIER: &[u8] = include_bytes!("../../../tests/data/models/classifier.onnx");
const DETR: &[u8] = include_bytes!("../../../tests/data/models/detr.onnx");

#[track_caller]
fn refuses(manifest: &str, onnx: &[u8], words: &[&str]) {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", manifest, onnx);
    let error = load(&dir).expect_err("must be refused").to_string();
    for words in words {
        assert!(error.contains(words), "{error:?} does not say {words:?}");
    }
}

#[test]
fn the_good_one_loads() {
    let shelf = Shelf::new();
    load(&shelf.model("tiny", MANIFEST, YOLOV8)).unwrap();
}

#[test]
fn no_folder_no_manifest_no_weights() {
    let shelf = Shelf::new();
    let error = load(&shelf.0.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("none/model.toml"), "{error}");
    let dir = shelf.model("tiny", MANIFEST, YOLOV8);
    std::fs::remove_file(dir.join("model.onnx")).unwrap();
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("cannot read the weights"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_device_in_the_place_of_a_file_is_not_read() {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", MANIFEST, YOLOV8);
    for file in ["model.onnx", "model.toml"] {
        std::fs::remove_file(dir.join(file)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.join(file)).unwrap();
        let error = load(&dir).unwrap_err().to_string();
        assert!(error.contains("not an ordinary file"), "{error}");
    }
}

#[test]
fn another_file_than_declared() {
    let zeros = "0".repeat(64);
    let words = [
        "has sha256 ",
        "the manifest says 0000",
        "fetch the file again",
    ];
    refuses(&MANIFEST.replace("SHA256", &zeros), YOLOV8, &words);
}

#[test]
fn files_that_are_no_model() {
    refuses(
        MANIFEST,
        &YOLOV8[..YOLOV8.len() / 2],
        &["ONNX Runtime refuses", "model.onnx on cpu"],
    );
    refuses(MANIFEST, b"hello", &["ONNX Runtime refuses"]);
    refuses(MANIFEST, b"", &["ONNX Runtime refuses"]);
    refuses(
        MANIFEST,
        b"version https://git-lfs.github.com/spec/v1\n",
        &["ONNX Runtime refuses"],
    );
}

#[test]
fn a_model_that_is_no_detector() {
    let words = [
        "does not fit its manifest",
        "output `logits` has shape [1, 10]",
        "check `labels`",
    ];
    refuses(MANIFEST, CLASSIFIER, &words);
}

#[test]
fn a_wrong_label_count() {
    let three = MANIFEST.replace("\"head\"]", "\"head\", \"person\"]");
    refuses(
        &three,
        YOLOV8,
        &["output `output0` has shape [1, 6, 4]", "[1, 7, N]"],
    );
}

#[test]
fn a_wrong_head() {
    let yolox = MANIFEST.replace("\"yolov8\"", "\"yolox\"");
    refuses(
        &yolox,
        YOLOV8,
        &["output `output0` has shape [1, 6, 4]", "[1, N, 7]"],
    );
}

#[test]
fn inputs_that_differ() {
    let other = MANIFEST.replace("\"images\"", "\"pixels\"");
    refuses(
        &other,
        YOLOV8,
        &["has no input `pixels` (input.name); it has `images`"],
    );
    let large = MANIFEST.replace("width = 32", "width = 64");
    let words = [
        "input `images` has shape [-1, 3, 32, 32]",
        "[1, 3, 32, 64]",
        "input.width",
    ];
    refuses(&large, YOLOV8, &words);
    let nhwc = MANIFEST.replace("nchw", "nhwc");
    refuses(&nhwc, YOLOV8, &["[1, 32, 32, 3]", "input.layout"]);
    refuses(
        MANIFEST,
        DETR,
        &["`orig_target_sizes`", "wants [size_input]"],
    );
    let size = format!("{MANIFEST}[size_input]\nname = \"size\"\n");
    refuses(&size, YOLOV8, &["has no input `size` (size_input.name)"]);
}

#[test]
fn a_batch_that_the_graph_does_not_take() {
    refuses(
        MANIFEST,
        BATCH_1,
        &["fixed batch axis at `images`", "`max_batch` must be 1"],
    );
    let shelf = Shelf::new();
    load(&shelf.model("tiny", &MANIFEST.replace("max_batch = 4\n", ""), BATCH_1)).unwrap();
}

#[test]
fn no_silent_fallback_to_the_cpu() {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", MANIFEST, YOLOV8);
    for provider in [Provider::Cuda, Provider::TensorRt, Provider::OpenVino] {
        let options = LoadOptions {
            provider,
            ..LoadOptions::default()
        };
        // Only where the library has the provider may this load.
        if let Err(e) = Model::load(&runtime(), &dir, options) {
            assert!(
                e.to_string().contains(&format!("model.onnx on {provider}")),
                "{e}"
            );
        }
    }
}

/// A golden run recorded, then something changed.
#[track_caller]
fn golden_refuses(change: impl FnOnce(&Path), words: &str) {
    let shelf = Shelf::new();
    let manifest = format!("{MANIFEST}[golden]\n");
    let dir = shelf.model("tiny", &manifest, YOLOV8);
    Model::make_golden(&runtime(), &dir).unwrap();
    load(&dir).unwrap();
    change(&dir);
    let error = load(&dir).expect_err("must be refused").to_string();
    assert!(error.contains("the golden run of"), "{error}");
    assert!(error.contains(words), "{error:?} does not say {words:?}");
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_golden_run_that_differs() {
    let golden = |dir: &Path| dir.join("golden.json");
    golden_refuses(
        |d| std::fs::remove_file(golden(d)).unwrap(),
        "golden.json: ",
    );
    golden_refuses(|d| std::fs::write(golden(d), "{").unwrap(), "golden.json: ");
    golden_refuses(
        |d| edit(&golden(d), "[1,6,4]", "[1,6,5]"),
        "the recorded run has",
    );
    golden_refuses(
        |d| edit(&golden(d), "\"ramp\"", "\"noise\""),
        "the manifest says \"ramp\"",
    );
    golden_refuses(
        |d| edit(&golden(d), "\"values\":[", "\"values\":[1e9,"),
        "as many `values`",
    );
    golden_refuses(
        |d| {
            let mut record: Golden =
                serde_json::from_str(&std::fs::read_to_string(golden(d)).unwrap()).unwrap();
            record.outputs[0].values[3] += 0.1;
            std::fs::write(golden(d), serde_json::to_string(&record).unwrap()).unwrap();
        },
        "output `output0` at 3 is",
    );
}

#[test]
fn a_golden_run_sees_another_preprocessing() {
    let model = |d: &Path| d.join(MANIFEST_FILE);
    let differs = "recorded was";
    golden_refuses(|d| edit(&model(d), "scale = 1.0", "scale = 0.5"), differs);
    let mean = "scale = 1.0\nmean = [1.0, 2.0, 3.0]";
    golden_refuses(|d| edit(&model(d), "scale = 1.0", mean), differs);
}

#[test]
fn a_golden_input_from_a_file() {
    let shelf = Shelf::new();
    let manifest = format!("{MANIFEST}[golden]\ninput = \"input.f32\"\n");
    let dir = shelf.model("tiny", &manifest, YOLOV8);
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("input.f32"), "{error}");
    std::fs::write(dir.join("input.f32"), [0; 10]).unwrap();
    let error = load(&dir).unwrap_err().to_string();
    assert!(
        error.contains("has 10 bytes, one picture as little-endian f32 has 12288"),
        "{error}"
    );
    std::fs::write(dir.join("input.f32"), [0; 12288]).unwrap();
    Model::make_golden(&runtime(), &dir).unwrap();
    load(&dir).unwrap();
}
