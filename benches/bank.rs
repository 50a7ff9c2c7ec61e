//! Search in the sample bank: how long the ten nearest of many samples take on one core.
//!
//! `cargo bench --bench bank -- [--rows 100000] [--dimensions 512] [--queries 200] [--indexed | --decide]
//! [--vectors FILE --probes FILE]`
//!
//! Exact, or with `--indexed` by the lists that more than 100,000 samples are put into. With
//! `--decide` what a decision costs and what a change costs before the next one.
//!
//! The files hold little-endian f32, row by row; without them the vectors are made up. Prints one line
//! of JSON: milliseconds of each query, the rows found, and the memory; with `--indexed` one for each line of standard
//! input, so that others can be asked in turn. `benches/peers/bank_peers.py` gives the same vectors to the peers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measuring program: it may stop at the first surprise, and it prints"
)]

use std::time::Instant;

use sitewarden::bank::{
    Bank, Calibrations, EmbedderId, Gallery, Matcher, Place, Policy, Role, Sample, Scope,
};
use sitewarden::embedding::Embedding;
use sitewarden::id::Id;

fn main() {
    let (mut rows, mut dimensions, mut queries) = (100_000usize, 512usize, 200usize);
    let (mut vectors, mut probes, mut indexed, mut decided) = (None, None, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().unwrap();
        match argument.as_str() {
            "--bench" | "--test" => {}
            "--rows" => rows = next().parse().unwrap(),
            "--dimensions" => dimensions = next().parse().unwrap(),
            "--queries" => queries = next().parse().unwrap(),
            "--vectors" => vectors = Some(next()),
            "--probes" => probes = Some(next()),
            "--indexed" => indexed = true,
            "--decide" => decided = true,
            other => panic!("unknown argument {other}"),
        }
    }
    let mut rng = fastrand::Rng::with_seed(1);
    let mut made_up =
        |n: usize| -> Vec<f32> { (0..n * dimensions).map(|_| normal(&mut rng)).collect() };
    let rows = match &vectors {
        Some(file) => read(file),
        None => made_up(rows),
    };
    let probes = match &probes {
        Some(file) => read(file),
        None => made_up(queries),
    };
    let unit = |row: &[f32]| Embedding::normalised(row.to_vec()).unwrap();
    if decided {
        decide(&rows, &probes, dimensions);
        return;
    }
    let mut gallery = Gallery::with_capacity(dimensions, rows.len() / dimensions);
    for row in rows.chunks_exact(dimensions) {
        gallery.push(unit(row).values());
    }
    drop(rows);
    let built = Instant::now();
    if indexed {
        gallery.index_now();
    }
    let built = built.elapsed().as_secs_f64();
    if indexed {
        for _ in std::io::stdin().lines() {
            ask(&gallery, &probes, built, true);
        }
    } else {
        ask(&gallery, &probes, built, false);
    }
}

/// Asks for each probe once, and tells.
fn ask(gallery: &Gallery, probes: &[f32], built: f64, indexed: bool) {
    let dimensions = gallery.dimensions();
    let unit = |row: &[f32]| Embedding::normalised(row.to_vec()).unwrap();
    let mut times = Vec::new();
    let mut scans = Vec::new();
    let mut found = Vec::new();
    let mut last = Vec::new();
    for probe in probes.chunks_exact(dimensions) {
        let probe = unit(probe);
        let start = Instant::now();
        let hits = gallery.nearest(probe.values(), 10, |_| true);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        last.push(hits.last().unwrap().similarity);
        found.push(hits.iter().map(|h| h.row).collect::<Vec<_>>());
    }
    // apart, so that the one does not empty the caches of the other
    let scanned =
        probes
            .chunks_exact(dimensions)
            .zip(last)
            .take(if indexed { 0 } else { usize::MAX });
    for (probe, last) in scanned {
        let probe = unit(probe);
        let start = Instant::now();
        let all = gallery.similarities(probe.values());
        scans.push(start.elapsed().as_secs_f64() * 1e3);
        // the coarse pass must lose nothing
        let nearer = all.iter().filter(|s| **s > last).count();
        assert!(nearer < 10, "{nearer} rows are nearer than the tenth");
    }
    let report = serde_json::json!({
        "rows": gallery.len(), "dimensions": dimensions, "bytes": gallery.bytes(),
        "built_s": built,
        "nearest_ms": times, "all_similarities_ms": scans, "found": found,
    });
    println!("{report}");
}

/// Ten kinds at fifty sites; every hundredth sample is a clean reference.
fn decide(rows: &[f32], probes: &[f32], dimensions: usize) {
    let embedder = EmbedderId {
        version: "bench 1".to_owned(),
        dimensions,
    };
    let mut bank = Bank::new(1, embedder);
    let unit = |row: &[f32]| Embedding::normalised(row.to_vec()).unwrap();
    let sample = |n: usize| {
        let reference = n.is_multiple_of(100);
        Sample {
            id: Id::from_uuid(uuid::Uuid::from_u128(n as u128)),
            role: if reference {
                Role::Reference
            } else {
                Role::Positive
            },
            hazard: (!reference).then(|| format!("KIND-{:02}", n % 10)),
            scope: Scope::Everywhere,
            place: Place {
                site: format!("site {}", n / 10 % 50),
                camera: String::new(),
            },
            photo_sha256: format!("{n:064x}"),
            area: [0.0, 0.0, 1.0, 1.0],
            mask: None,
            case: None,
        }
    };
    for (n, row) in rows.chunks_exact(dimensions).enumerate() {
        bank.insert(sample(n), &unit(row)).unwrap();
    }
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let calibrations = Calibrations::of(&bank, Policy::default());
    let anew_ms = ms(start);
    let place = sample(10).place;
    let mut decisions_ms = Vec::new();
    let matcher = Matcher::with(&bank, &calibrations, place.clone());
    for probe in probes.chunks_exact(dimensions) {
        let probe = unit(probe);
        let start = Instant::now();
        for (kind, _) in matcher.kinds() {
            matcher.judge(kind, &probe).unwrap();
        }
        decisions_ms.push(ms(start));
    }
    // a confirmed sample more, and everything that is needed to decide with it
    let start = Instant::now();
    let mut next = bank.clone();
    let new = unit(&probes[..dimensions]);
    next.insert(sample(rows.len() / dimensions + 1), &new)
        .unwrap();
    let after = calibrations.after(&next);
    assert_eq!(Matcher::with(&next, &after, place).kinds().count(), 10);
    let change_ms = ms(start);
    assert_eq!(next.len(), bank.len() + 1);
    let report = serde_json::json!({
        "samples": bank.len(), "kinds": bank.kinds().len(), "dimensions": dimensions, "bytes": bank.bytes(),
        "calibration_anew_ms": anew_ms, "change_ms": change_ms, "region_all_kinds_ms": decisions_ms,
    });
    println!("{report}");
}

/// About normally distributed.
fn normal(rng: &mut fastrand::Rng) -> f32 {
    (0..6).map(|_| rng.f32() - 0.5).sum()
}

fn read(file: &str) -> Vec<f32> {
    let bytes = std::fs::read(file).unwrap();
    let (values, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty(), "{file} holds no f32");
    values.iter().map(|v| f32::from_le_bytes(*v)).collect()
}
