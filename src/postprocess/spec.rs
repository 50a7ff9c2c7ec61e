//! How a model's outputs are read: the `[head]` table of its manifest.

use serde::{Deserialize, Serialize};

use super::{DecodeError, DetrHead, SsdHead, Yolov8Head, YoloxHead};
use crate::geometry::BBox;

/// The `[head]` table, told apart by its `family`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case")]
pub enum HeadSpec {
    /// YOLOX, YOLOv5.
    Yolox(YoloxHead),
    /// YOLOv8, YOLO11, YOLOv10, YOLO26.
    Yolov8(Yolov8Head),
    /// DETR, RT-DETR, D-FINE, RF-DETR.
    Detr(DetrHead),
    /// SSD, and other detectors that give boxes, scores and classes.
    Ssd(SsdHead),
}

/// The family of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadFamily {
    /// YOLOX, YOLOv5.
    Yolox,
    /// YOLOv8, YOLO11, YOLOv10, YOLO26.
    Yolov8,
    /// DETR, RT-DETR, D-FINE, RF-DETR.
    Detr,
    /// SSD, and other detectors that give boxes, scores and classes.
    Ssd,
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
    /// The box in input pixels; `normalized` values are fractions of the input.
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

/// What turns a row of class values into scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// They are scores already.
    None,
    /// Each by itself.
    Sigmoid,
    /// Over the whole row, background included.
    Softmax,
}

impl Activation {
    /// Applies it to one row in place.
    pub(crate) fn apply(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Sigmoid => row.iter_mut().for_each(|v| *v = sigmoid(*v)),
            Self::Softmax => {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|v| *v = (*v - max).exp());
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|v| *v /= sum);
            }
        }
    }
}

/// The logistic function.
pub(crate) fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

/// Whether the model's class axis has a slot for "nothing", and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// No such slot: slot 0 is the first label.
    None,
    /// Slot 0; the first label is slot 1.
    First,
    /// The slot after the last label.
    Last,
}

impl Background {
    /// Slot of the first label.
    pub(crate) fn offset(self) -> usize {
        usize::from(self == Self::First)
    }

    /// Slots for so many labels.
    pub(crate) fn slots(self, classes: usize) -> usize {
        classes + usize::from(self != Self::None)
    }
}

/// How decoded boxes are thinned out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Suppression {
    /// `None`: the model has done it, or needs none.
    pub(crate) iou: Option<f32>,
    pub(crate) per_class: bool,
    /// Overlap from which on boxes have a vote in where the kept one lies.
    pub(crate) vote_iou: Option<f32>,
    pub(crate) max: usize,
}

/// Default of `max_detections` in every family: Ultralytics' `max_det`, DETR's query count.
pub(crate) fn max_detections() -> usize {
    300
}

impl HeadSpec {
    /// Which family this is.
    pub fn family(&self) -> HeadFamily {
        match self {
            Self::Yolox(_) => HeadFamily::Yolox,
            Self::Yolov8(_) => HeadFamily::Yolov8,
            Self::Detr(_) => HeadFamily::Detr,
            Self::Ssd(_) => HeadFamily::Ssd,
        }
    }

    pub(crate) fn suppression(&self) -> Suppression {
        match self {
            Self::Yolox(head) => head.suppression(),
            Self::Yolov8(head) => head.suppression(),
            Self::Detr(head) => head.suppression(),
            Self::Ssd(head) => head.suppression(),
        }
    }

    /// Whether every number is in its range.
    ///
    /// # Errors
    /// [`DecodeError::Head`] names the key.
    pub fn check(&self) -> Result<(), DecodeError> {
        let fault = |reason: String| Err(DecodeError::Head(reason));
        let how = self.suppression();
        if let Some(iou) = how.iou
            && !(0.0..=1.0).contains(&iou)
        {
            return fault(format!("`nms_iou` is {iou}, must lie in 0..=1"));
        }
        if let Some(iou) = how.vote_iou
            && !(0.0..=1.0).contains(&iou)
        {
            return fault(format!("`vote_iou` is {iou}, must lie in 0..=1"));
        }
        if how.max == 0 {
            return fault("`max_detections` must be above 0".into());
        }
        if let Self::Yolox(head) = self
            && (head.strides.is_empty() || head.strides.contains(&0))
        {
            return fault("`strides` must be a list of numbers above 0".into());
        }
        Ok(())
    }
}
