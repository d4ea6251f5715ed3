//! The transactions service as a binary of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    shared::boot::main(transactions::SERVICE, transactions::serve)
}
