//! One photo, from bytes to its record: decode, look (whole and in tiles), apply the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use image::RgbImage;
use image::metadata::Orientation;
use ndarray::ArrayView4;
use sha2::{Digest, Sha256};

use super::picture::{fingerprint_of, upright};
use crate::detection::{Detection, LabelMap};
use crate::geometry::BBox;
use crate::hazard::{Candidate, HazardAnswer, Lang, Text};
use crate::inference::{Detect, InferError};
use crate::postprocess::DecodeError;
use crate::preprocess::{self, InputSpec, Layout, PrepareError, StoredPicture};
use crate::record::{
    AnswerRecord, CandidateRecord, DetectionRecord, ModelRecord, PhotoRecord, ScanDocument,
    SettingsRecord, Why,
};
use crate::render::{self, AnnotateOptions};
use crate::rules::{self, RuleSet, Scene};
use crate::source::photo::{DecodedPhoto, Photo, PhotoError, PhotoLimits};
use crate::tiling::{self, Tiles};

/// What a scan may change about the way a photo is judged.
#[derive(Debug, Clone, Default)]
pub struct PhotoSettings {
    /// Limits on files and pixels.
    pub limits: PhotoLimits,
    /// Whether large photos are also looked at in tiles.
    pub tiles: Tiles,
    /// One score threshold for all classes instead of the model's own, `0..=1`.
    pub min_score: Option<f32>,
    /// Thresholds for single classes, before all others. Classes that the model does not have
    /// are of no consequence.
    pub thresholds: BTreeMap<String, f32>,
    /// Language of the reasons in the record.
    pub lang: Lang,
    /// The day on which clauses must be in force, `YYYY-MM-DD`.
    pub on: Option<String>,
    /// Codes of kinds that cannot occur at this place: not applicable, whatever the picture shows.
    pub not_here: BTreeSet<String>,
}

/// Judges photos with one model and one set of rules. Shared by all workers.
pub struct PhotoPipeline<'a> {
    detector: &'a dyn Detect,
    rules: &'a RuleSet,
    settings: PhotoSettings,
    labels: LabelMap,
    thresholds: Vec<f32>,
}

/// Buffers that one worker uses again for every photo.
#[derive(Debug, Default)]
pub struct Scratch {
    tensor: Vec<f32>,
}

/// What the model saw in one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Width and height of the upright photo, pixels.
    pub size: (u32, u32),
    /// At or above their class threshold, best first.
    pub detections: Vec<Detection>,
    /// As [`Scene::seen_scale`].
    pub scale: f32,
    /// Tells photos that look the same ([`crate::eval::near_pairs`]).
    pub fingerprint: Option<u128>,
    /// What it took.
    pub took: StageTimes,
}

/// The whole picture and its tiles.
fn whole_and(tiles: Vec<BBox>) -> Vec<Option<BBox>> {
    let tiles = tiles.into_iter().map(Some);
    std::iter::once(None).chain(tiles).collect()
}

/// What is left of the work on one photo besides its record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trace {
    /// Tells photos that look the same ([`crate::eval::near_pairs`]).
    pub fingerprint: Option<u128>,
    /// What it took.
    pub took: StageTimes,
}

/// What the model saw in one frame, and what the rules say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Doubtful ones too, best first.
    pub detections: Vec<Detection>,
    /// Those that reach their threshold.
    pub sure: Vec<Detection>,
    /// As [`Scene::seen_scale`].
    pub seen_scale: f32,
    /// From the detections that reach their threshold.
    pub evaluation: rules::Evaluation,
    /// The part of the frame that was looked at; nothing: all of it.
    pub part: Option<BBox>,
}

/// Milliseconds that the stages of one photo took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StageTimes {
    /// From the file's bytes to pixels.
    pub decode_ms: f64,
    /// From pixels to the model's input.
    pub preprocess_ms: f64,
    /// The model.
    pub inference_ms: f64,
    /// From raw outputs to detections.
    pub postprocess_ms: f64,
}

/// Why a photo has no answers.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The picture.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// The way into the model.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The model.
    #[error("the model failed: {0}")]
    Infer(#[from] InferError),
    /// Its output.
    #[error("the model's output does not fit its manifest: {0}")]
    Decode(#[from] DecodeError),
    /// The annotated picture.
    #[error("the annotated picture could not be encoded: {0}")]
    Encode(String),
    /// A fault of this program.
    #[error("a fault in sitewarden while judging this photo ({0}); please report it")]
    Panicked(String),
}

impl JudgeError {
    /// The message in both languages; what a library said stays as it is.
    pub fn text(&self) -> Text {
        let zh = match self {
            Self::Photo(e) => return e.text(),
            Self::Prepare(e) => format!("图片无法送入模型：{e}"),
            Self::Infer(e) => format!("模型运行失败：{e}"),
            Self::Decode(e) => format!("模型输出与其清单不符：{e}"),
            Self::Encode(e) => format!("标注图片无法编码：{e}"),
            Self::Panicked(e) => format!("判定该照片时 sitewarden 出错（{e}），请反馈给我们"),
        };
        Text::new(self.to_string(), zh)
    }
}

/// Detections within one IoU of each other, seen by the whole view and a tile, are one object.
const MERGE_IOU: f32 = 0.55;
/// Least score of a detection that a tracker is given.
const DOUBTFUL: f32 = 0.1;
/// Most objects of one photo; a crowd of hundreds still fits.
const MAX_DETECTIONS: usize = 1000;
/// Pictures prepared at once: bounds the memory of a tiled photo.
const VIEWS_AT_ONCE: usize = 4;

impl<'a> PhotoPipeline<'a> {
    /// A pipeline for this model and these rules.
    pub fn new(detector: &'a dyn Detect, rules: &'a RuleSet, settings: PhotoSettings) -> Self {
        let manifest = detector.manifest();
        let mut thresholds = manifest.class_thresholds();
        if let Some(score) = settings.min_score {
            thresholds.fill(score);
        }
        for (label, threshold) in manifest.labels.iter().zip(&mut thresholds) {
            *threshold = settings
                .thresholds
                .get(label)
                .copied()
                .unwrap_or(*threshold);
        }
        Self {
            detector,
            rules,
            labels: manifest.label_map(),
            thresholds,
            settings,
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &PhotoSettings {
        &self.settings
    }

    /// The rules in force.
    pub fn rules(&self) -> &RuleSet {
        self.rules
    }

    /// The classes of the model.
    pub fn labels(&self) -> &LabelMap {
        &self.labels
    }

    /// Side of the model's input, pixels: pictures need not be larger.
    pub fn input_side(&self) -> u32 {
        let spec = &self.detector.manifest().input;
        spec.width.max(spec.height)
    }

    /// The heading of a scan's document, without photos.
    pub fn document(&self) -> ScanDocument {
        let manifest = self.detector.manifest();
        ScanDocument {
            sitewarden: env!("CARGO_PKG_VERSION").into(),
            model: ModelRecord {
                name: manifest.name.clone(),
                version: manifest.version.clone(),
                sha256: manifest.sha256.clone(),
            },
            settings: self.settings_record(),
            photos: Vec::new(),
        }
    }

    fn settings_record(&self) -> SettingsRecord {
        let labels = self.labels.names().iter().cloned();
        SettingsRecord {
            catalogue_version: self.rules.catalogue_version().to_owned(),
            catalogue_sha256: self.rules.catalogue_digest().to_owned(),
            hazards: self.rules.only().map(<[String]>::to_vec),
            tiles: self.settings.tiles.to_string(),
            min_score: self.settings.min_score,
            thresholds: labels.zip(self.thresholds.iter().copied()).collect(),
            lang: self.settings.lang,
            on: self.settings.on.clone(),
            not_here: self.settings.not_here.iter().cloned().collect(),
            bank: None,
        }
    }

    /// Judges one photo. Whatever goes wrong, there is a record: `error` says what.
    pub fn record(
        &self,
        path: String,
        bytes: Result<&[u8], &PhotoError>,
        scratch: &mut Scratch,
    ) -> PhotoRecord {
        match bytes {
            Ok(bytes) => {
                let sha256 = hex(&Sha256::digest(bytes));
                self.recorded(path, bytes, sha256, scratch, false).0
            }
            Err(e) => {
                let reason = e.text();
                PhotoRecord::unreadable(path, reason.get(self.settings.lang).to_owned())
            }
        }
    }

    /// As [`Self::record`] of a photo whose digest is known, with what else came out of the work; nothing
    /// of it when the photo could not be judged.
    pub fn record_and_trace(
        &self,
        path: String,
        bytes: &[u8],
        sha256: String,
        scratch: &mut Scratch,
    ) -> (PhotoRecord, Option<Trace>) {
        self.recorded(path, bytes, sha256, scratch, true)
    }

    fn recorded(
        &self,
        path: String,
        bytes: &[u8],
        sha256: String,
        scratch: &mut Scratch,
        with_fingerprint: bool,
    ) -> (PhotoRecord, Option<Trace>) {
        let mut record = PhotoRecord {
            path,
            sha256: Some(sha256),
            width: None,
            height: None,
            detections: Vec::new(),
            answers: Vec::new(),
            candidates: Vec::new(),
            suppressed: Vec::new(),
            error: None,
            note: None,
        };
        let mut trace = None;
        match guarded(|| self.judge(bytes, scratch, with_fingerprint)) {
            Ok(judged) => {
                (record.width, record.height) = (Some(judged.size.0), Some(judged.size.1));
                let lang = self.settings.lang;
                record.note = judged
                    .first_of_several
                    .then(|| first_of_several(lang).to_owned());
                record.detections = judged
                    .detections
                    .iter()
                    .map(|d| self.detection_record(d))
                    .collect();
                record.answers = judged
                    .evaluation
                    .answers
                    .into_iter()
                    .map(|a| answer_record(a, lang))
                    .collect();
                record.candidates = judged
                    .evaluation
                    .candidates
                    .into_iter()
                    .map(|c| candidate_record(c, lang))
                    .collect();
                trace = Some(judged.trace);
            }
            Err(e) => record.error = Some(e.text().get(self.settings.lang).to_owned()),
        }
        (record, trace)
    }

    fn judge(
        &self,
        bytes: &[u8],
        scratch: &mut Scratch,
        with_fingerprint: bool,
    ) -> Result<Judged, JudgeError> {
        let opening = Instant::now();
        let photo = Photo::open(bytes, &self.settings.limits)?;
        let opened_ms = ms(opening);
        let size = photo.upright_size();
        let mut look = self.look(&photo, scratch)?;
        look.took.decode_ms += opened_ms;
        let scene = Scene {
            width: size.0,
            height: size.1,
            detections: &look.detections,
            labels: &self.labels,
            seen_scale: look.scale,
        };
        let evaluation = self.evaluate(&scene);
        Ok(Judged {
            size,
            first_of_several: photo.holds_several(),
            detections: look.detections,
            evaluation,
            trace: Trace {
                fingerprint: if with_fingerprint {
                    fingerprint_of(&look.decoded)?
                } else {
                    None
                },
                took: look.took,
            },
        })
    }

    fn evaluate(&self, scene: &Scene<'_>) -> rules::Evaluation {
        let mut evaluation = rules::evaluate(self.rules, scene, self.settings.on.as_deref());
        evaluation.leave_out(&self.settings.not_here);
        evaluation
    }

    /// What the model sees in one photo, without rules: the same steps as [`Self::record`].
    ///
    /// # Errors
    /// When the photo cannot be read, or the model fails.
    pub fn see(&self, bytes: &[u8], scratch: &mut Scratch) -> Result<Seen, JudgeError> {
        guarded(|| {
            let opening = Instant::now();
            let photo = Photo::open(bytes, &self.settings.limits)?;
            let opened_ms = ms(opening);
            let look = self.look(&photo, scratch)?;
            let (width, height) = photo.upright_size();
            let mut took = look.took;
            took.decode_ms += opened_ms;
            Ok(Seen {
                size: (width, height),
                detections: look.detections,
                scale: look.scale,
                fingerprint: fingerprint_of(&look.decoded)?,
                took,
            })
        })
    }

    /// What the model sees in a frame of a video, doubtful detections too (a tracker wants them),
    /// and what the rules say of the ones that reach their threshold.
    ///
    /// # Errors
    /// When the model fails.
    pub fn frame(&self, picture: &RgbImage, scratch: &mut Scratch) -> Result<Watched, JudgeError> {
        self.reduced_frame(picture, picture.dimensions(), None, scratch)
    }

    /// As [`Self::frame`], of a frame of `size` that was made smaller on its way here.
    ///
    /// # Errors
    /// When the model fails.
    pub fn reduced_frame(
        &self,
        picture: &RgbImage,
        size: (u32, u32),
        part: Option<BBox>,
        scratch: &mut Scratch,
    ) -> Result<Watched, JudgeError> {
        guarded(|| {
            let stored = StoredPicture {
                pixels: picture,
                orientation: Orientation::NoTransforms,
                upright_size: size,
            };
            let low: Vec<f32> = self.thresholds.iter().map(|t| t.min(DOUBTFUL)).collect();
            let views = match part {
                Some(part) => vec![Some(part)],
                None => whole_and(self.tiles(size)),
            };
            let (mut detections, seen_scale) =
                self.views(stored, views, &low, scratch, &mut StageTimes::default())?;
            if let Some(part) = part {
                tiling::drop_cut(&mut detections, part, size);
            }
            let sure: Vec<Detection> = detections
                .iter()
                .filter(|d| d.score >= self.thresholds[d.class])
                .copied()
                .collect();
            let scene = Scene {
                width: size.0,
                height: size.1,
                detections: &sure,
                labels: &self.labels,
                seen_scale,
            };
            let evaluation = self.evaluate(&scene);
            Ok(Watched {
                detections,
                sure,
                seen_scale,
                evaluation,
                part,
            })
        })
    }

    /// Detections at or above their class threshold, best first, original upright pixels.
    fn look(&self, photo: &Photo<'_>, scratch: &mut Scratch) -> Result<Look, JudgeError> {
        let size = photo.upright_size();
        let tiles = self.tiles(size);
        let mut took = StageTimes::default();
        let start = Instant::now();
        let spec = &self.detector.manifest().input;
        let decoded = photo.decode(Some(needed_size(size, &tiles, spec)))?;
        took.decode_ms = ms(start);
        let (detections, scale) = self.views(
            decoded.stored(),
            whole_and(tiles),
            &self.thresholds,
            scratch,
            &mut took,
        )?;
        Ok(Look {
            detections,
            scale,
            decoded,
            took,
        })
    }

    fn tiles(&self, size: (u32, u32)) -> Vec<BBox> {
        let spec = &self.detector.manifest().input;
        tiling::plan(self.settings.tiles, size, spec.width.max(spec.height))
    }

    /// Views of a picture (`None`: all of it) through the model. Detections at or above `thresholds`,
    /// best first, original upright pixels; and the scale of the finest view, input pixels for one
    /// original pixel, at most 1.
    fn views(
        &self,
        stored: StoredPicture<'_>,
        regions: Vec<Option<BBox>>,
        thresholds: &[f32],
        scratch: &mut Scratch,
        took: &mut StageTimes,
    ) -> Result<(Vec<Detection>, f32), JudgeError> {
        let manifest = self.detector.manifest();
        let spec = &manifest.input;
        let mut views = Vec::with_capacity(regions.len());
        let mut finest: f32 = 0.0;
        for regions in regions.chunks(VIEWS_AT_ONCE) {
            let one = spec.tensor_len();
            let start = Instant::now();
            scratch.tensor.resize(regions.len() * one, 0.0);
            let letterboxes = regions
                .iter()
                .zip(scratch.tensor.chunks_exact_mut(one))
                .map(|(region, tensor)| preprocess::prepare(stored, *region, spec, tensor))
                .collect::<Result<Vec<_>, _>>()?;
            took.preprocess_ms += ms(start);
            let start = Instant::now();
            let input = tensor_view(&scratch.tensor, regions.len(), spec)?;
            let outputs = self.detector.detect(input)?;
            took.inference_ms += ms(start);
            let start = Instant::now();
            for ((region, letterbox), outputs) in regions.iter().zip(letterboxes).zip(outputs) {
                finest = finest.max(letterbox.scale_x.min(letterbox.scale_y));
                let seen = manifest.decode(&outputs, &letterbox, thresholds)?;
                views.push((*region, seen));
            }
            took.postprocess_ms += ms(start);
        }
        let start = Instant::now();
        let detections = if views.len() == 1 {
            views.pop().map(|(_, seen)| seen).unwrap_or_default()
        } else {
            tiling::merge(views, stored.upright_size, MERGE_IOU, MAX_DETECTIONS)
        };
        took.postprocess_ms += ms(start);
        Ok((detections, finest.min(1.0)))
    }

    pub(super) fn detection_record(&self, d: &Detection) -> DetectionRecord {
        DetectionRecord {
            label: self.labels.name(d.class).to_owned(),
            score: score(d.score),
            bbox: pixels(d.bbox),
        }
    }

    /// The annotated picture as JPEG, its longer side at most `max_side` pixels before the
    /// legend is added.
    ///
    /// # Errors
    /// When the photo cannot be decoded or encoded.
    pub fn annotated(
        &self,
        bytes: &[u8],
        record: &PhotoRecord,
        max_side: u32,
        options: &AnnotateOptions<'_>,
    ) -> Result<Vec<u8>, JudgeError> {
        guarded(|| self.draw(bytes, record, max_side, options))
    }

    fn draw(
        &self,
        bytes: &[u8],
        record: &PhotoRecord,
        max_side: u32,
        options: &AnnotateOptions<'_>,
    ) -> Result<Vec<u8>, JudgeError> {
        // Decoded a second time on purpose: what the model sees must not depend on whether
        // somebody wanted a picture.
        let (picture, _) = upright(bytes, &self.settings.limits, max_side)?;
        encode_jpeg(&render::annotate(&picture, record, options))
    }
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// A decoder or a rule that panics on hostile input costs this photo, not the run.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, JudgeError>) -> Result<T, JudgeError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(JudgeError::Panicked(panic_text(&*panic))))
}

/// A picture as JPEG.
///
/// # Errors
/// When the encoder fails.
pub fn encode_jpeg(picture: &RgbImage) -> Result<Vec<u8>, JudgeError> {
    let image = turbojpeg::Image {
        pixels: picture.as_raw().as_slice(),
        width: picture.width() as usize,
        pitch: 3 * picture.width() as usize,
        height: picture.height() as usize,
        format: turbojpeg::PixelFormat::RGB,
    };
    let encode = || {
        let mut jpeg = turbojpeg::Compressor::new()?;
        jpeg.set_quality(88)?;
        // full colour resolution: thin coloured lines and text smear otherwise
        jpeg.set_subsamp(turbojpeg::Subsamp::None)?;
        jpeg.compress_to_vec(image)
    };
    encode().map_err(|e| JudgeError::Encode(e.to_string()))
}

/// What [`PhotoPipeline::look`] gives.
struct Look {
    detections: Vec<Detection>,
    /// Of the finest view: input pixels for one original pixel, at most 1.
    scale: f32,
    decoded: DecodedPhoto,
    took: StageTimes,
}

struct Judged {
    size: (u32, u32),
    first_of_several: bool,
    detections: Vec<Detection>,
    evaluation: rules::Evaluation,
    trace: Trace,
}

fn first_of_several(lang: Lang) -> &'static str {
    match lang {
        Lang::En => {
            "The file holds several pages or frames; only the first was judged. Save the others as \
             files of their own to have them judged."
        }
        Lang::Zh => {
            "该文件含多页或多帧，仅判定了第一页（帧）；如需判定其余内容，请另存为单独的文件。"
        }
    }
}

/// Size (upright) that the photo must be decoded to for the whole view and all tiles.
fn needed_size(size: (u32, u32), tiles: &[BBox], spec: &InputSpec) -> (u32, u32) {
    let whole = preprocess::fitted_size(size, spec);
    let Some(tile) = tiles.first() else {
        return whole;
    };
    let scale = (spec.width as f32 / tile.width())
        .max(spec.height as f32 / tile.height())
        .min(1.0);
    let side = |n: u32, least: u32| ((n as f32 * scale).ceil() as u32).max(least);
    (side(size.0, whole.0), side(size.1, whole.1))
}

fn tensor_view<'t>(
    tensor: &'t [f32],
    n: usize,
    spec: &InputSpec,
) -> Result<ArrayView4<'t, f32>, JudgeError> {
    let (w, h) = (spec.width as usize, spec.height as usize);
    let shape = match spec.layout {
        Layout::Nchw => (n, 3, h, w),
        Layout::Nhwc => (n, h, w, 3),
    };
    ArrayView4::from_shape(shape, tensor).map_err(|e| JudgeError::Panicked(e.to_string()))
}

fn answer_record(answer: HazardAnswer, lang: Lang) -> AnswerRecord {
    AnswerRecord {
        reason: answer.reason.get(lang).to_owned(),
        code: answer.code,
        answer: answer.answer,
    }
}

pub(super) fn candidate_record(candidate: Candidate, lang: Lang) -> CandidateRecord {
    CandidateRecord {
        code: candidate.code,
        name: candidate.name,
        severity: candidate.severity,
        score: score(candidate.score),
        bbox: pixels(candidate.bbox),
        why: Why {
            rule: candidate.rule,
            samples: Vec::new(),
            inputs: candidate.inputs,
            text: candidate.text.get(lang).to_owned(),
        },
        references: candidate.references,
    }
}

/// Four decimals: more is noise and makes records hard to read.
pub(super) fn score(score: f32) -> f32 {
    (score * 1e4).round() / 1e4
}

/// `[x, y, width, height]` to a hundredth of a pixel.
fn pixels(bbox: BBox) -> [f32; 4] {
    bbox.to_xywh().map(|v| (v * 100.0).round() / 100.0)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
