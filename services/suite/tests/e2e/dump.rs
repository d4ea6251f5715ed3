//! A Postgres of a test's own, with the programs that dump and restore.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use shared::postgres::{Cluster, Durability, Options};

use crate::world::downloads;

pub(crate) struct Dumper {
    cluster: Cluster,
    programs: Option<[PathBuf; 2]>,
}

impl Dumper {
    /// Starts a Postgres. Blocks.
    pub(crate) fn start(folder: &Path) -> Self {
        let options = Options::new(folder.join("cluster"), downloads(), Durability::Throwaway);
        let cluster = Cluster::start(&options, &|_| ()).unwrap();
        let programs = cluster.tool("pg_dump").zip(cluster.tool("pg_restore"));
        let programs = programs.map(|(dump, restore)| [dump, restore]);
        Self { cluster, programs }
    }

    /// Whether the programs are there. Only people may have a Postgres without them.
    pub(crate) fn can_dump(&self) -> bool {
        if self.programs.is_none() {
            assert!(std::env::var_os("CI").is_none(), "there is no pg_dump beside Postgres");
            eprintln!("skipped: there is no pg_dump beside Postgres");
        }
        self.programs.is_some()
    }

    fn program(&self, index: usize) -> Command {
        let mut program = Command::new(&self.programs.as_ref().unwrap()[index]);
        program.args(["--dbname", self.url()]);
        program
    }

    /// How an administrator connects.
    pub(crate) fn url(&self) -> &str {
        self.cluster.url()
    }

    pub(crate) fn admin(&self) -> PgConnection {
        PgConnection::establish(self.url()).unwrap()
    }

    /// What the server wrote into its log.
    pub(crate) fn server_log(&self) -> String {
        std::fs::read_to_string(self.cluster.folder().join("server.log")).unwrap()
    }

    /// A schema as SQL. Blocks.
    pub(crate) fn sql(&self, schema: &str) -> String {
        let dump = self.dump(schema, &["--inserts"]);
        // Newer versions draw a key for each dump, which only psql looks at.
        let lines = dump.lines().filter(|line| !line.contains("restrict "));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn dump(&self, schema: &str, options: &[&str]) -> String {
        let mut dump = self.program(0);
        dump.args(["--schema", schema]).args(options);
        String::from_utf8_lossy(&succeeded(dump.output().unwrap()).stdout).into_owned()
    }

    /// Writes a schema into a file, from which it can be restored. Blocks.
    pub(crate) fn save(&self, schema: &str, file: &Path) {
        self.dump(schema, &["--format", "custom", "--file", file.to_str().unwrap()]);
    }

    /// Puts a schema back into the state that a file has, and keeps it as `{schema}_lost`. Blocks.
    pub(crate) fn restore(&self, schema: &str, file: &Path) {
        let aside = format!(
            "ALTER SCHEMA {schema} RENAME TO {schema}_lost; \
             REVOKE ALL ON SCHEMA {schema}_lost FROM strongroom_{schema}"
        );
        self.admin().batch_execute(&aside).unwrap();
        let mut restore = self.program(1);
        restore.arg("--single-transaction").arg(file);
        succeeded(restore.output().unwrap());
    }
}

fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}
