use std::{
    fs::{self, DirBuilder},
    io::{BufRead, BufReader},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection,
    sql_query, sql_types::Text,
};

use super::{
    Cluster, Durability, Error, Options,
    find::{major, versions},
    place::User,
    provision, random_password,
    roles::verifier_with,
    server::socket_folder,
    service_urls,
};

/// A folder of its own for one test, deleted at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("strongroom-{}", random_password().unwrap())))
    }

    fn options(&self, durability: Durability) -> Options {
        let downloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.strongroom");
        Options::new(&self.0, downloads, durability)
    }

    fn start(&self, durability: Durability) -> Result<Cluster, Error> {
        Cluster::start(&self.options(durability), &|_| {})
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    answer: String,
}

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap()
}

fn ask(connection: &mut PgConnection, expression: &str) -> String {
    let query = format!("SELECT ({expression})::text AS answer");
    sql_query(query).get_result::<Answer>(connection).unwrap().answer
}

#[test]
fn data_is_found_again_and_a_live_folder_is_refused() {
    let folder = Folder::new();
    let cluster = folder.start(Durability::Durable).unwrap();
    let mut connection = connect(cluster.url());
    connection.batch_execute("CREATE TABLE kept AS SELECT 'data' AS what").unwrap();
    assert!(cluster.url().contains("?host="), "through the socket");
    assert_eq!(ask(&mut connection, "current_setting('server_encoding')"), "UTF8");
    assert_eq!(ask(&mut connection, "current_setting('fsync')"), "on");

    let refused = folder.start(Durability::Durable).unwrap_err();
    let process = format!("process {}", std::process::id());
    assert!(matches!(&refused, Error::InUse { owner, .. } if *owner == process), "{refused}");

    let data = fs::metadata(cluster.folder().join("data")).unwrap();
    assert_ne!(data.uid(), 0, "the server does not run as root");
    cluster.stop().unwrap();

    let cluster = folder.start(Durability::Durable).unwrap();
    assert_eq!(ask(&mut connect(cluster.url()), "SELECT what FROM kept"), "data");
}

#[test]
fn a_throw_away_cluster_takes_a_long_path_and_leaves_nothing() {
    let mut folder = Folder::new();
    folder.0 = folder.0.join("x".repeat(100));
    let cluster = folder.start(Durability::Throwaway).unwrap();
    assert!(!cluster.url().contains('?'), "no socket has a path this long");
    assert_eq!(ask(&mut connect(cluster.url()), "current_setting('fsync')"), "off");
    drop(cluster);
    assert!(!folder.0.exists());

    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("thesis.txt"), "years of work").unwrap();
    let refused = folder.start(Durability::Throwaway).unwrap_err();
    assert!(matches!(refused, Error::Folder { .. }), "{refused}");
    assert!(folder.0.join("thesis.txt").exists());
    fs::remove_dir_all(folder.0.parent().unwrap()).unwrap();
}

#[test]
fn a_folder_that_the_server_cannot_reach_gets_a_stand_in() {
    // Only root runs the server as somebody else.
    if User::for_server().is_none() {
        return;
    }
    let mut folder = Folder::new();
    DirBuilder::new().mode(0o700).create(&folder.0).unwrap();
    let private = folder.0.clone();
    folder.0 = private.join("state");
    let cluster = folder.start(Durability::Throwaway).unwrap();
    let stand_in = cluster.folder().to_path_buf();
    assert!(stand_in.starts_with("/var/tmp"), "{}", stand_in.display());
    assert_eq!(ask(&mut connect(cluster.url()), "1"), "1");
    drop(cluster);
    assert!(!stand_in.exists());
    fs::remove_dir(private).unwrap();
}

#[test]
fn a_server_dies_with_its_killed_owner() {
    let folder = Folder::new();
    let (mut owner, url) = spawn_owner(&folder, "durable");
    connect(&url).batch_execute("CREATE TABLE kept AS SELECT 'data' AS what").unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    // The old server may still be stopping: the next start waits for it.
    let cluster = folder.start(Durability::Durable).unwrap();
    assert!(PgConnection::establish(&url).is_err(), "only the new server runs");
    assert_eq!(ask(&mut connect(cluster.url()), "SELECT what FROM kept"), "data");

    let folder = Folder::new();
    let (mut owner, _) = spawn_owner(&folder, "throwaway");
    owner.kill().unwrap();
    owner.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while folder.0.exists() {
        assert!(Instant::now() < deadline, "the folder is still there");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A process that owns a cluster, and the cluster's URL.
fn spawn_owner(folder: &Folder, durability: &str) -> (Child, String) {
    let name = module_path!().split_once("::").unwrap().1.to_owned() + "::owner";
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "--exact", &name])
        .env("STRONGROOM_TEST_FOLDER", &folder.0)
        .env("STRONGROOM_TEST_DURABILITY", durability)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let url = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("url=")?.1.into()));
    (owner, url.unwrap())
}

#[test]
#[ignore = "no test: the process that the test above kills"]
fn owner() {
    let Some(folder) = std::env::var_os("STRONGROOM_TEST_FOLDER") else {
        return;
    };
    let folder = Folder(folder.into());
    let durable = std::env::var_os("STRONGROOM_TEST_DURABILITY").unwrap() == "durable";
    let durability = if durable { Durability::Durable } else { Durability::Throwaway };
    let cluster = folder.start(durability).unwrap();
    println!("url={}", cluster.url());
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn roles_are_made_once_by_many_and_are_bound() {
    let folder = Folder::new();
    let cluster = folder.start(Durability::Throwaway).unwrap();
    let password = "p@ss/w0rd? #%&'";
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| provision(cluster.url(), password).unwrap());
        }
    });
    let urls = service_urls(cluster.url(), password, "accounts").unwrap();
    let mut runtime = connect(&urls.runtime);
    assert_eq!(ask(&mut runtime, "current_user"), "strongroom_accounts");
    assert_eq!(ask(&mut runtime, "current_schemas(false)"), "{accounts}");
    assert_eq!(ask(&mut runtime, "current_setting('lc_messages')"), "C");
    let bound = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
    assert_eq!(ask(&mut runtime, bound), "false");
    for schema in ["accounts", "public", "records"] {
        let table = format!("CREATE TABLE {schema}.intruder ()");
        assert!(runtime.batch_execute(&table).is_err(), "{schema}");
    }
    let mut owner = connect(&urls.owner);
    owner
        .batch_execute("CREATE TABLE mine (); GRANT SELECT ON mine TO strongroom_accounts")
        .unwrap();
    runtime.batch_execute("SELECT FROM mine").unwrap();
    assert!(owner.batch_execute("CREATE TABLE records.intruder ()").is_err());
}

#[test]
fn a_refusal_keeps_the_password_to_itself() {
    let bad = [
        "host=localhost password=hunter2",
        "postgres://me:hunter2@127.0.0.1:1/x",
        "postgres://me:hunter2@127.0.0.1:1/x?hunter2",
        "postgres://me:hunter2%zz@127.0.0.1:1/x",
        "postgres://me@127.0.0.1:1/x?password=hunter2&port=hunter2",
    ];
    for url in bad {
        let error = provision(url, "secret").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let error = provision(bad[1], "secret").unwrap_err().to_string();
    assert!(error.contains("127.0.0.1") && error.contains("refused"), "{error}");
    assert!(matches!(provision(bad[1], "naïve"), Err(Error::Password)));
}

#[test]
fn only_the_user_of_a_url_changes() {
    let runtime = |url| service_urls(url, "a b/c@d", "records").unwrap().runtime;
    let user = "postgres://strongroom_records:a%20b%2Fc%40d@";
    for (admin, rest) in [
        ("postgres://root:pw@db:5432/prod?sslmode=verify-full", "db:5432/prod?sslmode=verify-full"),
        ("postgresql://db1:1,db2:2/prod", "db1:1,db2:2/prod"),
        ("postgres://root@[::1]:5432/prod", "[::1]:5432/prod"),
        ("postgres:///prod?host=/run/a%20b&user=root&pass%77ord=x", "/prod?host=/run/a%20b"),
        ("postgres://root:a?b@db/x?user=root", "db/x"),
        ("postgres://", ""),
    ] {
        assert_eq!(runtime(admin), format!("{user}{rest}"), "{admin}");
    }
    assert!(matches!(service_urls("mysql://db", "x", "records"), Err(Error::Address)));
}

#[test]
fn verifiers_follow_the_standard() {
    // Password and salt of the example in RFC 7677; the verifier is Postgres's own for them.
    let salt = [
        0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa,
        0x81,
    ];
    assert_eq!(
        verifier_with("pencil", &salt),
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
         WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
}

#[test]
fn what_other_programs_say_is_read_right() {
    assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
    assert_eq!(major("postgres (PostgreSQL) 19beta1"), Some(19));
    assert_eq!(major("postgres (EnterpriseDB)"), None);

    let user = |passwd: &str| {
        let User { name, uid, gid } = User::pick(passwd);
        (name, uid, gid)
    };
    let nobody = "nobody:x:99:98:Nobody:/:/sbin/nologin";
    let postgres = "postgres:x:101:104::/var/lib/postgresql:/bin/bash";
    assert_eq!(user(&format!("{nobody}\n{postgres}\n")), ("postgres".into(), 101, 104));
    assert_eq!(user(&format!("postgres:x:0:0::/:\n{nobody}")), ("nobody".into(), 99, 98));
    assert_eq!(user(""), ("nobody".into(), 65534, 65534));

    let folder = Folder::new();
    for name in ["postgresql", "postgresql@9", "postgresql@17", "postgresql@18", "redis@99"] {
        fs::create_dir_all(folder.0.join(name).join("bin")).unwrap();
    }
    let found = versions(&folder.0, "postgresql");
    let names: Vec<_> =
        found.iter().map(|bin| bin.parent().unwrap().file_name().unwrap()).collect();
    assert_eq!(names, ["postgresql@18", "postgresql@17", "postgresql@9", "postgresql"]);

    assert!(socket_folder(Path::new("/tmp/data"), 65535).is_some());
    assert!(socket_folder(Path::new("/tmp/a,b/data"), 5432).is_none());
}
