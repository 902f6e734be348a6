//! Real servers that speak TLS: who gets in, what is verified, and renewed certificates.

use crate::support::{SECRET, Store, ask, authority, certify};
use learningplatform_valkey::{Answer, Mode, READY};
use redis::{AsyncCommands, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};
use tls::{AUTHORITIES, CERTIFICATE, Files, first};

/// A client as apps have it.
fn client(store: &Store, pod: usize, authority: &Files) -> Client {
    let address = store.pods[pod].pod.address.unwrap();
    let address = ConnectionAddr::TcpTls {
        host: address.ip().to_string(),
        port: address.port(),
        insecure: false,
        tls_params: None,
    };
    let settings = RedisConnectionInfo::default().set_password(SECRET);
    let info = address.into_connection_info().unwrap().set_redis_settings(settings);
    Client::build_with_tls(info, certificates(authority)).unwrap()
}

fn certificates(authority: &Files) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: Some(authority[AUTHORITIES].clone()) }
}

/// Until when what each server shows is valid.
async fn shown(store: &mut Store) -> Vec<Option<i64>> {
    let pods = store.listed();
    let sightings = store.edge().observe(&pods).await;
    let ends = sightings.iter().map(|sighting| match &sighting.answer {
        Answer::Node(node) => node.certificate_ends,
        _ => None,
    });
    ends.collect()
}

/// Until when what each pod has mounted is valid.
fn mounted(store: &Store) -> Vec<Option<i64>> {
    let file = |pod: &crate::support::Server| std::fs::read(pod.volume.path().join("tls").join(CERTIFICATE)).unwrap();
    store.pods.iter().map(|pod| first(&file(pod)).map(|certificate| certificate.not_after)).collect()
}

/// What the kubelet does with new certificates, and then the readiness probe.
fn renew(store: &mut Store, by: Files) {
    store.authority = Some(by.clone());
    for one in &store.pods {
        certify(&by, one);
    }
    for pod in store.pods.iter().map(|one| one.pod.name.clone()).collect::<Vec<_>>() {
        assert!(store.run(&pod, READY), "{pod} is ready");
    }
}

#[tokio::test]
async fn nobody_gets_in_without_and_renewed_certificates_are_taken_without_a_restart() {
    let (ours, other) = (authority(0), authority(0));
    let mut store = Store::with(Mode::Single, 1, 1, Some(ours.clone()));
    let view = store.until_ready().await;
    let primary = store.index(view.primary.as_ref().unwrap());
    assert_eq!(shown(&mut store).await, mounted(&store));

    let plain = ask(store.pods[primary].pod.address.unwrap(), SECRET, &["PING"]).await;
    assert!(plain.is_err(), "{plain:?}");
    let refused = client(&store, primary, &other).get_multiplexed_async_connection().await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let mut held = client(&store, primary, &ours).get_multiplexed_async_connection().await.unwrap();
    held.set::<_, _, ()>("story", 7).await.unwrap();
    store.authority = Some(other.clone());
    let pods = store.listed();
    for sighting in store.edge().observe(&pods).await {
        assert!(matches!(&sighting.answer, Answer::Unreachable(why) if why.contains("certificate")), "{sighting:?}");
    }

    // By another authority, which the servers do not know before.
    let processes: Vec<u32> = store.pods.iter().map(|one| one.process.as_ref().unwrap().id()).collect();
    renew(&mut store, other.clone());
    assert_eq!(shown(&mut store).await, mounted(&store));
    client(&store, primary, &ours).get_multiplexed_async_connection().await.map(drop).unwrap_err();
    client(&store, primary, &other).get_multiplexed_async_connection().await.unwrap();
    assert_eq!(held.get::<_, i32>("story").await.unwrap(), 7, "an open connection lives on");
    assert_eq!(store.pods.iter().map(|one| one.process.as_ref().unwrap().id()).collect::<Vec<_>>(), processes);

    // Replicas that connect anew trust it as well.
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "replica"]).exec_async(&mut held).await.unwrap();
    store.until_ready().await;
    // A server that starts anew knows the primary by its record.
    let replica = store.pods[1 - primary].pod.name.clone();
    store.restart(&replica);
    store.until_ready().await;
}

#[tokio::test]
async fn a_cluster_speaks_it_among_its_servers_and_moves_slots_by_it() {
    let ours = authority(0);
    let mut store = Store::with(Mode::Cluster, 3, 1, Some(ours.clone()));
    store.until_ready().await;
    let first = store.pods[0].pod.address.unwrap();
    let url = format!("rediss://{first}");
    let client = redis::cluster::ClusterClient::builder([url]).password(SECRET).certs(certificates(&ours)).build();
    let mut app = client.unwrap().get_async_connection().await.unwrap();
    for number in 0..500 {
        app.set::<_, _, ()>(format!("k:{number}"), number).await.unwrap();
    }

    // A server that stops hands over to its replica before.
    let primary = store.last.as_ref().unwrap().view.shards[&0].primary.clone().unwrap();
    assert!(store.run(&primary, learningplatform_valkey::STOP));
    let view = store.until_ready().await;
    assert_ne!(view.shards[&0].primary.as_ref(), Some(&primary), "it was handed over");

    store.wish.shards = 4;
    store.provide();
    store.until_ready().await;
    for number in 0..500 {
        assert_eq!(app.get::<_, i32>(format!("k:{number}")).await.unwrap(), number);
    }
    renew(&mut store, ours);
    assert_eq!(shown(&mut store).await, mounted(&store));
    store.until_ready().await;
}
