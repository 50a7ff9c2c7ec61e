//! The report of a scan: its body is kept aside until the counts for its head are known.

use std::fs::File;
use std::io::{BufWriter, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Args;
use crate::cli::files::{check_place, write_with};
use crate::pipeline::photo::PhotoPipeline;
use crate::record::ScanDocument;
use crate::render::{KindName, ReportAbout, ReportWriter};
use crate::rules::RuleSet;

pub(super) struct Report {
    pub(super) writer: ReportWriter,
    pub(super) body: BufWriter<File>,
    path: PathBuf,
}

impl Report {
    pub(super) fn new(
        path: &Path,
        args: &Args,
        pipeline: &PhotoPipeline<'_>,
        rules: &RuleSet,
        document: &ScanDocument,
    ) -> anyhow::Result<Self> {
        check_place(path).with_context(|| Self::cannot_write(path))?;
        let paths: Vec<_> = args.paths.iter().map(|p| p.to_string_lossy()).collect();
        let about = ReportAbout {
            created: jiff::Timestamp::now()
                .strftime("%Y-%m-%d %H:%M UTC")
                .to_string(),
            source: paths.join(" "),
            program_version: document.sitewarden.clone(),
            model: document.model.clone(),
            bank: document.settings.bank.clone(),
            kinds: rules
                .kinds()
                .iter()
                .map(|kind| KindName {
                    code: kind.code.clone(),
                    name: kind.name.clone(),
                })
                .collect(),
        };
        Ok(Self {
            writer: ReportWriter::new(about, pipeline.settings().lang),
            body: BufWriter::new(tempfile::tempfile().context("cannot create a temporary file")?),
            path: path.to_owned(),
        })
    }

    /// The summary comes first in the file but is known last: head, then the body kept aside.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let mut body = self
            .body
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        write_with(&self.path, |out| {
            body.rewind()?;
            self.writer.write_head(out)?;
            std::io::copy(&mut body.take(u64::MAX), out)?;
            self.writer.write_tail(out)
        })
        .with_context(|| Self::cannot_write(&self.path))
    }

    fn cannot_write(path: &Path) -> String {
        format!(
            "cannot write the report {}; check the folder, its permissions and the space left",
            path.display()
        )
    }
}
