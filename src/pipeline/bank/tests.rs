use super::*;
use crate::bank::{Bank, EmbedderId, Place, Policy, Role, Sample, Scope};
use crate::embedding::PatchGrid;
use crate::id::Id;
use crate::record::DetectionRecord;
use crate::rules::Catalogue;
use crate::source::photo::PhotoLimits;
use image::RgbImage;
use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Looks at colours in a grid of 4 x 4: enough to tell pictures made up for a test.
struct Colours;

/// As [`Colours`], and counts what it was given.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Embed for Counting {
    fn version(&self) -> &str {
        Colours.version()
    }
    fn dimensions(&self) -> usize {
        Colours.dimensions()
    }
    fn embed(&self, pictures: &[RgbImage]) -> Result<Vec<Embedding>, EmbedError> {
        self.0.fetch_add(pictures.len(), Ordering::Relaxed);
        Colours.embed(pictures)
    }
    fn patches(&self, picture: &RgbImage) -> Result<PatchGrid, EmbedError> {
        Colours.patches(picture)
    }
}

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
            mask: None,
            case: None,
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

fn matcher(bank: &Bank) -> Matcher<'_> {
    Matcher::new(bank, Place::default(), Policy::default())
}

fn ask(bank: &Bank, rules: &RuleSet, record: &mut PhotoRecord, bytes: &[u8]) {
    let settings = PhotoSettings::default();
    let pass = BankPass::new(matcher(bank), &Colours, rules, &settings).unwrap();
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
fn a_kind_that_cannot_be_confirmed_yet_says_what_is_missing() {
    let rules = rules();
    let mut young = bank();
    for n in 105..120u128 {
        (0..2000).for_each(|i| {
            young.remove(id(n * 1000 + i));
        });
    }
    let mut record = judged(&rules, None);
    let bytes = photo(50, Some((ORANGE, 240, 180)));
    ask(&young, &rules, &mut record, &bytes);
    assert_eq!(record.candidates, []);
    let reason = &answer(&record, "EQP-02").reason;
    assert!(reason.starts_with("one photo The sample bank"), "{reason}");
    assert!(reason.contains("Held against 5 pictures"), "{reason}");
    assert_eq!(answer(&record, "STO-07").reason, "one photo");
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
        found.score >= 0.95 && found.why.text.contains("20 clean references"),
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
        let reason = &answer(&record, "EQP-02").reason;
        assert!(
            reason.starts_with("one photo The sample bank was asked"),
            "{reason}"
        );
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
    let pass = BankPass::new(matcher(&bank), &Colours, &rules, &settings)
        .unwrap()
        .with_zones(zones);
    let mut record = judged(&rules, None);
    pass.apply(&mut record, &bytes).unwrap();
    assert_eq!(record.candidates.len(), 1);
    let found = BBox::from_xywh(record.candidates[0].bbox);
    assert!(found.iou(square(270, 150)) > 0.99, "{found:?}");
}

#[test]
fn what_the_bank_has_nothing_to_say_of_is_not_embedded() {
    let (whole, rules, settings) = (bank(), rules(), PhotoSettings::default());
    let bytes = photo(60, Some((ORANGE, 240, 180)));
    let embedded = |bank: &Bank, settings: &PhotoSettings, candidate: Option<(BBox, f32)>| {
        let counting = Counting::default();
        let pass = BankPass::new(matcher(bank), &counting, &rules, settings).unwrap();
        let mut record = judged(&rules, candidate);
        pass.apply(&mut record, &bytes).unwrap();
        assert_eq!(record.candidates.len(), usize::from(candidate.is_some()));
        counting.0.into_inner()
    };
    // beside every window
    let candidate = Some((square(245, 185), 0.8));
    // the detection is the candidate's own box
    assert_eq!(embedded(&whole, &settings, candidate), 1 + 53);
    // without photos to hold it against nothing is confirmed: only the candidate is looked at
    let mut few = Bank::new(1, whole.embedder().clone());
    let thing = photo(0, Some((ORANGE, 0, 0)));
    teach(&mut few, 0, Role::Positive, &thing, &[square(0, 0)]);
    assert_eq!(embedded(&few, &settings, candidate), 1);
    assert_eq!(embedded(&few, &settings, None), 0);
    // and of a kind that cannot be here nothing is looked for
    let not_here = PhotoSettings {
        not_here: ["EQP-02".to_owned()].into(),
        ..PhotoSettings::default()
    };
    assert_eq!(embedded(&whole, &not_here, None), 0);
}

#[test]
fn what_lies_outside_a_mask_does_not_count() {
    // the same thing before two walls
    let embedded = |seed: u64, mask: Option<&bank::Mask>| {
        let bytes = photo(seed, Some((ORANGE, 180, 120)));
        let cutter = Cutter::new(&bytes, &PhotoLimits::default()).unwrap();
        let area = fractions(BBox::new(120.0, 60.0, 360.0, 300.0), cutter.size());
        let area = mask.map_or(area, bank::Mask::area);
        cutter
            .embed_samples(&[(area, mask)], &Colours)
            .unwrap()
            .remove(0)
    };
    let corners = "180,120,300,120,300,240,180,240";
    let mask = bank::Mask::parse(corners, [480.0, 360.0]).unwrap();
    assert_ne!(embedded(1, None), embedded(2, None));
    assert_eq!(embedded(1, Some(&mask)), embedded(2, Some(&mask)));
}

#[test]
fn another_embedder_is_refused() {
    let embedder = EmbedderId {
        version: "other 1".to_owned(),
        dimensions: 48,
    };
    let (bank, rules) = (Bank::new(1, embedder), rules());
    let settings = PhotoSettings::default();
    let refused = BankPass::new(matcher(&bank), &Colours, &rules, &settings);
    assert!(matches!(refused, Err(bank::BankError::Embedder { .. })));
}

#[test]
fn fractions_and_pixels_are_one_thing() {
    let region = BBox::new(12.0, 7.0, 480.0, 300.5);
    let back = pixels(fractions(region, (481, 361)), (481, 361));
    assert!(back.iou(region) > 0.9999, "{back:?}");
}
