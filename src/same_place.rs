//! Do two photos show the same place? Local features that agree on one shift, turn and scale say
//! so; that they do not agree says nothing: a place looks different once it has been put right.
//!
//! FAST corners (Rosten and Drummond 2006) with BRIEF descriptors (Calonder et al. 2010) on a
//! pyramid, matched both ways with a ratio test, then RANSAC on similarity transforms. Photos are
//! upright, so descriptors need no orientation.

use image::{GrayImage, RgbImage, imageops};
use imageproc::binary_descriptors::BinaryDescriptor;
use imageproc::binary_descriptors::brief::{BriefDescriptor, TestPair, brief};
use imageproc::corners::{Corner, corners_fast9};
use imageproc::point::Point;

/// Longer side at which two photos are compared, pixels.
pub const COMPARE_SIDE: u32 = 640;

/// How much two photos have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlaceMatch {
    /// Features that look alike in both.
    pub alike: usize,
    /// Those of them that agree on one shift, turn and scale.
    pub agreeing: usize,
}

impl PlaceMatch {
    /// Whether so much agrees that chance is no explanation. `false` is no evidence for another
    /// place.
    pub const fn is_same_place(self) -> bool {
        self.agreeing >= 14 && self.agreeing * 4 >= self.alike
    }
}

/// Levels of the pyramid, relative size.
const LEVELS: [f32; 4] = [1.0, 0.75, 0.56, 0.42];
/// Difference from the centre at which FAST takes a corner.
const CORNER_THRESHOLD: u8 = 18;
/// Descriptors reach this far around their corner, pixels.
const MARGIN: u32 = 18;
/// Cells along each side that share the corners between them: else one rich texture takes all.
const GRID: u32 = 8;
const CORNERS_EACH: usize = 6;
const BITS: usize = 256;
/// More differing bits than this is another thing.
const MOST_BITS: u32 = 64;
/// The best match must be better than the second best by this.
const RATIO: f32 = 0.85;
const ROUNDS: usize = 2000;
/// Agreement, pixels at [`COMPARE_SIDE`].
const WITHIN_PX: f32 = 9.0;

struct Feature {
    x: f32,
    y: f32,
    descriptor: BriefDescriptor,
}

/// Compares two photos whose longer side is about [`COMPARE_SIDE`].
pub fn compare(a: &RgbImage, b: &RgbImage) -> PlaceMatch {
    let pairs = test_pairs();
    let (a, b) = (features(a, &pairs), features(b, &pairs));
    let matched = matches(&a, &b);
    PlaceMatch {
        alike: matched.len(),
        agreeing: most_agreeing(&matched),
    }
}

/// The same for every comparison, else descriptors mean nothing to each other.
fn test_pairs() -> Vec<TestPair> {
    let mut rng = fastrand::Rng::with_seed(1);
    // about a Gaussian around the middle of a patch of 31 x 31
    let mut at = || (0..4).map(|_| rng.u32(0..8)).sum::<u32>() + 1;
    (0..BITS)
        .map(|_| TestPair {
            p0: Point::new(at(), at()),
            p1: Point::new(at(), at()),
        })
        .collect()
}

fn features(picture: &RgbImage, pairs: &Vec<TestPair>) -> Vec<Feature> {
    let grey = imageops::grayscale(picture);
    let mut all = Vec::new();
    for scale in LEVELS {
        let side = |n: u32| ((n as f32 * scale).round() as u32).max(1);
        let (w, h) = (side(grey.width()), side(grey.height()));
        if w <= 2 * MARGIN || h <= 2 * MARGIN {
            continue;
        }
        let level = imageops::resize(&grey, w, h, imageops::FilterType::Triangle);
        let points: Vec<Point<u32>> = spread_corners(&level)
            .into_iter()
            .map(|c| Point::new(c.x, c.y))
            .collect();
        let described = brief(&level, &points, BITS, Some(pairs));
        all.extend(
            described
                .into_iter()
                .flat_map(|(d, _)| d)
                .map(|descriptor| {
                    let at = descriptor.position();
                    Feature {
                        x: at.x as f32 / scale,
                        y: at.y as f32 / scale,
                        descriptor,
                    }
                }),
        );
    }
    all
}

/// The strongest corners of each cell of a grid.
fn spread_corners(level: &GrayImage) -> Vec<Corner> {
    let (w, h) = level.dimensions();
    let mut cells = vec![Vec::new(); (GRID * GRID) as usize];
    for corner in corners_fast9(level, CORNER_THRESHOLD) {
        let inside = |v: u32, side: u32| (MARGIN..side - MARGIN).contains(&v);
        if inside(corner.x, w) && inside(corner.y, h) {
            let cell = corner.y * GRID / h * GRID + corner.x * GRID / w;
            cells[cell as usize].push(corner);
        }
    }
    let mut taken = Vec::new();
    for mut cell in cells {
        cell.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut kept: Vec<Corner> = Vec::new();
        for corner in cell {
            let apart = |k: &Corner| k.x.abs_diff(corner.x).max(k.y.abs_diff(corner.y)) > 3;
            if kept.len() < CORNERS_EACH && kept.iter().all(apart) {
                kept.push(corner);
            }
        }
        taken.append(&mut kept);
    }
    taken
}

type Pair = ((f32, f32), (f32, f32));

/// Pairs that are each other's best match, and clearly so.
fn matches(a: &[Feature], b: &[Feature]) -> Vec<Pair> {
    let best = |one: &Feature, others: &[Feature]| {
        let (mut first, mut second, mut index) = (u32::MAX, u32::MAX, None);
        for (i, other) in others.iter().enumerate() {
            let distance = one.descriptor.hamming_distance(&other.descriptor);
            if distance < first {
                // the same corner on another level is no rival
                let rival = index.is_some_and(|j: usize| {
                    let o: &Feature = &others[j];
                    (o.x - other.x).hypot(o.y - other.y) > WITHIN_PX
                });
                if rival {
                    second = first;
                }
                (first, index) = (distance, Some(i));
            } else if distance < second
                && index.is_none_or(|j| {
                    (others[j].x - other.x).hypot(others[j].y - other.y) > WITHIN_PX
                })
            {
                second = distance;
            }
        }
        index.filter(|_| first <= MOST_BITS && first as f32 <= RATIO * second as f32)
    };
    a.iter()
        .filter_map(|one| {
            let j = best(one, b)?;
            let back = best(&b[j], a)?;
            ((a[back].x - one.x).hypot(a[back].y - one.y) <= WITHIN_PX)
                .then_some(((one.x, one.y), (b[j].x, b[j].y)))
        })
        .collect()
}

/// Most pairs that one similarity transform explains, counting each spot of the first photo once.
fn most_agreeing(pairs: &[Pair]) -> usize {
    if pairs.len() < 3 {
        return 0;
    }
    let mut rng = fastrand::Rng::with_seed(2);
    let mut most = 0;
    for _ in 0..ROUNDS {
        let (p, q) = (rng.choice(pairs), rng.choice(pairs));
        let (Some(&(p1, p2)), Some(&(q1, q2))) = (p, q) else {
            continue;
        };
        // as complex numbers: to = turn * from + shift
        let (dx, dy) = (q1.0 - p1.0, q1.1 - p1.1);
        let (ex, ey) = (q2.0 - p2.0, q2.1 - p2.1);
        let length2 = dx * dx + dy * dy;
        if length2 < 40.0 * 40.0 {
            continue; // too near each other to tell scale and turn
        }
        let turn = ((ex * dx + ey * dy) / length2, (ey * dx - ex * dy) / length2);
        let scale = turn.0.hypot(turn.1);
        if !(0.33..=3.0).contains(&scale) {
            continue;
        }
        let mut spots: Vec<(i32, i32)> = pairs
            .iter()
            .filter(|(from, to)| {
                let (x, y) = (from.0 - p1.0, from.1 - p1.1);
                let there = (
                    p2.0 + turn.0 * x - turn.1 * y,
                    p2.1 + turn.0 * y + turn.1 * x,
                );
                (there.0 - to.0).hypot(there.1 - to.1) <= WITHIN_PX
            })
            .map(|(from, _)| ((from.0 / WITHIN_PX) as i32, (from.1 / WITHIN_PX) as i32))
            .collect();
        spots.sort_unstable();
        spots.dedup();
        most = most.max(spots.len());
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use imageproc::drawing::draw_filled_rect_mut;
    use imageproc::rect::Rect;

    /// Boxes of many sizes and greys, as a store room has them.
    fn scene(seed: u64, width: u32, height: u32) -> RgbImage {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut picture = RgbImage::from_pixel(width, height, Rgb([120; 3]));
        for _ in 0..220 {
            let at = Rect::at(rng.i32(0..width as i32), rng.i32(0..height as i32));
            let grey = rng.u8(..);
            let size = at.of_size(rng.u32(6..70), rng.u32(6..70));
            draw_filled_rect_mut(&mut picture, size, Rgb([grey, grey / 2 + 60, grey]));
        }
        picture
    }

    fn seen_from(world: &RgbImage, x: u32, y: u32, w: u32, h: u32) -> RgbImage {
        let cut = imageops::crop_imm(world, x, y, w, h).to_image();
        imageops::resize(&cut, 640, 640 * h / w, imageops::FilterType::Triangle)
    }

    #[test]
    fn one_place_from_two_spots_and_in_another_light_agrees() {
        let world = scene(7, 900, 700);
        let first = seen_from(&world, 20, 20, 760, 570);
        let mut second = seen_from(&world, 120, 80, 700, 525);
        for pixel in second.pixels_mut() {
            pixel.0 = pixel.0.map(|v| (f32::from(v) * 0.75 + 10.0) as u8);
        }
        let found = compare(&first, &second);
        assert!(found.is_same_place(), "{found:?}");
    }

    #[test]
    fn two_places_do_not_agree() {
        for seed in 10..14 {
            let one = seen_from(&scene(seed, 900, 700), 20, 20, 760, 570);
            let other = seen_from(&scene(seed + 100, 900, 700), 20, 20, 760, 570);
            let found = compare(&one, &other);
            assert!(!found.is_same_place(), "{found:?}");
        }
    }

    #[test]
    fn a_wall_without_marks_says_nothing() {
        let plain = RgbImage::from_pixel(640, 480, Rgb([200; 3]));
        assert_eq!(compare(&plain, &plain), PlaceMatch::default());
        let tiny = RgbImage::new(3, 3);
        assert_eq!(compare(&tiny, &plain), PlaceMatch::default());
    }
}
