//! YOLOX: `1 x N x (5 + classes)`, rows of `x, y, w, h, objectness, class scores`.
//!
//! The upstream export (`tools/export_onnx.py`) leaves the boxes undecoded, relative to their
//! grid cell (`demo_postprocess` in `yolox/utils/demo_utils.py`):
//! `centre = (xy + cell) * stride`, `size = exp(wh) * stride`, cells row by row, strides in
//! rising order. Objectness and class scores are sigmoids already.
//! With `decoded = true` the boxes are centre and size in input pixels: the
//! `--decode_in_inference` export, and YOLOv5's layout.

use serde::{Deserialize, Serialize};

use super::candidates::Candidates;
use super::spec::sigmoid;
use super::tensor::{OutputTensor, pick};
use super::{DecodeError, Suppression};
use crate::geometry::BBox;

/// How a YOLOX output is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YoloxHead {
    /// Name of the output tensor; may be left out when the model has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Grid strides in the order of the rows, pixels.
    #[serde(default = "strides")]
    pub strides: Vec<u32>,
    /// Whether the graph already gives boxes as centre and size in input pixels.
    #[serde(default)]
    pub decoded: bool,
    /// Whether objectness and class scores are still logits.
    #[serde(default)]
    pub logits: bool,
    /// Overlap above which the lower-scored box goes, `0..=1`.
    #[serde(default = "nms_iou")]
    pub nms_iou: f32,
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

fn strides() -> Vec<u32> {
    vec![8, 16, 32]
}

/// The threshold of the upstream demo.
fn nms_iou() -> f32 {
    0.45
}

impl YoloxHead {
    pub(crate) fn suppression(&self) -> Suppression {
        Suppression {
            iou: Some(self.nms_iou),
            per_class: !self.class_agnostic,
            vote_iou: None,
            max: self.max_detections,
        }
    }

    pub(crate) fn collect(
        &self,
        classes: usize,
        (width, height): (u32, u32),
        outputs: &[OutputTensor<'_>],
        into: &mut Candidates<'_>,
    ) -> Result<(), DecodeError> {
        let output = pick(outputs, self.output.as_deref())?;
        let table = output.rows(5 + classes)?;
        let cells = if self.decoded {
            None
        } else {
            let cells = cells(&self.strides, width, height, table.rows)
                .ok_or_else(|| output.unexpected(self.expected_rows(classes, width, height)))?;
            Some(cells)
        };
        let score = |v: f32| if self.logits { sigmoid(v) } else { v };

        for row in 0..table.rows {
            let [x, y, w, h] = table.quad(row, 0);
            let cxcywh = match &cells {
                None => [x, y, w, h],
                Some(cells) => {
                    let (cell_x, cell_y, stride) = cells[row];
                    [
                        (x + cell_x) * stride,
                        (y + cell_y) * stride,
                        w.exp() * stride,
                        h.exp() * stride,
                    ]
                }
            };
            let objectness = score(table.at(row, 4));
            into.check_score(output.name, objectness)?;
            into.push_classes(
                output.name,
                BBox::from_cxcywh(cxcywh),
                self.multi_label,
                |class| score(table.at(row, 5 + class)),
                objectness,
            )?;
        }
        Ok(())
    }

    fn expected_rows(&self, classes: usize, width: u32, height: u32) -> String {
        format!(
            "[1, N, {}] with N the grid cells of a {width}x{height} input at strides {:?}",
            5 + classes,
            self.strides
        )
    }
}

/// `(column, row, stride)` of every grid cell, or `None` when there are not `expected` of them.
fn cells(
    strides: &[u32],
    width: u32,
    height: u32,
    expected: usize,
) -> Option<Vec<(f32, f32, f32)>> {
    let grid = |stride: u32| Some((width.checked_div(stride)?, height.checked_div(stride)?));
    let mut total = 0usize;
    for &stride in strides {
        let (columns, rows) = grid(stride)?;
        total = total.checked_add((columns as usize).checked_mul(rows as usize)?)?;
    }
    // Checked before anything is allocated: the numbers come from a file.
    if total != expected {
        return None;
    }
    let mut cells = Vec::with_capacity(total);
    for &stride in strides {
        let (columns, rows) = grid(stride)?;
        for y in 0..rows {
            cells.extend((0..columns).map(|x| (x as f32, y as f32, stride as f32)));
        }
    }
    Some(cells)
}
