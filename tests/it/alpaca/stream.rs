//! An order stream whose every word the test says itself.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

pub struct OrderStream {
    listener: TcpListener,
}

impl OrderStream {
    pub fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Takes the next connection and goes through the handshake, in binary frames as the real one does.
    pub fn accept(&self) -> Session {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut session = Session { socket: tungstenite::accept(stream).unwrap() };
        assert_eq!(session.hear(), r#"{"action":"auth","key":"KEY","secret":"S3CRET"}"#);
        session.say(r#"{"stream":"authorization","data":{"action":"authenticate","status":"authorized"}}"#);
        assert_eq!(session.hear(), r#"{"action":"listen","data":{"streams":["trade_updates"]}}"#);
        session.say(r#"{"stream":"listening","data":{"streams":["trade_updates"]}}"#);
        session
    }
}

pub struct Session {
    socket: WebSocket<TcpStream>,
}

impl Session {
    pub fn say(&mut self, text: &str) {
        self.socket.send(Message::binary(text.as_bytes().to_vec())).unwrap();
    }

    pub fn say_as_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn event(event: &str, order: &str) -> String {
        format!(
            r#"{{"stream":"trade_updates","data":{{"at":"2026-07-07T13:34:34Z","event":"{event}","order":{order},"qty":"1"}}}}"#
        )
    }

    fn hear(&mut self) -> String {
        self.socket.read().unwrap().into_text().unwrap().to_string()
    }
}
