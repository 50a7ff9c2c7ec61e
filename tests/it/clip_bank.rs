//! A watched view and the sample bank: what is dismissed stays away, what only the bank knows is found, and the
//! embedder is not asked for every frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{Rgb, RgbImage};
use sitewarden::bank::{Bank, EmbedderId, Grid, Place, Role, Ruling, Sample, Scope};
use sitewarden::embedding::{Embedding, PatchGrid};
use sitewarden::geometry::BBox;
use sitewarden::id::Id;
use sitewarden::inference::{Embed, EmbedError};
use sitewarden::jobs::Judge;
use sitewarden::pipeline::bank::{Cutter, Taught, fractions};
use sitewarden::pipeline::clip::{ClipWatch, EventKind, FindingEvent};
use sitewarden::pipeline::clip_file::WatchConfig;

use crate::api::support::{Colours, judge};

const ORANGE: [u8; 3] = [250, 130, 10];
const GREEN: [u8; 3] = [10, 220, 60];
const SIZE: (u32, u32) = (320, 240);

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
    fn patches(&self, _: &RgbImage) -> Result<PatchGrid, EmbedError> {
        unreachable!("the bank compares whole regions")
    }
}

/// Grey cells, other ones for each seed, with a chequered patch of a colour.
fn frame(seed: u64, patch: Option<([u8; 3], BBox)>) -> RgbImage {
    let mut rng = fastrand::Rng::with_seed(seed);
    let base: Vec<u8> = (0..16 * 12).map(|_| rng.u8(60..190)).collect();
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| match patch {
        Some((colour, at)) if at.contains((x as f32, y as f32)) => {
            let dark = (x / 20 + y / 20).is_multiple_of(2);
            Rgb(colour.map(|c| if dark { c / 3 } else { c }))
        }
        _ => Rgb([base[(y / 20 * 16 + x / 20) as usize]; 3]),
    })
}

fn all() -> BBox {
    BBox::new(0.0, 0.0, SIZE.0 as f32, SIZE.1 as f32)
}

fn teach(
    bank: &mut Bank,
    photo: u64,
    role: Role,
    code: &str,
    picture: &RgbImage,
    regions: &[BBox],
) {
    let embeddings = Cutter::of_frame(picture, SIZE)
        .embed(regions, &Colours)
        .unwrap();
    for (region, embedding) in regions.iter().zip(embeddings) {
        let n = u128::from(photo) * 1000 + bank.len() as u128;
        let sample = Sample {
            id: Id::from_uuid(uuid::Uuid::from_u128(n)),
            role,
            hazard: (role != Role::Reference).then(|| code.to_owned()),
            scope: Scope::Everywhere,
            place: Place::default(),
            photo_sha256: format!("{photo:064x}"),
            area: fractions(*region, SIZE),
            mask: None,
            case: None,
        };
        bank.insert(sample, &embedding).unwrap();
    }
}

fn empty() -> Bank {
    let embedder = EmbedderId {
        version: Colours.version().to_owned(),
        dimensions: Colours.dimensions(),
    };
    Bank::new(7, embedder)
}

struct Case {
    judge: Judge,
    eyes: Arc<Counting>,
    taught: Arc<Taught>,
}

impl Case {
    fn new(bank: Bank) -> Self {
        let eyes = Arc::<Counting>::default();
        Self {
            judge: judge(),
            taught: Arc::new(Taught::new(bank, eyes.clone())),
            eyes,
        }
    }

    fn embedded(&self) -> usize {
        self.eyes.0.load(Ordering::Relaxed)
    }
}

/// A frame a second, from one moment to another.
fn watched(
    watch: &mut ClipWatch<'_>,
    (from_s, until_s): (u32, u32),
    picture: &RgbImage,
) -> Vec<FindingEvent> {
    (from_s..until_s)
        .flat_map(|n| watch.frame(f64::from(n), picture).unwrap())
        .collect()
}

fn of<'e>(events: &'e [FindingEvent], code: &str) -> Vec<&'e FindingEvent> {
    events.iter().filter(|e| e.code == code).collect()
}

#[test]
fn a_dismissed_look_alike_is_told_once_and_a_true_one_in_its_place_is_opened() {
    // the detector takes everything bright for a bare head
    let mut bank = empty();
    for n in 0..6 {
        let picture = frame(n, Some((ORANGE, all())));
        teach(&mut bank, n, Role::Positive, "PPE-01", &picture, &[all()]);
    }
    for n in 10..13 {
        let picture = frame(n, Some((GREEN, all())));
        teach(&mut bank, n, Role::Negative, "PPE-01", &picture, &[all()]);
    }
    let case = Case::new(bank);
    let pipeline = case.judge.pipeline();
    let begin = || WatchConfig::default().begin(&pipeline, false).unwrap();
    let taught = case.taught.clone();
    let mut watch = begin().with_bank(Box::new(move || Some(taught.clone())), Place::default());
    let green = frame(20, Some((GREEN, all())));
    let events = watched(&mut watch, (0, 150), &green);
    let told = of(&events, "PPE-01");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].event, told[0].finding), (EventKind::Suppressed, 0));
    let said = told[0].bank.as_ref().unwrap();
    assert_eq!((said.ruling, said.asked.version), (Ruling::Suppress, 7));
    assert_eq!(said.samples[1].role, "negative");
    assert!(told[0].reason.contains("dismissed"), "{told:?}");
    assert!((1..=3).contains(&case.embedded()), "{}", case.embedded());

    let events = watched(&mut watch, (150, 220), &frame(21, Some((ORANGE, all()))));
    let told = of(&events, "PPE-01");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].event, told[0].finding), (EventKind::Opened, 1));
    let said = told[0].bank.as_ref().unwrap();
    assert_eq!(said.samples[0].role, "positive");
    assert!(case.embedded() <= 5, "{}", case.embedded());

    // without the bank it is opened at once
    let events = watched(&mut begin(), (0, 10), &green);
    let told = of(&events, "PPE-01");
    assert_eq!((told.len(), told[0].event), (1, EventKind::Opened));
    assert!(told[0].bank.is_none());
}

#[test]
fn a_kind_that_only_the_bank_knows_is_found_and_cleared_at_a_bounded_cost() {
    let (place, elsewhere) = (
        BBox::new(160.0, 120.0, 240.0, 200.0),
        BBox::new(10.0, 10.0, 90.0, 90.0),
    );
    let mut bank = empty();
    for n in 0..5 {
        let picture = frame(n, Some((ORANGE, elsewhere)));
        teach(
            &mut bank,
            n,
            Role::Positive,
            "EQP-02",
            &picture,
            &[elsewhere],
        );
    }
    for n in 100..120 {
        let windows = Grid::default().regions(SIZE);
        teach(&mut bank, n, Role::Reference, "", &frame(n, None), &windows);
    }
    let case = Case::new(bank);
    let pipeline = case.judge.pipeline();
    let begin = || {
        let taught = case.taught.clone();
        let watch = WatchConfig::default().begin(&pipeline, false).unwrap();
        watch.with_bank(Box::new(move || Some(taught.clone())), Place::default())
    };
    let mut watch = begin();
    let clean = watched(&mut watch, (0, 70), &frame(50, None));
    assert_eq!(of(&clean, "EQP-02"), Vec::<&FindingEvent>::new());
    // nothing has moved: one round over the view, and a detection
    let round = case.embedded();
    assert!((53..=61).contains(&round), "{round}");

    let there = watched(&mut watch, (70, 150), &frame(50, Some((ORANGE, place))));
    let told = of(&there, "EQP-02");
    assert_eq!(told.len(), 1, "{told:?}");
    let opened = told[0];
    assert_eq!(opened.event, EventKind::Opened);
    assert!(opened.time_s >= 110.0, "three looks: {opened:?}");
    assert!(BBox::from_xywh(opened.bbox).iou(place) > 0.4, "{opened:?}");
    assert!(
        opened.score >= 0.95 && opened.reason.contains("20 clean references"),
        "{opened:?}"
    );
    assert_eq!(opened.bank.as_ref().unwrap().ruling, Ruling::Confirm);
    assert!(case.embedded() <= 2 * 61, "{}", case.embedded());

    // remembered over a restart, and seen to be gone
    let mut again = begin();
    again.recall(watch.memory());
    let there = watched(&mut again, (0, 90), &frame(50, Some((ORANGE, place))));
    assert_eq!(of(&there, "EQP-02"), Vec::<&FindingEvent>::new());
    let gone = watched(&mut again, (90, 180), &frame(50, None));
    let told = of(&gone, "EQP-02");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0].event, told[0].finding),
        (EventKind::Cleared, opened.finding)
    );
}
