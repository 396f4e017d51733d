//! The floor: a bare loop that reads the stream, posts one pre-built order for each entry and acknowledges. It decides
//! nothing, checks nothing and would lose or double orders in a crash.

use std::net::SocketAddr;
use std::thread;

use anyhow::Context;
use crossbeam_channel::{Receiver, bounded};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::signals::{GROUP, STREAM};

/// The hidden first argument that makes this binary the floor.
pub(crate) const COMMAND: &str = "floor";
const READ_LEN_MAX: usize = 512;
const QUEUE_LEN: usize = 256;

/// `floor REDIS_URL ORDERS_ADDRESS CONNECTIONS`: runs until it is killed.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut next = || arguments.next().context("floor takes a Redis URL, an address and a number");
    let stream = redis::Client::open(next()?)?;
    let orders: SocketAddr = next()?.parse()?;
    match next()?.parse()? {
        1 => run_one(&stream, orders),
        connections => run_many(&stream, orders, connections),
    }
}

fn run_one(stream: &redis::Client, orders: SocketAddr) -> anyhow::Result<()> {
    let mut reader = Reader::connect(stream)?;
    let mut line = Line::connect(orders)?;
    loop {
        let entries = reader.read()?;
        for entry in &entries {
            line.post(entry.quantity())?;
        }
        acknowledge(&mut reader.connection, entries.iter().map(|entry| entry.id.as_str()))?;
    }
}

fn run_many(stream: &redis::Client, orders: SocketAddr, connections: usize) -> anyhow::Result<()> {
    let mut reader = Reader::connect(stream)?;
    let mut settling = stream.get_connection()?;
    let (entries_in, entries) = bounded::<Entry>(QUEUE_LEN);
    let (posted_in, posted) = bounded::<String>(QUEUE_LEN);
    let lines = (0..connections).map(|_| Line::connect(orders)).collect::<anyhow::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        for mut line in lines {
            let (entries, posted_in) = (entries.clone(), posted_in.clone());
            scope.spawn(move || -> anyhow::Result<()> {
                for entry in entries {
                    line.post(entry.quantity())?;
                    posted_in.send(entry.id)?;
                }
                Ok(())
            });
        }
        scope.spawn(move || settle(&mut settling, &posted));
        loop {
            for entry in reader.read()? {
                entries_in.send(entry)?;
            }
        }
    })
}

/// Acknowledges whatever was posted since the last acknowledgement.
fn settle(connection: &mut redis::Connection, posted: &Receiver<String>) -> anyhow::Result<()> {
    for first in posted {
        let ids: Vec<_> = std::iter::once(first).chain(posted.try_iter().take(READ_LEN_MAX)).collect();
        acknowledge(connection, ids.iter().map(String::as_str))?;
    }
    Ok(())
}

fn acknowledge<'a>(
    connection: &mut redis::Connection,
    ids: impl ExactSizeIterator<Item = &'a str>,
) -> anyhow::Result<()> {
    if ids.len() == 0 {
        return Ok(());
    }
    let mut command = redis::cmd("XACK");
    command.arg(STREAM).arg(GROUP);
    for id in ids {
        command.arg(id);
    }
    Ok(command.exec(connection)?)
}

struct Entry {
    id: String,
    fields: Vec<String>,
}

impl Entry {
    fn quantity(&self) -> &str {
        self.fields.last().map_or("1", String::as_str)
    }
}

struct Reader {
    connection: redis::Connection,
    command: redis::Cmd,
}

impl Reader {
    fn connect(stream: &redis::Client) -> anyhow::Result<Self> {
        let mut connection = stream.get_connection()?;
        redis::cmd("XGROUP").arg(&["CREATE", STREAM, GROUP, "0", "MKSTREAM"]).exec(&mut connection)?;
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(GROUP).arg("floor").arg("COUNT").arg(READ_LEN_MAX).arg("BLOCK").arg(0);
        command.arg("STREAMS").arg(STREAM).arg(">");
        Ok(Self { connection, command })
    }

    fn read(&mut self) -> anyhow::Result<Vec<Entry>> {
        type Streams = Vec<(String, Vec<(String, Vec<String>)>)>;
        let streams: Streams = self.command.query(&mut self.connection)?;
        let entries = streams.into_iter().flat_map(|(_, entries)| entries);
        Ok(entries.map(|(id, fields)| Entry { id, fields }).collect())
    }
}

/// One raw keep-alive connection, driven on the thread that posts.
struct Line {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
    template: Request<()>,
}

impl Line {
    fn connect(orders: SocketAddr) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(orders).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            anyhow::Ok(sender)
        })?;
        let template = Request::builder()
            .method(Method::POST)
            .uri("/v2/orders")
            .header(HOST, orders.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header("APCA-API-KEY-ID", "bench")
            .header("APCA-API-SECRET-KEY", "bench")
            .body(())?;
        Ok(Self { runtime, sender, template })
    }

    fn post(&mut self, quantity: &str) -> anyhow::Result<()> {
        let body = format!(
            r#"{{"symbol":"NVDA","qty":"{quantity}","side":"buy","type":"market","time_in_force":"ioc","client_order_id":"bot-sig-0000000000000000000000{quantity}"}}"#
        );
        let request = self.template.clone().map(|()| Full::new(Bytes::from(body)));
        self.runtime.block_on(async {
            let answer = self.sender.send_request(request).await?;
            anyhow::ensure!(answer.status().is_success(), "an order must be taken, was {}", answer.status());
            answer.into_body().collect().await?;
            Ok(())
        })
    }
}
