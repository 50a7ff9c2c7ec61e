//! Percentiles of what the stages took.

use super::report::{Latency, StageLatency};

/// The stages in the order of the work.
pub const STAGES: [&str; 5] = ["read", "decode", "preprocess", "inference", "postprocess"];

/// Percentiles by stage and for the sum; `times` are milliseconds of one photo by stage, `wall_s`
/// what all of them took together. `None` without photos.
pub fn latency(times: &[[f32; STAGES.len()]], wall_s: Option<f64>) -> Option<Latency> {
    if times.is_empty() {
        return None;
    }
    let mut stages: Vec<StageLatency> = STAGES
        .iter()
        .enumerate()
        .map(|(i, stage)| one(stage, times.iter().map(|t| f64::from(t[i])).collect()))
        .collect();
    let sums = times.iter().map(|t| t.iter().copied().map(f64::from).sum());
    stages.push(one("total", sums.collect()));
    Some(Latency {
        stages,
        photos: times.len(),
        photos_per_s: wall_s.map(|s| times.len() as f64 / s),
    })
}

fn one(stage: &str, mut ms: Vec<f64>) -> StageLatency {
    ms.sort_by(f64::total_cmp);
    let at = |share| percentile(&ms, share);
    StageLatency {
        stage: stage.to_owned(),
        mean_ms: ms.iter().sum::<f64>() / ms.len() as f64,
        p50_ms: at(0.50),
        p90_ms: at(0.90),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
    }
}

/// The smallest value that at least `share` of the sorted, non-empty values do not exceed
/// (nearest rank).
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<[f32; 5]> = (1..=100).map(|i| [0.0, i as f32, 0.0, 1.0, 0.0]).collect();
        let latency = latency(&times, Some(4.0)).unwrap();
        let decode = &latency.stages[1];
        assert_eq!(
            (decode.p50_ms, decode.p90_ms, decode.p99_ms, decode.mean_ms),
            (50.0, 90.0, 99.0, 50.5)
        );
        assert_eq!(latency.stages[5].p95_ms, 96.0);
        assert_eq!(latency.photos_per_s, Some(25.0));
    }

    #[test]
    fn one_photo_is_its_own_percentile_and_none_has_none() {
        assert_eq!(latency(&[[1.0; 5]], None).unwrap().stages[5].p99_ms, 5.0);
        assert_eq!(latency(&[], None), None);
    }
}
