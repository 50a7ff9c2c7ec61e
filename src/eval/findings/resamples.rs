//! Percentile bootstrap (Efron 1979) over photos: a photo is drawn as a whole, because the
//! findings within it are not independent.

use super::Counts;
use crate::eval::Interval;

/// Resamples drawn; the ends of a 95 % interval then rest on 25 of them each.
const RESAMPLES: usize = 1000;
/// Same figures for the same photos, whoever runs it.
const SEED: u64 = 20_261_122;

/// Counts summed over all photos, and over photos drawn at random with replacement.
pub(super) struct Resamples {
    whole: Counts,
    drawn: Vec<Counts>,
}

impl Resamples {
    pub(super) fn new(counts: &[Counts]) -> Self {
        let mut random = fastrand::Rng::with_seed(SEED);
        let draw = |_| sum((0..counts.len()).map(|_| counts[random.usize(..counts.len())]));
        Self {
            whole: sum(counts.iter().copied()),
            drawn: (0..RESAMPLES).map(draw).collect(),
        }
    }

    pub(super) fn interval(&self, figure: impl Fn(&Counts) -> Option<f64>) -> Interval {
        let mut drawn: Vec<f64> = self.drawn.iter().filter_map(&figure).collect();
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| drawn.get((share * (drawn.len().max(1) - 1) as f64).round() as usize);
        Interval {
            value: figure(&self.whole),
            low: at(0.025).copied(),
            high: at(0.975).copied(),
        }
    }
}

fn sum(counts: impl Iterator<Item = Counts>) -> Counts {
    counts.fold(Counts::default(), |a, b| Counts {
        right: a.right + b.right,
        wrong: a.wrong + b.wrong,
        missed: a.missed + b.missed,
        missed_too_small: a.missed_too_small + b.missed_too_small,
        overclaimed: a.overclaimed + b.overclaimed,
    })
}
