//! Rows and queries in few bits, with bounds of what that leaves out.

use fearless_simd::{Level, Simd, dispatch};

/// How a coarse row stands for its row: `row = scale * coarse + rest`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    scale: f32,
    /// Length of the rest, rounded up.
    rest: f32,
}

/// Values of a coarse row.
const COARSE_MOST: f32 = 127.0;
/// Values of a coarse query. With this, a sum over [`super::gallery::MOST_DIMENSIONS`] fits into 32 bits.
const QUERY_MOST: f32 = 4095.0;
/// What rounding in 32 bits may add to a similarity of unit vectors, generously.
const ROUNDING: f32 = 1e-4;

/// A row in 8 bits.
pub(super) fn coarse(row: &[f32]) -> (Vec<i8>, Bound) {
    let most = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = if most > 0.0 { most / COARSE_MOST } else { 1.0 };
    let of = |v: &f32| (v / scale).round().clamp(-COARSE_MOST, COARSE_MOST) as i8;
    let values: Vec<i8> = row.iter().map(of).collect();
    let rest = row.iter().zip(&values).fold(0.0f64, |sum, (v, c)| {
        sum + f64::from(v - f32::from(*c) * scale).powi(2)
    });
    let rest = (rest.sqrt() as f32).next_up();
    (values, Bound { scale, rest })
}

/// A query in few bits.
pub(super) struct CoarseQuery {
    /// What the processor can do.
    level: Level,
    values: Vec<i16>,
    scale: f32,
    /// Length of the query, rounded up.
    length: f32,
    /// Upper bound of what the query's rest adds to a product with a coarse row.
    rest: f32,
}

impl CoarseQuery {
    pub(super) fn new(query: &[f32]) -> Self {
        let most = query.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let scale = if most > 0.0 { most / QUERY_MOST } else { 1.0 };
        let mut rest = 0.0f64;
        let mut length = 0.0f64;
        let values = query
            .iter()
            .map(|v| {
                let coarse = (v / scale).round().clamp(-QUERY_MOST, QUERY_MOST);
                rest += f64::from(v - coarse * scale).powi(2);
                length += f64::from(*v).powi(2);
                coarse as i16
            })
            .collect();
        Self {
            level: Level::new(),
            values,
            scale,
            length: (length.sqrt() as f32).next_up(),
            // a coarse row is at most a little longer than its row, which is of unit length
            rest: 1.25 * (rest.sqrt() as f32).next_up(),
        }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.values.len()
    }

    /// About the product of query and row; the exact one is at most [`Self::slack`] away.
    pub(super) fn about(&self, row: &[i8], bound: &Bound) -> f32 {
        let sum = dispatch!(self.level, simd => simd.vectorize(
            #[inline(always)]
            || dot_coarse(row, &self.values),
        ));
        sum as f32 * (bound.scale * self.scale)
    }

    pub(super) fn slack(&self, bound: &Bound) -> f32 {
        bound.rest * self.length + self.rest + ROUNDING
    }
}

/// Whole numbers: exact in any order, and the compiler makes multiply-add instructions of it, as wide as the
/// processor has them where it is inlined into a function for that.
#[inline(always)]
fn dot_coarse(row: &[i8], query: &[i16]) -> i32 {
    row.iter()
        .zip(query)
        .map(|(a, b)| i32::from(i16::from(*a)) * i32::from(*b))
        .sum()
}
