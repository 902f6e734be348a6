//! Certificates as the pods mount them.

use super::{Cluster, node::give, put};
use learningplatform_postgres::{Role, Trust};
use std::time::SystemTime;
use tls::{AUTHORITIES, CERTIFICATE, Files, KEY, make_key, renewed};

/// The name that the servers' certificate has.
pub const NAME: &str = "story-main-rw.learning.svc";
const DAY: i64 = 86_400;

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// Certificates for the servers, made `days` ago.
pub fn issue(cluster: &Cluster, held: &Files, days: i64) -> Files {
    let names = [NAME.to_owned(), cluster.endpoint(Role::Primary).0.to_string()];
    renewed(held, "story-main", &names.into(), now() - days * DAY, make_key).unwrap().files
}

/// Certificates for a server of these names.
pub fn for_names(names: &[String]) -> Files {
    renewed(&Files::default(), "server", &names.iter().cloned().collect(), now(), make_key).unwrap().files
}

/// Puts them where the pods mount them, and lets the operator trust them.
pub fn give_certificates(cluster: &mut Cluster, files: &Files) {
    for key in [AUTHORITIES, KEY, CERTIFICATE] {
        let path = cluster.path("tls").join(key);
        put(&path, std::str::from_utf8(&files[key]).unwrap());
        // As volumes of Secrets have them, but for the key, which there is root's.
        give(&path, if key == KEY { 0o600 } else { 0o440 });
    }
    cluster.wish.trust = Some(trust(files, NAME));
}

pub fn trust(files: &Files, name: &str) -> Trust {
    Trust { authorities: files[AUTHORITIES].clone(), name: name.to_owned() }
}
