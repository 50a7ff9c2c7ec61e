//! Work shared by threads, results in the order of the input, memory bounded.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, PoisonError};

struct State<I, T> {
    items: I,
    /// Index that the next item taken will have.
    next: usize,
    /// Index of the next result to be given out.
    wanted: usize,
    done: BTreeMap<usize, T>,
    /// No more items will be taken.
    exhausted: bool,
    /// A worker has panicked.
    broken: bool,
}

/// Runs when dropped, so when the thread unwinds; forgotten otherwise.
struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Results that may wait for an earlier one, for each worker.
const AHEAD: usize = 4;

/// Runs `work` over `items` on one thread for each element of `workers` (its own scratch
/// state), and hands every result to `sink` in input order. At most `workers.len() * 4`
/// results are ever waiting. Stops early when `sink` breaks, or when `work` panics: then so does
/// this function, instead of waiting for a result that will never come.
pub fn for_each_ordered<I, W, T>(
    items: I,
    workers: Vec<W>,
    work: impl Fn(&mut W, usize, I::Item) -> T + Sync,
    mut sink: impl FnMut(usize, T) -> ControlFlow<()>,
) where
    I: Iterator + Send,
    I::Item: Send,
    W: Send,
    T: Send,
{
    let window = workers.len() * AHEAD;
    let state = Mutex::new(State {
        items,
        next: 0,
        wanted: 0,
        done: BTreeMap::new(),
        exhausted: false,
        broken: false,
    });
    let changed = Condvar::new();
    // Nothing panics while the lock is held, but a lock lost is no reason to lose results.
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = |guard| changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for mut worker in workers {
            let (lock, wait, changed, work) = (&lock, &wait, &changed, &work);
            scope.spawn(move || {
                loop {
                    let mut s = lock();
                    while !s.exhausted && s.next >= s.wanted + window {
                        s = wait(s);
                    }
                    if s.exhausted {
                        return;
                    }
                    let Some(item) = s.items.next() else {
                        s.exhausted = true;
                        changed.notify_all();
                        return;
                    };
                    let index = s.next;
                    s.next += 1;
                    drop(s);
                    let alarm = OnPanic(|| {
                        lock().broken = true;
                        changed.notify_all();
                    });
                    let result = work(&mut worker, index, item);
                    std::mem::forget(alarm);
                    lock().done.insert(index, result);
                    changed.notify_all();
                }
            });
        }
        loop {
            let mut s = lock();
            let result = loop {
                let wanted = s.wanted;
                if let Some(result) = s.done.remove(&wanted) {
                    break Some(result);
                }
                if s.broken || (s.exhausted && wanted >= s.next) {
                    s.exhausted = true;
                    changed.notify_all();
                    break None;
                }
                s = wait(s);
            };
            let Some(result) = result else { return };
            let index = s.wanted;
            s.wanted += 1;
            drop(s);
            changed.notify_all();
            if sink(index, result).is_break() {
                lock().exhausted = true;
                changed.notify_all();
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_whatever_the_speed_of_the_workers() {
        let mut seen = Vec::new();
        for_each_ordered(
            0..500,
            vec![0u64; 4],
            |count, index, item| {
                *count += 1;
                if item % 7 == 0 {
                    std::thread::sleep(std::time::Duration::from_micros(300));
                }
                assert_eq!(index, item);
                item * 2
            },
            |index, result| {
                seen.push((index, result));
                ControlFlow::Continue(())
            },
        );
        assert_eq!(seen, (0..500).map(|i| (i, i * 2)).collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_item_holds_the_others_back_within_the_window() {
        let taken = std::sync::atomic::AtomicUsize::new(0);
        let mut first = true;
        for_each_ordered(
            0..10_000,
            vec![(); 2],
            |(), _, item| {
                taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                if item == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            },
            |_, ()| {
                if std::mem::take(&mut first) {
                    let taken = taken.load(std::sync::atomic::Ordering::SeqCst);
                    assert!(taken <= 2 * AHEAD + 2, "{taken} items in flight");
                }
                ControlFlow::Continue(())
            },
        );
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_worker_that_panics_ends_the_work() {
        for_each_ordered(
            0..10_000,
            vec![(); 2],
            |(), _, item| assert_ne!(item, 7),
            |_, ()| ControlFlow::Continue(()),
        );
    }

    #[test]
    fn a_sink_that_breaks_ends_the_work() {
        let mut seen = 0;
        for_each_ordered(
            0..,
            vec![(); 3],
            |(), _, item: u64| item,
            |_, item| {
                seen = item;
                if item == 20 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        assert_eq!(seen, 20);
    }
}
