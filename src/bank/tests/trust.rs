//! Whom the bank believes: quorum, shares of sites and owners, what counts where.

use super::*;

#[test]
fn a_quorum_has_to_agree() {
    let mut bank = taught(6, "a");
    for n in 0..2 {
        bank.insert(
            sample(200 + n, Role::Negative, "EQP-02", "a"),
            &look(HOSE, 0.3, n),
        )
        .unwrap();
    }
    let again = judge(&bank, "a", &look(HOSE, 0.3, 9));
    assert_eq!(again.reason, Reason::NoQuorum { has: 2, needs: 3 });
    // a third picture is one more vote, the same picture once more is none
    let mut same = sample(300, Role::Negative, "EQP-02", "a");
    same.photo_sha256 = sample(200, Role::Negative, "EQP-02", "a").photo_sha256;
    bank.insert(same, &look(HOSE, 0.3, 0)).unwrap();
    assert_eq!(
        judge(&bank, "a", &look(HOSE, 0.3, 9)).ruling,
        Ruling::Unknown
    );
    bank.insert(
        sample(301, Role::Negative, "EQP-02", "a"),
        &look(HOSE, 0.3, 3),
    )
    .unwrap();
    assert_eq!(
        judge(&bank, "a", &look(HOSE, 0.3, 9)).ruling,
        Ruling::Suppress
    );
}

#[test]
fn one_poisoned_site_swings_no_kind() {
    // 20 innocent looks as "wiring", and true wiring as "dismissed"
    let mut bank = taught(6, "good");
    for n in 0..6 {
        bank.insert(
            sample(50 + n, Role::Positive, "EQP-02", "fair"),
            &look(WIRING, 0.5, 50 + n),
        )
        .unwrap();
    }
    let forklift = |n: u64| look(5, 0.1, n);
    for n in 0..20 {
        bank.insert(
            sample(300 + n, Role::Positive, "EQP-02", "evil"),
            &forklift(n),
        )
        .unwrap();
        bank.insert(
            sample(400 + n, Role::Negative, "EQP-02", "evil"),
            &look(WIRING, 0.1, 900 + n),
        )
        .unwrap();
    }
    let innocent = judge(&bank, "good", &forklift(99));
    assert_eq!(innocent.ruling, Ruling::Unknown, "{innocent:?}");
    let true_one = judge(&bank, "good", &look(WIRING, 0.1, 999));
    assert_eq!(true_one.ruling, Ruling::Confirm, "{true_one:?}");
    // it deceives itself only
    assert_eq!(judge(&bank, "evil", &forklift(99)).ruling, Ruling::Confirm);
}

#[test]
fn several_sites_of_one_owner_swing_no_kind_either() {
    let mut bank = taught(6, "good");
    for n in 0..3 {
        // one photo, said to be of three sites; and three photos of three sites
        for (number, photo) in [(200 + n, 900), (210 + n, 910 + n)] {
            let mut negative = sample(number, Role::Negative, "EQP-02", &format!("e-{n}"));
            negative.photo_sha256 = format!("{photo:064x}");
            bank.insert(negative, &look(HOSE, 0.1, number)).unwrap();
        }
    }
    let probe = look(HOSE, 0.1, 9);
    assert_eq!(judge(&bank, "good", &probe).ruling, Ruling::Suppress);
    let owners = (0..3).map(|n| (format!("e-{n}"), "e".to_owned()));
    bank.set_owners(Owners::new(owners));
    let seen = judge(&bank, "good", &probe);
    assert_eq!(seen.reason, Reason::NoQuorum { has: 1, needs: 3 });
}

#[test]
fn one_decision_has_one_vote_however_often_it_was_seen() {
    let mut bank = taught(6, "a");
    let mut dismiss = |n: u64, case: u64| {
        let mut negative = sample(200 + n, Role::Negative, "EQP-02", "a");
        negative.case = Some(id(case));
        bank.insert(negative, &look(HOSE, 0.2, n)).unwrap();
        judge(&bank, "a", &look(HOSE, 0.2, 9)).ruling
    };
    for n in 0..4 {
        assert_eq!(dismiss(n, 1), Ruling::Unknown);
    }
    assert_eq!(dismiss(4, 2), Ruling::Unknown);
    assert_eq!(dismiss(5, 3), Ruling::Suppress);
}

#[test]
fn references_of_a_site_count_there_only() {
    // of all sites; then three photos of wiring are called clean at one
    let mut bank = taught(5, "a");
    let probe = look(WIRING, 0.5, 500);
    for n in 0..3 {
        let mut reference = sample(2000 + n, Role::Reference, "", "b");
        reference.scope = Scope::Site;
        bank.insert(reference, &look(WIRING, 0.1, 2000 + n))
            .unwrap();
    }
    let elsewhere = judge(&bank, "a", &probe);
    assert_eq!(elsewhere.ruling, Ruling::Confirm, "{elsewhere:?}");
    assert_eq!(judge(&bank, "b", &probe).ruling, Ruling::Unknown);
    let matcher = Matcher::new(&bank, place("b"), Policy::default());
    let (_, calibration) = matcher.kinds().next().unwrap();
    assert_eq!((calibration.held_out, calibration.clean), (43, 43));
}
