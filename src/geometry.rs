//! Boxes, polygons and the letterbox, in pixels.
//!
//! A [`BBox`] is always `xyxy` in pixels of the original, upright image; COCO's
//! `xywh` exists only at the file boundary ([`BBox::to_xywh`]).

/// An axis-aligned box `[x1, x2) x [y1, y2)` in pixels of the original upright image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BBox {
    /// Left edge, pixels.
    pub x1: f32,
    /// Top edge, pixels.
    pub y1: f32,
    /// Right edge, pixels.
    pub x2: f32,
    /// Bottom edge, pixels.
    pub y2: f32,
}

impl BBox {
    /// A box from its corners. Nothing is checked: see [`BBox::is_valid`].
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// A box from COCO's `[x, y, width, height]`.
    pub fn from_xywh([x, y, w, h]: [f32; 4]) -> Self {
        Self::new(x, y, x + w, y + h)
    }

    /// A box from `[centre x, centre y, width, height]`.
    pub fn from_cxcywh([cx, cy, w, h]: [f32; 4]) -> Self {
        Self::new(cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0)
    }

    /// COCO's `[x, y, width, height]`.
    pub fn to_xywh(self) -> [f32; 4] {
        [self.x1, self.y1, self.width(), self.height()]
    }

    /// Finite, and of positive width and height.
    pub fn is_valid(self) -> bool {
        [self.x1, self.y1, self.x2, self.y2]
            .iter()
            .all(|v| v.is_finite())
            && self.x2 > self.x1
            && self.y2 > self.y1
    }

    /// Width in pixels; negative for an inverted box.
    pub fn width(self) -> f32 {
        self.x2 - self.x1
    }

    /// Height in pixels; negative for an inverted box.
    pub fn height(self) -> f32 {
        self.y2 - self.y1
    }

    /// Area in square pixels, 0 for an inverted box.
    pub fn area(self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// Centre point.
    pub fn center(self) -> (f32, f32) {
        ((self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0)
    }

    /// Where the object stands: the middle of the lower edge.
    pub fn bottom_center(self) -> (f32, f32) {
        ((self.x1 + self.x2) / 2.0, self.y2)
    }

    /// Area shared with `other`, square pixels.
    pub fn intersection_area(self, other: Self) -> f32 {
        let w = self.x2.min(other.x2) - self.x1.max(other.x1);
        let h = self.y2.min(other.y2) - self.y1.max(other.y1);
        w.max(0.0) * h.max(0.0)
    }

    /// Intersection over union, `0..=1`; 0 when both are empty.
    pub fn iou(self, other: Self) -> f32 {
        let shared = self.intersection_area(other);
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// Whether all of this box lies in another.
    pub fn is_inside(self, other: Self) -> bool {
        self.share_inside(other) > 0.999
    }

    /// Share of this box's own area that lies in `other`, `0..=1`.
    pub fn share_inside(self, other: Self) -> f32 {
        let area = self.area();
        if area > 0.0 {
            self.intersection_area(other) / area
        } else {
            0.0
        }
    }

    /// The smallest box that holds both.
    pub fn union(self, other: Self) -> Self {
        Self::new(
            self.x1.min(other.x1),
            self.y1.min(other.y1),
            self.x2.max(other.x2),
            self.y2.max(other.y2),
        )
    }

    /// Cut to an image of `width` x `height` pixels.
    pub fn clip(self, width: f32, height: f32) -> Self {
        Self::new(
            self.x1.clamp(0.0, width),
            self.y1.clamp(0.0, height),
            self.x2.clamp(0.0, width),
            self.y2.clamp(0.0, height),
        )
    }

    /// Moved by (`dx`, `dy`) pixels.
    pub fn translate(self, dx: f32, dy: f32) -> Self {
        Self::new(self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)
    }

    /// Whether the point lies inside (left and top edge included).
    pub fn contains(self, (x, y): (f32, f32)) -> bool {
        x >= self.x1 && x < self.x2 && y >= self.y1 && y < self.y2
    }
}

/// How a source picture was laid into a model's input, and the way back.
///
/// Forward: `input = source * scale + pad`, per axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Letterbox {
    /// Input pixels per original pixel, horizontally.
    pub scale_x: f32,
    /// Input pixels per original pixel, vertically.
    pub scale_y: f32,
    /// Empty input columns left of the picture.
    pub pad_x: f32,
    /// Empty input rows above the picture.
    pub pad_y: f32,
    /// Left edge of the region of the original that was laid in (0 for the whole picture).
    pub origin_x: f32,
    /// Top edge of the region of the original that was laid in.
    pub origin_y: f32,
    /// Width of that region, original pixels.
    pub width: f32,
    /// Height of that region, original pixels.
    pub height: f32,
}

impl Letterbox {
    /// Input pixels of a box given in original pixels.
    pub fn forward(&self, b: BBox) -> BBox {
        BBox::new(
            (b.x1 - self.origin_x) * self.scale_x + self.pad_x,
            (b.y1 - self.origin_y) * self.scale_y + self.pad_y,
            (b.x2 - self.origin_x) * self.scale_x + self.pad_x,
            (b.y2 - self.origin_y) * self.scale_y + self.pad_y,
        )
    }

    /// Original pixels of a box given in input pixels, cut to the region.
    pub fn inverse(&self, b: BBox) -> BBox {
        BBox::new(
            (b.x1 - self.pad_x) / self.scale_x,
            (b.y1 - self.pad_y) / self.scale_y,
            (b.x2 - self.pad_x) / self.scale_x,
            (b.y2 - self.pad_y) / self.scale_y,
        )
        .clip(self.width, self.height)
        .translate(self.origin_x, self.origin_y)
    }
}
