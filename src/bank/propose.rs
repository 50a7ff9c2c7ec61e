//! Where to look when no detector says so: windows of several sizes over the photo.

use crate::geometry::BBox;

/// Square windows that overlap by half, at several scales.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// A window's side is the photo's shorter side divided by one of these.
    pub divisors: Vec<u32>,
}

impl Default for Grid {
    /// For a photo of 4:3 the whole, and 2 + 15 + 35 windows.
    fn default() -> Self {
        Self {
            divisors: vec![1, 2, 3],
        }
    }
}

impl Grid {
    /// The whole photo, then windows, large ones first.
    pub fn regions(&self, (width, height): (u32, u32)) -> Vec<BBox> {
        let (width, height) = (width as f32, height as f32);
        let mut regions = vec![BBox::new(0.0, 0.0, width, height)];
        for divisor in &self.divisors {
            let side = width.min(height) / *divisor as f32;
            if side < 1.0 {
                continue;
            }
            for y in starts(height, side) {
                for x in starts(width, side) {
                    let window = BBox::new(x, y, x + side, y + side).clip(width, height);
                    if window != regions[0] {
                        regions.push(window);
                    }
                }
            }
        }
        regions
    }
}

/// Where windows begin: at both edges, and evenly in between, at most half a side apart.
fn starts(length: f32, side: f32) -> impl Iterator<Item = f32> {
    let room = length - side;
    let steps = (room / (side / 2.0) - 1e-3).ceil().max(0.0) as u32;
    (0..=steps).map(move |n| {
        if steps == 0 {
            room / 2.0
        } else {
            room * n as f32 / steps as f32
        }
    })
}

/// Share of the smaller of two regions from which both are taken to show one thing: windows overlap by
/// half, so that half a thing is seen in the next one.
const SAME_SHARE: f32 = 0.05;

/// Whether two regions overlap so much that they are taken to show one thing.
pub fn same_thing(a: BBox, b: BBox) -> bool {
    a.share_inside(b).max(b.share_inside(a)) >= SAME_SHARE
}

/// Of regions that show one thing only the best: their numbers, best first.
pub fn keep_best(regions: &[(BBox, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..regions.len()).collect();
    order.sort_by(|a, b| regions[*b].1.total_cmp(&regions[*a].1).then(a.cmp(b)));
    let mut kept: Vec<usize> = Vec::new();
    for i in order {
        if !kept.iter().any(|k| same_thing(regions[i].0, regions[*k].0)) {
            kept.push(i);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_photo_and_stay_inside() {
        for size in [(640, 480), (480, 640), (1000, 1000), (4000, 200), (3, 3)] {
            let regions = Grid::default().regions(size);
            let whole = BBox::new(0.0, 0.0, size.0 as f32, size.1 as f32);
            assert_eq!(regions[0], whole);
            for r in &regions {
                assert!(r.is_valid() && r.share_inside(whole) > 0.9999, "{r:?}");
            }
            // each point lies in a window of the smallest size
            let side = size.0.min(size.1) as f32 / 3.0;
            for i in 0..20 {
                for j in 0..20 {
                    let at = |n: i32, of: u32| (n as f32 + 0.5) / 20.0 * of as f32;
                    let point = (at(i, size.0), at(j, size.1));
                    let small = |r: &&BBox| r.width() <= side * 1.01;
                    let covered = regions.iter().filter(small).any(|r| r.contains(point));
                    assert!(covered, "{point:?} in {size:?}");
                }
            }
        }
        assert_eq!(Grid::default().regions((1, 1)).len(), 1);
        assert_eq!(Grid::default().regions((640, 480)).len(), 1 + 2 + 15 + 35);
    }

    #[test]
    fn one_of_several_windows_on_one_thing_stays() {
        let b = |x: f32, side: f32| BBox::new(x, 0.0, x + side, side);
        let regions = [
            (b(0.0, 100.0), 0.8),
            (b(10.0, 40.0), 0.9),
            (b(200.0, 50.0), 0.5),
            (b(205.0, 50.0), 0.6),
        ];
        assert_eq!(keep_best(&regions), [1, 3]);
    }
}
