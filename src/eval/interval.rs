//! A figure and how far luck may have moved it.

use serde::{Deserialize, Serialize};

/// Half the width of a normal interval of 95 %, standard deviations.
const Z: f64 = 1.959_963_984_540_054;
/// What an interval of 95 % leaves out on each side.
const TAIL: f64 = 0.025;

/// A figure and the interval in which it lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Interval {
    /// The figure; null where nothing could be counted.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Interval {
    /// Nothing to count by.
    pub const NONE: Self = Self {
        value: None,
        low: None,
        high: None,
    };

    /// A share of independent cases, with the score interval of Wilson (1927), which holds for few
    /// cases and at 0 and 1 too.
    pub fn share(part: usize, whole: usize) -> Self {
        if whole == 0 {
            return Self::NONE;
        }
        let n = whole as f64;
        let p = part as f64 / n;
        let scale = 1.0 + Z * Z / n;
        let middle = (p + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self {
            value: Some(p),
            // not -1e-17
            low: Some(if part == 0 { 0.0 } else { middle - half }),
            high: Some(if part == whole { 1.0 } else { middle + half }),
        }
    }

    /// Wilson's interval where all or none of `whole` cases are counted: resamples of them are all
    /// alike, as if one case proved everything.
    pub(super) fn or_wilson(self, part: usize, whole: usize) -> Self {
        match part == 0 || part == whole {
            true => Self::share(part, whole),
            false => self,
        }
    }

    /// The harmonic mean of two figures' ends where this one, their mean, is 0 or 1.
    pub(super) fn or_harmonic(self, a: Self, b: Self) -> Self {
        if !matches!(self.value, Some(v) if v == 0.0 || v == 1.0) {
            return self;
        }
        let mean = |a: f64, b: f64| {
            if a + b > 0.0 {
                2.0 * a * b / (a + b)
            } else {
                0.0
            }
        };
        Self {
            // of which nothing is known, anything may be true
            low: Some(mean(a.low.unwrap_or(0.0), b.low.unwrap_or(0.0))),
            high: Some(mean(a.high.unwrap_or(1.0), b.high.unwrap_or(1.0))),
            ..self
        }
    }

    /// Events in an hour where `events` came in `hours`, with the exact Poisson interval of Garwood
    /// (1936).
    pub fn rate(events: usize, hours: f64) -> Self {
        if hours <= 0.0 {
            return Self::NONE;
        }
        let n = events as f64;
        // both ends by halving: the probability rises or falls all the way
        let solve = |above: &dyn Fn(f64) -> bool| {
            let (mut low, mut high) = (0.0, n + 10.0 * (n + 1.0).sqrt() + 10.0);
            for _ in 0..100 {
                let middle = f64::midpoint(low, high);
                if above(middle) {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            f64::midpoint(low, high)
        };
        let low = match events {
            0 => 0.0,
            _ => solve(&|mean| 1.0 - at_most(events - 1, mean) > TAIL),
        };
        let high = solve(&|mean| at_most(events, mean) < TAIL);
        Self {
            value: Some(n / hours),
            low: Some(low / hours),
            high: Some(high / hours),
        }
    }
}

/// Probability of at most `events` where `mean` are expected (Poisson).
fn at_most(events: usize, mean: f64) -> f64 {
    // by logarithms: e^-mean alone is 0 from 745 on
    let mut log = -mean;
    let mut sum = log.exp();
    for k in 1..=events {
        log += (mean / k as f64).ln();
        sum += log.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(interval: Interval, expected: [f64; 3], within: f64) {
        let ends = [interval.value, interval.low, interval.high].map(Option::unwrap);
        for (is, should) in ends.into_iter().zip(expected) {
            assert!((is - should).abs() < within, "{interval:?}, {expected:?}");
        }
    }

    /// Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    #[test]
    fn shares_have_wilsons_interval() {
        close(Interval::share(81, 263), [0.3080, 0.2553, 0.3662], 5e-5);
        close(Interval::share(15, 148), [0.1014, 0.0624, 0.1605], 5e-5);
        close(Interval::share(0, 20), [0.0, 0.0, 0.1611], 5e-5);
        close(Interval::share(1, 29), [0.0345, 0.0061, 0.1718], 5e-5);
        close(Interval::share(20, 20), [1.0, 1.0 - 0.1611, 1.0], 5e-5);
        assert_eq!(Interval::share(0, 0), Interval::NONE);
    }

    #[test]
    fn one_case_does_not_prove_everything() {
        let certain = Interval {
            value: Some(0.0),
            low: Some(0.0),
            high: Some(0.0),
        };
        let recall = certain.or_wilson(0, 1);
        close(recall, [0.0, 0.0, 0.7935], 5e-5);
        close(
            certain.or_harmonic(Interval::NONE, recall),
            [0.0, 0.0, 0.8848],
            5e-4,
        );
        let half = Interval {
            value: Some(0.5),
            ..certain
        };
        assert_eq!(half.or_wilson(1, 2), half);
        assert_eq!(half.or_harmonic(recall, recall), half);
    }

    /// The published table of exact limits for Poisson counts (Garwood 1936).
    #[test]
    fn rates_have_the_exact_poisson_interval() {
        close(Interval::rate(0, 1.0), [0.0, 0.0, 3.6889], 5e-4);
        close(Interval::rate(1, 1.0), [1.0, 0.0253, 5.5716], 5e-4);
        close(Interval::rate(5, 1.0), [5.0, 1.6235, 11.6683], 5e-4);
        close(
            Interval::rate(10, 2.0),
            [5.0, 4.7954 / 2.0, 18.3904 / 2.0],
            5e-4,
        );
        // beyond what e^-mean can hold the normal interval is near
        close(Interval::rate(2000, 1.0), [2000.0, 1913.0, 2089.0], 3.0);
        assert_eq!(Interval::rate(3, 0.0), Interval::NONE);
    }
}
