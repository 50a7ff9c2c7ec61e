//! From boxes to piles: which box stands on which, and the measures of a pile.

use crate::detection::Detection;
use crate::geometry::BBox;

/// Largest gap or overlap between the lower edge of a box and the upper edge of the one that
/// carries it, in heights of the lower of the two, and in pixels for the error of both edges. A
/// box that stands *behind* another mostly shows its lower edge beside it, further down, and
/// fails this.
const CONTACT_GAP: f32 = 0.08;
const CONTACT_GAP_PX: f32 = 2.0;

/// Least overlap in width of two boxes in contact, in widths of the narrower one.
const CONTACT_WIDTH: f32 = 0.15;

/// Boxes in contact whose heights or widths differ by more than this factor may be at different
/// distances: a small box far behind looks like a small one on top.
const LIKE_SIZE: f32 = 2.0;

/// Share of a box that another may cover before its outline is not its own any more.
const COVERED: f32 = 0.15;

/// A box this close to the picture's side may be cut there, share of the picture's width.
const EDGE: f32 = 0.005;

/// Drift and lean compare boxes of like width only: a small box on the side of a large one is
/// shifted, but stands well.
const LIKE_WIDTH: f32 = 1.35;

/// Boxes that stand on one another, two tiers or more.
pub(super) struct Pile {
    boxes: Vec<Detection>,
    /// For each box, the boxes that carry it (indices into `boxes`); empty at the base.
    carriers: Vec<Vec<usize>>,
}

/// What was measured on one pile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measures {
    /// Number of boxes in the longest column.
    pub(super) tiers: usize,
    /// Largest overhang, in widths of the box that stands out.
    pub(super) overhang: f32,
    /// Largest shift against the tier below, in widths of the box.
    pub(super) drift: f32,
    /// Largest shift of a box against the base of its column, in base widths.
    pub(super) lean: f32,
    /// Least distance of the centre of mass above a contact from its edge, in half widths of the
    /// contact.
    pub(super) support_margin: f32,
    /// Height by base width.
    pub(super) slenderness: f32,
}

/// Why a pile that was found cannot be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// The picture's side cuts a box.
    Cut,
    /// Boxes cover one another: seen from above, or a heap.
    Covered,
    /// Boxes of very different size: perhaps one behind the other.
    Unlike,
    /// As it looks it would have fallen already: the view deceives, or it is held from behind.
    WouldFall,
}

/// All piles of at least two tiers. `boxes` come in an order that does not depend on the scene's.
pub(super) fn piles(boxes: &[Detection]) -> Vec<Pile> {
    let n = boxes.len();
    let mut carriers: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut pile_of: Vec<usize> = (0..n).collect();
    for upper in 0..n {
        for lower in 0..n {
            if upper != lower && stands_on(boxes[upper].bbox, boxes[lower].bbox) {
                carriers[upper].push(lower);
                let (from, to) = (pile_of[upper], pile_of[lower]);
                pile_of
                    .iter_mut()
                    .filter(|p| **p == from)
                    .for_each(|p| *p = to);
            }
        }
    }
    let mut ids = pile_of.clone();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .filter_map(|id| {
            let members: Vec<usize> = (0..n).filter(|i| pile_of[*i] == id).collect();
            (members.len() >= 2).then(|| Pile {
                boxes: members.iter().map(|i| boxes[*i]).collect(),
                carriers: members
                    .iter()
                    .map(|i| {
                        carriers[*i]
                            .iter()
                            .filter_map(|c| members.iter().position(|m| m == c))
                            .collect()
                    })
                    .collect(),
            })
        })
        .collect()
}

/// Whether `upper` stands on `lower`. Its centre must be above the other's by more than a third
/// of both heights, which also makes the relation free of cycles.
fn stands_on(upper: BBox, lower: BBox) -> bool {
    let (hu, hl) = (upper.height(), lower.height());
    let overlap = upper.x2.min(lower.x2) - upper.x1.max(lower.x1);
    (upper.y2 - lower.y1).abs() <= CONTACT_GAP * hu.min(hl) + CONTACT_GAP_PX
        && overlap >= CONTACT_WIDTH * upper.width().min(lower.width())
        && lower.center().1 - upper.center().1 > (hu + hl) / 3.0
}

impl Pile {
    pub(super) fn boxes(&self) -> &[Detection] {
        &self.boxes
    }

    pub(super) fn bbox(&self) -> BBox {
        self.boxes
            .iter()
            .map(|d| d.bbox)
            .reduce(BBox::union)
            .unwrap_or(BBox::new(0.0, 0.0, 0.0, 0.0))
    }

    pub(super) fn weakest_score(&self) -> f32 {
        self.boxes.iter().map(|d| d.score).fold(1.0, f32::min)
    }

    /// Whether the outlines are what they seem. `all` are all boxes of the scene, the small ones
    /// included; `width` is that of the picture.
    ///
    /// Most pictures of boxes are no side views of a stack, and a row of boxes one behind the
    /// other, seen from above, has contacts in the picture like a stack.
    pub(super) fn doubt(&self, m: &Measures, all: &[Detection], width: f32) -> Option<Doubt> {
        let (near, far) = (width * EDGE, width * (1.0 - EDGE));
        if self
            .boxes
            .iter()
            .any(|d| d.bbox.x1 <= near || d.bbox.x2 >= far)
        {
            return Some(Doubt::Cut);
        }
        let covers =
            |a: BBox, b: BBox| a != b && a.share_inside(b).max(b.share_inside(a)) >= COVERED;
        if self
            .boxes
            .iter()
            .any(|d| all.iter().any(|o| covers(d.bbox, o.bbox)))
        {
            return Some(Doubt::Covered);
        }
        let ratio = |a: f32, b: f32| a.max(b) / a.min(b);
        let unlike = |a: BBox, b: BBox| {
            ratio(a.width(), b.width()) > LIKE_SIZE || ratio(a.height(), b.height()) > LIKE_SIZE
        };
        if self.carriers.iter().enumerate().any(|(i, carriers)| {
            carriers
                .iter()
                .any(|c| unlike(self.boxes[i].bbox, self.boxes[*c].bbox))
        }) {
            return Some(Doubt::Unlike);
        }
        (m.support_margin <= 0.0).then_some(Doubt::WouldFall)
    }

    /// All measures; the mass of a box is taken as its area in the picture (even filling, like
    /// depth).
    pub(super) fn measure(&self) -> Measures {
        // Upper boxes first: what a box carries is known before the box itself.
        let mut top_down: Vec<usize> = (0..self.boxes.len()).collect();
        top_down.sort_by(|a, b| {
            let (a, b) = (
                self.boxes[*a].bbox.center().1,
                self.boxes[*b].bbox.center().1,
            );
            a.total_cmp(&b)
        });
        let mut m = Measures {
            tiers: 1,
            overhang: 0.0,
            drift: 0.0,
            lean: 0.0,
            support_margin: 1.0,
            slenderness: self.bbox().height() / self.base_width(),
        };
        self.measure_contacts(&top_down, &mut m);
        self.measure_columns(&top_down, &mut m);
        m
    }

    /// Overhang, drift and support of each box on what carries it.
    fn measure_contacts(&self, top_down: &[usize], m: &mut Measures) {
        // Mass and moment (mass x centre) that rest on each box, its own included.
        let mut load: Vec<(f64, f64)> = self
            .boxes
            .iter()
            .map(|d| {
                let mass = f64::from(d.bbox.area());
                (mass, mass * f64::from(d.bbox.center().0))
            })
            .collect();
        for &i in top_down {
            let b = self.boxes[i].bbox;
            let carriers: Vec<BBox> = self.carriers[i]
                .iter()
                .map(|c| self.boxes[*c].bbox)
                .collect();
            let Some(hull) = carriers.iter().copied().reduce(BBox::union) else {
                continue;
            };
            let out = (hull.x1 - b.x1).max(b.x2 - hull.x2).max(0.0) / b.width();
            m.overhang = m.overhang.max(out);
            if like_width(b, hull) {
                let drift = (b.center().0 - hull.center().0).abs() / b.width();
                m.drift = m.drift.max(drift);
            }
            let (left, right) = (hull.x1.max(b.x1), hull.x2.min(b.x2));
            let (mass, moment) = load[i];
            let centre = (moment / mass) as f32;
            let margin = (centre - left).min(right - centre) / ((right - left) / 2.0);
            m.support_margin = m.support_margin.min(margin);
            // The load is handed on in equal shares; each share presses inside its carrier.
            let share = 1.0 / carriers.len() as f64;
            for (c, carrier) in self.carriers[i].iter().zip(&carriers) {
                let at = if carriers.len() == 1 {
                    centre
                } else {
                    (carrier.x1.max(b.x1) + carrier.x2.min(b.x2)) / 2.0
                };
                load[*c].0 += mass * share;
                load[*c].1 += mass * share * f64::from(at);
            }
        }
    }

    /// Tiers and lean along the columns, from the base up.
    fn measure_columns(&self, top_down: &[usize], m: &mut Measures) {
        let mut level = vec![1_usize; self.boxes.len()];
        // The base of the column of boxes of like width that each box belongs to.
        let mut base: Vec<BBox> = self.boxes.iter().map(|d| d.bbox).collect();
        for &i in top_down.iter().rev() {
            let b = self.boxes[i].bbox;
            for &c in &self.carriers[i] {
                level[i] = level[i].max(level[c] + 1);
            }
            if let [c] = self.carriers[i][..]
                && like_width(b, base[c])
            {
                base[i] = base[c];
                let lean = (b.center().0 - base[c].center().0).abs() / base[c].width();
                m.lean = m.lean.max(lean);
            }
            m.tiers = m.tiers.max(level[i]);
        }
    }

    /// Width over all boxes that nothing carries.
    fn base_width(&self) -> f32 {
        self.boxes
            .iter()
            .zip(&self.carriers)
            .filter(|(_, c)| c.is_empty())
            .map(|(d, _)| d.bbox)
            .reduce(BBox::union)
            .map_or(f32::INFINITY, BBox::width)
    }
}

fn like_width(a: BBox, b: BBox) -> bool {
    a.width().max(b.width()) <= LIKE_WIDTH * a.width().min(b.width())
}
