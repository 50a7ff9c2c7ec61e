//! Looking after a bank: doubles, doubtful labels, what is covered, what could be left out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;

use super::{Bank, Key, Role, Sample};
use crate::embedding::dot;
use crate::id::Id;

/// Two samples that show the same.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "BankDouble")]
pub struct Double {
    /// The one.
    pub a: Id,
    /// The other.
    pub b: Id,
    /// Cosine.
    pub similarity: f32,
    /// Whether they say different things of it: one of them must be wrong.
    pub contradict: bool,
}

/// A sample that looks like others than those it is labelled with.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "BankDoubt")]
pub struct Doubt {
    /// Which.
    pub id: Id,
    /// As it is labelled.
    pub hazard: Option<String>,
    /// As it is labelled.
    pub role: Role,
    /// What most of its neighbours are labelled with.
    pub looks_like: Option<String>,
    /// What most of its neighbours are labelled with.
    pub looks_like_role: Role,
    /// How many of the neighbours say so.
    pub votes: usize,
    /// Of so many.
    pub of: usize,
}

/// How a kind is covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "BankKindCover")]
pub struct Cover {
    /// Hazard code; none: clean references of all kinds.
    pub hazard: Option<String>,
    /// Confirmed samples.
    pub positives: usize,
    /// Dismissed samples.
    pub negatives: usize,
    /// Clean references.
    pub references: usize,
    /// Samples by site.
    pub by_site: BTreeMap<String, usize>,
}

/// A smaller bank, and what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "BankCoreset")]
pub struct Coreset {
    /// The samples to keep.
    pub keep: Vec<Id>,
    /// Share of confirmed samples whose nearest sample of another photo is of their kind and
    /// confirmed.
    pub recall_before: f64,
    /// The same when only those kept are there to be near.
    pub recall_after: f64,
}

/// Neighbours that vote on a label, where nothing else is said.
pub const NEIGHBOURS: usize = 5;
/// Rows that a core takes at a time.
const MIN_LEN: usize = 1024;

/// A sample with its row.
type Row<'a> = (&'a Sample, &'a [f32]);

fn key(sample: &Sample) -> Key {
    (sample.hazard.clone(), sample.role)
}

/// Nearest first; equals in the order of their ids.
fn nearer(a: &(f32, &Sample), b: &(f32, &Sample)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id))
}

/// All samples in the order of their ids: nothing depends on how they lie in memory.
fn rows(bank: &Bank) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = bank.samples().collect();
    rows.sort_by_key(|(sample, _)| sample.id);
    rows
}

/// Pairs at least this near to each other, nearest first.
pub fn doubles(bank: &Bank, similarity: f32) -> Vec<Double> {
    let rows = rows(bank);
    let with_later = |(i, (a, row)): (usize, &Row<'_>)| {
        let near = rows[i + 1..].iter().map(|(b, other)| (*b, dot(row, other)));
        near.filter(|(_, near)| *near >= similarity)
            .map(|(b, near)| Double {
                a: a.id,
                b: b.id,
                similarity: near.min(1.0),
                contradict: key(a) != key(b),
            })
            .collect::<Vec<_>>()
    };
    let mut found: Vec<Double> = rows.par_iter().enumerate().flat_map(with_later).collect();
    found.sort_by(|x, y| {
        y.similarity
            .total_cmp(&x.similarity)
            .then((x.a, x.b).cmp(&(y.a, y.b)))
    });
    found
}

/// Samples of which most of the `k` nearest, of other photos, are labelled otherwise alike.
pub fn doubts(bank: &Bank, k: usize) -> Vec<Doubt> {
    let rows = rows(bank);
    let doubt = |(sample, row): &Row<'_>| {
        let mut near: Vec<(f32, &Sample)> = rows
            .iter()
            .filter(|(other, _)| other.photo_sha256 != sample.photo_sha256)
            .map(|(other, values)| (dot(row, values), *other))
            .collect();
        if near.len() > k {
            near.select_nth_unstable_by(k, nearer);
            near.truncate(k);
        }
        near.sort_by(nearer);
        let mut votes: BTreeMap<Key, usize> = BTreeMap::new();
        for (_, other) in &near {
            *votes.entry(key(other)).or_default() += 1;
        }
        let ((hazard, role), n) = votes.into_iter().max_by_key(|(_, n)| *n)?;
        // a look-alike and a place as it should be say the same: no hazard
        let agree = role != Role::Positive && sample.role != Role::Positive;
        let doubtful = 2 * n > near.len()
            && near.len() == k
            && !agree
            && (&hazard, role) != (&sample.hazard, sample.role);
        doubtful.then(|| Doubt {
            id: sample.id,
            hazard: sample.hazard.clone(),
            role: sample.role,
            looks_like: hazard,
            looks_like_role: role,
            votes: n,
            of: near.len(),
        })
    };
    rows.par_iter().filter_map(doubt).collect()
}

/// What there is of each kind, and from where.
pub fn coverage(bank: &Bank) -> Vec<Cover> {
    let mut kinds: BTreeMap<Option<String>, Cover> = BTreeMap::new();
    for (sample, _) in bank.samples() {
        let cover = kinds.entry(sample.hazard.clone()).or_insert_with(|| Cover {
            hazard: sample.hazard.clone(),
            positives: 0,
            negatives: 0,
            references: 0,
            by_site: BTreeMap::new(),
        });
        match sample.role {
            Role::Positive => cover.positives += 1,
            Role::Negative => cover.negatives += 1,
            Role::Reference => cover.references += 1,
        }
        *cover.by_site.entry(sample.place.site.clone()).or_default() += 1;
    }
    kinds.into_values().collect()
}

/// The `size` samples that lie farthest apart in each kind and role (greedy k-centre), each with its
/// share, at least one.
pub fn coreset(bank: &Bank, size: usize) -> Coreset {
    let rows = rows(bank);
    let mut groups: BTreeMap<Key, Vec<Row<'_>>> = BTreeMap::new();
    for row in &rows {
        groups.entry(key(row.0)).or_default().push(*row);
    }
    let mut shares: Vec<usize> = groups
        .values()
        .map(|g| (size * g.len() / rows.len().max(1)).max(1))
        .collect();
    // what rounding left over goes to the largest groups first, as does what is over
    let most: Vec<usize> = groups.values().map(Vec::len).collect();
    let mut total: usize = shares.iter().sum();
    while total != size.clamp(groups.len(), rows.len().max(groups.len())) {
        let grows = total < size;
        let at = (0..shares.len())
            .filter(|i| {
                if grows {
                    shares[*i] < most[*i]
                } else {
                    shares[*i] > 1
                }
            })
            .max_by_key(|i| {
                (
                    if grows {
                        most[*i] - shares[*i]
                    } else {
                        shares[*i]
                    },
                    *i,
                )
            });
        let Some(at) = at else { break };
        if grows {
            shares[at] += 1;
            total += 1;
        } else {
            shares[at] -= 1;
            total -= 1;
        }
    }
    let keep: BTreeSet<Id> = groups
        .values()
        .zip(shares)
        .flat_map(|(group, share)| centres(group, share))
        .collect();
    Coreset {
        recall_before: recall(&rows, |_| true),
        recall_after: recall(&rows, |id| keep.contains(&id)),
        keep: keep.into_iter().collect(),
    }
}

/// Farthest first, from the sample that is nearest to all others.
fn centres(group: &[Row<'_>], share: usize) -> Vec<Id> {
    let d = group.first().map_or(0, |(_, row)| row.len());
    let mut mean = vec![0.0f32; d];
    for (_, row) in group {
        for (m, v) in mean.iter_mut().zip(*row) {
            *m += v;
        }
    }
    // the similarity of each sample to the nearest one chosen; negated towards the mean at first
    let mut nearest: Vec<f32> = group.iter().map(|(_, row)| -dot(row, &mean)).collect();
    let mut chosen = Vec::new();
    while chosen.len() < share.min(group.len()) {
        let first = chosen.is_empty();
        let next =
            (0..group.len()).min_by(|a, b| nearest[*a].total_cmp(&nearest[*b]).then(a.cmp(b)));
        let Some(next) = next else { break };
        chosen.push(group[next].0.id);
        let rows = nearest.par_iter_mut().zip(group);
        rows.with_min_len(MIN_LEN).for_each(|(nearest, (_, row))| {
            let near = dot(row, group[next].1);
            *nearest = if first { near } else { nearest.max(near) };
        });
        // stays out: nothing is farther
        nearest[next] = f32::INFINITY;
    }
    chosen
}

/// Share of positives whose nearest sample of another photo, among those kept, is a positive of their
/// kind.
fn recall(rows: &[Row<'_>], kept: impl Fn(Id) -> bool + Sync) -> f64 {
    let right = |(sample, row): &&Row<'_>| {
        let others = rows
            .iter()
            .filter(|(other, _)| other.photo_sha256 != sample.photo_sha256 && kept(other.id));
        others
            .map(|(other, values)| (dot(row, values), *other))
            .min_by(nearer)
            .is_some_and(|(_, other)| key(other) == key(sample))
    };
    let positives: Vec<&Row<'_>> = rows
        .iter()
        .filter(|(s, _)| s.role == Role::Positive)
        .collect();
    let found = positives.par_iter().filter(|row| right(row)).count();
    found as f64 / positives.len().max(1) as f64
}
