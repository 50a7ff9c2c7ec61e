//! What confirming is held against: scores of photos that do not show the hazard.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::near::Near;
use super::policy::{Policy, allowed, least};
use super::{Bank, Group, Role, Sample, Scope};
use crate::embedding::dot;
use crate::id::Id;

/// What a kind's decisions are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Calibration {
    /// The rate asked for.
    pub false_alarm_rate: f64,
    /// Held-out photos that do not show the hazard; nearly the same ones count once.
    pub held_out: usize,
    /// Of these, clean references; the others show other kinds.
    pub clean: usize,
    /// Regions that each of them was looked at in, at least: the rate is for a photo of no more.
    pub regions_each: usize,
    /// Scores above this are confirmed; none when the rate cannot be stated.
    pub threshold: Option<f32>,
    /// Confirmed samples.
    pub positives: usize,
    /// Dismissed samples that count here.
    pub negatives: usize,
}

/// More held-out photos would cost time and bring nothing: these are chosen by their digests.
const MOST_HELD_OUT: usize = 1000;

/// What a bank's decisions are held against, for all its kinds: the same at every place, so that it is
/// found out once for each version.
#[derive(Debug, Clone)]
pub struct Calibrations {
    pub(super) policy: Policy,
    pub(super) kinds: BTreeMap<String, HeldOut>,
    /// What counts at one site only, by kind and site.
    local: BTreeMap<(String, String), HeldOut>,
    scored: BTreeMap<String, Scored>,
}

/// Scores of single samples, which hold as long as the confirmed samples of the kind are these.
#[derive(Debug, Clone)]
struct Scored {
    positives: Arc<Group>,
    scores: HashMap<Id, Option<f32>>,
}

/// Of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct HeldOut {
    /// Scores of photos, ascending.
    pub(super) scores: Vec<f32>,
    /// How many of them are clean references.
    pub(super) clean: usize,
    /// Regions of each of them, at least.
    pub(super) regions_each: usize,
}

impl Calibrations {
    /// Of this bank. `policy` has to be a checked one.
    pub fn of(bank: &Bank, policy: Policy) -> Self {
        Self {
            policy,
            kinds: BTreeMap::new(),
            local: BTreeMap::new(),
            scored: BTreeMap::new(),
        }
        .after(bank)
    }

    /// Of the bank as it became by changes since, by the same embedder: the same as [`Self::of`], and what the
    /// changes did not touch is not found out again.
    pub fn after(&self, bank: &Bank) -> Self {
        let mut after = Self {
            policy: self.policy,
            kinds: BTreeMap::new(),
            local: BTreeMap::new(),
            scored: BTreeMap::new(),
        };
        for code in bank.kinds() {
            let Some(positives) = bank.group(Some(code), Role::Positive) else {
                continue;
            };
            let known = self.scored.get(code);
            let known = known.filter(|k| Arc::ptr_eq(&k.positives, positives));
            let known = known.map(|k| &k.scores);
            let (held_out, mut scores) = HeldOut::of(bank, code, positives, &self.policy, known);
            for (site, photos) in local_photos(bank, code, positives) {
                let (held_out, more) =
                    HeldOut::scored(bank, positives, photos, &self.policy, known);
                let key = (code.to_owned(), site.to_owned());
                after.local.insert(key, held_out);
                scores.extend(more);
            }
            let positives = positives.clone();
            after.kinds.insert(code.to_owned(), held_out);
            let scored = Scored { positives, scores };
            after.scored.insert(code.to_owned(), scored);
        }
        after
    }

    /// What a kind's decisions at a site are held against.
    pub(super) fn held_out(&self, code: &str, site: &str) -> HeldOut {
        let mut all = self.kinds.get(code).cloned().unwrap_or_default();
        if let Some(local) = self.local.get(&(code.to_owned(), site.to_owned())) {
            all.regions_each = if all.scores.is_empty() {
                local.regions_each
            } else {
                all.regions_each.min(local.regions_each)
            };
            all.scores.extend(&local.scores);
            all.scores.sort_by(f32::total_cmp);
            all.clean += local.clean;
        }
        all
    }
}

/// Clean references that count at their site only, by site and photo.
fn local_photos<'b>(
    bank: &'b Bank,
    code: &str,
    positives: &Group,
) -> BTreeMap<&'b str, BTreeMap<&'b str, Parts<'b>>> {
    let shown: BTreeSet<&str> = positives.photos().collect();
    let mut sites: BTreeMap<&str, BTreeMap<&str, Parts<'_>>> = BTreeMap::new();
    let groups = bank.groups.iter();
    for (_, group) in groups.filter(|((kind, role), _)| is_reference_of(kind, *role, code)) {
        let samples = group.samples.iter().enumerate();
        for (row, sample) in samples.filter(|(_, s)| s.scope != Scope::Everywhere) {
            if !shown.contains(sample.photo_sha256.as_str()) {
                let photos = sites.entry(&sample.place.site).or_default();
                let parts = photos.entry(&sample.photo_sha256).or_default();
                parts.push((sample, group.gallery.row(row)));
            }
        }
    }
    sites
}

impl HeldOut {
    /// Clean references that count everywhere, and samples of other kinds where those are too few.
    fn of(
        bank: &Bank,
        code: &str,
        positives: &Group,
        policy: &Policy,
        known: Option<&HashMap<Id, Option<f32>>>,
    ) -> (Self, HashMap<Id, Option<f32>>) {
        let shown: BTreeSet<&str> = positives.photos().collect();
        let references = |(kind, role): &super::Key| is_reference_of(kind, *role, code);
        let mut photos = photos_of(bank, &shown, references);
        let needs = least(policy.false_alarm_rate);
        if distinct(photos.values().cloned(), needs, policy).len() < needs {
            let others = photos_of(bank, &shown, |(kind, role)| {
                *role == Role::Positive && kind.as_deref().is_some_and(|kind| kind != code)
            });
            for (photo, samples) in others {
                photos.entry(photo).or_default().extend(samples);
            }
        }
        Self::scored(bank, positives, photos, policy, known)
    }

    fn scored(
        bank: &Bank,
        positives: &Group,
        photos: BTreeMap<&str, Parts<'_>>,
        policy: &Policy,
        known: Option<&HashMap<Id, Option<f32>>>,
    ) -> (Self, HashMap<Id, Option<f32>>) {
        let photos = distinct(photos.into_values(), MOST_HELD_OUT, policy);
        let is_reference = |(sample, _): &(&Sample, &[f32])| sample.role == Role::Reference;
        let clean = photos.iter().filter(|p| p.iter().any(is_reference)).count();
        let score = |(sample, row): &(&Sample, &[f32])| {
            let known = known.and_then(|known| known.get(&sample.id)).copied();
            let of = || {
                let near = Near::new((positives, &bank.owners), row, |_| true);
                near.score(&sample.place.site, policy)
            };
            (sample.id, known.unwrap_or_else(of))
        };
        let scored: HashMap<Id, Option<f32>> =
            photos.par_iter().flatten_iter().map(score).collect();
        let mut scores: Vec<f32> = photos
            .iter()
            .map(|samples| {
                let scores = samples.iter().filter_map(|(sample, _)| scored[&sample.id]);
                scores.fold(f32::NEG_INFINITY, f32::max)
            })
            .collect();
        scores.sort_by(f32::total_cmp);
        let held_out = Self {
            scores,
            clean,
            regions_each: photos.iter().map(Vec::len).min().unwrap_or(0),
        };
        (held_out, scored)
    }

    /// Scores above this are confirmed; none when the rate cannot be stated.
    fn threshold(&self, policy: &Policy) -> Option<f32> {
        let n = self.scores.len();
        n.checked_sub(allowed(policy.false_alarm_rate, n).max(1))
            .filter(|_| n >= least(policy.false_alarm_rate))
            .map(|at| self.scores[at])
    }

    /// As it is told, with the samples of the kind that count somewhere.
    pub(super) fn calibration(
        &self,
        policy: &Policy,
        positives: usize,
        negatives: usize,
    ) -> Calibration {
        Calibration {
            false_alarm_rate: policy.false_alarm_rate,
            held_out: self.scores.len(),
            clean: self.clean,
            regions_each: self.regions_each,
            threshold: self.threshold(policy),
            positives,
            negatives,
        }
    }
}

fn is_reference_of(kind: &Option<String>, role: Role, code: &str) -> bool {
    role == Role::Reference && kind.as_deref().is_none_or(|kind| kind == code)
}

/// Samples of wanted groups that count everywhere, by their photos, without the photos that show the hazard: they
/// show it outside its box, too.
fn photos_of<'b>(
    bank: &'b Bank,
    shown: &BTreeSet<&str>,
    wanted: impl Fn(&super::Key) -> bool,
) -> BTreeMap<&'b str, Parts<'b>> {
    let mut photos: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
    for (_, group) in bank.groups.iter().filter(|(key, _)| wanted(key)) {
        for (row, sample) in group.samples.iter().enumerate() {
            let counts = sample.scope == Scope::Everywhere;
            if counts && !shown.contains(sample.photo_sha256.as_str()) {
                photos
                    .entry(&sample.photo_sha256)
                    .or_default()
                    .push((sample, group.gallery.row(row)));
            }
        }
    }
    photos
}

/// A photo's samples with their embeddings.
type Parts<'a> = Vec<(&'a Sample, &'a [f32])>;

/// The first `most` of the photos that are not one of them said again.
fn distinct<'a>(
    photos: impl Iterator<Item = Parts<'a>>,
    most: usize,
    policy: &Policy,
) -> Vec<Parts<'a>> {
    let Some(one_photo) = policy.one_photo else {
        return photos.take(most).collect();
    };
    let mut kept: Vec<Parts<'a>> = Vec::new();
    for mut photo in photos {
        if kept.len() == most {
            break;
        }
        photo.sort_by(|a, b| total(a.0.area, b.0.area).then(a.0.id.cmp(&b.0.id)));
        let others = kept.par_iter().with_min_len(64);
        if !others.any(|other| is_one(&photo, other, one_photo)) {
            kept.push(photo);
        }
    }
    kept
}

fn total(a: [f64; 4], b: [f64; 4]) -> Ordering {
    let mut orders = a.iter().zip(&b).map(|(a, b)| a.total_cmp(b));
    orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

fn is_one(a: &Parts<'_>, b: &Parts<'_>, one_photo: f32) -> bool {
    let same_parts = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0.area == b.0.area);
    // most photos are told apart by what is missing so far
    let mut missing = (1.0 - one_photo) * a.len() as f32;
    same_parts
        && a.iter().zip(b).all(|(a, b)| {
            missing -= 1.0 - dot(a.1, b.1);
            missing >= 0.0
        })
}
