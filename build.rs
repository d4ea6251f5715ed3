//! `proto/` -> protox -> descriptor set -> tonic stubs, method table and redacting `Debug`.
//!
//! Everything goes to `OUT_DIR`; no `protoc` is needed. A method without `(authz)` fails here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

const AUTHZ: &str = "strongroom.common.v1.authz";
const SENSITIVITY: &str = "strongroom.common.v1.sensitivity";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    collect(Path::new("proto/strongroom"), &mut files)?;
    // No contract imports them, but who reads a refusal by the descriptor set needs them.
    collect(Path::new("proto/google/rpc"), &mut files)?;

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    fs::write(out.join("strongroom.binpb"), compiler.encode_file_descriptor_set())?;
    let pool = compiler.descriptor_pool();
    fs::write(out.join("methods.rs"), method_table(&pool)?)?;

    let redacted = sensitive_messages(&pool);
    fs::write(out.join("redact.rs"), redacting_debug(&redacted)?)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .bytes(".strongroom.records.v1")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .extern_path(".google.api.HttpBody", "crate::google_api::HttpBody")
        // What an answer may be differs in size by a factor of several.
        .boxed(".strongroom.transactions.v1.BatchResult.result.capture")
        .boxed(".strongroom.transactions.v1.BatchResult.result.hold")
        .boxed(".strongroom.transactions.v1.BatchResult.result.transaction")
        .skip_debug(&redacted)
        .compile_fds(compiler.file_descriptor_set())?;

    // Apart, because its package lies beside ours and not within.
    let mut bodies = protox::Compiler::new(["proto"])?;
    bodies.open_file("google/api/httpbody.proto")?;
    tonic_prost_build::configure().compile_fds(bodies.file_descriptor_set())?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// One `Method` literal for each RPC, sorted by path.
fn method_table(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut rows = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            rows.push(method_row(pool, &method)?);
        }
    }
    rows.sort();
    Ok(format!("&[\n{}]", rows.concat()))
}

#[expect(clippy::unwrap_used, reason = "the fields of Authz are known")]
fn method_row(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<String, Box<dyn Error>> {
    let name = method.full_name();
    let option = |option: &str| -> Option<DynamicMessage> {
        let extension = pool.get_extension_by_name(option)?;
        let options = method.options();
        let set = options.has_extension(&extension);
        set.then(|| options.get_extension(&extension).as_message().cloned()).flatten()
    };
    let authz = option(AUTHZ).ok_or(format!("{name} has no option ({AUTHZ})"))?;
    let text =
        |field: &str| format!("{:?}", authz.get_field_by_name(field).unwrap().as_str().unwrap());
    let flag = |field: &str| authz.get_field_by_name(field).unwrap().as_bool().unwrap();
    let number = |field: &str| authz.get_field_by_name(field).unwrap().as_enum_number().unwrap();
    if text("permission") == "\"\"" || number("audit") == 0 {
        return Err(format!("{name}: ({AUTHZ}) needs a permission and an audit").into());
    }
    if option("google.api.http").is_none() && !method.is_client_streaming() {
        return Err(format!("{name} has no option (google.api.http)").into());
    }
    let audit = ["", "None", "Writes", "Always"][usize::try_from(number("audit"))?];
    let options = method.options();
    let reads = options.get_field_by_name("idempotency_level");
    let reads = reads.and_then(|level| level.as_enum_number()) == Some(1);
    Ok(format!(
        "    Method {{ path: \"/{}/{}\", permission: {}, resource_field: {}, \
         audit: Audit::{audit}, purpose: {}, own: {}, tenantless: {}, read_only: {reads}, \
         uploads: {} }},\n",
        method.parent_service().full_name(),
        method.name(),
        text("permission"),
        text("resource_field"),
        number("purpose") == 2,
        flag("own"),
        flag("tenantless"),
        method.is_client_streaming(),
    ))
}

/// The messages that have a field with a sensitivity.
fn sensitive_messages(pool: &DescriptorPool) -> Vec<String> {
    let Some(extension) = pool.get_extension_by_name(SENSITIVITY) else {
        return Vec::new();
    };
    let sensitive = |options: DynamicMessage| {
        !matches!(*options.get_extension(&extension), Value::EnumNumber(0))
    };
    pool.all_messages()
        .filter(|message| message.fields().any(|field| sensitive(field.options())))
        .map(|message| message.full_name().to_owned())
        .collect()
}

/// `Profile { .. }` is all that a log may show of a sensitive message.
fn redacting_debug(messages: &[String]) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for message in messages {
        let path = message.strip_prefix("strongroom.").ok_or("sensitivity outside strongroom")?;
        let path = format!("crate::{}", path.replace('.', "::"));
        let name = message.rsplit('.').next().unwrap_or(message);
        writeln!(
            code,
            "impl core::fmt::Debug for {path} {{ fn fmt(&self, f: &mut core::fmt::Formatter<'_>) \
             -> core::fmt::Result {{ f.write_str(\"{name} {{ .. }}\") }} }}"
        )?;
    }
    Ok(code)
}
