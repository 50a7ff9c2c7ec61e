//! What one rule says about one scene.

use super::labels::order;
use crate::geometry::BBox;
use crate::hazard::{Answer, RuleInput, Text};

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Find {
    pub(super) score: f32,
    pub(super) bbox: BBox,
    pub(super) inputs: Vec<RuleInput>,
    pub(super) text: Text,
}

/// The answer of one rule. Built only through the functions below, so that
/// `non_compliant` and "there is a find" are the same thing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    answer: Answer,
    reason: Text,
    finds: Vec<Find>,
    in_order: Vec<BBox>,
}

impl Outcome {
    /// Non-compliant when there is a find, `otherwise` when there is none.
    pub(super) fn new(finds: Vec<Find>, otherwise: Settled, reason: Text) -> Self {
        let answer = match (finds.is_empty(), otherwise) {
            (false, _) => Answer::NonCompliant,
            (true, Settled::Compliant) => Answer::Compliant,
            (true, Settled::CannotDetermine) => Answer::CannotDetermine,
            (true, Settled::NotApplicable) => Answer::NotApplicable,
        };
        Self {
            answer,
            reason,
            finds,
            in_order: Vec::new(),
        }
    }

    /// With the objects that were judged one by one and found to be as they should be.
    pub(super) fn with_in_order(mut self, in_order: Vec<BBox>) -> Self {
        self.in_order = in_order;
        self
    }

    pub(super) fn cannot_determine(reason: Text) -> Self {
        Self::new(Vec::new(), Settled::CannotDetermine, reason)
    }

    pub(super) fn not_applicable(reason: Text) -> Self {
        Self::new(Vec::new(), Settled::NotApplicable, reason)
    }

    /// With its finds best first.
    pub(super) fn sorted(mut self) -> Self {
        self.finds
            .sort_by(|a, b| b.score.total_cmp(&a.score).then(order(a.bbox, b.bbox)));
        self
    }

    /// Takes the outcome apart: answer, reason, finds, objects in order.
    pub(super) fn into_parts(self) -> (Answer, Text, Vec<Find>, Vec<BBox>) {
        (self.answer, self.reason, self.finds, self.in_order)
    }
}

/// The answers that need no find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Compliant,
    CannotDetermine,
    NotApplicable,
}

/// An input of a rule: what was measured, against what, where.
pub(super) fn input(
    name: impl Into<String>,
    value: Option<f32>,
    limit: Option<f32>,
    bbox: Option<BBox>,
) -> RuleInput {
    RuleInput {
        name: name.into(),
        value,
        limit,
        bbox: bbox.map(BBox::to_xywh),
    }
}
