//! Runs: batches, threads, element types.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndarray::{Array4, Axis, Slice};

use super::*;

const HALF: &[u8] = include_bytes!("../../../tests/data/models/yolov8_half.onnx");
const BYTES_NHWC: &[u8] = include_bytes!("../../../tests/data/models/yolov8_bytes_nhwc.onnx");
const DETR: &[u8] = include_bytes!("../../../tests/data/models/detr.onnx");

const DETR_HEAD: &str = "family = \"detr\"\nlayout = \"postprocessed\"";

/// `n` pictures of one colour each, different from one another.
fn pictures(n: usize) -> Array4<f32> {
    Array4::from_shape_fn((n, 3, 32, 32), |(i, c, _, _)| (i * 40 + c * 25) as f32)
}

fn model(manifest: &str, onnx: &[u8], sessions: usize) -> (Shelf, Model) {
    let shelf = Shelf::new();
    let dir = shelf.model("tiny", manifest, onnx);
    let options = LoadOptions {
        threads: Threads {
            sessions,
            per_session: 1,
        },
        ..LoadOptions::default()
    };
    let model = Model::load(&runtime(), &dir, options).unwrap();
    (shelf, model)
}

/// Pictures one by one and in batches give the same, in order.
#[test]
fn batches_are_parted_and_put_together() {
    let (_shelf, single) = model(
        &MANIFEST.replace("max_batch = 4", "max_batch = 1"),
        YOLOV8,
        1,
    );
    let (_shelf, batched) = model(MANIFEST, YOLOV8, 1);
    let input = pictures(6);
    let one_by_one = single.detect(input.view()).unwrap();
    let in_batches = batched.detect(input.view()).unwrap();
    assert_eq!(one_by_one.len(), 6);
    for (a, b) in one_by_one.iter().zip(&in_batches) {
        assert_eq!(a.tensors[0].shape, [1, 6, 4]);
        assert_eq!(a.tensors[0].shape, b.tensors[0].shape);
        for (x, y) in a.tensors[0].data.iter().zip(&b.tensors[0].data) {
            assert!((x - y).abs() < 1e-4, "{x} {y}");
        }
    }
    assert_ne!(one_by_one[0], one_by_one[5]);
    assert_eq!(batched.detect(pictures(0).view()).unwrap(), []);
}

/// A view that is not contiguous is copied, not misread.
#[test]
fn a_view_with_strides() {
    let (_shelf, model) = model(MANIFEST, YOLOV8, 1);
    let input = pictures(4);
    let every_other = input.slice_axis(Axis(0), Slice::new(0, None, 2));
    let found = model.detect(every_other).unwrap();
    let all = model.detect(input.view()).unwrap();
    for (a, b) in found[1].tensors[0].data.iter().zip(&all[2].tensors[0].data) {
        assert!((a - b).abs() < 1e-4);
    }
}

#[test]
fn a_wrong_shape_is_an_error() {
    let (_shelf, model) = model(MANIFEST, YOLOV8, 1);
    let error = model
        .detect(Array4::zeros((1, 3, 32, 31)).view())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("[1, 3, 32, 31], the model takes [1, 3, 32, 32]")
    );
}

#[test]
fn many_threads_share_few_sessions() {
    let (_shelf, model) = model(MANIFEST, YOLOV8, 2);
    assert_eq!(model.parallelism().get(), 2);
    let input = pictures(3);
    let expected = model.detect(input.view()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(model.detect(input.view()).unwrap(), expected);
                }
            });
        }
    });
}

/// With one session only, a second run would wait for ever if the first had kept it.
#[test]
fn a_panic_returns_the_session() {
    let (_shelf, model) = model(MANIFEST, YOLOV8, 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        model.pool.with(|_| panic!("on purpose"))
    }));
    assert!(panicked.is_err());
    assert_eq!(model.detect(pictures(1).view()).unwrap().len(), 1);
}

#[test]
fn half_precision() {
    let scaled = MANIFEST.replace("scale = 1.0", "scale = 0.00392");
    let (_shelf, half) = model(&scaled, HALF, 1);
    let (_shelf, single) = model(&scaled, YOLOV8, 1);
    let input = pictures(1).mapv(|v| v * 0.00392);
    let (a, b) = (
        half.detect(input.view()).unwrap(),
        single.detect(input.view()).unwrap(),
    );
    for (x, y) in a[0].tensors[0].data.iter().zip(&b[0].tensors[0].data) {
        assert!((x - y).abs() < 0.02, "{x} {y}");
    }
}

#[test]
fn bytes_with_channels_last() {
    let (_shelf, bytes) = model(&MANIFEST.replace("nchw", "nhwc"), BYTES_NHWC, 1);
    let (_shelf, floats) = model(MANIFEST, YOLOV8, 1);
    let input = pictures(2);
    let last = input.view().permuted_axes([0, 2, 3, 1]);
    let (a, b) = (
        bytes.detect(last).unwrap(),
        floats.detect(input.view()).unwrap(),
    );
    for (x, y) in a[1].tensors[0].data.iter().zip(&b[1].tensors[0].data) {
        assert!((x - y).abs() < 1e-3, "{x} {y}");
    }
}

/// Integer labels, and a second input that gets the network's own size.
#[test]
fn a_detr_with_a_size_input() {
    let manifest = MANIFEST.replace("family = \"yolov8\"", DETR_HEAD)
        + "[size_input]\nname = \"orig_target_sizes\"\n";
    let (_shelf, model) = model(&manifest, DETR, 1);
    let outputs = model.detect(pictures(3).view()).unwrap();
    assert_eq!(outputs.len(), 3);
    let letterbox = crate::geometry::Letterbox {
        scale_x: 0.5,
        scale_y: 0.25,
        pad_x: 0.0,
        pad_y: 0.0,
        origin_x: 0.0,
        origin_y: 0.0,
        width: 64.0,
        height: 128.0,
    };
    let mut found = model
        .manifest()
        .decode(&outputs[2], &letterbox, &[0.0, 0.0])
        .unwrap();
    found.sort_by_key(|d| d.class);
    let boxes: Vec<_> = found.iter().map(|d| d.bbox.to_xywh()).collect();
    assert_eq!(boxes, [[0.0, 0.0, 32.0, 32.0], [32.0, 64.0, 32.0, 32.0]]);
}

#[test]
fn the_ramp_is_what_its_formula_says() {
    let (_shelf, model) = model(MANIFEST, YOLOV8, 1);
    let mut input = model.manifest().input.clone();
    (input.scale, input.mean, input.std) = (0.5, [1.0, 2.0, 3.0], [1.0, 2.0, 4.0]);
    let at = |c: usize, y: usize, x: usize| {
        let pixel = ((7 * c + 13 * y + 29 * x) % 256) as f32;
        (pixel * 0.5 - input.mean[c]) / input.std[c]
    };
    let planes = ramp(&input);
    assert_eq!(planes[2 * 1024 + 5 * 32 + 17], at(2, 5, 17));
    input.layout = crate::preprocess::Layout::Nhwc;
    let pixels = ramp(&input);
    assert_eq!(pixels[(5 * 32 + 17) * 3 + 2], at(2, 5, 17));
}
