//! Confirm, suppress or unknown, with stated rates of error.
//!
//! **Confirm.** The score of a picture is the similarity of the vote that completes
//! [`Policy::votes`] (`votes.rs`). It is held against pictures that are *not* of the kind and not in
//! its gallery (split conformal prediction): with `n` of them, a new one of their sort gets as high a
//! score with a probability of at most `(1 + how many do) / (n + 1)`. A picture is confirmed when that
//! is at most [`Policy::false_alarm_rate`].
//!
//! **Suppress**, which comes first. What is nearer to a quorum of dismissed samples than to any confirmed one, by more
//! than all but [`Policy::miss_rate`] of the confirmed samples would be if each were new (leave one
//! photo out). Nearer with fewer votes changes nothing.
//!
//! Anything else is unknown, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::calibrate::{Calibration, Calibrations, HeldOut};
use super::near::Near;
use super::owners::Owners;
use super::policy::{Policy, allowed, least};
use super::ruling::{Reason, Ruling, Verdict};
use super::{Bank, BankError, Group, Neighbour, Place, Role, Sample};
use crate::embedding::Embedding;
use crate::id::Id;

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
    owners: &'a Owners,
    held_out: HeldOut,
    calibration: Calibration,
    /// Margins of the positives, each as if it were new, ascending.
    margins: OnceLock<Vec<f32>>,
}

/// More positives as if they were new would cost time and bring nothing: these are chosen by their
/// digests.
const MOST_LEFT_OUT: usize = 500;

impl<'a> Matcher<'a> {
    /// For pictures of `place`. `policy` has to be a checked one.
    pub fn new(bank: &'a Bank, place: Place, policy: Policy) -> Self {
        Self::with(bank, &Calibrations::of(bank, policy), place)
    }

    /// As [`Self::new`], with what was found out of this very bank before.
    pub fn with(bank: &'a Bank, calibrations: &Calibrations, place: Place) -> Self {
        let policy = calibrations.policy;
        let kinds = bank
            .kinds()
            .into_iter()
            .map(|code| {
                let held_out = calibrations.held_out(code, &place.site);
                (code, Kind::new(bank, code, &place, held_out, &policy))
            })
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

    /// Where the pictures are of.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the bank has confirmed or dismissed samples of a kind.
    pub fn knows(&self, code: &str) -> bool {
        let kind = self.kinds.get(code);
        kind.is_some_and(|k| k.positives.is_some() || k.negatives.is_some())
    }

    /// Whether any picture could be confirmed as of a kind: it has samples, and a rate can be stated.
    pub fn can_confirm(&self, code: &str) -> bool {
        let kind = self.kinds.get(code);
        kind.is_some_and(|k| k.positives.is_some() && k.calibration.threshold.is_some())
    }

    /// What is missing before pictures can be confirmed as of a kind that has confirmed samples.
    pub fn missing(&self, code: &str) -> Option<Reason> {
        let kind = self.kinds.get(code).filter(|k| k.positives.is_some())?;
        let (has, needs) = (
            kind.held_out.scores.len(),
            least(self.policy.false_alarm_rate),
        );
        (has < needs).then_some(Reason::TooFewHeldOut { has, needs })
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
        let counts = |s: &Sample| s.counts_at(&self.place);
        let owners = &self.bank.owners;
        let negatives = kind
            .negatives
            .map(|group| Near::new((group, owners), probe, counts));
        verdict.nearest_negative = negatives.as_ref().and_then(Near::nearest);
        let Some(positives) = kind
            .positives
            .map(|group| Near::new((group, owners), probe, |_| true))
        else {
            verdict.reason = Reason::OnlyNegatives;
            return Ok(verdict);
        };
        verdict.nearest_positive = positives.nearest();
        verdict.score = positives.score(&self.place.site, &self.policy);
        verdict.threshold = kind.calibration.threshold;
        let similarity = |n: &Option<Neighbour>| n.as_ref().map_or(-1.0, |n| n.similarity);
        let nearest = similarity(&verdict.nearest_positive);
        let dismissed = negatives
            .filter(|_| {
                verdict.nearest_negative.is_some()
                    && similarity(&verdict.nearest_negative) >= nearest
            })
            .map(|near| near.votes(&self.place.site, &self.policy));
        let suppressed = dismissed.map(|votes| self.suppress(kind, &votes, nearest));
        (verdict.ruling, verdict.reason, verdict.p_value) = match suppressed {
            Some(said) if said.0 == Ruling::Suppress => said,
            // a dismissal or two do not hide what would be confirmed without them
            Some(said) => match self.confirm(kind, verdict.score) {
                confirmed if confirmed.0 == Ruling::Confirm => confirmed,
                _ => said,
            },
            None => self.confirm(kind, verdict.score),
        };
        Ok(verdict)
    }

    fn confirm(&self, kind: &Kind<'_>, score: Option<f32>) -> (Ruling, Reason, Option<f64>) {
        let (Some(score), n) = (score, kind.held_out.scores.len()) else {
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
        let as_high = n - kind.held_out.scores.partition_point(|s| *s < score);
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
    fn new(bank: &'a Bank, code: &str, place: &Place, held_out: HeldOut, policy: &Policy) -> Self {
        let group = |role| bank.group(Some(code), role).map(|group| &**group);
        let (positives, negatives) = (group(Role::Positive), group(Role::Negative));
        let count = |group: Option<&Group>| {
            group.map_or(0, |g| {
                g.samples.iter().filter(|s| s.counts_at(place)).count()
            })
        };
        Self {
            positives,
            negatives,
            owners: &bank.owners,
            calibration: held_out.calibration(policy, count(positives), count(negatives)),
            held_out,
            margins: OnceLock::new(),
        }
    }

    /// By how much each confirmed photo would be nearer to a quorum of dismissed samples than to the
    /// other confirmed photos, if it were new at `place`.
    fn margins(&self, place: &Place, policy: &Policy) -> Vec<f32> {
        let (Some(positives), Some(negatives)) = (self.positives, self.negatives) else {
            return Vec::new();
        };
        // a finding that was decided on counts as one photo
        let one = |s: &'a Sample| {
            let photo = s.case.is_none().then_some(s.photo_sha256.as_str());
            (s.case, photo)
        };
        let mut photos: BTreeMap<(Option<Id>, Option<&str>), f32> = BTreeMap::new();
        let chosen: BTreeSet<_> = positives.samples.iter().map(one).collect();
        let chosen: BTreeSet<_> = chosen.into_iter().take(MOST_LEFT_OUT).collect();
        for (row, sample) in positives.samples.iter().enumerate() {
            if !chosen.contains(&one(sample)) {
                continue;
            }
            let probe = positives.gallery.row(row);
            let votes = Near::new((negatives, self.owners), probe, |s| s.counts_at(place))
                .votes(&place.site, policy);
            let other = |s: &Sample| {
                s.photo_sha256 != sample.photo_sha256 && (s.case.is_none() || s.case != sample.case)
            };
            let margin = match votes.last() {
                Some(last) if votes.len() == policy.quorum => {
                    let nearest = Near::new((positives, self.owners), probe, other)
                        .nearest()
                        .map_or(-1.0, |n| n.similarity);
                    last - nearest
                }
                _ => f32::NEG_INFINITY,
            };
            photos
                .entry(one(sample))
                .and_modify(|most| *most = most.max(margin))
                .or_insert(margin);
        }
        let mut margins: Vec<f32> = photos.into_values().collect();
        margins.sort_by(f32::total_cmp);
        margins
    }
}
