use proptest::prelude::*;

use super::*;

mod trust;

/// A unit vector of this number.
pub(super) fn unit(dimensions: usize, number: u64) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(number);
    let values = (0..dimensions).map(|_| rng.f32() - 0.5).collect();
    Embedding::normalised(values).unwrap().values().to_vec()
}

const D: usize = 32;

/// `towards` a look, with so much else (by `number`) mixed in.
pub(super) fn look(towards: u64, noise: f32, number: u64) -> Embedding {
    let (a, b) = (unit(D, towards), unit(D, 1_000_000 + number));
    Embedding::normalised(a.iter().zip(&b).map(|(a, b)| a + noise * b).collect()).unwrap()
}

pub(super) fn id(n: u64) -> Id {
    Id::from_uuid(uuid::Uuid::from_u128(u128::from(n)))
}

pub(super) fn sample(n: u64, role: Role, hazard: &str, site: &str) -> Sample {
    Sample {
        id: id(n),
        role,
        hazard: (!hazard.is_empty()).then(|| hazard.to_owned()),
        scope: Scope::Everywhere,
        place: place(site),
        photo_sha256: format!("{n:064x}"),
        area: [0.0, 0.0, 1.0, 1.0],
        mask: None,
        case: None,
    }
}

fn place(site: &str) -> Place {
    Place {
        site: site.to_owned(),
        camera: String::new(),
    }
}

pub(super) fn embedder() -> EmbedderId {
    EmbedderId {
        version: "test 1".to_owned(),
        dimensions: D,
    }
}

/// The look of temporary wiring, of a hose that is taken for it, and of nothing.
const WIRING: u64 = 1;
const HOSE: u64 = 2;
const CLEAN: u64 = 100;

/// `positives` of EQP-02 at `site`, and 40 clean references, each of another look.
fn taught(positives: u64, site: &str) -> Bank {
    let mut bank = Bank::new(1, embedder());
    for n in 0..positives {
        bank.insert(
            sample(n, Role::Positive, "EQP-02", site),
            &look(WIRING, 0.5, n),
        )
        .unwrap();
    }
    for n in 0..40 {
        bank.insert(
            sample(1000 + n, Role::Reference, "", site),
            &look(CLEAN + n, 0.5, 1000 + n),
        )
        .unwrap();
    }
    bank
}

fn judge(bank: &Bank, site: &str, probe: &Embedding) -> Verdict {
    Matcher::new(bank, place(site), Policy::default())
        .judge("EQP-02", probe)
        .unwrap()
}

#[test]
fn a_handful_of_photos_teaches_a_kind() {
    for positives in [1, 2, 5, 10] {
        let bank = taught(positives, "a");
        let seen = judge(&bank, "a", &look(WIRING, 0.5, 500));
        assert_eq!(seen.ruling, Ruling::Confirm, "{positives}: {seen:?}");
        assert!(seen.score > seen.threshold && seen.p_value <= Some(0.05));
        assert!(seen.nearest_positive.is_some() && seen.nearest_negative.is_none());
        let other = judge(&bank, "a", &look(7, 0.5, 501));
        assert_eq!(other.reason, Reason::NotNearEnough);
    }
}

#[test]
fn the_rate_of_false_alarms_is_kept() {
    let bank = taught(5, "a");
    let matcher = Matcher::new(&bank, place("a"), Policy::default());
    // pictures of the same sort as the clean references
    let alarms = (0..2000)
        .filter(|n| {
            let probe = look(10_000 + n, 0.5, 5000 + n);
            matcher.judge("EQP-02", &probe).unwrap().ruling == Ruling::Confirm
        })
        .count();
    // 5 % of 2000 on average over sets of references; this set is one of many
    assert!(alarms < 200, "{alarms}");
    assert!(
        alarms > 0,
        "a threshold that nothing passes is no threshold"
    );
    let (_, calibration) = matcher.kinds().next().unwrap();
    assert_eq!((calibration.held_out, calibration.clean), (40, 40));
    assert_eq!(calibration.regions_each, 1);
}

#[test]
fn one_photo_said_again_and_again_counts_once() {
    let mut bank = taught(5, "a");
    for n in 0..40 {
        bank.remove(id(1000 + n));
        // the same place, encoded anew
        let again = sample(1000 + n, Role::Reference, "", "a");
        bank.insert(again, &look(CLEAN, 0.1, 1000 + n)).unwrap();
    }
    let probe = look(WIRING, 0.5, 500);
    assert_eq!(judge(&bank, "a", &probe).ruling, Ruling::Confirm);
    let policy = Policy {
        one_photo: Some(0.96),
        ..Policy::default()
    };
    let matcher = Matcher::new(&bank, place("a"), policy);
    let seen = matcher.judge("EQP-02", &probe).unwrap();
    assert_eq!(seen.reason, Reason::TooFewHeldOut { has: 1, needs: 19 });
}

#[test]
fn a_dismissal_or_two_hide_nothing() {
    let mut bank = taught(6, "a");
    let probe = look(WIRING, 0.5, 500);
    for n in 0..2 {
        let negative = sample(200 + n, Role::Negative, "EQP-02", "elsewhere");
        bank.insert(negative, &probe).unwrap();
        let seen = judge(&bank, "a", &probe);
        assert_eq!(seen.ruling, Ruling::Confirm, "{n}: {seen:?}");
        assert!(seen.nearest_negative.is_some());
    }
}

#[test]
fn five_dismissals_suppress_the_sixth_and_true_ones_stay() {
    let mut bank = taught(6, "a");
    let hose = |n: u64| look(HOSE, 0.3, 200 + n);
    for n in 0..5 {
        let mut negative = sample(200 + n, Role::Negative, "EQP-02", "a");
        negative.scope = Scope::Camera;
        negative.place.camera = "gate".to_owned();
        bank.insert(negative, &hose(n)).unwrap();
    }
    let here = Place {
        site: "a".to_owned(),
        camera: "gate".to_owned(),
    };
    let matcher = Matcher::new(&bank, here, Policy::default());
    let sixth = matcher.judge("EQP-02", &hose(5)).unwrap();
    assert_eq!(sixth.ruling, Ruling::Suppress, "{sixth:?}");
    assert_eq!(sixth.nearest_negative.unwrap().sample.role, Role::Negative);
    for n in 0..20 {
        let true_one = matcher
            .judge("EQP-02", &look(WIRING, 0.5, 600 + n))
            .unwrap();
        assert_eq!(true_one.ruling, Ruling::Confirm, "{true_one:?}");
    }
    // another camera has not dismissed anything
    let elsewhere = judge(&bank, "a", &hose(5));
    assert_ne!(elsewhere.ruling, Ruling::Suppress);
    assert_eq!(elsewhere.nearest_negative, None);
}

#[test]
fn what_cannot_be_said_is_unknown_with_the_reason() {
    let probe = look(WIRING, 0.5, 500);
    let empty = Bank::new(0, embedder());
    assert_eq!(judge(&empty, "a", &probe).reason, Reason::NoSamples);

    let mut negatives = Bank::new(1, embedder());
    for n in 0..9 {
        let negative = sample(n, Role::Negative, "EQP-02", "a");
        negatives.insert(negative, &look(WIRING, 0.2, n)).unwrap();
    }
    let seen = judge(&negatives, "a", &probe);
    assert_eq!(seen.reason, Reason::OnlyNegatives);
    assert!(seen.nearest_negative.is_some());

    // of one kind only: nothing to hold a score against
    let mut positives = Bank::new(1, embedder());
    for n in 0..9 {
        let positive = sample(n, Role::Positive, "EQP-02", "a");
        positives.insert(positive, &look(WIRING, 0.2, n)).unwrap();
    }
    let seen = judge(&positives, "a", &probe);
    assert_eq!(seen.reason, Reason::TooFewHeldOut { has: 0, needs: 19 });
    assert!(seen.score.is_some() && seen.threshold.is_none());
    // other kinds stand in for clean references
    for n in 0..19 {
        let other = sample(100 + n, Role::Positive, "STO-07", "a");
        positives
            .insert(other, &look(50 + n, 0.2, 100 + n))
            .unwrap();
    }
    let seen = judge(&positives, "a", &probe);
    assert_eq!(seen.ruling, Ruling::Confirm, "{seen:?}");

    // three confirmed photos cannot show how many true ones would be suppressed
    let mut few = taught(3, "a");
    for n in 0..5 {
        let negative = sample(200 + n, Role::Negative, "EQP-02", "a");
        few.insert(negative, &look(HOSE, 0.3, n)).unwrap();
    }
    let seen = judge(&few, "a", &look(HOSE, 0.3, 9));
    assert_eq!(seen.reason, Reason::TooFewPositives { has: 3, needs: 4 });
}

#[test]
fn embeddings_of_another_size_are_refused() {
    let mut bank = taught(1, "a");
    let small = Embedding::new(vec![1.0, 0.0]).unwrap();
    let wrong = BankError::Dimensions { has: 2, needs: D };
    let new = sample(77, Role::Positive, "EQP-02", "a");
    assert_eq!(bank.insert(new, &small), Err(wrong.clone()));
    assert_eq!(bank.nearest(&small, 3, None, |_| true), Err(wrong.clone()));
    let matcher = Matcher::new(&bank, place("a"), Policy::default());
    assert_eq!(matcher.judge("EQP-02", &small), Err(wrong));
    let twice = sample(0, Role::Positive, "EQP-02", "a");
    let refused = taught(1, "a").insert(twice, &look(1, 0.0, 0));
    assert_eq!(refused, Err(BankError::Twice(id(0))));
}

#[test]
fn a_policy_asks_for_what_can_be_given() {
    assert!(Policy::default().checked().is_ok());
    for (rate, votes) in [(0.0, 1), (1.0, 1), (f64::NAN, 1), (0.1, 0)] {
        let policy = Policy {
            false_alarm_rate: rate,
            votes,
            ..Policy::default()
        };
        assert!(policy.checked().is_err(), "{policy:?}");
    }
    // a stricter rate takes more held-out photos
    let policy = Policy {
        false_alarm_rate: 0.01,
        ..Policy::default()
    };
    let bank = taught(3, "a");
    let seen = Matcher::new(&bank, place("a"), policy)
        .judge("EQP-02", &look(WIRING, 0.1, 5))
        .unwrap();
    assert_eq!(seen.reason, Reason::TooFewHeldOut { has: 40, needs: 99 });
}

#[test]
fn a_label_error_and_a_double_come_to_light() {
    let mut bank = taught(6, "a");
    for n in 0..6 {
        let other = sample(100 + n, Role::Positive, "STO-07", "b");
        bank.insert(other, &look(3, 0.3, 100 + n)).unwrap();
    }
    assert_eq!(
        review::doubts(&bank, 5)
            .iter()
            .filter(|d| d.role == Role::Positive)
            .count(),
        0
    );
    // wiring, labelled as a gate gap
    bank.insert(
        sample(120, Role::Positive, "STO-07", "b"),
        &look(WIRING, 0.3, 120),
    )
    .unwrap();
    // and a picture that is there already, with another label
    bank.insert(
        sample(121, Role::Negative, "EQP-02", "b"),
        &look(3, 0.3, 100),
    )
    .unwrap();
    let doubts = review::doubts(&bank, 5);
    let wrong = doubts.iter().find(|d| d.id == id(120)).unwrap();
    assert_eq!(wrong.looks_like.as_deref(), Some("EQP-02"));
    let doubles = review::doubles(&bank, 0.999);
    assert_eq!(doubles.len(), 1);
    assert_eq!((doubles[0].a, doubles[0].b), (id(100), id(121)));
    assert!(doubles[0].contradict);

    let coverage = review::coverage(&bank);
    let gaps = coverage
        .iter()
        .find(|c| c.hazard.as_deref() == Some("STO-07"))
        .unwrap();
    assert_eq!(
        (gaps.positives, &gaps.by_site),
        (7, &[("b".to_owned(), 7)].into())
    );
}

#[test]
fn a_coreset_keeps_every_kind_and_says_what_it_costs() {
    let mut bank = taught(30, "a");
    for n in 0..30 {
        let other = sample(100 + n, Role::Positive, "STO-07", "b");
        bank.insert(other, &look(3, 0.5, 100 + n)).unwrap();
    }
    let half = review::coreset(&bank, 50);
    assert_eq!(half.keep.len(), 50);
    assert!(
        half.recall_before > 0.9 && half.recall_after <= half.recall_before + 1e-9,
        "{half:?}"
    );
    let tiny = review::coreset(&bank, 1);
    assert_eq!(tiny.keep.len(), 3, "one of each kind and role");
    let all = review::coreset(&bank, 1000);
    assert_eq!(all.keep.len(), bank.len());
    assert_eq!(all.recall_before.to_bits(), all.recall_after.to_bits());
}

/// A bank out of what proptest draws: (role, kind, site, look).
fn drawn(parts: &[(u8, u8, u8, u64)], order: &[usize]) -> Bank {
    let mut bank = Bank::new(1, embedder());
    for &n in order {
        let (role, kind, site, towards) = parts[n];
        let role = [Role::Positive, Role::Negative, Role::Reference][role as usize];
        let kind = ["EQP-02", "STO-07"][kind as usize];
        let site = ["a", "b", "c"][site as usize];
        let new = sample(n as u64, role, kind, site);
        // some are alike to the last bit
        bank.insert(new, &look(towards, 0.4, towards)).unwrap();
    }
    bank
}

fn parts() -> impl Strategy<Value = Vec<(u8, u8, u8, u64)>> {
    proptest::collection::vec((0u8..3, 0u8..2, 0u8..3, 0u64..12), 1..60)
}

proptest! {
    #[test]
    fn the_order_of_adding_decides_nothing(parts in parts(), seed: u64, probe in 0u64..14) {
        let forth: Vec<usize> = (0..parts.len()).collect();
        let mut mixed = forth.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut mixed);
        let probe = look(probe, 0.3, 7);
        let (a, b) = (drawn(&parts, &forth), drawn(&parts, &mixed));
        let policy = Policy { false_alarm_rate: 0.2, miss_rate: 0.5, ..Policy::default() };
        for code in ["EQP-02", "STO-07"] {
            let of = |bank: &Bank| {
                let verdict = Matcher::new(bank, place("a"), policy).judge(code, &probe).unwrap();
                serde_json::to_string(&verdict).unwrap()
            };
            prop_assert_eq!(of(&a), of(&b));
        }
        let nearest = |bank: &Bank| serde_json::to_string(&bank.nearest(&probe, 5, None, |_| true).unwrap()).unwrap();
        prop_assert_eq!(nearest(&a), nearest(&b));
    }

    #[test]
    fn what_is_removed_and_put_back_leaves_every_bit(parts in parts(), gone in 0usize..60, probe in 0u64..14) {
        let all: Vec<usize> = (0..parts.len()).collect();
        let mut bank = drawn(&parts, &all);
        let probe = look(probe, 0.3, 7);
        let says = |bank: &Bank| {
            let matcher = Matcher::new(bank, place("b"), Policy::default());
            let verdicts: Vec<Verdict> = ["EQP-02", "STO-07"].iter().map(|c| matcher.judge(c, &probe).unwrap()).collect();
            let calibrations: Vec<&Calibration> = matcher.kinds().map(|(_, c)| c).collect();
            serde_json::to_string(&(&verdicts, calibrations)).unwrap()
        };
        let before = says(&bank);
        let gone = gone % parts.len();
        let (sample, row) = bank.samples().find(|(s, _)| s.id == id(gone as u64)).unwrap();
        let (sample, embedding) = (sample.clone(), Embedding::new(row.to_vec()).unwrap());
        prop_assert!(bank.remove(sample.id));
        prop_assert!(!bank.remove(sample.id));
        let without: Vec<usize> = all.iter().copied().filter(|n| *n != gone).collect();
        prop_assert_eq!(says(&bank), says(&drawn(&parts, &without)));
        bank.insert(sample, &embedding).unwrap();
        prop_assert_eq!(says(&bank), before);
    }

    #[test]
    fn no_other_site_decides_alone(
        fair in proptest::collection::vec(0u64..12, 2..6),
        poison in proptest::collection::vec(0u64..12, 1..30),
        probe in 0u64..14,
    ) {
        // whatever a third site adds, its votes are at most one of two, or one of three
        let probe = look(probe, 0.3, 7);
        let mut bank = taught(0, "a");
        for (n, towards) in fair.iter().enumerate() {
            let site = ["a", "b"][n % 2];
            bank.insert(sample(n as u64, Role::Positive, "EQP-02", site), &look(*towards, 0.4, n as u64)).unwrap();
        }
        let nearest_fair = bank.nearest(&probe, 1, Some(Role::Positive), |_| true).unwrap()[0].similarity;
        for (n, towards) in poison.iter().enumerate() {
            let n = n as u64;
            bank.insert(sample(100 + n, Role::Positive, "EQP-02", "c"), &look(*towards, 0.1, n)).unwrap();
            bank.insert(sample(200 + n, Role::Negative, "EQP-02", "c"), &look(*towards, 0.1, n)).unwrap();
        }
        let verdict = judge(&bank, "a", &probe);
        prop_assert!(verdict.score.unwrap() <= nearest_fair, "{:?}", verdict);
        prop_assert_ne!(verdict.ruling, Ruling::Suppress);
    }
}

proptest! {
    #[test]
    fn what_is_kept_up_with_changes_is_what_is_made_anew(
        changes in proptest::collection::vec((0u64..60, 0usize..5, 0u64..3, 0u64..20), 1..60),
    ) {
        let mut bank = taught(3, "a");
        let mut kept = Calibrations::of(&bank, Policy::default());
        for (i, (n, kind, site, photo)) in changes.into_iter().enumerate() {
            let n = 2000 + n;
            if !bank.remove(id(n)) {
                let (role, hazard) = [
                    (Role::Positive, "EQP-02"),
                    (Role::Positive, "STO-07"),
                    (Role::Negative, "EQP-02"),
                    (Role::Reference, ""),
                    (Role::Reference, "STO-07"),
                ][kind];
                let mut sample = sample(n, role, hazard, &format!("s{site}"));
                sample.photo_sha256 = format!("{:064x}", 1000 + photo);
                bank.insert(sample, &look(WIRING, 2.0, n)).unwrap();
            }
            if i % 3 == 0 {
                kept = kept.after(&bank);
            }
        }
        kept = kept.after(&bank);
        prop_assert_eq!(kept.kinds, Calibrations::of(&bank, Policy::default()).kinds);
    }
}
