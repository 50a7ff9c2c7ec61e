//! How far along the work is, for a person who waits; nothing where no person looks.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over photos, of which some are done already; `what` follows the word.
pub(super) fn photos(all: usize, done: usize, what: &'static str) -> anyhow::Result<ProgressBar> {
    let template = "{bar:30} {pos}/{len} photos{msg}, {eta} left";
    let bar = bar(all as u64, template)?.with_message(what);
    bar.set_position(done as u64);
    bar.reset_eta();
    Ok(bar)
}

/// A bar over seconds of video; the message is the clip's name.
pub(super) fn clips(seconds: f64) -> anyhow::Result<ProgressBar> {
    bar(seconds as u64, "{bar:30} {pos}/{len} s, {eta} left, {msg}")
}

fn bar(length: u64, template: &str) -> anyhow::Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    Ok(ProgressBar::new(length).with_style(ProgressStyle::with_template(template)?))
}

/// A line that says what is being done, and since when: millions of predictions take minutes.
pub(super) struct Stages(ProgressBar);

impl Stages {
    pub(super) fn new() -> anyhow::Result<Self> {
        if !std::io::stderr().is_terminal() {
            return Ok(Self(ProgressBar::hidden()));
        }
        let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}")?;
        let spinner = ProgressBar::new_spinner().with_style(style);
        spinner.enable_steady_tick(Duration::from_millis(250));
        Ok(Self(spinner))
    }

    /// From now on this is done.
    pub(super) fn at(&self, what: impl Into<String>) {
        self.0.reset_elapsed();
        self.0.set_message(what.into());
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
