//! An HTTP server of a few lines, which answers as the test says and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn is(&self, method: &str, target: &str) -> bool {
        self.method == method && self.target.starts_with(target)
    }
}

pub enum Body {
    Bytes(Vec<u8>),
    /// The header announces more than comes.
    Short(Vec<u8>, usize),
    /// Until the other side hangs up.
    Endless,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

impl Answer {
    pub fn new(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Body::Bytes(Vec::new()) }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Answer {
        self.body = Body::Bytes(bytes.into());
        self
    }

    pub fn body(mut self, body: Body) -> Answer {
        self.body = body;
        self
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    listening: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
        Server::on("127.0.0.1", handler)
    }

    /// Any address of 127.0.0.0/8 is this machine's, and each is another host.
    pub fn on(host: &str, handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let handler: Arc<Handler> = Arc::new(handler);
        let (log, end) = (Arc::clone(&requests), Arc::clone(&over));
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
                std::thread::spawn(move || {
                    // Who hangs up does not want the rest.
                    let _ = serve(stream.unwrap(), &log, handler.as_ref());
                });
            }
        });
        Server { address, requests, over, listening: Some(listening) }
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The credentials that it was shown.
    pub fn authorizations(&self) -> Vec<String> {
        self.requests().iter().filter_map(|request| request.header("authorization").map(str::to_owned)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.listening.take().map(std::thread::JoinHandle::join);
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, handler: &Handler) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let method = exchange(&stream, &mut reader, log, handler)?;
    // As a proxy, what comes through it is answered in the same way.
    if method == "CONNECT" { exchange(&stream, &mut reader, log, handler).map(drop) } else { Ok(()) }
}

fn exchange(
    mut stream: &TcpStream,
    reader: &mut BufReader<TcpStream>,
    log: &Mutex<Vec<Request>>,
    handler: &Handler,
) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(String::new()) };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    log.lock().unwrap().push(request.clone());
    let answer = handler(&request);
    let mut head = format!("HTTP/1.1 {} -\r\n", answer.status);
    if request.method != "CONNECT" {
        head += "Connection: close\r\n";
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let (bytes, length) = match answer.body {
        Body::Bytes(bytes) => {
            let length = bytes.len();
            (bytes, Some(length))
        }
        Body::Short(bytes, length) => (bytes, Some(length)),
        Body::Endless => (vec![7; 1 << 16], None),
    };
    if let Some(length) = length.filter(|_| request.method != "CONNECT") {
        head += &format!("Content-Length: {length}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if !matches!(request.method.as_str(), "HEAD" | "CONNECT") {
        stream.write_all(&bytes)?;
        while length.is_none() {
            stream.write_all(&bytes)?;
        }
    }
    stream.flush()?;
    Ok(request.method)
}
