//! A database of which backups are taken, with the log that follows or logical ones, and those that are made of it.

use super::{
    Cluster, PATIENCE,
    node::{Node, give},
};
use learningplatform_postgres::{Archive, ArchiveState, Decision, Password, Role};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

pub const PRIMARY: Role = Role::Primary;

/// A database of which backups are taken.
pub struct Source {
    pub cluster: Cluster,
    pub archive: Node,
    pub job: Node,
    /// Whether the next backup is a logical one.
    pub logical: bool,
}

impl Source {
    /// One whose log is received.
    pub async fn new(prepare: impl FnOnce(&mut Cluster)) -> Self {
        let on = |cluster: &mut Cluster| {
            cluster.wish.archive = Archive::On;
            prepare(cluster);
        };
        let mut source = Self::settled(on, false).await;
        source.receive().await;
        source
    }

    /// One that is dumped.
    pub async fn logical(prepare: impl FnOnce(&mut Cluster)) -> Self {
        let dumps = |cluster: &mut Cluster| {
            cluster.wish.server.dumps = true;
            prepare(cluster);
        };
        Self::settled(dumps, true).await
    }

    async fn settled(prepare: impl FnOnce(&mut Cluster), logical: bool) -> Self {
        let mut cluster = Cluster::new(0);
        prepare(&mut cluster);
        cluster.mount();
        cluster.settle().await;
        let [archive, job] =
            ["story-main-backup-0", "story-main-backup-1-x"].map(|name| Node::new(name, cluster.path(name)));
        let source = Self { cluster, archive, job, logical };
        fs::create_dir(source.volume()).unwrap();
        give(&source.volume(), 0o755);
        source
    }

    pub fn volume(&self) -> PathBuf {
        self.cluster.path("backup")
    }

    pub fn repository(&self, path: &str) -> PathBuf {
        self.volume().join("repository").join(path)
    }

    pub fn environment(&self, keep: u32) -> BTreeMap<String, String> {
        let mut environment = self.cluster.environment(PRIMARY);
        environment.insert("LP_BACKUP_DIR".into(), self.volume().to_str().unwrap().into());
        environment.insert("LP_KEEP".into(), keep.to_string());
        if self.logical {
            environment.insert("LP_METHOD".into(), "Logical".into());
        }
        environment
    }

    pub async fn receive(&mut self) {
        let environment = self.environment(1);
        self.archive.run("archive.sh", environment);
        let receives = |decision: &Decision| decision.view.archive == Some(ArchiveState::Streaming);
        let end = Instant::now() + PATIENCE;
        while !receives(&self.cluster.round().await.1) {
            assert!(Instant::now() < end, "nothing is received: {}", self.archive.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Takes a backup and returns its name.
    pub fn backup(&mut self, keep: u32) -> String {
        self.job.run("backup.sh", self.environment(keep));
        assert_eq!(self.job.wait_for_exit(), Some(0), "{}", self.job.log());
        let report = self.job.termination().unwrap();
        let name = report.split("\"name\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(self.repository(&format!("backups/{name}/backup.json")).exists(), "{report}");
        name
    }

    pub fn sql(&mut self, sql: &str) -> String {
        self.cluster.node(PRIMARY).superuser(sql)
    }

    /// Rows of a kind, in a table that the apps own.
    pub async fn write(&self, kind: &str, rows: u32) {
        let app = self.cluster.app(PRIMARY, "web_a", "web-secret-1").await.unwrap();
        app.batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS ledger (kind text, i int);
             INSERT INTO ledger SELECT '{kind}', i FROM generate_series(1, {rows}) i"
        ))
        .await
        .unwrap();
    }

    /// Waits until all that was written is on the backup volume.
    pub async fn received(&mut self) {
        let wanted = self.sql("SELECT pg_current_wal_flush_lsn()");
        let end = Instant::now() + PATIENCE;
        let sql = format!("SELECT bool_or(write_lsn >= '{wanted}') FROM pg_stat_replication WHERE state = 'streaming'");
        while self.sql(&sql) != "t" {
            assert!(Instant::now() < end, "not received: {}", self.archive.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.repository("backups")).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A new database that is made of a backup, whose apps have other passwords.
    pub fn copy(&self, backup: &str, time: &str) -> Cluster {
        let mut copy = Cluster::new(0);
        copy.wish.logins[0].password = Some(Password::new("web-secret-2"));
        let volume = self.volume().to_str().unwrap().to_owned();
        let from = [("LP_RESTORE_DIR", volume.as_str()), ("LP_RESTORE_BACKUP", backup), ("LP_RESTORE_TIME", time)];
        copy.restore(from.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        copy
    }

    pub async fn restored(&self, backup: &str, time: &str) -> Cluster {
        let mut copy = self.copy(backup, time);
        copy.settle().await;
        copy
    }
}

pub async fn rows(cluster: &Cluster) -> Vec<(String, i64)> {
    let app = cluster.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();
    let rows = app.query("SELECT kind, count(*) FROM ledger GROUP BY kind ORDER BY kind", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

pub fn counts(wanted: &[(&str, i64)]) -> Vec<(String, i64)> {
    wanted.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}
