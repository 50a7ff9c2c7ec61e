//! From the picture to metres on the ground: a homography from four known points.

use serde::{Deserialize, Serialize};

/// Four points on the ground, three of which are on no line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroundPoints {
    /// In the picture: `[x, y]`, 0 to 1.
    pub picture: [[f64; 2]; 4],
    /// The same four on the ground: `[x, y]`, metres from any origin.
    pub metres: [[f64; 2]; 4],
}

/// The way from relative picture coordinates to metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ground {
    h: [f64; 9],
    /// Centre of the four points: there the homography's denominator is 1, never 0.
    centre: [f64; 2],
}

impl Ground {
    /// The homography through four points.
    ///
    /// # Errors
    /// When three of them are on one line.
    pub fn new(points: &GroundPoints) -> Result<Self, String> {
        for side in [&points.picture, &points.metres] {
            if (0..4).any(|leave| on_a_line(side, leave)) {
                return Err("three of the four points are on one line; choose a quadrangle".into());
            }
        }
        let mean = |axis: usize| points.picture.iter().map(|p| p[axis]).sum::<f64>() / 4.0;
        let centre = [mean(0), mean(1)];
        // h33 = 1: eight equations in eight unknowns
        let mut rows = [[0.0; 9]; 8];
        for (i, (p, [u, v])) in points.picture.iter().zip(points.metres).enumerate() {
            let [x, y] = [p[0] - centre[0], p[1] - centre[1]];
            rows[2 * i] = [x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u];
            rows[2 * i + 1] = [0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v];
        }
        let solved = solve(rows).ok_or("the four points do not determine the ground")?;
        let mut h = [1.0; 9];
        h[..8].copy_from_slice(&solved);
        let ground = Self { h, centre };
        // the horizon must not run between the points
        if points.picture.iter().any(|p| ground.metres(*p).is_none()) {
            return Err("the points are crossed; list both sides in the same order".into());
        }
        Ok(ground)
    }

    /// Metres of a point of the ground, given relative to the picture; `None` above the horizon.
    pub fn metres(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let [x, y] = [x - self.centre[0], y - self.centre[1]];
        let h = &self.h;
        let w = h[6] * x + h[7] * y + h[8];
        // near the horizon a pixel is many metres
        (w > 1e-3).then(|| {
            [
                (h[0] * x + h[1] * y + h[2]) / w,
                (h[3] * x + h[4] * y + h[5]) / w,
            ]
        })
    }
}

/// Metres from a point to a stretch of line.
pub(crate) fn to_segment(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 {
        (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (p[0] - a[0] - t * dx).hypot(p[1] - a[1] - t * dy)
}

fn on_a_line(points: &[[f64; 2]; 4], leave: usize) -> bool {
    let p: Vec<&[f64; 2]> = (0..4).filter(|i| *i != leave).map(|i| &points[i]).collect();
    let (ax, ay) = (p[1][0] - p[0][0], p[1][1] - p[0][1]);
    let (bx, by) = (p[2][0] - p[0][0], p[2][1] - p[0][1]);
    let scale = ax.hypot(ay) * bx.hypot(by);
    (ax * by - ay * bx).abs() <= 1e-3 * scale
}

/// Gauss with row pivots.
fn solve(mut rows: [[f64; 9]; 8]) -> Option<[f64; 8]> {
    for c in 0..8 {
        let pivot = (c..8).max_by(|a, b| rows[*a][c].abs().total_cmp(&rows[*b][c].abs()))?;
        rows.swap(c, pivot);
        let head = rows[c];
        if head[c].abs() < 1e-12 {
            return None;
        }
        for (r, row) in rows.iter_mut().enumerate() {
            if r != c {
                let factor = row[c] / head[c];
                for (v, h) in row.iter_mut().zip(head) {
                    *v -= factor * h;
                }
            }
        }
    }
    Some(std::array::from_fn(|i| rows[i][8] / rows[i][i]))
}
