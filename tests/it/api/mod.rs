//! The HTTP API, file by file as the routes are.

mod accounts;
mod cameras;
mod contract;
mod findings;
mod photos;
mod register;
mod session;
mod support;
