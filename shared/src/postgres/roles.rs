//! Roles and schemas, as an administrator makes them on a production server.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Formatter},
    num::NonZeroU32,
    thread,
    time::Duration,
};

use aws_lc_rs::{
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    hmac, pbkdf2,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use diesel::{
    Connection, PgConnection,
    connection::SimpleConnection,
    result::{DatabaseErrorKind, Error as QueryError},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rand::RngExt;

use super::Error;

/// Makes roles and schemas; can be repeated.
const ROLES: &str = include_str!("../../../deploy/postgres/roles.sql");

/// Sets the password on the roles that `roles.sql` made: those that own a schema by its rule of
/// names, and their runtime roles.
const PASSWORDS: &str = "
DO $$
DECLARE
    role text;
BEGIN
    FOR role IN
        SELECT unnest(ARRAY[owner.rolname, runtime.rolname])
        FROM pg_namespace AS schema
        JOIN pg_roles AS owner ON owner.oid = schema.nspowner
            AND owner.rolname = format('strongroom_%s_owner', schema.nspname)
        JOIN pg_roles AS runtime ON runtime.rolname = format('strongroom_%s', schema.nspname)
    LOOP
        EXECUTE format('ALTER ROLE %I PASSWORD %L', role, current_setting('strongroom.verifier'));
    END LOOP;
END
$$;";

/// Limits for the whole set-up, which takes some milliseconds unless somebody holds a lock.
const LIMITS: &str = "SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '30s';";
/// Seconds until an address that does not answer is given up, unless the URL has its own limit.
const CONNECT_TIMEOUT: &str = "connect_timeout=10";
/// Roles belong to the whole server, so that set-ups of several databases may collide.
const ATTEMPTS: u32 = 10;
/// Rounds of PBKDF2, as Postgres itself does by default.
const SCRAM_ROUNDS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where one service finds its data, as each of its two roles. Both URLs hold a password.
#[derive(Clone)]
pub struct ServiceUrls {
    /// For serving: the role that owns nothing and is bound by row-level security.
    pub runtime: String,
    /// For migrations: the role that owns the schema.
    pub owner: String,
}

impl Debug for ServiceUrls {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceUrls").finish_non_exhaustive()
    }
}

/// Makes the roles and schemas of all services, and gives the roles this password.
///
/// Needs an administrator: a superuser, or a role that may create roles and schemas. Can be
/// repeated and run at the same time; then the last password counts. The server only sees a
/// verifier of the password, as with psql's `\password`, so that none gets into its log.
pub fn provision(admin_url: &str, password: &str) -> Result<(), Error> {
    let verifier = verifier(password)?;
    let url = with_timeout(admin_url)?;
    let mut connection = PgConnection::establish(&url).map_err(|error| refused(&error))?;
    // One message, so one transaction. The verifier has no quote in it.
    let sql = format!(
        "{LIMITS}{ROLES};SELECT set_config('strongroom.verifier', '{verifier}', true);{PASSWORDS}"
    );
    let mut attempt = 1;
    loop {
        match connection.batch_execute(&sql) {
            Ok(()) => return Ok(()),
            Err(error) if attempt < ATTEMPTS && collided(&error) => {
                let longest = 20 << attempt.min(5);
                thread::sleep(Duration::from_millis(rand::rng().random_range(1..=longest)));
                attempt += 1;
            }
            Err(error) => return Err(Error::Roles(error)),
        }
    }
}

/// The administrator's URL with the roles of `service` in place of its user.
///
/// All else in it stays as it is: several hosts, a socket folder in `host`, TLS parameters.
pub fn service_urls(admin_url: &str, password: &str, service: &str) -> Result<ServiceUrls, Error> {
    let runtime = format!("strongroom_{service}");
    let owner = format!("{runtime}_owner");
    Ok(ServiceUrls {
        runtime: with_user(admin_url, &runtime, password)?,
        owner: with_user(admin_url, &owner, password)?,
    })
}

/// Percent-encodes text for any part of a URL.
pub(super) fn encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, ENCODED).into()
}

fn with_user(url: &str, user: &str, password: &str) -> Result<String, Error> {
    let Parts { place, mut query, .. } = split(url)?;
    // Here they would win over those in front of the host.
    query.retain(|pair| !matches!(&*name(pair), "user" | "password" | "passfile"));
    let credentials = format!("postgres://{}:{}@", encode(user), encode(password));
    Ok(join(&Parts { credentials: &credentials, place, query }))
}

fn with_timeout(url: &str) -> Result<String, Error> {
    let mut parts = split(url)?;
    if !parts.query.iter().any(|pair| name(pair) == "connect_timeout") {
        parts.query.push(CONNECT_TIMEOUT);
    }
    Ok(join(&parts))
}

/// The URL of a database as libpq reads it.
struct Parts<'a> {
    /// Scheme, user, password and `@`, as far as there are any.
    credentials: &'a str,
    /// Hosts, ports and database.
    place: &'a str,
    /// Parameters, as `name=value`.
    query: Vec<&'a str>,
}

fn split(url: &str) -> Result<Parts<'_>, Error> {
    let scheme = ["postgres://", "postgresql://"].into_iter().find(|s| url.starts_with(s));
    let start = scheme.ok_or(Error::Address)?.len();
    // libpq takes the first `@` before any slash as the end of the user.
    let mark = url[start..].find(['@', '/']).map(|mark| start + mark);
    let end = mark.filter(|mark| url[*mark..].starts_with('@')).map_or(start, |mark| mark + 1);
    let (credentials, rest) = url.split_at(end);
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty()).collect();
    Ok(Parts { credentials, place, query })
}

fn join(parts: &Parts<'_>) -> String {
    let mark = if parts.query.is_empty() { "" } else { "?" };
    format!("{}{}{mark}{}", parts.credentials, parts.place, parts.query.join("&"))
}

fn name(pair: &str) -> Cow<'_, str> {
    percent_decode_str(pair.split('=').next().unwrap_or(pair)).decode_utf8_lossy()
}

/// What the server stores instead of a password: RFC 5803 in the notation of Postgres.
fn verifier(password: &str) -> Result<String, Error> {
    // Other characters need SASLprep (RFC 4013), which leaves these as they are.
    if password.is_empty() || !password.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(Error::Password);
    }
    let mut salt = [0; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::Random)?;
    Ok(verifier_with(password, &salt))
}

/// The formulas of RFC 5802, section 3.
pub(super) fn verifier_with(password: &str, salt: &[u8]) -> String {
    let mut salted = [0; SHA256_OUTPUT_LEN];
    let rounds = SCRAM_ROUNDS;
    let password = password.as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password, &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest(&SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let [salt, stored, server] =
        [salt, stored.as_ref(), server.as_ref()].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${rounds}:{salt}${stored}:{server}")
}

/// Whether the error tells of another set-up at the same moment, not of a fault.
fn collided(error: &QueryError) -> bool {
    let QueryError::DatabaseError(kind, information) = error else {
        return false;
    };
    // Postgres has no error class for two writers of one catalogue row.
    let message = information.message();
    matches!(kind, DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure)
        || message.starts_with("tuple concurrently")
        || message.ends_with("already exists")
        || message == "deadlock detected"
}

/// libpq quotes parts of an address that it does not understand, which may be a password.
fn refused(error: &diesel::ConnectionError) -> Error {
    let message = error.to_string();
    let about_the_server = ["connection to server", "could not translate host name"];
    if about_the_server.iter().any(|start| message.starts_with(start)) {
        Error::Connect(message.trim_end().to_owned())
    } else {
        Error::Connect("the address or its parameters are not understood".to_owned())
    }
}
