//! Where on a person a body part is, and how well a box fits there.
//!
//! Proportions of a standing adult after Drillis and Contini (1966), in heights of the body:
//! head (vertex to chin) 0.130, shoulders at 0.818, hips at 0.530. A person's box gives the height
//! only for somebody who stands in full view; crouching, bending and cut persons are narrower in
//! height, so the regions grow as the box gets squarer.

use serde::{Deserialize, Serialize};

use crate::detection::Detection;
use crate::geometry::BBox;
use crate::hazard::Text;

/// Fits below this are no match: about 2.4 standard deviations off in one of the terms.
pub(super) const MIN_FIT: f32 = 0.05;

/// A box this many times higher than wide, or more, is a standing person in full view.
const STANDING: f32 = 2.2;
/// Below this the person crouches, bends, or is cut at the waist.
const COMPACT: f32 = 1.2;
/// Below this the person may be lying.
const LYING: f32 = 0.8;

/// A part smaller than this share of what the person's size suggests belongs to somebody
/// further away.
const MIN_SIZE_RATIO: f32 = 0.4;

/// A part of the body that an item of protection is worn on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Head, with or without a helmet on it.
    Head,
    /// Shoulders to hips.
    Torso,
    /// Front of the head.
    Face,
}

/// Proportions of one part.
struct Shape {
    /// Height of the part in heights of the body.
    height: f32,
    /// Where the part's centre is, below the top of the person, in heights of the *part*:
    /// measured by the part itself because that stays right for a cut person.
    centre: f32,
    /// Spread of that, in heights of the part.
    spread: f32,
    /// Range of the part's centre in heights of the box: standing, and compact.
    standing: (f32, f32),
    compact: (f32, f32),
    /// Overlap from which an item's box and a bare part's box mean the same spot.
    same_spot: f32,
}

impl Part {
    fn shape(self) -> Shape {
        match self {
            // A helmet held at the hip is at 0.45, before the chest at 0.3: both are outside.
            Part::Head => Shape {
                height: 0.130,
                centre: 0.5,
                spread: 1.2,
                standing: (-0.06, 0.24),
                compact: (-0.10, 0.45),
                same_spot: 0.6,
            },
            // From the mouth alone to the whole face, depending on who labelled: small, and two
            // of its own heights below the top of the head.
            Part::Face => Shape {
                height: 0.080,
                centre: 1.9,
                spread: 1.3,
                standing: (-0.02, 0.35),
                compact: (-0.05, 0.60),
                same_spot: 0.5,
            },
            // A vest reaches from the shoulders (0.18) to below the hips (0.56 and more).
            Part::Torso => Shape {
                height: 0.380,
                centre: 0.95,
                spread: 0.6,
                standing: (0.12, 0.60),
                compact: (0.15, 0.95),
                same_spot: 0.55,
            },
        }
    }

    /// The word for the part.
    pub(super) fn word(self) -> Text {
        match self {
            Part::Head => Text::new("head", "头部"),
            Part::Torso => Text::new("torso", "上身"),
            Part::Face => Text::new("face", "面部"),
        }
    }

    /// Expected height of the part in pixels, from the person's box alone.
    pub(super) fn expected_px(self, person: BBox) -> f32 {
        self.shape().height * stature(person)
    }

    /// Where the part of an upright person is expected.
    pub(super) fn expected(self, person: BBox) -> BBox {
        let shape = self.shape();
        let h = self.expected_px(person);
        let (cx, cy) = ((person.x1 + person.x2) / 2.0, person.y1 + shape.centre * h);
        BBox::from_cxcywh([cx, cy, h.min(person.width()), h])
    }

    /// How well `part` sits on `person` as this body part: 0 = cannot be, 1 = as in the book.
    ///
    /// The product of three Gaussian terms: height above the ground, distance from the middle
    /// line, and size.
    pub(super) fn fit(self, person: BBox, part: BBox) -> f32 {
        let upright = self.fit_upright(person, part);
        if person.height() / person.width() < LYING {
            upright.max(self.fit_lying(person, part))
        } else {
            upright
        }
    }

    fn fit_upright(self, person: BBox, part: BBox) -> f32 {
        let shape = self.shape();
        let (w, h) = (person.width(), person.height());
        let (cx, cy) = part.center();
        let square = ((STANDING - h / w) / (STANDING - COMPACT)).clamp(0.0, 1.0);
        let lower = lerp(shape.standing.0, shape.compact.0, square);
        let upper = lerp(shape.standing.1, shape.compact.1, square);
        let y = (cy - person.y1) / h;
        // 0 on the middle line, 1 at the side of the box.
        let x = (cx - person.center().0).abs() / (w / 2.0);
        if !(lower..=upper).contains(&y) || x > 1.1 || part.height() > 1.1 * h {
            return 0.0;
        }
        let dy = (cy - person.y1) / part.height() - shape.centre;
        bell(dy, shape.spread) * bell(x, 0.7) * self.fit_size(part.height(), person)
    }

    /// A lying person's head is at either end of the box; the side that is up is not known.
    fn fit_lying(self, person: BBox, part: BBox) -> f32 {
        let (cx, cy) = part.center();
        if cy < person.y1 - 0.1 * person.height() || cy > person.y2 + 0.1 * person.height() {
            return 0.0;
        }
        let from_end = (cx - person.x1).min(person.x2 - cx) / person.width();
        let place = match self {
            Part::Head | Part::Face => bell(from_end - 0.065, 0.1),
            Part::Torso => bell(from_end - 0.33, 0.15),
        };
        // Below an upright fit of the same quality: the posture is a guess.
        0.7 * place * self.fit_size(part.width().max(part.height()), person)
    }

    fn fit_size(self, part_px: f32, person: BBox) -> f32 {
        let ratio = part_px / self.expected_px(person);
        if ratio < MIN_SIZE_RATIO {
            return 0.0;
        }
        // Larger than expected is common (cut and crouching persons), much larger less so.
        bell(ratio.ln(), if ratio > 1.0 { 0.9 } else { 0.6 })
    }

    /// Overlap of an item's box with a bare part's box, `0..=1`, and the limit from which they
    /// mean the same spot.
    ///
    /// Heads: share of the smaller box, because some models draw the helmet only and some the
    /// head with it. Torsos and faces: IoU, because the torsos of two people standing one behind
    /// the other overlap much.
    pub(super) fn overlap(self, a: BBox, b: BBox) -> f32 {
        match self {
            Part::Head => a.share_inside(b).max(b.share_inside(a)),
            Part::Torso | Part::Face => a.iou(b),
        }
    }

    /// Limit for [`Part::overlap`].
    pub(super) fn same_spot(self) -> f32 {
        self.shape().same_spot
    }

    /// Each part once, the best of its boxes (`found` comes best first). Stricter than a
    /// detector's NMS, because a second box on one head would count as a second person.
    pub(super) fn distinct(self, found: Vec<Detection>) -> Vec<Detection> {
        let mut kept: Vec<Detection> = Vec::with_capacity(found.len());
        for d in found {
            if kept
                .iter()
                .all(|k| self.overlap(k.bbox, d.bbox) < self.same_spot())
            {
                kept.push(d);
            }
        }
        kept
    }

    /// Whether a bare part that fits no posture may still be that of the person around it: it
    /// lies in the box and is not too small. A body part, unlike an item, cannot be carried.
    pub(super) fn inside(self, person: BBox, part: BBox) -> bool {
        part.share_inside(person) >= 0.6 && self.fit_size(part.height(), person) >= MIN_FIT
    }
}

/// Height of the whole body in pixels. Twice the width is the least that a body seen from the
/// front has (shoulders 0.259, with arms 0.3 to 0.5 of its height).
fn stature(person: BBox) -> f32 {
    let (w, h) = (person.width(), person.height());
    if h / w < LYING {
        w.max(h)
    } else {
        h.max(2.0 * w)
    }
}

fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Gaussian with value 1 at 0.
fn bell(x: f32, spread: f32) -> f32 {
    (-0.5 * (x / spread).powi(2)).exp()
}
