//! Confirm, suppress or unknown, with stated rates of error.
//!
//! **Confirm.** The score of a picture is the similarity of the vote that completes
//! [`Policy::votes`] (`votes.rs`). It is held against pictures that are *not* of the kind and not in
//! its gallery (split conformal prediction): with `n` of them, a new one of their sort gets as high a
//! score with a probability of at most `(1 + how many do) / (n + 1)`. A picture is confirmed when that
//! is at most [`Policy::false_alarm_rate`].
//!
//! **Suppress.** What is nearer to a quorum of dismissed samples than to any confirmed one, by more
//! than all but [`Policy::miss_rate`] of the confirmed samples would be if each were new (leave one
//! photo out).
//!
//! Anything else is unknown, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::votes::{Poll, Voter, count};
use super::{Bank, BankError, Group, Neighbour, Place, Role, Sample};
use crate::embedding::Embedding;
use crate::hazard::Text;

/// What is asked of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Share of pictures without the hazard that may be confirmed all the same, above 0.
    pub false_alarm_rate: f64,
    /// Share of true ones that may be suppressed, above 0.
    pub miss_rate: f64,
    /// Samples that have to agree before anything is confirmed; fewer where there are fewer.
    pub votes: usize,
    /// Dismissed samples that have to agree before anything is suppressed.
    pub quorum: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            false_alarm_rate: 0.05,
            miss_rate: 0.2,
            votes: 2,
            quorum: 3,
        }
    }
}

/// A policy that asks for what nobody can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No rate.
    #[error("{0} must be above 0 and below 1")]
    Rate(&'static str),
    /// No votes.
    #[error("{0} must be at least 1")]
    Votes(&'static str),
}

impl Policy {
    /// The policy, if it is one.
    ///
    /// # Errors
    /// A rate that is none, or votes of nobody.
    pub fn checked(self) -> Result<Self, PolicyError> {
        for (name, rate) in [
            ("false_alarm_rate", self.false_alarm_rate),
            ("miss_rate", self.miss_rate),
        ] {
            if !(rate > 0.0 && rate < 1.0) {
                return Err(PolicyError::Rate(name));
            }
        }
        for (name, votes) in [("votes", self.votes), ("quorum", self.quorum)] {
            if votes == 0 {
                return Err(PolicyError::Votes(name));
            }
        }
        Ok(self)
    }

    fn poll_to_confirm<'a>(self, own_site: &'a str) -> Poll<'a> {
        Poll {
            needed: self.votes,
            own_site,
            others_most: (self.votes / 2).max(1),
            // an office may teach a kind with photos of one site; there is nobody to outvote
            lone_site_counts: true,
        }
    }

    fn poll_to_suppress<'a>(self, own_site: &'a str) -> Poll<'a> {
        Poll {
            needed: self.quorum,
            own_site,
            others_most: (self.quorum / 2).max(1),
            // one site must not make all others blind
            lone_site_counts: false,
        }
    }
}

/// How many of `n + 1` may err at this rate.
fn allowed(rate: f64, n: usize) -> usize {
    // the rate is a decimal fraction: 0.05 of 20 is 1
    (rate * (n as f64 + 1.0) + 1e-9) as usize
}

/// The least number of held-out samples that can show this rate.
fn least(rate: f64) -> usize {
    (1..).find(|n| allowed(rate, *n) >= 1).unwrap_or(usize::MAX)
}

/// What a picture is, by the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// Of this kind.
    Confirm,
    /// What was dismissed before.
    Suppress,
    /// Neither can be said.
    Unknown,
}

/// Why a ruling is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// Near enough.
    Match,
    /// A quorum of dismissed samples is nearer.
    Dismissed,
    /// The bank has nothing of this kind.
    NoSamples,
    /// The bank has only dismissed samples of this kind.
    OnlyNegatives,
    /// Too few pictures without the hazard to state a rate of false alarms.
    TooFewHeldOut {
        /// There are.
        has: usize,
        /// It takes.
        needs: usize,
    },
    /// Too few confirmed samples to state a rate of misses.
    TooFewPositives {
        /// There are.
        has: usize,
        /// It takes.
        needs: usize,
    },
    /// Nearer to what was dismissed, but too few samples say so.
    NoQuorum {
        /// Votes.
        has: usize,
        /// It takes.
        needs: usize,
    },
    /// Nearer to what was dismissed, but so would be a true one.
    NotNearEnoughToDismissed,
    /// No nearer than pictures without the hazard are.
    NotNearEnough,
}

impl Reason {
    /// For a lay person.
    pub fn text(self) -> Text {
        match self {
            Self::Match => Text::new(
                "Looks like confirmed samples of this kind, more than pictures without the hazard do.",
                "与该类已确认样本相似，相似程度高于无隐患图片。",
            ),
            Self::Dismissed => Text::new(
                "Looks like what was dismissed before, more than like any confirmed sample.",
                "与此前被驳回的样本更相似，与已确认样本的相似程度较低。",
            ),
            Self::NoSamples => Text::new(
                "The bank has no samples of this kind: add confirmed ones.",
                "样本库中没有该类样本，请添加已确认样本。",
            ),
            Self::OnlyNegatives => Text::new(
                "The bank has only dismissed samples of this kind: nothing is suppressed before it knows confirmed ones.",
                "样本库中只有该类被驳回的样本；在添加已确认样本之前不会抑制任何结果。",
            ),
            Self::TooFewHeldOut { has, needs } => Text::new(
                format!(
                    "Held against {has} pictures without this hazard; a rate of false alarms can be stated from {needs} on: add photos of places as they should be (--reference), or samples of other kinds."
                ),
                format!(
                    "用于对照的无此隐患图片仅{has}张，至少需要{needs}张才能给出误报率；请添加正常状态照片（--reference）或其他类别样本。"
                ),
            ),
            Self::TooFewPositives { has, needs } => Text::new(
                format!(
                    "Nearer to dismissed samples, but with {has} confirmed photos it cannot be said how many true ones would be suppressed: that takes {needs}."
                ),
                format!(
                    "与被驳回样本更相似，但已确认照片仅{has}张，至少需要{needs}张才能估计误抑制的比例。"
                ),
            ),
            Self::NoQuorum { has, needs } => Text::new(
                format!(
                    "Nearer to dismissed samples, but {has} of {needs} votes are too few to suppress it (another site has a part of the votes only)."
                ),
                format!(
                    "与被驳回样本更相似，但仅有{has}票，需{needs}票方可抑制（其他场所的样本只计部分票数）。"
                ),
            ),
            Self::NotNearEnoughToDismissed => Text::new(
                "Nearer to dismissed samples, but confirmed ones would be so as well.",
                "与被驳回样本更相似，但部分已确认样本同样如此，因此不予抑制。",
            ),
            Self::NotNearEnough => Text::new(
                "No nearer to confirmed samples than pictures without the hazard are.",
                "与已确认样本的相似程度不高于无隐患图片。",
            ),
        }
    }
}

/// What a kind's decisions are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Calibration {
    /// The rate asked for.
    pub false_alarm_rate: f64,
    /// Held-out photos that do not show the hazard.
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

/// What the bank says of one picture and one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdict {
    /// What.
    pub ruling: Ruling,
    /// Why.
    pub reason: Reason,
    /// Similarity of the vote that decides; none without confirmed samples.
    pub score: Option<f32>,
    /// The score that would have to be passed.
    pub threshold: Option<f32>,
    /// At most this probable for a picture without the hazard (confirm), or for a true one
    /// (suppress).
    pub p_value: Option<f64>,
    /// The nearest confirmed sample.
    pub nearest_positive: Option<Neighbour>,
    /// The nearest dismissed sample that counts here.
    pub nearest_negative: Option<Neighbour>,
}

/// A bank, asked for pictures of one place.
#[derive(Debug)]
pub struct Matcher<'a> {
    bank: &'a Bank,
    place: Place,
    policy: Policy,
    kinds: BTreeMap<&'a str, Kind<'a>>,
}

#[derive(Debug)]
struct Kind<'a> {
    positives: Option<&'a Group>,
    negatives: Option<&'a Group>,
    /// Scores of held-out photos, ascending.
    held_out: Vec<f32>,
    calibration: Calibration,
    /// Margins of the positives, each as if it were new, ascending.
    margins: OnceLock<Vec<f32>>,
}

/// More held-out photos, or positives as if they were new, would cost time and bring nothing: these
/// are chosen by their digests.
const MOST_HELD_OUT: usize = 1000;
const MOST_LEFT_OUT: usize = 500;

impl<'a> Matcher<'a> {
    /// For pictures of `place`. `policy` has to be a checked one.
    pub fn new(bank: &'a Bank, place: Place, policy: Policy) -> Self {
        let kinds = bank
            .kinds()
            .into_iter()
            .map(|code| (code, Kind::new(bank, code, &place, &policy)))
            .collect();
        Self {
            bank,
            place,
            policy,
            kinds,
        }
    }

    /// The bank.
    pub fn bank(&self) -> &'a Bank {
        self.bank
    }

    /// What is asked of decisions.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The kinds that the bank can confirm, as far as samples go.
    pub fn kinds(&self) -> impl Iterator<Item = (&'a str, &Calibration)> {
        self.kinds
            .iter()
            .filter(|(_, kind)| kind.positives.is_some())
            .map(|(code, kind)| (*code, &kind.calibration))
    }

    /// What a picture is.
    ///
    /// # Errors
    /// An embedding of another size.
    pub fn judge(&self, code: &str, probe: &Embedding) -> Result<Verdict, BankError> {
        self.bank.fits(probe)?;
        let mut verdict = Verdict {
            ruling: Ruling::Unknown,
            reason: Reason::NoSamples,
            score: None,
            threshold: None,
            p_value: None,
            nearest_positive: None,
            nearest_negative: None,
        };
        let Some(kind) = self.kinds.get(code) else {
            return Ok(verdict);
        };
        let probe = probe.values();
        let negatives = kind.negatives.map(|group| Near::new(group, probe));
        verdict.nearest_negative = negatives
            .as_ref()
            .and_then(|near| near.nearest(|s| s.counts_at(&self.place)));
        let Some(positives) = kind.positives.map(|group| Near::new(group, probe)) else {
            verdict.reason = Reason::OnlyNegatives;
            return Ok(verdict);
        };
        verdict.nearest_positive = positives.nearest(|_| true);
        verdict.score = positives.score(&self.place.site, &self.policy, |_| true);
        verdict.threshold = kind.calibration.threshold;
        let similarity = |n: &Option<Neighbour>| n.as_ref().map_or(-1.0, |n| n.similarity);
        let nearest = similarity(&verdict.nearest_positive);
        let dismissed = negatives
            .filter(|_| {
                verdict.nearest_negative.is_some()
                    && similarity(&verdict.nearest_negative) >= nearest
            })
            .map(|near| near.votes(&self.place, &self.policy));
        (verdict.ruling, verdict.reason, verdict.p_value) = match dismissed {
            Some(votes) => self.suppress(kind, &votes, nearest),
            None => self.confirm(kind, verdict.score),
        };
        Ok(verdict)
    }

    fn confirm(&self, kind: &Kind<'_>, score: Option<f32>) -> (Ruling, Reason, Option<f64>) {
        let (Some(score), n) = (score, kind.held_out.len()) else {
            return (Ruling::Unknown, Reason::NoSamples, None);
        };
        let needs = least(self.policy.false_alarm_rate);
        if n < needs {
            return (
                Ruling::Unknown,
                Reason::TooFewHeldOut { has: n, needs },
                None,
            );
        }
        let as_high = n - kind.held_out.partition_point(|s| *s < score);
        let p = Some((1 + as_high) as f64 / (n as f64 + 1.0));
        if as_high < allowed(self.policy.false_alarm_rate, n) {
            (Ruling::Confirm, Reason::Match, p)
        } else {
            (Ruling::Unknown, Reason::NotNearEnough, p)
        }
    }

    fn suppress(
        &self,
        kind: &Kind<'_>,
        votes: &[f32],
        nearest: f32,
    ) -> (Ruling, Reason, Option<f64>) {
        let nearer = votes.iter().filter(|v| **v > nearest).count();
        let needs = self.policy.quorum;
        let Some(last) = votes.last().filter(|_| nearer >= needs) else {
            let reason = Reason::NoQuorum { has: nearer, needs };
            return (Ruling::Unknown, reason, None);
        };
        let margins = kind
            .margins
            .get_or_init(|| kind.margins(&self.place, &self.policy));
        let (n, needs) = (margins.len(), least(self.policy.miss_rate));
        if n < needs {
            let reason = Reason::TooFewPositives { has: n, needs };
            return (Ruling::Unknown, reason, None);
        }
        let margin = last - nearest;
        let as_high = n - margins.partition_point(|m| *m < margin);
        let p = Some((1 + as_high) as f64 / (n as f64 + 1.0));
        if as_high < allowed(self.policy.miss_rate, n) {
            (Ruling::Suppress, Reason::Dismissed, p)
        } else {
            (Ruling::Unknown, Reason::NotNearEnoughToDismissed, p)
        }
    }
}

impl<'a> Kind<'a> {
    fn new(bank: &'a Bank, code: &str, place: &Place, policy: &Policy) -> Self {
        let positives = bank.group(Some(code), Role::Positive);
        let negatives = bank.group(Some(code), Role::Negative);
        let count = |group: Option<&Group>| {
            group.map_or(0, |g| {
                g.samples.iter().filter(|s| s.counts_at(place)).count()
            })
        };
        let mut kind = Self {
            positives,
            negatives,
            held_out: Vec::new(),
            calibration: Calibration {
                false_alarm_rate: policy.false_alarm_rate,
                held_out: 0,
                clean: 0,
                regions_each: 0,
                threshold: None,
                positives: count(positives),
                negatives: count(negatives),
            },
            margins: OnceLock::new(),
        };
        kind.calibrate(bank, code, policy);
        kind
    }

    /// Scores of photos that do not show the hazard: clean references, and samples of other kinds
    /// where those are too few.
    fn calibrate(&mut self, bank: &Bank, code: &str, policy: &Policy) {
        let Some(positives) = self.positives else {
            return;
        };
        let shown: BTreeSet<&str> = positives.photos().collect();
        let of = |wanted: &dyn Fn(&super::Key) -> bool| {
            let mut photos: BTreeMap<&str, Vec<(&Sample, &[f32])>> = BTreeMap::new();
            for (_, group) in bank.groups.iter().filter(|(key, _)| wanted(key)) {
                for (row, sample) in group.samples.iter().enumerate() {
                    // a photo with the hazard shows it outside its box, too
                    if !shown.contains(sample.photo_sha256.as_str()) {
                        photos
                            .entry(&sample.photo_sha256)
                            .or_default()
                            .push((sample, group.gallery.row(row)));
                    }
                }
            }
            photos
        };
        let clean = of(&|(kind, role)| {
            *role == Role::Reference && kind.as_deref().is_none_or(|kind| kind == code)
        });
        let clean_photos = clean.len().min(MOST_HELD_OUT);
        let mut photos = clean;
        if clean_photos < least(policy.false_alarm_rate) {
            let others = of(&|(kind, role)| {
                *role == Role::Positive && kind.as_deref().is_some_and(|kind| kind != code)
            });
            for (photo, samples) in others {
                photos.entry(photo).or_default().extend(samples);
            }
        }
        let photos: Vec<_> = photos.into_values().take(MOST_HELD_OUT).collect();
        let scored: Vec<(f32, usize)> = photos
            .par_iter()
            .map(|samples| {
                let score = samples
                    .iter()
                    .filter_map(|(sample, row)| {
                        Near::new(positives, row).score(&sample.place.site, policy, |_| true)
                    })
                    .fold(f32::NEG_INFINITY, f32::max);
                (score, samples.len())
            })
            .collect();
        let mut regions_each = usize::MAX;
        for (score, regions) in scored {
            self.held_out.push(score);
            regions_each = regions_each.min(regions);
        }
        self.held_out.sort_by(f32::total_cmp);
        let n = self.held_out.len();
        let calibration = &mut self.calibration;
        calibration.held_out = n;
        calibration.clean = clean_photos;
        calibration.regions_each = if n == 0 { 0 } else { regions_each };
        calibration.threshold = n
            .checked_sub(allowed(policy.false_alarm_rate, n).max(1))
            .filter(|_| n >= least(policy.false_alarm_rate))
            .map(|at| self.held_out[at]);
    }

    /// By how much each confirmed photo would be nearer to a quorum of dismissed samples than to the
    /// other confirmed photos, if it were new at `place`.
    fn margins(&self, place: &Place, policy: &Policy) -> Vec<f32> {
        let (Some(positives), Some(negatives)) = (self.positives, self.negatives) else {
            return Vec::new();
        };
        let mut photos: BTreeMap<&str, f32> = BTreeMap::new();
        let chosen: BTreeSet<&str> = positives.photos().collect();
        let chosen: BTreeSet<&str> = chosen.into_iter().take(MOST_LEFT_OUT).collect();
        for (row, sample) in positives.samples.iter().enumerate() {
            let photo = sample.photo_sha256.as_str();
            if !chosen.contains(photo) {
                continue;
            }
            let probe = positives.gallery.row(row);
            let votes = Near::new(negatives, probe).votes(place, policy);
            let margin = match votes.last() {
                Some(last) if votes.len() == policy.quorum => {
                    let nearest = Near::new(positives, probe)
                        .nearest(|s| s.photo_sha256 != photo)
                        .map_or(-1.0, |n| n.similarity);
                    last - nearest
                }
                _ => f32::NEG_INFINITY,
            };
            photos
                .entry(photo)
                .and_modify(|most| *most = most.max(margin))
                .or_insert(margin);
        }
        let mut margins: Vec<f32> = photos.into_values().collect();
        margins.sort_by(f32::total_cmp);
        margins
    }
}

impl Group {
    fn photos(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|s| s.photo_sha256.as_str())
    }
}

/// A group, seen from one picture.
struct Near<'a> {
    group: &'a Group,
    similarities: Vec<f32>,
}

impl<'a> Near<'a> {
    fn new(group: &'a Group, probe: &[f32]) -> Self {
        Self {
            group,
            similarities: group.gallery.similarities(probe),
        }
    }

    fn voters(&self, wanted: impl Fn(&Sample) -> bool) -> impl Iterator<Item = Voter<'a>> {
        self.group
            .samples
            .iter()
            .zip(&self.similarities)
            .filter(move |(sample, _)| wanted(sample))
            .map(|(sample, similarity)| Voter {
                similarity: *similarity,
                photo: &sample.photo_sha256,
                site: &sample.place.site,
            })
    }

    fn score(
        &self,
        own_site: &str,
        policy: &Policy,
        wanted: impl Fn(&Sample) -> bool,
    ) -> Option<f32> {
        count(self.voters(wanted), &policy.poll_to_confirm(own_site))
            .last()
            .copied()
    }

    fn votes(&self, place: &Place, policy: &Policy) -> Vec<f32> {
        count(
            self.voters(|s| s.counts_at(place)),
            &policy.poll_to_suppress(&place.site),
        )
    }

    /// The nearest sample; of equals, that of the least id.
    fn nearest(&self, wanted: impl Fn(&Sample) -> bool) -> Option<Neighbour> {
        let samples = self.group.samples.iter().zip(&self.similarities);
        samples
            .filter(|(sample, _)| wanted(sample))
            .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.id.cmp(&a.0.id)))
            .map(|(sample, similarity)| Neighbour {
                sample: sample.clone(),
                similarity: *similarity,
            })
    }
}
