//! YOLOv8, YOLO11 and their kin: `1 x (4 + classes) x N`, or transposed.
//!
//! Each of the `N` anchors has `cx, cy, w, h` in input pixels and one sigmoid score for each
//! class; there is no objectness. End-to-end exports (YOLOv10, YOLO26) give
//! `1 x N x 6` rows of `x1, y1, x2, y2, score, class` and need no NMS.

use serde::{Deserialize, Serialize};

use super::candidates::Candidates;
use super::spec::sigmoid;
use super::tensor::{OutputTensor, Table, pick};
use super::{Background, BoxFormat, DecodeError, Suppression};

/// How a YOLOv8-style output is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolov8Head {
    /// Name of the output tensor; may be left out when the model has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Which axis holds the anchors. Left out, it is read off the shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Yolov8Layout>,
    /// Meaning of the four box values; `cxcywh`, and `xyxy` for end-to-end rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_format: Option<BoxFormat>,
    /// Whether boxes are fractions of the input (`0..=1`) rather than input pixels.
    #[serde(default)]
    pub normalized: bool,
    /// Whether class scores are still logits.
    #[serde(default)]
    pub logits: bool,
    /// Overlap above which the lower-scored box goes, `0..=1`; not used by end-to-end rows.
    #[serde(default = "nms_iou")]
    pub nms_iou: f32,
    /// A kept box becomes the mean of the boxes of its class that overlap it at least so much,
    /// weighted by score, `0..=1`; left out, it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote_iou: Option<f32>,
    /// Whether boxes of different classes suppress one another.
    #[serde(default)]
    pub class_agnostic: bool,
    /// Whether a box yields one detection for *each* class above its threshold, not only the best.
    #[serde(default)]
    pub multi_label: bool,
    /// Most detections for one picture.
    #[serde(default = "super::spec::max_detections")]
    pub max_detections: usize,
}

/// Which axis holds what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Yolov8Layout {
    /// `1 x (4 + classes) x N`: as upstream exports.
    ChannelsFirst,
    /// `1 x N x (4 + classes)`.
    ChannelsLast,
    /// `1 x N x 6`: `x1, y1, x2, y2, score, class`, already suppressed.
    EndToEnd,
}

/// Values in a row of the end-to-end form.
const END_TO_END: usize = 6;

/// The default of upstream's `predict`.
fn nms_iou() -> f32 {
    0.7
}

impl Yolov8Head {
    pub(crate) fn suppression(&self) -> Suppression {
        Suppression {
            iou: (self.layout != Some(Yolov8Layout::EndToEnd)).then_some(self.nms_iou),
            per_class: !self.class_agnostic,
            vote_iou: self.vote_iou,
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
        let output = pick(outputs, self.output.as_deref())?;
        if self.layout == Some(Yolov8Layout::EndToEnd) {
            let table = output.rows(END_TO_END)?;
            let format = self.box_format.unwrap_or(BoxFormat::Xyxy);
            for row in 0..table.rows {
                let bbox = format.read(table.quad(row, 0), self.normalized, input);
                let score = table.at(row, 4);
                let class = table.at(row, 5);
                into.push_labelled(output.name, bbox, score, class, Background::None)?;
            }
            return Ok(());
        }

        let table = self.anchors(output, 4 + classes)?;
        let format = self.box_format.unwrap_or(BoxFormat::Cxcywh);
        for row in 0..table.rows {
            let bbox = format.read(table.quad(row, 0), self.normalized, input);
            let score = |class: usize| {
                let v = table.at(row, 4 + class);
                if self.logits { sigmoid(v) } else { v }
            };
            into.push_classes(output.name, bbox, self.multi_label, score, 1.0)?;
        }
        Ok(())
    }

    /// One row for each anchor, whichever way the tensor lies. Where both axes fit, upstream's
    /// own order is meant.
    fn anchors<'a>(
        &self,
        output: &OutputTensor<'a>,
        channels: usize,
    ) -> Result<Table<'a>, DecodeError> {
        let table = output.matrix()?;
        let (first, last) = (table.rows == channels, table.cols == channels);
        match self.layout {
            Some(Yolov8Layout::ChannelsFirst) if first => Ok(table.transposed()),
            Some(Yolov8Layout::ChannelsLast) if last => Ok(table),
            None if first => Ok(table.transposed()),
            // With two classes, rows of six values could be the end-to-end form as well.
            None if last && channels != END_TO_END => Ok(table),
            None if table.cols == END_TO_END => Err(output.unexpected(format!(
                "[1, {channels}, N]; for rows of x1, y1, x2, y2, score, class say \
                 `layout = \"end_to_end\"`, for box and two scores `layout = \"channels_last\"`"
            ))),
            Some(Yolov8Layout::ChannelsLast) => {
                Err(output.unexpected(format!("[1, N, {channels}]")))
            }
            Some(_) => Err(output.unexpected(format!("[1, {channels}, N]"))),
            None => Err(output.unexpected(format!("[1, {channels}, N] or [1, N, {channels}]"))),
        }
    }
}
