//! `strongroom`: all services in one process.

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::main()
}
