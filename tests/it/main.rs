//! Integration tests: one binary, a module for each face of the program.

mod architecture;
mod photos;
mod scan;
mod support;
