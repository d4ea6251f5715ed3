//! The records service as a process of its own.
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use records::seal::FileProvider;

/// Make a file with a new key-encryption key
#[derive(Parser)]
struct Keygen {
    /// The new file; one that exists is never replaced
    file: PathBuf,
}

fn main() -> ExitCode {
    // `keygen` needs neither configuration nor a database.
    if std::env::args_os().nth(1).is_some_and(|command| command == "keygen") {
        let name = std::iter::once("records keygen".into());
        return keygen(Keygen::try_parse_from(name.chain(std::env::args_os().skip(2))));
    }
    shared::boot::main(records::SERVICE, records::serve)
}

fn keygen(arguments: Result<Keygen, clap::Error>) -> ExitCode {
    let file = match arguments {
        Ok(Keygen { file }) => file,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    match FileProvider::create(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
