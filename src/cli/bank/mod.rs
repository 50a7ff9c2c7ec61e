//! `sitewarden bank`: the sample bank of known hazards.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::{exit, table};
use crate::bank::{self, Bank, EmbedderId};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::evidence::Store;
use crate::finding::Actor;
use crate::id::Id;
use crate::inference::{self, Embed, Embedder, Runtime, Threads};
use crate::jobs::samples::{self, embedder_id};
use crate::ledger::bank::{self as rows, IndexState};
use crate::ledger::{Ledger, Settings};
use crate::pipeline::bank::Taught;
use crate::record::BankRecord;

mod add;
mod lend;
mod list;
mod look;
mod search;

/// Teaches kinds of hazards with a handful of photos, and what is none
///
/// Exit codes: 0 done; 1 a part could not be done; 2 wrong usage; 4 nothing was done.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The data folder, that of `sitewarden serve` or one of its own (required)
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// The ledger's database, if it is not SQLite in the data folder
    #[arg(
        long,
        value_name = "URL",
        env = "SITEWARDEN_DATABASE",
        hide_env_values = true
    )]
    database: Option<String>,
    /// Embedder's name (see `sitewarden models list`) or folder
    #[arg(
        long,
        value_name = "NAME|DIR",
        env = "SITEWARDEN_EMBEDDER",
        default_value = DEFAULT_EMBEDDER
    )]
    embedder: String,
    /// Who does this, for the log of events
    #[arg(long, value_name = "NAME", env = "USER", default_value = "cli")]
    by: String,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// The embedder where none is named.
pub(super) const DEFAULT_EMBEDDER: &str = "site-embed";

/// Which bank is asked, and for what place, where it is not the command's own business.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// Also asks the sample bank in this data folder, as it is at the start: it finds kinds that have no
    /// detector, and suppresses what was dismissed before (see `sitewarden bank`)
    #[arg(long, value_name = "DIR")]
    pub(super) bank: Option<PathBuf>,
    /// Embedder of the bank: name or folder
    #[arg(
        long,
        value_name = "NAME|DIR",
        env = "SITEWARDEN_EMBEDDER",
        default_value = DEFAULT_EMBEDDER
    )]
    pub(super) embedder: String,
    /// Site that the pictures are of, for the bank
    #[arg(long, default_value = "", requires = "bank")]
    site: String,
    /// Camera that they are of, for the bank
    #[arg(long, default_value = "", requires = "bank")]
    camera: String,
}

impl Asked {
    /// Where the pictures are of.
    pub(super) fn place(&self) -> bank::Place {
        bank::Place {
            site: self.site.clone(),
            camera: self.camera.clone(),
        }
    }

    /// Where the pictures of a run are of: as told now, else as the run was told.
    pub(super) fn place_of(&self, run: Option<&BankRecord>) -> bank::Place {
        let mut place = self.place();
        if let Some(run) = run {
            if place.site.is_empty() {
                place.site.clone_from(&run.site);
            }
            if place.camera.is_empty() {
                place.camera.clone_from(&run.camera);
            }
        }
        place
    }

    /// The bank, if one is to be asked; opened and closed again, for others may go on teaching it.
    pub(super) fn open(&self, threads: Threads, config: &Config) -> anyhow::Result<Option<Taught>> {
        let Some(data) = &self.bank else {
            return Ok(None);
        };
        let embedder: Arc<dyn Embed> = Arc::new(load_embedder(&self.embedder, threads)?);
        let bank = open_for_scan(data, &embedder, config)?;
        Ok(Some(Taught::new(bank, embedder)))
    }
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Add(add::Args),
    List(list::Args),
    /// Takes samples away; `undo` brings them back
    Remove {
        /// Sample
        #[arg(required = true, value_name = "ID")]
        ids: Vec<Id>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Undoes the newest change, or that of a version: all scores are as they were, to the last bit
    Undo {
        /// Of the change
        #[arg(long)]
        version: Option<i64>,
    },
    /// Lists the changes of the bank, newest first: each made a version that can be asked again (`search --at`)
    /// and undone
    Log {
        /// How many
        #[arg(short, value_name = "N", default_value_t = 20)]
        n: u32,
        /// JSON Lines instead of a table
        #[arg(long)]
        json: bool,
    },
    Search(search::Args),
    /// Embeds samples that the embedder has not seen: from review, or of an older embedder. Interrupted,
    /// it goes on where it was
    #[command(visible_alias = "reembed")]
    Embed,
    Check(look::Args),
    Export(lend::ExportArgs),
    Import(lend::ImportArgs),
}

/// Samples of a change that are named.
const SHOWN: usize = 60;

/// What every subcommand works with.
struct Desk {
    args: Place,
    config: Config,
    ledger: Ledger,
    store: Arc<Store>,
    actor: Actor,
}

/// Where and with what.
struct Place {
    data: PathBuf,
    embedder: String,
}

pub(super) fn run(args: Args) -> anyhow::Result<u8> {
    // a required argument cannot also be given behind the subcommand
    if args.data.is_none() {
        super::eprintln_line("sitewarden: name the data folder of the bank: --data DIR");
        return Ok(exit::USAGE);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let adds = matches!(args.command, Command::Add(_) | Command::Import(_));
        let (desk, command) = Desk::open(args, adds).await?;
        let done = desk.run(command).await;
        desk.ledger.close().await;
        done
    })
}

impl Desk {
    async fn open(args: Args, make: bool) -> anyhow::Result<(Self, Command)> {
        let config = Config::load(args.config.as_deref())?;
        let data = args.data.unwrap_or_default();
        let mut settings = Settings::folder(&data);
        settings.database_url = args.database;
        if !make && !settings.exists() {
            bail!(
                "there is no bank in {}: `sitewarden bank --data … add` makes one",
                data.display()
            );
        }
        let ledger = Ledger::open(&settings, Arc::new(SystemClock)).await?;
        let store = Arc::new(Store::open(&data, config.evidence.clone())?);
        let desk = Self {
            args: Place {
                data,
                embedder: args.embedder,
            },
            config,
            ledger,
            store,
            actor: Actor::person(args.by),
        };
        Ok((desk, args.command))
    }

    async fn run(&self, command: Command) -> anyhow::Result<u8> {
        match command {
            Command::Add(args) => add::run(self, args).await,
            Command::List(args) => list::run(self, args).await,
            Command::Remove { ids, reason } => {
                let mut tx = self.ledger.begin(&self.actor).await?;
                let change = rows::remove(&mut tx, &ids, &reason).await?;
                tx.commit().await?;
                self.say(&change)
            }
            Command::Undo { version } => {
                let mut tx = self.ledger.begin(&self.actor).await?;
                let change = rows::undo(&mut tx, version).await?;
                tx.commit().await?;
                self.say(&change)
            }
            Command::Log { n, json } => list::log(self, n, json).await,
            Command::Search(args) => search::run(self, args).await,
            Command::Embed => {
                let embedder = self.embedder()?;
                let (done, failed) = self.embed_missing(&embedder).await?;
                writeln!(std::io::stdout(), "{done} samples embedded")?;
                Ok(if failed == 0 {
                    exit::OK
                } else {
                    exit::INCOMPLETE
                })
            }
            Command::Check(args) => look::run(self, args).await,
            Command::Export(args) => lend::export(self, args).await,
            Command::Import(args) => lend::import(self, args).await,
        }
    }

    fn embedder(&self) -> anyhow::Result<Arc<dyn Embed>> {
        let cores = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        let embedder = load_embedder(&self.args.embedder, Threads::latency(cores))?;
        Ok(Arc::new(embedder))
    }

    /// Version, and what came and went.
    fn say(&self, change: &rows::Change) -> anyhow::Result<u8> {
        let mut parts = Vec::new();
        for (n, what) in [
            (change.added.len(), "added"),
            (change.removed.len(), "taken away"),
            (change.already, "there already"),
            (change.completed, "of them completed"),
        ] {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "version {}: {}", change.version, parts.join(", "))?;
        let ids = || change.added.iter().chain(&change.removed);
        for id in ids().take(SHOWN) {
            writeln!(out, "  {id}")?;
        }
        let more = ids().skip(SHOWN).count();
        if more > 0 {
            writeln!(out, "  and {more} more (`list` shows all)")?;
        }
        Ok(exit::OK)
    }

    /// Embeds what this embedder has not seen; how many, and how many could not be.
    async fn embed_missing(&self, embedder: &Arc<dyn Embed>) -> anyhow::Result<(usize, usize)> {
        let limits = &self.config.limits;
        embed_missing(&self.ledger, &self.store, embedder, limits).await
    }

    /// The embedder whose embeddings the bank holds: the one named, or else the only one.
    async fn known_embedder(&self) -> anyhow::Result<EmbedderId> {
        let mut db = self.ledger.read().await?;
        let known = rows::embedders(&mut db).await?;
        let named: Vec<_> = known
            .iter()
            .filter(|(id, _)| {
                let named = &self.args.embedder;
                id.version == *named || id.version.starts_with(&format!("{named} "))
            })
            .collect();
        match (&known[..], &named[..]) {
            ([], _) => bail!("the bank has no embeddings: run `sitewarden bank … embed`"),
            ([(only, _)], _) | (_, [(only, _)]) => Ok(only.clone()),
            _ => {
                let names: Vec<_> = known
                    .iter()
                    .map(|(id, n)| format!("{} ({n})", id.version))
                    .collect();
                bail!(
                    "the bank has embeddings of several embedders: name one with --embedder: {}",
                    names.join(", ")
                )
            }
        }
    }

    /// The bank by these embeddings, as it is or as it was.
    async fn bank(&self, embedder: &EmbedderId, at: Option<i64>) -> anyhow::Result<Bank> {
        load_bank(&self.ledger, &self.args.data, embedder, at).await
    }
}

async fn embed_missing(
    ledger: &Ledger,
    store: &Arc<Store>,
    embedder: &Arc<dyn Embed>,
    limits: &crate::source::photo::PhotoLimits,
) -> anyhow::Result<(usize, usize)> {
    let mut failed = BTreeMap::new();
    let done = samples::embed_missing(ledger, store, embedder, limits, &mut failed).await?;
    for (id, why) in &failed {
        super::eprintln_line(&format!(
            "sitewarden: sample {id} cannot be embedded: {why}"
        ));
    }
    Ok((done, failed.len()))
}

pub(super) fn load_embedder(name: &str, threads: Threads) -> anyhow::Result<Embedder> {
    let runtime = Runtime::load(None)?;
    let dir = inference::locate(name, &inference::search_path())?;
    Embedder::load(&runtime, &dir, threads)
        .with_context(|| format!("the embedder in {} is refused", dir.display()))
}

/// The bank for a scan: opened, what is missing embedded, closed again.
fn open_for_scan(
    data: &std::path::Path,
    embedder: &Arc<dyn Embed>,
    config: &Config,
) -> anyhow::Result<Bank> {
    let settings = Settings::folder(data);
    if !settings.exists() {
        bail!(
            "there is no bank in {}: `sitewarden bank --data … add` makes one",
            data.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let ledger = Ledger::open(&settings, Arc::new(SystemClock)).await?;
        let store = Arc::new(Store::open(data, config.evidence.clone())?);
        embed_missing(&ledger, &store, embedder, &config.limits).await?;
        let bank = load_bank(&ledger, data, &embedder_id(&**embedder), None).await;
        ledger.close().await;
        bank
    })
}

async fn load_bank(
    ledger: &Ledger,
    data: &std::path::Path,
    embedder: &EmbedderId,
    at: Option<i64>,
) -> anyhow::Result<Bank> {
    let mut db = ledger.read().await?;
    let loaded = match at {
        Some(_) => rows::load(&mut db, embedder, at, |_| None).await?,
        None => {
            let (loaded, state) = rows::load_with_index(&mut db, data, embedder).await?;
            if let IndexState::Damaged(problem) = state {
                super::eprintln_line(&format!(
                    "sitewarden: the bank's index was damaged ({problem}) and has been made anew from the \
                     ledger; nothing is lost"
                ));
            }
            loaded
        }
    };
    if loaded.bank.is_empty() && loaded.without_embedding == 0 {
        bail!(
            "the bank is empty: add samples with `sitewarden bank --data … add --hazard CODE PHOTO`"
        );
    }
    if loaded.bank.is_empty() {
        let known = rows::embedders(&mut db).await?;
        let known: Vec<&str> = known.iter().map(|(id, _)| id.version.as_str()).collect();
        bail!(
            "none of the {} has an embedding of {}; they have: {}. Embed them with `sitewarden bank --data … embed`",
            table::count(loaded.without_embedding, "sample"),
            embedder.version,
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        );
    }
    if loaded.without_embedding > 0 {
        super::eprintln_line(&format!(
            "sitewarden: {} without an embedding of {} say nothing; `sitewarden bank --data … embed` embeds them",
            table::count(loaded.without_embedding, "sample"),
            embedder.version
        ));
    }
    Ok(loaded.bank)
}
