//! The accounts service as a binary of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::boot::main(accounts::SERVICE, accounts::serve)
}
