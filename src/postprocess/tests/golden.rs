//! `tests/data/postprocess/*.json`, made by `generate.py` there from upstream's own
//! post-processing.

use serde::Deserialize;

use super::*;

/// Boxes agree within this many pixels of the original, scores within `SCORE`: references
/// compute in double precision, or in another order.
const PIXELS: f32 = 2e-3;
const SCORE: f32 = 1e-5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "reference")]
    _reference: String,
    head: HeadSpec,
    classes: usize,
    input: (u32, u32),
    letterbox: Laid,
    threshold: f32,
    outputs: Vec<Tensor>,
    /// class, score, x1, y1, x2, y2
    expected: Vec<(usize, f32, f32, f32, f32, f32)>,
}

#[derive(Deserialize)]
struct Laid {
    scale: [f32; 2],
    pad: [f32; 2],
    size: [f32; 2],
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    data: Vec<f32>,
}

fn check(text: &str) {
    let case: Case = serde_json::from_str(text).expect("a golden file");
    let outputs: Vec<OutputTensor<'_>> = case
        .outputs
        .iter()
        .map(|t| output(&t.name, &t.shape, &t.data))
        .collect();
    let Laid { scale, pad, size } = case.letterbox;
    let letterbox = Letterbox {
        scale_x: scale[0],
        scale_y: scale[1],
        pad_x: pad[0],
        pad_y: pad[1],
        origin_x: 0.0,
        origin_y: 0.0,
        width: size[0],
        height: size[1],
    };
    let thresholds = vec![case.threshold; case.classes];
    let found = decode(
        &case.head,
        case.classes,
        case.input,
        &outputs,
        &letterbox,
        &thresholds,
    )
    .expect("decodes");

    assert_eq!(found.len(), case.expected.len(), "number of boxes");
    for (i, (f, &(class, score, x1, y1, x2, y2))) in found.iter().zip(&case.expected).enumerate() {
        assert_eq!(f.class, class, "class of box {i}");
        assert!(
            (f.score - score).abs() <= SCORE,
            "score of box {i}: {f:?}, {score}"
        );
        let corners = [f.bbox.x1, f.bbox.y1, f.bbox.x2, f.bbox.y2];
        for (a, e) in corners.into_iter().zip([x1, y1, x2, y2]) {
            assert!(
                (a - e).abs() <= PIXELS,
                "box {i}: {f:?}, expected {a} to be {e}"
            );
        }
    }
}

macro_rules! golden {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            check(include_str!(concat!(
                "../../../tests/data/postprocess/",
                stringify!($name),
                ".json"
            )));
        }
    )*};
}

golden!(
    yolox_raw,
    yolox_decoded,
    yolov8,
    yolov8_multi_label,
    yolov8_channels_last_agnostic,
    yolov8_end_to_end,
    rtdetr_split,
    rtdetr_postprocessed,
    rtdetr_joined,
    detr_softmax,
    rfdetr,
    rfdetr_background_first,
    ssd_raw,
    ssd_tensorflow,
    ssd_rows,
);
