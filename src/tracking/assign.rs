//! Assignment at the least total cost.

use pathfinding::kuhn_munkres::kuhn_munkres_min;
use pathfinding::matrix::Matrix;

/// Costs as whole numbers: a millionth is far below what a box is worth.
const UNIT: f32 = 1e6;

/// Pairs (row, column) of the assignment of least total cost; pairs that cost more than `limit`
/// are no pairs.
pub(super) fn assign(
    rows: usize,
    columns: usize,
    cost: impl Fn(usize, usize) -> f32,
    limit: f32,
) -> Vec<(usize, usize)> {
    if rows == 0 || columns == 0 {
        return Vec::new();
    }
    let dear = limit + 1e-4;
    let at = |r, c| (cost(r, c).min(dear) * UNIT).round() as i64;
    // the method wants at least as many columns as rows
    let turned = rows > columns;
    let matrix = if turned {
        Matrix::from_fn(columns, rows, |(c, r)| at(r, c))
    } else {
        Matrix::from_fn(rows, columns, |(r, c)| at(r, c))
    };
    let (_, chosen) = kuhn_munkres_min(&matrix);
    chosen
        .into_iter()
        .enumerate()
        .map(|(a, b)| if turned { (b, a) } else { (a, b) })
        .filter(|&(r, c)| cost(r, c) <= limit)
        .collect()
}
