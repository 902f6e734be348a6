//! The files of PgBouncer, which stands between clients and a primary. Pure.
//!
//! It knows no password of the apps: it looks up their verifiers with [`ROLE`], which may do nothing else, and logs in to the
//! server with the keys that the client has just shown. So a password that changes needs no change here.

use crate::{config::Encryption, model::Password};
use std::{collections::BTreeMap, fmt::Write};

/// The login by which verifiers are looked up. `setup.sql` makes it, and the function that it may call.
pub const ROLE: &str = "lp_pooler";
/// Name and text of the script that runs it. Its header lists the environment.
pub const SCRIPT: (&str, &str) = ("pooler.sh", include_str!("../scripts/pooler.sh"));
/// The database in which verifiers are looked up, as clients would call it.
const LOOKUP: &str = "lp_lookup";

/// What is wished of a pooler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pooler {
    /// Where it listens, and the port; `*` for everywhere.
    pub listen: (String, u16),
    /// Where the primary is reached.
    pub server: (String, u16),
    /// The databases that clients may open.
    pub databases: Vec<String>,
    /// `transaction` or `session`.
    pub mode: &'static str,
    /// Connections to the primary of each database and login.
    pub pool_size: u32,
    /// Connections to the primary by which verifiers are looked up.
    pub lookups: u32,
    /// Connections of clients.
    pub clients: u32,
    /// The file of [`userlist`].
    pub userlist: String,
    /// How it encrypts, on both sides; None where it does not.
    pub tls: Option<PoolerTls>,
    /// The user's settings; they win.
    pub parameters: BTreeMap<String, String>,
}

/// How a pooler encrypts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolerTls {
    /// The folder with `tls.crt`, `tls.key` and `ca.crt`. It is shown to clients; the authority must have signed the primary's.
    pub directory: String,
    /// Whether clients must encrypt.
    pub encryption: Encryption,
}

/// `pgbouncer.ini`.
pub fn render(pooler: &Pooler) -> String {
    let Pooler { listen, server, databases, mode, pool_size, lookups, clients, userlist, tls, parameters } = pooler;
    let mut text = String::from("[databases]\n");
    let (host, port) = server;
    for name in databases {
        let _ = writeln!(text, "{name} = host={host} port={port} dbname={name}");
    }
    let _ =
        writeln!(text, "{LOOKUP} = host={host} port={port} dbname=postgres pool_size=1 max_db_connections={lookups}");
    let mut settings = BTreeMap::from([
        ("listen_addr", listen.0.clone()),
        ("listen_port", listen.1.to_string()),
        ("unix_socket_dir", String::new()),
        ("auth_type", "scram-sha-256".to_owned()),
        ("auth_file", userlist.clone()),
        ("auth_user", ROLE.to_owned()),
        ("auth_dbname", LOOKUP.to_owned()),
        ("auth_query", "SELECT login, verifier FROM lp_pooler.lookup($1)".to_owned()),
        ("pool_mode", (*mode).to_owned()),
        ("default_pool_size", pool_size.to_string()),
        ("max_client_conn", clients.to_string()),
        // What drivers prepare is kept for each client, whichever connection of the server it is given (from 1.21 on).
        ("max_prepared_statements", "200".to_owned()),
        // A primary that restarts is back within seconds: clients wait for it, and are refused no longer than that.
        ("server_login_retry", "1".to_owned()),
        ("server_connect_timeout", "5".to_owned()),
        // A probe and a client that comes and goes are no news.
        ("log_connections", "0".to_owned()),
        ("log_disconnections", "0".to_owned()),
    ]);
    if let Some(tls) = tls {
        settings.extend(encrypted(tls));
    }
    settings.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.clone())));
    text.push_str("\n[pgbouncer]\n");
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

fn encrypted(tls: &PoolerTls) -> [(&'static str, String); 6] {
    let file = |name: &str| format!("{}/{name}", tls.directory);
    let (clients, primary) = match tls.encryption {
        // While pods change over, the primary may not have its certificate yet.
        Encryption::Offered => ("allow", "prefer"),
        Encryption::Required => ("require", "verify-full"),
    };
    [
        ("client_tls_sslmode", clients.to_owned()),
        // It asks no client for a certificate; without an authority it looks for the system's, and ends where there is none.
        ("client_tls_ca_file", file(tls::AUTHORITIES)),
        ("client_tls_cert_file", file(tls::CERTIFICATE)),
        ("client_tls_key_file", file(tls::KEY)),
        ("server_tls_sslmode", primary.to_owned()),
        ("server_tls_ca_file", file(tls::AUTHORITIES)),
    ]
}

/// The file with the password of [`ROLE`]: the only one that it holds.
pub fn userlist(password: &Password) -> String {
    format!("\"{ROLE}\" \"{}\"\n", password.reveal().replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooler() -> Pooler {
        Pooler {
            listen: ("*".into(), 5432),
            server: ("story-main-rw.learning.svc".into(), 5432),
            databases: vec!["app".into()],
            mode: "transaction",
            pool_size: 10,
            lookups: 2,
            clients: 1000,
            userlist: "/secrets/userlist.txt".into(),
            tls: None,
            parameters: BTreeMap::from([("query_wait_timeout".to_owned(), "5".to_owned())]),
        }
    }

    #[test]
    fn what_is_wished_is_written_and_the_users_settings_win() {
        let text = render(&pooler());
        for line in [
            "app = host=story-main-rw.learning.svc port=5432 dbname=app",
            "lp_lookup = host=story-main-rw.learning.svc port=5432 dbname=postgres pool_size=1 max_db_connections=2",
            "pool_mode = transaction",
            "default_pool_size = 10",
            "max_client_conn = 1000",
            "max_prepared_statements = 200",
            "query_wait_timeout = 5",
        ] {
            assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line} in\n{text}");
        }
        let parameters = BTreeMap::from([("max_prepared_statements".to_owned(), "9".to_owned())]);
        let text = render(&Pooler { parameters, ..pooler() });
        assert!(text.contains("max_prepared_statements = 9\n") && !text.contains("= 200"), "{text}");
        assert!(!text.contains("tls"), "{text}");
        let modes = [(Encryption::Offered, "allow", "prefer"), (Encryption::Required, "require", "verify-full")];
        for (encryption, clients, primary) in modes {
            let tls = Some(PoolerTls { directory: "/tls".into(), encryption });
            let text = render(&Pooler { tls, ..pooler() });
            let modes = [format!("client_tls_sslmode = {clients}"), format!("server_tls_sslmode = {primary}")];
            for line in modes.iter().map(String::as_str).chain(["client_tls_key_file = /tls/tls.key"]) {
                assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
            }
        }
    }

    #[test]
    fn the_password_keeps_its_quotes_and_is_not_in_the_settings() {
        assert_eq!(userlist(&Password::new("a\"b")), "\"lp_pooler\" \"a\"\"b\"\n");
    }
}
