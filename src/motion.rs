//! A small luma picture, and whether something has changed in it: cheap enough for every camera.

use image::RgbImage;

use crate::geometry::BBox;

/// Columns of a [`Glance`].
pub const COLUMNS: usize = 64;
/// Rows of a [`Glance`].
pub const ROWS: usize = 36;

/// The luma of a picture in a few cells, and a digest of every pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// Mean luma of each cell, row by row, 0 to 255.
    pub cells: Vec<f32>,
    /// The same for the same pixels only.
    pub digest: u64,
}

impl Glance {
    /// Takes a glance.
    pub fn of(picture: &RgbImage) -> Self {
        let (w, h) = (picture.width() as usize, picture.height() as usize);
        let mut sums = vec![(0u64, 0u64); COLUMNS * ROWS];
        // FNV-1a over a luma of each pixel: cheap, and equal pictures are equal
        let mut digest = 0xcbf2_9ce4_8422_2325u64;
        for (y, row) in picture.as_raw().chunks_exact(3 * w.max(1)).enumerate() {
            let cells = y * ROWS / h.max(1) * COLUMNS;
            for (x, p) in row.chunks_exact(3).enumerate() {
                let luma =
                    (77 * u64::from(p[0]) + 150 * u64::from(p[1]) + 29 * u64::from(p[2])) >> 8;
                digest = (digest ^ luma).wrapping_mul(0x0100_0000_01b3);
                let cell = &mut sums[cells + x * COLUMNS / w];
                *cell = (cell.0 + luma, cell.1 + 1);
            }
        }
        let mean = |(sum, n): &(u64, u64)| *sum as f32 / (*n).max(1) as f32;
        Self {
            cells: sums.iter().map(mean).collect(),
            digest,
        }
    }

    /// Mean luma, 0 to 255.
    pub fn brightness(&self) -> f32 {
        self.cells.iter().sum::<f32>() / self.cells.len().max(1) as f32
    }

    /// Structure: mean difference of neighbouring cells.
    pub fn structure(&self) -> f32 {
        let edges = self.edges();
        edges.iter().map(|v| v.abs()).sum::<f32>() / edges.len().max(1) as f32
    }

    /// Differences of neighbouring cells, along rows and then along columns.
    pub fn edges(&self) -> Vec<f32> {
        let at = |x: usize, y: usize| self.cells[y * COLUMNS + x];
        let along = (0..ROWS).flat_map(|y| (1..COLUMNS).map(move |x| (x, y)));
        let down = (1..ROWS).flat_map(|y| (0..COLUMNS).map(move |x| (x, y)));
        along
            .map(|(x, y)| at(x, y) - at(x - 1, y))
            .chain(down.map(|(x, y)| at(x, y) - at(x, y - 1)))
            .collect()
    }
}

/// Luma by which a cell must differ beyond the whole picture's change.
const STEP: f32 = 9.0;
/// Cells that must differ: a person at the end of a yard covers about as many.
const LEAST: usize = 3;

/// Whether something has moved between two glances. A change of all the light alike is none.
pub fn moved(was: &Glance, now: &Glance) -> bool {
    changed(was, now).is_some()
}

/// Where something has moved between two glances at a picture of `size`: boxes around cells that touch.
pub fn moving(was: &Glance, now: &Glance, size: (u32, u32)) -> Vec<BBox> {
    let Some(mut left) = changed(was, now) else {
        return Vec::new();
    };
    let (w, h) = (size.0 as f32 / COLUMNS as f32, size.1 as f32 / ROWS as f32);
    let mut boxes = Vec::new();
    while let Some(first) = left.iter().position(|c| *c) {
        let (mut todo, mut all) = (vec![first], None);
        left[first] = false;
        while let Some(cell) = todo.pop() {
            let (x, y) = (cell % COLUMNS, cell / COLUMNS);
            let (x1, y1) = (x as f32 * w, y as f32 * h);
            let bbox = BBox::new(x1, y1, x1 + w, y1 + h);
            all = Some(all.map_or(bbox, |all: BBox| all.union(bbox)));
            for v in y.saturating_sub(1)..(y + 2).min(ROWS) {
                for u in x.saturating_sub(1)..(x + 2).min(COLUMNS) {
                    if std::mem::take(&mut left[v * COLUMNS + u]) {
                        todo.push(v * COLUMNS + u);
                    }
                }
            }
        }
        boxes.extend(all);
    }
    boxes
}

/// The cells that have changed, if enough of them have.
fn changed(was: &Glance, now: &Glance) -> Option<Vec<bool>> {
    if was.digest == now.digest {
        return None;
    }
    let changes: Vec<f32> = now
        .cells
        .iter()
        .zip(&was.cells)
        .map(|(n, w)| n - w)
        .collect();
    let mut sorted = changes.clone();
    sorted.sort_by(f32::total_cmp);
    let common = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let changed = changes.iter().map(|c| (c - common).abs() > STEP);
    let changed: Vec<bool> = changed.collect();
    (changed.iter().filter(|c| **c).count() >= LEAST).then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(paint: impl Fn(u32, u32) -> u8) -> Glance {
        Glance::of(&RgbImage::from_fn(640, 360, |x, y| {
            image::Rgb([paint(x, y); 3])
        }))
    }

    fn yard(x: u32, y: u32) -> u8 {
        (60 + (x / 40 * 13 + y / 30 * 29) % 100) as u8
    }

    #[test]
    fn a_person_far_off_moves_and_light_and_noise_do_not() {
        let was = glance(yard);
        assert!(!moved(&was, &glance(yard)));
        assert!(!moved(&was, &glance(|x, y| yard(x, y) + 30)));
        assert!(!moved(
            &was,
            &glance(|x, y| yard(x, y) + ((x * 7 + y * 13) % 9) as u8)
        ));
        let person = |x: u32, y: u32| (300..318).contains(&x) && (150..195).contains(&y);
        assert!(moved(
            &was,
            &glance(|x, y| if person(x, y) { 230 } else { yard(x, y) })
        ));
    }

    #[test]
    fn where_it_moves_is_told_in_pixels_each_thing_by_itself() {
        let was = glance(yard);
        let people = [(100, 60), (500, 270)];
        let there = |x: u32, y: u32| {
            let mut at = people.iter();
            at.any(|(px, py)| (*px..px + 30).contains(&x) && (*py..py + 60).contains(&y))
        };
        let now = glance(|x, y| if there(x, y) { 230 } else { yard(x, y) });
        // of a picture that was made smaller
        let boxes = moving(&was, &now, (1280, 720));
        assert_eq!(boxes.len(), 2, "{boxes:?}");
        for (b, (x, y)) in boxes.iter().zip(people) {
            let (x, y) = (2.0 * x as f32, 2.0 * y as f32);
            let person = BBox::new(x, y, x + 60.0, y + 120.0);
            assert!(b.iou(person) > 0.6, "{b:?}");
        }
        assert!(moving(&was, &was, (640, 360)).is_empty());
    }

    #[test]
    fn the_digest_is_of_every_pixel() {
        let was = glance(yard);
        assert_eq!(was, glance(yard));
        let one = glance(|x, y| if (x, y) == (17, 201) { 255 } else { yard(x, y) });
        assert_ne!(was.digest, one.digest);
        assert!(!moved(&was, &one));
    }

    #[test]
    fn pictures_smaller_than_the_grid_do_no_harm() {
        let tiny = Glance::of(&RgbImage::from_pixel(3, 2, image::Rgb([9, 9, 9])));
        assert_eq!(tiny.cells.len(), COLUMNS * ROWS);
    }
}
