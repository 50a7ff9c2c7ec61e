//! From a detector's raw output to detections in pixels of the original.
//!
//! One file for each family of heads; the manifest's `[head]` table says which, and how it is
//! read ([`HeadSpec`]). Everything here is pure.

mod candidates;
mod nms;
mod tensor;
mod yolov8;
mod yolox;

use serde::{Deserialize, Serialize};

pub use nms::nms;
pub use tensor::OutputTensor;
pub use yolov8::{Yolov8Head, Yolov8Layout};
pub use yolox::YoloxHead;

use crate::detection::Detection;
use crate::geometry::{BBox, Letterbox};
use candidates::Candidates;

/// How a model's outputs are read: the `[head]` table of its manifest, told apart by `family`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case")]
pub enum HeadSpec {
    /// YOLOX, YOLOv5.
    Yolox(YoloxHead),
    /// YOLOv8, YOLO11, YOLOv10, YOLO26.
    Yolov8(Yolov8Head),
}

/// The family of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadFamily {
    /// YOLOX, YOLOv5.
    Yolox,
    /// YOLOv8, YOLO11, YOLOv10, YOLO26.
    Yolov8,
}

/// Meaning of the four values of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxFormat {
    /// Centre x, centre y, width, height.
    Cxcywh,
    /// Left, top, right, bottom.
    Xyxy,
    /// Top, left, bottom, right (TensorFlow).
    Yxyx,
}

impl BoxFormat {
    /// The box in input pixels.
    pub(crate) fn read(self, v: [f32; 4], normalized: bool, (w, h): (u32, u32)) -> BBox {
        let b = match self {
            Self::Cxcywh => BBox::from_cxcywh(v),
            Self::Xyxy => BBox::new(v[0], v[1], v[2], v[3]),
            Self::Yxyx => BBox::new(v[1], v[0], v[3], v[2]),
        };
        if normalized {
            let (w, h) = (w as f32, h as f32);
            BBox::new(b.x1 * w, b.y1 * h, b.x2 * w, b.y2 * h)
        } else {
            b
        }
    }
}

/// How decoded boxes are thinned out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Suppression {
    /// `None`: the model has done it, or needs none.
    pub(crate) iou: Option<f32>,
    pub(crate) per_class: bool,
    pub(crate) max: usize,
}

pub(crate) fn max_detections() -> usize {
    300
}

/// Why an output could not be read. The manifest's `[head]` or `labels` do not fit the model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A tensor has another shape than the family and the label count ask for.
    #[error(
        "output `{output}` has shape {shape:?}, expected {expected}; check `labels` and [head]"
    )]
    Shape {
        /// Output tensor.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// A named output does not exist.
    #[error("the model has no output `{wanted}`, it has {found:?}; correct the name in [head]")]
    MissingOutput {
        /// Name that [head] asks for.
        wanted: String,
        /// Names that the model has.
        found: Vec<String>,
    },
    /// Several outputs, and [head] names none.
    #[error("the model has the outputs {found:?}; name the one to read as `output` in [head]")]
    WhichOutput {
        /// Names that the model has.
        found: Vec<String>,
    },
    /// A score outside `0..=1`.
    #[error(
        "output `{output}` holds the score {score}, outside 0..=1; \
         if the model gives logits say so in [head]"
    )]
    Score {
        /// Output tensor.
        output: String,
        /// The score.
        score: f32,
    },
    /// A class number beyond the labels.
    #[error(
        "output `{output}` holds the class number {class}, but there are {labels} labels; \
         check `labels` and `class_offset`"
    )]
    Class {
        /// Output tensor.
        output: String,
        /// The number.
        class: f32,
        /// How many labels there are.
        labels: usize,
    },
    /// Thresholds and labels differ in number.
    #[error("{thresholds} thresholds for {classes} classes")]
    Thresholds {
        /// Thresholds given.
        thresholds: usize,
        /// Classes of the model.
        classes: usize,
    },
    /// A value in [head] cannot be used.
    #[error("[head] {0}")]
    Head(String),
}

impl HeadSpec {
    /// Which family this is.
    pub fn family(&self) -> HeadFamily {
        match self {
            Self::Yolox(_) => HeadFamily::Yolox,
            Self::Yolov8(_) => HeadFamily::Yolov8,
        }
    }

    fn suppression(&self) -> Suppression {
        match self {
            Self::Yolox(head) => head.suppression(),
            Self::Yolov8(head) => head.suppression(),
        }
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`DecodeError::Head`] names the key.
    pub fn check(&self) -> Result<(), DecodeError> {
        let how = self.suppression();
        if let Some(iou) = how.iou
            && !(0.0..=1.0).contains(&iou)
        {
            return Err(DecodeError::Head(format!(
                "`nms_iou` is {iou}, must lie in 0..=1"
            )));
        }
        if how.max == 0 {
            return Err(DecodeError::Head("`max_detections` must be above 0".into()));
        }
        if let Self::Yolox(head) = self
            && (head.strides.is_empty() || head.strides.contains(&0))
        {
            return Err(DecodeError::Head(
                "`strides` must be a list of numbers above 0".into(),
            ));
        }
        Ok(())
    }
}

/// Detections in pixels of the original, best first, ties in a fixed order.
///
/// `classes` is the number of labels, `input` the width and height of the network input in
/// pixels, `thresholds` the least score of each class (`0..=1`). Boxes that are not finite,
/// have no area, or lie outside the laid-in region are dropped. Each box counts for its best
/// class only, unless the head says `multi_label`.
///
/// # Errors
/// The outputs do not have the names, shapes or value ranges that `head` describes.
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
    let mut candidates = Candidates::new(letterbox, thresholds);
    match head {
        HeadSpec::Yolox(head) => head.collect(classes, input, outputs, &mut candidates)?,
        HeadSpec::Yolov8(head) => head.collect(classes, input, outputs, &mut candidates)?,
    }
    Ok(candidates.finish(head.suppression()))
}
