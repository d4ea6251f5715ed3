//! `strongroom token`: tokens of the issuer of development.

use std::time::Duration;

use shared::clock::Clock;
use shared::config::seconds;
use shared::principal::Grants;
use shared::token::Claims;
use uuid::Uuid;

use crate::error::Error;
use crate::keys::{ISSUER, Keys};
use crate::tenant::DEFAULT_TENANT;

/// What a token says.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// A tenant in which it holds; "default" where none is given
    #[arg(long = "tenant", value_name = "UUID")]
    tenants: Vec<Uuid>,
    /// A permission such as "accounts.customers.create", "accounts.*" or "*", with ":own" behind it
    /// for what the customer holds; everything where none is given
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    /// The person or program
    #[arg(long, default_value = "dev")]
    subject: String,
    /// The customer that the subject is
    #[arg(long, value_name = "UUID")]
    customer: Option<Uuid>,
    /// Seconds until it expires
    #[arg(long, default_value = "86400", value_parser = seconds)]
    ttl: Duration,
    /// The audience
    #[arg(long, env = "STRONGROOM_TOKEN_AUDIENCE", default_value = "strongroom")]
    audience: String,
}

impl Arguments {
    /// Everything in tenant default, for a day.
    pub(crate) fn everything(audience: &str) -> Self {
        Self {
            tenants: Vec::new(),
            permissions: Vec::new(),
            subject: "dev".to_owned(),
            customer: None,
            ttl: Duration::from_secs(86_400),
            audience: audience.to_owned(),
        }
    }

    /// The same for another person or program.
    pub(crate) fn of(self, subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..self }
    }
}

/// Signs a token that says this.
pub(crate) fn sign(keys: &Keys, arguments: Arguments) -> Result<String, Error> {
    let now = u64::try_from(Clock::system().now().micros() / 1_000_000).unwrap_or(0);
    let mut tenants = arguments.tenants;
    if tenants.is_empty() {
        tenants.push(DEFAULT_TENANT.uuid());
    }
    let mut permissions = arguments.permissions;
    if permissions.is_empty() {
        permissions.push("*".to_owned());
    }
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: arguments.audience,
        sub: arguments.subject,
        exp: now.saturating_add(arguments.ttl.as_secs()),
        tenants,
        permissions: Grants::new(permissions),
        customer: arguments.customer,
    };
    keys.issuer()?.sign(&claims).map_err(|error| Error::Token(error.to_string()))
}
