//! Originals that have just been received, so that the worker that judges one need not read it back and
//! check it again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::evidence::Digest;

/// Bytes of originals that are kept at most. Others are read from the evidence folder.
const MOST_BYTES: usize = 64 << 20;
/// After this an original makes room: its upload may have been refused, and nobody will ask for it.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Received(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// In the order received, in which they are judged.
    originals: VecDeque<(Instant, Digest, Vec<u8>)>,
    bytes: usize,
}

impl Received {
    /// Keeps an original if there is room: what came before it is judged before it.
    pub(super) fn keep(&self, now: Instant, digest: Digest, original: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |(since, ..): &mut (Instant, _, _)| now.duration_since(*since) > LONGEST;
        while let Some((_, _, old)) = kept.originals.pop_front_if(is_old) {
            kept.bytes -= old.len();
        }
        if kept.bytes + original.len() <= MOST_BYTES {
            kept.bytes += original.len();
            kept.originals.push_back((now, digest, original));
        }
    }

    /// Gives an original out, once.
    pub(super) fn take(&self, digest: &Digest) -> Option<Vec<u8>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.originals.iter().position(|(_, d, _)| d == digest)?;
        let (_, _, original) = kept.originals.remove(at)?;
        kept.bytes -= original.len();
        Some(original)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_and_given_out_once() {
        let received = Received::default();
        let (large, start) = (|n: u8| vec![n; MOST_BYTES / 3], Instant::now());
        let digest = |n: u8| Digest::of(&[n]);
        for n in 0..4 {
            received.keep(start, digest(n), large(n));
        }
        assert_eq!(received.take(&digest(3)), None, "no room");
        assert_eq!(received.take(&digest(1)), Some(large(1)));
        assert_eq!(received.take(&digest(1)), None, "given out");
        received.keep(start + LONGEST, digest(4), large(4));
        received.keep(start + LONGEST, digest(5), large(5));
        assert_eq!(received.take(&digest(5)), None, "no room");
        received.keep(start + 2 * LONGEST, digest(6), large(6));
        assert_eq!(received.take(&digest(0)), None, "has made room");
        assert_eq!(received.take(&digest(4)), Some(large(4)));
        assert_eq!(received.take(&digest(6)), Some(large(6)));
        let kept = received.0.lock().unwrap();
        assert_eq!((kept.bytes, kept.originals.len()), (0, 0));
    }
}
