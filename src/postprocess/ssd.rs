//! SSD and other detectors whose graph ends in boxes, scores and classes.
//!
//! - `separate`: a box tensor `1 x N x 4` and a score tensor. With a class tensor the scores are
//!   `1 x N`, best class only, already suppressed (TensorFlow's object detection API, the ONNX
//!   model zoo's SSD). Without one they are `1 x N x slots`, the boxes decoded but not
//!   suppressed, and every class counts by itself (the SSD paper, section 2.2; torchvision).
//! - `rows`: one tensor `1 x 1 x N x 7` of `picture, class, score, x1, y1, x2, y2` as fractions
//!   (Caffe's `DetectionOutput`, OpenVINO, OpenCV's zoo). Rows end where the picture is -1.

use serde::{Deserialize, Serialize};

use super::candidates::Candidates;
use super::tensor::{OutputTensor, pick};
use super::{Activation, Background, BoxFormat, DecodeError, Suppression};

/// How the outputs of an SSD are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsdHead {
    /// Which of the two forms this is.
    #[serde(default = "layout")]
    pub layout: SsdLayout,
    /// Name of the only tensor of the `rows` form; may be left out when there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Name of the box tensor, `1 x N x 4`.
    #[serde(default = "boxes")]
    pub boxes: String,
    /// Name of the score tensor: `1 x N` with `classes`, else `1 x N x slots`.
    #[serde(default = "scores")]
    pub scores: String,
    /// Name of the class tensor, `1 x N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<String>,
    /// Name of a tensor with the number of valid rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<String>,
    /// Meaning of the four box values: `yxyx` with `classes` (TensorFlow), else `xyxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_format: Option<BoxFormat>,
    /// Whether boxes are fractions of the input rather than input pixels.
    #[serde(default = "normalized")]
    pub normalized: bool,
    /// What makes class values scores.
    #[serde(default = "activation")]
    pub activation: Activation,
    /// The slot for "nothing": SSDs count their labels from 1.
    #[serde(default = "background")]
    pub background: Background,
    /// Whether a box yields one detection for *each* class above its threshold; used without
    /// `classes`.
    #[serde(default = "multi_label")]
    pub multi_label: bool,
    /// Overlap above which the lower-scored box goes, `0..=1`. Left out: 0.45 where the graph
    /// has not suppressed (no `classes`), else no NMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nms_iou: Option<f32>,
    /// Whether boxes of different classes suppress one another.
    #[serde(default)]
    pub class_agnostic: bool,
    /// Most detections for one picture.
    #[serde(default = "super::spec::max_detections")]
    pub max_detections: usize,
}

/// The forms of an SSD's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SsdLayout {
    /// Boxes, scores and perhaps classes in tensors of their own.
    Separate,
    /// `1 x 1 x N x 7`.
    Rows,
}

fn layout() -> SsdLayout {
    SsdLayout::Separate
}

fn boxes() -> String {
    "boxes".into()
}

fn scores() -> String {
    "scores".into()
}

fn normalized() -> bool {
    true
}

fn activation() -> Activation {
    Activation::None
}

fn background() -> Background {
    Background::First
}

fn multi_label() -> bool {
    true
}

/// The threshold of the SSD paper.
const NMS_IOU: f32 = 0.45;

impl SsdHead {
    pub(crate) fn suppression(&self) -> Suppression {
        let raw = self.layout == SsdLayout::Separate && self.classes.is_none();
        Suppression {
            iou: self.nms_iou.or(raw.then_some(NMS_IOU)),
            per_class: !self.class_agnostic,
            vote_iou: None,
            max: self.max_detections,
        }
    }

    pub(crate) fn collect(
        &self,
        classes: usize,
        input: (u32, u32),
        outputs: &[OutputTensor<'_>],
        into: &mut Candidates<'_>,
    ) -> Result<(), DecodeError> {
        match (self.layout, &self.classes) {
            (SsdLayout::Rows, _) => self.collect_rows(input, outputs, into),
            (SsdLayout::Separate, Some(name)) => self.collect_chosen(name, input, outputs, into),
            (SsdLayout::Separate, None) => self.collect_raw(classes, input, outputs, into),
        }
    }

    fn collect_rows(
        &self,
        input: (u32, u32),
        outputs: &[OutputTensor<'_>],
        into: &mut Candidates<'_>,
    ) -> Result<(), DecodeError> {
        let output = pick(outputs, self.output.as_deref())?;
        let table = output.rows(7)?;
        let format = self.box_format.unwrap_or(BoxFormat::Xyxy);
        for row in 0..table.rows {
            if table.at(row, 0) < 0.0 {
                break;
            }
            let bbox = format.read(table.quad(row, 3), self.normalized, input);
            let (class, score) = (table.at(row, 1), table.at(row, 2));
            into.push_labelled(output.name, bbox, score, class, self.background)?;
        }
        Ok(())
    }

    fn collect_chosen(
        &self,
        classes: &str,
        input: (u32, u32),
        outputs: &[OutputTensor<'_>],
        into: &mut Candidates<'_>,
    ) -> Result<(), DecodeError> {
        let boxes = pick(outputs, Some(&self.boxes))?.rows(4)?;
        let score_output = pick(outputs, Some(&self.scores))?;
        let scores = score_output.list_of(boxes.rows)?;
        let labels = pick(outputs, Some(classes))?.list_of(boxes.rows)?;
        let format = self.box_format.unwrap_or(BoxFormat::Yxyx);
        let rows = scores.iter().zip(labels).take(self.valid(outputs)?);
        for (row, (&score, &class)) in rows.enumerate() {
            let bbox = format.read(boxes.quad(row, 0), self.normalized, input);
            into.push_labelled(score_output.name, bbox, score, class, self.background)?;
        }
        Ok(())
    }

    fn collect_raw(
        &self,
        classes: usize,
        input: (u32, u32),
        outputs: &[OutputTensor<'_>],
        into: &mut Candidates<'_>,
    ) -> Result<(), DecodeError> {
        let slots = self.background.slots(classes);
        let boxes = pick(outputs, Some(&self.boxes))?.rows(4)?;
        let output = pick(outputs, Some(&self.scores))?;
        let values = output.rows(slots)?;
        if values.rows != boxes.rows {
            return Err(output.unexpected(format!("[1, {}, {slots}]", boxes.rows)));
        }
        let format = self.box_format.unwrap_or(BoxFormat::Xyxy);
        let offset = self.background.offset();
        let mut row_scores = vec![0.0; slots];
        for row in 0..boxes.rows.min(self.valid(outputs)?) {
            let bbox = format.read(boxes.quad(row, 0), self.normalized, input);
            for (slot, score) in row_scores.iter_mut().enumerate() {
                *score = values.at(row, slot);
            }
            self.activation.apply(&mut row_scores);
            let score = |class: usize| row_scores[offset + class];
            into.push_classes(output.name, bbox, self.multi_label, score, 1.0)?;
        }
        Ok(())
    }

    /// How many rows count; all where the model does not say.
    fn valid(&self, outputs: &[OutputTensor<'_>]) -> Result<usize, DecodeError> {
        let Some(name) = &self.count else {
            return Ok(usize::MAX);
        };
        let count = pick(outputs, Some(name))?.list_of(1)?;
        // `as` saturates: NaN and negative numbers become 0.
        Ok(count.first().map_or(0, |&n| n as usize))
    }
}
