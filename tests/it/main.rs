//! Integration tests: one binary, a module for each face of the program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise, in its helpers too"
)]

mod api;
mod architecture;
mod bank;
mod bench;
mod cameras;
mod clip_bank;
mod damaged;
mod datasets;
mod demo_clip;
mod heic;
mod hostile;
mod photos;
mod replay;
mod rtsp;
mod scan;
mod sources;
mod support;
mod watch;
mod zones;
