//! Composition of stages and adapters: what happens to one photo, and to many.

pub mod bank;
pub mod camera;
pub mod clip;
pub mod clip_file;
pub mod evidence;
pub mod ordered;
pub mod photo;
pub mod picture;
