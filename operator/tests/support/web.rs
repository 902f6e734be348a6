//! Small HTTP servers: a scrape target, and a proxy with faults.

use super::sigv4;
use reqwest::Url;
use std::{
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What a target exposes: text with `{count}`, `{now}` and `{start}` filled in at each scrape.
#[derive(Clone)]
pub struct Target {
    text: Arc<Mutex<String>>,
    rate: Arc<Mutex<(Instant, f64, f64)>>,
    pub port: u16,
}

impl Target {
    /// A target that counts `rate` per second into `{count}`.
    pub async fn start(text: &str, rate: f64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Self {
            text: Arc::new(Mutex::new(text.to_owned())),
            rate: Arc::new(Mutex::new((Instant::now(), 1000.0, rate))),
            port,
        };
        let serving = target.clone();
        tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let body = serving.exposition();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                });
            }
        });
        target
    }

    /// Exposes another text from now on.
    pub fn expose(&self, text: &str) {
        *self.text.lock().unwrap() = text.to_owned();
    }

    /// Counts at another rate from now on.
    pub fn count_at(&self, rate: f64) {
        let mut state = self.rate.lock().unwrap();
        let (since, count, before) = *state;
        *state = (Instant::now(), count + since.elapsed().as_secs_f64() * before, rate);
    }

    fn exposition(&self) -> String {
        let (since, count, rate) = *self.rate.lock().unwrap();
        let count = count + since.elapsed().as_secs_f64() * rate;
        self.text.lock().unwrap().replace("{count}", &format!("{count}"))
    }
}

/// How a proxy answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// As the server behind it, if the request carries this Authorization (empty: any).
    Pass(String),
    /// As the server behind it, if the request is signed with this key, for this `region/service`.
    Signed { key: String, scope: String },
    /// With this status.
    Status(u16),
    /// Never.
    Hang,
    /// With this body and status 200.
    Body(String),
}

/// A request that came through a proxy.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its first line and headers.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The PromQL that it asks.
    pub fn query(&self) -> Option<String> {
        let form = Url::parse(&format!("http://form/?{}", self.body)).unwrap();
        form.query_pairs().find(|(name, _)| name == "query").map(|(_, query)| query.into_owned())
    }
}

/// A proxy in front of a server on loopback. It closes each connection after one exchange.
pub struct Proxy {
    pub port: u16,
    behind: u16,
    mode: Arc<Mutex<Mode>>,
    /// Every request.
    pub seen: Arc<Mutex<Vec<Request>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    pub async fn start(behind: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self {
            port,
            behind,
            mode: Arc::new(Mutex::new(Mode::Pass(String::new()))),
            seen: Arc::default(),
            task: Mutex::default(),
        };
        proxy.serve(listener);
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn answer(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// Refuses connections until [`Proxy::listen`].
    pub fn refuse(&self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }

    /// Accepts connections again.
    pub async fn listen(&self) {
        let port = self.port;
        let listener = super::until("the port is free", std::time::Duration::from_secs(10), || async move {
            TcpListener::bind(("127.0.0.1", port)).await.ok()
        });
        self.serve(listener.await);
    }

    fn serve(&self, listener: TcpListener) {
        let (mode, behind, seen) = (self.mode.clone(), self.behind, self.seen.clone());
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(exchange(stream, mode.lock().unwrap().clone(), behind, seen.clone()));
            }
        });
        *self.task.lock().unwrap() = Some(task);
    }
}

async fn exchange(mut stream: TcpStream, mode: Mode, behind: u16, seen: Arc<Mutex<Vec<Request>>>) {
    let Some((head, body)) = request(&mut stream).await else { return };
    seen.lock().unwrap().push(Request { head: head.clone(), body: String::from_utf8_lossy(&body).into_owned() });
    let answer = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let refused = match &mode {
        Mode::Pass(wanted) if !wanted.is_empty() && header(&head, "authorization") != Some(wanted.as_str()) => {
            Some("401 Unauthorized")
        }
        Mode::Signed { key, scope } if !sigv4::is_signed(&head, &body, key, scope) => Some("403 Forbidden"),
        _ => None,
    };
    if let Some(status) = refused {
        let _ = stream.write_all(answer(status, "").as_bytes()).await;
        return;
    }
    match mode {
        Mode::Pass(_) | Mode::Signed { .. } => {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", behind)).await else { return };
            let lines = head.lines().filter(|line| {
                let line = line.to_ascii_lowercase();
                !line.starts_with("connection:") && !line.starts_with("authorization:")
            });
            let head = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\r\n");
            let forwarded = [format!("{head}\r\nconnection: close\r\n\r\n").as_bytes(), &body].concat();
            let _ = server.write_all(&forwarded).await;
            let _ = tokio::io::copy(&mut server, &mut stream).await;
        }
        Mode::Status(code) => {
            let _ = stream.write_all(answer(&format!("{code} Fault"), "a fault\n").as_bytes()).await;
        }
        Mode::Body(body) => {
            let _ = stream.write_all(answer("200 OK", &body).as_bytes()).await;
        }
        Mode::Hang => tokio::time::sleep(std::time::Duration::from_secs(3600)).await,
    }
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()))
}

async fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length: usize = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if bytes.len() >= end + 4 + length {
            return Some((head, bytes[end + 4..end + 4 + length].to_vec()));
        }
    }
}
