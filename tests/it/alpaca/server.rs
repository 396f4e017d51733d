//! A small HTTP server that does as it is told: it counts, it breaks off, it hangs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request as it was read.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub body: String,
}

impl Request {
    pub fn is(&self, method: &str, target: &str) -> bool {
        self.method == method && self.target.starts_with(target)
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answer and keep the connection.
    Answer(u16, String),
    /// The same with header lines, each ended by `\r\n`.
    AnswerWith(u16, &'static str, String),
    /// Answer, say nothing of closing, and close.
    AnswerAndClose(u16, String),
    /// Send these bytes piece by piece and keep the connection.
    Pieces(Vec<String>),
    /// Send these bytes and close.
    Raw(String),
    /// Close without a word.
    Close,
    /// Never answer.
    Hang,
}

/// The server; it stops taking connections when it is dropped.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    closed: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

impl Server {
    pub fn start(act: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let (seen, act) = (Arc::clone(&server.seen), Arc::new(act));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.stopped.load(Ordering::SeqCst) {
                    return;
                }
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (seen, act) = (Arc::clone(&seen), Arc::clone(&act));
                thread::spawn(move || {
                    serve(&stream.unwrap(), &seen, &*act);
                    seen.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Connections closed so far.
    pub fn closed(&self) -> usize {
        self.seen.closed.load(Ordering::SeqCst)
    }

    /// How often this was asked for.
    pub fn count(&self, method: &str, target: &str) -> usize {
        self.seen.requests.lock().unwrap().iter().filter(|request| request.is(method, target)).count()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: &TcpStream, seen: &Seen, act: &dyn Fn(&Request) -> Act) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let act = act(&request);
        seen.requests.lock().unwrap().push(request);
        let (text, close) = match act {
            Act::Answer(status, body) => (answer(status, "", &body), false),
            Act::AnswerWith(status, headers, body) => (answer(status, headers, &body), false),
            Act::AnswerAndClose(status, body) => (answer(status, "", &body), true),
            Act::Pieces(pieces) => {
                let (last, first) = pieces.split_last().unwrap();
                for piece in first {
                    (&*stream).write_all(piece.as_bytes()).unwrap();
                    thread::yield_now();
                }
                (last.clone(), false)
            }
            Act::Raw(text) => (text, true),
            Act::Close => return,
            Act::Hang => {
                // Until the client gives up.
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        let mut writer = stream;
        if writer.write_all(text.as_bytes()).is_err() || close {
            return;
        }
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, body: String::from_utf8(body).ok()? })
}
