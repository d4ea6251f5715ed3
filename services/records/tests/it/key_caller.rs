//! Callers of `KeyService`, and the files that keys come from.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use records::{Config, serve};
use shared::clock::Clock;
use shared::ids::TenantId;
use shared::testing::{Running, config};
use strongroom_proto::records::v1 as wire;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use wire::KeyScope as Scope;
use wire::key_service_client::KeyServiceClient;
use wire::rotation::State;

use crate::world::{Answer, World};

/// Somebody who rotates keys.
pub(crate) struct KeyCaller {
    keys: KeyServiceClient<Channel>,
    bearer: AsciiMetadataValue,
}

impl World {
    /// A world whose key-encryption key is "a".
    pub(crate) async fn with_keks(arguments: &[&str]) -> Self {
        let mut world = Self::new().await;
        put_keks(&world.kek(), &["a"]);
        world.restart_with(arguments).await;
        world
    }

    /// The file with the key-encryption keys.
    pub(crate) fn kek(&self) -> PathBuf {
        self.folder.path().join("kek.json")
    }

    /// The same database behind another process, with these arguments too.
    pub(crate) async fn restart_with(&mut self, arguments: &[&str]) {
        self.running.cancel();
        self.running = self.replica(arguments).await;
    }

    /// Another process on the same database.
    pub(crate) async fn replica(&self, arguments: &[&str]) -> Running {
        let (kek, objects) = (self.kek(), self.folder.path().join("objects"));
        std::fs::create_dir_all(&objects).unwrap();
        let objects = format!("file://{}", objects.display());
        let mut all = self.database.arguments();
        all.extend(self.issuer.arguments());
        all.extend(["--object-store", &objects, "--sweep-interval", "0.02"]);
        if !arguments.contains(&"--kek-folder") {
            all.extend(["--kek-file", kek.to_str().unwrap()]);
        }
        all.extend(arguments);
        let config: Config = config(&all);
        let clock = Clock::system();
        Running::start(|listener, shutdown| serve(listener, config, clock, shutdown)).await
    }

    /// Somebody who may do everything with the tenant's keys.
    pub(crate) fn keys(&self) -> KeyCaller {
        self.keys_in(self.tenant)
    }

    pub(crate) fn keys_in(&self, tenant: TenantId) -> KeyCaller {
        KeyCaller {
            keys: KeyServiceClient::new(self.running.channel()),
            bearer: self.issuer.bearer(tenant, &["*"]).parse().unwrap(),
        }
    }
}

/// Writes a key file: a key for each name, the last one active.
pub(crate) fn put_keks(path: &Path, names: &[&str]) {
    let key = |name: &&str| {
        let key = STANDARD.encode([name.as_bytes()[0]; 32]);
        format!(r#"{{"id": "{name}", "key": "{key}"}}"#)
    };
    let keys: Vec<_> = names.iter().map(key).collect();
    let active = names.last().unwrap();
    put(path, &format!(r#"{{"active": "{active}", "keys": [{}]}}"#, keys.join(", ")));
}

/// Replaces a file that only its owner may read.
pub(crate) fn put(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    let _ = std::fs::remove_file(&draft);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&draft).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::fs::rename(&draft, path).unwrap();
}

impl KeyCaller {
    fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }

    pub(crate) async fn list_keys(&self, scope: Scope) -> Vec<wire::Key> {
        let request = self.signed(wire::ListKeysRequest { scope: scope.into() });
        self.keys.clone().list_keys(request).await.unwrap().into_inner().keys
    }

    pub(crate) async fn rotate(&self, scope: Scope, request_id: &str) -> Answer<wire::Rotation> {
        let request_id = request_id.to_owned();
        self.rotate_key(wire::RotateKeyRequest { scope: scope.into(), reseal: false, request_id })
            .await
    }

    pub(crate) async fn rotate_key(
        &self,
        request: wire::RotateKeyRequest,
    ) -> Answer<wire::Rotation> {
        self.keys.clone().rotate_key(self.signed(request)).await
    }

    pub(crate) async fn get_rotation(&self, name: &str) -> Answer<wire::Rotation> {
        let request = wire::GetRotationRequest { name: name.to_owned() };
        self.keys.clone().get_rotation(self.signed(request)).await
    }

    pub(crate) async fn list_rotations(
        &self,
        request: wire::ListRotationsRequest,
    ) -> Answer<wire::ListRotationsResponse> {
        self.keys.clone().list_rotations(self.signed(request)).await
    }

    pub(crate) async fn destroy_epoch(&self, epoch: i32, request_id: &str) -> Answer<wire::Key> {
        let request_id = request_id.to_owned();
        let request = wire::DestroyEpochRequest { epoch, confirm_epoch: epoch, request_id };
        self.keys.clone().destroy_epoch(self.signed(request)).await
    }

    pub(crate) async fn destroy(&self, epoch: i32, confirm_epoch: i32) -> Answer<wire::Key> {
        let request_id = String::new();
        let request = wire::DestroyEpochRequest { epoch, confirm_epoch, request_id };
        self.keys.clone().destroy_epoch(self.signed(request)).await
    }

    /// Rotates, and waits until that is through.
    pub(crate) async fn rotated(&self, scope: Scope, reseal: bool) -> wire::Rotation {
        let request_id = String::new();
        let request = wire::RotateKeyRequest { scope: scope.into(), reseal, request_id };
        let rotation = self.rotate_key(request).await.unwrap().into_inner();
        self.ended(&rotation.name).await
    }

    /// Waits until a rotation is through.
    pub(crate) async fn ended(&self, name: &str) -> wire::Rotation {
        for _ in 0..1_200 {
            let rotation = self.get_rotation(name).await.unwrap().into_inner();
            if rotation.state() != State::Running {
                return rotation;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{name} did not end");
    }
}
