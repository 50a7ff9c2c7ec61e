//! `sitewarden ledger`: looking after the ledger.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use super::exit;
use crate::clock::SystemClock;
use crate::ledger::{Ledger, Settings, check};

/// Looks after the inspection ledger
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reads everything and compares it with the log of events; changes nothing but the schema,
    /// which is brought up to date. Exits with 3 when something is wrong
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The data folder of `sitewarden serve`
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The ledger's database, if it is not SQLite in the data folder
    #[arg(
        long,
        value_name = "URL",
        env = "SITEWARDEN_DATABASE",
        hide_env_values = true
    )]
    database: Option<String>,
}

pub(super) fn run(args: Args) -> anyhow::Result<u8> {
    let Command::Check(args) = args.command;
    let mut settings = Settings::folder(&args.data);
    settings.database_url = args.database;
    if !settings.exists() {
        anyhow::bail!(
            "there is no ledger in {}: name the data folder of `sitewarden serve`",
            args.data.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(async {
        let ledger = Ledger::open(&settings, Arc::new(SystemClock)).await?;
        let report = check::check(&ledger).await;
        ledger.close().await;
        report
    })?;
    let mut out = std::io::stdout().lock();
    for problem in &report.problems {
        writeln!(out, "{}", super::table::plain(problem))?;
    }
    if report.problems_total > report.problems.len() as u64 {
        let more = report.problems_total - report.problems.len() as u64;
        writeln!(out, "… and {more} more")?;
    }
    writeln!(
        out,
        "{} findings and {} events read, {} problems",
        report.findings, report.events, report.problems_total
    )?;
    Ok(if report.problems_total == 0 {
        exit::OK
    } else {
        exit::FOUND
    })
}
