//! A photo and the sample bank: regions, their embeddings, and what the bank says of them.

use super::photo::{JudgeError, PhotoSettings, candidate_record, score};
use crate::bank::{self, Grid, Matcher, Neighbour, Ruling, Verdict, keep_best, same_thing};
use crate::embedding::{Embedding, look_region};
use crate::geometry::BBox;
use crate::hazard::{Answer, Candidate, Lang, RuleInput, Text};
use crate::inference::{Embed, EmbedError};
use crate::record::{AnswerRecord, BankRecord, CandidateRecord, PhotoRecord, SampleRecord};
use crate::rules::{HazardKind, RuleSet};
use crate::zone::Zones;

mod cutter;
mod search;
mod taught;
#[cfg(test)]
mod tests;

pub use cutter::{Cutter, TooSmall, check_part, fractions, pixels};
pub use search::{Searched, search};
pub use taught::Taught;
pub(super) use taught::asked;

/// Most detections that are looked at as regions, best first.
const MOST_DETECTIONS: usize = 40;

/// Why the bank could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The photo.
    #[error(transparent)]
    Photo(#[from] JudgeError),
    /// The embedder.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The bank.
    #[error(transparent)]
    Bank(#[from] bank::BankError),
}

/// The sample bank, asked for photos of one place.
pub struct BankPass<'a> {
    matcher: Matcher<'a>,
    embedder: &'a dyn Embed,
    rules: &'a RuleSet,
    grid: Grid,
    zones: Zones,
    settings: &'a PhotoSettings,
}

impl<'a> BankPass<'a> {
    /// Asks with `embedder`, which has to be the bank's, for the kinds of `rules`.
    ///
    /// # Errors
    /// When the embedder is another one.
    pub fn new(
        matcher: Matcher<'a>,
        embedder: &'a dyn Embed,
        rules: &'a RuleSet,
        settings: &'a PhotoSettings,
    ) -> Result<Self, bank::BankError> {
        let bank = matcher.bank();
        if embedder.version() != bank.embedder().version {
            return Err(bank::BankError::Embedder {
                has: embedder.version().to_owned(),
                needs: bank.embedder().version.clone(),
            });
        }
        Ok(Self {
            matcher,
            embedder,
            rules,
            grid: Grid::default(),
            zones: Zones::default(),
            settings,
        })
    }

    /// Also looks at the zones that a person has drawn into the view.
    pub fn with_zones(mut self, zones: Zones) -> Self {
        self.zones = zones;
        self
    }

    /// What the record of a scan says of the bank.
    pub fn record(&self) -> BankRecord {
        asked(&self.matcher)
    }

    /// Adds what the bank confirms to the record of a photo that was judged, and takes out what it
    /// suppresses.
    ///
    /// # Errors
    /// When the photo cannot be decoded or embedded; the record is as it was.
    pub fn apply(&self, record: &mut PhotoRecord, bytes: &[u8]) -> Result<(), AskError> {
        if record.error.is_some() || self.matcher.bank().is_empty() {
            return Ok(());
        }
        let kinds: Vec<&HazardKind> = self.kinds_to_find().collect();
        let asked: Vec<bool> = record
            .candidates
            .iter()
            .map(|c| self.matcher.knows(&c.code))
            .collect();
        // each region costs a run of the embedder: none where the bank has nothing to say
        if kinds.is_empty() && !asked.contains(&true) {
            self.say_what_the_bank_did(&mut record.answers);
            return Ok(());
        }
        let cutter = Cutter::new(bytes, &self.settings.limits)?;
        let size = cutter.size();
        let mut regions = Regions::default();
        for (candidate, _) in record.candidates.iter().zip(&asked).filter(|(_, a)| **a) {
            regions.add(BBox::from_xywh(candidate.bbox));
        }
        let mut anew = Vec::new();
        if !kinds.is_empty() {
            let detections = record.detections.iter().take(MOST_DETECTIONS);
            let seen = detections.map(|d| BBox::from_xywh(d.bbox));
            let zones = self.zones.zones.iter().map(|zone| zone.bbox(size));
            let windows = self.grid.regions(size);
            for region in seen.chain(zones).chain(windows) {
                anew.push(regions.add(region));
            }
        }
        let embeddings = cutter.embed(&regions.0, self.embedder)?;

        let mut kept = Vec::new();
        let mut suppressed = Vec::new();
        for (mut candidate, asked) in record.candidates.iter().cloned().zip(asked) {
            if !asked {
                kept.push(candidate);
                continue;
            }
            let at = regions.add(BBox::from_xywh(candidate.bbox));
            let verdict = self.matcher.judge(&candidate.code, &embeddings[at])?;
            candidate.why.samples = samples(&verdict);
            if verdict.ruling == Ruling::Suppress {
                candidate.why.text = verdict.reason.text().get(self.settings.lang).to_owned();
                suppressed.push(candidate);
            } else {
                kept.push(candidate);
            }
        }
        let looked_at: Vec<(BBox, &Embedding)> = anew
            .into_iter()
            .map(|at| (regions.0[at], &embeddings[at]))
            .collect();
        let mut found = Vec::new();
        for kind in kinds {
            let of_kind: Vec<BBox> = kept
                .iter()
                .chain(&suppressed)
                .filter(|c| c.code == kind.code)
                .map(|c| BBox::from_xywh(c.bbox))
                .collect();
            found.extend(self.confirmed(kind, &looked_at, &of_kind, size)?);
        }
        self.say_what_the_bank_did(&mut record.answers);
        self.answer(&mut record.answers, &found, &kept, &suppressed);
        kept.extend(found);
        kept.sort_by(|a, b| b.score.total_cmp(&a.score));
        record.candidates = kept;
        record.suppressed = suppressed;
        Ok(())
    }

    /// A kind that has been taught says what the bank has to say where nothing else settled it: what it lacks, or
    /// that it has looked.
    fn say_what_the_bank_did(&self, answers: &mut [AnswerRecord]) {
        let lang = self.settings.lang;
        let open = answers
            .iter_mut()
            .filter(|a| a.answer == Answer::CannotDetermine);
        for answer in open {
            let bank = if let Some(missing) = self.matcher.missing(&answer.code) {
                let missing = missing.text();
                Text::new(
                    format!("The sample bank cannot confirm it yet. {}", missing.en),
                    format!("样本库尚无法确认此类隐患。{}", missing.zh),
                )
            } else if self.matcher.can_confirm(&answer.code) {
                Text::new(
                    "The sample bank was asked, too, and has found nothing like its confirmed samples.",
                    "已查询样本库，未发现与已确认样本相似之处。",
                )
            } else {
                continue;
            };
            answer.reason = format!("{} {}", answer.reason, bank.get(lang));
        }
    }

    /// The kinds that the bank may find by itself here.
    fn kinds_to_find(&self) -> impl Iterator<Item = &'a HazardKind> {
        let kinds = self.rules.kinds().iter();
        kinds.filter(|kind| {
            self.matcher.can_confirm(&kind.code) && !self.settings.not_here.contains(&kind.code)
        })
    }

    /// What the bank confirms of one kind, where nothing of it is known yet.
    fn confirmed(
        &self,
        kind: &HazardKind,
        looked_at: &[(BBox, &Embedding)],
        known: &[BBox],
        (width, height): (u32, u32),
    ) -> Result<Vec<CandidateRecord>, AskError> {
        let mut hits = Vec::new();
        for (region, embedding) in looked_at {
            let verdict = self.matcher.judge(&kind.code, embedding)?;
            if verdict.ruling == Ruling::Confirm {
                hits.push((*region, verdict));
            }
        }
        // what was cut counts: a thing beside a window shows in its margin
        let cut = |region: BBox| look_region(region, width as f32, height as f32);
        let scored: Vec<(BBox, f64)> = hits
            .iter()
            .map(|(region, verdict)| (cut(*region), verdict.score.map_or(-1.0, f64::from)))
            .collect();
        let is_known = |region: BBox| known.iter().any(|k| same_thing(cut(region), cut(*k)));
        Ok(keep_best(&scored)
            .into_iter()
            .filter(|i| !is_known(hits[*i].0))
            .map(|i| self.candidate(kind, hits[i].0, &hits[i].1))
            .collect())
    }

    fn candidate(&self, kind: &HazardKind, bbox: BBox, verdict: &Verdict) -> CandidateRecord {
        let similarity = |name: &str, n: &Option<Neighbour>| {
            n.as_ref().map(|n| RuleInput {
                name: name.to_owned(),
                value: Some(score(n.similarity)),
                limit: None,
                bbox: None,
            })
        };
        let mut inputs = vec![RuleInput {
            name: "bank_score".to_owned(),
            value: verdict.score.map(score),
            limit: verdict.threshold.map(score),
            bbox: None,
        }];
        inputs.extend(similarity("nearest_positive", &verdict.nearest_positive));
        inputs.extend(similarity("nearest_negative", &verdict.nearest_negative));
        let candidate = Candidate {
            code: kind.code.clone(),
            name: kind.name.clone(),
            severity: kind.severity,
            score: verdict.p_value.map_or(0.0, |p| (1.0 - p) as f32),
            bbox,
            rule: "bank".to_owned(),
            inputs,
            text: explain(&self.matcher, verdict, &kind.code),
            references: kind.citations(self.settings.on.as_deref()),
        };
        let mut record = candidate_record(candidate, self.settings.lang);
        record.why.samples = samples(verdict);
        record
    }

    /// A kind with a candidate is `non_compliant`; one of which all were suppressed cannot be
    /// determined: what people dismissed before may be a hazard today.
    fn answer(
        &self,
        answers: &mut [AnswerRecord],
        found: &[CandidateRecord],
        kept: &[CandidateRecord],
        suppressed: &[CandidateRecord],
    ) {
        for answer in answers {
            let of = |all: &[CandidateRecord]| {
                all.iter()
                    .find(|c| c.code == answer.code)
                    .map(|c| c.why.text.clone())
            };
            if let Some(reason) = of(found) {
                if answer.answer != Answer::NonCompliant {
                    answer.reason = reason;
                }
                answer.answer = Answer::NonCompliant;
            } else if let (Some(reason), None) = (of(suppressed), of(kept)) {
                answer.answer = Answer::CannotDetermine;
                answer.reason = reason;
            }
        }
    }
}

/// The reason, and at which rate and by what it was found out.
pub(super) fn explain(matcher: &Matcher<'_>, verdict: &Verdict, code: &str) -> Text {
    let reason = verdict.reason.text();
    let Some((_, c)) = matcher.kinds().find(|(kind, _)| *kind == code) else {
        return reason;
    };
    let percent = 100.0 * c.false_alarm_rate;
    let (held_out, clean) = (c.held_out, c.clean);
    let (photos, zh) = if clean == held_out {
        (
            format!("{held_out} clean references"),
            format!("正常状态照片{held_out}张"),
        )
    } else {
        (
            format!(
                "{held_out} photos, {clean} of them clean references, the others of other kinds"
            ),
            format!("对照照片{held_out}张，其中正常状态照片{clean}张，其余为其他类别"),
        )
    };
    Text::new(
        format!(
            "{} Rate of false alarms: at most {percent:.0} % of photos of the sort it was held against ({photos}).",
            reason.get(Lang::En),
        ),
        format!(
            "{}误报率：在同类对照照片中不超过{percent:.0}%（{zh}）。",
            reason.get(Lang::Zh),
        ),
    )
}

/// What is embedded: each region once, however many ask for it.
#[derive(Default)]
struct Regions(Vec<BBox>);

impl Regions {
    /// Where this region is.
    fn add(&mut self, region: BBox) -> usize {
        self.0.iter().position(|r| *r == region).unwrap_or_else(|| {
            self.0.push(region);
            self.0.len() - 1
        })
    }
}

pub(super) fn samples(verdict: &Verdict) -> Vec<SampleRecord> {
    let nearest = [&verdict.nearest_positive, &verdict.nearest_negative];
    nearest
        .into_iter()
        .flatten()
        .map(|n| SampleRecord {
            id: n.sample.id.to_string(),
            role: n.sample.role.as_str().to_owned(),
            site: n.sample.place.site.clone(),
            similarity: score(n.similarity),
            photo_sha256: n.sample.photo_sha256.clone(),
            area: n.sample.area,
        })
        .collect()
}
