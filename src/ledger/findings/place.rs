//! Where in a picture and what it looks like: whether two sightings are of one thing.

use serde::{Deserialize, Serialize};

use crate::eval::look_alike;
use crate::geometry::BBox;
use crate::ledger::{Error, Result};

/// Overlap from which two sightings in one place are of one thing.
pub(super) const SAME_IOU: f64 = 0.3;
/// Overlap that stands in for the look when nothing is known of that: the same spot of a fixed view.
pub(super) const SAME_SPOT_IOU: f64 = 0.8;

/// A box in fractions of the picture's width and height, so that pictures of different sizes
/// compare.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Area {
    /// Left edge, `0..=1`.
    pub x1: f64,
    /// Top edge, `0..=1`.
    pub y1: f64,
    /// Right edge, `0..=1`.
    pub x2: f64,
    /// Bottom edge, `0..=1`.
    pub y2: f64,
}

impl Area {
    /// Of a box in a picture of this size, cut at its edges.
    pub fn of(bbox: BBox, width_px: u32, height_px: u32) -> Result<Self> {
        let (w, h) = (f64::from(width_px), f64::from(height_px));
        let part = |v: f32, whole: f64| (f64::from(v) / whole).clamp(0.0, 1.0);
        Self {
            x1: part(bbox.x1, w),
            y1: part(bbox.y1, h),
            x2: part(bbox.x2, w),
            y2: part(bbox.y2, h),
        }
        .checked()
    }

    /// The area, if it is one.
    pub fn checked(self) -> Result<Self> {
        let unit = |v: f64| (0.0..=1.0).contains(&v);
        let inside = [self.x1, self.y1, self.x2, self.y2].into_iter().all(unit);
        if inside && self.x2 > self.x1 && self.y2 > self.y1 {
            return Ok(self);
        }
        Err(Error::invalid(
            "area",
            "must lie within the picture: fractions 0 to 1, x1 < x2, y1 < y2",
        ))
    }

    /// Intersection over union.
    pub fn iou(self, other: Self) -> f64 {
        let w = self.x2.min(other.x2) - self.x1.max(other.x1);
        let h = self.y2.min(other.y2) - self.y1.max(other.y1);
        let both = w.max(0.0) * h.max(0.0);
        let area = |a: Self| (a.x2 - a.x1) * (a.y2 - a.y1);
        both / (area(self) + area(other) - both)
    }
}

/// Whether two embeddings show the same: set by whoever makes them.
pub type SameLook = dyn Fn(&[f32], &[f32]) -> bool + Send + Sync;

/// What one sighting offers for comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sight {
    pub(super) camera_id: Option<crate::id::Id>,
    /// Fingerprint of the whole picture, of a photo by hand.
    pub(super) view: Option<u128>,
    /// Whether the place is one that has a name.
    pub(super) in_named_zone: bool,
    pub(super) area: Option<Area>,
    pub(super) look: Option<Vec<f32>>,
}

impl Sight {
    /// Overlap; none between pictures of different views. Two photos by hand show one view if they look
    /// the same, or in a zone that somebody has named: the middle of one says nothing else about the
    /// middle of another.
    fn overlap(&self, other: &Self) -> f64 {
        let one_view = match (self.camera_id, other.camera_id) {
            (Some(a), Some(b)) => a == b,
            _ => match (self.view, other.view) {
                (Some(a), Some(b)) if look_alike(a, b) => true,
                _ => self.in_named_zone && other.in_named_zone,
            },
        };
        match (self.area, other.area) {
            (Some(a), Some(b)) if one_view => a.iou(b),
            _ => 0.0,
        }
    }

    fn look(&self, other: &Self, same: &SameLook) -> Option<bool> {
        Some(same(self.look.as_deref()?, other.look.as_deref()?))
    }

    /// How well an open finding fits, if it is of the same thing: the place *or* the look.
    pub(super) fn is_same(&self, other: &Self, same: &SameLook) -> Option<f64> {
        let overlap = self.overlap(other);
        match self.look(other, same) {
            Some(true) => Some(1.0 + overlap),
            _ => (overlap >= SAME_IOU).then_some(overlap),
        }
    }

    /// Whether a dismissal covers this: the camera, the place *and* the look. Where there is no
    /// look to compare, only the very spot of a fixed camera will do: a dismissal must not make
    /// a whole view blind.
    pub(super) fn is_dismissed_by(&self, dismissed: &Self, same: &SameLook) -> bool {
        if self.camera_id != dismissed.camera_id {
            return false;
        }
        let overlap = self.overlap(dismissed);
        match self.look(dismissed, same) {
            Some(same) => same && overlap >= SAME_IOU,
            None => self.camera_id.is_some() && overlap >= SAME_SPOT_IOU,
        }
    }
}

/// An embedding for a column: little-endian f32 in base64.
pub(super) fn look_to_text(look: &[f32]) -> String {
    use base64::Engine;
    let bytes: Vec<u8> = look.iter().flat_map(|v| v.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Reads [`look_to_text`] back.
pub(super) fn look_from_text(text: &str) -> Option<Vec<f32>> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    let (values, rest) = bytes.as_chunks::<4>();
    rest.is_empty()
        .then(|| values.iter().map(|v| f32::from_le_bytes(*v)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x1: f64, x2: f64) -> Area {
        let (y1, y2) = (0.0, 1.0);
        Area { x1, y1, x2, y2 }
    }

    #[test]
    fn areas_are_parts_of_the_picture() {
        let a = Area::of(BBox::new(-5.0, 0.0, 50.0, 100.0), 100, 100).unwrap();
        assert_eq!(a, area(0.0, 0.5));
        assert!((a.iou(area(0.25, 0.75)) - 1.0 / 3.0).abs() < 1e-9);
        assert!(a.iou(area(0.5, 1.0)).abs() < 1e-9);
        assert!(Area::of(BBox::new(5.0, 0.0, 5.0, 9.0), 10, 10).is_err());
        assert!(Area::of(BBox::new(0.0, 0.0, 5.0, 9.0), 0, 10).is_err());
        assert!(Area { x1: f64::NAN, ..a }.checked().is_err());
    }

    #[test]
    fn looks_survive_the_column() {
        let look = vec![1.5, -0.0, f32::MIN_POSITIVE];
        assert_eq!(look_from_text(&look_to_text(&look)), Some(look));
        assert_eq!(look_from_text("AAA="), None);
    }
}
