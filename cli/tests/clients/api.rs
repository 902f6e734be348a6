//! An API server that answers what it was told to answer, and forwards ports to itself: what comes back is in capitals.

use serde_json::Value;
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Of the handshake: RFC 6455, 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

#[derive(Default)]
struct State {
    answers: HashMap<String, (u16, Value)>,
    asked: Vec<String>,
    sent: Vec<(String, Value)>,
}

/// The server; its threads end with the process of the test.
pub struct Api {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Api {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A client that goes in the middle of an answer is no trouble.
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { port, state }
    }

    /// What is answered for a path from now on.
    pub fn set(&self, path: &str, status: u16, body: Value) {
        self.state.lock().expect("no panic").answers.insert(path.to_owned(), (status, body));
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().expect("no panic").asked.clone()
    }

    /// What was sent in JSON: method and path, and the body.
    pub fn sent(&self) -> Vec<(String, Value)> {
        self.state.lock().expect("no panic").sent.clone()
    }

    /// A file that leads here.
    pub fn kubeconfig(&self, dir: &Path) -> PathBuf {
        let path = dir.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: u, user: {{}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u, namespace: learning}}}}]\n",
            self.port
        );
        std::fs::write(&path, text).expect("a file");
        path
    }
}

pub fn base64(bytes: &[u8]) -> String {
    let value = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).expect("a string");
    value.as_str().expect("a string").to_owned()
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let target = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let header = |name: &str| {
            head.iter().find_map(|line| {
                let (found, value) = line.split_once(": ")?;
                found.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default()];
        reader.read_exact(&mut body)?;
        let answer = {
            let mut state = state.lock().expect("no panic");
            state.asked.push(target.clone());
            if let Ok(body) = serde_json::from_slice(&body) {
                let method = head.first().and_then(|line| line.split(' ').next()).unwrap_or_default();
                state.sent.push((format!("{method} {path}"), body));
            }
            state.answers.get(&path).cloned()
        };
        match (answer, header("sec-websocket-key")) {
            (None, Some(key)) => {
                let port = target.rsplit('=').next().and_then(|port| port.parse().ok()).unwrap_or_default();
                return forward(&mut stream, &mut reader, &key, port);
            }
            (answer, _) => {
                let (status, body) =
                    answer.unwrap_or((404, serde_json::json!({"kind": "Status", "code": 404, "message": path})));
                let body = body.to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes())?;
                stream.write_all(body.as_bytes())?;
            }
        }
    }
}

/// Channel 0 carries what is sent, channel 1 would carry an error; each begins with the number of the port.
fn forward(stream: &mut TcpStream, reader: &mut impl Read, key: &str, port: u16) -> std::io::Result<()> {
    let hash =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    let accept = base64(hash.as_ref());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\
         sec-websocket-protocol: v4.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        write_frame(stream, BINARY, &[channel, low, high])?;
    }
    loop {
        let (kind, mut payload) = read_frame(reader)?;
        match kind {
            BINARY if payload.first() == Some(&0) => {
                payload.make_ascii_uppercase();
                write_frame(stream, BINARY, &payload)?;
            }
            CLOSE => return write_frame(stream, CLOSE, &[]),
            _ => {}
        }
    }
}

fn write_frame(stream: &mut TcpStream, kind: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut frame = vec![0x80 | kind];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(length),
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    stream.write_all(&frame)
}

/// Kind and payload of a frame; clients mask theirs.
fn read_frame(reader: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    reader.read_exact(&mut start)?;
    let length = match start[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length)?;
            usize::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            reader.read_exact(&mut length)?;
            usize::try_from(u64::from_be_bytes(length)).map_err(std::io::Error::other)?
        }
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    reader.read_exact(&mut mask)?;
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload)?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((start[0] & 0x0f, payload))
}
