//! `lpctl psql` and `lpctl redis-cli` as a process, against an API server of a few answers and with clients that tell how they
//! were called.

mod api;

use api::Api;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

const PASSWORD: &str = "pass:w/ord?#%";

/// A client that says its arguments, and of its environment what is about stores; it ends with 7.
const CLIENT: &str =
    "#!/bin/sh\nprintf 'argument %s\\n' \"$@\"\nenv | grep -E '^(PG|REDISCLI|VALKEYCLI)' | sort\nexit 7\n";

fn lpctl(api: &Api, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lpctl"));
    command.args(args).env("KUBECONFIG", api.kubeconfig(dir)).env("HOME", dir);
    command.env("PATH", format!("{}:/usr/bin:/bin", dir.display()));
    command
}

fn run(api: &Api, dir: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = lpctl(api, dir, args).output().expect("lpctl runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

fn clients(dir: &Path) {
    for name in ["psql", "redis-cli"] {
        let path = dir.join(name);
        std::fs::write(&path, CLIENT).expect("a client");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a client");
    }
}

fn platform(name: &str) -> Value {
    json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": name, "namespace": "learning", "generation": 1},
        "spec": {
            "databases": [
                {"name": "main", "inCluster": {"volume": {"storage": "1Gi"}, "readReplicas": 1}},
                {"name": "far", "external": {"address": "pg.example:6432", "database": "far", "secret": {"name": "far-pg"}}},
            ],
            "caches": [
                {"name": "cache", "inCluster": {}},
                {"name": "away", "external": {"address": "redis.example", "secret": {"name": "far-pg"},
                    "tls": {"ca": {"name": "far-pg", "key": "ca.crt"}}}},
            ],
        },
        "status": {"caches": [{"name": "cache", "servers": [
            {"pod": "story-cache-s0-1", "role": "Primary", "shard": 0, "state": "Serving"},
            {"pod": "story-cache-s1-0", "role": "Primary", "shard": 1, "state": "Serving"},
        ]}]},
    })
}

/// An API server with a platform whose stores run.
fn api() -> Api {
    let api = Api::start();
    api.set("/apis/learningplatform.dev/v1alpha1/namespaces/learning/learningplatforms", 200, {
        json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [platform("story")]})
    });
    api.set("/apis/learningplatform.dev/v1alpha1/namespaces/learning/learningplatforms/story", 200, platform("story"));
    let secret = |name: &str, data: Value| {
        api.set(
            &format!("/api/v1/namespaces/learning/secrets/{name}"),
            200,
            json!({"metadata": {"name": name}, "data": data}),
        );
    };
    let word = api::base64(PASSWORD.as_bytes());
    secret("story-main-auth", json!({"username": api::base64(b"app_a"), "password": word}));
    secret("story-cache-auth", json!({"password": word}));
    secret("far-pg", json!({"username": api::base64(b"reader"), "password": word, "ca.crt": api::base64(b"PEM")}));
    for pod in ["story-main-pg-0", "story-main-pg-ro-0", "story-cache-s0-1", "story-cache-s1-0"] {
        let state = json!([{"name": "server", "image": "", "imageID": "", "restartCount": 0, "ready": true, "state": {"running": {}}}]);
        let body = json!({"metadata": {"name": pod}, "status": {"phase": "Running", "containerStatuses": state}});
        api.set(&format!("/api/v1/namespaces/learning/pods/{pod}"), 200, body);
    }
    api
}

fn refusal(code: u16, message: &str) -> Value {
    let reason = if code == 404 { "NotFound" } else { "Forbidden" };
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})
}

#[test]
fn a_client_gets_the_address_and_the_password_and_its_exit_status_is_passed_on() {
    let (api, dir) = (api(), tempfile::tempdir().unwrap());
    clients(dir.path());
    let (code, out, err) = run(&api, dir.path(), &["psql", "main", "--", "-c", "select 'a b'"]);
    assert_eq!(code, 7, "{out}{err}");
    assert!(out.starts_with("argument -c\nargument select 'a b'\n"), "{out}");
    for line in ["PGHOST=127.0.0.1", "PGUSER=app_a", "PGDATABASE=app", &format!("PGPASSWORD={PASSWORD}")] {
        assert!(out.lines().any(|found| found == line), "{line} in {out}");
    }

    let (code, out, err) = run(&api, dir.path(), &["redis-cli", "story", "cache", "--shard", "1", "--", "get", "k"]);
    assert_eq!(code, 7, "{out}{err}");
    let arguments: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("argument ")).collect();
    let ["-h", "127.0.0.1", "-p", port, "get", "k"] = arguments[..] else { panic!("{out}{err}") };
    assert!(port.parse::<u16>().is_ok());
    assert!(out.contains(&format!("REDISCLI_AUTH={PASSWORD}")), "{out}");
    assert!(!arguments.concat().contains(PASSWORD) && !err.contains(PASSWORD), "{out}{err}");
    assert!(
        api.asked()
            .iter()
            .any(|path| path.starts_with("/api/v1/namespaces/learning/pods/story-cache-s1-0/portforward"))
    );
}

#[test]
fn a_store_of_somebody_else_needs_no_forward() {
    let (api, dir) = (api(), tempfile::tempdir().unwrap());
    clients(dir.path());
    let (code, out, err) = run(&api, dir.path(), &["psql", "far"]);
    assert_eq!(code, 7, "{err}");
    for line in ["PGHOST=pg.example", "PGPORT=6432", "PGUSER=reader", "PGDATABASE=far"] {
        assert!(out.lines().any(|found| found == line), "{line} in {out}");
    }
    let (_, out, _) = run(&api, dir.path(), &["redis-cli", "away"]);
    let arguments: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("argument ")).collect();
    let ["-h", "redis.example", "-p", "6379", "--user", "reader", "--tls", "--cacert", authority] = arguments[..]
    else {
        panic!("{out}")
    };
    assert!(!Path::new(authority).exists(), "the file of the authority went with the client");
    assert!(!api.asked().iter().any(|path| path.contains("/pods/")), "{:?}", api.asked());
    let (code, out, _) = run(&api, dir.path(), &["psql", "far", "--print"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("address:  pg.example:6432\n") && out.ends_with("Secret far-pg, key password\n"), "{out}");
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_sent_to_the_printed_address_reaches_the_pod() {
    let (api, dir) = (api(), tempfile::tempdir().unwrap());
    let mut command = lpctl(&api, dir.path(), &["psql", "main", "--replica", "1", "--print"]);
    let mut running = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first.strip_prefix("address:  ").unwrap_or_else(|| panic!("{first}"));
    // Each connection goes its own way, and one that ends takes no other with it.
    let mut open: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    drop(open.remove(0));
    for (number, stream) in open.iter_mut().enumerate() {
        let sent = format!("hello {number} ").repeat(20_000);
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = vec![0; sent.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), sent.to_uppercase());
    }
    let forwards = api.asked().into_iter().filter(|path| path.contains("/pods/story-main-pg-ro-0/portforward")).count();
    assert_eq!(forwards, 4, "one to see that the way is free, and one per connection");
    assert!(!api.asked().iter().any(|path| path.contains("/secrets/")), "no password is read where none is needed");
    // As Ctrl-C does.
    let interrupted = Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest.last().unwrap(), "password: Secret story-main-auth, key password");
    let mut said = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains(&format!("{address} leads to pod story-main-pg-ro-0 until this is interrupted")), "{said}");
}

#[test]
fn what_is_in_the_way_is_said_with_what_mends_it() {
    let (api, dir) = (api(), tempfile::tempdir().unwrap());
    let path = format!("{}", dir.path().display());
    let without = lpctl(&api, dir.path(), &["redis-cli", "cache"]).env("PATH", &path).output().unwrap();
    let said = String::from_utf8(without.stderr).unwrap();
    assert_eq!(without.status.code(), Some(2));
    assert!(
        said.contains("redis-cli or valkey-cli is not in PATH: install it (Debian: apt install redis-tools)"),
        "{said}"
    );

    clients(dir.path());
    let pods = "/api/v1/namespaces/learning/pods/story-main-pg-0";
    let fails = |args: &[&str], expected: &[&str]| {
        let (code, out, err) = run(&api, dir.path(), args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        for text in expected {
            assert!(err.contains(text), "{text} of {args:?} in {err}");
        }
    };
    fails(&["psql", "mian"], &["no database mian in story; did you mean main?"]);
    fails(&["redis-cli", "main"], &["no cache main in story; there is away, cache"]);
    fails(&["redis-cli", "cache", "--shard", "2"], &["cache cache has shards 0 to 1"]);

    api.set(
        &format!("{pods}/portforward"),
        403,
        refusal(403, "User \"ann\" cannot create resource \"pods/portforward\""),
    );
    fails(
        &["psql", "main"],
        &["that needs the verbs get and create on pods/portforward", "User \"ann\" cannot create"],
    );
    let waiting = json!([{"name": "server", "image": "", "imageID": "", "restartCount": 0, "ready": false,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]);
    api.set(
        pods,
        200,
        json!({"metadata": {"name": "p"}, "status": {"phase": "Running", "containerStatuses": waiting}}),
    );
    fails(&["psql", "main"], &["pod story-main-pg-0 of the primary of database main does not run: CrashLoopBackOff"]);
    api.set(pods, 404, refusal(404, "pods \"story-main-pg-0\" not found"));
    fails(&["psql", "main"], &["pod story-main-pg-0 of the primary of database main is not there"]);

    api.set("/api/v1/namespaces/learning/secrets/far-pg", 403, refusal(403, "secrets \"far-pg\" is forbidden"));
    fails(&["psql", "far"], &["Secret far-pg cannot be read (get on secrets); --print does without", "is forbidden"]);
    api.set(
        "/api/v1/namespaces/learning/secrets/far-pg",
        200,
        json!({"metadata": {}, "data": {"username": "cmVhZGVy"}}),
    );
    fails(&["psql", "far"], &["Secret far-pg has no key password; there is username"]);
}

#[test]
fn what_a_former_platform_left_is_adopted_with_a_word_and_nothing_else_is_changed() {
    let (api, dir) = (Api::start(), tempfile::tempdir().unwrap());
    let path = "/apis/learningplatform.dev/v1alpha1/namespaces/learning/learningplatforms";
    let condition = json!({"type": "Ready", "status": "False", "reason": "Retained", "message": "DB instance lp-1 is there",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let story = json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "learning", "resourceVersion": "7"},
        "spec": {"databases": [{"name": "main", "rds": {"instanceClass": "db.t4g.medium", "later": 1}}]},
        "status": {"databases": [{"name": "main", "conditions": [condition]}]},
    });
    api.set(path, 200, json!({"apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatformList", "metadata": {}, "items": [story]}));
    api.set(&format!("{path}/story"), 200, story.clone());
    let (code, _, err) = run(&api, dir.path(), &["adopt", "main"]);
    assert!(code == 1 && err.contains("lp-1 is there") && err.contains("--yes"), "{code} {err}");
    assert_eq!(api.sent(), [], "nobody was asked, and nothing done");
    let (code, _, err) = run(&api, dir.path(), &["adopt", "main", "--yes"]);
    assert!(code == 0 && err.contains("spec.databases[main].rds.adopt is true"), "{code} {err}");
    let mut adopted = story;
    adopted["spec"]["databases"][0]["rds"]["adopt"] = json!(true);
    assert_eq!(api.sent(), [(format!("PUT {path}/story"), adopted)], "what this lpctl does not know is kept");
    let (code, _, err) = run(&api, dir.path(), &["adopt", "cache", "--yes"]);
    assert!(code == 2 && err.contains("lpctl status"), "{code} {err}");
}
