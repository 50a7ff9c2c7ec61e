//! The page of a replay: its photos are kept aside until the counts for its head are known.

use std::fs::File;
use std::io::{BufWriter, Seek};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Args;
use crate::cli::files::{check_place, write_with};
use crate::eval::changes::{PhotoChanges, ReplayDocument};
use crate::eval::clip_changes::{ClipChanges, ClipReplayDocument};
use crate::hazard::Lang;
use crate::render::replay_clips::{write_replay_clip, write_replay_clips_head};
use crate::render::{ReplayPhoto, write_replay_head, write_replay_photo, write_replay_tail};

pub(super) struct Report {
    path: PathBuf,
    lang: Lang,
    photos: usize,
    body: BufWriter<File>,
}

impl Report {
    /// A page, if one was asked for.
    pub(super) fn asked(args: &Args, lang: Lang) -> anyhow::Result<Option<Self>> {
        let path = args.report.as_deref();
        path.map(|path| Self::new(path, lang)).transpose()
    }

    fn new(path: &Path, lang: Lang) -> anyhow::Result<Self> {
        check_place(path).with_context(|| cannot_write(path))?;
        Ok(Self {
            path: path.to_owned(),
            lang,
            photos: 0,
            body: BufWriter::new(tempfile::tempfile().context("cannot create a temporary file")?),
        })
    }

    pub(super) fn photo(
        &mut self,
        changes: &PhotoChanges,
        pictures: &ReplayPhoto,
    ) -> anyhow::Result<()> {
        self.photos += 1;
        write_replay_photo(&mut self.body, self.photos, changes, pictures, self.lang)
            .with_context(|| cannot_write(&self.path))
    }

    pub(super) fn clip(
        &mut self,
        changes: &ClipChanges,
        pictures: &[Option<ReplayPhoto>],
    ) -> anyhow::Result<()> {
        write_replay_clip(&mut self.body, changes, pictures, self.lang)
            .with_context(|| cannot_write(&self.path))
    }

    pub(super) fn finish(self, document: &ReplayDocument) -> anyhow::Result<()> {
        let lang = self.lang;
        self.close(|out| write_replay_head(out, document, lang))
    }

    pub(super) fn finish_clips(self, document: &ClipReplayDocument) -> anyhow::Result<()> {
        let lang = self.lang;
        self.close(|out| write_replay_clips_head(out, document, lang))
    }

    fn close(
        self,
        head: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut body = self
            .body
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        write_with(&self.path, |out| {
            body.rewind()?;
            head(out)?;
            std::io::copy(&mut body, out)?;
            write_replay_tail(out)
        })
        .with_context(|| cannot_write(&self.path))
    }
}

fn cannot_write(path: &Path) -> String {
    format!(
        "cannot write the page {}; check the folder, its permissions and the space left",
        path.display()
    )
}
