//! Content on its way in: checked, made into tokens for its indexes, and sealed.

use std::sync::Arc;

use diesel::PgConnection;
use shared::field::{Decoded, invalid};
use shared::grpc::Call;
use shared::problem::{Problem, Reason};
use tonic::codegen::Bytes;

use super::{Rpc, offload};
use crate::domain::content_type::ContentType;
use crate::domain::extraction::NotIndexed;
use crate::domain::json;
use crate::domain::record::{CONTENT_MAX, Record};
use crate::domain::record_type::{self, CompiledType, Misfit};
use crate::error::Error;
use crate::seal::SealBroken;
use crate::store::key_chains;
use crate::store::record_index::IndexToken;
use crate::store::records::Sealed;
use crate::vault;

/// The field that content comes in.
const FIELD: &str = "record.content";

/// Content that fits its type.
pub(super) struct Checked {
    /// Its type; none where nobody has declared it.
    pub(super) kind: Option<Arc<CompiledType>>,
    /// What stands for its values in the indexes of its type.
    pub(super) tokens: Vec<IndexToken>,
}

/// The size of content that comes in one message.
pub(super) fn size(content: &Bytes) -> Decoded<usize> {
    match content.len() {
        0 => Err(invalid("must not be empty")),
        size if size > CONTENT_MAX => {
            Err(invalid(format!("must be at most {CONTENT_MAX} bytes, and has {size}")))
        }
        size => Ok(size),
    }
}

/// Checks content against its type. What does not fit is told by place and never by value.
pub(super) async fn check(
    rpc: &Rpc,
    call: &Call,
    kind: &str,
    content_type: &ContentType,
    content: &Bytes,
) -> Result<Checked, Problem> {
    let tenant = call.tenant_id()?;
    let declared = rpc.types.get(&rpc.db, call.scope(), tenant, kind).await?;
    let (content, content_type) = (content.clone(), content_type.clone());
    let Some(kind) = declared else {
        if content_type.is_json() {
            let checked = offload(content.len(), move || json::check(&content)).await?;
            checked.map_err(|error| misfit(&error.into()))?;
        }
        return Ok(Checked { kind: None, tokens: Vec::new() });
    };
    let compiled = Arc::clone(&kind);
    let work = kind.work(content.len());
    let check = move || record_type::check_content(&compiled, &content_type, &content);
    let checked = offload(work, check).await?;
    let values = checked.map_err(|error| misfit(&error))?.index_values;
    if values.is_empty() {
        return Ok(Checked { kind: Some(kind), tokens: Vec::new() });
    }
    let keys = rpc.vault.index_keys(tenant, call.scope()).await?;
    let tokens = keys.tokens(&kind, &values).map_err(Error::from)?;
    Ok(Checked { kind: Some(kind), tokens })
}

/// Checks what is known of content that is too large to be looked into.
pub(super) async fn check_large(
    rpc: &Rpc,
    call: &Call,
    kind: &str,
    content_type: &ContentType,
) -> Result<(), Problem> {
    let tenant = call.tenant_id()?;
    let declared = rpc.types.get(&rpc.db, call.scope(), tenant, kind).await?;
    let Some(kind) = declared else { return Ok(()) };
    kind.takes(content_type).map_err(|error| misfit(&error))?;
    if kind.looks_into(content_type) {
        let sentence = format!(
            "must be at most {CONTENT_MAX} bytes, because its type has a schema or an index"
        );
        return Err(invalid(sentence).in_field(FIELD));
    }
    Ok(())
}

/// Takes in that a write was overtaken: another try makes its tokens with the keys of then.
pub(super) fn overtaken(rpc: &Rpc, call: &Call, problem: &Problem) {
    if problem.reason == Reason::Contention
        && let Ok(tenant) = call.tenant_id()
    {
        rpc.vault.forget_index_keys(tenant);
    }
}

/// The refusal, in the field of the content and with the place in it.
fn misfit(misfit: &Misfit) -> Problem {
    let field = match misfit {
        Misfit::ContentType(_) => "record.content_type".to_owned(),
        Misfit::NoJson(_) | Misfit::NotIndexed(NotIndexed::TooMany) => FIELD.to_owned(),
        Misfit::Schema(all) => {
            format!("{FIELD}{}", all.first().map_or("", |violation| &violation.path))
        }
        Misfit::NotIndexed(NotIndexed::TooLong(path)) => format!("{FIELD}{path}"),
    };
    invalid(misfit.to_string()).in_field(field)
}

/// Seals the content of a record's version under the key of its subject.
pub(super) async fn seal(
    rpc: &Rpc,
    call: &Call,
    record: &Record,
    content: Bytes,
) -> Result<Sealed, Error> {
    let (tenant, subject) = (call.tenant_id()?, record.subject);
    let read = move |conn: &mut PgConnection| {
        Ok::<_, Error>(key_chains::key_chain(conn, tenant, subject, None)?)
    };
    let chain = rpc.db.read("get_subject_key", call.scope(), read).await?;
    let key = rpc.vault.subject_key(&chain.ok_or(SealBroken)?).await?;
    let record = record.clone();
    offload(content.len(), move || vault::seal(&key, &record, &content)).await?
}
