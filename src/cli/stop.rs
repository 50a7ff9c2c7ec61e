//! The end on Ctrl-C or SIGTERM: at once, but with no half-written file left behind.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::source::heic;

static WRITING: RwLock<()> = RwLock::new(());

/// Held while a temporary file stands in for one that is being written.
pub(super) fn writing() -> RwLockReadGuard<'static, ()> {
    WRITING.read().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, a signal ends the program when nothing is half-written.
#[cfg(unix)]
pub(super) fn on_signal() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let _no_child = heic::stop();
            let _nothing_half = WRITING.write().unwrap_or_else(PoisonError::into_inner);
            // as if this program had not listened: the caller sees which signal it was
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
    Ok(())
}

/// From now on, the first signal only asks to stop; a second one ends the program at once.
#[cfg(unix)]
pub(super) fn ask_on_signal() -> std::io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // in this order: the first signal finds the flag down
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&asked))?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
    }
    Ok(asked)
}

/// Other systems end the program as they do.
#[cfg(not(unix))]
pub(super) fn ask_on_signal() -> std::io::Result<Arc<AtomicBool>> {
    Ok(Arc::default())
}

/// Other systems end the program as they do.
#[cfg(not(unix))]
pub(super) fn on_signal() -> std::io::Result<()> {
    Ok(())
}
