//! A port of this machine that leads to a port of a pod, through the API server.

use crate::{output, say};
use anyhow::{Context, anyhow};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// Pause after a connection that could not be accepted, which has no file left for instance.
const PAUSE: Duration = Duration::from_millis(200);

/// A port that listens on the loopback interface alone.
pub(super) struct Forward {
    listener: TcpListener,
    address: SocketAddr,
    end: End,
}

/// Where it leads.
#[derive(Clone)]
struct End {
    pods: Api<Pod>,
    pod: String,
    port: u16,
}

impl Forward {
    /// Opens a free port, after one look whether the way is free.
    ///
    /// # Errors
    /// When the account may not, or the pod cannot be reached.
    pub(super) async fn open(pods: Api<Pod>, pod: &str, port: u16) -> anyhow::Result<Self> {
        let end = End { pods, pod: pod.to_owned(), port };
        end.connect().await?.abort();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port of this machine is free")?;
        let address = listener.local_addr().context("no port of this machine is free")?;
        Ok(Self { listener, address, end })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads every connection to the pod, each by a way of its own, until it is dropped.
    pub(super) async fn serve(self) {
        loop {
            match self.listener.accept().await {
                Ok((local, _)) => {
                    let end = self.end.clone();
                    tokio::spawn(async move {
                        if let Err(error) = end.lead(local).await {
                            output::tell(&crate::causes(&error));
                        }
                    });
                }
                Err(error) => {
                    output::tell(&format!("a connection could not be accepted: {error}"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl End {
    async fn connect(&self) -> anyhow::Result<kube::api::Portforwarder> {
        let opened = self.pods.portforward(&self.pod, &[self.port]).await;
        opened.map_err(|error| refused(error, &self.pod))
    }

    async fn lead(&self, mut local: TcpStream) -> anyhow::Result<()> {
        let mut way = self.connect().await?;
        let (Some(mut remote), Some(failed)) = (way.take_stream(self.port), way.take_error(self.port)) else {
            return Err(anyhow!("pod {} has no port {}", self.pod, self.port));
        };
        tokio::select! {
            // Either side may break off as it likes.
            _ = copy_bidirectional(&mut local, &mut remote) => Ok(()),
            Some(problem) = failed => Err(anyhow!("{}", problem.trim()).context(format!("pod {} cannot be reached", self.pod))),
        }
    }
}

/// Why there is no way to a pod.
fn refused(error: kube::Error, pod: &str) -> anyhow::Error {
    let what = match &error {
        kube::Error::Api(status) if status.code == 403 => format!(
            "your account may not forward a port of pod {pod}: that needs the verbs get and create on pods/portforward"
        ),
        kube::Error::Api(status) if status.code == 404 => format!("pod {pod} is gone: try again"),
        _ => format!("no port of pod {pod} can be forwarded"),
    };
    anyhow!("{}", say(&error)).context(what)
}
