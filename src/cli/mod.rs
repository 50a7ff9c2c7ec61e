//! The command line. One file per subcommand: its arguments and its run.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::hazard::Severity;

mod bank;
mod bench;
mod files;
mod hazards;
mod ledger;
mod models;
mod replay;
mod scan;
mod schema;
mod serve;
mod stop;
mod table;
mod watch;

/// Exit codes, as `--help` and the README document them.
mod exit {
    /// Everything was done.
    pub(super) const OK: u8 = 0;
    /// Something could not be read or written; the rest was done.
    pub(super) const INCOMPLETE: u8 = 1;
    /// Wrong usage, as the parser of arguments ends.
    pub(super) const USAGE: u8 = 2;
    /// `--fail-on` found what it looks for, or `--fail-below` a figure that is too low.
    pub(super) const FOUND: u8 = 3;
    /// Nothing could be started: wrong configuration, model refused, no runtime library.
    pub(super) const REFUSED: u8 = 4;
}

/// Spots work-safety hazards in site photos and proposes explained candidate findings.
/// A person decides.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Scan(Box<scan::Args>),
    Watch(Box<watch::Args>),
    Replay(Box<replay::Args>),
    Serve(Box<serve::Args>),
    Bank(Box<bank::Args>),
    Bench(Box<bench::Args>),
    Models(models::Args),
    Hazards(hazards::Args),
    Ledger(ledger::Args),
    Schema(schema::Args),
}

/// Parses the command line, runs the subcommand, reports its error.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    init_log();
    let result = match cli.command {
        Command::Scan(args) => scan::run(*args),
        Command::Watch(args) => watch::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Bank(args) => bank::run(*args),
        Command::Bench(args) => bench::run(&args),
        Command::Models(args) => models::run(args),
        Command::Hazards(args) => hazards::run(args),
        Command::Ledger(args) => ledger::run(args),
        Command::Schema(args) => schema::run(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        // The reader of our output has gone (`| head`): nobody to report to, but it is not all done.
        Err(e) if is_broken_pipe(&e) => ExitCode::from(exit::INCOMPLETE),
        Err(e) => {
            eprintln_line(&format!("sitewarden: {e:#}"));
            ExitCode::from(exit::REFUSED)
        }
    }
}

fn init_log() {
    // libraries only with what is broken
    let filter = EnvFilter::try_from_env("SITEWARDEN_LOG")
        .unwrap_or_else(|_| "error,sitewarden=warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A message on standard error, disarmed: it may hold a file's name. A closed standard error is
/// no reason to fail.
fn eprintln_line(message: &str) {
    use std::io::Write;
    let mut err = std::io::stderr().lock();
    for line in message.lines() {
        let _ = writeln!(err, "{}", table::plain(line));
    }
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::General => "general",
        Severity::Major => "major",
        Severity::Alarm => "alarm",
    }
}
