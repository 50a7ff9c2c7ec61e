//! The life of a finding: opened, taken up again, cleared, ended.

use std::collections::BTreeMap;

use super::view::with_reason;
use super::way::Way;
use super::{ClipWatch, EventKind, FindingEvent, Shot, Subject, memory};
use crate::confirm::{ConfirmConfig, Confirmation, Turn, Witness};
use crate::geometry::BBox;
use crate::hazard::{Lang, Severity, Text};
use crate::health::Ailment;
use crate::tracking::look::Look;
use crate::tracking::{Track, TrackId, at_edge};

/// One kind of hazard on one subject.
#[derive(Debug, Default, Clone)]
pub(super) struct Life {
    pub(super) confirmation: Confirmation,
    /// Number of the open finding.
    pub(super) open: Option<u64>,
    /// Where it was seen last, and the best sighting since it opened.
    pub(super) last: Option<Sighting>,
    pub(super) best: Option<Sighting>,
    /// Where the object was seen last, whatever it showed.
    pub(super) seen: Option<BBox>,
    /// What the rule said when it was seen last.
    pub(super) text: Option<Text>,
    pub(super) occurrences: u64,
    /// When the sample bank suppressed it last.
    pub(super) suppressed_s: Option<f64>,
    /// The way since it opened.
    pub(super) way: Way,
    /// What they looked like when it was seen last.
    pub(super) look: Option<Look>,
}

/// A frame in which a hazard was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sighting {
    pub(super) time_s: f64,
    pub(super) score: f32,
    pub(super) bbox: BBox,
}

/// An open finding on an object that is out of sight. Whoever comes back to its place takes it up.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) code: String,
    pub(super) life: Life,
    pub(super) until_s: f64,
}

/// Where a frame shows a hazard, and what its rule says.
pub(super) struct Found {
    pub(super) bbox: BBox,
    pub(super) text: Option<Text>,
}

/// An object whose track is over is waited for this long, seconds: behind a pillar, or a track that broke.
const COMES_BACK_S: f64 = 9.0;

impl ClipWatch<'_> {
    /// Those whose tracks are over are waited for; those who were waited for long enough are over.
    pub(super) fn leave(&mut self, time_s: f64) -> Vec<FindingEvent> {
        let tracks: Vec<TrackId> = self.tracker.tracks().iter().map(|t| t.id).collect();
        let gone = |subject: &Subject| matches!(subject, Subject::Track(t) if !tracks.contains(t));
        let (over, lives): (BTreeMap<_, _>, _) = std::mem::take(&mut self.lives)
            .into_iter()
            .partition(|((subject, _), _)| gone(subject));
        self.lives = lives;
        let left = over.into_iter().filter(|(_, life)| life.open.is_some());
        self.waiting.extend(left.map(|((_, code), life)| Waiting {
            code,
            life,
            until_s: time_s + COMES_BACK_S,
        }));
        let (over, waiting): (Vec<_>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| w.until_s < time_s);
        self.waiting = waiting;
        over.iter()
            .filter_map(|w| self.ended(time_s, None, &w.code, &w.life))
            .collect()
    }

    pub(super) fn witness(
        &mut self,
        shot: &Shot<'_>,
        subject: Subject,
        code: String,
        witness: Witness,
        found: Option<Found>,
        confirm: &ConfirmConfig,
    ) -> Option<FindingEvent> {
        let time_s = shot.time_s;
        let life = self.lives.entry((subject, code.clone())).or_default();
        if let (Witness::Hazard(score), Some(found)) = (witness, found) {
            let sighting = Sighting {
                time_s,
                score,
                bbox: found.bbox,
            };
            life.last = Some(sighting);
            life.text = found.text;
            if let Subject::Track(track) = subject {
                life.look = self.looks.get(&track).cloned();
            }
            if life.best.is_none_or(|b| score > b.score) {
                life.best = Some(sighting);
            }
            if life.open.is_some() {
                life.way.add(time_s, found.bbox);
            }
        }
        let turn = life.confirmation.witness(confirm, time_s, witness);
        let Some(turn) = turn else {
            let seen = matches!(witness, Witness::Hazard(_));
            let since_s = life.suppressed_s.filter(|_| seen)?;
            return self.open_after_all(shot, subject, &code, since_s);
        };
        let (opened, evidence) = match &turn {
            Turn::Opened(evidence) => (true, evidence),
            Turn::Cleared(evidence) => (false, evidence),
        };
        let said = life.text.clone().filter(|_| opened);
        let reason = with_reason(said.as_ref(), evidence.reason(confirm, opened));
        if opened {
            return self.open(shot, subject, &code, &reason);
        }
        life.suppressed_s = None;
        self.turned(time_s, shot.size, subject, &code, false, &reason)
    }

    pub(super) fn ailing(
        &mut self,
        time_s: f64,
        (w, h): (u32, u32),
        ailment: Ailment,
        turn: Turn,
    ) -> Option<FindingEvent> {
        let code = ailment.code();
        let life = self
            .lives
            .entry((Subject::Camera, code.to_owned()))
            .or_default();
        let sighting = Sighting {
            time_s,
            score: 1.0,
            bbox: BBox::new(0.0, 0.0, w as f32, h as f32),
        };
        let opened = matches!(turn, Turn::Opened(_));
        if opened {
            (life.last, life.best) = (Some(sighting), Some(sighting));
        }
        let reason = if opened {
            ailment.name()
        } else {
            Text::new("It sees again as it should.", "画面已恢复正常。")
        };
        self.turned(time_s, (w, h), Subject::Camera, code, opened, &reason)
    }

    /// Opens a finding, or takes up one that was waited for, or clears one.
    pub(super) fn turned(
        &mut self,
        time_s: f64,
        size: (u32, u32),
        subject: Subject,
        code: &str,
        opened: bool,
        reason: &Text,
    ) -> Option<FindingEvent> {
        let reason = reason.get(self.pipeline.settings().lang).to_owned();
        let key = (subject, code.to_owned());
        if !opened {
            let life = self.lives.get_mut(&key)?;
            let (finding, best) = (life.open.take()?, life.best.take()?);
            let occurrences = std::mem::take(&mut life.occurrences);
            let seen = std::mem::take(&mut life.way).seen;
            let told = (finding, best, occurrences);
            let (kind, subject) = (EventKind::Cleared, Some(subject));
            let event = self.event(kind, told, subject, code, time_s, reason);
            return Some(FindingEvent { seen, ..event });
        }
        let earlier = self.earlier(&key).or_else(|| self.walked_on(&key, size));
        let findings = &mut self.findings;
        let life = self.lives.get_mut(&key)?;
        let kind = match earlier {
            Some(earlier) => {
                life.open = earlier.open;
                life.occurrences = earlier.occurrences + 1;
                life.best = [earlier.best, life.last]
                    .into_iter()
                    .flatten()
                    .max_by(|a, b| a.score.total_cmp(&b.score));
                life.way = earlier.way;
                EventKind::Seen
            }
            None => {
                *findings += 1;
                life.open = Some(*findings);
                life.best = life.last;
                life.way = Way::default();
                EventKind::Opened
            }
        };
        if let Some(last) = life.last {
            life.way.add(last.time_s, last.bbox);
        }
        let told = (life.open?, life.best?, life.occurrences);
        if kind == EventKind::Opened {
            self.answers.opened(code, time_s);
        }
        Some(self.event(kind, told, Some(subject), code, time_s, reason))
    }

    /// The finding that what is seen now goes on with, if it was waited for.
    fn earlier(&mut self, (subject, code): &(Subject, String)) -> Option<Life> {
        let now = self.lives.get(&(*subject, code.clone()))?.last?;
        let fits = |w: &Waiting| {
            let was = w.life.last.or(w.life.best).map(|was| was.bbox);
            let was = w.life.seen.or(was);
            match subject {
                Subject::Track(_) => was.is_some_and(|was| memory::may_be_the_same(was, now.bbox)),
                _ => true,
            }
        };
        let at = self
            .waiting
            .iter()
            .position(|w| w.code == *code && fits(w))?;
        Some(self.waiting.swap_remove(at).life)
    }

    /// The finding of somebody who was lost elsewhere, if they can have walked here, look alike and nobody
    /// else does, neither of the lost nor of those in sight.
    fn walked_on(&mut self, (subject, code): &(Subject, String), size: (u32, u32)) -> Option<Life> {
        let Subject::Track(track) = *subject else {
            return None;
        };
        let since_s = self.tracker.appeared(track, size)?;
        let life = self.lives.get(&(*subject, code.clone()))?;
        let now = (life.last?, life.look.as_ref()?);
        let lost = |s: &Subject| {
            let is = |t: &Track| Subject::Track(t.id) == *s && t.is_lost();
            self.tracker.tracks().iter().any(is)
        };
        let unlike = |was: &Life| {
            let (seen, look) = (was.last?, was.look.as_ref()?);
            let before = was.open.is_some() && seen.time_s < since_s && !at_edge(seen.bbox, size);
            let unlike = look.unlike(now.1);
            (before && memory::can_have_walked(seen, now.0)).then_some(unlike)
        };
        let of_lives = self.lives.iter().filter(|((s, c), _)| c == code && lost(s));
        let of_lives =
            of_lives.filter_map(|(key, life)| Some((Some(Err(key.clone())), unlike(life)?)));
        let waiting = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, w)| w.code == *code);
        let waiting = waiting.filter_map(|(i, w)| Some((Some(Ok(i)), unlike(&w.life)?)));
        let in_sight = self
            .others_in_sight(track, now.1)
            .map(|unlike| (None, unlike));
        match memory::clearly_alike(of_lives.chain(waiting).chain(in_sight))?? {
            Ok(i) => Some(self.waiting.swap_remove(i).life),
            Err(key) => self.lives.remove(&key),
        }
    }

    /// How unlike this track are others in sight: where all wear the same, clothes tell nothing.
    fn others_in_sight(&self, track: TrackId, look: &Look) -> impl Iterator<Item = f32> {
        let tracks = self.tracker.tracks();
        let class = tracks.iter().find(|t| t.id == track).map(|t| t.class);
        let others = tracks
            .iter()
            .filter(move |t| t.id != track && Some(t.class) == class && !t.is_lost());
        others.filter_map(|t| Some(self.looks.get(&t.id)?.unlike(look)))
    }

    pub(super) fn ended(
        &self,
        time_s: f64,
        subject: Option<Subject>,
        code: &str,
        life: &Life,
    ) -> Option<FindingEvent> {
        let reason = match self.pipeline.settings().lang {
            Lang::En => "It was not seen to be cleared: it left the picture, or the video ended.",
            Lang::Zh => "未见其消除：目标离开画面或视频结束。",
        };
        let told = (life.open?, life.best?, life.occurrences);
        let reason = reason.to_owned();
        let event = self.event(EventKind::Ended, told, subject, code, time_s, reason);
        let seen = life.way.seen.clone();
        Some(FindingEvent { seen, ..event })
    }

    pub(super) fn kind(&self, code: &str) -> (Text, Severity) {
        let kind = self.kinds.get(code).cloned();
        kind.unwrap_or_else(|| (Text::new(code, code), Severity::General))
    }

    pub(super) fn event(
        &self,
        event: EventKind,
        (finding, best, occurrences): (u64, Sighting, u64),
        subject: Option<Subject>,
        code: &str,
        time_s: f64,
        reason: String,
    ) -> FindingEvent {
        let (name, severity) = self.kind(code);
        let (track, zone) = match subject {
            Some(Subject::Track(track)) => {
                let area = self.view.work_area(best.bbox, self.size);
                (Some(track), area.map(str::to_owned))
            }
            Some(Subject::Zone(i)) => (None, self.view.zones.get(i).map(|z| z.name.clone())),
            _ => (None, None),
        };
        FindingEvent {
            event,
            finding,
            code: code.to_owned(),
            name,
            severity,
            time_s,
            track,
            zone,
            best_time_s: best.time_s,
            score: best.score,
            bbox: best.bbox.to_xywh(),
            occurrences,
            reason,
            seen: Vec::new(),
            bank: None,
        }
    }
}
