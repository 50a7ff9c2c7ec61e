//! `sitewarden ledger`: looking after the ledger.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::exit;
use crate::clock::SystemClock;
use crate::evidence::{EvidenceConfig, Store};
use crate::jobs::originals;
use crate::ledger::check::{self, Report};
use crate::ledger::{Ledger, Settings, bank};

/// Looks after the inspection ledger
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reads everything and compares it with the log of events and the folder of originals; changes
    /// nothing but the schema, which is brought up to date. Exits with 3 when something is wrong
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
    /// Deletes originals that nothing in the ledger names: of uploads that were refused or broke off
    #[arg(long)]
    remove_orphans: bool,
}

/// The report, and the number of originals that nothing names.
async fn look(ledger: &Ledger, data: &Path, remove: bool) -> anyhow::Result<(Report, usize)> {
    let mut report = check::check(ledger).await?;
    for problem in bank::compare_index(&mut ledger.read().await?, data).await? {
        report.problem(problem);
    }
    // the ledger's lock on the folder keeps a service away
    let store = Store::open(data, EvidenceConfig::default())?;
    for problem in originals::check_samples(ledger, &store).await? {
        report.problem(problem);
    }
    let found = originals::compare(ledger, &store).await?;
    for sha256 in found.missing {
        report.problem(format!(
            "the original of a photo is gone: restore originals/{}/{sha256} from a backup",
            &sha256[..2]
        ));
    }
    if remove {
        for digest in &found.orphans {
            store.remove_orphan(digest)?;
        }
    }
    Ok((report, found.orphans.len()))
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
    let remove = args.remove_orphans;
    let (report, orphans) = runtime.block_on(async {
        let ledger = Ledger::open(&settings, Arc::new(SystemClock)).await?;
        let looked = look(&ledger, &args.data, remove).await;
        ledger.close().await;
        looked
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
    if orphans > 0 {
        let what = if remove {
            "deleted"
        } else {
            "they do no harm; --remove-orphans deletes them"
        };
        writeln!(out, "{orphans} originals that nothing names: {what}")?;
    }
    Ok(if report.problems_total == 0 {
        exit::OK
    } else {
        exit::FOUND
    })
}
