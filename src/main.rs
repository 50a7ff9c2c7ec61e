//! The `sitewarden` program: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sitewarden::cli::main()
}
