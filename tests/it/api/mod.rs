//! The HTTP API, file by file as the routes are.

mod accounts;
mod contract;
mod photos;
mod session;
mod support;
