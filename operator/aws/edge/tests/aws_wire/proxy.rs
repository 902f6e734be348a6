//! What stands between the SDK and the server: it lets calls fail in every way that a network and AWS know, shows states that the
//! server passes over, does what the server does not ([`habits`]), and keeps a record.

use crate::{habits, rest};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error of AWS's. Not carried out.
    Code(u16, &'static str),
    /// The wish is refused, in these words. Not carried out.
    Says(&'static str),
    /// A page of somebody's on the way, without a code. Not carried out.
    Html(u16),
    /// The connection ends without an answer. Not carried out.
    Closed,
    /// Carried out; the connection ends without an answer.
    Lost,
    /// Carried out; the connection ends in the middle of the answer.
    Truncated,
    /// Carried out; the answer comes so much later.
    Late(Duration),
    /// A read shows what it did before the last change. Others are carried out.
    Stale,
}

/// A change that takes its time: for so many looks an instance or replication group has this status, and refuses changes; a
/// distribution refuses to be deleted.
#[derive(Clone, Copy, Debug)]
pub struct Lasting {
    /// What begins it.
    pub operation: &'static str,
    pub status: &'static str,
    pub looks: u32,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub operation: String,
    /// What it names.
    pub resource: String,
    /// What it asks for, as it is on the wire.
    pub form: String,
    /// Whether the server carried it out, as far as its answer tells.
    pub done: bool,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Lines of the head, without those that say how long the body is and how long the connection stays.
    pub head: Vec<String>,
    pub body: String,
}

impl Sent {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.iter().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

type Act = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;
type Rewrite = Box<dyn Fn(&str, String) -> String + Send>;
type Which = Box<dyn Fn(u64) -> bool + Send>;
type Page = Box<dyn Fn(Option<&str>) -> String + Send>;

#[derive(Default)]
struct State {
    faults: Vec<(String, u32, Fault)>,
    some: Option<(Which, Fault)>,
    lasting: Vec<Lasting>,
    /// Status and looks left, by instance or replication group.
    changing: BTreeMap<String, (&'static str, u32)>,
    rewrite: Option<Rewrite>,
    pages: BTreeMap<String, Page>,
    deleted: BTreeSet<String>,
    requests: u64,
    log: Vec<Logged>,
    /// By operation.
    sent: Vec<(String, Sent)>,
    /// What somebody does just before a request of an operation is passed on.
    first: Option<(String, Act)>,
    /// The last answers to reads, and those of before the last change.
    last: BTreeMap<String, Message>,
    before: BTreeMap<String, Message>,
}

/// The proxy. It ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// One before this server.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An error is a connection that ended, as it was told to or by the client.
                tokio::spawn(serve(shared.clone(), server, stream));
            }
        });
        Self { address, state, task: task.abort_handle() }
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// So many requests of this operation fail, from the next on.
    pub fn fail(&self, operation: &str, times: u32, fault: Fault) {
        self.state.lock().faults.push((operation.to_owned(), times, fault));
    }

    /// The requests with these numbers fail, from 0 on.
    pub fn fail_some(&self, which: impl Fn(u64) -> bool + Send + 'static, fault: Fault) {
        self.state.lock().some = Some((Box::new(which), fault));
    }

    /// Changes take their time.
    pub fn lasting(&self, lasting: &[Lasting]) {
        self.state.lock().lasting = lasting.to_vec();
    }

    /// Answers are changed so, by operation.
    pub fn rewrite(&self, rewrite: impl Fn(&str, String) -> String + Send + 'static) {
        self.state.lock().rewrite = Some(Box::new(rewrite));
    }

    /// An operation is answered by this, for each marker, instead of by the server.
    pub fn pages(&self, operation: &str, page: impl Fn(Option<&str>) -> String + Send + 'static) {
        self.state.lock().pages.insert(operation.to_owned(), Box::new(page));
    }

    /// Somebody does this just before the next request of this operation is passed on.
    pub fn first<F: Future<Output = ()> + Send + 'static>(
        &self,
        operation: &str,
        act: impl FnOnce() -> F + Send + 'static,
    ) {
        self.state.lock().first = Some((operation.to_owned(), Box::new(|| Box::pin(act()))));
    }

    /// The requests of this operation, as they came.
    pub fn sent(&self, operation: &str) -> Vec<Sent> {
        let state = self.state.lock();
        state.sent.iter().filter(|(of, _)| of == operation).map(|(_, sent)| sent.clone()).collect()
    }

    /// The requests that came.
    pub fn log(&self) -> Vec<Logged> {
        self.state.lock().log.clone()
    }

    /// What those of this operation named that were carried out.
    pub fn done(&self, operation: &str) -> Vec<String> {
        let log = self.log().into_iter();
        log.filter(|one| one.done && one.operation == operation).map(|one| one.resource).collect()
    }

    /// How many requests that change something were passed on or refused.
    pub fn writes(&self) -> usize {
        self.log().iter().filter(|one| !reads(&one.operation)).count()
    }
}

fn reads(operation: &str) -> bool {
    ["Describe", "List", "Get"].iter().any(|start| operation.starts_with(start))
}

/// A field of a form, as AWS's Query protocol has them. The names that are asked for hold nothing that is escaped.
pub fn field(body: &str, name: &str) -> Option<String> {
    body.split('&')
        .find_map(|pair| Some(pair.split_once('=')?.1.to_owned()).filter(|_| pair.split('=').next() == Some(name)))
}

/// A message of HTTP/1.1 whose length is told, or whose end is that of the connection.
#[derive(Clone)]
pub struct Message {
    /// Lines of the head, without those that say how long the body is and how long the connection stays.
    pub head: Vec<String>,
    pub body: String,
}

impl Message {
    async fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut body = bytes.split_off(end + 4);
        let value = |name: &str| {
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
        };
        let length = value("content-length").and_then(|length| length.parse().ok());
        assert!(value("transfer-encoding").is_none(), "neither side sends chunks: {head}");
        while body.len() < length.unwrap_or(0) {
            if stream.read_buf(&mut body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let own = ["content-length:", "connection:"];
        let is_own = |line: &&str| own.iter().any(|own| line.to_ascii_lowercase().starts_with(own));
        let head = head.lines().filter(|line| !is_own(line)).map(str::to_owned).collect();
        Ok(Self { head, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Sends this head with another body to a server.
    async fn ask(&self, server: SocketAddr, body: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(server).await?;
        let (head, length) = (self.head.join("\r\n"), body.len());
        let request = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await?;
        Self::read(&mut stream).await
    }

    async fn write(&self, stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
        let head = self.head.join("\r\n");
        let head = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", self.body.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&self.body.as_bytes()[..bytes]).await?;
        stream.shutdown().await
    }

    fn answer(status: u16, body: impl Into<String>) -> Self {
        let head = vec![format!("HTTP/1.1 {status} Told"), "Content-Type: text/xml".to_owned()];
        Self { head, body: body.into() }
    }

    /// An error in the form of the Query protocol and of REST with XML.
    pub fn refusal(status: u16, code: &str, words: &str) -> Self {
        let error = format!("<Type>Sender</Type><Code>{code}</Code><Message>{words}</Message>");
        Self::answer(status, format!("<ErrorResponse><Error>{error}</Error><RequestId>1</RequestId></ErrorResponse>"))
    }

    fn is_success(&self) -> bool {
        self.status().starts_with('2')
    }

    /// That of an answer.
    pub fn status(&self) -> &str {
        self.head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default()
    }
}

/// One request: each connection has one.
async fn serve(state: Arc<Mutex<State>>, server: SocketAddr, mut client: TcpStream) -> io::Result<()> {
    let request = Message::read(&mut client).await?;
    let form = &request.body;
    let sent = Sent { head: request.head.clone(), body: form.clone() };
    let line = request.head.first().cloned().unwrap_or_default();
    let target = line.rsplit_once(' ').map_or(line.as_str(), |(target, _)| target);
    // What is asked is the form, or the path with its query.
    let (operation, resource, asked) = match rest::named(target, form) {
        Some((operation, resource)) => (operation, resource, target.replacen('?', "&", 1)),
        None => {
            let resource = NAMES.iter().find_map(|name| field(form, name));
            // Of the JSON protocol a header names the operation.
            let named = sent.header("x-amz-target").and_then(|target| Some(target.rsplit_once('.')?.1.to_owned()));
            let operation = named.or_else(|| field(form, "Action")).unwrap_or_else(|| target.to_owned());
            (operation, resource.unwrap_or_default(), form.clone())
        }
    };
    state.lock().sent.push((operation.clone(), sent));
    let (fault, told) = state.lock().meet(&operation, &resource, &asked);
    let note = |done| {
        let (operation, resource, form) = (operation.clone(), resource.clone(), form.clone());
        state.lock().log.push(Logged { operation, resource, form, done });
    };
    let told = match fault {
        Some(Fault::Code(status, code)) => Some(Message::refusal(status, code, "as the test wants it")),
        Some(Fault::Says(words)) => Some(Message::refusal(400, "InvalidParameterValue", words)),
        Some(Fault::Html(status)) => Some(Message::answer(status, "<html><body>Sorry</body></html>")),
        Some(Fault::Stale) => state.lock().before.get(&asked).cloned(),
        _ => told,
    };
    if let Some(told) = told {
        note(false);
        return told.write(&mut client, told.body.len()).await;
    }
    if fault == Some(Fault::Closed) {
        note(false);
        return Ok(());
    }
    let first = state.lock().first.take_if(|(of, _)| *of == operation);
    if let Some((_, act)) = first {
        act().await;
    }
    let mut answer = rest::as_aws(&operation, request.ask(server, form).await?);
    note(answer.is_success());
    if answer.is_success() {
        for besides in habits::besides(&operation, form, &answer.body) {
            request.ask(server, &besides).await?;
        }
        answer.body = habits::corrected(&operation, answer.body);
        answer = state.lock().passed(&operation, &resource, &asked, answer);
    }
    match fault {
        Some(Fault::Lost) => return Ok(()),
        Some(Fault::Late(by)) => tokio::time::sleep(by).await,
        _ => {}
    }
    let half = if fault == Some(Fault::Truncated) { 2 } else { 1 };
    answer.write(&mut client, answer.body.len() / half).await
}

impl State {
    /// Counts a request: what goes wrong with it, and what it is told without the server.
    fn meet(&mut self, operation: &str, resource: &str, asked: &str) -> (Option<Fault>, Option<Message>) {
        let number = self.requests;
        self.requests += 1;
        let some = self.some.as_ref().filter(|(which, _)| which(number)).map(|(_, fault)| *fault);
        // Only what was asked before the last change can be stale.
        let was_asked = reads(operation) && self.before.contains_key(asked);
        let due = |(of, times, fault): &&mut (String, u32, Fault)| {
            of == operation && *times > 0 && (was_asked || *fault != Fault::Stale)
        };
        let named = self.faults.iter_mut().find(due).map(|(_, times, fault)| {
            *times -= 1;
            *fault
        });
        let changes = self.changing.contains_key(resource) && !reads(operation);
        let code = match operation {
            "DeleteDistribution" if changes => Some((409, "DistributionNotDisabled")),
            _ if changes && operation.contains("DBInstance") => Some((400, "InvalidDBInstanceState")),
            _ if changes && operation.contains("Replica") => Some((400, "InvalidReplicationGroupState")),
            // AWS tells tags of what is available only, and takes none of the rest.
            "ListTagsForResource" | "AddTagsToResource" => {
                let arn = field(asked, "ResourceName").unwrap_or_default();
                let changes = self.changing.keys().any(|id| arn.ends_with(&format!("replicationgroup%3A{id}")));
                changes.then_some((400, "InvalidReplicationGroupState"))
            }
            _ => None,
        };
        let page = self.pages.get(operation).map(|page| page(field(asked, "Marker").as_deref()));
        let told = code.map(|(status, code)| Message::refusal(status, code, "it changes"));
        (named.or(some), told.or_else(|| page.map(|page| Message::answer(200, page))))
    }

    /// What is shown of an answer.
    fn passed(&mut self, operation: &str, resource: &str, asked: &str, answer: Message) -> Message {
        let Message { head, body: mut content } = answer;
        if !reads(operation) {
            self.before = self.last.clone();
            if let Some(lasting) = self.lasting.iter().find(|lasting| lasting.operation == operation) {
                let made = rest::made(operation, &content);
                self.changing.insert(made.unwrap_or(resource).to_owned(), (lasting.status, lasting.looks));
            }
            if operation == "DeleteDBInstance" {
                self.deleted.insert(resource.to_owned());
                self.changing.remove(resource);
            } else if operation.contains("DBInstance") {
                self.deleted.remove(resource);
            }
            return Message { head, body: content };
        }
        // AWS takes a replica that is gone from its source's list; the server does not.
        for id in &self.deleted {
            content = content.replace(&element("ReadReplicaDBInstanceIdentifier", id), "");
        }
        if operation == "DescribeDBInstances" {
            for (id, (status, looks)) in &mut self.changing {
                content = instance(&content, id, |block| {
                    let block = within(&block, "DBInstanceStatus", status);
                    // It has no address before it was there once.
                    if *status == "creating" { without(&block, "Endpoint") } else { block }
                });
                *looks -= 1;
            }
        }
        if operation == "DescribeReplicationGroups" {
            for (id, (status, looks)) in &mut self.changing {
                content = group(&content, id, |block| within(&block, "Status", status));
                *looks -= 1;
            }
        }
        for (id, (status, looks)) in &mut self.changing {
            content = rest::deploying(operation, content, id, status);
            *looks -= u32::from(operation == "GetDistribution" && resource == id);
        }
        self.changing.retain(|_, (_, looks)| *looks > 0);
        if let Some(rewrite) = &self.rewrite {
            content = rewrite(operation, content);
        }
        let answer = Message { head, body: content };
        self.last.insert(asked.to_owned(), answer.clone());
        answer
    }
}

/// Names of resources in forms.
const NAMES: [&str; 6] = [
    "DBInstanceIdentifier",
    "DBParameterGroupName",
    "ReplicationGroupId",
    "CacheParameterGroupName",
    "UserGroupId",
    "UserId",
];

pub fn element(name: &str, value: &str) -> String {
    format!("<{name}>{value}</{name}>")
}

/// An answer with one instance changed.
pub fn instance(content: &str, id: &str, change: impl Fn(String) -> String) -> String {
    entry(content, "DBInstance", &element("DBInstanceIdentifier", id), change)
}

/// An answer with one replication group changed.
pub fn group(content: &str, id: &str, change: impl Fn(String) -> String) -> String {
    entry(content, "ReplicationGroup", &element("ReplicationGroupId", id), change)
}

/// A list with the entry changed that has this in it.
pub fn entry(content: &str, name: &str, own: &str, change: impl Fn(String) -> String) -> String {
    each(content, name, |block| if block.contains(own) { change(block) } else { block })
}

/// Text with each element of this name holding something else.
pub fn each(content: &str, name: &str, change: impl Fn(String) -> String) -> String {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut parts = content.split(&begin);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        let (block, rest) = part.split_once(&end).unwrap_or((part, ""));
        format!("{all}{begin}{}{end}{rest}", change(block.to_owned()))
    })
}

/// Text with the first element of this name holding another value.
pub fn within(text: &str, name: &str, value: &str) -> String {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let Some((before, rest)) = text.split_once(&begin) else { return text.to_owned() };
    let Some((_, after)) = rest.split_once(&end) else { return text.to_owned() };
    format!("{before}{begin}{value}{end}{after}")
}

fn without(text: &str, name: &str) -> String {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let parts = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    parts.map_or_else(|| text.to_owned(), |(before, after)| format!("{before}{after}"))
}
