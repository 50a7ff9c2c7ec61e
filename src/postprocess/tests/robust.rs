//! Whatever a model gives, decoding ends in detections that make sense, or in an error.

use proptest::prelude::*;

use super::*;

/// One head of each kind of reading.
const HEADS: &[&str] = &[
    "family = 'yolox'",
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

fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => 0.0..1.0f32,
        2 => -100.0..100.0f32,
        1 => any::<f32>(),
    ]
}

/// Shapes of the kind that heads expect, and arbitrary ones.
fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        (0..12usize, 0..12usize).prop_map(|(n, c)| vec![1, n, c]),
        (0..12usize).prop_map(|n| vec![1, n]),
        (0..90usize).prop_map(|n| vec![1, n, 7]),
        Just(vec![1, 84, 7]),
        proptest::collection::vec(prop_oneof![0..5usize, Just(usize::MAX)], 0..5),
    ]
}

/// Data of the length that the shape says, or of another.
fn tensor() -> impl Strategy<Value = (Vec<usize>, Vec<f32>)> {
    shape().prop_flat_map(|shape| {
        let len = shape.iter().try_fold(1usize, |n, &a| n.checked_mul(a));
        let len = len.filter(|&n| n < 2000).unwrap_or(3);
        let length = prop_oneof![9 => Just(len), 1 => 0..20usize];
        let data = length.prop_flat_map(|n| proptest::collection::vec(value(), n));
        (Just(shape), data)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_output_is_decoded_or_refused(
        which in 0..HEADS.len(),
        tensors in proptest::collection::vec(tensor(), 0..5),
        classes in 0..6usize,
        threshold in 0.0..1.0f32,
        size in (1..100u32, 1..100u32),
        pad in 0.0..10.0f32,
    ) {
        let spec = head(HEADS[which]);
        let outputs: Vec<_> = tensors
            .iter()
            .zip(["a", "b", "c", "d"])
            .map(|((shape, data), name)| output(name, shape, data))
            .collect();
        let mut laid = identity();
        laid.pad_x = pad;
        let thresholds = vec![threshold; classes];
        if let Ok(found) = decode(&spec, classes, size, &outputs, &laid, &thresholds) {
            for d in &found {
                prop_assert!(d.class < classes);
                prop_assert!(d.score >= threshold && d.score <= 1.0);
                prop_assert!(d.bbox.is_valid());
                prop_assert!(d.bbox.x1 >= 0.0 && d.bbox.x2 <= 64.0);
                prop_assert!(d.bbox.y1 >= 0.0 && d.bbox.y2 <= 64.0);
            }
            prop_assert!(found.windows(2).all(|w| w[0].score >= w[1].score));
        }
    }

    /// Tensors that fit their head, so that the arithmetic is reached and not only the checks.
    #[test]
    fn any_values_of_the_right_shape(
        data in proptest::collection::vec(value(), 84 * 7),
        which in 0..5usize,
    ) {
        let shape: &[usize] = if which == 3 { &[1, 98, 6] } else { &[1, 84, 7] };
        let (spec, classes) = match which {
            0 => ("family = 'yolox'", 2),
            1 => ("family = 'yolox'\ndecoded = true", 2),
            2 => ("family = 'yolov8'", 3),
            3 => ("family = 'yolov8'\nlayout = 'end_to_end'", 3),
            _ => ("family = 'detr'\nlayout = 'joined'\nactivation = 'softmax'", 3),
        };
        let outputs = [output("o", shape, &data)];
        let _ = decode(&head(spec), classes, (64, 64), &outputs, &identity(), &vec![0.1; classes]);
    }
}
