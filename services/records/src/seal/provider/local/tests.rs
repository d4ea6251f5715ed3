use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::super::contract::{self, Operator};
use super::file::write_new;
use super::*;
use crate::seal::key::KEY_LEN;

fn secret(number: u8) -> String {
    STANDARD.encode([number; KEY_LEN])
}

/// Keeps keys in a file, which is replaced as a whole.
struct InFile(tempfile::TempDir);

impl InFile {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("kek.json")
    }

    fn write(&self, text: &str) {
        let draft = self.0.path().join("draft");
        write_new(&draft, text.as_bytes()).unwrap();
        fs::rename(draft, self.path()).unwrap();
    }
}

impl Operator for InFile {
    fn put(&self, keys: &[(&str, u8)]) {
        let entry = |(id, number): &(&str, u8)| {
            format!(r#"{{"id": "{id}", "key": "{}"}}"#, secret(*number))
        };
        let entries: Vec<_> = keys.iter().map(entry).collect();
        let active = keys.last().unwrap().0;
        self.write(&format!(r#"{{"active": "{active}", "keys": [{}]}}"#, entries.join(",")));
    }

    fn spoil(&self) {
        self.write(r#"{"active": "a", "keys": ["#);
    }

    fn start(&self, vouched: bool) -> Box<dyn KeyProvider> {
        Box::new(FileProvider::open(&self.path()).unwrap().vouched(vouched))
    }
}

/// Keeps keys in a folder, as Kubernetes does: the files are links into a folder that is linked
/// itself, and that link is replaced.
struct InMount(tempfile::TempDir);

impl InMount {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, files: &[(&str, String)]) {
        let name = format!("..{}", Uuid::now_v7().simple());
        fs::create_dir(self.path().join(&name)).unwrap();
        for (file, text) in files {
            let path = self.path().join(&name).join(file);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
            let link = self.path().join(file);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new(DATA).join(file), link).unwrap();
            }
        }
        symlink(&name, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), self.path().join(DATA)).unwrap();
    }
}

const DATA: &str = "..data";

impl Operator for InMount {
    fn put(&self, keys: &[(&str, u8)]) {
        let mut files: Vec<_> = keys.iter().map(|(id, number)| (*id, secret(*number))).collect();
        files.push(("active", format!("{}\n", keys.last().unwrap().0)));
        self.write(&files);
    }

    fn spoil(&self) {
        self.write(&[("a", secret(1)), ("active", "nobody".to_owned())]);
    }

    fn start(&self, vouched: bool) -> Box<dyn KeyProvider> {
        Box::new(MountedProvider::open(self.path()).unwrap().vouched(vouched))
    }
}

#[tokio::test]
async fn a_file_keeps_the_contract() {
    contract::check_all(&InFile::new()).await;
}

#[tokio::test]
async fn a_mounted_secret_keeps_the_contract() {
    contract::check_all(&InMount::new()).await;
}

#[test]
fn a_created_key_file_is_private_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kek.json");
    FileProvider::create(&path).unwrap();
    assert_eq!(FileProvider::open(&path).unwrap().versions().len(), 1);
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let before = fs::read(&path).unwrap();
    let error = FileProvider::create(&path).unwrap_err();
    assert!(matches!(error, KeyFileError::Io { source, .. }
        if source.kind() == io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays");
}

const MODES: [(u32, bool); 6] =
    [(0o400, true), (0o440, true), (0o640, true), (0o644, false), (0o660, false), (0o601, false)];

fn check_modes<F: Format>(file: &Path, path: &Path) {
    for (mode, allowed) in MODES {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        let opened = Local::<F>::open(path);
        assert_eq!(opened.is_ok(), allowed, "{mode:o}");
        let exposed = matches!(opened, Err(KeyFileError::Exposed { mode: m, .. }) if m == mode);
        assert_eq!(exposed, !allowed, "{mode:o}");
    }
}

#[test]
fn exposed_keys_are_refused() {
    let file = InFile::new();
    file.put(&[("a", 1)]);
    check_modes::<file::KeyFile>(&file.path(), &file.path());
    for name in ["a", "active"] {
        let mount = InMount::new();
        mount.put(&[("a", 1)]);
        // Of the file itself, not of the link to it.
        check_modes::<mounted::KeyFolder>(&mount.path().join(name), mount.path());
    }
}

#[test]
fn a_malformed_key_file_is_refused_without_its_content() {
    let short = r#"{"active": "a", "keys": [{"id": "a", "key": "c2VjcmV0"}]}"#;
    let twice = |ids: [&str; 2]| {
        let key = |id| format!(r#"{{"id": "{id}", "key": "{}"}}"#, secret(1));
        format!(r#"{{"active": "a", "keys": [{}, {}]}}"#, key(ids[0]), key(ids[1]))
    };
    let cases = [
        ("", "line 1 column 0"),
        (r#"{"active": "c2VjcmV0"}"#, "line 1"),
        (r#"{"active": "a", "keys": [], "c2VjcmV0": 1}"#, "line 1"),
        (r#"{"active": "c2VjcmV0", "keys": []}"#, "active names none"),
        (r#"{"active": "a", "keys": [{"id": "a/c2VjcmV0", "key": ""}]}"#, "keys[0].id"),
        (short, "keys[0].key is not 32 bytes"),
        (&twice(["a", "a"]), "keys[1].id occurs twice"),
        (&twice(["a", "b"]), "keys[1].key occurs twice"),
        (&" ".repeat(64 * 1024 + 1), "longer than 65536 bytes"),
    ];
    let file = InFile::new();
    for (text, expected) in cases {
        file.write(text);
        let error = FileProvider::open(&file.path()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("c2VjcmV0") && !error.contains(&secret(1)), "{error}");
    }
}

#[test]
fn a_malformed_folder_is_refused_without_its_content() {
    let key = || secret(1);
    let cases = [
        (vec![("a", key())], "active: No such file"),
        (vec![("active", "a".to_owned())], "active names none"),
        (vec![("a", key()), ("active", "c2VjcmV0".to_owned())], "active names none"),
        (vec![("a", "c2VjcmV0".to_owned()), ("active", "a".to_owned())], "a: key is not 32 bytes"),
        (vec![("a b", key()), ("active", "a".to_owned())], "a b: id is malformed"),
        (vec![("a", key()), ("b", key()), ("active", "a".to_owned())], "key occurs twice"),
    ];
    for (files, expected) in cases {
        let mount = InMount::new();
        mount.write(&files);
        let error = MountedProvider::open(mount.path()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("c2VjcmV0") && !error.contains(&key()), "{error}");
    }
    let mount = InMount::new();
    mount.put(&[("a", 1)]);
    fs::create_dir(mount.path().join(DATA).join("b")).unwrap();
    let error = MountedProvider::open(mount.path()).err().unwrap().to_string();
    assert!(error.ends_with("b: is no regular file"), "{error}");
}

#[test]
fn a_folder_without_links_is_read_too_and_dots_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a", format!(" {}\n", secret(1))), ("active", "a\n".to_owned())] {
        write_new(&folder.path().join(name), text.as_bytes()).unwrap();
    }
    fs::write(folder.path().join(".note"), "no key").unwrap();
    let provider = MountedProvider::open(folder.path()).unwrap();
    assert_eq!(provider.versions(), [KeyId::new("a").unwrap()]);
}
