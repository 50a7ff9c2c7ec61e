//! A ledger of a whole city, made up from a seed, and how long its lists and statistics take.
//!
//! `cargo bench --bench ledger -- --data DIR [--findings 1000000] [--enterprises 45000]
//! [--persons 60000] [--seed 1] [--repeat 40] [--check]`
//!
//! A folder that holds a ledger is measured as it is; an empty one is filled first. What is made up
//! went through the same state machine as real findings, so `sitewarden ledger check` holds on it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measuring program: it may stop at the first surprise, and it prints"
)]

#[path = "ledger/city.rs"]
mod city;
#[path = "ledger/measure.rs"]
mod measure;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sitewarden::clock::SystemClock;
use sitewarden::ledger::{Ledger, Settings, check};

/// How large, and how often.
struct Size {
    enterprises: usize,
    persons: usize,
    findings: usize,
    seed: u64,
    repeat: usize,
}

fn main() {
    let mut data = None;
    let mut checked = false;
    let mut size = Size {
        enterprises: 45_000,
        persons: 60_000,
        findings: 1_000_000,
        seed: 1,
        repeat: 40,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap().parse::<usize>().unwrap();
        match argument.as_str() {
            "--bench" | "--test" => {}
            "--check" => checked = true,
            "--enterprises" => size.enterprises = number(),
            "--persons" => size.persons = number(),
            "--findings" => size.findings = number(),
            "--seed" => size.seed = number() as u64,
            "--repeat" => size.repeat = number(),
            "--data" => data = Some(PathBuf::from(arguments.next().unwrap())),
            other => panic!("unknown argument {other}"),
        }
    }
    let Some(data) = data else {
        println!("name a folder for the ledger: --data DIR (about 3.5 GB at full size)");
        return;
    };
    let settings = Settings::folder(&data);
    let fresh = !settings.exists();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let open = async || {
            Ledger::open(&settings, Arc::new(SystemClock))
                .await
                .unwrap()
        };
        let ledger = open().await;
        ledger.close().await;
        drop(ledger);
        if fresh {
            let start = Instant::now();
            city::build(&data.join("ledger.sqlite"), &size).await;
            println!("made in {:.0} s", start.elapsed().as_secs_f64());
        }
        let ledger = open().await;
        measure::measure(&ledger, &size).await;
        if checked {
            let start = Instant::now();
            let report = check::check(&ledger).await.unwrap();
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "self-check: {} findings, {} events, {} problems, {seconds:.1} s",
                report.findings, report.events, report.problems_total
            );
            println!("{:#?}", report.problems);
        }
        ledger.close().await;
    });
}
