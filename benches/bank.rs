//! Search in the sample bank: how long the ten nearest of many samples take on one core.
//!
//! `cargo bench --bench bank -- [--rows 100000] [--dimensions 512] [--queries 200] [--graph]
//! [--vectors FILE --probes FILE]`
//!
//! Exact, or with `--graph` (and the feature usearch) by the graph that more than 100,000 samples get.
//!
//! The files hold little-endian f32, row by row; without them the vectors are made up. Prints one line
//! of JSON: milliseconds of each query, the rows found, and the memory. `benches/peers/bank_peers.py`
//! gives the same vectors to the peers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measuring program: it may stop at the first surprise, and it prints"
)]

use std::time::Instant;

use sitewarden::bank::Gallery;
use sitewarden::embedding::Embedding;

fn main() {
    let (mut rows, mut dimensions, mut queries) = (100_000usize, 512usize, 200usize);
    let (mut vectors, mut probes, mut graph) = (None, None, false);
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
            "--graph" => graph = true,
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
    let mut gallery = Gallery::with_capacity(dimensions, rows.len() / dimensions);
    for row in rows.chunks_exact(dimensions) {
        gallery.push(unit(row).values());
    }
    drop(rows);
    let built = Instant::now();
    if graph {
        index(&mut gallery);
    }
    let built = built.elapsed().as_secs_f64();
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
    for (probe, last) in probes.chunks_exact(dimensions).zip(last) {
        let probe = unit(probe);
        let start = Instant::now();
        let all = gallery.similarities(probe.values());
        scans.push(start.elapsed().as_secs_f64() * 1e3);
        // the coarse pass must lose nothing
        let nearer = all.iter().filter(|s| **s > last).count();
        let exact = nearer < 10;
        assert!(graph || exact, "{nearer} rows are nearer than the tenth");
    }
    let report = serde_json::json!({
        "rows": gallery.len(), "dimensions": dimensions, "bytes": gallery.bytes(),
        "built_s": built,
        "nearest_ms": times, "all_similarities_ms": scans, "found": found,
    });
    println!("{report}");
}

#[cfg(feature = "usearch")]
fn index(gallery: &mut Gallery) {
    gallery.index_now();
    assert!(gallery.is_indexed());
}

#[cfg(not(feature = "usearch"))]
fn index(_: &mut Gallery) {
    panic!("--graph takes the feature usearch");
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
