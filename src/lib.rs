//! sitewarden looks at site photos and monitoring video, spots work-safety hazards and
//! proposes explained *candidate* findings. A person decides.
//!
//! Modules stand in the order of the data's way; `src/ARCHITECTURE.md` is the map.

// vocabulary: values only
pub mod detection;
pub mod embedding;
pub mod finding;
pub mod geometry;
pub mod hazard;
pub mod id;
pub mod record;
pub mod zone;

// the time, injected
pub mod clock;

// pure stages: no I/O, no async, no clock
pub mod attention;
pub mod bank;
pub mod confirm;
pub mod eval;
pub mod health;
pub mod motion;
pub mod postprocess;
pub mod preprocess;
pub mod reference;
pub mod render;
pub mod rules;
pub mod same_place;
pub mod tiling;
pub mod tracking;

// adapters: the world
pub mod dataset;
pub mod evidence;
pub mod inference;
pub mod ledger;
pub mod source;

// composition and faces
pub mod api;
pub mod cameras;
pub mod cli;
pub mod config;
pub mod jobs;
pub mod pipeline;
