//! So many requests a second from each caller.

use std::num::NonZero;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// Keys after which those that are at rest are forgotten.
const MANY_KEYS: usize = 10_000;

/// A bucket for each caller.
pub(super) struct Rates {
    limiter: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

impl Rates {
    /// At most `per_second` in the long run, `burst` at once.
    pub(super) fn new(per_second: NonZero<u32>, burst: NonZero<u32>) -> Self {
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(
                Quota::per_second(per_second).allow_burst(burst),
            ),
            clock: DefaultClock::default(),
        }
    }

    /// At most `burst` at once, and one more every `every`.
    pub(super) fn one_every(every: Duration, burst: NonZero<u32>) -> Self {
        let quota = Quota::with_period(every).unwrap_or_else(|| Quota::per_minute(burst));
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota.allow_burst(burst)),
            clock: DefaultClock::default(),
        }
    }

    /// Takes one, or says how long to wait.
    pub(super) fn check(&self, key: &String) -> Result<(), Duration> {
        if self.limiter.len() > MANY_KEYS {
            self.limiter.retain_recent();
        }
        self.limiter
            .check_key(key)
            .map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_a_bucket_of_its_own() {
        let three = NonZero::new(3).unwrap();
        let rates = Rates::one_every(Duration::from_secs(3600), three);
        for _ in 0..3 {
            assert_eq!(rates.check(&"a".to_owned()), Ok(()));
        }
        assert!(rates.check(&"a".to_owned()).unwrap_err() > Duration::from_secs(60));
        assert_eq!(rates.check(&"b".to_owned()), Ok(()));
    }
}
