//! The edge: looks at the pod, reads the Secret, and runs the client.

use super::{
    LoginKeys, Place, Program, Target,
    client::Reached,
    forward::Forward,
    pod::{Fitness, fitness},
};
use crate::{cluster::Cluster, exit::Exit, output};
use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use operator::tiers::binding::Address;
use std::{ffi::OsString, io::Write as _};

/// Opens a client at a store, or with `print` says how it is reached and keeps the way open until interrupted.
///
/// # Errors
/// What keeps the client from being run. What it then says itself, its exit status tells.
pub async fn open(
    cluster: &Cluster,
    namespace: &str,
    target: &Target,
    program: &Program,
    arguments: &[OsString],
    print: bool,
) -> anyhow::Result<Exit> {
    let file = if print { None } else { Some(program.find(std::env::var_os("PATH").as_deref())?) };
    if let Some(note) = &target.note {
        output::tell(&format!("note: {note}"));
    }
    let forward = match &target.place {
        Place::Address(_) => None,
        Place::Pod { name, port } => {
            let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
            look_at(cluster, &pods, name, target).await?;
            Some(Forward::open(Api::namespaced(cluster.for_streams()?, namespace), name, *port).await?)
        }
    };
    let address = match (&target.place, &forward) {
        (_, Some(forward)) => Address { host: forward.address().ip().to_string(), port: forward.address().port() },
        (Place::Address(address), None) => address.clone(),
        (Place::Pod { name, .. }, None) => bail!("pod {name} is not forwarded"),
    };
    let Some(file) = file else {
        output::emit(&printed(target, &address))?;
        if let (Some(forward), Place::Pod { name, .. }) = (forward, &target.place) {
            output::tell(&format!("{address} leads to pod {name} until this is interrupted (Ctrl-C)"));
            tokio::select! {
                () = forward.serve() => {}
                interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait to be interrupted")?,
            }
        }
        return Ok(Exit::Good);
    };
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
    let login = match &target.login {
        Some(keys) => Some(login(cluster, &secrets, keys).await?),
        None => None,
    };
    let authority = match target.tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
        Some(ca) => Some(temporary(&value(&secret(cluster, &secrets, &ca.name).await?, &ca.name, &ca.key)?)?),
        None => None,
    };
    // The certificate has the server's name, not that of the way to it.
    let name = target.tls.as_ref().and_then(|tls| tls.name.as_deref()).filter(|_| forward.is_some());
    let serving = forward.map(|forward| tokio::spawn(forward.serve()));
    let reached = Reached {
        host: &address.host,
        name,
        port: address.port,
        username: login.as_ref().and_then(|(username, _)| username.as_deref()),
        password: login.as_ref().map(|(_, password)| password.as_str()),
        database: target.database.as_deref(),
        tls: target.tls.as_ref().map(|_| authority.as_ref().map(tempfile::NamedTempFile::path)),
    };
    let ended = program.run(&file, &reached, arguments).await;
    if let Some(serving) = serving {
        serving.abort();
    }
    ended
}

/// How a store is reached, with no password.
fn printed(target: &Target, address: &Address) -> String {
    let mut lines = vec![("address", address.to_string())];
    lines.extend(target.database.clone().map(|database| ("database", database)));
    if let Some(LoginKeys { secret, username, must_name, password }) = &target.login {
        let maybe = if *must_name { "" } else { ", if it has one" };
        lines.extend(username.as_ref().map(|key| ("user", format!("Secret {secret}, key {key}{maybe}"))));
        lines.push(("password", format!("Secret {secret}, key {password}")));
    }
    if let Some(tls) = &target.tls {
        let ca = tls.ca.as_ref().map(|ca| format!(", authority in Secret {}, key {}", ca.name, ca.key));
        let name = tls.name.as_ref().map(|name| format!(", for the name {name}"));
        lines.push(("tls", format!("yes{}{}", ca.unwrap_or_default(), name.unwrap_or_default())));
    }
    lines.into_iter().map(|(name, value)| format!("{:10}{value}\n", format!("{name}:"))).collect()
}

/// Ends where the server of a pod does not run, and says so where it is not ready.
async fn look_at(cluster: &Cluster, pods: &Api<Pod>, name: &str, target: &Target) -> anyhow::Result<()> {
    let found = pods.get_opt(name).await;
    let found = found.map_err(|e| cluster.explain(&format!("pod {name} cannot be looked at (get on pods)"), e))?;
    let what = &target.what;
    match found.as_ref().map(fitness) {
        None => bail!("pod {name} of {what} is not there: see `lpctl status`"),
        Some(Fitness::Down(why)) => bail!("pod {name} of {what} does not run: {why}"),
        Some(Fitness::NotReady) => {
            output::tell(&format!("note: pod {name} of {what} is not ready: see `lpctl status`"))
        }
        Some(Fitness::Ready) => {}
    }
    Ok(())
}

/// User name and password.
async fn login(cluster: &Cluster, secrets: &Api<Secret>, keys: &LoginKeys) -> anyhow::Result<(Option<String>, String)> {
    let secret = secret(cluster, secrets, &keys.secret).await?;
    let text = |key: &str| {
        let bytes = value(&secret, &keys.secret, key)?;
        String::from_utf8(bytes).map_err(|_| anyhow!("key {key} of Secret {} is no text", keys.secret))
    };
    let username = match &keys.username {
        Some(key) if keys.must_name => Some(text(key)?),
        Some(key) => text(key).ok().filter(|name| !name.is_empty()),
        None => None,
    };
    Ok((username, text(&keys.password)?))
}

async fn secret(cluster: &Cluster, secrets: &Api<Secret>, name: &str) -> anyhow::Result<Secret> {
    let found = secrets.get_opt(name).await.map_err(|e| {
        cluster.explain(&format!("Secret {name} cannot be read (get on secrets); --print does without"), e)
    })?;
    found.ok_or_else(|| anyhow!("there is no Secret {name}: see `lpctl status`"))
}

fn value(secret: &Secret, name: &str, key: &str) -> anyhow::Result<Vec<u8>> {
    let data = secret.data.as_ref();
    let found = data.and_then(|data| data.get(key)).map(|value| value.0.clone());
    found.ok_or_else(|| {
        let there: Vec<&str> = data.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        anyhow!("Secret {name} has no key {key}; there is {}", there.join(", "))
    })
}

/// A file that goes when it is dropped.
fn temporary(content: &[u8]) -> anyhow::Result<tempfile::NamedTempFile> {
    let written = tempfile::NamedTempFile::new().and_then(|mut file| file.write_all(content).map(|()| file));
    written.context("no file can be made for the certificate authority")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Tls;
    use crds::SecretKey;
    use k8s_openapi::ByteString;

    #[test]
    fn what_is_printed_names_the_secret() {
        let keys = LoginKeys {
            secret: "story-main-auth".into(),
            username: Some("username".into()),
            must_name: true,
            password: "password".into(),
        };
        let address = Address { host: "127.0.0.1".into(), port: 4711 };
        let target = Target {
            what: String::new(),
            place: Place::Address(address.clone()),
            login: Some(keys.clone()),
            tls: None,
            database: Some("app".into()),
            note: None,
        };
        assert_eq!(
            printed(&target, &address),
            "address:  127.0.0.1:4711\n\
             database: app\n\
             user:     Secret story-main-auth, key username\n\
             password: Secret story-main-auth, key password\n"
        );
        let ca = Some(SecretKey { name: "far".into(), key: "ca.crt".into() });
        let cache = Target {
            login: Some(LoginKeys { must_name: false, ..keys }),
            tls: Some(Tls { ca, name: Some("story-cache.learning.svc".into()) }),
            database: None,
            ..target
        };
        assert_eq!(
            printed(&cache, &address),
            "address:  127.0.0.1:4711\n\
             user:     Secret story-main-auth, key username, if it has one\n\
             password: Secret story-main-auth, key password\n\
             tls:      yes, authority in Secret far, key ca.crt, for the name story-cache.learning.svc\n"
        );
    }

    #[test]
    fn a_key_that_is_missing_is_said_without_any_value() {
        let secret =
            Secret { data: Some([("pw".to_owned(), ByteString(b"hunter2".to_vec()))].into()), ..Secret::default() };
        let said = value(&secret, "far", "password").unwrap_err().to_string();
        assert_eq!(said, "Secret far has no key password; there is pw");
        assert_eq!(value(&secret, "far", "pw").unwrap(), b"hunter2");
    }
}
