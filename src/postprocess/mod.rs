//! From a detector's raw output to detections in pixels of the original.
//!
//! One file for each family of heads; the manifest's `[head]` table says which, and how it is
//! read ([`HeadSpec`]). Everything here is pure.

mod candidates;
mod detr;
mod error;
mod nms;
mod spec;
mod ssd;
mod tensor;
mod yolov8;
mod yolox;

#[cfg(test)]
mod tests;

pub use detr::{DetrHead, DetrLayout};
pub use error::DecodeError;
pub use nms::nms;
pub use spec::{Activation, Background, BoxFormat, HeadFamily, HeadSpec};
pub use ssd::{SsdHead, SsdLayout};
pub use tensor::OutputTensor;
pub use yolov8::{Yolov8Head, Yolov8Layout};
pub use yolox::YoloxHead;

use crate::detection::Detection;
use crate::geometry::Letterbox;
use candidates::Candidates;
use spec::Suppression;

/// Detections in pixels of the original, best first, ties in a fixed order.
///
/// `classes` is the number of labels, `input` the width and height of the network input in
/// pixels, `thresholds` the least score of each class (`0..=1`). Boxes that are not finite,
/// have no area, or lie outside the laid-in region are dropped. Each box counts for its best
/// class only, unless the head says `multi_label`.
///
/// # Errors
/// The outputs do not have the names, shapes or value ranges that `head` describes, or hold
/// scores that are no numbers.
pub fn decode(
    head: &HeadSpec,
    classes: usize,
    input: (u32, u32),
    outputs: &[OutputTensor<'_>],
    letterbox: &Letterbox,
    thresholds: &[f32],
) -> Result<Vec<Detection>, DecodeError> {
    if thresholds.len() != classes {
        return Err(DecodeError::Thresholds {
            thresholds: thresholds.len(),
            classes,
        });
    }
    let mut found = Candidates::new(letterbox, thresholds);
    match head {
        HeadSpec::Yolox(head) => head.collect(classes, input, outputs, &mut found)?,
        HeadSpec::Yolov8(head) => head.collect(classes, input, outputs, &mut found)?,
        HeadSpec::Detr(head) => head.collect(classes, input, outputs, &mut found)?,
        HeadSpec::Ssd(head) => head.collect(classes, input, outputs, &mut found)?,
    }
    Ok(found.finish(head.suppression()))
}
