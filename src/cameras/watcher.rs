//! The thread of one camera.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Inner;
use super::filing::Filer;
use super::telling::Teller;
use super::view::View;
use crate::bank::Place;
use crate::jobs::Judge;
use crate::ledger::camera_watch::{self, Remembered};
use crate::ledger::sites::Camera;
use crate::ledger::{self, Error};
use crate::pipeline::camera::{Beat, watch_camera};
use crate::pipeline::clip::Memory;
use crate::pipeline::clip_file::{BeginError, WatchConfig};
use crate::pipeline::evidence::{Evidence, KEPT_S};
use crate::source::camera::{self as source, Address, Mode, RingOptions};
use crate::zone::Zones;

use super::Setup;

/// What ends a watch before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("ledger: {0}")]
    Ledger(#[from] Error),
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error("spool: {0}")]
    Spool(#[from] std::io::Error),
    #[error("{0}")]
    Watch(String),
}

/// A picture takes no longer to come whole.
const UNFINISHED: Duration = Duration::from_secs(60);
/// After trouble.
const RETRY: Duration = Duration::from_secs(10);

/// Watches until the service ends or the camera is retired; anew after trouble, and when zones were drawn.
pub(super) fn watch(
    inner: &Inner,
    runtime: &Handle,
    judge: &Judge,
    camera: &Camera,
    setup: &Setup,
    view: &Arc<View>,
    mut awake_s: f64,
) {
    while !inner.stopping() && !view.is_retired() {
        view.begins();
        let watched = once(inner, runtime, judge, camera, setup, view, awake_s);
        // once it was begun again by itself it is alone
        awake_s = 0.0;
        let Err(trouble) = watched else {
            continue;
        };
        // the reason goes to the log; who asks over the API is told where to look
        tracing::error!(camera = %camera.id, %trouble, "the camera is not watched; trying again");
        view.failed(
            "It cannot be watched at present; ask whoever runs the service, whose log says why."
                .into(),
        );
        let mut waited = Duration::ZERO;
        while waited < RETRY && !inner.stopping() && !view.is_retired() {
            std::thread::sleep(Duration::from_millis(100));
            waited += Duration::from_millis(100);
        }
    }
    if view.is_retired() {
        // pictures that nobody will look at
        let spool = inner.spool.join(camera.id.to_string());
        if let Err(error) = std::fs::remove_dir_all(&spool)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(camera = %camera.id, %error, "what a retired camera left is not removed");
        }
    }
}

fn once(
    inner: &Inner,
    runtime: &Handle,
    judge: &Judge,
    camera: &Camera,
    setup: &Setup,
    view: &Arc<View>,
    awake_s: f64,
) -> Result<(), Trouble> {
    let (remembered, drawn, zone) = runtime.block_on(recall(inner, camera))?;
    let config = WatchConfig {
        zones: drawn.unwrap_or_else(|| setup.watch.zones.clone()),
        ..setup.watch.clone()
    };
    let pipeline = judge.pipeline();
    let spool = inner.spool.join(camera.id.to_string());
    let scratch = spool.join("evidence");
    // clips that were never filed: their findings are, with their first picture
    match std::fs::remove_dir_all(&scratch) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    // of a process that was killed: rings of other children, pictures that did not come whole
    source::remove_left_rings(&spool, Duration::ZERO)?;
    remove_parts(&inner.pushed(camera.id))?;
    let place = Place {
        site: camera.site_id.to_string(),
        camera: camera.id.to_string(),
    };
    // what was drawn for another model, or an earlier version took, is better watched as far as it goes
    if let Err(problem) = config.check(&pipeline) {
        tracing::warn!(camera = %camera.id, %problem, "some of the camera's zones are watched in vain");
    }
    let mut watch = config
        .begin(&pipeline, setup.address.is_some())?
        .with_bank(Box::new(|| inner.bank.latest()), place);
    let mut after = None;
    let epoch = match remembered {
        Some(Remembered { epoch, memory }) => {
            after = memory.looked();
            watch.recall(memory);
            epoch
        }
        None => inner.ledger.new_id(),
    };
    let calm = setup.idle && awake_s > 0.0;
    let mut options = source::CameraOptions {
        mode: if calm { Mode::Idle } else { Mode::Active },
        after: after.filter(|_| setup.address.is_some()),
        ..setup.options.clone()
    };
    let address = match &setup.address {
        Some(address) => {
            options.ring = Some(RingOptions {
                folder: spool.clone(),
                seconds: KEPT_S,
            });
            address.clone()
        }
        None => {
            let folder = inner.pushed(camera.id);
            std::fs::create_dir_all(&folder)?;
            options.consume = true;
            Address::of_path(&folder)
        }
    };
    let beat = Beat {
        calm_s: Beat::default().calm_s.filter(|_| setup.idle),
        awake_s,
        ..Beat::default()
    };
    let evidence = Evidence::new(&scratch, "finding")?;
    let live = Arc::new(source::Camera::open(address, options));
    view.opened(Some(live.clone()));
    let mut filer = Filer::new(
        inner, runtime, judge, &pipeline, camera, zone, epoch, scratch,
    );
    let stop = || inner.stopping() || view.is_to_begin_again() || view.is_retired();
    let (mut teller, to_file) = Teller::new(camera, view);
    let (watched, filed) = std::thread::scope(|scope| {
        let filer = &mut filer;
        // with its end to_file is dropped, so that the watch ends too
        let filing = scope.spawn(move || filer.file_all(&to_file));
        let watched = watch_camera(
            &live,
            &mut watch,
            &beat,
            Some(evidence),
            &stop,
            &mut |told, watch| teller.told(told, watch),
        );
        drop(teller);
        let filed = filing.join();
        (watched, filed)
    });
    filed.map_err(|_| Trouble::Watch("filing ended with a panic".into()))??;
    filer.remember(&watch)?;
    view.opened(None);
    watched.map_err(|error| Trouble::Watch(error.to_string()))
}

/// Removes pictures that did not come whole from a folder, which need not be there.
fn remove_parts(folder: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let is_part = entry.file_name().to_string_lossy().ends_with(super::PART);
        // one that is coming now is not gone a moment later
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_part && age().is_some_and(|age| age >= UNFINISHED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

type Before = (Option<Remembered<Memory>>, Option<Zones>, String);

/// What is remembered, the zones drawn over the API, and the zone that the camera stands in.
async fn recall(inner: &Inner, camera: &Camera) -> ledger::Result<Before> {
    let mut db = inner.ledger.read().await?;
    let remembered = match camera_watch::recall(&mut db, camera.id).await {
        Err(Error::Corrupt(e)) => {
            // of an earlier version: what is open is found again by its place
            tracing::warn!(camera = %camera.id, error = e, "what was remembered cannot be read");
            None
        }
        other => other?,
    };
    let drawn = camera_watch::zones::<Zones>(&mut db, camera.id).await?;
    let zone = match camera.point_id {
        Some(point) => ledger::sites::zone_of_point(&mut db, point).await?,
        None => String::new(),
    };
    Ok((remembered, drawn.map(|d| d.zones), zone))
}
