//! The `sitewarden` program.
fn main() {}
