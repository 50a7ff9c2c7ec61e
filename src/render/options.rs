//! What a caller decides about an annotated picture.

use crate::hazard::Lang;
use crate::record::ModelRecord;

/// What to draw besides the candidates' frames and labels.
#[derive(Debug, Clone, Copy)]
pub struct AnnotateOptions<'a> {
    /// Language of all texts. The reasons are in the language they were recorded in.
    pub lang: Lang,
    /// Program and model with their versions, for the footer: [`signature`].
    pub signature: &'a str,
    /// Draw what the detector saw, thin and muted, below the candidates.
    pub detections: bool,
    /// List the candidates with their reasons in a strip below the picture.
    pub legend: bool,
    /// End with a strip of counts and the signature.
    pub footer: bool,
}

impl<'a> AnnotateOptions<'a> {
    /// A picture that stands alone: everything is drawn.
    pub const fn standalone(lang: Lang, signature: &'a str) -> Self {
        Self {
            lang,
            signature,
            detections: true,
            legend: true,
            footer: true,
        }
    }

    /// A picture for the report, which lists the candidates itself under the same numbers.
    pub const fn for_report(lang: Lang) -> Self {
        Self {
            lang,
            signature: "",
            detections: true,
            legend: false,
            footer: false,
        }
    }
}

/// Program and model for the footer: `sitewarden 0.1.0 · site-nano 1.2.3 · 0f0f0f0f0f0f`.
pub fn signature(program_version: &str, model: &ModelRecord) -> String {
    let digest: String = model.sha256.chars().take(12).collect();
    format!(
        "sitewarden {program_version} · {} {} · {digest}",
        model.name, model.version
    )
}
