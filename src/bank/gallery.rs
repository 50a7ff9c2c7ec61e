//! Embeddings in one matrix, searched exactly.
//!
//! A scan of 100,000 x 512 values is bound by memory, so a first pass reads a copy in 8 bits and
//! bounds every similarity by Cauchy–Schwarz; only rows that may be among the nearest are looked at
//! in 32 bits. The answer is that of a full scan, to the last bit.

use std::cmp::Ordering;

#[cfg(feature = "usearch")]
use super::approximate::{self, Approximate};
use crate::embedding::dot;

/// Rows of unit length. Cheap to add to; a row that is removed gives its place to the last one.
#[derive(Default)]
pub struct Gallery {
    dimensions: usize,
    rows: Vec<f32>,
    coarse: Vec<i8>,
    bounds: Vec<Bound>,
    #[cfg(feature = "usearch")]
    graph: Option<Approximate>,
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gallery({} x {})", self.len(), self.dimensions)
    }
}

impl Clone for Gallery {
    fn clone(&self) -> Self {
        Self {
            dimensions: self.dimensions,
            rows: self.rows.clone(),
            coarse: self.coarse.clone(),
            bounds: self.bounds.clone(),
            #[cfg(feature = "usearch")]
            graph: self
                .graph
                .as_ref()
                .and_then(|graph| graph.copied(self.dimensions).ok()),
        }
    }
}

/// How a coarse row stands for its row: `row = scale * coarse + rest`.
#[derive(Debug, Clone, Copy)]
struct Bound {
    scale: f32,
    /// Length of the rest, rounded up.
    rest: f32,
}

/// A row and how near it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Which.
    pub row: usize,
    /// Cosine, `-1..=1`.
    pub similarity: f32,
}

/// Nearest first; equals in the order of their rows.
fn nearer(a: &Hit, b: &Hit) -> Ordering {
    b.similarity
        .total_cmp(&a.similarity)
        .then(a.row.cmp(&b.row))
}

/// Values of a coarse row.
const COARSE_MOST: f32 = 127.0;
/// Values of a coarse query. With this, a sum over [`MOST_DIMENSIONS`] fits into 32 bits.
const QUERY_MOST: f32 = 4095.0;
/// Most values of an embedding.
pub const MOST_DIMENSIONS: usize = 4096;
/// What rounding in 32 bits may add to a similarity of unit vectors, generously.
const ROUNDING: f32 = 1e-4;

impl Gallery {
    /// An empty one.
    pub fn new(dimensions: usize) -> Self {
        debug_assert!((1..=MOST_DIMENSIONS).contains(&dimensions));
        Self {
            dimensions,
            ..Self::default()
        }
    }

    /// An empty one with room for so many rows.
    pub fn with_capacity(dimensions: usize, rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows * dimensions),
            coarse: Vec::with_capacity(rows * dimensions),
            bounds: Vec::with_capacity(rows),
            ..Self::new(dimensions)
        }
    }

    /// Values of a row.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let exact = self.rows.capacity() * size_of::<f32>()
            + self.coarse.capacity()
            + self.bounds.capacity() * size_of::<Bound>();
        #[cfg(feature = "usearch")]
        return exact + self.graph.as_ref().map_or(0, Approximate::bytes);
        #[cfg(not(feature = "usearch"))]
        exact
    }

    /// Whether the rows are so many that a graph is worth its memory, and there is none.
    #[cfg(feature = "usearch")]
    pub(super) fn needs_index(&self) -> bool {
        self.len() > approximate::FROM && self.graph.is_none()
    }

    /// Makes a graph of the rows, so that [`Self::nearest`] need not look at all of them; what comes and goes is
    /// in it at once. Takes minutes for a million rows.
    #[cfg(feature = "usearch")]
    pub fn index_now(&mut self) {
        // without one all rows are looked at, which is slower and right
        self.graph = Approximate::of(self.dimensions, &self.coarse).ok();
    }

    /// Whether there is a graph.
    #[cfg(feature = "usearch")]
    pub fn is_indexed(&self) -> bool {
        self.graph.is_some()
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.dimensions..][..self.dimensions]
    }

    /// Adds a row behind the others. It has to be of the right length.
    pub fn push(&mut self, row: &[f32]) {
        debug_assert_eq!(row.len(), self.dimensions);
        let (coarse, scale) = coarse(row);
        let rest = row.iter().zip(&coarse).fold(0.0f64, |sum, (v, c)| {
            sum + f64::from(v - f32::from(*c) * scale).powi(2)
        });
        self.rows.extend_from_slice(row);
        self.coarse.extend_from_slice(&coarse);
        #[cfg(feature = "usearch")]
        if let Some(graph) = &mut self.graph
            && graph.push(&coarse).is_err()
        {
            self.graph = None;
        }
        self.bounds.push(Bound {
            scale,
            rest: (rest.sqrt() as f32).next_up(),
        });
    }

    /// Takes a row away; the last one has its number from now on.
    pub fn swap_remove(&mut self, row: usize) {
        let last = self.len() - 1;
        let d = self.dimensions;
        #[cfg(feature = "usearch")]
        if let Some(graph) = &mut self.graph
            && graph.swap_remove(row).is_err()
        {
            self.graph = None;
        }
        self.rows.copy_within(last * d.., row * d);
        self.rows.truncate(last * d);
        self.coarse.copy_within(last * d.., row * d);
        self.coarse.truncate(last * d);
        self.bounds.swap_remove(row);
    }

    /// The cosine of every row, in their order.
    pub fn similarities(&self, query: &[f32]) -> Vec<f32> {
        self.rows
            .chunks_exact(self.dimensions)
            .map(|row| dot(row, query))
            .collect()
    }

    /// The `k` nearest rows that are `wanted`, nearest first; more where several are equally near as
    /// the last, so that the order of the rows decides nothing. Where there is a graph, about the nearest.
    pub fn nearest(&self, query: &[f32], k: usize, wanted: impl Fn(usize) -> bool) -> Vec<Hit> {
        if k == 0 || self.is_empty() {
            return Vec::new();
        }
        #[cfg(feature = "usearch")]
        if let Some(graph) = &self.graph
            && let Ok(rows) = graph.nearest(&coarse(query).0, k, &wanted)
            // too few are wanted to be met on the way
            && rows.len() >= k
        {
            let hit = |row| Hit {
                row,
                similarity: dot(self.row(row), query),
            };
            let mut hits: Vec<Hit> = rows.into_iter().map(hit).collect();
            hits.sort_by(nearer);
            hits.truncate(k);
            return hits;
        }
        self.nearest_of_all(query, k, wanted)
    }

    /// As [`Self::nearest`], never by a graph.
    pub(super) fn nearest_of_all(
        &self,
        query: &[f32],
        k: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<Hit> {
        if k == 0 || self.is_empty() {
            return Vec::new();
        }
        let coarse = CoarseQuery::new(query);
        // lower bounds of the k best rows so far, the least one last
        let mut best: Vec<f32> = Vec::with_capacity(k + 1);
        let mut floor = f32::NEG_INFINITY;
        let mut maybe = Vec::new();
        let rows = self.coarse.chunks_exact(self.dimensions);
        for (row, (values, bound)) in rows.zip(&self.bounds).enumerate() {
            let about = dot_coarse(values, &coarse.values) as f32 * (bound.scale * coarse.scale);
            let slack = bound.rest * coarse.length + coarse.rest + ROUNDING;
            if about + slack >= floor && wanted(row) {
                maybe.push((row, about + slack));
                let least = about - slack;
                if best.len() < k || least > floor {
                    let at = best.partition_point(|b| *b >= least);
                    best.insert(at, least);
                    best.truncate(k);
                    if best.len() == k {
                        floor = best[k - 1];
                    }
                }
            }
        }
        let mut hits: Vec<Hit> = maybe
            .into_iter()
            .filter(|(_, most)| *most >= floor)
            .map(|(row, _)| Hit {
                row,
                similarity: dot(self.row(row), query),
            })
            .collect();
        hits.sort_by(nearer);
        if let Some(last) = hits.get(k - 1).map(|h| h.similarity) {
            hits.retain(|h| h.similarity >= last);
        }
        hits
    }
}

/// A row in 8 bits, and what they are multiplied with.
fn coarse(row: &[f32]) -> (Vec<i8>, f32) {
    let most = row.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = if most > 0.0 { most / COARSE_MOST } else { 1.0 };
    let of = |v: &f32| (v / scale).round().clamp(-COARSE_MOST, COARSE_MOST) as i8;
    (row.iter().map(of).collect(), scale)
}

/// A query in few bits.
struct CoarseQuery {
    values: Vec<i16>,
    scale: f32,
    /// Length of the query, rounded up.
    length: f32,
    /// Upper bound of what the query's rest adds to a product with a coarse row.
    rest: f32,
}

impl CoarseQuery {
    fn new(query: &[f32]) -> Self {
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
            values,
            scale,
            length: (length.sqrt() as f32).next_up(),
            // a coarse row is at most a little longer than its row, which is of unit length
            rest: 1.25 * (rest.sqrt() as f32).next_up(),
        }
    }
}

/// Whole numbers: exact in any order, and the compiler makes multiply-add instructions of it.
fn dot_coarse(row: &[i8], query: &[i16]) -> i32 {
    row.iter()
        .zip(query)
        .map(|(a, b)| i32::from(i16::from(*a)) * i32::from(*b))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::tests::unit;
    use proptest::prelude::*;

    /// All rows, nearest first, by nothing but their cosines.
    fn plain(gallery: &Gallery, query: &[f32]) -> Vec<Hit> {
        let mut all: Vec<Hit> = gallery
            .similarities(query)
            .into_iter()
            .enumerate()
            .map(|(row, similarity)| Hit { row, similarity })
            .collect();
        all.sort_by(nearer);
        all
    }

    proptest! {
        #[test]
        fn the_coarse_pass_loses_nothing(
            seeds in proptest::collection::vec((0u64..40, -6i32..0), 1..120),
            query in 0u64..60,
            k in 1usize..12,
        ) {
            // rows in tight bunches: many are nearly as near as the nearest
            let d = 37;
            let mut gallery = Gallery::new(d);
            for (i, (bunch, spread)) in seeds.iter().enumerate() {
                let centre = unit(d, *bunch);
                let noise = unit(d, 1000 + i as u64);
                let mixed = centre.iter().zip(&noise).map(|(c, n)| c + 10f32.powi(*spread) * n);
                let row = crate::embedding::Embedding::normalised(mixed.collect()).unwrap();
                gallery.push(row.values());
            }
            let query = unit(d, query);
            let wanted = |row: usize| !row.is_multiple_of(3);
            let all: Vec<Hit> = plain(&gallery, &query).into_iter().filter(|h| wanted(h.row)).collect();
            let found = gallery.nearest(&query, k, wanted);
            prop_assert!(found.len() >= k.min(all.len()));
            for (a, b) in found.iter().zip(&all) {
                prop_assert_eq!(a.similarity.to_bits(), b.similarity.to_bits());
                prop_assert_eq!(a.row, b.row);
            }
        }

        #[test]
        fn a_row_that_came_and_went_changes_nothing(n in 1usize..30, gone in 0usize..30) {
            let d = 16;
            let mut gallery = Gallery::new(d);
            for i in 0..n {
                gallery.push(&unit(d, i as u64));
            }
            let before: Vec<u32> = plain(&gallery, &unit(d, 99)).iter().map(|h| h.similarity.to_bits()).collect();
            let row = gallery.row(gone % n).to_vec();
            gallery.swap_remove(gone % n);
            prop_assert_eq!(gallery.len(), n - 1);
            gallery.push(&row);
            let after: Vec<u32> = plain(&gallery, &unit(d, 99)).iter().map(|h| h.similarity.to_bits()).collect();
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn equals_at_the_edge_are_all_given() {
        let mut gallery = Gallery::new(4);
        for _ in 0..5 {
            gallery.push(&[0.0, 1.0, 0.0, 0.0]);
        }
        assert_eq!(gallery.nearest(&[0.0, 1.0, 0.0, 0.0], 2, |_| true).len(), 5);
        assert!(
            gallery
                .nearest(&[0.0, 1.0, 0.0, 0.0], 0, |_| true)
                .is_empty()
        );
        assert!(
            gallery
                .nearest(&[0.0, 1.0, 0.0, 0.0], 3, |_| false)
                .is_empty()
        );
    }
}
