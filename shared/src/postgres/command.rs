//! Running helper programs with a limit of time.

use std::{
    io::{self, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use std::os::unix::process::CommandExt;

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Error, place::User};

/// Lines of output that an error message keeps.
const TAIL_LINES: usize = 12;

/// A command for a program of Postgres, as `user` if given.
///
/// It runs in a process group of its own, so that a terminal's Ctrl-C does not reach it, and in
/// `folder`, because the user may not be allowed to see the current one.
pub(super) fn postgres(program: &Path, folder: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).process_group(0).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        // PGPORT, PGOPTIONS and their like are meant for other servers.
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    // English messages; on macOS the server refuses to start without a locale. A known time zone
    // also saves initdb the search for the system's.
    command.env("LC_ALL", "C").env("TZ", "UTC");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Runs to the end and gives standard output and standard error together.
pub(super) fn run(mut command: Command, limit: Duration) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |reason: String| Error::Program { program: program.clone(), reason };
    let broken = |error: io::Error| failed(error.to_string());

    let (mut reader, writer) = io::pipe().map_err(broken)?;
    command.stdout(writer.try_clone().map_err(broken)?).stderr(writer);
    let mut child = command.process_group(0).spawn().map_err(broken)?;
    // The command holds write ends of the pipe; without this the reader would never end.
    drop(command);
    let output = thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is all there is to show.
        let _ = reader.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });

    let status = wait(&mut child, limit).map_err(broken)?;
    if status.is_none() {
        // With its children, or these would keep the pipe open. Fails only if all have ended.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        child.wait().map_err(broken)?;
    }
    let output = output.join().unwrap_or_default();
    match status {
        Some(status) if status.success() => Ok(output),
        Some(status) => Err(failed(format!("{status}\n{}", tail(&output)))),
        None => Err(failed(format!("no end after {} s\n{}", limit.as_secs(), tail(&output)))),
    }
}

/// Waits for the end of `child`; `None` if it still runs after `limit`.
pub(super) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The last lines of a text, indented, for an error message.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
