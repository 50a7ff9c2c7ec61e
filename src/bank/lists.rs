//! The coarse rows of a gallery: in one list, or, where they are very many, in lists of rows that are near to one
//! centre each (an inverted file, IVF). A search by picture looks at the lists whose centres are nearest; a decision,
//! which needs all rows, at all lists.

use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::coarse::{Bound, CoarseQuery, coarse};

/// Lists are made of this many rows or more: a scan of fewer takes a few milliseconds.
pub(super) const FROM: usize = 100_000;
/// A search looks at about so many lists: until it has met as many rows that are wanted as they hold on average.
const LOOKED_AT: usize = 5;
/// Centres are the means of so many rows each, on average.
const TRAINED_ON: usize = 48;
/// Rounds of k-means; more move few rows.
const ROUNDS: usize = 8;

/// Coarse rows, known by their numbers.
#[derive(Clone)]
pub(super) struct Lists {
    dimensions: usize,
    lists: Vec<List>,
    /// Of the lists, in their order; none while there is one list.
    centres: List,
    /// Where each row is.
    places: Vec<Place>,
    /// How many rows there were when the lists were made.
    split_at: usize,
}

#[derive(Clone, Default)]
pub(super) struct List {
    coarse: Vec<i8>,
    bounds: Vec<Bound>,
    rows: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Place {
    list: u32,
    at: u32,
}

impl Lists {
    pub(super) fn new(dimensions: usize, capacity: usize) -> Self {
        Self {
            dimensions,
            lists: vec![List::with_capacity(dimensions, capacity)],
            centres: List::default(),
            places: Vec::with_capacity(capacity),
            split_at: 0,
        }
    }

    /// How many rows there were when the lists were made; none if they were not.
    pub(super) fn split_at(&self) -> usize {
        self.split_at
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.lists
            .iter()
            .chain([&self.centres])
            .map(List::bytes)
            .sum::<usize>()
            + self.places.capacity() * size_of::<Place>()
    }

    pub(super) fn are_many(&self) -> bool {
        self.lists.len() > 1
    }

    /// A row behind the others.
    pub(super) fn push(&mut self, row: &[f32]) {
        let list = self.nearest_centre(row);
        self.push_into(list, row);
    }

    fn push_into(&mut self, list: usize, row: &[f32]) {
        let number = self.places.len() as u32;
        self.places.push(Place {
            list: list as u32,
            at: self.lists[list].rows.len() as u32,
        });
        self.lists[list].push(row, number);
    }

    /// Takes a row away; the last one has its number from now on.
    pub(super) fn swap_remove(&mut self, row: usize) {
        let place = self.places[row];
        let (list, at) = (&mut self.lists[place.list as usize], place.at as usize);
        list.swap_remove(at, self.dimensions);
        if let Some(moved) = list.rows.get(at) {
            self.places[*moved as usize].at = place.at;
        }
        self.places.swap_remove(row);
        if let Some(moved) = self.places.get(row) {
            self.lists[moved.list as usize].rows[moved.at as usize] = row as u32;
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &List> {
        self.lists.iter()
    }

    /// The lists that are near to this, until rows that are wanted are met in sufficient number.
    pub(super) fn near<'a>(
        &'a self,
        query: &CoarseQuery,
        wanted: &'a impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = &'a List> {
        let near = |(list, (values, bound)): (usize, (&[i8], &Bound))| Near {
            similarity: query.about(values, bound),
            list,
        };
        let centres = self.centres.entries(self.dimensions);
        let mut heap: BinaryHeap<Near> = centres
            .map(|(_, values, bound)| (values, bound))
            .enumerate()
            .map(near)
            .collect();
        let mut left = LOOKED_AT * self.len().div_ceil(self.lists.len());
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let list = &self.lists[heap.pop()?.list];
            let met = list.rows.iter().filter(|row| wanted(**row as usize));
            left = left.saturating_sub(met.count());
            Some(list)
        })
    }

    /// Makes about as many lists as each has rows, of rows of unit length one behind the other. Uses all cores.
    pub(super) fn split(&mut self, rows: &[f32]) {
        let (d, n) = (self.dimensions, self.places.len());
        if n == 0 {
            return;
        }
        let wished = n.isqrt();
        self.centres = centres(rows, d, wished);
        let lists: Vec<usize> = rows
            .par_chunks_exact(d)
            .map(|row| self.nearest_centre(row))
            .collect();
        let mut lengths = vec![0; wished];
        for list in &lists {
            lengths[*list] += 1;
        }
        let empty = lengths.iter().map(|length| List::with_capacity(d, *length));
        self.lists = empty.collect();
        self.places.clear();
        self.split_at = n;
        for (row, list) in rows.chunks_exact(d).zip(lists) {
            self.push_into(list, row);
        }
    }

    fn nearest_centre(&self, row: &[f32]) -> usize {
        if self.centres.rows.is_empty() {
            return 0;
        }
        nearest(&self.centres, &CoarseQuery::new(row))
    }
}

impl List {
    fn with_capacity(dimensions: usize, rows: usize) -> Self {
        Self {
            coarse: Vec::with_capacity(rows * dimensions),
            bounds: Vec::with_capacity(rows),
            rows: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, row: &[f32], number: u32) {
        let (values, bound) = coarse(row);
        self.coarse.extend_from_slice(&values);
        self.bounds.push(bound);
        self.rows.push(number);
    }

    fn swap_remove(&mut self, at: usize, dimensions: usize) {
        let last = self.rows.len() - 1;
        self.coarse
            .copy_within(last * dimensions.., at * dimensions);
        self.coarse.truncate(last * dimensions);
        self.bounds.swap_remove(at);
        self.rows.swap_remove(at);
    }

    fn bytes(&self) -> usize {
        self.coarse.capacity()
            + self.bounds.capacity() * size_of::<Bound>()
            + self.rows.capacity() * size_of::<u32>()
    }

    /// Number, values, and how they stand for their row.
    pub(super) fn entries(
        &self,
        dimensions: usize,
    ) -> impl Iterator<Item = (usize, &[i8], &Bound)> {
        let rows = self.rows.iter().map(|row| *row as usize);
        rows.zip(self.coarse.chunks_exact(dimensions))
            .zip(&self.bounds)
            .map(|((row, values), bound)| (row, values, bound))
    }
}

/// Which of these is nearest; the first when there is none.
fn nearest(centres: &List, query: &CoarseQuery) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (row, values, bound) in centres.entries(query.dimensions()) {
        let about = query.about(values, bound);
        if about > best.1 {
            best = (row, about);
        }
    }
    best.0
}

/// Means of bunches: spherical k-means, from rows that are spread evenly over their order.
fn centres(rows: &[f32], d: usize, wished: usize) -> List {
    let n = rows.len() / d;
    let step = (n / (wished * TRAINED_ON)).max(1);
    let sample: Vec<&[f32]> = rows.chunks_exact(d).step_by(step).collect();
    let mut centres = List::with_capacity(d, wished);
    for i in 0..wished {
        centres.push(sample[i * sample.len() / wished], i as u32);
    }
    let queries: Vec<CoarseQuery> = sample.par_iter().map(|row| CoarseQuery::new(row)).collect();
    for _ in 0..ROUNDS {
        let of: Vec<usize> = queries.par_iter().map(|q| nearest(&centres, q)).collect();
        let mut sums = vec![0.0f32; wished * d];
        for (row, centre) in sample.iter().zip(of) {
            let sum = sums[centre * d..].iter_mut().take(d);
            sum.zip(*row).for_each(|(sum, value)| *sum += value);
        }
        let mut next = List::with_capacity(d, wished);
        for (i, sum) in sums.chunks_exact_mut(d).enumerate() {
            let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length > 0.0 {
                sum.iter_mut().for_each(|v| *v /= length);
            }
            // one that has no rows is near to nothing from now on
            next.push(sum, i as u32);
        }
        centres = next;
    }
    centres
}

/// A list and how near its centre is.
struct Near {
    similarity: f32,
    list: usize,
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near {}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_list = other.list.cmp(&self.list);
        self.similarity.total_cmp(&other.similarity).then(by_list)
    }
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
    fn lists_give_what_the_scan_gives_and_know_what_came_and_went() {
        let (n, d) = (3000, 32);
        let all = rows(n + 200, d);
        let mut exact = Gallery::new(d);
        let mut split = Gallery::new(d);
        for row in &all[..n] {
            exact.push(row);
            split.push(row);
        }
        split.index_now();
        // some come and some go after it was made
        for (i, row) in all[n..].iter().enumerate() {
            exact.push(row);
            split.push(row);
            exact.swap_remove(i * 7);
            split.swap_remove(i * 7);
        }
        let copy = split.clone();
        for split in [&split, &copy] {
            assert!(split.is_indexed());
            let (mut same, mut of) = (0, 0);
            for probe in all[n..].iter().step_by(4) {
                let wanted = |row: usize| !row.is_multiple_of(5);
                let truth = exact.nearest(probe, 10, wanted);
                let found = split.nearest(probe, 10, wanted);
                assert!(found.iter().all(|h| wanted(h.row)));
                assert!(found.is_sorted_by(|a, b| a.similarity >= b.similarity));
                of += truth.len();
                same += found.iter().filter(|h| truth.contains(h)).count();
            }
            assert!(same as f64 >= 0.98 * of as f64, "{same} of {of}");
            // where few are wanted, all lists are looked at
            let few = |row: usize| row.is_multiple_of(300);
            let probe = &all[n];
            assert_eq!(split.nearest(probe, 10, few), exact.nearest(probe, 10, few));
            assert!(split.nearest(probe, 10, |_| false).is_empty());
        }
        // a decision looks at all
        for probe in all[n..].iter().step_by(40) {
            let found = split.nearest_of_all(probe, 10, |_| true);
            assert_eq!(found, exact.nearest_of_all(probe, 10, |_| true));
        }
        // a row is found by itself at once
        let newest = unit(d, 999_999);
        split.push(&newest);
        let hit = split.nearest(&newest, 1, |_| true)[0];
        assert_eq!(hit.row, n);
        assert!(hit.similarity > 0.999);
        split.swap_remove(n);
        assert!(split.nearest(&newest, 1, |_| true)[0].similarity < 0.99);
        // until none is left
        for row in (0..n).rev() {
            split.swap_remove(row / 2);
        }
        assert!(split.is_empty() && split.nearest(&newest, 1, |_| true).is_empty());
        split.index_now();
        split.push(&newest);
        assert_eq!(split.nearest(&newest, 1, |_| true)[0].row, 0);
    }
}
