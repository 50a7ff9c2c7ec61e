//! How far a part of a view is from its clean reference, whatever the light.
//!
//! Two things tell an object from a shadow: the *ratio* of the two pictures is smooth under a shadow
//! or a lamp, for light multiplies, and rough where other matter came in; and matter has a colour,
//! light shifts the colour of everything alike. Edges of shadows are thin lines in the ratio, which
//! are taken out. What has neither texture nor colour of its own is missed here; detectors see it.

pub mod patches;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::geometry::BBox;

/// Side of a patch, pixels.
pub const SIDE: usize = 64;
/// Side of a cell, pixels of the patch.
const CELL: usize = 4;
/// Cells along a side.
pub const CELLS: usize = SIDE / CELL;
/// Below this luma (0 to 255) noise is as large as what is seen.
const DARK: f32 = 8.0;
/// Roughness of the ratio from which a cell has changed: standard deviation of its logarithm.
const ROUGH: f32 = 0.14;
/// Shift of the colour from which a cell has changed, in shares of the sum of the channels.
const COLOUR: f32 = 0.045;
/// Colours of what is darker than this are noise.
const COLOUR_FROM: f32 = 30.0;

/// A part of a view, small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// Red, green, blue, row by row.
    rgb: Vec<[f32; 3]>,
}

/// What [`compare`] measured.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Difference {
    /// Share of the judged cells that have changed, `0..=1`.
    pub share: f32,
    /// Share of the cells wanted that could be judged, `0..=1`.
    pub judged: f32,
}

impl Patch {
    /// Cuts a region (pixels of this picture) and makes it small by the mean of its pixels.
    pub fn cut(picture: &RgbImage, region: BBox) -> Self {
        let (w, h) = picture.dimensions();
        let span = |at: usize, from: f32, to: f32, limit: u32| {
            let step = (to - from) / SIDE as f32;
            let a = (from + at as f32 * step).floor().max(0.0) as u32;
            let b = (from + (at + 1) as f32 * step).ceil().max(0.0) as u32;
            let a = a.min(limit.saturating_sub(1));
            a..b.clamp(a + 1, limit.max(a + 1))
        };
        let mut rgb = Vec::with_capacity(SIDE * SIDE);
        for y in 0..SIDE {
            let rows = span(y, region.y1, region.y2, h);
            for x in 0..SIDE {
                let columns = span(x, region.x1, region.x2, w);
                let mut sum = [0u32; 3];
                for row in rows.clone() {
                    for column in columns.clone() {
                        for (s, v) in sum.iter_mut().zip(picture.get_pixel(column, row).0) {
                            *s += u32::from(v);
                        }
                    }
                }
                let n = (rows.len() * columns.len()) as f32;
                rgb.push(sum.map(|s| s as f32 / n));
            }
        }
        Self { rgb }
    }

    /// Moves every pixel of the cells that `of` allows towards `to` by a share.
    pub fn follow(&mut self, to: &Self, share: f32, of: impl Fn(usize) -> bool) {
        for (i, (mine, theirs)) in self.rgb.iter_mut().zip(&to.rgb).enumerate() {
            if of(cell_of(i)) {
                for (m, t) in mine.iter_mut().zip(theirs) {
                    *m += share * (t - *m);
                }
            }
        }
    }

    /// Logarithm of the luma of each pixel, smoothed: a mean of 3 x 3 takes the noise out before the
    /// logarithm makes it large.
    fn log_luma(&self) -> Vec<f32> {
        let luma = |[r, g, b]: &[f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
        let plain: Vec<f32> = self.rgb.iter().map(luma).collect();
        // along one axis, then along the other
        let smooth = |from: &[f32], step: usize, place: fn(usize) -> usize| -> Vec<f32> {
            let mean = |i: usize| {
                let before = if place(i) > 0 { i - step } else { i };
                let after = if place(i) + 1 < SIDE { i + step } else { i };
                (from[before] + from[i] + from[after]) / 3.0
            };
            (0..from.len()).map(mean).collect()
        };
        let rows = smooth(&plain, 1, |i| i % SIDE);
        let both = smooth(&rows, SIDE, |i| i / SIDE);
        both.into_iter().map(|v| (v + DARK).ln()).collect()
    }

    fn is_whole(&self) -> bool {
        self.rgb.len() == SIDE * SIDE
    }
}

/// The cell that a pixel is in.
fn cell_of(pixel: usize) -> usize {
    pixel / SIDE / CELL * CELLS + pixel % SIDE / CELL
}

/// The centre of a cell, relative to the patch.
pub fn cell_centre(cell: usize) -> (f32, f32) {
    let at = |n: usize| (n as f32 + 0.5) / CELLS as f32;
    (at(cell % CELLS), at(cell / CELLS))
}

/// Compares a patch with its reference on the cells that are `wanted` (the zone) and not `hidden`
/// (people and vehicles before it). A camera that shakes by a pixel changes nothing.
pub fn compare(reference: &Patch, now: &Patch, wanted: &[bool], hidden: &[bool]) -> Difference {
    if !reference.is_whole() || !now.is_whole() {
        return Difference::default();
    }
    let asked = |c: usize| wanted.get(c).copied().unwrap_or(true);
    let judged = |c: usize| asked(c) && !hidden.get(c).copied().unwrap_or(false);
    let all = (0..CELLS * CELLS).filter(|c| asked(*c)).count();
    let seen = (0..CELLS * CELLS).filter(|c| judged(*c)).count();
    if seen == 0 {
        return Difference::default();
    }
    let (was, is) = (reference.log_luma(), now.log_luma());
    let mut changed = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
        .into_iter()
        .map(|shift| rough(&was, &is, shift))
        .min_by_key(|cells| (0..cells.len()).filter(|c| cells[*c] && judged(*c)).count())
        .unwrap_or_default();
    for (cell, other) in changed.iter_mut().zip(coloured(reference, now, &judged)) {
        *cell |= other;
    }
    for (c, cell) in changed.iter_mut().enumerate() {
        *cell &= judged(c);
    }
    let solid = without_lines(&changed);
    Difference {
        share: solid.iter().filter(|c| **c).count() as f32 / seen as f32,
        judged: seen as f32 / all as f32,
    }
}

/// Cells in which the ratio of the two pictures is rough, given as logarithms.
fn rough(was: &[f32], is: &[f32], (dx, dy): (isize, isize)) -> Vec<bool> {
    let at = |n: usize, d: isize| n.saturating_add_signed(d).min(SIDE - 1);
    let ratio: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| is[i] - was[at(i / SIDE, dy) * SIDE + at(i % SIDE, dx)])
        .collect();
    (0..CELLS * CELLS)
        .map(|cell| {
            let (cx, cy) = (cell % CELLS * CELL, cell / CELLS * CELL);
            let pixels = (0..CELL * CELL).map(|i| ratio[(cy + i / CELL) * SIDE + cx + i % CELL]);
            let n = (CELL * CELL) as f32;
            let mean = pixels.clone().sum::<f32>() / n;
            let variance = pixels.map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            variance.sqrt() > ROUGH
        })
        .collect()
}

/// Cells whose colour has shifted otherwise than the view's.
fn coloured(reference: &Patch, now: &Patch, judged: &impl Fn(usize) -> bool) -> Vec<bool> {
    let shares = |patch: &Patch, cell: usize| {
        let (cx, cy) = (cell % CELLS * CELL, cell / CELLS * CELL);
        let mut sum = [0.0f32; 3];
        for i in 0..CELL * CELL {
            let pixel = patch.rgb[(cy + i / CELL) * SIDE + cx + i % CELL];
            for (s, v) in sum.iter_mut().zip(pixel) {
                *s += v;
            }
        }
        let total: f32 = sum.iter().sum();
        let bright = total / (3 * CELL * CELL) as f32 >= COLOUR_FROM;
        bright.then(|| [sum[0] / total, sum[2] / total])
    };
    let shifts: Vec<Option<[f32; 2]>> = (0..CELLS * CELLS)
        .map(|c| {
            let (was, is) = (shares(reference, c)?, shares(now, c)?);
            Some([is[0] - was[0], is[1] - was[1]])
        })
        .collect();
    let middle = |channel: usize| {
        let mut values: Vec<f32> = (0..shifts.len())
            .filter(|c| judged(*c))
            .filter_map(|c| Some(shifts[c]?[channel]))
            .collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let common = [middle(0), middle(1)];
    shifts
        .iter()
        .map(|shift| shift.is_some_and(|s| (0..2).any(|i| (s[i] - common[i]).abs() > COLOUR)))
        .collect()
}

/// Only cells that are part of a block of three by two or two by three: edges of shadows go.
fn without_lines(cells: &[bool]) -> Vec<bool> {
    let mut solid = vec![false; cells.len()];
    for (width, height) in [(3, 2), (2, 3)] {
        for y in 0..=CELLS - height {
            for x in 0..=CELLS - width {
                let block =
                    || (0..width * height).map(move |i| (y + i / width) * CELLS + x + i % width);
                if block().all(|c| cells[c]) {
                    block().for_each(|c| solid[c] = true);
                }
            }
        }
    }
    solid
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Concrete with joints: grey, rough, repeatable.
    fn floor(x: u32, y: u32) -> [f32; 3] {
        let grain = ((x * 7919 + y * 104_729 + x * y * 31) % 23) as f32 - 11.0;
        let joint = if x % 40 < 2 || y % 40 < 2 { -45.0 } else { 0.0 };
        let v = 130.0 + grain + joint;
        [v, v, v * 0.97]
    }

    fn picture(paint: impl Fn(u32, u32, [f32; 3]) -> [f32; 3]) -> Patch {
        let image = RgbImage::from_fn(256, 256, |x, y| {
            image::Rgb(paint(x, y, floor(x, y)).map(|v| v.clamp(0.0, 255.0) as u8))
        });
        Patch::cut(&image, BBox::new(0.0, 0.0, 256.0, 256.0))
    }

    type Paint = fn(u32, u32, [f32; 3]) -> [f32; 3];

    fn share(paint: impl Fn(u32, u32, [f32; 3]) -> [f32; 3]) -> f32 {
        let clean = picture(|_, _, c| c);
        compare(&clean, &picture(paint), &[], &[]).share
    }

    #[test]
    fn light_is_no_object() {
        assert_eq!(share(|_, _, c| c), 0.0);
        let cases: [(&str, Paint); 5] = [
            ("dimmed", |_, _, c| c.map(|v| v * 0.45)),
            ("brighter", |_, _, c| c.map(|v| v * 1.5)),
            ("evening light", |_, _, [r, g, b]| [r * 1.1, g, b * 0.8]),
            ("from one side", |x, _, c| {
                c.map(|v| v * (0.6 + x as f32 / 512.0))
            }),
            ("a hard shadow aslant", |x, y, c| {
                if x + y < 250 { c.map(|v| v * 0.5) } else { c }
            }),
        ];
        for (what, paint) in cases {
            let share = share(paint);
            assert!(share < 0.05, "{what}: {share}");
        }
    }

    #[test]
    fn rain_and_a_shaking_camera_are_no_object() {
        let rain = share(|x, y, c| {
            if (x * 31 + y / 16 * 17) % 97 == 0 {
                c.map(|v| v + 60.0)
            } else {
                c
            }
        });
        assert!(rain < 0.05, "{rain}");
        let clean = picture(|_, _, c| c);
        let moved = picture(|x, y, _| floor(x + 4, y));
        let shaken = compare(&clean, &moved, &[], &[]).share;
        assert!(shaken < 0.08, "{shaken}");
    }

    #[test]
    fn goods_are_an_object_by_texture_or_by_colour() {
        let inside = |x: u32, y: u32| (80..180).contains(&x) && (90..200).contains(&y);
        let carton = share(|x, y, c| {
            if inside(x, y) {
                [150.0, 115.0, 75.0]
            } else {
                c
            }
        });
        assert!(carton > 0.12, "carton {carton}");
        let crate_ = share(|x, y, c| {
            let slat = if y / 9 % 2 == 0 { 170.0 } else { 60.0 };
            if inside(x, y) { [slat; 3] } else { c }
        });
        assert!(crate_ > 0.12, "grey crate {crate_}");
    }

    #[test]
    fn what_is_hidden_is_not_judged() {
        let clean = picture(|_, _, c| c);
        let person = picture(|x, _, c| if x < 128 { [20.0, 30.0, 160.0] } else { c });
        let hidden: Vec<bool> = (0..CELLS * CELLS)
            .map(|c| cell_centre(c).0 < 0.55)
            .collect();
        let d = compare(&clean, &person, &[], &hidden);
        assert!(d.share < 0.02 && d.judged < 0.5, "{d:?}");
        let all = vec![true; CELLS * CELLS];
        assert_eq!(compare(&clean, &person, &[], &all), Difference::default());
    }
}
