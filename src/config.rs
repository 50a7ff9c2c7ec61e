//! The configuration file `sitewarden.toml`: each module's own settings under its own heading.
//! Unknown keys are refused. Command-line options win over the environment, the environment
//! over the file, the file over the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::api::ServeConfig;
use crate::cameras::mqtt::MqttConfig;
use crate::evidence::EvidenceConfig;
use crate::hazard::Lang;
use crate::source::camera::Transport;
use crate::source::photo::PhotoLimits;
use crate::tiling::Tiles;
use crate::zone::{GroundPoints, Zone};

/// Read from the current folder when no other file is named.
pub const DEFAULT_FILE: &str = "sitewarden.toml";

/// Most photos worked on at once: each has a session and a decoded photo in memory.
pub const MAX_JOBS: usize = 256;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[scan]`
    pub scan: ScanConfig,
    /// `[limits]`
    pub limits: PhotoLimits,
    /// `[hazards]`
    pub hazards: HazardsConfig,
    /// `[serve]`
    pub serve: ServeConfig,
    /// `[evidence]`
    pub evidence: EvidenceConfig,
    /// `[cameras.NAME]`: the sources of the service's cameras, by the names that the ledger knows them by.
    pub cameras: BTreeMap<String, CameraConfig>,
    /// `[mqtt]`: a broker that is told what cameras see.
    pub mqtt: Option<MqttConfig>,
}

/// A source of pictures that the service watches.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// `rtsp://…`, `http://…`, a folder, or a video file (played over and over at its own speed); `${NAME}` is replaced from the environment.
    pub address: Option<String>,
    /// Pictures are sent to the service instead.
    #[serde(default)]
    pub pushed: bool,
    /// A file of zones; relative to the configuration file.
    pub zones: Option<PathBuf>,
    /// Or the zones themselves: `[[cameras.NAME.zone]]`.
    #[serde(default)]
    pub zone: Vec<Zone>,
    /// With them, four known points on the ground: `[cameras.NAME.ground]`.
    pub ground: Option<GroundPoints>,
    /// Pictures looked at for each second, at most.
    #[serde(default = "default_fps")]
    pub fps: f64,
    /// Longer side of pictures, pixels: larger ones are made smaller.
    #[serde(default = "default_max_side")]
    pub max_side: u32,
    /// `tcp` or `udp`.
    #[serde(default)]
    pub rtsp_transport: Transport,
    /// ffmpeg's name of a hardware decoder.
    pub hwaccel: Option<String>,
    /// Whether key frames will do while nothing moves.
    #[serde(default = "default_idle")]
    pub idle: bool,
}

const fn default_fps() -> f64 {
    5.0
}

const fn default_max_side() -> u32 {
    1280
}

const fn default_idle() -> bool {
    true
}

/// An address may hold a password.
impl std::fmt::Debug for CameraConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pushed = &self.pushed;
        f.debug_struct("CameraConfig")
            .field("pushed", pushed)
            .finish_non_exhaustive()
    }
}

/// How photos are looked at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanConfig {
    /// Model name or folder.
    pub model: String,
    /// Whether large photos are also looked at in tiles.
    pub tiles: Tiles,
    /// One score threshold for all classes, `0..=1`, instead of the model's own.
    pub min_score: Option<f32>,
    /// Language of reasons.
    pub lang: Lang,
    /// Photos worked on at once; all cores when absent.
    pub jobs: Option<usize>,
}

impl Default for ScanConfig {
    fn default() -> Self {
        Self {
            model: "site-nano".into(),
            tiles: Tiles::default(),
            min_score: None,
            lang: Lang::default(),
            jobs: None,
        }
    }
}

/// Which hazards are looked for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HazardsConfig {
    /// A catalogue file that adds to or replaces entries of the built-in one; relative to
    /// the configuration file.
    pub catalogue: Option<PathBuf>,
    /// Only these codes; all when empty.
    pub only: Vec<String>,
}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] where that exists, or the defaults.
    ///
    /// # Errors
    /// When the file cannot be read or holds a key or value that is not understood.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let path = match file {
            Some(path) => path,
            None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path).with_context(|| {
            let path = path.display();
            format!(
                "cannot read the configuration {path}: it must be there, readable, text in UTF-8"
            )
        })?;
        let mut config = Self::parse(&text)
            .with_context(|| format!("the configuration {} is not valid", path.display()))?;
        let cameras = config.cameras.values_mut();
        let files = cameras.flat_map(|camera| {
            let references = camera.zone.iter_mut().filter_map(|z| z.reference.as_mut());
            camera.zones.iter_mut().chain(references)
        });
        let certificates = config.mqtt.as_mut().and_then(|mqtt| mqtt.ca_file.as_mut());
        let files = files.chain(config.hazards.catalogue.as_mut());
        for file in files.chain(certificates) {
            *file = path.parent().unwrap_or(Path::new("")).join(&*file);
        }
        Ok(config)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        if let Some(score) = config.scan.min_score {
            anyhow::ensure!(
                (0.0..=1.0).contains(&score),
                "scan.min_score is {score}; give a number from 0 to 1"
            );
        }
        for (name, camera) in &config.cameras {
            anyhow::ensure!(
                (0.1..=60.0).contains(&camera.fps) && (64..=7680).contains(&camera.max_side),
                "cameras.{name}: give fps from 0.1 to 60 and max_side from 64 to 7680"
            );
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            anyhow::ensure!(
                camera
                    .hwaccel
                    .iter()
                    .flat_map(|name| name.chars())
                    .all(plain),
                "cameras.{name}.hwaccel: give the name of a decoder, for example vaapi"
            );
        }
        if let Some(jobs) = config.scan.jobs {
            anyhow::ensure!(
                (1..=MAX_JOBS).contains(&jobs),
                "scan.jobs is {jobs}; give 1 to {MAX_JOBS}, or leave it out for all cores"
            );
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn every_section_is_read() {
        let config = Config::parse(
            "[scan]\ntiles = 'auto'\nlang = 'zh'\nmin_score = 0.4\n\
             [limits]\nmax_pixels = 1000\n[hazards]\nonly = ['PPE-01']\n\
             [serve]\nmax_queue = 7\n[evidence]\nmin_free_bytes = 9",
        )
        .unwrap();
        assert_eq!(config.scan.tiles, Tiles::Auto);
        assert_eq!(config.scan.lang, Lang::Zh);
        assert_eq!(config.limits.max_pixels, 1000);
        assert_eq!(config.hazards.only, ["PPE-01"]);
        assert_eq!(config.serve.max_queue, 7);
        assert_eq!(config.evidence.min_free_bytes, 9);
    }

    #[test]
    fn zones_of_a_camera_may_stand_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sitewarden.toml");
        let text = "[cameras.gate]\naddress = 'rtsp://h/x'\n[[cameras.gate.zone]]\nname = 'door'\nkind = 'exit'\n\
             polygon = [[0, 0], [1, 0], [1, 1]]\nreference = 'clean.jpg'\n[cameras.gate.ground]\n\
             picture = [[0, 1], [1, 1], [0.6, 0.3], [0.4, 0.3]]\nmetres = [[0, 0], [9, 0], [9, 9], [0, 9]]\n";
        std::fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file)).unwrap();
        let gate = &config.cameras["gate"];
        assert!(gate.ground.is_some());
        let clean = folder.path().join("clean.jpg");
        assert_eq!(gate.zone[0].reference.as_deref(), Some(clean.as_path()));
        let error = error(&text.replace("kind = 'exit'", "kind = 'door'"));
        assert!(error.contains("exit"), "{error}");
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        assert!(error("[scan]\ntile = 'auto'").contains("tile"));
        assert!(error("[scna]").contains("scna"));
        assert!(error("[scan]\nmin_score = 1.5").contains("0 to 1"));
        assert!(error("[scan]\njobs = 0").contains("give 1 to"));
        assert!(error("[scan]\njobs = 9000000000").contains("give 1 to"));
    }
}
