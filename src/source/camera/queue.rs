//! A short queue of frames between the source and who looks at them: the newest frames count, so
//! the oldest is dropped first.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Frames that wait at most: 1.6 s at five a second. When the processors are busy, frames come in bursts.
const LENGTH: usize = 8;

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    dropped: u64,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::with_capacity(LENGTH),
                dropped: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds an item; the oldest goes when there are too many.
    pub(super) fn push(&self, item: T) {
        let mut state = self.lock();
        if state.items.len() == LENGTH {
            state.items.pop_front();
            state.dropped += 1;
        }
        state.items.push_back(item);
        self.changed.notify_all();
    }

    /// Adds an item once there is room; gives up when the queue is closed.
    pub(super) fn push_waiting(&self, item: T) {
        let mut state = self.lock();
        while state.items.len() >= LENGTH && !state.closed {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.items.push_back(item);
        self.changed.notify_all();
    }

    /// The oldest item, waited for at most so long.
    pub(super) fn pop(&self, timeout: Duration) -> Option<T> {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                self.changed.notify_all();
                return Some(item);
            }
            let left = until.checked_duration_since(Instant::now())?;
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether nothing more comes and all was taken.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.closed && state.items.is_empty()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_dropped_and_counted() {
        let queue = Queue::new();
        for i in 0..LENGTH + 2 {
            queue.push(i);
        }
        assert_eq!(queue.dropped(), 2);
        queue.close();
        let left: Vec<usize> = std::iter::from_fn(|| queue.pop(Duration::ZERO)).collect();
        assert_eq!(left, (2..LENGTH + 2).collect::<Vec<_>>());
        assert!(queue.is_over());
    }

    #[test]
    fn a_waiting_push_loses_nothing() {
        let queue = Queue::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..100).for_each(|i| queue.push_waiting(i));
                queue.close();
            });
            let all: Vec<i32> = std::iter::from_fn(|| queue.pop(Duration::from_secs(20))).collect();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
        });
        assert_eq!(queue.dropped(), 0);
    }
}
