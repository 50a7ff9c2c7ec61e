//! `[serve]` of the configuration.

use std::num::NonZero;

use serde::Deserialize;

/// Limits of the service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Photos accepted and not yet judged, at most; more are answered with 429.
    pub max_queue: u64,
    /// Longest upload, bytes; all photos of one request together.
    pub max_upload_bytes: usize,
    /// Photos of one request, at most.
    pub max_photos_per_upload: usize,
    /// Uploads received at once: each has a photo in memory.
    pub max_uploads: usize,
    /// Requests of one caller in the long run, each second.
    pub requests_per_second: NonZero<u32>,
    /// Requests of one caller at once.
    pub request_burst: NonZero<u32>,
    /// Hours until a session ends.
    pub session_hours: u32,
    /// Whether a browser sends the session's cookie over HTTPS only. Default: unless the service
    /// listens on loopback alone.
    pub secure_cookies: Option<bool>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            max_queue: 1000,
            max_upload_bytes: 256 << 20,
            max_photos_per_upload: 200,
            max_uploads: 16,
            requests_per_second: NonZero::<u32>::MIN.saturating_add(49),
            request_burst: NonZero::<u32>::MIN.saturating_add(199),
            session_hours: 12,
            secure_cookies: None,
        }
    }
}
