//! Whatever numbers a model gives: boxes within the photo, scores in 0..=1, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sitewarden::geometry::Letterbox;
use sitewarden::postprocess::{HeadSpec, OutputTensor, decode};

const CLASSES: usize = 3;
const INPUT: (u32, u32) = (64, 32);
const HEADS: [&str; 11] = [
    "family = 'yolox'\nstrides = [8, 16]",
    "family = 'yolox'\ndecoded = true\nlogits = true\nmulti_label = true",
    "family = 'yolov8'",
    "family = 'yolov8'\nlayout = 'channels_last'\nlogits = true\nnormalized = true",
    "family = 'yolov8'\nlayout = 'end_to_end'",
    "family = 'detr'\nlayout = 'postprocessed'\nboxes = 'a'\nscores = 'b'\nlabels = 'c'",
    "family = 'detr'\nlayout = 'split'\nboxes = 'a'\nscores = 'b'\nbackground = 'last'",
    "family = 'detr'\nlayout = 'joined'\noutput = 'a'\nactivation = 'softmax'",
    "family = 'ssd'\nboxes = 'a'\nscores = 'b'\nclasses = 'c'\ncount = 'd'",
    "family = 'ssd'\nboxes = 'a'\nscores = 'b'\nactivation = 'sigmoid'",
    "family = 'ssd'\nlayout = 'rows'\noutput = 'a'",
];

fn head_has_names(head: &HeadSpec) -> bool {
    matches!(head, HeadSpec::Detr(_) | HeadSpec::Ssd(_))
}

/// Byte 0 chooses the head; each tensor is its rank, its sides and as many values as they say
/// (fewer when the bytes end).
fuzz_target!(|bytes: &[u8]| {
    let Some((&head, mut rest)) = bytes.split_first() else {
        return;
    };
    let head: HeadSpec = toml::from_str(HEADS[usize::from(head) % HEADS.len()]).expect("a head");
    // heads without names take a lone tensor
    let names: &[&str] = if head_has_names(&head) {
        &["a", "b", "c", "d"]
    } else {
        &["a"]
    };
    let mut tensors: Vec<(&str, Vec<usize>, Vec<f32>)> = Vec::new();
    for &name in names {
        let Some((&rank, more)) = rest.split_first() else {
            break;
        };
        let rank = usize::from(rank % 4).min(more.len());
        let (sides, more) = more.split_at(rank);
        let shape: Vec<usize> = sides.iter().map(|s| usize::from(s % 32)).collect();
        let values = shape.iter().product::<usize>().min(more.len() / 4);
        let (data, more) = more.split_at(4 * values);
        let data = data
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        tensors.push((name, shape, data.collect()));
        rest = more;
    }
    let views: Vec<OutputTensor<'_>> = tensors
        .iter()
        .map(|(name, shape, data)| OutputTensor { name, shape, data })
        .collect();
    let letterbox = Letterbox {
        scale_x: 0.5,
        scale_y: 0.5,
        pad_x: 0.0,
        pad_y: 4.0,
        origin_x: 10.0,
        origin_y: 20.0,
        width: 128.0,
        height: 48.0,
    };
    let Ok(found) = decode(&head, CLASSES, INPUT, &views, &letterbox, &[0.3; CLASSES]) else {
        return;
    };
    for d in found {
        assert!(d.class < CLASSES, "{d:?}");
        assert!((0.3..=1.0).contains(&d.score), "{d:?}");
        assert!(d.bbox.is_valid(), "{d:?}");
        assert!(d.bbox.x1 >= 10.0 && d.bbox.x2 <= 138.0, "{d:?}");
        assert!(d.bbox.y1 >= 20.0 && d.bbox.y2 <= 68.0, "{d:?}");
    }
});
