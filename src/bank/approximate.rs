//! Approximate search among very many rows: a graph (HNSW, by usearch) of the rows in 8 bits. Derived from the rows,
//! and never asked for a decision, which needs all of them.

use rayon::prelude::*;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

/// With more rows than this a graph is worth its memory.
pub(super) const FROM: usize = 100_000;
/// Neighbours of a row in the graph.
const CONNECTIVITY: usize = 16;
/// How many rows are looked at when one is added.
const EXPANSION_ADD: usize = 128;
/// How many rows are looked at, at least, for a query.
const EXPANSION_SEARCH: usize = 48;
/// So many times the rows that are asked for are found in 8 bits; the caller holds them against each other in 32.
const OVERSAMPLE: usize = 2;

/// The graph. Rows are known to it by keys of their own: a row's number changes when another is removed.
pub(super) struct Approximate {
    index: Index,
    /// Of each row.
    keys: Vec<u64>,
    /// Of each key that ever was; [`GONE`] where it is no more.
    rows: Vec<usize>,
}

const GONE: usize = usize::MAX;

/// It cannot be had: memory, or a processor that the library does not know. The exact search answers instead.
type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Approximate {
    /// Of all rows, on all cores. Their lengths mean nothing: it goes by the cosine.
    pub(super) fn of(dimensions: usize, rows: &[i8]) -> Result<Self, Failed> {
        let index = empty(dimensions)?;
        let n = rows.len() / dimensions;
        let threads = rayon::current_num_threads();
        index.reserve_capacity_and_threads(n + n / 8, threads.max(SEARCHES))?;
        rows.par_chunks_exact(dimensions)
            .enumerate()
            .try_for_each(|(row, values)| index.add(row as u64, values))?;
        Ok(Self {
            index,
            keys: (0..n as u64).collect(),
            rows: (0..n).collect(),
        })
    }

    /// A row behind the others.
    pub(super) fn push(&mut self, values: &[i8]) -> Result<(), Failed> {
        if self.index.size() == self.index.capacity() {
            let more = self.index.capacity() + self.index.capacity() / 8 + 1;
            self.index.reserve_capacity_and_threads(more, SEARCHES)?;
        }
        let key = self.rows.len() as u64;
        self.index.add(key, values)?;
        self.rows.push(self.keys.len());
        self.keys.push(key);
        Ok(())
    }

    /// Takes a row away; the last one has its number from now on.
    pub(super) fn swap_remove(&mut self, row: usize) -> Result<(), Failed> {
        let key = self.keys.swap_remove(row);
        self.rows[key as usize] = GONE;
        if let Some(moved) = self.keys.get(row) {
            self.rows[*moved as usize] = row;
        }
        self.index.remove(key)?;
        Ok(())
    }

    /// Of the rows that are `wanted`, more than `k`, about the `k` nearest among them, in any order.
    pub(super) fn nearest(
        &self,
        query: &[i8],
        k: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<usize>, Failed> {
        let row = |key: &u64| {
            let row = self.rows.get(*key as usize).copied();
            row.filter(|row| *row != GONE)
        };
        let found = self
            .index
            .filtered_search(query, OVERSAMPLE * k, |key| row(&key).is_some_and(&wanted))?;
        Ok(found.keys.iter().filter_map(row).collect())
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.index.memory_usage() + (self.keys.len() + self.rows.len()) * size_of::<u64>()
    }

    /// The same once more.
    pub(super) fn copied(&self, dimensions: usize) -> Result<Self, Failed> {
        let mut bytes = vec![0; self.index.serialized_length()];
        self.index.save_to_buffer(&mut bytes)?;
        let index = empty(dimensions)?;
        index.load_from_buffer(&bytes)?;
        let capacity = self.index.capacity();
        index.reserve_capacity_and_threads(capacity, SEARCHES)?;
        Ok(Self {
            index,
            keys: self.keys.clone(),
            rows: self.rows.clone(),
        })
    }
}

/// Searches at the same time, at most.
const SEARCHES: usize = 64;

fn empty(dimensions: usize) -> Result<Index, Failed> {
    Ok(Index::new(&IndexOptions {
        dimensions,
        metric: MetricKind::Cos,
        quantization: ScalarKind::I8,
        connectivity: CONNECTIVITY,
        expansion_add: EXPANSION_ADD,
        expansion_search: EXPANSION_SEARCH,
        ..IndexOptions::default()
    })?)
}

#[cfg(test)]
mod tests {
    use crate::bank::Gallery;
    use crate::bank::tests::unit;
    use crate::embedding::Embedding;

    /// Rows in bunches, as pictures of few kinds are.
    fn rows(n: usize, d: usize) -> Vec<Vec<f32>> {
        let mixed = |i: usize| {
            let (centre, own) = (unit(d, i as u64 % 50), unit(d, 1000 + i as u64));
            let mixed = centre.iter().zip(&own).map(|(c, o)| c + 0.7 * o);
            Embedding::normalised(mixed.collect())
                .unwrap()
                .values()
                .to_vec()
        };
        (0..n).map(mixed).collect()
    }

    #[test]
    fn the_graph_finds_what_the_scan_finds_and_knows_what_came_and_went() {
        let (n, d) = (3000, 32);
        let all = rows(n + 200, d);
        let mut exact = Gallery::new(d);
        let mut graph = Gallery::new(d);
        for row in &all[..n] {
            exact.push(row);
            graph.push(row);
        }
        graph.index_now();
        // some come and some go after it was made
        for (i, row) in all[n..].iter().enumerate() {
            exact.push(row);
            graph.push(row);
            exact.swap_remove(i * 7);
            graph.swap_remove(i * 7);
        }
        let copy = graph.clone();
        for graph in [&graph, &copy] {
            assert!(graph.is_indexed());
            let (mut same, mut of) = (0, 0);
            for probe in all[n..].iter().step_by(4) {
                let wanted = |row: usize| !row.is_multiple_of(5);
                let truth = exact.nearest(probe, 10, wanted);
                let found = graph.nearest(probe, 10, wanted);
                assert!(found.iter().all(|h| wanted(h.row)));
                assert!(found.is_sorted_by(|a, b| a.similarity >= b.similarity));
                of += truth.len();
                same += found.iter().filter(|h| truth.contains(h)).count();
            }
            assert!(same as f64 >= 0.98 * of as f64, "{same} of {of}");
        }
        // a row is found by itself at once
        let newest = unit(d, 999_999);
        graph.push(&newest);
        let hit = graph.nearest(&newest, 1, |_| true)[0];
        assert_eq!(hit.row, n);
        assert!(hit.similarity > 0.999);
        graph.swap_remove(n);
        assert!(graph.nearest(&newest, 1, |_| true)[0].similarity < 0.99);
    }
}
