use super::super::contract;
use super::*;

fn created() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek.json");
    FileProvider::create(&path).unwrap();
    (folder, path)
}

fn open_text(text: &str) -> Result<FileProvider, KeyFileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek.json");
    write_new(&path, text.as_bytes()).unwrap();
    FileProvider::open(&path)
}

#[tokio::test]
async fn keeps_the_contract() {
    let (_folder, path) = created();
    let provider = FileProvider::open(&path).unwrap();
    contract::check(&provider).await;
    let reopened = FileProvider::open(&path).unwrap();
    contract::check_same_keys(&provider, &reopened).await;
    let (_folder, path) = created();
    contract::check_other_keys(&provider, &FileProvider::open(&path).unwrap()).await;
}

#[tokio::test]
async fn a_rotated_file_opens_what_older_versions_wrapped() {
    let secret = |byte: u8| STANDARD.encode([byte; KEY_LEN]);
    let old = format!(r#"{{"active": "a", "keys": [{{"id": "a", "key": "{}"}}]}}"#, secret(1));
    let new = format!(
        r#"{{"active": "b", "keys": [{{"id": "a", "key": "{}"}}, {{"id": "b", "key": "{}"}}]}}"#,
        secret(1),
        secret(2),
    );
    let (old, new) = (open_text(&old).unwrap(), open_text(&new).unwrap());
    contract::check(&new).await;
    contract::check_same_keys(&old, &new).await;
    contract::check_other_keys(&new, &old).await;
}

#[test]
fn a_key_file_is_private_and_never_replaced() {
    let (folder, path) = created();
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let before = fs::read(&path).unwrap();
    let error = FileProvider::create(&path).unwrap_err();
    assert!(matches!(error, KeyFileError::Io { source, .. }
        if source.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays");
}

#[test]
fn an_exposed_key_file_is_refused() {
    let (_folder, path) = created();
    for (mode, allowed) in [(0o400, true), (0o440, true), (0o640, true), (0o644, false)]
        .into_iter()
        .chain([(0o660, false), (0o601, false)])
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let opened = FileProvider::open(&path);
        assert_eq!(opened.is_ok(), allowed, "{mode:o}");
        let exposed = matches!(opened, Err(KeyFileError::Exposed { mode: m, .. }) if m == mode);
        assert_eq!(exposed, !allowed, "{mode:o}");
    }
}

#[test]
fn a_malformed_key_file_is_refused_without_its_content() {
    let short = r#"{"active": "a", "keys": [{"id": "a", "key": "c2VjcmV0"}]}"#;
    let cases = [
        ("", "line 1 column 0"),
        (r#"{"active": "c2VjcmV0"}"#, "line 1"),
        (r#"{"active": "a", "keys": [], "c2VjcmV0": 1}"#, "line 1"),
        (r#"{"active": "c2VjcmV0", "keys": []}"#, "active names none"),
        (r#"{"active": "a", "keys": [{"id": "a/c2VjcmV0", "key": ""}]}"#, "keys[0].id"),
        (short, "keys[0].key is not 32 bytes"),
    ];
    for (text, expected) in cases {
        let error = open_text(text).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}
