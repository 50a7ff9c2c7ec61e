//! The HTTP API, file by file as the routes are.

mod accounts;
mod bank;
mod bank_lend;
mod bank_samples;
mod camera_faults;
mod cameras;
mod contract;
mod findings;
mod jobs;
mod originals;
mod photos;
mod pictures;
mod register;
mod session;
pub(crate) mod support;
mod uploads;
