//! What somebody looks like, as far as a few dozen pixels tell: the brightness and colour of what they wear
//! above and below. Enough to tell two who pass each other apart, not to know anybody again.

use image::RgbImage;

use crate::geometry::BBox;

/// Steps of brightness, and of each of the two axes of colour.
const LUMA: usize = 8;
const COLOUR: usize = 6;
const BINS: usize = LUMA + COLOUR * COLOUR;
/// Colours farther from grey than this are in the last bin.
const VIVID: f32 = 48.0;
/// Above and below: shares of the height.
const PARTS: [(f32, f32); 2] = [(0.18, 0.5), (0.5, 0.85)];
/// Shares of the width: beside that is background.
const MIDDLE: (f32, f32) = (0.25, 0.75);
/// Fewer pixels of a part say nothing; more than this along a side are not looked at.
const LEAST: usize = 12;
const MOST: f32 = 24.0;

/// Shares of the pixels by brightness and by colour, of each part.
#[derive(Debug, Clone, PartialEq)]
pub struct Look([[f32; BINS]; 2]);

impl Look {
    /// Of an upright box in pixels of this picture; none where it is too small to tell.
    pub fn of(picture: &RgbImage, bbox: BBox) -> Option<Self> {
        let mut parts = [[0.0; BINS]; 2];
        for (part, (from, to)) in parts.iter_mut().zip(PARTS) {
            let x = |share: f32| bbox.x1 + share * bbox.width();
            let y = |share: f32| bbox.y1 + share * bbox.height();
            let mut n = 0;
            for row in along(y(from), y(to), picture.height()) {
                for column in along(x(MIDDLE.0), x(MIDDLE.1), picture.width()) {
                    let [r, g, b] = picture.get_pixel(column, row).0.map(f32::from);
                    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
                    let bin = |v: f32, range: f32, bins: usize| {
                        ((v / range * bins as f32).max(0.0) as usize).min(bins - 1)
                    };
                    let colour = |v: f32| bin(v - luma + VIVID, 2.0 * VIVID, COLOUR);
                    part[bin(luma, 256.0, LUMA)] += 0.5;
                    part[LUMA + COLOUR * colour(b) + colour(r)] += 0.5;
                    n += 1;
                }
            }
            if n < LEAST {
                return None;
            }
            part.iter_mut().for_each(|v| *v /= n as f32);
        }
        Some(Self(parts))
    }

    /// Moves towards another by a share.
    pub fn follow(&mut self, to: &Self, share: f32) {
        let mine = self.0.iter_mut().flatten();
        for (mine, theirs) in mine.zip(to.0.iter().flatten()) {
            *mine += share * (theirs - *mine);
        }
    }

    /// How unlike two are: 0 the same, 1 nothing in common (Bhattacharyya).
    pub fn unlike(&self, other: &Self) -> f32 {
        let pairs = self.0.iter().flatten().zip(other.0.iter().flatten());
        let common: f32 = pairs.map(|(a, b)| (a * b).sqrt()).sum();
        (1.0 - common / PARTS.len() as f32).max(0.0)
    }
}

/// Pixels of a stretch inside the picture, at most [`MOST`].
fn along(from: f32, to: f32, limit: u32) -> impl Iterator<Item = u32> {
    let step = ((to - from) / MOST).max(1.0) as usize;
    let (from, to) = (from.max(0.0) as u32, to.max(0.0) as u32);
    (from.min(limit)..to.min(limit)).step_by(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(above: [u8; 3], below: [u8; 3], wall: u8) -> RgbImage {
        RgbImage::from_fn(60, 100, |x, y| {
            let colour = match (x, y) {
                (15..45, 10..50) => above,
                (15..45, 50..95) => below,
                _ => [wall; 3],
            };
            image::Rgb(colour)
        })
    }

    #[test]
    fn clothes_tell_two_apart_and_the_background_does_not() {
        let bbox = BBox::from_xywh([15.0, 0.0, 30.0, 100.0]);
        let look = |p: &RgbImage| Look::of(p, bbox).unwrap();
        let (red, blue, dark) = ([160, 60, 60], [60, 70, 130], [40, 40, 45]);
        let one = look(&person(red, dark, 200));
        let elsewhere = look(&person(red, dark, 90));
        let other = look(&person(blue, dark, 200));
        assert!(one.unlike(&one) < 1e-5);
        assert!(one.unlike(&elsewhere) < 0.01, "{}", one.unlike(&elsewhere));
        assert!(one.unlike(&other) > 0.2, "{}", one.unlike(&other));
        let upside_down = look(&person(dark, red, 200));
        assert!(one.unlike(&upside_down) > 0.4);
    }

    #[test]
    fn too_few_pixels_and_boxes_outside_say_nothing() {
        let picture = person([160, 60, 60], [40; 3], 200);
        assert_eq!(
            Look::of(&picture, BBox::from_xywh([20.0, 10.0, 5.0, 9.0])),
            None
        );
        assert_eq!(
            Look::of(&picture, BBox::from_xywh([90.0, -300.0, 30.0, 90.0])),
            None
        );
    }
}
