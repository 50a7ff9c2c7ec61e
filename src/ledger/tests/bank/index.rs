//! The index of the bank, and a process that is killed while it adds.

use super::*;
use proptest::prelude::*;

#[tokio::test]
async fn the_index_helps_and_is_never_the_only_copy() {
    let world = World::new().await;
    let samples: Vec<_> = (0..100).map(|n| new(n, Role::Positive)).collect();
    let added = world.teach(&samples).await.added;
    let folder = world.settings.data.clone();
    let load = async || {
        let mut db = world.ledger.read().await.unwrap();
        bank::load_with_index(&mut db, &folder, &embedder())
            .await
            .unwrap()
    };
    let wrong = async || {
        let mut db = world.ledger.read().await.unwrap();
        bank::compare_index(&mut db, &folder).await.unwrap()
    };
    let bits = |loaded: &bank::Loaded| {
        let mut all: Vec<_> = loaded
            .bank
            .samples()
            .map(|(s, row)| (s.id, row.iter().map(|v| v.to_bits()).collect::<Vec<_>>()))
            .collect();
        all.sort();
        all
    };
    let (first, state) = load().await;
    assert_eq!(state, IndexState::Renewed);
    let (again, state) = load().await;
    assert_eq!((state, bits(&again)), (IndexState::Current, bits(&first)));
    assert_eq!(wrong().await, Vec::<String>::new());
    // a sample more, one less: the next question knows
    world.forget(&added[..1]).await;
    world.teach(&[new(500, Role::Negative)]).await;
    let (changed, state) = load().await;
    assert_eq!((state, changed.bank.len()), (IndexState::Renewed, 100));
    assert!(changed.bank.samples().all(|(s, _)| s.id != added[0]));
    assert_eq!(load().await.1, IndexState::Current);
    // whatever happens to the file, the answer is the same
    let path = folder.join("bank.index");
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for bad in [
        &good[..good.len() - 1],
        &good[..10],
        &flipped,
        b"",
        &[0; 100],
    ] {
        std::fs::write(&path, bad).unwrap();
        assert!(wrong().await[0].contains("damaged"), "{} bytes", bad.len());
        let (loaded, state) = load().await;
        assert!(matches!(state, IndexState::Damaged(_)), "{state:?}");
        assert_eq!(bits(&loaded), bits(&changed));
        assert_eq!(load().await.1, IndexState::Current);
    }
    // an index of another embedder is of no use, and no harm
    let mut db = world.ledger.read().await.unwrap();
    let other = EmbedderId {
        version: "test 2".to_owned(),
        ..embedder()
    };
    let (loaded, state) = bank::load_with_index(&mut db, &folder, &other)
        .await
        .unwrap();
    assert_eq!(
        (loaded.bank.len(), loaded.without_embedding, state),
        (0, 100, IndexState::Renewed)
    );
    drop(db);
    // one from after a ledger that was put back
    std::fs::write(&path, &good).unwrap();
    assert_eq!(wrong().await, Vec::<String>::new());
    world.check().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever is added, removed and undone, rows and events agree, and every version of the way can
    /// be had again.
    #[test]
    fn any_way_can_be_gone_back(steps in proptest::collection::vec((0u8..4, 0usize..8), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let mut said = vec![world.says(None).await];
            let mut n = 0;
            for (what, which) in steps {
                let alive = {
                    let mut db = world.ledger.read().await.unwrap();
                    bank::list(&mut db, &SampleFilter::default(), &Page::first()).await.unwrap().items
                };
                match what {
                    0 | 1 => {
                        n += 1;
                        let role = [Role::Positive, Role::Negative][which % 2];
                        world.teach(&[new(n, role), new(100 + n, Role::Positive)]).await;
                    }
                    2 if !alive.is_empty() => {
                        world.forget(&[alive[which % alive.len()].sample.id]).await;
                    }
                    _ => {
                        let version = (which > 3).then_some(which as i64 - 3);
                        if world.undo(version).await.is_err() {
                            continue;
                        }
                    }
                }
                said.push(world.says(None).await);
            }
            for (version, said) in said.iter().enumerate() {
                assert_eq!(&world.says(Some(version as i64)).await, said, "version {version}");
            }
            world.check().await;
        });
    }
}

/// Where [`adds_until_it_is_killed`] works; set only by [`kill_9_leaves_index_and_rows_in_agreement`].
const KILLED_IN: &str = "SITEWARDEN_TEST_KILLED_IN";

/// Adds samples from several tasks at once, asks for each at once, writes the index now and then, and
/// says what was committed.
#[test]
#[ignore = "is run, and killed, by the test below"]
fn adds_until_it_is_killed() {
    use std::io::Write;
    let Ok(folder) = std::env::var(KILLED_IN) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = Arc::new(crate::clock::SystemClock);
        let ledger = Ledger::open(&Settings::folder(&folder), clock)
            .await
            .unwrap();
        let start = {
            let mut db = ledger.read().await.unwrap();
            bank::load_with_index(&mut db, std::path::Path::new(&folder), &embedder())
                .await
                .unwrap()
                .0
                .bank
        };
        let shared = Arc::new(std::sync::RwLock::new(start));
        let tasks: Vec<_> = (0..4u64)
            .map(|task| {
                let (ledger, shared, folder) = (ledger.clone(), shared.clone(), folder.clone());
                tokio::spawn(async move {
                    for n in 0.. {
                        let number = fastrand::u64(..);
                        let sample = new(number, Role::Positive);
                        let mut tx = ledger.begin(&ann()).await.unwrap();
                        let change = bank::add(&mut tx, &[sample]).await.unwrap();
                        tx.commit().await.unwrap();
                        writeln!(std::io::stdout(), "\nadded {}", change.added[0]).unwrap();
                        let row = {
                            let mut db = ledger.read().await.unwrap();
                            bank::get(&mut db, change.added[0]).await.unwrap()
                        };
                        {
                            let mut bank = shared.write().unwrap();
                            bank.insert(row.sample, &look(number)).unwrap();
                            bank.set_version(change.version);
                        }
                        // the next question knows it
                        let found = shared
                            .read()
                            .unwrap()
                            .nearest(&look(number), 1, None, |_| true)
                            .unwrap();
                        assert_eq!(found[0].sample.id, change.added[0]);
                        if n % 8 == task {
                            let mut db = ledger.read().await.unwrap();
                            let folder = std::path::Path::new(&folder);
                            bank::load_with_index(&mut db, folder, &embedder())
                                .await
                                .unwrap();
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn kill_9_leaves_index_and_rows_in_agreement() {
    use std::collections::BTreeSet;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};
    const ADDS: usize = 1000;
    // a slow machine kills fewer, it does not fail
    const AT_MOST: Duration = Duration::from_secs(120);
    let folder = tempfile::tempdir().unwrap();
    let mut committed = BTreeSet::new();
    let mut kills = 0;
    let begun = Instant::now();
    while kills < 2 || (committed.len() < ADDS && begun.elapsed() < AT_MOST) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "ledger::tests::bank::index::adds_until_it_is_killed",
                "--exact",
            ])
            .args(["--ignored", "--nocapture"])
            .env(KILLED_IN, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (first, begins) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let lines = output.lines().map_while(std::result::Result::ok);
            lines
                .filter_map(|line| line.strip_prefix("added ")?.parse::<Id>().ok())
                .inspect(|_| {
                    let _ = first.send(());
                })
                .collect::<Vec<_>>()
        });
        let _ = begins.recv_timeout(Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..900)));
        assert!(
            child.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        committed.extend(reader.join().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(agree(folder.path(), &committed, kills));
    }
    assert!(!committed.is_empty());
}

/// Rows, events and index agree, and all that was committed is there.
async fn agree(folder: &Path, committed: &std::collections::BTreeSet<Id>, kills: usize) {
    let clock = Arc::new(crate::clock::SystemClock);
    let ledger = Ledger::open(&Settings::folder(folder), clock)
        .await
        .unwrap();
    let report = check::check(&ledger).await.unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let mut db = ledger.read().await.unwrap();
    let wrong = bank::compare_index(&mut db, folder).await.unwrap();
    assert_eq!(wrong, Vec::<String>::new());
    let loaded = bank::load(&mut db, &embedder(), None, |_| None)
        .await
        .unwrap();
    let samples = loaded.bank.samples();
    let alive: std::collections::BTreeSet<Id> = samples.map(|(s, _)| s.id).collect();
    assert!(committed.is_subset(&alive), "what was committed is there");
    // at most what each task had in hand is there and was not said
    assert!(alive.len() - committed.len() <= 4 * kills);
    drop(db);
    ledger.close().await;
}
