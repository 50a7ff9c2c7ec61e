//! `sitewarden serve`: the inspection service.

mod cameras;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;

use self::cameras::{setups, with_password};
use super::{bank, exit, scan};
use crate::api::{self, App, Metrics, ServeConfig};
use crate::cameras::{Cameras, mqtt};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::evidence::Store;
use crate::finding::Actor;
use crate::inference::Threads;
use crate::jobs::samples::SampleBank;
use crate::jobs::{Jobs, Judge};
use crate::ledger::{Ledger, Settings, orders};
use crate::pipeline::photo::PhotoSettings;
use crate::rules::RuleSet;

/// Serves the inspection API: photos come in, candidate findings go into the ledger, people work
/// through them.
///
/// Ends on Ctrl-C or SIGTERM, when the requests and photos in hand are done. Exit codes: 0 it
/// ended as asked; 2 wrong usage; 4 it could not start.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address to listen on. Anything but loopback is open to the network: put a proxy with TLS
    /// in front
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Folder of the ledger and the originals; made when missing
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// `postgres://…` instead of SQLite in the data folder
    #[arg(
        long,
        value_name = "URL",
        env = "SITEWARDEN_DATABASE",
        hide_env_values = true
    )]
    database: Option<String>,
    /// Photos worked on at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = scan::parse_jobs)]
    jobs: Option<usize>,
    /// Model name (see `sitewarden models list`) or folder
    #[arg(long, value_name = "NAME|DIR", env = "SITEWARDEN_MODEL")]
    model: Option<String>,
    /// Embedder of the sample bank: name or folder. Loaded when the bank has samples
    #[arg(
        long,
        value_name = "NAME|DIR",
        env = "SITEWARDEN_EMBEDDER",
        default_value = bank::DEFAULT_EMBEDDER
    )]
    embedder: String,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let config = Config::load(args.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(args, &config))?;
    Ok(exit::OK)
}

async fn serve(args: &Args, config: &Config) -> anyhow::Result<()> {
    let settings = Settings {
        database_url: args.database.clone(),
        ..Settings::folder(&args.data)
    };
    let ledger = Ledger::open(&settings, Arc::new(SystemClock)).await?;
    let store = Arc::new(Store::open(&args.data, config.evidence.clone())?);
    let metrics = Arc::new(Metrics::default());
    let rules = Arc::new(scan::rule_set(config, &[])?);
    let samples = sample_bank(args, config, &ledger, &store);
    let jobs = Jobs::new(
        ledger.clone(),
        store.clone(),
        rules.clone(),
        samples.clone(),
        metrics.clone(),
    );
    let loopback = args.listen.ip().is_loopback();
    let serving = ServeConfig {
        secure_cookies: Some(config.serve.secure_cookies.unwrap_or(!loopback)),
        ..config.serve.clone()
    };
    let setups = setups(config, &rules)?;
    let cameras = Cameras::new(
        ledger.clone(),
        store.clone(),
        &args.data,
        setups,
        samples.clone(),
    );
    let app = App::new(
        ledger.clone(),
        store,
        jobs.clone(),
        cameras.clone(),
        metrics,
        serving,
        config.limits.clone(),
    );
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose another --listen", args.listen))?;
    let address = listener.local_addr().context("no address")?;
    // printed once: what is stored of it opens nothing
    if let Some(key) = app.first_key().await? {
        say(&format!(
            "First start. The key of the account `admin`, shown this once:\n\n    {key}\n"
        ));
    }
    say(&format!(
        "sitewarden listens on http://{address} (API: http://{address}/docs)"
    ));
    if !loopback {
        say("This address is open to the network: put a proxy with TLS in front of it.");
    }

    let reminding = tokio::spawn(remind(ledger.clone()));
    let keeping = tokio::spawn(samples.keep_ready());
    let load = judge_of(args, config, rules);
    let starting = tokio::spawn(start(app.clone(), jobs.clone(), load));
    let watching = tokio::spawn(watch(jobs, cameras.clone()));
    let telling = match &config.mqtt {
        Some(mqtt) => {
            let teller = mqtt::Teller::start(with_password(mqtt)?, cameras.events());
            Some(teller.context("[mqtt]")?)
        }
        None => None,
    };
    api::listen::serve(listener, app.router(), signal()).await?;
    reminding.abort();
    keeping.abort();
    say("ending: the photos in hand are finished first");
    watching.abort();
    tokio::task::spawn_blocking(move || cameras.stop()).await?;
    if let Some(telling) = telling {
        telling.stop().await;
    }
    // of no effect where it has started
    starting.abort();
    match starting.await {
        Ok(Some(workers)) => tokio::task::spawn_blocking(move || workers.stop()).await?,
        Err(error) if !error.is_cancelled() => return Err(error.into()),
        Ok(None) | Err(_) => {}
    }
    ledger.close().await;
    Ok(())
}

/// The bank of the data folder.
fn sample_bank(args: &Args, config: &Config, ledger: &Ledger, store: &Arc<Store>) -> SampleBank {
    let threads = Threads::throughput(scan::workers(args.jobs, config));
    let name = args.embedder.clone();
    let load = move || {
        bank::load_embedder(&name, threads)
            .map(|embedder| Arc::new(embedder) as _)
            .map_err(|e| format!("{e:#}"))
    };
    SampleBank::new(
        ledger.clone(),
        store.clone(),
        args.data.clone(),
        config.limits.clone(),
        Box::new(load),
    )
}

type LoadJudge = Box<dyn FnOnce() -> anyhow::Result<Judge> + Send>;

/// How the model is loaded: slow, so it happens while the service answers already.
fn judge_of(args: &Args, config: &Config, rules: Arc<RuleSet>) -> LoadJudge {
    let workers = scan::workers(args.jobs, config);
    let name = args
        .model
        .clone()
        .unwrap_or_else(|| config.scan.model.clone());
    let settings = PhotoSettings {
        limits: config.limits.clone(),
        tiles: config.scan.tiles,
        min_score: config.scan.min_score,
        lang: config.scan.lang,
        ..PhotoSettings::default()
    };
    Box::new(move || {
        let model = scan::load_model(&name, Threads::throughput(workers))?;
        Ok(Judge::new(Box::new(model), rules, settings))
    })
}

/// Verifies the model, then starts the workers. A refused model leaves the service up, so that
/// the ledger can be read; it is not ready and says so.
async fn start(app: App, jobs: Jobs, load: LoadJudge) -> Option<crate::jobs::Workers> {
    let loaded = tokio::task::spawn_blocking(load).await;
    let started = async {
        let judge = loaded??;
        let again = take_up(&app, &judge).await;
        if again > 0 {
            tracing::warn!(
                photos = again,
                "taken up again after an end without warning"
            );
        }
        anyhow::Ok(judge)
    };
    match started.await {
        Ok(judge) => Some(jobs.start(judge)),
        Err(error) => {
            let reason = format!("{error:#}");
            super::eprintln_line(&format!("sitewarden: not ready: {reason}"));
            jobs.refuse(&reason);
            None
        }
    }
}

/// Watches the cameras once there is a model.
async fn watch(jobs: Jobs, cameras: Cameras) {
    let judge = loop {
        if let Some(judge) = jobs.judge() {
            break judge;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    cameras.run(judge).await;
}

/// Takes up what a dead process left. What ails the ledger may pass, a full disk above all: the service
/// must not need another start after that.
async fn take_up(app: &App, judge: &Judge) -> u64 {
    loop {
        match app.begin_work(judge).await {
            Err(problem) => {
                super::eprintln_line(&format!("sitewarden: not ready yet: {problem}"));
                tokio::time::sleep(TAKE_UP_EVERY).await;
            }
            Ok(photos) => return photos,
        }
    }
}

const TAKE_UP_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// Sends the reminders of deadlines as they fall due. What fell due while the service was down goes
/// out at the next start; each goes out once.
async fn remind(ledger: Ledger) {
    loop {
        let turn = async {
            let mut tx = ledger.begin(&Actor::Machine).await?;
            let (_, more) = orders::remind(&mut tx, REMINDERS_AT_ONCE).await?;
            tx.commit().await?;
            Ok::<_, crate::ledger::Error>(more)
        };
        match turn.await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "reminders could not be sent"),
        }
        tokio::time::sleep(REMIND_EVERY).await;
    }
}

const REMINDERS_AT_ONCE: u32 = 200;
const REMIND_EVERY: std::time::Duration = std::time::Duration::from_secs(30);

/// Standard output may be closed; the service goes on.
fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Done on Ctrl-C or SIGTERM.
async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = term.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
