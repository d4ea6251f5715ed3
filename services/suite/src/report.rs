//! What a newcomer sees when the suite is ready: what listens where, and how to call it.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::database::short;
use crate::error::Error;
use crate::options::Options;
use crate::progress::Progress;
use crate::run::Suite;
use crate::tenant::DEFAULT_TENANT;
use crate::token;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Prints it.
pub(crate) fn ready(
    out: &mut impl Write,
    suite: &Suite,
    options: &Options,
    progress: &Progress,
) -> Result<(), Error> {
    let steps = progress.steps().into_iter().map(|(name, took)| format!("{name} {}", s(took)));
    let steps = steps.collect::<Vec<_>>().join(", ");
    let token = match options.issuer.token_jwks {
        None => Some(token::sign(
            &suite.keys,
            token::Arguments::everything(&options.issuer.token_audience),
        )?),
        Some(_) => None,
    };
    let total = s(progress.total());
    let written =
        writeln!(out, "{GOOD}strongroom is ready{GOOD:#} in {total} {DIM}({steps}){DIM:#}")
            .and_then(|()| table(out, suite))
            .and_then(|()| callers(out, suite, options, token.as_deref()));
    // A closed pipe is no reason to stop serving.
    if let Err(error) = written {
        tracing::warn!(%error, "standard output is closed");
    }
    Ok(())
}

fn table(out: &mut impl Write, suite: &Suite) -> io::Result<()> {
    let (at, admin) = (suite.addresses, suite.admin_addresses);
    let row = |out: &mut dyn Write, service: &str, contract: &str, admin: &str| {
        writeln!(out, "  {service:<14}{contract:<23}{admin}")
    };
    writeln!(out)?;
    writeln!(out, "{DIM}  {:<14}{:<23}metrics and health{DIM:#}", "service", "gRPC")?;
    for (service, at, admin) in [
        ("accounts", at.accounts, admin.accounts),
        ("records", at.records, admin.records),
        ("transactions", at.transactions, admin.transactions),
    ] {
        row(out, service, &at.to_string(), &admin.to_string())?;
    }
    match &suite.postgres {
        Some(folder) => row(out, "postgres", "private", &short(folder)),
        None => row(out, "postgres", "as configured", ""),
    }
}

fn callers(
    out: &mut impl Write,
    suite: &Suite,
    options: &Options,
    token: Option<&str>,
) -> io::Result<()> {
    let accounts = suite.addresses.accounts;
    let default = DEFAULT_TENANT.uuid();
    // Cargo says that it is there.
    let from_cargo = std::env::var_os("CARGO").is_some();
    let command = if from_cargo { "cargo run --" } else { "strongroom" };
    writeln!(out)?;
    if options.is_development() {
        writeln!(
            out,
            "  Without a token, callers on this machine are \"dev\" in tenant {default}."
        )?;
    }
    let mut header = "";
    if let Some(token) = token {
        writeln!(out, "  A token with every permission in that tenant, for a day:")?;
        writeln!(out, "\n{token}\n")?;
        writeln!(out, "  More: {command} token --help")?;
        if !options.is_development() {
            header = "-H \"authorization: Bearer $TOKEN\" ";
        }
    }
    writeln!(out, "  Try:  grpcurl -plaintext {accounts} list")?;
    writeln!(
        out,
        "        grpcurl -plaintext {header}{accounts} \
         strongroom.accounts.v1.AccountService/ListAccounts"
    )?;
    writeln!(out, "        {command} demo")?;
    writeln!(out, "  Stop: Ctrl-C")?;
    out.flush()
}

fn s(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
