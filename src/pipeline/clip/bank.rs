//! A view and the sample bank. What is about to open is held against the bank first: once, and again at a slow
//! beat while it is suppressed. Kinds that only the bank knows are looked for in rounds over the view, a few
//! regions of each frame, so that no frame waits for long.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{BankSaid, EventKind, FindingEvent};
use super::life::Sighting;
use super::{ClipWatch, Shot, Subject};
use crate::bank::{self, Grid, Matcher, Ruling, Verdict, same_thing};
use crate::detection::Detection;
use crate::embedding::{Embedding, look_region};
use crate::geometry::BBox;
use crate::hazard::{Lang, Text};
use crate::motion::{Glance, moved};
use crate::pipeline::bank::{AskError, Cutter, Taught, asked, explain, samples};
use crate::rules::RuleSet;

/// From the start of a round over the view to the next, seconds.
const ROUND_S: f64 = 20.0;
/// Regions embedded for each frame of a round: one run of the embedder.
const PER_FRAME: usize = 4;
/// Detections that a round looks at besides windows and zones, best first.
const DETECTIONS: usize = 8;
/// Rounds in a row that confirm a kind at a place before it opens, and that do not before it is cleared.
const ROUNDS: u32 = 3;
/// What is suppressed is held against the bank again after so many seconds: something else may stand there.
const AGAIN_S: f64 = 60.0;
/// What was suppressed at a place is not told again for so long, seconds: tracks break.
const TOLD_S: f64 = 600.0;

/// Gives the bank as it is; nothing where there is none.
pub type BankNow<'a> = Box<dyn Fn() -> Option<Arc<Taught>> + Send + 'a>;

/// The sample bank of one view.
pub(super) struct ViewBank<'a> {
    now: BankNow<'a>,
    place: bank::Place,
    lang: Lang,
    round: Option<Round>,
    /// When the next round begins.
    due_s: f64,
    /// The last round, what the view looked like then, and by which version.
    last: Option<(Found, Glance, i64)>,
    runs: BTreeMap<String, Run>,
    told: Vec<(String, BBox, f64)>,
}

/// Of each kind that the bank can confirm, where it does.
type Found = BTreeMap<String, Vec<Hit>>;

#[derive(Clone)]
struct Hit {
    region: BBox,
    score: f32,
    said: BankSaid,
}

/// A round that is under way.
struct Round {
    taught: Arc<Taught>,
    glance: Glance,
    regions: Vec<BBox>,
    next: usize,
    found: Found,
}

/// What rounds have seen of a kind so far.
#[derive(Debug, Default)]
struct Run {
    hits: u32,
    misses: u32,
    since_s: f64,
    region: Option<BBox>,
}

impl<'a> ViewBank<'a> {
    pub(super) fn new(now: BankNow<'a>, place: bank::Place, lang: Lang) -> Self {
        Self {
            now,
            place,
            lang,
            round: None,
            due_s: f64::NEG_INFINITY,
            last: None,
            runs: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// Whether rounds look for this kind.
    pub(super) fn looks_for(&self, code: &str) -> bool {
        (self.now)().is_some_and(|taught| taught.matcher(self.place.clone()).can_confirm(code))
    }

    /// What the bank says of a hazard at `region`; nothing of a kind that it does not know.
    fn ask(&self, shot: &Shot<'_>, code: &str, region: BBox) -> Option<BankSaid> {
        let taught = (self.now)()?;
        let matcher = taught.matcher(self.place.clone());
        if !matcher.knows(code) {
            return None;
        }
        let judge = || {
            let embedding = embed(shot, &[region], &taught)?.remove(0);
            Ok::<_, AskError>(matcher.judge(code, &embedding)?)
        };
        match judge() {
            Ok(verdict) => Some(self.said(&matcher, &verdict, code)),
            Err(error) => {
                // a hazard is told all the same
                tracing::error!(%error, code, "the sample bank was not asked");
                None
            }
        }
    }

    fn said(&self, matcher: &Matcher<'_>, verdict: &Verdict, code: &str) -> BankSaid {
        let text = match verdict.ruling {
            Ruling::Confirm => explain(matcher, verdict, code),
            Ruling::Suppress | Ruling::Unknown => verdict.reason.text(),
        };
        BankSaid {
            asked: asked(matcher),
            ruling: verdict.ruling,
            text: text.get(self.lang).to_owned(),
            p_value: verdict.p_value,
            samples: samples(verdict),
        }
    }

    /// Whether nobody was told of something suppressed there; told now.
    fn is_news(&mut self, code: &str, region: BBox, time_s: f64) -> bool {
        self.told
            .retain(|(_, _, at)| (0.0..TOLD_S).contains(&(time_s - at)));
        let known = self
            .told
            .iter()
            .any(|(told, was, _)| told == code && was.iou(region) >= 0.3);
        if !known {
            self.told.push((code.to_owned(), region, time_s));
        }
        !known
    }

    /// Goes on with a round over the view; what it found, when it is over.
    fn look(
        &mut self,
        shot: &Shot<'_>,
        seen: &[Detection],
        zones: impl Iterator<Item = BBox>,
        kinds: &[&str],
    ) -> Option<Found> {
        if shot.time_s < self.due_s - ROUND_S {
            // a clock that jumped back
            self.due_s = shot.time_s;
        }
        let mut round = match self.round.take() {
            Some(round) => round,
            None if shot.time_s < self.due_s => return None,
            None => {
                self.due_s = shot.time_s + ROUND_S;
                let taught = (self.now)()?;
                let glance = Glance::of(shot.picture);
                let version = taught.bank().version();
                if let Some((found, was, of)) = &self.last
                    && *of == version
                    && !moved(was, &glance)
                {
                    return Some(found.clone());
                }
                let matcher = taught.matcher(self.place.clone());
                let can = kinds.iter().filter(|code| matcher.can_confirm(code));
                let found: Found = can.map(|code| ((*code).to_owned(), Vec::new())).collect();
                if found.is_empty() {
                    return None;
                }
                let seen = seen.iter().take(DETECTIONS).map(|d| d.bbox);
                let windows = Grid::default().regions(shot.size);
                Round {
                    regions: seen.chain(zones).chain(windows).collect(),
                    taught,
                    glance,
                    next: 0,
                    found,
                }
            }
        };
        if let Err(error) = self.step(shot, &mut round) {
            tracing::error!(%error, "the sample bank was not asked");
            return None;
        }
        if round.next < round.regions.len() {
            self.round = Some(round);
            return None;
        }
        let version = round.taught.bank().version();
        self.last = Some((round.found.clone(), round.glance, version));
        Some(round.found)
    }

    /// The next few regions.
    fn step(&self, shot: &Shot<'_>, round: &mut Round) -> Result<(), AskError> {
        let end = (round.next + PER_FRAME).min(round.regions.len());
        let regions = &round.regions[round.next..end];
        let embeddings = embed(shot, regions, &round.taught)?;
        let matcher = round.taught.matcher(self.place.clone());
        for (code, hits) in &mut round.found {
            for (region, embedding) in regions.iter().zip(&embeddings) {
                let verdict = matcher.judge(code, embedding)?;
                if verdict.ruling == Ruling::Confirm {
                    hits.push(Hit {
                        region: *region,
                        score: verdict.score.unwrap_or(-1.0),
                        said: self.said(&matcher, &verdict, code),
                    });
                }
            }
        }
        round.next = end;
        Ok(())
    }
}

fn embed(shot: &Shot<'_>, regions: &[BBox], taught: &Taught) -> Result<Vec<Embedding>, AskError> {
    let cutter = Cutter::of_frame(shot.picture, shot.size);
    Ok(cutter.embed(regions, taught.embedder())?)
}

/// The best hit: where it was before, if it is there still.
fn best(hits: Vec<Hit>, was: Option<BBox>, cut: impl Fn(BBox) -> BBox) -> Option<Hit> {
    let there = |h: &Hit| was.is_some_and(|was| same_thing(cut(was), cut(h.region)));
    hits.into_iter()
        .max_by(|a, b| (there(a).cmp(&there(b))).then(a.score.total_cmp(&b.score)))
}

impl<'a> ClipWatch<'a> {
    /// With a sample bank, which is asked for pictures of `place`.
    #[must_use]
    pub fn with_bank(mut self, now: BankNow<'a>, place: bank::Place) -> Self {
        let lang = self.pipeline.settings().lang;
        self.bank = Some(ViewBank::new(now, place, lang));
        self
    }

    /// Opens a finding, unless the bank suppresses it.
    pub(super) fn open(
        &mut self,
        shot: &Shot<'_>,
        subject: Subject,
        code: &str,
        reason: &Text,
    ) -> Option<FindingEvent> {
        let life = self.lives.get_mut(&(subject, code.to_owned()))?;
        let last = life.last?;
        let said = self
            .bank
            .as_ref()
            .and_then(|b| b.ask(shot, code, last.bbox));
        let suppressed = said.as_ref().is_some_and(|s| s.ruling == Ruling::Suppress);
        life.suppressed_s = suppressed.then_some(shot.time_s);
        let bank = said.map(Box::new);
        if !suppressed {
            let event = self.turned(shot.time_s, shot.size, subject, code, true, reason)?;
            return Some(FindingEvent { bank, ..event });
        }
        if !self.bank.as_mut()?.is_news(code, last.bbox, shot.time_s) {
            return None;
        }
        let text = bank.as_ref().map(|b| b.text.clone()).unwrap_or_default();
        let told = (0, last, 0);
        let (kind, subject) = (EventKind::Suppressed, Some(subject));
        let event = self.event(kind, told, subject, code, shot.time_s, text);
        Some(FindingEvent { bank, ..event })
    }

    /// What was suppressed is held against the bank again: it may be something else by now.
    pub(super) fn open_after_all(
        &mut self,
        shot: &Shot<'_>,
        subject: Subject,
        code: &str,
        since_s: f64,
    ) -> Option<FindingEvent> {
        if (0.0..AGAIN_S).contains(&(shot.time_s - since_s)) {
            return None;
        }
        let reason = Text::new(
            "It is still there, and looks no longer like what was dismissed before.",
            "隐患仍然存在，且不再与此前被驳回的样本相似。",
        );
        self.open(shot, subject, code, &reason)
    }

    /// Looks the view over for kinds that only the bank knows.
    pub(super) fn look_over(&mut self, shot: &Shot<'_>) -> Vec<FindingEvent> {
        let (Some(bank), pipeline) = (&mut self.bank, self.pipeline) else {
            return Vec::new();
        };
        let rules: &RuleSet = pipeline.rules();
        let not_here = &pipeline.settings().not_here;
        let kinds = rules.kinds().iter().map(|k| k.code.as_str());
        let kinds: Vec<&str> = kinds.filter(|code| !not_here.contains(*code)).collect();
        let zones = self.view.zones.iter().map(|zone| zone.bbox(shot.size));
        let found = bank.look(shot, &self.known, zones, &kinds);
        let found = found.into_iter().flatten();
        found
            .filter_map(|(code, hits)| self.looked(shot, code, hits))
            .collect()
    }

    /// What a round has found of one kind.
    fn looked(
        &mut self,
        shot: &Shot<'_>,
        code: String,
        mut hits: Vec<Hit>,
    ) -> Option<FindingEvent> {
        let (width, height) = (shot.size.0 as f32, shot.size.1 as f32);
        let cut = |region: BBox| look_region(region, width, height);
        // what is known by other means is one finding
        let known: Vec<BBox> = self
            .lives
            .iter()
            .filter(|((subject, of), life)| {
                let told = life.open.is_some() || life.suppressed_s.is_some();
                *subject != Subject::Bank && *of == code && told
            })
            .filter_map(|(_, life)| life.last.map(|last| last.bbox))
            .collect();
        hits.retain(|h| !known.iter().any(|k| same_thing(cut(h.region), cut(*k))));
        let run = self.bank.as_mut()?.runs.entry(code.clone()).or_default();
        let key = (Subject::Bank, code.clone());
        let Some(hit) = best(hits, run.region, cut) else {
            run.misses += 1;
            run.hits = 0;
            let gone = run.misses >= ROUNDS && self.lives.get(&key)?.open.is_some();
            let reason = Text::new(
                format!(
                    "In {ROUNDS} looks over the view in a row the sample bank did not confirm it."
                ),
                format!("连续{ROUNDS}次查看画面，样本库均未确认该隐患。"),
            );
            return gone
                .then(|| self.turned(shot.time_s, shot.size, Subject::Bank, &code, false, &reason))
                .flatten();
        };
        run.misses = 0;
        if run.hits == 0
            || run
                .region
                .is_some_and(|was| !same_thing(cut(was), cut(hit.region)))
        {
            *run = Run {
                since_s: shot.time_s,
                ..Run::default()
            };
        }
        run.hits += 1;
        run.region = Some(hit.region);
        let (hits, since_s) = (run.hits, run.since_s);
        let sighting = Sighting {
            time_s: shot.time_s,
            score: hit.said.p_value.map_or(0.0, |p| (1.0 - p) as f32),
            bbox: hit.region,
        };
        let life = self.lives.entry(key).or_default();
        life.last = Some(sighting);
        if life.open.is_some() {
            life.way.add(shot.time_s, hit.region);
            if life.best.is_none_or(|best| sighting.score > best.score) {
                life.best = Some(sighting);
            }
            return None;
        }
        if hits < ROUNDS {
            return None;
        }
        let over_s = shot.time_s - since_s;
        let looks = Text::new(
            format!("Seen in {hits} looks over the view in a row, over {over_s:.0} s."),
            format!("连续{hits}次查看画面均有发现，历时{over_s:.0}秒。"),
        );
        let reason = Text::new(
            format!("{} {}", looks.en, hit.said.text),
            format!("{}{}", looks.zh, hit.said.text),
        );
        let event = self.turned(shot.time_s, shot.size, Subject::Bank, &code, true, &reason)?;
        Some(FindingEvent {
            bank: Some(Box::new(hit.said)),
            ..event
        })
    }
}
