//! Where pictures come from. Decoding is here too: a picture is bytes from outside until
//! its pixels are known to be sound.

pub mod camera;
pub mod clip;
mod container;
pub mod discover;
pub mod exif;
pub mod heic;
mod jpeg;
pub mod photo;
