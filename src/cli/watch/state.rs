//! The file in which a watch remembers what was open.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;

use crate::cli::files::{check_place, write_with};
use crate::pipeline::clip::Memory;

pub(super) struct StateFile {
    path: PathBuf,
    sources: BTreeMap<String, Memory>,
}

impl StateFile {
    /// Reads it, if it is there.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        check_place(path)
            .with_context(|| format!("--state {shown}: name a file that can be written"))?;
        let sources = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!("--state {shown} is no state of this program; move it away to begin anew")
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => return Err(e).with_context(|| format!("--state {shown} cannot be read")),
        };
        Ok(Self {
            path: path.to_owned(),
            sources,
        })
    }

    /// What is remembered of a source.
    pub(super) fn of(&self, source: &str) -> Option<Memory> {
        self.sources.get(source).cloned()
    }

    /// Remembers, at once and whole.
    pub(super) fn keep(&mut self, source: &str, memory: Memory) -> anyhow::Result<()> {
        if self.sources.get(source) == Some(&memory) {
            return Ok(());
        }
        self.sources.insert(source.to_owned(), memory);
        let text = serde_json::to_vec(&self.sources)?;
        write_with(&self.path, |f| f.write_all(&text)).with_context(|| {
            format!(
                "cannot write {}; check space and permissions",
                self.path.display()
            )
        })
    }
}

pub(super) fn lock(state: &Mutex<StateFile>) -> MutexGuard<'_, StateFile> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
