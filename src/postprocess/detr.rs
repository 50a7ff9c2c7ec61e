//! The DETR family: a fixed number of queries, each with a box and class scores; no NMS.
//!
//! Three ways of exporting it:
//! - `postprocessed` (RT-DETR's and D-FINE's own `tools/.../export_onnx.py`): inputs `images`
//!   and `orig_target_sizes`, outputs `labels`, `boxes` (`x1, y1, x2, y2` in the size that was
//!   fed, here the network input's) and `scores`, the top 300 over all queries and classes;
//! - `split` (RF-DETR: `dets` and `labels`; Hugging Face: `pred_boxes` and `logits`): boxes as
//!   fractions `cx, cy, w, h`, and logits for each query and class slot;
//! - `joined` (Ultralytics' RT-DETR): one tensor `1 x N x (4 + classes)`, boxes as fractions
//!   `cx, cy, w, h`, scores after the sigmoid, the best class of each query counts.
//!
//! Where logits go through a sigmoid, a query may stand for several classes: upstream takes the
//! best (query, class) pairs (`PostProcess`), which is `multi_label` here.

use serde::{Deserialize, Serialize};

use super::candidates::Candidates;
use super::tensor::{OutputTensor, pick};
use super::{Activation, Background, BoxFormat, DecodeError, Suppression};

/// How the outputs of a DETR are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetrHead {
    /// Which of the three exports this is.
    pub layout: DetrLayout,
    /// Name of the only tensor of a `joined` export; may be left out when there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Name of the box tensor, `1 x N x 4`.
    #[serde(default = "boxes")]
    pub boxes: String,
    /// Name of the score tensor: `1 x N` (`postprocessed`) or `1 x N x slots` (`split`).
    #[serde(default = "scores")]
    pub scores: String,
    /// Name of the class tensor of a `postprocessed` export, `1 x N`.
    #[serde(default = "labels")]
    pub labels: String,
    /// Meaning of the four box values: `xyxy` for `postprocessed`, else `cxcywh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_format: Option<BoxFormat>,
    /// Whether boxes are fractions of the input: not for `postprocessed`, else yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized: Option<bool>,
    /// What makes class values scores: `sigmoid` for `split`, else `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// The slot for "nothing". RF-DETR fine-tuned on one's own classes and the first DETR have
    /// it `last`; RT-DETR and D-FINE have `none`.
    #[serde(default = "background")]
    pub background: Background,
    /// Whether a query yields one detection for *each* class above its threshold. Yes for
    /// sigmoid scores of a `split` export, else no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_label: Option<bool>,
    /// Overlap above which the lower-scored box of a class goes, `0..=1`. Left out: no NMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nms_iou: Option<f32>,
    /// Most detections for one picture.
    #[serde(default = "super::spec::max_detections")]
    pub max_detections: usize,
}

/// The ways of exporting a DETR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetrLayout {
    /// Labels, boxes and scores, chosen in the graph.
    Postprocessed,
    /// Boxes and class values in two tensors.
    Split,
    /// Boxes and class values side by side.
    Joined,
}

fn boxes() -> String {
    "boxes".into()
}

fn scores() -> String {
    "scores".into()
}

fn labels() -> String {
    "labels".into()
}

fn background() -> Background {
    Background::None
}

impl DetrHead {
    pub(crate) fn suppression(&self) -> Suppression {
        Suppression {
            iou: self.nms_iou,
            per_class: true,
            vote_iou: None,
            max: self.max_detections,
        }
    }

    fn activation(&self) -> Activation {
        self.activation.unwrap_or(match self.layout {
            DetrLayout::Split => Activation::Sigmoid,
            DetrLayout::Postprocessed | DetrLayout::Joined => Activation::None,
        })
    }

    fn multi_label(&self) -> bool {
        let sigmoid = self.activation() == Activation::Sigmoid;
        self.multi_label
            .unwrap_or(sigmoid && self.layout == DetrLayout::Split)
    }

    pub(crate) fn collect(
        &self,
        classes: usize,
        input: (u32, u32),
        outputs: &[OutputTensor<'_>],
        into: &mut Candidates<'_>,
    ) -> Result<(), DecodeError> {
        let chosen = self.layout == DetrLayout::Postprocessed;
        let format = self.box_format.unwrap_or(match self.layout {
            DetrLayout::Postprocessed => BoxFormat::Xyxy,
            DetrLayout::Split | DetrLayout::Joined => BoxFormat::Cxcywh,
        });
        let normalized = self.normalized.unwrap_or(!chosen);

        if chosen {
            let boxes = pick(outputs, Some(&self.boxes))?.rows(4)?;
            let score_output = pick(outputs, Some(&self.scores))?;
            let scores = score_output.list_of(boxes.rows)?;
            let label_output = pick(outputs, Some(&self.labels))?;
            let labels = label_output.list_of(boxes.rows)?;
            for (row, (&score, &label)) in scores.iter().zip(labels).enumerate() {
                let bbox = format.read(boxes.quad(row, 0), normalized, input);
                let mut score = [score];
                self.activation().apply(&mut score);
                into.push_labelled(score_output.name, bbox, score[0], label, self.background)?;
            }
            return Ok(());
        }

        // `skip` columns stand before the class slots of a row.
        let slots = self.background.slots(classes);
        let (boxes, values, output, skip) = if self.layout == DetrLayout::Joined {
            let output = pick(outputs, self.output.as_deref())?;
            let table = output.rows(4 + slots)?;
            (table, table, output, 4)
        } else {
            let boxes = pick(outputs, Some(&self.boxes))?.rows(4)?;
            let output = pick(outputs, Some(&self.scores))?;
            let values = output.rows(slots)?;
            if values.rows != boxes.rows {
                return Err(output.unexpected(format!("[1, {}, {slots}]", boxes.rows)));
            }
            (boxes, values, output, 0)
        };
        let offset = self.background.offset();
        let mut row_scores = vec![0.0; slots];
        for row in 0..boxes.rows {
            let bbox = format.read(boxes.quad(row, 0), normalized, input);
            for (slot, score) in row_scores.iter_mut().enumerate() {
                *score = values.at(row, skip + slot);
            }
            self.activation().apply(&mut row_scores);
            let score = |class: usize| row_scores[offset + class];
            into.push_classes(output.name, bbox, self.multi_label(), score, 1.0)?;
        }
        Ok(())
    }
}
