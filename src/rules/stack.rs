//! Stack geometry: does a pile of boxes lean, stand out, or balance on an edge, as seen from
//! this side.
//!
//! Everything is a ratio of lengths in the picture plane, so no metres are needed. What cannot be
//! seen from one side: the depth of the stack, what stands behind it, straps and film.

mod build;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::build::{Doubt, Measures, Pile};
use super::Scene;
use super::labels::{Group, cannot_see, check_range};
use super::outcome::{Find, Outcome, Settled, input};
use crate::hazard::Text;

/// Parameters of the primitive `stack`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// What is stacked.
    #[serde(rename = "box")]
    pub boxes: Group,
    /// Lowest score that is looked at, `0..=1`.
    pub min_score: f32,
    /// Boxes with a shorter side than this are not measured, pixels of the original.
    pub min_box_px: f32,
    /// Largest part of a box that may stand out beyond what carries it, in its own width.
    pub max_overhang: f32,
    /// Largest shift of a box against the box of like width under it, in its own width.
    pub max_drift: f32,
    /// Largest shift of the top of a column against its base, in base widths.
    pub max_lean: f32,
    /// Smallest distance of the centre of mass of everything above from the edge of the contact,
    /// in half widths of the contact: 1 = centred, 0 = over the edge.
    pub min_support_margin: f32,
    /// Largest height of a stack, in widths of its base.
    pub max_slenderness: f32,
}

/// One measure that is over its limit.
struct Crossing {
    name: &'static str,
    text: Text,
    value: f32,
    limit: f32,
    /// How far over, `0..=1`: 0 = just, 1 = as much again as the limit allows.
    excess: f32,
}

impl Stack {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        self.boxes.check("box")?;
        check_range("min_score", self.min_score, 0.0, 1.0)?;
        check_range("min_box_px", self.min_box_px, 1.0, 1000.0)?;
        check_range("max_overhang", self.max_overhang, 0.01, 1.0)?;
        check_range("max_drift", self.max_drift, 0.01, 1.0)?;
        check_range("max_lean", self.max_lean, 0.01, 10.0)?;
        check_range("min_support_margin", self.min_support_margin, 0.0, 1.0)?;
        check_range("max_slenderness", self.max_slenderness, 1.0, 100.0)
    }

    pub(super) fn evaluate(&self, scene: &Scene<'_>) -> Outcome {
        if !self.boxes.known(scene.labels) {
            return Outcome::cannot_determine(cannot_see(&[&self.boxes]));
        }
        let noun = &self.boxes.name;
        let seen = self.boxes.find(scene, self.min_score);
        if seen.is_empty() {
            return Outcome::not_applicable(Text::new(
                format!(
                    "No {} was found; sacks, drums and loose goods are not recognised.",
                    noun.en
                ),
                format!("未发现{}；袋装、桶装及散放货物暂不能识别。", noun.zh),
            ));
        }
        let (large, small): (Vec<_>, Vec<_>) = seen
            .iter()
            .copied()
            .partition(|d| d.bbox.width().min(d.bbox.height()) >= self.min_box_px);
        let piles = build::piles(&large);
        let width = scene.width as f32;
        let mut measured: Vec<(&Pile, Measures)> = Vec::new();
        let mut doubts: Vec<Doubt> = Vec::new();
        for pile in &piles {
            let m = pile.measure();
            match pile.doubt(&m, &seen, width) {
                None => measured.push((pile, m)),
                Some(doubt) => doubts.push(doubt),
            }
        }
        doubts.sort_unstable();
        if measured.is_empty() {
            return Outcome::cannot_determine(match doubts.first() {
                None => self.no_stack(seen.len(), small.len()),
                Some(_) => doubtful(&doubts),
            });
        }
        let finds: Vec<Find> = measured
            .iter()
            .filter_map(|(pile, m)| self.find(pile, m))
            .collect();
        let mut reason = reason(&measured, finds.len());
        if !doubts.is_empty() {
            let more = doubtful(&doubts);
            reason = Text::new(format!("{} {}", reason.en, more.en), reason.zh + &more.zh);
        }
        let otherwise = if doubts.is_empty() {
            Settled::Compliant
        } else {
            Settled::CannotDetermine
        };
        Outcome::new(finds, otherwise, reason)
    }

    fn crossings(&self, m: &Measures) -> Vec<Crossing> {
        let over = |name, value: f32, limit: f32, text| Crossing {
            name,
            text,
            value,
            limit,
            excess: ((value - limit) / limit).clamp(0.0, 1.0),
        };
        let mut found = Vec::new();
        if m.overhang > self.max_overhang {
            found.push(over(
                "overhang",
                m.overhang,
                self.max_overhang,
                Text::new(
                    format!(
                        "{:.0} % of a box stands out beyond what carries it",
                        m.overhang * 100.0
                    ),
                    format!("有箱体悬出下层{:.0}%", m.overhang * 100.0),
                ),
            ));
        }
        if m.drift > self.max_drift {
            found.push(over(
                "tier_drift",
                m.drift,
                self.max_drift,
                Text::new(
                    format!(
                        "a tier is shifted by {:.0} % of its width against the one below",
                        m.drift * 100.0
                    ),
                    format!("某层相对下层偏移{:.0}%", m.drift * 100.0),
                ),
            ));
        }
        if m.lean > self.max_lean {
            found.push(over(
                "lean",
                m.lean,
                self.max_lean,
                Text::new(
                    format!(
                        "the top has moved {:.0} % of the base width to one side",
                        m.lean * 100.0
                    ),
                    format!("顶部相对底层偏移达底宽的{:.0}%", m.lean * 100.0),
                ),
            ));
        }
        if m.support_margin < self.min_support_margin {
            found.push(Crossing {
                name: "support_margin",
                text: Text::new(
                    "the centre of what is above lies close to the edge that carries it",
                    "上部重心接近下层支承边缘",
                ),
                value: m.support_margin,
                limit: self.min_support_margin,
                // 1 when the centre of mass is over the edge.
                excess: ((self.min_support_margin - m.support_margin)
                    / self.min_support_margin.max(f32::EPSILON))
                .clamp(0.0, 1.0),
            });
        }
        if m.slenderness > self.max_slenderness {
            found.push(over(
                "slenderness",
                m.slenderness,
                self.max_slenderness,
                Text::new(
                    format!(
                        "it is {:.1} times as high as its base is wide",
                        m.slenderness
                    ),
                    format!("高度为底宽的{:.1}倍", m.slenderness),
                ),
            ));
        }
        found
    }

    fn find(&self, pile: &Pile, m: &Measures) -> Option<Find> {
        let crossings = self.crossings(m);
        let worst = crossings.iter().map(|c| c.excess).reduce(f32::max)?;
        // As sure as its least sure box; a measure just over its limit is worth half, because
        // edges are found to a pixel or two only.
        let score = pile.weakest_score() * (0.5 + 0.5 * worst);
        let mut inputs = vec![input(
            "tiers",
            Some(m.tiers as f32),
            None,
            Some(pile.bbox()),
        )];
        inputs.extend(
            crossings
                .iter()
                .map(|c| input(c.name, Some(c.value), Some(c.limit), None)),
        );
        inputs.extend(pile.boxes().iter().map(|d| {
            input(
                self.boxes.noun(),
                Some(d.score),
                Some(self.min_score),
                Some(d.bbox),
            )
        }));
        let en: Vec<&str> = crossings.iter().map(|c| c.text.en.as_str()).collect();
        let zh: Vec<&str> = crossings.iter().map(|c| c.text.zh.as_str()).collect();
        Some(Find {
            score,
            bbox: pile.bbox(),
            inputs,
            text: Text::new(
                format!(
                    "Stack of {} tiers: {}. Seen from this side only; what stands behind it and any strapping were not judged.",
                    m.tiers,
                    en.join("; ")
                ),
                format!(
                    "{}层堆垛：{}。仅依据本侧画面判断，后方依托及捆扎、缠膜情况未计入。",
                    m.tiers,
                    zh.join("；")
                ),
            ),
        })
    }

    fn no_stack(&self, total: usize, small: usize) -> Text {
        let noun = &self.boxes.name;
        let min = self.min_box_px;
        let mut text = Text::new(
            format!(
                "Found {total} x {}, none seen standing on another; one found box may also be a whole stack, so its tiers could not be measured.",
                noun.en
            ),
            format!(
                "发现{}{total}个，未见上下叠放；也可能整垛被识别为一个，无法逐层测量。",
                noun.zh
            ),
        );
        if small > 0 {
            text.en += &format!(" {small} of them are too small to measure (under {min:.0} px).");
            text.zh += &format!("其中{small}个过小（不足{min:.0}像素），无法测量。");
        }
        text
    }
}

/// The counts and the worst measures of all stacks that could be measured.
fn reason(measured: &[(&Pile, Measures)], bad: usize) -> Text {
    let n = measured.len();
    let tiers = measured.iter().map(|(_, m)| m.tiers).max().unwrap_or(0);
    if bad > 0 {
        return Text::new(
            format!(
                "Out of limits: {bad} of {n} stacks measured (up to {tiers} tiers): leaning, standing out or too slender, as seen from this side."
            ),
            format!(
                "共测量{n}垛（最高{tiers}层），其中{bad}垛存在倾斜、悬出或过于瘦高的情况（以本侧画面为准）。"
            ),
        );
    }
    let max = |get: fn(&Measures) -> f32| measured.iter().map(|(_, m)| get(m)).fold(0.0, f32::max);
    let (overhang, lean, slender) = (
        max(|m| m.overhang) * 100.0,
        max(|m| m.lean) * 100.0,
        max(|m| m.slenderness),
    );
    Text::new(
        format!(
            "Stacks measured: {n} (up to {tiers} tiers); as seen from this side they stand within the limits: overhang at most {overhang:.0} %, lean {lean:.0} %, {slender:.1} times as high as wide."
        ),
        format!(
            "共测量{n}垛（最高{tiers}层），从本侧看均在限值内：最大悬出{overhang:.0}%，最大倾移{lean:.0}%，最大高宽比{slender:.1}。"
        ),
    )
}

/// What was found but not measured, and why.
fn doubtful(doubts: &[Doubt]) -> Text {
    let mut kinds = doubts.to_vec();
    kinds.dedup();
    let (mut en, mut zh) = (Vec::new(), Vec::new());
    for kind in kinds {
        let (e, z) = match kind {
            Doubt::Cut => ("cut by the side of the picture", "被画面边缘截断"),
            Doubt::Covered => (
                "boxes cover one another, as in a view from above or in a heap",
                "箱体相互遮挡（俯拍或散堆）",
            ),
            Doubt::Unlike => (
                "boxes of very different size, perhaps one behind the other",
                "箱体大小悬殊，可能为前后摆放",
            ),
            Doubt::WouldFall => (
                "as it looks the upper box would have fallen already, so the view deceives or it is held from behind",
                "按画面推算上部箱体早应倾倒，可能为视角错觉或后方有依托",
            ),
        };
        en.push(e);
        zh.push(z);
    }
    let n = doubts.len();
    Text::new(
        format!(
            "Groups of boxes not measured: {n} ({}). Take a photo straight from the side, or look on site.",
            en.join("; ")
        ),
        format!(
            "有{n}处箱堆未能测量（{}）。请从侧面平视重拍，或现场查看。",
            zh.join("；")
        ),
    )
}
