//! A photo and the sample bank: regions, their embeddings, and what the bank says of them.

use image::RgbImage;

use super::photo::{JudgeError, PhotoSettings, candidate_record, guarded, score};
use super::picture::upright;
use crate::bank::{
    self, Bank, Grid, Matcher, Neighbour, Place, Policy, Ruling, Verdict, keep_best, same_thing,
};
use crate::embedding::{Embedding, look_region};
use crate::geometry::BBox;
use crate::hazard::{Answer, Candidate, Lang, RuleInput, Text};
use crate::inference::{Embed, EmbedError};
use crate::record::{AnswerRecord, BankRecord, CandidateRecord, PhotoRecord, SampleRecord};
use crate::rules::{HazardKind, RuleSet};
use crate::source::photo::PhotoLimits;
use crate::zone::Zones;

/// Longer side of the picture that regions are cut from, pixels: more brings an embedder nothing.
const SIDE: u32 = 1280;
/// Regions embedded at once: bounds the memory.
const AT_ONCE: usize = 16;
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

/// A photo that regions are cut from: always the same pixels for the same photo and region, so that a
/// sample and the photo it came from are alike to the last bit.
pub struct Cutter {
    picture: RgbImage,
    size: (u32, u32),
}

impl Cutter {
    /// Decodes a photo.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn new(bytes: &[u8], limits: &PhotoLimits) -> Result<Self, JudgeError> {
        guarded(|| {
            let (picture, size) = upright(bytes, limits, SIDE)?;
            Ok(Self { picture, size })
        })
    }

    /// Width and height of the upright photo, pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The part of the photo in a box of original pixels, with its context; at least one pixel.
    fn cut(&self, region: BBox) -> RgbImage {
        let region = look_region(region, self.size.0 as f32, self.size.1 as f32);
        let (width, height) = self.picture.dimensions();
        let (sx, sy) = (
            width as f32 / self.size.0 as f32,
            height as f32 / self.size.1 as f32,
        );
        let start = |v: f32, most: u32| (v.max(0.0).round() as u32).min(most - 1);
        let (x, y) = (start(region.x1 * sx, width), start(region.y1 * sy, height));
        let end = |v: f32, from: u32, most: u32| (v.round() as u32).clamp(from + 1, most);
        let w = end(region.x2 * sx, x, width) - x;
        let h = end(region.y2 * sy, y, height) - y;
        image::imageops::crop_imm(&self.picture, x, y, w, h).to_image()
    }

    /// The embeddings of parts of the photo.
    ///
    /// # Errors
    /// When the embedder fails.
    pub fn embed(
        &self,
        regions: &[BBox],
        embedder: &dyn Embed,
    ) -> Result<Vec<Embedding>, EmbedError> {
        let mut all = Vec::with_capacity(regions.len());
        for regions in regions.chunks(AT_ONCE) {
            let pictures: Vec<RgbImage> = regions.iter().map(|r| self.cut(*r)).collect();
            all.extend(embedder.embed(&pictures)?);
        }
        Ok(all)
    }
}

/// `[x1, y1, x2, y2]` in fractions of the photo.
pub fn fractions(region: BBox, (width, height): (u32, u32)) -> [f64; 4] {
    let part = |v: f32, whole: u32| (f64::from(v) / f64::from(whole)).clamp(0.0, 1.0);
    [
        part(region.x1, width),
        part(region.y1, height),
        part(region.x2, width),
        part(region.y2, height),
    ]
}

/// The box of [`fractions`].
pub fn pixels([x1, y1, x2, y2]: [f64; 4], (width, height): (u32, u32)) -> BBox {
    let at = |part: f64, whole: u32| (part * f64::from(whole)) as f32;
    BBox::new(at(x1, width), at(y1, height), at(x2, width), at(y2, height))
}

/// The sample bank, asked for photos of one place.
pub struct BankPass<'a> {
    matcher: Matcher<'a>,
    embedder: &'a dyn Embed,
    rules: &'a RuleSet,
    grid: Grid,
    zones: Zones,
    place: Place,
    settings: &'a PhotoSettings,
}

impl<'a> BankPass<'a> {
    /// Asks `bank` with `embedder`, which has to be the bank's, for the kinds of `rules`.
    ///
    /// # Errors
    /// When the embedder is another one.
    pub fn new(
        bank: &'a Bank,
        embedder: &'a dyn Embed,
        rules: &'a RuleSet,
        place: Place,
        policy: Policy,
        settings: &'a PhotoSettings,
    ) -> Result<Self, bank::BankError> {
        if embedder.version() != bank.embedder().version {
            return Err(bank::BankError::Embedder {
                has: embedder.version().to_owned(),
                needs: bank.embedder().version.clone(),
            });
        }
        Ok(Self {
            matcher: Matcher::new(bank, place.clone(), policy),
            embedder,
            rules,
            grid: Grid::default(),
            zones: Zones::default(),
            place,
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
        let (bank, policy) = (self.matcher.bank(), self.matcher.policy());
        BankRecord {
            version: bank.version(),
            embedder: bank.embedder().version.clone(),
            samples: bank.len(),
            false_alarm_rate: policy.false_alarm_rate,
            miss_rate: policy.miss_rate,
            site: self.place.site.clone(),
        }
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
        let cutter = Cutter::new(bytes, &self.settings.limits)?;
        let size = cutter.size();
        // candidates first, in their order: their embeddings are found again by it
        let mut regions: Vec<BBox> = record
            .candidates
            .iter()
            .map(|c| BBox::from_xywh(c.bbox))
            .collect();
        let candidates = regions.len();
        let detections = record.detections.iter().take(MOST_DETECTIONS);
        regions.extend(detections.map(|d| BBox::from_xywh(d.bbox)));
        regions.extend(self.zones.zones.iter().map(|zone| zone.bbox(size)));
        regions.extend(self.grid.regions(size));
        let embeddings = cutter.embed(&regions, self.embedder)?;

        let (known, new) = embeddings.split_at(candidates);
        let mut kept = Vec::new();
        let mut suppressed = Vec::new();
        for (mut candidate, embedding) in record.candidates.iter().cloned().zip(known) {
            let verdict = self.matcher.judge(&candidate.code, embedding)?;
            candidate.why.samples = samples(&verdict);
            if verdict.ruling == Ruling::Suppress {
                candidate.why.text = self.explained(&verdict, None);
                suppressed.push(candidate);
            } else {
                kept.push(candidate);
            }
        }
        let mut found = Vec::new();
        for kind in self.rules.kinds() {
            let of_kind: Vec<BBox> = kept
                .iter()
                .chain(&suppressed)
                .filter(|c| c.code == kind.code)
                .map(|c| BBox::from_xywh(c.bbox))
                .collect();
            if self.settings.not_here.contains(&kind.code) {
                continue;
            }
            found.extend(self.confirmed(kind, &regions[candidates..], new, &of_kind, size)?);
        }
        self.answer(&mut record.answers, &found, &kept, &suppressed);
        kept.extend(found);
        kept.sort_by(|a, b| b.score.total_cmp(&a.score));
        record.candidates = kept;
        record.suppressed = suppressed;
        Ok(())
    }

    /// What the bank confirms of one kind, where nothing of it is known yet.
    fn confirmed(
        &self,
        kind: &HazardKind,
        regions: &[BBox],
        embeddings: &[Embedding],
        known: &[BBox],
        (width, height): (u32, u32),
    ) -> Result<Vec<CandidateRecord>, AskError> {
        if self.matcher.kinds().all(|(code, _)| code != kind.code) {
            return Ok(Vec::new());
        }
        let mut hits = Vec::new();
        for (region, embedding) in regions.iter().zip(embeddings) {
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
            text: Text::new(
                self.explain(verdict, Some(&kind.code), Lang::En),
                self.explain(verdict, Some(&kind.code), Lang::Zh),
            ),
            references: kind.citations(self.settings.on.as_deref()),
        };
        let mut record = candidate_record(candidate, self.settings.lang);
        record.why.samples = samples(verdict);
        record
    }

    fn explained(&self, verdict: &Verdict, code: Option<&str>) -> String {
        self.explain(verdict, code, self.settings.lang)
    }

    /// The reason, and at which rate and by what it was found out.
    fn explain(&self, verdict: &Verdict, code: Option<&str>, lang: Lang) -> String {
        let mut text = verdict.reason.text().get(lang).to_owned();
        let calibration = self
            .matcher
            .kinds()
            .find(|(kind, _)| Some(*kind) == code)
            .map(|(_, calibration)| calibration);
        if let Some(c) = calibration {
            let percent = 100.0 * c.false_alarm_rate;
            text += &match lang {
                Lang::En => format!(
                    " Rate of false alarms: at most {percent:.0} % of photos of the sort it was held against ({} photos, {} of them clean references, the others of other kinds).",
                    c.held_out, c.clean
                ),
                Lang::Zh => format!(
                    "误报率：在同类对照照片中不超过{percent:.0}%（对照照片{}张，其中正常状态照片{}张，其余为其他类别）。",
                    c.held_out, c.clean
                ),
            };
        }
        text
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

fn samples(verdict: &Verdict) -> Vec<SampleRecord> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::{EmbedderId, Role, Sample, Scope};
    use crate::embedding::PatchGrid;
    use crate::id::Id;
    use crate::record::DetectionRecord;
    use crate::rules::Catalogue;
    use std::io::Cursor;

    /// Looks at colours in a grid of 4 x 4: enough to tell pictures made up for a test.
    struct Colours;

    impl Embed for Colours {
        fn version(&self) -> &str {
            "colours 1"
        }
        fn dimensions(&self) -> usize {
            48
        }
        fn embed(&self, pictures: &[RgbImage]) -> Result<Vec<Embedding>, EmbedError> {
            let one = |picture: &RgbImage| {
                let small = image::imageops::thumbnail(picture, 4, 4);
                let values = small
                    .as_raw()
                    .iter()
                    .map(|v| f32::from(*v) - 127.0)
                    .collect();
                Embedding::normalised(values).unwrap()
            };
            Ok(pictures.iter().map(one).collect())
        }
        fn patches(&self, _: &RgbImage) -> Result<PatchGrid, EmbedError> {
            unreachable!("the bank compares whole regions")
        }
    }

    const ORANGE: [u8; 3] = [250, 130, 10];
    const GREEN: [u8; 3] = [10, 200, 60];

    /// Grey noise of 480 x 360, with a chequered patch of a colour at (`x`, `y`), 120 wide.
    fn photo(seed: u64, patch: Option<([u8; 3], u32, u32)>) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let base: Vec<u8> = (0..12 * 9).map(|_| rng.u8(60..190)).collect();
        let picture = RgbImage::from_fn(480, 360, |px, py| {
            if let Some((colour, x, y)) = patch
                && (x..x + 120).contains(&px)
                && (y..y + 120).contains(&py)
            {
                let dark = (px - x) / 30 % 2 == (py - y) / 30 % 2;
                return image::Rgb(colour.map(|c| if dark { c / 3 } else { c }));
            }
            image::Rgb([base[(py / 40 * 12 + px / 40) as usize]; 3])
        });
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    fn id(n: u128) -> Id {
        Id::from_uuid(uuid::Uuid::from_u128(n))
    }

    fn teach(bank: &mut Bank, n: u64, role: Role, bytes: &[u8], regions: &[BBox]) {
        let cutter = Cutter::new(bytes, &PhotoLimits::default()).unwrap();
        let embeddings = cutter.embed(regions, &Colours).unwrap();
        for (region, embedding) in regions.iter().zip(embeddings) {
            let sample = Sample {
                id: id(u128::from(n) * 1000 + bank.len() as u128),
                role,
                hazard: (role != Role::Reference).then(|| "EQP-02".to_owned()),
                scope: Scope::Everywhere,
                place: Place::default(),
                photo_sha256: format!("{n:064x}"),
                area: fractions(*region, cutter.size()),
            };
            bank.insert(sample, &embedding).unwrap();
        }
    }

    fn square(x: u32, y: u32) -> BBox {
        BBox::new(x as f32, y as f32, x as f32 + 120.0, y as f32 + 120.0)
    }

    /// Five photos with an orange patch as EQP-02, twenty clean ones.
    fn bank() -> Bank {
        let embedder = EmbedderId {
            version: "colours 1".to_owned(),
            dimensions: 48,
        };
        let mut bank = Bank::new(7, embedder);
        for n in 0..5 {
            let (x, y) = (20 * n as u32, 10 * n as u32);
            teach(
                &mut bank,
                n,
                Role::Positive,
                &photo(n, Some((ORANGE, x, y))),
                &[square(x, y)],
            );
        }
        for n in 100..120 {
            teach(
                &mut bank,
                n,
                Role::Reference,
                &photo(n, None),
                &Grid::default().regions((480, 360)),
            );
        }
        bank
    }

    fn judged(rules: &RuleSet, candidate: Option<(BBox, f32)>) -> PhotoRecord {
        let mut record = PhotoRecord::unreadable("a.png".to_owned(), String::new());
        record.error = None;
        record.answers = rules
            .kinds()
            .iter()
            .map(|kind| AnswerRecord {
                code: kind.code.clone(),
                answer: Answer::CannotDetermine,
                reason: "one photo".to_owned(),
            })
            .collect();
        if let Some((bbox, score)) = candidate {
            record.detections.push(DetectionRecord {
                label: "thing".to_owned(),
                score,
                bbox: bbox.to_xywh(),
            });
            let candidate = Candidate {
                code: "EQP-02".to_owned(),
                name: Text::new("w", "w"),
                severity: crate::hazard::Severity::General,
                score,
                bbox,
                rule: "presence".to_owned(),
                inputs: Vec::new(),
                text: Text::new("seen", "seen"),
                references: Vec::new(),
            };
            record
                .candidates
                .push(candidate_record(candidate, Lang::En));
            for answer in record.answers.iter_mut().filter(|a| a.code == "EQP-02") {
                answer.answer = Answer::NonCompliant;
            }
        }
        record
    }

    fn ask(bank: &Bank, rules: &RuleSet, record: &mut PhotoRecord, bytes: &[u8]) {
        let policy = Policy::default();
        let settings = PhotoSettings::default();
        let place = Place::default();
        let pass = BankPass::new(bank, &Colours, rules, place, policy, &settings).unwrap();
        pass.apply(record, bytes).unwrap();
        assert_eq!(pass.record().version, 7);
    }

    fn rules() -> RuleSet {
        RuleSet::new(&Catalogue::builtin(), None).unwrap()
    }

    fn answer<'r>(record: &'r PhotoRecord, code: &str) -> &'r AnswerRecord {
        record.answers.iter().find(|a| a.code == code).unwrap()
    }

    #[test]
    fn a_kind_without_a_detector_is_found_by_its_samples() {
        let (bank, rules) = (bank(), rules());
        let bytes = photo(50, Some((ORANGE, 240, 180)));
        let mut record = judged(&rules, None);
        ask(&bank, &rules, &mut record, &bytes);
        assert_eq!(record.candidates.len(), 1, "{:?}", record.candidates);
        let found = &record.candidates[0];
        assert_eq!(
            (found.code.as_str(), found.why.rule.as_str()),
            ("EQP-02", "bank")
        );
        assert!(
            BBox::from_xywh(found.bbox).iou(square(240, 180)) > 0.5,
            "{found:?}"
        );
        assert!(
            found.score >= 0.95 && found.why.text.contains("20 photos"),
            "{found:?}"
        );
        assert_eq!(found.why.samples[0].role, "positive");
        assert_eq!(answer(&record, "EQP-02").answer, Answer::NonCompliant);
        assert_eq!(answer(&record, "STO-07").answer, Answer::CannotDetermine);
        // a clean photo, and one of another colour, show nothing
        for other in [photo(51, None), photo(52, Some((GREEN, 240, 180)))] {
            let mut record = judged(&rules, None);
            ask(&bank, &rules, &mut record, &other);
            assert_eq!(record.candidates, []);
            assert_eq!(answer(&record, "EQP-02").reason, "one photo");
        }
    }

    #[test]
    fn the_sixth_look_alike_is_suppressed_and_a_true_one_stays() {
        let (mut bank, rules) = (bank(), rules());
        for n in 200..205 {
            teach(
                &mut bank,
                n,
                Role::Negative,
                &photo(n, Some((GREEN, 100, 100))),
                &[square(100, 100)],
            );
        }
        let bytes = photo(60, Some((GREEN, 240, 180)));
        let mut record = judged(&rules, Some((square(240, 180), 0.8)));
        ask(&bank, &rules, &mut record, &bytes);
        assert_eq!(record.candidates, []);
        assert_eq!(record.suppressed.len(), 1);
        assert_eq!(record.suppressed[0].why.samples[1].role, "negative");
        let said = answer(&record, "EQP-02");
        assert_eq!(said.answer, Answer::CannotDetermine);
        assert!(said.reason.contains("dismissed"), "{said:?}");

        let bytes = photo(61, Some((ORANGE, 240, 180)));
        let mut record = judged(&rules, Some((square(240, 180), 0.8)));
        ask(&bank, &rules, &mut record, &bytes);
        assert_eq!((record.candidates.len(), record.suppressed.len()), (1, 0));
        assert_eq!(record.candidates[0].why.rule, "presence");
        assert_eq!(record.candidates[0].why.samples.len(), 2);
    }

    #[test]
    fn a_zone_is_looked_at_as_it_was_drawn() {
        let (bank, rules, settings) = (bank(), rules(), PhotoSettings::default());
        // between the windows
        let bytes = photo(70, Some((ORANGE, 270, 150)));
        let corner = |x: f32, y: f32| format!("[{}, {}]", x / 480.0, y / 360.0);
        let zones = Zones::parse(&format!(
            "[[zone]]\nname = \"cable\"\nkind = \"work_area\"\npolygon = [{}, {}, {}, {}]",
            corner(270.0, 150.0),
            corner(390.0, 150.0),
            corner(390.0, 270.0),
            corner(270.0, 270.0)
        ))
        .unwrap();
        let policy = Policy::default();
        let pass = BankPass::new(&bank, &Colours, &rules, Place::default(), policy, &settings)
            .unwrap()
            .with_zones(zones);
        let mut record = judged(&rules, None);
        pass.apply(&mut record, &bytes).unwrap();
        assert_eq!(record.candidates.len(), 1);
        let found = BBox::from_xywh(record.candidates[0].bbox);
        assert!(found.iou(square(270, 150)) > 0.99, "{found:?}");
    }

    #[test]
    fn another_embedder_is_refused() {
        let embedder = EmbedderId {
            version: "other 1".to_owned(),
            dimensions: 48,
        };
        let (bank, rules) = (Bank::new(1, embedder), rules());
        let policy = Policy::default();
        let settings = PhotoSettings::default();
        let refused = BankPass::new(&bank, &Colours, &rules, Place::default(), policy, &settings);
        assert!(matches!(refused, Err(bank::BankError::Embedder { .. })));
    }

    #[test]
    fn fractions_and_pixels_are_one_thing() {
        let region = BBox::new(12.0, 7.0, 480.0, 300.5);
        let back = pixels(fractions(region, (481, 361)), (481, 361));
        assert!(back.iou(region) > 0.9999, "{back:?}");
    }
}
