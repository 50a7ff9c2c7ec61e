//! What is asked of a decision.

use serde::{Deserialize, Serialize};

use super::owners::Owners;
use super::votes::Poll;

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
    /// Held-out photos whose parts are as alike as this on average count once: they are one photo, encoded anew, or the
    /// next frame of a fixed camera. Depends on the embedder; none: only the same bytes are one.
    pub one_photo: Option<f32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            false_alarm_rate: 0.05,
            miss_rate: 0.2,
            votes: 2,
            quorum: 3,
            one_photo: None,
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

    pub(super) fn poll_to_confirm<'a>(self, own_site: &'a str, owners: &'a Owners) -> Poll<'a> {
        Poll {
            needed: self.votes,
            own_site,
            owners,
            others_most: (self.votes / 2).max(1),
            // an office may teach a kind with photos of one site; there is nobody to outvote
            lone_site_counts: true,
        }
    }

    pub(super) fn poll_to_suppress<'a>(self, own_site: &'a str, owners: &'a Owners) -> Poll<'a> {
        Poll {
            needed: self.quorum,
            own_site,
            owners,
            others_most: (self.quorum / 2).max(1),
            // one site must not make all others blind
            lone_site_counts: false,
        }
    }
}

/// How many of `n + 1` may err at this rate.
pub(super) fn allowed(rate: f64, n: usize) -> usize {
    // the rate is a decimal fraction: 0.05 of 20 is 1
    (rate * (n as f64 + 1.0) + 1e-9) as usize
}

/// The least number of held-out samples that can show this rate.
pub(super) fn least(rate: f64) -> usize {
    (1..).find(|n| allowed(rate, *n) >= 1).unwrap_or(usize::MAX)
}
