//! Confirmation: from what single frames show of one object to a finding that opens once and
//! closes once.
//!
//! A frame is a weak witness: a head turned away, a box slipped. A finding opens when enough judged
//! frames of the last seconds show the hazard, and closes when clearly fewer do (hysteresis: what is
//! between the two shares changes nothing). Frames that could not be judged count for neither.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::hazard::Text;

/// When a hazard counts as confirmed, and when as cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfirmConfig {
    /// How far back frames are looked at, seconds.
    pub window_s: f64,
    /// Judged frames needed within the window.
    pub min_frames: usize,
    /// Seconds from the first to the last frame that shows the hazard within the window.
    pub min_s: f64,
    /// The finding opens at this share of judged frames that show the hazard, `0..=1`.
    pub enter: f64,
    /// The finding closes at this share, `0..=1`, below `enter`.
    pub leave: f64,
    /// Least median score of the frames that show the hazard, `0..=1`.
    pub threshold: f32,
    /// How far back frames are looked at for clearing, seconds, where that is not `window_s`: goods
    /// must stay ten minutes to count, but need not be gone for ten.
    pub clear_s: Option<f64>,
}

impl Default for ConfirmConfig {
    fn default() -> Self {
        Self {
            window_s: 4.0,
            min_frames: 4,
            min_s: 1.0,
            enter: 0.6,
            leave: 0.25,
            threshold: 0.4,
            // a suggestion to close may wait: small heads read otherwise for some seconds
            clear_s: Some(10.0),
        }
    }
}

impl ConfirmConfig {
    /// What is wrong with these numbers and what to give, if anything.
    ///
    /// # Errors
    /// The message names the field.
    pub fn check(&self) -> Result<(), String> {
        let share = |name: &str, v: f64| {
            (0.0..=1.0)
                .contains(&v)
                .then_some(())
                .ok_or_else(|| format!("{name} is {v}; give a number from 0 to 1"))
        };
        share("enter", self.enter)?;
        share("leave", self.leave)?;
        share("threshold", f64::from(self.threshold))?;
        if self.leave >= self.enter {
            return Err(format!(
                "leave is {} and enter {}; give leave below enter, or findings flicker",
                self.leave, self.enter
            ));
        }
        if self.min_frames == 0 {
            return Err("min_frames is 0; give at least 1".into());
        }
        if self.clear_s.is_some_and(|s| s.is_nan() || s <= 0.0) {
            return Err("clear_s must be above 0; leave it out for window_s".into());
        }
        if !(self.window_s > 0.0 && (0.0..=self.window_s).contains(&self.min_s)) {
            return Err(format!(
                "min_s is {} and window_s {}; give 0 to window_s, and window_s above 0",
                self.min_s, self.window_s
            ));
        }
        Ok(())
    }
}

/// What one frame shows of one kind of hazard on one object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Witness {
    /// The hazard, with its score.
    Hazard(f32),
    /// That all is in order.
    InOrder,
    /// Nothing that could be judged.
    Unclear,
}

/// A turn in the life of a finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// The hazard is confirmed.
    Opened(Evidence),
    /// It was seen to be gone.
    Cleared(Evidence),
}

/// What a turn rests on: the judged frames of the window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Judged frames that show the hazard.
    pub showing: usize,
    /// Judged frames.
    pub judged: usize,
    /// Seconds from the first to the last judged frame.
    pub over_s: f64,
    /// Median score of the frames that show the hazard; 0 without any.
    pub median: f32,
}

impl Evidence {
    /// The reason for a lay person, with what was needed.
    pub fn reason(&self, config: &ConfirmConfig, opened: bool) -> Text {
        let Self {
            showing,
            judged,
            over_s,
            median,
        } = self;
        let share = 100.0 * if opened { config.enter } else { config.leave };
        if opened {
            Text::new(
                format!(
                    "Seen in {showing} of {judged} judged frames over {over_s:.1} s, median score \
                     {median:.2}; needed: {share:.0} % of at least {} frames, score {:.2}.",
                    config.min_frames, config.threshold
                ),
                format!(
                    "{over_s:.1} 秒内 {judged} 帧可判定画面中有 {showing} 帧显示该隐患，得分中位数 \
                     {median:.2}；要求：至少 {} 帧，占比 {share:.0} %，得分 {:.2}。",
                    config.min_frames, config.threshold
                ),
            )
        } else {
            Text::new(
                format!(
                    "Seen in only {showing} of {judged} judged frames over {over_s:.1} s; it counts \
                     as cleared at {share:.0} % or less of at least {} frames.",
                    config.min_frames
                ),
                format!(
                    "{over_s:.1} 秒内 {judged} 帧可判定画面中仅有 {showing} 帧显示该隐患；至少 {} \
                     帧且占比不高于 {share:.0} % 时视为已消除。",
                    config.min_frames
                ),
            )
        }
    }
}

/// The confirmation of one kind of hazard on one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Confirmation {
    /// Judged frames of the window: time and score, `None` where all was in order.
    judged: VecDeque<(f64, Option<f32>)>,
    open: bool,
}

impl Confirmation {
    /// Whether the finding is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Takes the witness of the frame at `time_s` (seconds, rising; a clock that jumps back
    /// starts the window anew).
    pub fn witness(
        &mut self,
        config: &ConfirmConfig,
        time_s: f64,
        witness: Witness,
    ) -> Option<Turn> {
        if self.judged.back().is_some_and(|(last, _)| *last > time_s) {
            self.judged.clear();
        }
        let kept_s = config.window_s.max(config.clear_s.unwrap_or(0.0));
        while self
            .judged
            .front()
            .is_some_and(|(first, _)| time_s - first > kept_s)
        {
            self.judged.pop_front();
        }
        match witness {
            Witness::Hazard(score) => self.judged.push_back((time_s, Some(score))),
            Witness::InOrder => self.judged.push_back((time_s, None)),
            Witness::Unclear => return None,
        }
        let (since, min_s) = match config.clear_s {
            Some(clear_s) if self.open => (time_s - clear_s, 0.8 * clear_s),
            _ => (time_s - config.window_s, config.min_s),
        };
        let evidence = self.evidence(since);
        if evidence.judged < config.min_frames {
            return None;
        }
        let share = evidence.showing as f64 / evidence.judged as f64;
        if self.open {
            let cleared = share <= config.leave && self.span(since, |s| s.is_none()) >= min_s;
            self.open = !cleared;
            if cleared && config.clear_s.is_some() {
                // what was seen before it was cleared does not open it again
                self.judged.clear();
            }
            return cleared.then_some(Turn::Cleared(evidence));
        }
        self.open = share >= config.enter
            && evidence.median >= config.threshold
            && self.span(since, |s| s.is_some()) >= min_s;
        self.open.then_some(Turn::Opened(evidence))
    }

    /// Of a finding that is open already: known from before a restart, or carried on.
    pub fn opened() -> Self {
        Self {
            judged: VecDeque::new(),
            open: true,
        }
    }

    fn evidence(&self, since: f64) -> Evidence {
        let judged = || self.judged.iter().filter(|(t, _)| *t >= since);
        let mut scores: Vec<f32> = judged().filter_map(|(_, s)| *s).collect();
        scores.sort_by(f32::total_cmp);
        Evidence {
            showing: scores.len(),
            judged: judged().count(),
            over_s: self.span(since, |_| true),
            median: scores.get(scores.len() / 2).copied().unwrap_or(0.0),
        }
    }

    /// Seconds from the first to the last frame judged since then of which `is` holds.
    fn span(&self, since: f64, is: impl Fn(Option<f32>) -> bool) -> f64 {
        let judged = self.judged.iter().filter(|(t, s)| *t >= since && is(*s));
        let mut times = judged.map(|(t, _)| *t);
        let first = times.next();
        let last = times.next_back().or(first);
        first.zip(last).map_or(0.0, |(first, last)| last - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FPS: f64 = 5.0;

    /// Plays witnesses at five a second: `h` hazard at 0.8, `w` hazard at 0.2, `o` in order,
    /// `.` unclear. Gives the frames at which it opened and cleared.
    fn play(script: &str) -> Vec<(usize, char)> {
        let (config, mut confirmation) = (ConfirmConfig::default(), Confirmation::default());
        config.check().unwrap();
        let mut turns = Vec::new();
        for (i, c) in script.chars().enumerate() {
            let witness = match c {
                'h' => Witness::Hazard(0.8),
                'w' => Witness::Hazard(0.2),
                'o' => Witness::InOrder,
                _ => Witness::Unclear,
            };
            match confirmation.witness(&config, i as f64 / FPS, witness) {
                Some(Turn::Opened(_)) => turns.push((i, '+')),
                Some(Turn::Cleared(_)) => turns.push((i, '-')),
                None => {}
            }
        }
        turns
    }

    #[test]
    fn a_hazard_that_lasts_opens_once_after_the_time_asked_for() {
        assert_eq!(play("hhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"), [(5, '+')]);
    }

    #[test]
    fn single_frames_of_hazard_open_nothing_and_of_order_close_nothing() {
        assert_eq!(play("oooohoooooohooooooo"), []);
        assert_eq!(play("hhhhhhhhhhohhhhhhhhohhhhhhh"), [(5, '+')]);
    }

    #[test]
    fn what_is_between_the_two_shares_changes_nothing() {
        assert_eq!(play("hohohohohohohohohohohoho"), []);
        assert_eq!(
            play("hhhhhhhhhhhhhhhhhhhhhohohohohohohohohohohohohoho"),
            [(5, '+')]
        );
    }

    #[test]
    fn it_clears_when_seen_to_be_in_order_and_not_when_unseen() {
        let turns = play(&format!("hhhhhhhhhhhhhhhhhhhh{}", "o".repeat(60)));
        assert_eq!(turns.len(), 2, "{turns:?}");
        assert_eq!(turns[1].1, '-');
        assert_eq!(
            play("hhhhhhhhhh........................................"),
            [(5, '+')]
        );
    }

    #[test]
    fn unsure_frames_do_not_confirm_however_many() {
        assert_eq!(play("wwwwwwwwwwwwwwwwwwwwwwww"), []);
    }

    #[test]
    fn it_opens_again_after_it_was_cleared() {
        let order = "o".repeat(60);
        let turns = play(&format!("hhhhhhhh{order}hhhhhhhhhhhhhhhhhhhhhhhhhhh"));
        let signs: String = turns.iter().map(|t| t.1).collect();
        assert_eq!(signs, "+-+");
    }

    #[test]
    fn what_must_stay_long_clears_soon() {
        let config = ConfirmConfig {
            window_s: 240.0,
            min_s: 180.0,
            clear_s: Some(20.0),
            ..ConfirmConfig::default()
        };
        let mut c = Confirmation::default();
        let mut turns = Vec::new();
        for t in 0..700 {
            let there = (100..400).contains(&t);
            let witness = if there {
                Witness::Hazard(0.8)
            } else {
                Witness::InOrder
            };
            match c.witness(&config, f64::from(t), witness) {
                Some(Turn::Opened(_)) => turns.push((t, '+')),
                Some(Turn::Cleared(_)) => turns.push((t, '-')),
                None => {}
            }
        }
        assert_eq!(turns, [(280, '+'), (416, '-')]);
    }

    #[test]
    fn a_clock_that_jumps_back_opens_nothing_by_itself() {
        let (config, mut c) = (ConfirmConfig::default(), Confirmation::default());
        for time_s in [10.0, 10.2, 10.4, 3.0, 3.2, 3.4] {
            assert_eq!(c.witness(&config, time_s, Witness::Hazard(0.9)), None);
        }
    }

    #[test]
    fn the_reason_tells_what_was_seen_and_what_was_needed() {
        let evidence = Evidence {
            showing: 7,
            judged: 8,
            over_s: 1.4,
            median: 0.62,
        };
        let text = evidence.reason(&ConfirmConfig::default(), true);
        for part in ["7 of 8", "1.4 s", "0.62", "60 %", "0.40"] {
            assert!(text.en.contains(part), "{}", text.en);
        }
        assert!(
            evidence
                .reason(&ConfirmConfig::default(), false)
                .en
                .contains("25 %")
        );
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused_by_name() {
        let error = |change: fn(&mut ConfirmConfig)| {
            let mut config = ConfirmConfig::default();
            change(&mut config);
            config.check().unwrap_err()
        };
        assert!(error(|c| c.enter = 1.5).contains("enter"));
        assert!(error(|c| c.leave = 0.7).contains("flicker"));
        assert!(error(|c| c.min_frames = 0).contains("min_frames"));
        assert!(error(|c| c.min_s = 9.0).contains("min_s"));
    }
}
