//! Real servers: rounds over a settled database change nothing in it, by the servers' own log of statements.

use crate::support::Cluster;
use learningplatform_postgres::{Durability, Role};

/// The only statement with an effect: a commit that has to reach the volume and the replicas, without a row in any table. A
/// primary that takes it takes writes.
const PROBE: &str = "SELECT pg_logical_emit_message(true, 'lp', '')::text";

/// What a server keeps of changes: rows of all tables, the system's included, settings and their last reading, roles, slots.
const KEPT: &str = "SELECT
    (SELECT count(*) FROM pg_class) || ' ' || (SELECT string_agg(rolname || coalesce(rolpassword, ''), ' ' ORDER BY rolname) FROM pg_authid)
    || ' ' || pg_conf_load_time() || ' ' || pg_postmaster_start_time()
    || ' ' || (SELECT string_agg(name || sourceline, ' ' ORDER BY seqno) FROM pg_file_settings)
    || ' ' || (SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') FROM pg_replication_slots)";

/// The statements that the servers were sent from here on, by their logs.
fn statements(log: &str) -> Vec<String> {
    let said = log.lines().filter_map(|line| {
        let (_, said) = line.split_once("LOG:  ")?;
        said.strip_prefix("statement: ").or_else(|| said.strip_prefix("execute ")?.split_once(": ").map(|(_, sql)| sql))
    });
    said.map(str::to_owned).collect()
}

#[tokio::test]
async fn rounds_over_a_settled_database_only_look() {
    let mut cluster = Cluster::new(2);
    cluster.wish.durability = Durability::Required { replicas: 1 };
    cluster.wish.server.parameters.insert("log_statement".into(), "all".into());
    cluster.mount();
    cluster.settle().await;
    // What follows the last act, such as a reload that the servers take a moment later.
    cluster.settle().await;
    let before = cluster.node(Role::Primary).superuser(KEPT);
    let changed = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables";
    let rows = cluster.node(Role::Primary).superuser(changed);

    let logged = cluster.logs_by_server();
    let rounds = 20;
    for _ in 0..rounds {
        let (_, decision) = cluster.round().await;
        assert_eq!((decision.acts, decision.restart), (vec![], None));
    }
    let sent: Vec<String> = cluster
        .logs_by_server()
        .iter()
        .zip(&logged)
        .flat_map(|(now, before)| statements(&now[before.len()..]))
        .collect();
    assert!(sent.len() > rounds * 5, "{sent:#?}");
    let probes = sent.iter().filter(|sql| sql.as_str() == PROBE).count();
    assert_eq!(probes, rounds, "one in each round");
    let effects = [
        "pg_reload_conf",
        "set_config",
        "nextval",
        "setval",
        "pg_create",
        "pg_drop",
        "pg_promote",
        "pg_terminate",
        "pg_cancel",
        "pg_switch_wal",
        "pg_advisory",
        "for update",
        "for share",
        " into ",
        "pg_stat_reset",
    ];
    for sql in sent.iter().filter(|sql| sql.as_str() != PROBE) {
        let lower = sql.trim_start().to_lowercase();
        assert!(lower.starts_with("select") || lower.starts_with("with"), "no statement that only looks: {sql}");
        assert_eq!(effects.into_iter().find(|effect| lower.contains(effect)), None, "{sql}");
    }
    assert_eq!(cluster.node(Role::Primary).superuser(KEPT), before);
    assert_eq!(cluster.node(Role::Primary).superuser(changed), rows, "rows of all tables, the system's included");
}
