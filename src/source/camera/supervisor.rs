//! Keeps one child running: opens again with back-off, ends what stalls, changes between decoding
//! key frames and all frames without a gap.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use super::address::Address;
use super::child::{Child, Event, Picture, Told};
use super::status::{State, back_off, classify};
use super::{CameraOptions, LiveFrame, Mode, Shared, lock};
use crate::source::clip::ClipError;

/// A first picture may take longer than a next one.
const FIRST: u32 = 2;
/// After so long without trouble the next trouble counts as the first.
const SETTLED: Duration = Duration::from_secs(30);
/// Key frames may be this far apart.
const KEY_FRAMES: Duration = Duration::from_secs(30);
/// For a clock that jumps all the time it is not opened again all the time.
const LEAPS: Duration = Duration::from_secs(60);
/// How often the supervisor looks up.
const TICK: Duration = Duration::from_millis(100);

pub(super) fn run(address: &Address, options: &CameraOptions, shared: &Shared) {
    let (tell, told) = channel();
    let mut one = Supervisor {
        address,
        options,
        shared,
        tell,
        told,
        number: 0,
        leapt: None,
    };
    let mut tries = 0;
    while !shared.stopped() {
        let began = Instant::now();
        let (state, reason) = one.session();
        if shared.stopped() {
            break;
        }
        if began.elapsed() > SETTLED {
            tries = 0;
        }
        shared.set_state(state, reason);
        shared.sleep(back_off(tries, state, options.back_off));
        tries += 1;
        lock(&shared.known).restarts += 1;
    }
    shared.set_state(State::Ended, "closed");
}

struct Supervisor<'a> {
    address: &'a Address,
    options: &'a CameraOptions,
    shared: &'a Shared,
    tell: Sender<Told>,
    told: Receiver<Told>,
    number: u64,
    /// When the stream's clock jumped last.
    leapt: Option<Instant>,
}

impl Supervisor<'_> {
    fn spawn(&mut self, mode: Mode) -> Result<Child, ClipError> {
        self.number += 1;
        let ring = match &self.options.ring {
            Some(ring) => Some(lock(&self.shared.ring).folder(ring, self.number)?),
            None => None,
        };
        Child::spawn(
            self.address,
            self.options,
            mode,
            self.number,
            ring.as_deref(),
            self.tell.clone(),
        )
    }

    /// From opening to whatever ends it: how it is then, and why.
    fn session(&mut self) -> (State, String) {
        let wanted = *lock(&self.shared.wanted);
        let mut child = match self.spawn(wanted) {
            Ok(child) => child,
            Err(e) => return (State::Failed, e.to_string()),
        };
        {
            // what was wrong stays to be read until pictures come
            let mut known = lock(&self.shared.known);
            if known.restarts == 0 {
                known.state = State::Connecting;
            }
            known.idle = wanted == Mode::Idle;
        }
        lock(&self.shared.time).restart();
        let mut next: Option<(Child, Instant)> = None;
        let mut retry_mode_at = Instant::now();
        let (mut had, mut last) = (false, Instant::now());
        loop {
            if self.shared.stopped() {
                return (State::Ended, "closed".into());
            }
            match self.told.recv_timeout(TICK) {
                Ok((number, Event::Picture(picture))) if number == child.number => {
                    (had, last) = (true, Instant::now());
                    let leapt = lock(&self.shared.time).jumped(picture.stamp_s, picture.arrived);
                    self.deliver(&child, *picture);
                    // ffmpeg would cut what is kept by the old clock: in pieces, or not at all
                    if leapt && self.leapt.is_none_or(|at| at.elapsed() > LEAPS) {
                        self.leapt = Some(Instant::now());
                        return (
                            State::Stalled,
                            "its clock has jumped; it is opened again".into(),
                        );
                    }
                }
                Ok((number, Event::Picture(picture))) => {
                    // the first picture of the other mode: now it takes over
                    if let Some((other, _)) = next.take_if(|(n, _)| n.number == number) {
                        child = other;
                        last = Instant::now();
                        lock(&self.shared.time).restart();
                        lock(&self.shared.known).idle = child.mode == Mode::Idle;
                        self.deliver(&child, *picture);
                    }
                }
                Ok((number, Event::Damaged)) => {
                    if number == child.number {
                        lock(&self.shared.known).damaged += 1;
                    }
                }
                Ok((number, Event::Ended(reason))) if number == child.number => {
                    return classify(&reason, had);
                }
                Ok((number, Event::Ended(_))) => {
                    if next.take_if(|(n, _)| n.number == number).is_some() {
                        retry_mode_at = Instant::now() + Duration::from_secs(10);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return (State::Failed, "its supervisor has lost it".into());
                }
            }
            let patience = self.patience(&child, had);
            if last.elapsed() > patience {
                let reason = format!(
                    "no whole picture for {:.0} s; it is opened again",
                    patience.as_secs_f64()
                );
                return (
                    if had {
                        State::Stalled
                    } else {
                        State::Unreachable
                    },
                    reason,
                );
            }
            let wanted = *lock(&self.shared.wanted);
            if wanted == child.mode {
                next = None;
            } else if next.is_none() && had && Instant::now() >= retry_mode_at {
                next = self.spawn(wanted).ok().map(|c| (c, Instant::now()));
            } else if next
                .take_if(|(_, since)| since.elapsed() > KEY_FRAMES)
                .is_some()
            {
                retry_mode_at = Instant::now() + Duration::from_secs(10);
            }
        }
    }

    fn patience(&self, child: &Child, had: bool) -> Duration {
        let stall = match child.mode {
            Mode::Active => self.options.stall,
            Mode::Idle => self.options.stall.max(KEY_FRAMES),
        };
        if had { stall } else { stall * FIRST }
    }

    fn deliver(&self, child: &Child, picture: Picture) {
        let (time_s, offset) = lock(&self.shared.time).of(picture.stamp_s, picture.arrived);
        lock(&self.shared.ring).learned(child.number, offset, child.codec());
        self.shared.took(picture.size);
        self.shared.queue.push(LiveFrame {
            time_s,
            wall: SystemTime::now(),
            picture: picture.pixels,
            size: picture.size,
            name: None,
        });
    }
}
