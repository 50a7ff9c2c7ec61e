//! The state machine under random steps, held against the rules as they are written down.

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

fn id(n: u128) -> Id {
    Id::from_uuid(uuid::Uuid::from_u128(n))
}

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + second)
}

fn person(n: u8) -> Actor {
    Actor::person(format!("p{n}"))
}

/// A step with times relative to when it is taken, so that guards fail and hold about equally often.
fn any_step() -> impl Strategy<Value = (Step, Actor, i64)> {
    let severity = prop_oneof![
        Just(Severity::General),
        Just(Severity::Major),
        Just(Severity::Alarm)
    ];
    let step = (0_u8..14, severity, -30_i64..30).prop_map(|(kind, severity, offset)| {
        // the offset is made absolute where the step is taken
        let when = at(offset);
        match kind {
            0 => Step::ProposeMajor { reason: "r".into() },
            1 | 2 => Step::Confirm { severity },
            3 => Step::AgreeMajor,
            4 => Step::Reject { reason: "r".into() },
            5 => Step::Merge { into: id(2) },
            6 | 7 => Step::Order { due_at: when },
            8 => Step::Transfer { to: "t".into() },
            9 | 10 => Step::Rectify {
                proof: Proof {
                    sha256: "00".into(),
                    taken_at: (offset != 0).then_some(when),
                },
            },
            11 => Step::Return {
                reason: "r".into(),
                due_at: when,
            },
            _ => Step::Close,
        }
    });
    let actor = (0_u8..5).prop_map(|n| if n == 0 { Actor::Machine } else { person(n) });
    (step, actor, 1_i64..10)
}

/// Makes the times of a step relative to `now` (seconds).
fn shift(step: Step, now: i64) -> Step {
    let shifted = |t: Timestamp| t + SignedDuration::from_secs(now);
    match step {
        Step::Order { due_at } => Step::Order {
            due_at: shifted(due_at),
        },
        Step::Return { reason, due_at } => Step::Return {
            reason,
            due_at: shifted(due_at),
        },
        Step::Rectify { proof } => Step::Rectify {
            proof: Proof {
                taken_at: proof.taken_at.map(shifted),
                ..proof
            },
        },
        other => other,
    }
}

/// What was done, kept apart from the finding: the rules are checked against this and not against
/// the fields that the state machine itself keeps.
struct Taken {
    from: FindingState,
    step: Step,
    by: Actor,
    at: Timestamp,
}

/// The rules of the design, in words that share nothing with `apply`.
fn check_closed(history: &[Taken]) -> Result<(), TestCaseError> {
    let [.., rectified, closed] = history
        .iter()
        .filter(|t| !matches!(t.step, Step::ProposeMajor { .. } | Step::AgreeMajor))
        .collect::<Vec<_>>()[..]
    else {
        return Err(TestCaseError::fail("closed without a history"));
    };
    prop_assert_eq!(&closed.step, &Step::Close);
    prop_assert_eq!(closed.from, FindingState::Rectified);
    let Step::Rectify { proof } = &rectified.step else {
        return Err(TestCaseError::fail("closed without a proof"));
    };
    let order = history
        .iter()
        .rev()
        .find(|t| matches!(t.step, Step::Order { .. } | Step::Return { .. }))
        .ok_or_else(|| TestCaseError::fail("closed without an order"))?;
    prop_assert!(proof.taken_at.unwrap() > order.at);
    prop_assert!(proof.taken_at.unwrap() <= closed.at);
    prop_assert_ne!(&closed.by, &rectified.by);
    let confirmed = history
        .iter()
        .any(|t| matches!(t.step, Step::Confirm { .. }));
    prop_assert!(confirmed);
    Ok(())
}

#[test]
fn no_random_events_reach_closed_by_another_way() {
    const SEQUENCES: u32 = 100_000;
    let mut runner = TestRunner::new(Config {
        cases: SEQUENCES,
        failure_persistence: None,
        ..Config::default()
    });
    let closed = std::cell::Cell::new(0_u32);
    let major = std::cell::Cell::new(0_u32);
    runner
        .run(&prop::collection::vec(any_step(), 0..40), |events| {
            let mut finding = Finding::candidate(id(1));
            let mut history: Vec<Taken> = Vec::new();
            let mut now = 0;
            for (step, by, wait) in events {
                now += wait;
                let step = shift(step, now);
                let before = finding.clone();
                let Ok(after) = finding.apply(&step, &by, at(now)) else {
                    continue;
                };
                prop_assert_ne!(&by, &Actor::Machine, "a machine went past candidate");
                if after.state == before.state {
                    let stays = matches!(step, Step::ProposeMajor { .. } | Step::AgreeMajor);
                    prop_assert!(stays);
                } else {
                    prop_assert!(before.state.next().contains(&after.state));
                }
                history.push(Taken {
                    from: before.state,
                    step,
                    by,
                    at: at(now),
                });
                if after.severity == Some(Severity::Major)
                    && before.severity != Some(Severity::Major)
                {
                    let proposed = history
                        .iter()
                        .rev()
                        .find(|t| matches!(t.step, Step::ProposeMajor { .. }))
                        .map(|t| t.by.clone());
                    prop_assert!(proposed.is_some());
                    prop_assert_ne!(proposed.as_ref(), history.last().map(|t| &t.by));
                    major.set(major.get() + 1);
                }
                finding = after;
                if finding.state == FindingState::Closed {
                    check_closed(&history)?;
                    closed.set(closed.get() + 1);
                    // nothing leads out again
                    prop_assert!(FindingState::Closed.next().is_empty());
                }
            }
            Ok(())
        })
        .unwrap();
    // the test is worth something only if the random ways do get there
    assert!(closed.get() > 500, "only {} reached closed", closed.get());
    assert!(major.get() > 500, "only {} became major", major.get());
}

#[test]
fn every_state_is_read_back_and_only_open_ones_go_on() {
    for state in FindingState::ALL {
        assert_eq!(FindingState::parse(state.as_str()), Some(state));
    }
    let open: Vec<_> = FindingState::ALL
        .into_iter()
        .filter(|s| s.is_open())
        .collect();
    use FindingState::{Candidate, Confirmed, Ordered, Rectified};
    assert_eq!(open, [Candidate, Confirmed, Ordered, Rectified]);
    assert_eq!(
        Actor::parse(&person(3).to_text()),
        Some(Actor::person("p3"))
    );
    assert_eq!(Actor::parse("machine"), Some(Actor::Machine));
    assert_eq!(Actor::parse("machine:x"), None);
}

fn ordered() -> Finding {
    let finding = Finding::candidate(id(1));
    let confirm = Step::Confirm {
        severity: Severity::General,
    };
    let finding = finding.apply(&confirm, &person(1), at(0)).unwrap();
    let order = Step::Order { due_at: at(100) };
    finding.apply(&order, &person(1), at(10)).unwrap()
}

fn rectified(taken_at: Option<Timestamp>) -> Finding {
    let proof = Proof {
        sha256: "00".into(),
        taken_at,
    };
    ordered()
        .apply(&Step::Rectify { proof }, &person(2), at(30))
        .unwrap()
}

#[test]
fn overdue_follows_from_the_clock() {
    let finding = ordered();
    assert!(!finding.is_overdue(at(100)));
    assert!(finding.is_overdue(at(101)));
    assert!(!rectified(None).is_overdue(at(101)));
}

#[test]
fn the_guards_of_closing_say_what_is_missing() {
    let close = |taken: Option<i64>, by: u8| {
        rectified(taken.map(at)).apply(&Step::Close, &person(by), at(40))
    };
    assert_eq!(close(Some(20), 1).unwrap().state, FindingState::Closed);
    assert_eq!(close(Some(20), 2), Err(Refusal::VerifierIsSubmitter));
    assert_eq!(close(None, 1), Err(Refusal::ProofUndated));
    assert!(matches!(
        close(Some(10), 1),
        Err(Refusal::ProofBeforeOrder { .. })
    ));
    assert!(matches!(
        close(Some(41), 1),
        Err(Refusal::ProofFromFuture(_))
    ));
}

#[test]
fn a_return_asks_for_a_newer_proof() {
    let back = Step::Return {
        reason: "blurred".into(),
        due_at: at(200),
    };
    let finding = rectified(Some(at(20)))
        .apply(&back, &person(1), at(50))
        .unwrap();
    assert_eq!(finding.state, FindingState::Ordered);
    let rectify = |second| Step::Rectify {
        proof: Proof {
            sha256: "01".into(),
            taken_at: Some(at(second)),
        },
    };
    let old = finding.apply(&rectify(20), &person(2), at(60)).unwrap();
    assert!(old.apply(&Step::Close, &person(1), at(70)).is_err());
    let new = finding.apply(&rectify(55), &person(2), at(60)).unwrap();
    assert!(new.apply(&Step::Close, &person(1), at(70)).is_ok());
}

#[test]
fn major_takes_two_people() {
    let candidate = Finding::candidate(id(1));
    let major = Step::Confirm {
        severity: Severity::Major,
    };
    assert_eq!(
        candidate.apply(&major, &person(1), at(0)),
        Err(Refusal::MajorNotProposed)
    );
    let propose = Step::ProposeMajor {
        reason: "no exit".into(),
    };
    let proposed = candidate.apply(&propose, &person(1), at(0)).unwrap();
    assert_eq!(
        proposed.apply(&major, &person(1), at(1)),
        Err(Refusal::MajorSamePerson)
    );
    let confirmed = proposed.apply(&major, &person(2), at(1)).unwrap();
    assert_eq!(confirmed.severity, Some(Severity::Major));
    // and later, on a finding that was confirmed as general
    let later = ordered().apply(&propose, &person(1), at(20)).unwrap();
    assert!(later.apply(&Step::AgreeMajor, &person(1), at(21)).is_err());
    let later = later.apply(&Step::AgreeMajor, &person(2), at(21)).unwrap();
    assert_eq!(
        (later.state, later.severity),
        (FindingState::Ordered, Some(Severity::Major))
    );
}
