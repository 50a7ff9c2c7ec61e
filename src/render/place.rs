//! Where labels go: near their box, inside the picture, never on one another.

use crate::geometry::BBox;

/// A rectangle in whole pixels of the picture being drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) w: i32,
    pub(super) h: i32,
}

impl Area {
    pub(super) const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    /// The pixels that a box touches.
    pub(super) fn from_bbox(b: BBox) -> Self {
        let (x, y) = (b.x1.floor() as i32, b.y1.floor() as i32);
        Self::new(x, y, b.x2.ceil() as i32 - x, b.y2.ceil() as i32 - y)
    }

    pub(super) const fn right(self) -> i32 {
        self.x + self.w
    }

    pub(super) const fn bottom(self) -> i32 {
        self.y + self.h
    }

    pub(super) fn grow(self, by: i32) -> Self {
        Self::new(self.x - by, self.y - by, self.w + 2 * by, self.h + 2 * by)
    }

    /// The part inside `bounds`; of no width or height when there is none.
    pub(super) fn cut(self, bounds: Self) -> Self {
        let (x, y) = (self.x.max(bounds.x), self.y.max(bounds.y));
        let w = (self.right().min(bounds.right()) - x).max(0);
        let h = (self.bottom().min(bounds.bottom()) - y).max(0);
        Self::new(x, y, w, h)
    }

    pub(super) fn shared(self, other: Self) -> i64 {
        let part = self.cut(other);
        i64::from(part.w) * i64::from(part.h)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.x < other.right()
            && other.x < self.right()
            && self.y < other.bottom()
            && other.y < self.bottom()
    }

    /// Moved into `bounds`, as far as it goes in.
    fn into(self, bounds: Self) -> Self {
        Self {
            x: self.x.min(bounds.right() - self.w).max(bounds.x),
            y: self.y.min(bounds.bottom() - self.h).max(bounds.y),
            ..self
        }
    }

    pub(super) fn center(self) -> (i32, i32) {
        (self.x + self.w / 2, self.y + self.h / 2)
    }
}

/// The labels placed so far, and what they should rather not cover.
#[derive(Debug)]
pub(super) struct Desk {
    bounds: Area,
    taken: Vec<Area>,
    evidence: Vec<Area>,
}

impl Desk {
    /// `evidence` are the boxes that a label covers only when there is no better place.
    pub(super) const fn new(bounds: Area, evidence: Vec<Area>) -> Self {
        Self {
            bounds,
            taken: Vec::new(),
            evidence,
        }
    }

    /// A free place touching `anchor`, the one that hides least; it is taken then. `None`
    /// when the label does not fit, every such place is taken, or would hide more than
    /// `max_hidden` sixteenths of the boxes under it.
    pub(super) fn beside(
        &mut self,
        anchor: Area,
        (w, h): (i32, i32),
        max_hidden: i64,
    ) -> Option<Area> {
        let a = anchor;
        let spots = [
            (a.x, a.y - h),
            (a.x, a.bottom()),
            (a.right() - w, a.y - h),
            (a.right() - w, a.bottom()),
            (a.right(), a.y),
            (a.x - w, a.y),
            (a.right(), a.bottom() - h),
            (a.x - w, a.bottom() - h),
            (a.x, a.y),
            (a.right() - w, a.y),
            (a.x, a.bottom() - h),
            (a.right() - w, a.bottom() - h),
        ];
        let best = spots
            .into_iter()
            .map(|(x, y)| Area::new(x, y, w, h).into(self.bounds))
            .filter(|&spot| self.is_free(spot))
            .map(|spot| (self.hidden(spot), spot))
            .filter(|&(hidden, _)| hidden <= max_hidden)
            .min_by_key(|&(hidden, _)| hidden)
            .map(|(_, spot)| spot)?;
        self.taken.push(best);
        Some(best)
    }

    /// A free place on rings around `anchor`, up to `reach_px` away.
    pub(super) fn around(
        &mut self,
        anchor: Area,
        (w, h): (i32, i32),
        reach_px: i32,
    ) -> Option<Area> {
        let (cx, cy) = anchor.center();
        let step = (h * 5 / 4).max(4);
        let rings = (1..).map(|i| i * step).take_while(|&d| d <= reach_px);
        let spot = rings
            .flat_map(|distance| {
                (0..16).map(move |k| {
                    let angle = k as f32 * std::f32::consts::TAU / 16.0;
                    let away = |half: i32, part: f32| ((half + distance) as f32 * part) as i32;
                    let x = cx + away(anchor.w / 2, angle.cos()) - w / 2;
                    let y = cy - away(anchor.h / 2, angle.sin()) - h / 2;
                    Area::new(x, y, w, h)
                })
            })
            .find(|&spot| spot == spot.into(self.bounds) && self.is_free(spot))?;
        self.taken.push(spot);
        Some(spot)
    }

    fn is_free(&self, spot: Area) -> bool {
        spot.cut(self.bounds) == spot && !self.taken.iter().any(|t| t.grow(1).meets(spot))
    }

    /// How much evidence a label would hide, in sixteenths of the boxes it lies on: most of
    /// a small head is a loss, a corner of a lorry is not. Coarse, so that near ties go to
    /// the first choice of place.
    fn hidden(&self, spot: Area) -> i64 {
        let part = |e: &Area| spot.shared(*e) * 16 / e.shared(*e).max(1);
        self.evidence.iter().map(part).sum()
    }
}
