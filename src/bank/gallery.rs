//! Embeddings in one matrix, searched exactly, or among very many by those that are likely to be near.
//!
//! A scan of 100,000 x 512 values is bound by memory, so a first pass reads a copy in 8 bits and
//! bounds every similarity by Cauchy–Schwarz; only rows that may be among the nearest are looked at
//! in 32 bits. The answer is that of a full scan, to the last bit.

use std::cmp::Ordering;

use super::coarse::CoarseQuery;
use super::lists::{self, List, Lists};
use crate::embedding::dot;

/// Rows of unit length. Cheap to add to; a row that is removed gives its place to the last one.
#[derive(Clone)]
pub struct Gallery {
    dimensions: usize,
    rows: Vec<f32>,
    coarse: Lists,
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gallery({} x {})", self.len(), self.dimensions)
    }
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

/// Most values of an embedding.
pub const MOST_DIMENSIONS: usize = 4096;

impl Gallery {
    /// An empty one.
    pub fn new(dimensions: usize) -> Self {
        Self::with_capacity(dimensions, 0)
    }

    /// An empty one with room for so many rows.
    pub fn with_capacity(dimensions: usize, rows: usize) -> Self {
        debug_assert!((1..=MOST_DIMENSIONS).contains(&dimensions));
        Self {
            dimensions,
            rows: Vec::with_capacity(rows * dimensions),
            coarse: Lists::new(dimensions, rows),
        }
    }

    /// Values of a row.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.coarse.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<f32>() + self.coarse.bytes()
    }

    /// Whether the rows are so many, or so many more than last time, that [`Self::index_now`] is worth its time.
    pub(super) fn needs_index(&self) -> bool {
        self.len() > lists::FROM && self.len() > 2 * self.coarse.split_at()
    }

    /// Puts rows that are near to each other together, so that [`Self::nearest`] need not look at all of them; what
    /// comes and goes is in it at once. Takes half a minute for a million rows, on all cores.
    pub fn index_now(&mut self) {
        self.coarse.split(&self.rows);
    }

    /// Whether rows that are near to each other are together.
    pub fn is_indexed(&self) -> bool {
        self.coarse.are_many()
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.dimensions..][..self.dimensions]
    }

    /// Adds a row behind the others. It has to be of the right length.
    pub fn push(&mut self, row: &[f32]) {
        debug_assert_eq!(row.len(), self.dimensions);
        self.rows.extend_from_slice(row);
        self.coarse.push(row);
    }

    /// Takes a row away; the last one has its number from now on.
    pub fn swap_remove(&mut self, row: usize) {
        let last = self.len() - 1;
        let d = self.dimensions;
        self.rows.copy_within(last * d.., row * d);
        self.rows.truncate(last * d);
        self.coarse.swap_remove(row);
    }

    /// The cosine of every row, in their order.
    pub fn similarities(&self, query: &[f32]) -> Vec<f32> {
        self.rows
            .chunks_exact(self.dimensions)
            .map(|row| dot(row, query))
            .collect()
    }

    /// The `k` nearest rows that are `wanted`, nearest first; more where several are equally near as
    /// the last, so that the order of the rows decides nothing. Of an indexed gallery those of the rows looked at,
    /// which may lack a few of the nearest.
    pub fn nearest(&self, query: &[f32], k: usize, wanted: impl Fn(usize) -> bool) -> Vec<Hit> {
        let coarse = CoarseQuery::new(query);
        if self.is_indexed() {
            let lists = self.coarse.near(&coarse, &wanted);
            self.nearest_in(lists, query, &coarse, k, &wanted)
        } else {
            self.nearest_in(self.coarse.all(), query, &coarse, k, &wanted)
        }
    }

    /// As [`Self::nearest`], of all rows.
    pub(super) fn nearest_of_all(
        &self,
        query: &[f32],
        k: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<Hit> {
        let coarse = CoarseQuery::new(query);
        self.nearest_in(self.coarse.all(), query, &coarse, k, &wanted)
    }

    fn nearest_in<'a>(
        &'a self,
        lists: impl Iterator<Item = &'a List>,
        query: &[f32],
        coarse: &CoarseQuery,
        k: usize,
        wanted: &impl Fn(usize) -> bool,
    ) -> Vec<Hit> {
        if k == 0 {
            return Vec::new();
        }
        // lower bounds of the k best rows so far, the least one last
        let mut best: Vec<f32> = Vec::with_capacity(k + 1);
        let mut floor = f32::NEG_INFINITY;
        let mut maybe = Vec::new();
        for (row, values, bound) in lists.flat_map(|list| list.entries(self.dimensions)) {
            // where few are wanted, most need not be looked at
            if floor == f32::NEG_INFINITY && !wanted(row) {
                continue;
            }
            let about = coarse.about(values, bound);
            let slack = coarse.slack(bound);
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
